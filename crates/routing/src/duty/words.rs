//! The sentences in which duties are told: names and reasons for the trace, texts for refusals. Says
//! what happened, whose demand it was and whose move it is; decides nothing.

use super::{AppliedPolicy, Cause, DaneFailure, Demander, Prospect, Unusable};
use policy::{OutboundTls, Scope};
use std::borrow::Cow;
use std::sync::Arc;

pub(super) fn opportunistic(why: &'static str) -> AppliedPolicy {
    AppliedPolicy {
        name: Cow::Borrowed("opportunistic"),
        why: Cow::Borrowed(why),
        demander: Demander::Nobody,
    }
}

pub(super) fn dane(why: &'static str) -> AppliedPolicy {
    AppliedPolicy {
        name: Cow::Borrowed("dane"),
        why: Cow::Borrowed(why),
        demander: Demander::Recipient,
    }
}

pub(super) fn sts(destination: &str) -> AppliedPolicy {
    AppliedPolicy {
        name: Cow::Borrowed("mta-sts"),
        why: Cow::Owned(format!("the MTA-STS policy of {destination} is in force")),
        demander: Demander::Recipient,
    }
}

pub(super) fn requiretls() -> AppliedPolicy {
    AppliedPolicy {
        name: Cow::Borrowed("requiretls"),
        why: Cow::Borrowed("the sender asked for REQUIRETLS for this message"),
        demander: Demander::Message,
    }
}

/// `level` is the word of the rule: `verify`, `secure` …
pub(super) fn rule(level: &'static str, destination: &str, origin: &Arc<Scope>) -> AppliedPolicy {
    AppliedPolicy {
        name: Cow::Owned(format!("rule {level}")),
        why: Cow::Owned(format!(
            "a rule of {} says \"{level}\" for {destination}",
            place(origin)
        )),
        demander: Demander::Rule(origin.clone()),
    }
}

/// The sender's side demands it for everything it sends.
pub(super) fn mandatory(level: OutboundTls, origin: &Arc<Scope>) -> AppliedPolicy {
    let what = match level {
        OutboundTls::Authenticated => "encryption to a verified server",
        OutboundTls::Required | OutboundTls::Off => "encryption",
    };
    let name = match origin.as_ref() {
        Scope::Installation => Cow::Borrowed("mandatory"),
        Scope::Group(name) => Cow::Owned(format!("mandatory group {name}")),
        Scope::Domain(name) => Cow::Owned(format!("mandatory {name}")),
        Scope::Account(_) => Cow::Borrowed("mandatory account"),
    };
    AppliedPolicy {
        name,
        why: Cow::Owned(format!(
            "{} requires {what} for everything it sends",
            place(origin)
        )),
        demander: Demander::Sender(origin.clone()),
    }
}

/// Where something was set, as part of a sentence.
fn place(origin: &Scope) -> Cow<'static, str> {
    match origin {
        Scope::Installation => Cow::Borrowed("this server"),
        Scope::Group(name) => Cow::Owned(format!("the group {name}")),
        Scope::Domain(name) => Cow::Owned(name.to_unicode()),
        Scope::Account(_) => Cow::Borrowed("the sender's account"),
    }
}

pub(super) fn dane_unknown(host: &str, kind: DaneFailure, why: &str) -> Unusable {
    let (code, what) = match kind {
        DaneFailure::Bogus => (
            "4.7.5",
            "the DNS answers about its TLSA records are forged or wrong",
        ),
        DaneFailure::NoAnswer => ("4.4.3", "the DNS does not answer for its TLSA records"),
    };
    Unusable {
        reply: format!(
            "{code} {host} is not used because {what} ({why}); whoever runs the DNS of {host} must \
             mend this, and it is tried again"
        ),
        cause: Cause::Other,
        prospect: Prospect::MayPass,
        policy: dane("whether TLSA records demand a certificate cannot be told"),
    }
}

pub(super) fn not_in_sts(host: &str, destination: &str) -> Unusable {
    Unusable {
        reply: format!(
            "4.7.5 {host} is not used because the MTA-STS policy of {destination} does not name it; \
             the operator of {destination} must mend the policy or the MX records, and it is tried \
             again"
        ),
        cause: Cause::TlsPolicy,
        prospect: Prospect::MayPass,
        policy: sts(destination),
    }
}

pub(super) fn dane_required(host: &str, why: &str, policy: AppliedPolicy) -> Unusable {
    Unusable {
        reply: format!(
            "4.7.5 {host} is not used because DANE is demanded ({}) and {why}; its operator must \
             publish TLSA records, or the demand must be lifted",
            policy.why
        ),
        cause: Cause::TlsPolicy,
        prospect: Prospect::MayPass,
        policy,
    }
}

pub(super) fn nameless(host: &str, policy: AppliedPolicy) -> Unusable {
    Unusable {
        reply: format!(
            "4.7.5 {host} is not used because it has no name that its certificate may prove, and that \
             is demanded: {}",
            policy.why
        ),
        cause: Cause::TlsPolicy,
        prospect: Prospect::MayPass,
        policy,
    }
}

pub(super) fn unproved_mx(host: &str, destination: &str) -> Unusable {
    Unusable {
        reply: format!(
            "5.7.10 {host} is not used because neither DNSSEC nor MTA-STS proves that it takes mail \
             for {destination}, and the sender asked for REQUIRETLS (RFC 8689); send it again \
             without REQUIRETLS, or reach the recipient another way"
        ),
        cause: Cause::TlsPolicy,
        prospect: Prospect::Lasts,
        policy: requiretls(),
    }
}
