//! What a server must prove to us before we trust it with a message, and what it proved. Plain data: `routing`
//! decides what to demand, `tls::verify` looks whether it is met, logs and TLS reports tell about it.

use crate::dns::Tlsa;
use crate::tls::TlsVersion;
use std::fmt;

/// How a server proves who it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Proof {
    /// Not at all: any certificate will do (RFC 7435).
    Any,
    /// Its certificate leads to a trusted root, is valid now and carries one of these names (RFC 9525; a wildcard
    /// counts only as the whole first label).
    Names(Vec<String>),
    /// Its certificate matches one of these TLSA records (RFC 7671, RFC 7672). Usages other than DANE-TA(2) and
    /// DANE-EE(3) match nothing.
    Dane {
        /// The records.
        records: Vec<Tlsa>,
        /// For DANE-TA: the names of which the certificate must carry one.
        names: Vec<String>,
    },
    /// The SHA-256 of its certificate or of its public key (SubjectPublicKeyInfo) is one of these.
    Fingerprints(Vec<[u8; 32]>),
}

/// Which cipher suites will do. All of them are AEAD suites with forward secrecy; there are no others in us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Suites {
    /// All that we have.
    #[default]
    All,
    /// Those with keys of 256 bits.
    Bits256,
}

/// What a handshake must bring. Two sessions are the same for a policy only where their demands are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Demand {
    /// Goes into SNI; nothing is compared with it unless `proof` says so. An address (also in brackets) sends no SNI.
    pub server_name: String,
    /// What the handshake fails without.
    pub proof: Proof,
    /// What is looked at as well, and noted, but never ends the handshake (testing and audit modes).
    pub audit: Option<Proof>,
    /// The oldest version that will do.
    pub version_min: TlsVersion,
    /// The suites that will do.
    pub suites: Suites,
}

impl Demand {
    /// Encryption with whoever is there (RFC 7435).
    pub fn opportunistic(server_name: &str) -> Self {
        Self::with_proof(server_name, Proof::Any)
    }

    /// A certificate for `server_name` from a trusted root.
    pub fn verified(server_name: &str) -> Self {
        Self::with_proof(server_name, Proof::Names(vec![server_name.to_owned()]))
    }

    /// TLS 1.2 or newer with `proof`.
    pub fn with_proof(server_name: &str, proof: Proof) -> Self {
        Self {
            server_name: server_name.to_owned(),
            proof,
            audit: None,
            version_min: TlsVersion::V1_2,
            suites: Suites::All,
        }
    }
}

/// What a server proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verified {
    /// Nothing; nothing was asked.
    NotAsked,
    /// One of the names, to a trusted root.
    Names,
    /// That it is meant by a TLSA record with these numbers.
    Dane {
        /// 2 DANE-TA, 3 DANE-EE.
        usage: u8,
        /// 0 certificate, 1 public key.
        selector: u8,
        /// 0 bytes, 1 SHA-256, 2 SHA-512.
        matching: u8,
    },
    /// One of the fingerprints.
    Fingerprint,
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => f.write_str("not verified"),
            Self::Names => f.write_str("certificate for this name from a trusted root"),
            Self::Dane {
                usage,
                selector,
                matching,
            } => write!(f, "DANE, TLSA {usage} {selector} {matching}"),
            Self::Fingerprint => f.write_str("fingerprint"),
        }
    }
}

/// What kind of fault a certificate has; each has a result type of its own in TLS reports (RFC 8460 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CertificateFaultKind {
    /// It, or one on the way to its root, is over or has not begun: `certificate-expired`.
    Expired,
    /// It carries other names: `certificate-host-mismatch`.
    HostMismatch,
    /// It leads to no trusted root, or cannot be used: `certificate-not-trusted`.
    NotTrusted,
    /// It matches no TLSA record: `validation-failure`.
    TlsaMismatch,
    /// It has none of the fingerprints: `certificate-not-trusted`.
    FingerprintMismatch,
}

/// Why a certificate does not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct CertificateFault {
    /// The kind.
    pub kind: CertificateFaultKind,
    /// In words, for the operator.
    pub text: String,
}

impl CertificateFault {
    pub(crate) fn new(kind: CertificateFaultKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }
}
