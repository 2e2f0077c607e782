//! What a session with a host means for TLS reports (RFC 8460 §4.3): one result for each policy that the session was
//! held against. Pure but for the observer that takes the results.

use platform::clock::Timestamp;
use platform::tls::{CertificateFault, CertificateFaultKind, Proof};
use routing::Hop;
use routing::tlsrpt::{Failure, Observer, PolicyFound, PolicyKind, ResultType, SessionResult};
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
    /// The session was as every policy wants it, but for what was wrong before.
    pub(super) fn success(&self) {
        self.came_about(|_| None);
    }

    /// The session came about, but not as the policies under test want it.
    pub(super) fn success_but(&self, about: About, result: ResultType, reason: &str, ends: &Ends) {
        let failed = |kind| {
            about
                .includes(kind)
                .then(|| self.failure(result, reason, ends))
        };
        self.came_about(failed);
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

    fn came_about(&self, failed: impl Fn(PolicyKind) -> Option<Failure>) {
        let found = &self.hop.found;
        for policy in found.iter() {
            let failure = failed(policy.kind);
            self.note(policy, failure.or_else(|| self.fault(policy.kind)));
        }
        // Such as TLSA records that do not validate: there is no policy that they could be.
        for kind in [PolicyKind::Tlsa, PolicyKind::Sts] {
            if !found.iter().any(|policy| policy.kind == kind)
                && let Some(failure) = self.fault(kind)
            {
                let nothing = PolicyFound::nothing(&self.hop.domain);
                self.note(&PolicyFound { kind, ..nothing }, Some(failure));
            }
        }
    }

    /// What was wrong with the host before there was a session.
    fn fault(&self, kind: PolicyKind) -> Option<Failure> {
        let fault = self.hop.faults.iter().find(|fault| fault.about() == kind)?;
        let host = Some(self.hop.host.as_str());
        Some(Failure::before_connection(
            fault.result,
            host,
            &fault.reason,
        ))
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

    fn note(&self, policy: &PolicyFound, failure: Option<Failure>) {
        self.observer.note(SessionResult {
            at: self.now,
            domain: self.hop.domain.clone(),
            policy: policy.clone(),
            failure,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use routing::duty::{Demander, Note};
    use routing::{AppliedPolicy, Cause, Duty, Floor};
    use std::sync::{Arc, Mutex};

    #[derive(Default)]
    struct Heard(Mutex<Vec<(&'static str, &'static str)>>);

    impl Observer for Heard {
        fn note(&self, result: SessionResult) {
            let failure = result.failure.map(|failure| failure.result.as_str());
            let kind = result.policy.kind.as_str();
            self.0
                .lock()
                .unwrap()
                .push((kind, failure.unwrap_or("success")));
        }
    }

    fn hop(kinds: &[PolicyKind], faults: &[ResultType]) -> Hop {
        let domain: Arc<str> = "else.test".into();
        let found = kinds.iter().map(|kind| PolicyFound {
            kind: *kind,
            ..PolicyFound::nothing(&domain)
        });
        let faults = faults.iter().map(|result| Note {
            result: *result,
            reason: "wrong".to_owned(),
        });
        let policy = AppliedPolicy {
            name: "opportunistic".into(),
            why: "nobody demands more".into(),
            demander: Demander::Nobody,
        };
        Hop {
            host: "mx.else.test".to_owned(),
            server_name: "mx.else.test".to_owned(),
            addresses: Vec::new(),
            duty: Duty {
                floor: Floor::Clear,
                version_min: platform::tls::TlsVersion::V1_2,
                policy,
                audit: None,
                cause: Cause::Other,
            },
            found: found.collect(),
            faults: faults.collect(),
            domain: domain.clone(),
        }
    }

    /// RFC 8460 §4.3.2.2: a host that a policy under test does not name is a failure of it, and no success.
    #[test]
    fn a_session_is_one_result_for_each_policy() {
        use PolicyKind::{NoPolicyFound, Sts, Tlsa};
        for (kinds, faults, told) in [
            (&[Sts][..], &[][..], &[("sts", "success")][..]),
            (
                &[Sts],
                &[ResultType::ValidationFailure],
                &[("sts", "validation-failure")],
            ),
            (
                &[Tlsa, Sts],
                &[ResultType::TlsaInvalid],
                &[("tlsa", "tlsa-invalid"), ("sts", "success")],
            ),
            (
                &[NoPolicyFound],
                &[ResultType::DnssecInvalid],
                &[("no-policy-found", "success"), ("tlsa", "dnssec-invalid")],
            ),
        ] {
            let (heard, hop) = (Heard::default(), hop(kinds, faults));
            let reporter = Reporter {
                observer: &heard,
                hop: &hop,
                now: Timestamp(0),
            };
            reporter.success();
            assert_eq!(*heard.0.lock().unwrap(), told);
        }
    }
}
