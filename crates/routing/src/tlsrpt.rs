//! What a session taught about a destination's TLS, in the words of RFC 8460. Values and one trait:
//! the router and the SMTP client tell, `reports` counts and sends. Decides nothing.

use platform::clock::Timestamp;
use std::net::IpAddr;
use std::sync::Arc;

/// One TLS session, or one reason why there could be none (RFC 8460 §4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionResult {
    /// When.
    pub at: Timestamp,
    /// The recipients' domain, as A-labels: who may ask for reports about it.
    pub domain: Arc<str>,
    /// The policy the session was held against.
    pub policy: PolicyFound,
    /// `None`: the session was as the policy wants it.
    pub failure: Option<Failure>,
}

/// A policy of the recipients' domain (RFC 8460 §4.4, `policy`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyFound {
    /// `policy-type`.
    pub kind: PolicyKind,
    /// `policy-string`: TLSA records or lines of an MTA-STS policy.
    pub strings: Arc<[String]>,
    /// `policy-domain`: the domain whose policy it is, as A-labels.
    pub domain: Arc<str>,
    /// `mx-host`: the patterns of an MTA-STS policy, or the MX host the TLSA records stand for.
    pub mx_hosts: Arc<[String]>,
}

impl PolicyFound {
    /// That `domain` publishes nothing.
    pub fn nothing(domain: &Arc<str>) -> Self {
        Self {
            kind: PolicyKind::NoPolicyFound,
            strings: Arc::default(),
            domain: domain.clone(),
            mx_hosts: Arc::default(),
        }
    }
}

/// `policy-type` (RFC 8460 §4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PolicyKind {
    /// DANE.
    Tlsa,
    /// MTA-STS.
    Sts,
    /// Neither.
    NoPolicyFound,
}

impl PolicyKind {
    /// As a report writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tlsa => "tlsa",
            Self::Sts => "sts",
            Self::NoPolicyFound => "no-policy-found",
        }
    }
}

/// Why a session was not as the policy wants it (RFC 8460 §4.4, `failure-details`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Failure {
    /// `result-type`.
    pub result: ResultType,
    /// `sending-mta-ip`: our address, where a connection was made.
    pub sending_mta_ip: Option<IpAddr>,
    /// `receiving-mx-hostname`.
    pub receiving_mx_hostname: Option<String>,
    /// `receiving-mx-helo`: what its greeting or EHLO answer called itself.
    pub receiving_mx_helo: Option<String>,
    /// `receiving-ip`.
    pub receiving_ip: Option<IpAddr>,
    /// `failure-reason-code`: short text for the other side's operator, at most 200 bytes.
    pub reason: Option<String>,
}

impl Failure {
    /// A failure before there was a connection.
    pub fn before_connection(result: ResultType, mx_host: Option<&str>, reason: &str) -> Self {
        Self {
            result,
            sending_mta_ip: None,
            receiving_mx_hostname: mx_host.map(str::to_owned),
            receiving_mx_helo: None,
            receiving_ip: None,
            reason: Some(short(reason)),
        }
    }
}

/// Longest `failure-reason-code` that is kept.
const REASON_BYTES_MAX: usize = 200;

/// `text` without control characters, cut to what a report needs.
fn short(text: &str) -> String {
    let mut kept = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if kept.len() + c.len_utf8() > REASON_BYTES_MAX {
            break;
        }
        kept.push(c);
    }
    kept
}

/// `result-type` (RFC 8460 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResultType {
    /// The host offered no STARTTLS.
    StarttlsNotSupported,
    /// The certificate has another name.
    CertificateHostMismatch,
    /// The certificate has expired.
    CertificateExpired,
    /// No trust in the certificate for another reason.
    CertificateNotTrusted,
    /// Anything else.
    ValidationFailure,
    /// No TLSA record fits, or none of them can be used.
    TlsaInvalid,
    /// The DNS answer could not be validated.
    DnssecInvalid,
    /// We demand DANE and there are no records.
    DaneRequired,
    /// The policy cannot be fetched.
    StsPolicyFetchError,
    /// The policy is no policy.
    StsPolicyInvalid,
    /// The policy host's certificate is not valid for it.
    StsWebpkiInvalid,
}

impl ResultType {
    /// As a report writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StarttlsNotSupported => "starttls-not-supported",
            Self::CertificateHostMismatch => "certificate-host-mismatch",
            Self::CertificateExpired => "certificate-expired",
            Self::CertificateNotTrusted => "certificate-not-trusted",
            Self::ValidationFailure => "validation-failure",
            Self::TlsaInvalid => "tlsa-invalid",
            Self::DnssecInvalid => "dnssec-invalid",
            Self::DaneRequired => "dane-required",
            Self::StsPolicyFetchError => "sts-policy-fetch-error",
            Self::StsPolicyInvalid => "sts-policy-invalid",
            Self::StsWebpkiInvalid => "sts-webpki-invalid",
        }
    }

    /// Whether only a DANE policy can lead to it.
    pub fn is_about_dane(self) -> bool {
        matches!(
            self,
            Self::TlsaInvalid | Self::DnssecInvalid | Self::DaneRequired
        )
    }
}

/// Who hears of results. Must return at once: it is called between two commands of a session.
pub trait Observer: Send + Sync {
    /// Takes one result.
    fn note(&self, result: SessionResult);
}

/// Hears and forgets; for tests and for installations that send no reports.
#[derive(Debug, Clone, Copy, Default)]
pub struct Deaf;

impl Observer for Deaf {
    fn note(&self, _: SessionResult) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_short_and_printable() {
        let failure = Failure::before_connection(
            ResultType::TlsaInvalid,
            Some("mx.test"),
            &format!("a\r\nb{}", "ä".repeat(300)),
        );
        let reason = failure.reason.unwrap();
        assert!(reason.starts_with("abä") && reason.len() <= REASON_BYTES_MAX);
    }
}
