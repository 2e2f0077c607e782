//! Hears what listeners and sessions report and notes what may be somebody's mistake: handshakes that
//! failed before a login, TLS on a port that begins in clear, and the other way round. Writes the log as
//! well. Whose it was is found out where connections are kept, by address and only where it is certain.

use crate::Desk;
use platform::net::{Event, ListenerSpec, LogObserver, Mode, Observer, WrongMode};
use platform::tls::{ClientHello, TlsVersion};
use policy::clients::Hints;
use policy::connections::{Contact, Outcome};
use policy::{Door, Encryption, Service};
use std::net::SocketAddr;

/// An observer for the listeners of a node.
pub struct DeskObserver {
    desk: Desk,
    door: Door,
    log: LogObserver,
}

impl DeskObserver {
    /// Notes at `desk` and writes to the log. For the normal listeners.
    pub fn new(desk: Desk) -> Self {
        Self::at(desk, Door::Normal)
    }

    /// The same for what comes by the legacy hosts.
    pub fn at_legacy_hosts(desk: Desk) -> Self {
        Self::at(desk, Door::Legacy)
    }

    fn at(desk: Desk, door: Door) -> Self {
        Self {
            desk,
            door,
            log: LogObserver,
        }
    }
}

impl Observer for DeskObserver {
    fn event(&self, spec: &ListenerSpec, peer: Option<SocketAddr>, event: &Event<'_>) {
        self.log.event(spec, peer, event);
        let Some(peer) = peer else {
            return;
        };
        let (outcome, encryption, hello) = match event {
            Event::HandshakeFailed(error) => {
                let way = match spec.mode {
                    Mode::ImplicitTls => Encryption::ImplicitTls,
                    _ => Encryption::StartTls,
                };
                (Outcome::HandshakeFailed, way, error.hello.as_deref())
            }
            Event::WrongMode(WrongMode::TlsOnClearPort(hello)) => {
                (Outcome::WrongMode, Encryption::ImplicitTls, *hello)
            }
            Event::WrongMode(WrongMode::ClearOnTlsPort) => {
                (Outcome::WrongMode, Encryption::Clear, None)
            }
            Event::Refused(_) | Event::BadProxyHeader(_) | Event::AcceptFailed(_) => return,
        };
        self.note(spec, peer, outcome, encryption, hello);
    }
}

impl DeskObserver {
    fn note(
        &self,
        spec: &ListenerSpec,
        peer: SocketAddr,
        outcome: Outcome,
        encryption: Encryption,
        hello: Option<&ClientHello>,
    ) {
        let fingerprint = hello.map(ClientHello::fingerprint);
        let offered = hello.map(ClientHello::offered_versions);
        let client = self.desk.recognise(&Hints {
            fingerprint: fingerprint.as_deref(),
            offered_versions: offered.as_deref(),
            ..Hints::default()
        });
        self.desk.connections().note_stranger(&Contact {
            service: Service::of(spec.role),
            port: spec.address.port(),
            encryption,
            door: self.door,
            tls: hello.and_then(newest).map(|version| (version, "")),
            client: &client,
            outcome,
            peer: peer.ip(),
            now: self.desk.now(),
        });
    }
}

/// The newest version a client offers, where it has a name among ours.
fn newest(hello: &ClientHello) -> Option<TlsVersion> {
    match hello.newest_version() {
        0x0301 => Some(TlsVersion::V1_0),
        0x0302 => Some(TlsVersion::V1_1),
        0x0303 => Some(TlsVersion::V1_2),
        0x0304 => Some(TlsVersion::V1_3),
        _ => None,
    }
}
