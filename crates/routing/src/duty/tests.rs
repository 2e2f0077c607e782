//! The table of duties, one line per case: what the recipient publishes and the sender demands. Rules
//! for destinations and messages' own wishes have tables of their own beside this one.

use super::*;
use crate::sts::Mode;
use directory::{AccountId, DomainName};
use policy::TlsLevel;
use std::time::Duration;

pub(super) const HOST: &str = "mx.rp.test";
pub(super) const DESTINATION: &str = "rp.test";

pub(super) fn origin(domain: &str) -> Arc<Scope> {
    Arc::new(Scope::Domain(DomainName::parse(domain).unwrap()))
}

pub(super) fn rule(level: TlsLevel) -> DestinationRule {
    DestinationRule {
        level,
        version_min: TlsVersion::V1_2,
        names: Vec::new(),
        fingerprints: vec![[7; 32]],
        next_hop: None,
        exception: false,
        by_rule: false,
        expires_at: None,
        origin: Arc::new(Scope::Installation),
    }
}

pub(super) fn demands(sender: OutboundTls, rule: Option<&DestinationRule>) -> Demands<'_> {
    Demands {
        destination: DESTINATION,
        sender: Decided {
            value: sender,
            origin: origin("firma.test"),
        },
        rule,
        dane: DaneMode::Enforce,
        require_tls: RequireTls::No,
        tls_required_no: TlsRequiredNo::Absent,
    }
}

pub(super) fn usable() -> Dane {
    Dane::Usable {
        base: HOST.into(),
        names: vec![HOST.to_owned(), DESTINATION.to_owned()],
        records: vec![tlsa(3)],
    }
}

fn tlsa(usage: u8) -> Tlsa {
    Tlsa {
        usage,
        selector: 1,
        matching: 1,
        data: [1; 32].into(),
    }
}

pub(super) fn unusable() -> Dane {
    Dane::Unusable {
        base: HOST.into(),
        records: vec![tlsa(0)],
    }
}

pub(super) fn failed() -> Dane {
    Dane::Failed {
        kind: DaneFailure::Bogus,
        why: "signature expired".to_owned(),
    }
}

pub(super) fn sts(mode: Mode, mx: &str) -> StsPolicy {
    StsPolicy {
        mode,
        max_age: Duration::from_secs(86_400),
        mx: vec![mx.to_owned()],
    }
}

pub(super) fn facts<'a>(dane: &'a Dane, sts: Option<&'a StsPolicy>) -> HostFacts<'a> {
    HostFacts {
        host: HOST,
        chosen: Chosen::Mx(Security::Secure),
        dane,
        sts,
    }
}

/// A duty in a few words: the floor, `+` what is audited, and the policy's name.
pub(super) fn told(ruling: &Ruling) -> String {
    let proof = |proof: &Proof| match proof {
        Proof::Any => "any".to_owned(),
        Proof::Names(names) => format!("names({})", names.join(",")),
        Proof::Dane { .. } => "dane".to_owned(),
        Proof::Fingerprints(_) => "fingerprint".to_owned(),
    };
    match &ruling.duty {
        Ok(duty) => {
            let floor = match &duty.floor {
                Floor::Clear => "clear".to_owned(),
                Floor::Encrypt => "encrypt".to_owned(),
                Floor::Proof(p) => proof(p),
            };
            let audit = duty.audit.as_ref().map(|p| format!(" + {}", proof(p)));
            format!(
                "{floor}{} by {}",
                audit.unwrap_or_default(),
                duty.policy.name
            )
        }
        Err(unusable) => {
            let code = unusable.reply.split(' ').next().unwrap_or_default();
            format!(
                "{code} {:?} {:?} by {}",
                unusable.cause, unusable.prospect, unusable.policy.name
            )
        }
    }
}

pub(super) fn ruled(demands: &Demands<'_>, dane: &Dane, sts: Option<&StsPolicy>) -> String {
    told(&decide(demands, &facts(dane, sts)))
}

#[test]
fn a_rule_adds_to_what_is_published_and_never_replaces_it() {
    for (level, dane, expected) in [
        (TlsLevel::Encrypt, usable(), "dane by dane"),
        (TlsLevel::Verify, usable(), "dane by dane"),
        (TlsLevel::Dane, Dane::Absent, "encrypt by rule encrypt"),
        (
            TlsLevel::Verify,
            Dane::Absent,
            "names(mx.rp.test) by rule verify",
        ),
    ] {
        let mut by_rule = rule(level);
        by_rule.by_rule = true;
        let demands = demands(OutboundTls::Off, Some(&by_rule));
        assert_eq!(ruled(&demands, &dane, None), expected, "{level:?}");
    }
}

/// What the recipient publishes, with nothing demanded on our side.
#[test]
fn the_recipients_policies() {
    let nobody = demands(OutboundTls::Off, None);
    let enforce = sts(Mode::Enforce, HOST);
    let testing = sts(Mode::Testing, HOST);
    let none = sts(Mode::None, HOST);
    let (enforce_other, testing_other) = (
        sts(Mode::Enforce, "other.test"),
        sts(Mode::Testing, "other.test"),
    );
    let unsigned = Dane::NotApplicable("the MX records are not signed");
    let bogus = "4.7.5 Other MayPass by dane";
    for (dane, sts, expected) in [
        // DANE alone (RFC 7672 §2.2).
        (&Dane::Absent, None, "clear by opportunistic"),
        (&unsigned, None, "clear by opportunistic"),
        (&usable(), None, "dane by dane"),
        (&unusable(), None, "encrypt by dane"),
        (&failed(), None, bogus),
        // MTA-STS alone (RFC 8461 §5).
        (
            &Dane::Absent,
            Some(&enforce),
            "names(mx.rp.test) by mta-sts",
        ),
        (
            &Dane::Absent,
            Some(&testing),
            "clear + names(mx.rp.test) by opportunistic",
        ),
        (&Dane::Absent, Some(&none), "clear by opportunistic"),
        (
            &Dane::Absent,
            Some(&enforce_other),
            "4.7.5 Other MayPass by mta-sts",
        ),
        (
            &Dane::Absent,
            Some(&testing_other),
            "clear by opportunistic",
        ),
        // Both: DANE stands first, and its failure is never overridden.
        (
            &usable(),
            Some(&enforce),
            "dane + names(mx.rp.test) by dane",
        ),
        (
            &usable(),
            Some(&testing),
            "dane + names(mx.rp.test) by dane",
        ),
        (&usable(), Some(&enforce_other), "dane by dane"),
        (&unusable(), Some(&enforce), "names(mx.rp.test) by mta-sts"),
        (
            &unusable(),
            Some(&testing),
            "encrypt + names(mx.rp.test) by dane",
        ),
        (
            &unusable(),
            Some(&enforce_other),
            "4.7.5 Other MayPass by mta-sts",
        ),
        (&failed(), Some(&enforce), bogus),
        (&failed(), Some(&testing), bogus),
    ] {
        assert_eq!(ruled(&nobody, dane, sts), expected, "{dane:?} {sts:?}");
    }
}

/// What the sender demands of everything it sends.
#[test]
fn the_senders_own_duty() {
    let enforce = sts(Mode::Enforce, HOST);
    let testing = sts(Mode::Testing, HOST);
    let required = demands(OutboundTls::Required, None);
    let authenticated = demands(OutboundTls::Authenticated, None);
    let by_firma = "by mandatory firma.test";
    for (demands, dane, sts, expected) in [
        (
            &required,
            &Dane::Absent,
            None,
            format!("encrypt {by_firma}"),
        ),
        (&required, &unusable(), None, format!("encrypt {by_firma}")),
        (&required, &usable(), None, "dane by dane".to_owned()),
        (
            &required,
            &Dane::Absent,
            Some(&enforce),
            "names(mx.rp.test) by mta-sts".to_owned(),
        ),
        (
            &required,
            &Dane::Absent,
            Some(&testing),
            format!("encrypt + names(mx.rp.test) {by_firma}"),
        ),
        (
            &required,
            &failed(),
            None,
            "4.7.5 Other MayPass by dane".to_owned(),
        ),
        (
            &authenticated,
            &Dane::Absent,
            None,
            format!("names(mx.rp.test) {by_firma}"),
        ),
        (
            &authenticated,
            &Dane::Absent,
            Some(&testing),
            format!("names(mx.rp.test) {by_firma}"),
        ),
        (
            &authenticated,
            &unusable(),
            None,
            format!("names(mx.rp.test) {by_firma}"),
        ),
        (&authenticated, &usable(), None, "dane by dane".to_owned()),
    ] {
        assert_eq!(ruled(demands, dane, sts), expected, "{dane:?} {sts:?}");
    }
}

#[test]
fn who_demands_it_is_told_in_words() {
    let why = |origin: Scope, level| {
        let mut demands = demands(level, None);
        demands.sender.origin = Arc::new(origin);
        let ruling = decide(&demands, &facts(&Dane::Absent, None));
        ruling.duty.unwrap().policy
    };
    let firma = Scope::Domain(DomainName::parse("firma.test").unwrap());
    assert_eq!(
        why(firma, OutboundTls::Required).why,
        "firma.test requires encryption for everything it sends"
    );
    let account = why(Scope::Account(AccountId(7)), OutboundTls::Authenticated);
    assert_eq!(account.name, "mandatory account");
    assert_eq!(
        account.why,
        "the sender's account requires encryption to a verified server for everything it sends"
    );
    assert_eq!(
        account.demander,
        Demander::Sender(Arc::new(Scope::Account(AccountId(7))))
    );
    let group = why(Scope::Group("gold".to_owned()), OutboundTls::Required);
    assert_eq!(group.name, "mandatory group gold");
    assert_eq!(
        why(Scope::Installation, OutboundTls::Required).name,
        "mandatory"
    );
}

/// RFC 7672 §8.1: audit only; a rule that names DANE turns it on for its destination.
#[test]
fn dane_under_audit_reports_and_never_blocks() {
    let dane_rule = rule(TlsLevel::Dane);
    let enforce = sts(Mode::Enforce, HOST);
    for (rule, mode, dane, sts, expected) in [
        (
            None,
            DaneMode::Audit,
            &usable(),
            None,
            "clear + dane by opportunistic",
        ),
        (
            None,
            DaneMode::Audit,
            &unusable(),
            None,
            "clear by opportunistic",
        ),
        (
            None,
            DaneMode::Audit,
            &failed(),
            None,
            "clear by opportunistic",
        ),
        (
            None,
            DaneMode::Audit,
            &usable(),
            Some(&enforce),
            "names(mx.rp.test) + dane by mta-sts",
        ),
        (
            None,
            DaneMode::Off,
            &usable(),
            None,
            "clear by opportunistic",
        ),
        (
            Some(&dane_rule),
            DaneMode::Audit,
            &usable(),
            None,
            "dane by dane",
        ),
        (
            Some(&dane_rule),
            DaneMode::Off,
            &failed(),
            None,
            "4.7.5 Other MayPass by dane",
        ),
    ] {
        let mut demands = demands(OutboundTls::Off, rule);
        demands.dane = mode;
        assert_eq!(ruled(&demands, dane, sts), expected, "{mode:?} {dane:?}");
    }
}

#[test]
fn an_address_proves_no_name() {
    let by_operator = |host| HostFacts {
        host,
        chosen: Chosen::Operator,
        dane: &Dane::NotApplicable("an address has no TLSA records"),
        sts: None,
    };
    let authenticated = demands(OutboundTls::Authenticated, None);
    for host in ["192.0.2.1", "[192.0.2.1]", "[IPv6:2001:db8::1]"] {
        let ruling = decide(&authenticated, &by_operator(host));
        assert_eq!(
            told(&ruling),
            "4.7.5 TlsPolicy MayPass by mandatory firma.test"
        );
    }
    let mut rule = rule(TlsLevel::Verify);
    rule.names = vec!["relay.test".to_owned()];
    let ruling = decide(
        &demands(OutboundTls::Off, Some(&rule)),
        &by_operator("192.0.2.1"),
    );
    assert_eq!(told(&ruling), "names(relay.test) by rule verify");
}

/// RFC 8460 §4.3: what is wrong before there is a connection.
#[test]
fn findings_for_the_recipients_reports() {
    let notes = |demands: &Demands<'_>, dane: &Dane, sts: Option<&StsPolicy>| -> Vec<ResultType> {
        let ruling = decide(demands, &facts(dane, sts));
        ruling.notes.into_iter().map(|note| note.result).collect()
    };
    let nobody = demands(OutboundTls::Off, None);
    let other = sts(Mode::Testing, "other.test");
    let dane_only = rule(TlsLevel::DaneOnly);
    let strict = demands(OutboundTls::Off, Some(&dane_only));
    assert_eq!(notes(&nobody, &Dane::Absent, None), []);
    assert_eq!(
        notes(&nobody, &usable(), Some(&sts(Mode::Enforce, HOST))),
        []
    );
    assert_eq!(notes(&nobody, &unusable(), None), [ResultType::TlsaInvalid]);
    assert_eq!(notes(&nobody, &failed(), None), [ResultType::DnssecInvalid]);
    assert_eq!(
        notes(&nobody, &Dane::Absent, Some(&other)),
        [ResultType::ValidationFailure]
    );
    assert_eq!(
        notes(&strict, &Dane::Absent, None),
        [ResultType::DaneRequired]
    );
    let mut audit = nobody.clone();
    audit.dane = DaneMode::Audit;
    assert_eq!(notes(&audit, &failed(), None), [ResultType::DnssecInvalid]);
}

/// The sender hears early of what our own side demands, and as usual of what only the recipient does.
#[test]
fn whose_demand_it_is_decides_what_a_failure_counts_as() {
    let other = sts(Mode::Enforce, "other.test");
    let (dane_level, encrypt) = (rule(TlsLevel::Dane), rule(TlsLevel::Encrypt));
    for (sender, rule, expected) in [
        (OutboundTls::Off, None, Cause::Other),
        (OutboundTls::Required, None, Cause::TlsPolicy),
        (OutboundTls::Off, Some(&dane_level), Cause::Other),
        (OutboundTls::Off, Some(&encrypt), Cause::TlsPolicy),
    ] {
        let demands = demands(sender, rule);
        let duty = decide(&demands, &facts(&usable(), None)).duty;
        assert_eq!(duty.unwrap().cause, expected, "{sender:?} {rule:?}");
        let refused = decide(&demands, &facts(&Dane::Absent, Some(&other))).duty;
        assert_eq!(refused.unwrap_err().cause, expected, "{sender:?} {rule:?}");
        // Nobody's demand is to blame for a DNS that does not answer.
        let unknown = decide(&demands, &facts(&failed(), None)).duty;
        assert_eq!(unknown.unwrap_err().cause, Cause::Other);
    }
}
