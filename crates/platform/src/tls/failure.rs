//! Why a handshake came to nothing, and the alerts that we send ourselves because rustls has no words for them.
//! Pure; used by `tls::session` and `net::Stream`, read by logs and statistics.

use crate::net::StreamError;
use crate::tls::{CertificateFault, ClientHello};

/// Alert `decode_error`, RFC 8446 §6.
pub(crate) const DECODE_ERROR: u8 = 50;
/// Alert `protocol_version`.
pub(crate) const PROTOCOL_VERSION: u8 = 70;
/// Alert `inappropriate_fallback`, RFC 7507 §2.
pub(crate) const INAPPROPRIATE_FALLBACK: u8 = 86;

/// Why a handshake failed, and the ClientHello where one came: it tells who must update what.
#[derive(Debug, thiserror::Error)]
#[error("{failure}")]
pub struct HandshakeError {
    /// The reason.
    #[source]
    pub failure: HandshakeFailure,
    /// What the client offered; server side only.
    pub hello: Option<Box<ClientHello>>,
}

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeFailure {
    /// The peer's bytes are not TLS: it speaks in clear on a port for TLS, or goes on in clear after STARTTLS.
    #[error("the peer does not begin with TLS where TLS must begin")]
    NotTls,
    /// The ClientHello cannot be read.
    #[error("the ClientHello is malformed: {0}")]
    Malformed(&'static str),
    /// The client offers nothing newer than TLS 1.1; it was told by the alert `protocol_version`.
    #[error("the client offers no TLS version newer than TLS 1.1")]
    TooOld,
    /// The client repeats an attempt with a lower version although we speak a higher one (RFC 7507).
    #[error("the client fell back to an older TLS version without need")]
    InappropriateFallback,
    /// rustls refused; the peer was told by an alert.
    #[error("{0}")]
    Tls(rustls::Error),
    /// The server's certificate does not prove what was demanded; the server was told by an alert.
    #[error("{0}")]
    Certificate(CertificateFault),
    /// The legacy gateway, which was to do the handshake, could not; the client was told.
    #[error("{0}")]
    Gateway(Box<str>),
    /// The connection broke or was too slow.
    #[error("{0}")]
    Stream(StreamError),
}

impl HandshakeError {
    pub(crate) fn new(failure: HandshakeFailure, hello: Option<Box<ClientHello>>) -> Self {
        Self { failure, hello }
    }
}

impl From<HandshakeFailure> for HandshakeError {
    fn from(failure: HandshakeFailure) -> Self {
        Self::new(failure, None)
    }
}

impl From<StreamError> for HandshakeError {
    fn from(error: StreamError) -> Self {
        HandshakeFailure::from(error).into()
    }
}

impl From<StreamError> for HandshakeFailure {
    fn from(error: StreamError) -> Self {
        Self::Stream(error)
    }
}

impl From<rustls::Error> for HandshakeFailure {
    fn from(error: rustls::Error) -> Self {
        Self::Tls(error)
    }
}

/// What keeps us from even starting: rules that rustls has no words for.
pub(crate) fn refuse_early(hello: &ClientHello) -> Option<HandshakeFailure> {
    let newest = hello.newest_version();
    if newest < 0x0303 {
        return Some(HandshakeFailure::TooOld);
    }
    // RFC 7507 §3: the client would have spoken a higher version, which we do speak.
    if newest < 0x0304 && hello.falls_back() {
        return Some(HandshakeFailure::InappropriateFallback);
    }
    None
}

/// A fatal alert record in the record version that a client of `legacy_version` reads.
pub(crate) fn fatal_alert(legacy_version: u16, description: u8) -> [u8; 7] {
    let [major, minor] = legacy_version.clamp(0x0300, 0x0303).to_be_bytes();
    [21, major, minor, 0, 2, 2, description]
}
