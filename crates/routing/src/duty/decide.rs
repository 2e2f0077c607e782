//! The decision itself: first what the recipient publishes, then the strictest of that and of what the
//! sending side demands. Pure.

use super::words;
use super::{
    AppliedPolicy, Cause, Chosen, Dane, Demands, Duty, Floor, HostFacts, Note, RequireTls, Ruling,
    TlsRequiredNo, Unusable,
};
use crate::host;
use crate::sts::Mode;
use crate::tlsrpt::ResultType;
use platform::dns::Security;
use platform::tls::{Proof, TlsVersion};
use policy::{DaneMode, DestinationRule, OutboundTls, TlsLevel};

/// What TLS must be like on the way to this host.
pub fn decide(demands: &Demands<'_>, facts: &HostFacts<'_>) -> Ruling {
    let mut notes = Vec::new();
    let duty = published(demands, facts, &mut notes)
        .and_then(|published| strictest(demands, facts, published, &mut notes))
        .map_err(|unusable| Unusable {
            // `Other` wins: a DNS that does not answer is nobody's demand.
            cause: unusable.cause.max(demands.cause()),
            ..unusable
        });
    Ruling { duty, notes }
}

/// What the recipient's domain publishes asks for.
struct Published {
    floor: Floor,
    policy: AppliedPolicy,
    audit: Option<Proof>,
}

impl Demands<'_> {
    /// Whether what the recipient publishes is only checked and reported, because the sending side
    /// said so for this destination or this message.
    fn relaxed(&self) -> bool {
        let by_rule = |rule: &DestinationRule| rule.exception || rule.level == TlsLevel::May;
        // RFC 8689 §4.1: with REQUIRETLS the header field is ignored.
        self.require_tls == RequireTls::No
            && (self.tls_required_no == TlsRequiredNo::Present || self.rule.is_some_and(by_rule))
    }

    /// What DANE does for this destination; a rule that names it turns it on.
    pub fn dane_mode(&self) -> DaneMode {
        match self.rule.map(|rule| rule.level) {
            Some(TlsLevel::Dane | TlsLevel::DaneOnly) => DaneMode::Enforce,
            _ => self.dane,
        }
    }

    /// The sender's own demand, where no exception lifts it.
    fn of_sender(&self) -> OutboundTls {
        match self.rule {
            Some(rule) if rule.exception => OutboundTls::Off,
            _ => self.sender.value,
        }
    }

    /// What it counts as that a host does not do: ours, where our own side demands TLS.
    fn cause(&self) -> Cause {
        let by_rule = self.rule.is_some_and(|rule| match rule.level {
            TlsLevel::May => false,
            TlsLevel::Dane => rule.by_rule,
            TlsLevel::Encrypt
            | TlsLevel::DaneOnly
            | TlsLevel::Verify
            | TlsLevel::Secure
            | TlsLevel::Fingerprint => true,
        });
        let ours = by_rule
            || self.of_sender() >= OutboundTls::Required
            || self.require_tls == RequireTls::Yes;
        if ours { Cause::TlsPolicy } else { Cause::Other }
    }

    fn version_min(&self) -> TlsVersion {
        let of_rule = self.rule.map_or(TlsVersion::V1_2, |rule| rule.version_min);
        of_rule.max(TlsVersion::V1_2)
    }

    fn nothing_published(&self) -> &'static str {
        match (self.tls_required_no, self.rule) {
            (_, Some(rule)) if self.relaxed() && rule.exception => {
                "an exception for this destination lets mail go as it can"
            }
            (_, Some(_)) if self.relaxed() => "a rule for this destination lets mail go as it can",
            (TlsRequiredNo::Present, _) if self.relaxed() => {
                "the message says \"TLS-Required: No\""
            }
            _ => "nobody demands more than TLS where it is offered",
        }
    }
}

fn published(
    demands: &Demands<'_>,
    facts: &HostFacts<'_>,
    notes: &mut Vec<Note>,
) -> Result<Published, Unusable> {
    let relaxed = demands.relaxed();
    let mode = demands.dane_mode();
    let mut published = Published {
        floor: Floor::Clear,
        policy: words::opportunistic(demands.nothing_published()),
        audit: None,
    };
    if mode != DaneMode::Off {
        let enforced = mode == DaneMode::Enforce && !relaxed;
        published.add_dane(facts, enforced, notes)?;
    }
    published.add_sts(demands, facts, relaxed, notes)?;
    Ok(published)
}

impl Published {
    /// RFC 7672 §2.1, §2.2.
    fn add_dane(
        &mut self,
        facts: &HostFacts<'_>,
        enforced: bool,
        notes: &mut Vec<Note>,
    ) -> Result<(), Unusable> {
        match facts.dane {
            Dane::NotApplicable(_) | Dane::Absent => {}
            Dane::Usable { names, records, .. } => {
                let proof = Proof::Dane {
                    records: records.clone(),
                    names: names.clone(),
                };
                if enforced {
                    self.floor = Floor::Proof(proof);
                    self.policy = words::dane("the host has signed TLSA records");
                } else {
                    self.audit = Some(proof);
                }
            }
            Dane::Unusable { .. } => {
                notes.push(Note {
                    result: ResultType::TlsaInvalid,
                    reason: "none of the TLSA records can be used".to_owned(),
                });
                if enforced {
                    self.floor = Floor::Encrypt;
                    self.policy = words::dane(
                        "the host has signed TLSA records, none of which can be used, so it must \
                         encrypt",
                    );
                }
            }
            // RFC 7672 §2.1.2: an error is not an absence, or every attacker could make one.
            Dane::Failed { kind, why } => {
                notes.push(Note {
                    result: ResultType::DnssecInvalid,
                    reason: why.clone(),
                });
                if enforced {
                    return Err(words::dane_unknown(facts.host, *kind, why));
                }
            }
        }
        Ok(())
    }

    /// RFC 8461 §4, §5. DANE stands before it (§2): its records are a stronger proof of the same.
    fn add_sts(
        &mut self,
        demands: &Demands<'_>,
        facts: &HostFacts<'_>,
        relaxed: bool,
        notes: &mut Vec<Note>,
    ) -> Result<(), Unusable> {
        let Some(policy) = facts.sts.filter(|policy| policy.mode != Mode::None) else {
            return Ok(());
        };
        let enforced =
            policy.mode == Mode::Enforce && !relaxed && !matches!(self.floor, Floor::Proof(_));
        if !policy.allows(facts.host) {
            notes.push(Note {
                result: ResultType::ValidationFailure,
                reason: format!("the MTA-STS policy does not name {}", facts.host),
            });
            return if enforced {
                Err(words::not_in_sts(facts.host, demands.destination))
            } else {
                Ok(())
            };
        }
        let proof = Proof::Names(vec![facts.host.to_owned()]);
        if enforced {
            self.floor = Floor::Proof(proof);
            self.policy = words::sts(demands.destination);
        } else if self.audit.is_none() {
            self.audit = Some(proof);
        }
        Ok(())
    }
}

/// The strictest of what is published and of what the sending side demands.
fn strictest(
    demands: &Demands<'_>,
    facts: &HostFacts<'_>,
    published: Published,
    notes: &mut Vec<Note>,
) -> Result<Duty, Unusable> {
    if demands.require_tls == RequireTls::Yes && !proved_choice(facts) {
        return Err(words::unproved_mx(facts.host, demands.destination));
    }
    let by_rule = proof_of_rule(demands, facts, &published, notes)?;
    let mut audit = published.audit;
    let (floor, policy) = match (by_rule, published.floor) {
        // A rule adds to what is published; only a setting for the destination replaces it.
        (Some(_), floor @ Floor::Proof(Proof::Dane { .. }))
            if demands.rule.is_some_and(|rule| rule.by_rule) =>
        {
            (floor, published.policy)
        }
        (Some((proof, policy)), floor) => {
            if let Floor::Proof(theirs) = floor
                && theirs != proof
            {
                audit = Some(theirs);
            }
            (Floor::Proof(proof), policy)
        }
        (None, floor @ Floor::Proof(_)) => (floor, published.policy),
        (None, floor) => match proof_of_sender(demands, facts, audit.as_ref())? {
            Some((proof, policy)) => (Floor::Proof(proof), policy),
            None => encryption(demands, floor, published.policy),
        },
    };
    if let Floor::Proof(proof) = &floor
        && audit.as_ref() == Some(proof)
    {
        audit = None;
    }
    Ok(Duty {
        floor,
        version_min: demands.version_min(),
        policy,
        audit,
        cause: demands.cause(),
    })
}

/// Whether it is proved that mail for the destination goes to this host (RFC 8689 §4.2.1).
fn proved_choice(facts: &HostFacts<'_>) -> bool {
    let by_sts = || {
        facts
            .sts
            .is_some_and(|policy| policy.mode != Mode::None && policy.allows(facts.host))
    };
    match facts.chosen {
        Chosen::Operator | Chosen::Mx(Security::Secure) => true,
        Chosen::Mx(Security::Insecure) => by_sts(),
    }
}

/// The proof that the rule for the destination itself names.
fn proof_of_rule(
    demands: &Demands<'_>,
    facts: &HostFacts<'_>,
    published: &Published,
    notes: &mut Vec<Note>,
) -> Result<Option<(Proof, AppliedPolicy)>, Unusable> {
    let Some(rule) = demands.rule else {
        return Ok(None);
    };
    let policy = |level| words::rule(level, demands.destination, &rule.origin);
    match rule.level {
        TlsLevel::May | TlsLevel::Encrypt | TlsLevel::Dane => Ok(None),
        TlsLevel::DaneOnly => match (&published.floor, &published.audit) {
            // Relaxing never reaches a rule of our own: DANE that is only audited is demanded here.
            (Floor::Proof(proof @ Proof::Dane { .. }), _)
            | (_, Some(proof @ Proof::Dane { .. })) => {
                Ok(Some((proof.clone(), policy("dane-only"))))
            }
            _ => {
                let why = no_dane(facts.dane);
                notes.push(Note {
                    result: ResultType::DaneRequired,
                    reason: why.to_owned(),
                });
                Err(words::dane_required(facts.host, why, policy("dane-only")))
            }
        },
        TlsLevel::Verify => by_name(&rule.names, &[facts.host], facts.host, policy("verify")),
        // As Postfix's `secure`: nothing that an unsigned MX record could have changed.
        TlsLevel::Secure => {
            let below = format!(".{}", demands.destination);
            let usual = [demands.destination, &below];
            by_name(&rule.names, &usual, facts.host, policy("secure"))
        }
        TlsLevel::Fingerprint => Ok(Some((
            Proof::Fingerprints(rule.fingerprints.clone()),
            policy("fingerprint"),
        ))),
    }
}

/// A certificate with one of `names`, or of the `usual` ones where there are none. `.example.net`
/// stands for the host itself where that is below `example.net`.
fn by_name(
    names: &[String],
    usual: &[&str],
    host: &str,
    policy: AppliedPolicy,
) -> Result<Option<(Proof, AppliedPolicy)>, Unusable> {
    let named = |name: &str| match name.strip_prefix('.') {
        Some(parent) => {
            let labels = host.strip_suffix(parent)?;
            (labels.len() > 1 && labels.ends_with('.')).then(|| host.to_owned())
        }
        None => host::literal(name).is_none().then(|| name.to_owned()),
    };
    let accepted: Vec<String> = if names.is_empty() {
        usual.iter().filter_map(|name| named(name)).collect()
    } else {
        names.iter().filter_map(|name| named(name)).collect()
    };
    if accepted.is_empty() {
        return Err(words::nameless(host, policy));
    }
    Ok(Some((Proof::Names(accepted), policy)))
}

fn no_dane(dane: &Dane) -> &'static str {
    match dane {
        Dane::NotApplicable(why) => why,
        Dane::Absent => "it has no TLSA records",
        Dane::Unusable { .. } => "none of its TLSA records can be used",
        Dane::Usable { .. } | Dane::Failed { .. } => "its TLSA records cannot be relied on",
    }
}

/// The proof that the sender's side or the message demands where the recipient's policies demand none.
fn proof_of_sender(
    demands: &Demands<'_>,
    facts: &HostFacts<'_>,
    audit: Option<&Proof>,
) -> Result<Option<(Proof, AppliedPolicy)>, Unusable> {
    let policy = if demands.of_sender() == OutboundTls::Authenticated {
        words::mandatory(OutboundTls::Authenticated, &demands.sender.origin)
    } else if demands.require_tls == RequireTls::Yes {
        words::requiretls()
    } else {
        return Ok(None);
    };
    match audit {
        // The records bind nobody here, but they are the better proof: under DANE-EE most
        // certificates lead to no trusted root.
        Some(proof @ Proof::Dane { .. }) if demands.dane_mode() == DaneMode::Enforce => {
            Ok(Some((proof.clone(), policy)))
        }
        _ => by_name(&[], &[facts.host], facts.host, policy),
    }
}

/// Encryption without a proof, where anybody demands it.
fn encryption(
    demands: &Demands<'_>,
    floor: Floor,
    published: AppliedPolicy,
) -> (Floor, AppliedPolicy) {
    if demands.of_sender() >= OutboundTls::Required {
        let policy = words::mandatory(OutboundTls::Required, &demands.sender.origin);
        return (Floor::Encrypt, policy);
    }
    match demands.rule {
        Some(rule) if rule.level == TlsLevel::Encrypt || rule.by_rule => {
            let policy = words::rule("encrypt", demands.destination, &rule.origin);
            (Floor::Encrypt, policy)
        }
        _ => (floor, published),
    }
}
