//! What a session with a host means for TLS reports (RFC 8460 §4.3): one result for each policy that the session was
//! held against. Pure but for the observer that takes the results.

use platform::clock::Timestamp;
use platform::tls::{CertificateFault, CertificateFaultKind, Proof};
use routing::Hop;
use routing::tlsrpt::{Failure, Observer, PolicyKind, ResultType, SessionResult};
use std::net::IpAddr;

/// Bytes of a reason that are kept.
const REASON_BYTES_MAX: usize = 200;

/// Who talked to whom.
#[derive(Debug, Clone, Default)]
pub(super) struct Ends {
    pub(super) ours: Option<IpAddr>,
    pub(super) theirs: Option<IpAddr>,
    /// What the server calls itself.
    pub(super) helo: Option<String>,
}

/// Tells the observer about sessions with one host.
pub(super) struct Reporter<'a> {
    pub(super) observer: &'a dyn Observer,
    pub(super) hop: &'a Hop,
    pub(super) now: Timestamp,
}

/// Which policies a failure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Every,
    Dane,
    Sts,
}

impl About {
    /// The policies that a proof comes from.
    pub(super) fn of(proof: &Proof) -> Self {
        match proof {
            Proof::Dane { .. } => Self::Dane,
            Proof::Names(_) => Self::Sts,
            Proof::Any | Proof::Fingerprints(_) => Self::Every,
        }
    }

    fn includes(self, kind: PolicyKind) -> bool {
        match self {
            Self::Every => true,
            Self::Dane => kind == PolicyKind::Tlsa,
            Self::Sts => kind == PolicyKind::Sts,
        }
    }
}

/// The result type of a certificate's fault.
pub(super) fn of_certificate(fault: &CertificateFault) -> ResultType {
    match fault.kind {
        CertificateFaultKind::Expired => ResultType::CertificateExpired,
        CertificateFaultKind::HostMismatch => ResultType::CertificateHostMismatch,
        CertificateFaultKind::NotTrusted | CertificateFaultKind::FingerprintMismatch => {
            ResultType::CertificateNotTrusted
        }
        CertificateFaultKind::TlsaMismatch => ResultType::TlsaInvalid,
    }
}

impl Reporter<'_> {
    /// The session was as every policy wants it.
    pub(super) fn success(&self) {
        for policy in self.hop.found.iter() {
            self.note(policy, None);
        }
    }

    /// The session came about, but not as the policies under test want it.
    pub(super) fn success_but(&self, about: About, result: ResultType, reason: &str, ends: &Ends) {
        for policy in self.hop.found.iter() {
            let failed = about.includes(policy.kind);
            self.note(policy, failed.then(|| self.failure(result, reason, ends)));
        }
    }

    /// There was no session, for a reason that belongs to some policies, or to all where those are not there.
    pub(super) fn failed(&self, about: About, result: ResultType, reason: &str, ends: &Ends) {
        let found = &self.hop.found;
        let there = found.iter().any(|policy| about.includes(policy.kind));
        for policy in found.iter() {
            if !there || about.includes(policy.kind) {
                self.note(policy, Some(self.failure(result, reason, ends)));
            }
        }
    }

    fn failure(&self, result: ResultType, reason: &str, ends: &Ends) -> Failure {
        let mut kept: String = reason.chars().filter(|c| !c.is_control()).collect();
        kept.truncate(kept.floor_char_boundary(REASON_BYTES_MAX));
        Failure {
            result,
            sending_mta_ip: ends.ours,
            receiving_mx_hostname: Some(self.hop.host.clone()),
            receiving_mx_helo: ends.helo.clone(),
            receiving_ip: ends.theirs,
            reason: Some(kept),
        }
    }

    fn note(&self, policy: &routing::tlsrpt::PolicyFound, failure: Option<Failure>) {
        self.observer.note(SessionResult {
            at: self.now,
            domain: self.hop.domain.clone(),
            policy: policy.clone(),
            failure,
        });
    }
}
