//! Drives one rustls connection over bytes that `net::Stream` moves: no sockets, no waiting in here. Uses rustls'
//! unbuffered interface, so that an idle session keeps nothing but its keys.

use crate::tls::capture::{self, Captured, Verdict};
use crate::tls::client_hello::ClientHello;
use crate::tls::failure::HandshakeFailure;
use crate::tls::{PeerCertificate, TlsFacts, TlsVersion, Verified};
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, UnbufferedConnectionCommon, UnbufferedStatus,
    WriteTraffic,
};
use std::cell::RefCell;
use std::fmt;
use std::io;

/// Room for a read: a partial record (at most 18 KiB) or handshake flight before it, and 64 KiB of new bytes.
const SCRATCH_BYTES: usize = 96 * 1024;
/// Unprocessed bytes a session may keep between reads. A record has at most 18,437.
const INCOMING_BYTES_MAX: usize = 32 * 1024;
/// A record's payload.
const FRAGMENT_BYTES_MAX: usize = 16 * 1024;
/// What encryption adds to a fragment at most: header, explicit nonce, content type, tag; rounded up.
const RECORD_OVERHEAD_BYTES: usize = 64;

thread_local! {
    /// Where records lie while they are decrypted. One per worker thread, so that no session needs its own.
    pub(crate) static SCRATCH: RefCell<Box<[u8]>> =
        RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

/// Why a read failed.
pub(crate) enum ReadError {
    Io(io::Error),
    Tls(rustls::Error),
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Handshaking,
    Established,
    PeerClosed,
    /// After an error. rustls must not be asked again: it would meet the same record, and panic.
    Broken,
}

/// Either side of a connection.
pub(crate) enum Connection {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

/// A handshake under way.
pub(crate) struct Handshake {
    connection: Connection,
    incoming: Vec<u8>,
    captured: Captured,
}

impl Handshake {
    /// `incoming` is what the peer sent already.
    pub(crate) fn new(connection: Connection, incoming: Vec<u8>) -> Self {
        Self {
            connection,
            incoming,
            captured: Captured::default(),
        }
    }

    /// Works on what is there already.
    pub(crate) fn advance(
        &mut self,
        plain: &mut Vec<u8>,
        wire: &mut Vec<u8>,
    ) -> Result<Stage, HandshakeFailure> {
        let mut incoming = std::mem::take(&mut self.incoming);
        let (consumed, stage) = self.drive(&mut incoming, plain, wire);
        incoming.drain(..consumed.min(incoming.len()));
        self.incoming = incoming;
        stage.map_err(|error| self.failure(error))
    }

    /// Whether what is on the wire now may wait for the session's first bytes. True for a TLS 1.3 server, which has
    /// only a ticket left to give; in every other case the peer waits for our last message.
    pub(crate) fn may_send_later(&self) -> bool {
        matches!(self.connection, Connection::Server(_))
            && self.connection.common().protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3)
    }

    /// Reads once and works on it.
    pub(crate) fn read(
        &mut self,
        scratch: &mut [u8],
        plain: &mut Vec<u8>,
        wire: &mut Vec<u8>,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> Result<Stage, ReadError> {
        let kept = self.incoming.len();
        let filled = fill_scratch(scratch, &self.incoming, FRAGMENT_BYTES_MAX, read)?;
        if filled.len() == kept {
            return Err(ReadError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        let (consumed, stage) = self.drive(filled, plain, wire);
        self.incoming = filled.get(consumed..).unwrap_or_default().to_vec();
        stage.map_err(ReadError::Tls)
    }

    /// What rustls' `error` means: where a certificate did not meet the demand, that is the reason.
    pub(crate) fn failure(&mut self, error: rustls::Error) -> HandshakeFailure {
        match self.captured.verdict.take() {
            Some(Verdict {
                proved: Err(fault), ..
            }) => HandshakeFailure::Certificate(fault),
            _ => HandshakeFailure::Tls(error),
        }
    }

    fn drive(
        &mut self,
        incoming: &mut [u8],
        plain: &mut Vec<u8>,
        wire: &mut Vec<u8>,
    ) -> (usize, Result<Stage, rustls::Error>) {
        capture::begin();
        let outcome = drive(&mut self.connection, incoming, plain, wire);
        self.captured.merge(capture::take());
        outcome
    }

    /// The established session on the server's side.
    pub(crate) fn finish_server(self, hello: &ClientHello) -> Box<Session> {
        let mut facts = self.facts();
        facts.sni = hello.server_name.as_deref().map(Into::into);
        facts.client_fingerprint = Some(hello.fingerprint().into_boxed_str());
        if facts.version == TlsVersion::V1_3 {
            facts.tls_exporter = self.captured.tls_exporter();
        }
        if !facts.resumed {
            facts.server_end_point = self.captured.end_point.as_deref().map(Into::into);
        }
        Session::boxed(self.connection, self.incoming, facts)
    }

    /// The established session on the client's side.
    pub(crate) fn finish_client(mut self, server_name: &str) -> Box<Session> {
        let mut facts = self.facts();
        facts.sni = Some(server_name.to_ascii_lowercase().into_boxed_str());
        let leaf = self
            .connection
            .common()
            .peer_certificates()
            .and_then(<[_]>::first);
        let verdict = self.captured.verdict.take();
        facts.peer_certificate = leaf.map(|leaf| {
            let (verified, audit) = match verdict {
                Some(Verdict {
                    proved: Ok(verified),
                    audit,
                }) => (verified, audit),
                _ => (Verified::NotAsked, None),
            };
            PeerCertificate {
                sha256: crate::tls::certificates::sha256(leaf),
                verified,
                audit,
            }
        });
        Session::boxed(self.connection, self.incoming, facts)
    }

    fn facts(&self) -> TlsFacts {
        let common = self.connection.common();
        TlsFacts {
            version: match common.protocol_version() {
                Some(rustls::ProtocolVersion::TLSv1_3) => TlsVersion::V1_3,
                _ => TlsVersion::V1_2,
            },
            cipher: common
                .negotiated_cipher_suite()
                .map_or("", |suite| cipher_name(suite.suite())),
            group: common
                .negotiated_key_exchange_group()
                .map(|group| group_name(group.name())),
            sni: None,
            client_fingerprint: None,
            resumed: common.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
            tls_exporter: None,
            server_end_point: None,
            peer_certificate: None,
        }
    }
}

/// The IANA name; rustls writes TLS 1.3 suites with a prefix of its own.
fn cipher_name(suite: rustls::CipherSuite) -> &'static str {
    use rustls::CipherSuite as S;
    match suite {
        S::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        S::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        S::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => other.as_str().unwrap_or("unknown"),
    }
}

/// The IANA name of a group.
fn group_name(group: rustls::NamedGroup) -> &'static str {
    use rustls::NamedGroup as G;
    match group {
        G::X25519MLKEM768 => "X25519MLKEM768",
        G::X25519 => "x25519",
        G::secp256r1 => "secp256r1",
        G::secp384r1 => "secp384r1",
        _ => "unknown",
    }
}

/// An established TLS session: keys, the start of a record that is not complete, and the facts.
pub(crate) struct Session {
    connection: Connection,
    incoming: Vec<u8>,
    stage: Stage,
    facts: TlsFacts,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("stage", &self.stage)
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}

impl Session {
    fn boxed(connection: Connection, mut incoming: Vec<u8>, facts: TlsFacts) -> Box<Self> {
        incoming.shrink_to_fit();
        Box::new(Self {
            connection,
            incoming,
            stage: Stage::Established,
            facts,
        })
    }

    pub(crate) fn facts(&self) -> &TlsFacts {
        &self.facts
    }

    pub(crate) fn peer_has_closed(&self) -> bool {
        self.stage == Stage::PeerClosed
    }

    /// Reads once, adds what it decrypts to `plain` and what must be answered to `wire`. Returns how many
    /// bytes were read; 0 at the peer's end.
    pub(crate) fn read(
        &mut self,
        scratch: &mut [u8],
        wanted_bytes: usize,
        plain: &mut Vec<u8>,
        wire: &mut Vec<u8>,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> Result<usize, ReadError> {
        if self.stage == Stage::Broken {
            return Err(ReadError::Tls(broken()));
        }
        let kept = self.incoming.len();
        let filled = fill_scratch(scratch, &self.incoming, wanted_bytes, read)?;
        let bytes = filled.len() - kept;
        if bytes == 0 {
            return Ok(0);
        }
        let (consumed, stage) = drive(&mut self.connection, filled, plain, wire);
        let rest = filled.get(consumed..).unwrap_or_default();
        self.incoming = if rest.is_empty() {
            Vec::new()
        } else {
            rest.to_vec()
        };
        self.stage = Stage::Broken;
        self.stage = stage.map_err(ReadError::Tls)?;
        Ok(bytes)
    }

    /// Encrypts `plain` behind what `wire` holds.
    pub(crate) fn encrypt(
        &mut self,
        plain: &[u8],
        wire: &mut Vec<u8>,
    ) -> Result<(), rustls::Error> {
        let records = plain.len() / FRAGMENT_BYTES_MAX + 1;
        self.with_write_traffic(wire, |traffic, wire| {
            let before = wire.len();
            let mut room = plain.len() + records * RECORD_OVERHEAD_BYTES;
            loop {
                wire.resize(before + room, 0);
                match traffic.encrypt(plain, wire.get_mut(before..).unwrap_or_default()) {
                    Ok(bytes) => {
                        wire.truncate(before + bytes);
                        return Ok(());
                    }
                    // A key update that waits to be sent goes first and needs room too.
                    Err(EncryptError::InsufficientSize(needed)) if needed.required_size > room => {
                        room = needed.required_size;
                    }
                    Err(_) => {
                        wire.truncate(before);
                        return Err(rustls::Error::EncryptError);
                    }
                }
            }
        })
    }

    /// Adds the close_notify alert to `wire`, where that is still possible.
    pub(crate) fn close_notify(&mut self, wire: &mut Vec<u8>) {
        let _session_is_over_anyway = self.with_write_traffic(wire, |traffic, wire| {
            let before = wire.len();
            wire.resize(before + 2 * RECORD_OVERHEAD_BYTES, 0);
            let bytes = traffic
                .queue_close_notify(wire.get_mut(before..).unwrap_or_default())
                .unwrap_or(0);
            wire.truncate(before + bytes);
            Ok(())
        });
    }

    fn with_write_traffic(
        &mut self,
        wire: &mut Vec<u8>,
        mut action: impl FnMut(&mut dyn Traffic, &mut Vec<u8>) -> Result<(), rustls::Error>,
    ) -> Result<(), rustls::Error> {
        if self.stage == Stage::Broken {
            return Err(broken());
        }
        // What is left of a handshake message must stay in front of rustls: it counts from its start.
        let mut incoming = std::mem::take(&mut self.incoming);
        let (consumed, outcome) = match &mut self.connection {
            Connection::Server(server) => write_on(&mut **server, &mut incoming, wire, &mut action),
            Connection::Client(client) => write_on(&mut **client, &mut incoming, wire, &mut action),
        };
        incoming.drain(..consumed.min(incoming.len()));
        self.incoming = incoming;
        if outcome.is_err() {
            self.stage = Stage::Broken;
        }
        outcome
    }
}

/// What every use of a session after its first error gives.
fn broken() -> rustls::Error {
    rustls::Error::General("the TLS session ended with an error before".to_owned())
}

impl Connection {
    fn common(&self) -> &rustls::CommonState {
        match self {
            Self::Server(server) => server,
            Self::Client(client) => client,
        }
    }
}

/// Puts `kept` and then what `read` gives into `scratch`; returns both together.
fn fill_scratch<'s>(
    scratch: &'s mut [u8],
    kept: &[u8],
    wanted_bytes: usize,
    read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
) -> Result<&'s mut [u8], ReadError> {
    if kept.len() > INCOMING_BYTES_MAX {
        return Err(ReadError::Tls(rustls::Error::General(
            "a handshake message is too large".to_owned(),
        )));
    }
    let end = (kept.len() + wanted_bytes.max(1)).min(scratch.len());
    let Some((head, space)) = scratch
        .get_mut(..end)
        .and_then(|used| used.split_at_mut_checked(kept.len()))
    else {
        return Err(ReadError::Io(io::ErrorKind::OutOfMemory.into()));
    };
    head.copy_from_slice(kept);
    let bytes = read(space).map_err(ReadError::Io)?;
    Ok(scratch.get_mut(..kept.len() + bytes).unwrap_or_default())
}

/// Server and client connections under one name.
trait Records {
    type Data;
    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data>;
    /// Whether something waits to be sent.
    fn has_alert(&self) -> bool;
}

impl Records for UnbufferedConnectionCommon<rustls::server::ServerConnectionData> {
    type Data = rustls::server::ServerConnectionData;
    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }

    fn has_alert(&self) -> bool {
        self.wants_write()
    }
}

impl Records for UnbufferedConnectionCommon<rustls::client::ClientConnectionData> {
    type Data = rustls::client::ClientConnectionData;
    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }

    fn has_alert(&self) -> bool {
        self.wants_write()
    }
}

/// What can be done with a connection that may send.
trait Traffic {
    fn encrypt(&mut self, plain: &[u8], wire: &mut [u8]) -> Result<usize, EncryptError>;
    fn queue_close_notify(&mut self, wire: &mut [u8]) -> Result<usize, EncryptError>;
}

impl<Data> Traffic for WriteTraffic<'_, Data> {
    fn encrypt(&mut self, plain: &[u8], wire: &mut [u8]) -> Result<usize, EncryptError> {
        Self::encrypt(self, plain, wire)
    }
    fn queue_close_notify(&mut self, wire: &mut [u8]) -> Result<usize, EncryptError> {
        Self::queue_close_notify(self, wire)
    }
}

fn drive(
    connection: &mut Connection,
    incoming: &mut [u8],
    plain: &mut Vec<u8>,
    wire: &mut Vec<u8>,
) -> (usize, Result<Stage, rustls::Error>) {
    match connection {
        Connection::Server(server) => drive_on(&mut **server, incoming, plain, wire),
        Connection::Client(client) => drive_on(&mut **client, incoming, plain, wire),
    }
}

/// Lets rustls work on `incoming` until it wants more. Returns how many bytes it is done with.
fn drive_on<R: Records>(
    connection: &mut R,
    incoming: &mut [u8],
    plain: &mut Vec<u8>,
    wire: &mut Vec<u8>,
) -> (usize, Result<Stage, rustls::Error>) {
    let mut consumed = 0;
    loop {
        let rest = incoming.get_mut(consumed..).unwrap_or_default();
        let UnbufferedStatus { discard, state } = connection.process(rest);
        let mut done_bytes = discard;
        let mut stage = None;
        match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    match record {
                        Ok(record) => {
                            plain.extend_from_slice(record.payload);
                            done_bytes += record.discard;
                        }
                        Err(e) => stage = Some(Err(e)),
                    }
                }
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                encode(&mut |space| data.encode(space), wire);
            }
            // The caller flushes `wire` next; from rustls' side it is on its way.
            Ok(ConnectionState::TransmitTlsData(transmit)) => transmit.done(),
            Ok(ConnectionState::BlockedHandshake) => stage = Some(Ok(Stage::Handshaking)),
            Ok(ConnectionState::WriteTraffic(_)) => stage = Some(Ok(Stage::Established)),
            Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                stage = Some(Ok(Stage::PeerClosed));
            }
            Ok(_) => stage = Some(Err(rustls::Error::HandshakeNotComplete)),
            Err(e) => stage = Some(Err(e)),
        }
        consumed += done_bytes;
        match stage {
            None => {}
            Some(Ok(stage)) => return (consumed, Ok(stage)),
            Some(Err(e)) => {
                let rest = incoming.get_mut(consumed..).unwrap_or_default();
                collect_alerts(connection, rest, wire);
                return (consumed, Err(e));
            }
        }
    }
}

/// After an error rustls may still have an alert to send. It hands that out before it looks at the input; asked once
/// more, it would stumble over the same record again and panic over the second alert.
fn collect_alerts<R: Records>(connection: &mut R, incoming: &mut [u8], wire: &mut Vec<u8>) {
    while connection.has_alert() {
        match connection.process(incoming).state {
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                encode(&mut |space| data.encode(space), wire);
            }
            _ => return,
        }
    }
}

/// Appends what `encode` writes, asking for its size first.
fn encode(encode: &mut dyn FnMut(&mut [u8]) -> Result<usize, EncodeError>, wire: &mut Vec<u8>) {
    let Err(EncodeError::InsufficientSize(needed)) = encode(&mut []) else {
        return;
    };
    let before = wire.len();
    wire.resize(before + needed.required_size, 0);
    let bytes = encode(wire.get_mut(before..).unwrap_or_default()).unwrap_or(0);
    wire.truncate(before + bytes);
}

/// What is done once a connection may send.
type SendAction<'a> = dyn FnMut(&mut dyn Traffic, &mut Vec<u8>) -> Result<(), rustls::Error> + 'a;

/// Gets rustls into the state in which it may send, and does `action` there.
fn write_on<R: Records>(
    connection: &mut R,
    incoming: &mut [u8],
    wire: &mut Vec<u8>,
    action: &mut SendAction<'_>,
) -> (usize, Result<(), rustls::Error>) {
    let mut consumed = 0;
    loop {
        let rest = incoming.get_mut(consumed..).unwrap_or_default();
        let UnbufferedStatus { discard, state } = connection.process(rest);
        let outcome = match state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) => Some(action(&mut traffic, wire)),
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                encode(&mut |space| data.encode(space), wire);
                None
            }
            Ok(ConnectionState::TransmitTlsData(transmit)) => {
                transmit.done();
                None
            }
            Ok(ConnectionState::PeerClosed) => None,
            Ok(_) => Some(Err(rustls::Error::EncryptError)),
            Err(e) => Some(Err(e)),
        };
        consumed += discard;
        if let Some(outcome) = outcome {
            return (consumed, outcome);
        }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
