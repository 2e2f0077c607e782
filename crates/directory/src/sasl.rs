//! SASL for all protocols: SMTP AUTH, IMAP AUTHENTICATE and POP3 AUTH do base64 and their framing,
//! everything between is here. Decoded messages in, decoded challenges or a ruling out.

use crate::{Directory, LoginRuling, Protocol};
use platform::clock::Timestamp;
use std::net::IpAddr;

/// A SASL mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// draft-murchison-sasl-login; Outlook still asks for it.
    Login,
    /// RFC 7677.
    ScramSha256,
    /// RFC 7677 with channel binding (RFC 5802 §6).
    ScramSha256Plus,
}

impl Mechanism {
    /// The mechanism of this name, in any case (RFC 4422 §3.1).
    pub fn parse(name: &str) -> Option<Self> {
        [
            Self::Plain,
            Self::Login,
            Self::ScramSha256,
            Self::ScramSha256Plus,
        ]
        .into_iter()
        .find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    /// The registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
        }
    }
}

/// What ties a SCRAM exchange to its TLS connection. Both `None` without TLS.
#[derive(Debug, Clone, Default)]
pub struct ChannelBindings {
    /// RFC 9266: 32 bytes exported from this connection; TLS 1.3 (or 1.2 with extended master
    /// secret).
    pub tls_exporter: Option<[u8; 32]>,
    /// RFC 5929 §4: the hash of the server's certificate.
    pub tls_server_end_point: Option<Vec<u8>>,
}

/// What is known about the connection an exchange runs on.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Over which protocol.
    pub protocol: Protocol,
    /// The client's address.
    pub address: IpAddr,
    /// What ties the exchange to TLS.
    pub bindings: ChannelBindings,
    /// Whether SCRAM-SHA-256-PLUS was among the offered mechanisms; a client that says it was not
    /// has been lied to (RFC 5802 §6).
    pub plus: PlusOffer,
}

/// Whether SCRAM-SHA-256-PLUS was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlusOffer {
    /// It was.
    Offered,
    /// It was not.
    NotOffered,
}

/// What comes next in an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send these bytes (base64) and give the answer to `step`.
    Challenge(Vec<u8>),
    /// It is over.
    Done(LoginRuling),
    /// The client broke the mechanism's grammar: SMTP 501 5.5.2, IMAP BAD, POP3 -ERR. It is over.
    Malformed(&'static str),
}

/// One authentication exchange. After `Done` or `Malformed` it is of no further use. A client that
/// sends `*` (cancel) is the protocol's matter: drop the exchange.
pub struct Exchange {
    _directory: Directory,
}

impl Exchange {
    /// Begins an exchange; nothing is sent or asked yet.
    pub fn start(directory: &Directory, _mechanism: Mechanism, _peer: Peer) -> Self {
        Self {
            _directory: directory.clone(),
        }
    }

    /// The first step: with the initial response where the client sent one (an empty one, `=`, is
    /// `Some(b"")`), `None` where it did not.
    pub async fn first(&mut self, initial: Option<&[u8]>, now: Timestamp) -> Step {
        match initial {
            Some(message) => self.step(message, now).await,
            None => Step::Challenge(Vec::new()),
        }
    }

    /// The client's answer to the last challenge, decoded.
    pub async fn step(&mut self, _message: &[u8], _now: Timestamp) -> Step {
        Step::Malformed("later")
    }
}
