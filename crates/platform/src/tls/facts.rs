//! What is known about a TLS session after its handshake. Plain data for rulings, logs, statistics and
//! SASL channel binding; filled in by `tls::session`.

use crate::tls::{CertificateFault, Verified};
use std::fmt;

/// A version a session has. The two oldest are never spoken by this program: they come from the legacy gateway
/// only, which speaks them in a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    /// TLS 1.0, RFC 2246.
    V1_0,
    /// TLS 1.1, RFC 4346.
    V1_1,
    /// TLS 1.2, RFC 5246.
    V1_2,
    /// TLS 1.3, RFC 8446.
    V1_3,
}

impl TlsVersion {
    /// As written in logs and in Received lines: `TLSv1.3`; TLS 1.0 is `TLSv1`, as OpenSSL has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1_0 => "TLSv1",
            Self::V1_1 => "TLSv1.1",
            Self::V1_2 => "TLSv1.2",
            Self::V1_3 => "TLSv1.3",
        }
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The facts of an established TLS session.
#[derive(Debug, Clone)]
pub struct TlsFacts {
    /// The negotiated version.
    pub version: TlsVersion,
    /// The suite's IANA name, such as `TLS_AES_256_GCM_SHA384` or `TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256`.
    pub cipher: &'static str,
    /// The key exchange group's IANA name, such as `X25519MLKEM768`; `None` on a TLS 1.2 resumption, which has none.
    pub group: Option<&'static str>,
    /// The host name the client asked for (server side) or we asked for (client side), in lower case.
    pub sni: Option<Box<str>>,
    /// What software the peer is likely to be, after its ClientHello; see `tls::client_hello::ClientHello::fingerprint`.
    /// `None` on the client side.
    pub client_fingerprint: Option<Box<str>>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    /// The channel binding `tls-exporter` (RFC 9266 §2); TLS 1.3 on the server side only.
    pub tls_exporter: Option<[u8; 32]>,
    /// The channel binding `tls-server-end-point` (RFC 5929 §4.1): the hash of the certificate the server showed.
    /// `None` where no certificate was shown because the session was resumed.
    pub server_end_point: Option<Box<[u8]>>,
    /// The certificate the server showed us; client side only.
    pub peer_certificate: Option<PeerCertificate>,
}

/// The server's certificate as a client saw it.
#[derive(Debug, Clone)]
pub struct PeerCertificate {
    /// SHA-256 over the DER encoding of the leaf certificate.
    pub sha256: [u8; 32],
    /// What it proved.
    pub verified: Verified,
    /// What became of the proof that was only looked at, where there was one.
    pub audit: Option<Result<Verified, CertificateFault>>,
}
