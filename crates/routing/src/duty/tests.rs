//! The whole table of duties: recipient's policies × rule × sender × message, one line per case.

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
fn told(ruling: &Ruling) -> String {
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

fn ruled(demands: &Demands<'_>, dane: &Dane, sts: Option<&StsPolicy>) -> String {
    told(&decide(demands, &facts(dane, sts)))
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
            "4.7.5 TlsPolicy MayPass by mta-sts",
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
            "4.7.5 TlsPolicy MayPass by mta-sts",
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

/// Every level of a destination rule against what the recipient publishes.
#[test]
fn the_rule_for_a_destination() {
    use TlsLevel::{Dane as DaneLevel, DaneOnly, Encrypt, Fingerprint, May, Secure, Verify};
    let enforce = sts(Mode::Enforce, HOST);
    let no = Dane::Absent;
    let secure = "names(rp.test,mx.rp.test)";
    let bogus = "4.7.5 Other MayPass by dane".to_owned();
    for (level, dane, sts, expected) in [
        (May, &no, None, "clear by opportunistic".to_owned()),
        (
            May,
            &usable(),
            None,
            "clear + dane by opportunistic".to_owned(),
        ),
        (May, &unusable(), None, "clear by opportunistic".to_owned()),
        (May, &failed(), None, "clear by opportunistic".to_owned()),
        (
            May,
            &no,
            Some(&enforce),
            "clear + names(mx.rp.test) by opportunistic".to_owned(),
        ),
        (Encrypt, &no, None, "encrypt by rule encrypt".to_owned()),
        (Encrypt, &usable(), None, "dane by dane".to_owned()),
        (Encrypt, &failed(), None, bogus.clone()),
        (
            Encrypt,
            &no,
            Some(&enforce),
            "names(mx.rp.test) by mta-sts".to_owned(),
        ),
        (DaneLevel, &no, None, "clear by opportunistic".to_owned()),
        (DaneLevel, &usable(), None, "dane by dane".to_owned()),
        (DaneLevel, &unusable(), None, "encrypt by dane".to_owned()),
        (DaneLevel, &failed(), None, bogus.clone()),
        (
            DaneOnly,
            &no,
            None,
            "4.7.5 TlsPolicy MayPass by rule dane-only".to_owned(),
        ),
        (
            DaneOnly,
            &usable(),
            None,
            "dane by rule dane-only".to_owned(),
        ),
        (
            DaneOnly,
            &unusable(),
            None,
            "4.7.5 TlsPolicy MayPass by rule dane-only".to_owned(),
        ),
        (
            DaneOnly,
            &no,
            Some(&enforce),
            "4.7.5 TlsPolicy MayPass by rule dane-only".to_owned(),
        ),
        (DaneOnly, &failed(), None, bogus.clone()),
        (
            Verify,
            &no,
            None,
            "names(mx.rp.test) by rule verify".to_owned(),
        ),
        (
            Verify,
            &usable(),
            None,
            "names(mx.rp.test) + dane by rule verify".to_owned(),
        ),
        (Verify, &failed(), None, bogus.clone()),
        (Secure, &no, None, format!("{secure} by rule secure")),
        (
            Secure,
            &no,
            Some(&enforce),
            format!("{secure} + names(mx.rp.test) by rule secure"),
        ),
        (
            Fingerprint,
            &no,
            None,
            "fingerprint by rule fingerprint".to_owned(),
        ),
        (
            Fingerprint,
            &usable(),
            None,
            "fingerprint + dane by rule fingerprint".to_owned(),
        ),
    ] {
        let rule = rule(level);
        let demands = demands(OutboundTls::Off, Some(&rule));
        assert_eq!(
            ruled(&demands, dane, sts),
            expected,
            "{level:?} {dane:?} {sts:?}"
        );
    }
}

#[test]
fn names_of_a_rule_stand_for_the_usual_ones() {
    let mut rule = rule(TlsLevel::Secure);
    rule.names = vec![
        "gate.partner.test".to_owned(),
        ".rp.test".to_owned(),
        ".xp.test".to_owned(),
    ];
    let ruling =
        |rule: &DestinationRule| ruled(&demands(OutboundTls::Off, Some(rule)), &Dane::Absent, None);
    assert_eq!(
        ruling(&rule),
        "names(gate.partner.test,mx.rp.test) by rule secure"
    );
    rule.names = vec![".x.rp.test".to_owned(), ".mx.rp.test".to_owned()];
    assert_eq!(ruling(&rule), "4.7.5 TlsPolicy MayPass by rule secure");
}

#[test]
fn a_rule_may_demand_a_newer_version_and_never_an_older_one() {
    let mut rule = rule(TlsLevel::Encrypt);
    rule.version_min = TlsVersion::V1_3;
    let version = |rule: Option<&DestinationRule>| {
        let ruling = decide(
            &demands(OutboundTls::Off, rule),
            &facts(&Dane::Absent, None),
        );
        ruling.duty.unwrap().version_min
    };
    assert_eq!(version(Some(&rule)), TlsVersion::V1_3);
    assert_eq!(version(None), TlsVersion::V1_2);
}

/// The strictest of rule and sender wins; only an exception lowers the sender's duty.
#[test]
fn a_rule_lowers_the_senders_duty_only_as_an_exception() {
    use OutboundTls::{Authenticated, Required};
    let no = Dane::Absent;
    let mandatory = "by mandatory firma.test";
    for (level, exception, sender, dane, expected) in [
        (
            TlsLevel::May,
            false,
            Required,
            &no,
            format!("encrypt {mandatory}"),
        ),
        (
            TlsLevel::May,
            false,
            Authenticated,
            &no,
            format!("names(mx.rp.test) {mandatory}"),
        ),
        // The records bind nobody after `may`, but they are the proof the sender wants.
        (
            TlsLevel::May,
            false,
            Authenticated,
            &usable(),
            format!("dane {mandatory}"),
        ),
        (
            TlsLevel::Encrypt,
            false,
            Authenticated,
            &no,
            format!("names(mx.rp.test) {mandatory}"),
        ),
        (
            TlsLevel::Fingerprint,
            false,
            Authenticated,
            &no,
            "fingerprint by rule fingerprint".to_owned(),
        ),
        (
            TlsLevel::May,
            true,
            Required,
            &no,
            "clear by opportunistic".to_owned(),
        ),
        (
            TlsLevel::May,
            true,
            Authenticated,
            &usable(),
            "clear + dane by opportunistic".to_owned(),
        ),
        (
            TlsLevel::Encrypt,
            true,
            Authenticated,
            &no,
            "encrypt by rule encrypt".to_owned(),
        ),
        (
            TlsLevel::Encrypt,
            true,
            Authenticated,
            &failed(),
            "encrypt by rule encrypt".to_owned(),
        ),
    ] {
        let mut rule = rule(level);
        rule.exception = exception;
        let demands = demands(sender, Some(&rule));
        assert_eq!(
            ruled(&demands, dane, None),
            expected,
            "{level:?} {exception} {sender:?} {dane:?}"
        );
    }
}

/// RFC 8689 §4.2.1: who may take it must be proved, and then the certificate.
#[test]
fn requiretls_wants_a_proved_host_and_certificate() {
    let mut message = demands(OutboundTls::Off, None);
    message.require_tls = RequireTls::Yes;
    let (unsigned, no) = (
        Dane::NotApplicable("the MX records are not signed"),
        Dane::Absent,
    );
    let (enforce, testing) = (sts(Mode::Enforce, HOST), sts(Mode::Testing, HOST));
    let (other, none) = (sts(Mode::Testing, "o.test"), sts(Mode::None, HOST));
    let (secure, insecure) = (Chosen::Mx(Security::Secure), Chosen::Mx(Security::Insecure));
    let by_name = "names(mx.rp.test) by requiretls";
    let refused = "5.7.10 TlsPolicy Lasts by requiretls";
    for (chosen, dane, sts, expected) in [
        (secure, &usable(), None, "dane by dane"),
        (secure, &no, None, by_name),
        (secure, &unusable(), None, by_name),
        (secure, &failed(), None, "4.7.5 Other MayPass by dane"),
        (Chosen::Operator, &no, None, by_name),
        (insecure, &unsigned, None, refused),
        (
            insecure,
            &unsigned,
            Some(&enforce),
            "names(mx.rp.test) by mta-sts",
        ),
        (insecure, &unsigned, Some(&testing), by_name),
        (insecure, &unsigned, Some(&other), refused),
        (insecure, &unsigned, Some(&none), refused),
    ] {
        let facts = HostFacts {
            chosen,
            ..facts(dane, sts)
        };
        assert_eq!(
            told(&decide(&message, &facts)),
            expected,
            "{chosen:?} {dane:?} {sts:?}"
        );
    }
}

#[test]
fn no_exception_and_no_header_field_lifts_requiretls() {
    let mut exception = rule(TlsLevel::May);
    exception.exception = true;
    let mut message = demands(OutboundTls::Off, Some(&exception));
    message.require_tls = RequireTls::Yes;
    message.tls_required_no = TlsRequiredNo::Present;
    assert_eq!(ruled(&message, &usable(), None), "dane by dane");
    assert_eq!(
        ruled(&message, &Dane::Absent, None),
        "names(mx.rp.test) by requiretls"
    );
    assert_eq!(
        ruled(&message, &failed(), None),
        "4.7.5 Other MayPass by dane"
    );
}

/// RFC 8689 §4.2.2: the recipient's policies are followed as far as they do not stop the message.
#[test]
fn tls_required_no_lifts_what_the_recipient_publishes_and_nothing_else() {
    let enforce = sts(Mode::Enforce, HOST);
    let other = sts(Mode::Enforce, "other.test");
    let encrypt = rule(TlsLevel::Encrypt);
    let dane_only = rule(TlsLevel::DaneOnly);
    let (off, required) = (OutboundTls::Off, OutboundTls::Required);
    for (sender, rule, dane, sts, expected) in [
        (off, None, &usable(), None, "clear + dane by opportunistic"),
        (off, None, &unusable(), None, "clear by opportunistic"),
        (off, None, &failed(), None, "clear by opportunistic"),
        (
            off,
            None,
            &Dane::Absent,
            Some(&enforce),
            "clear + names(mx.rp.test) by opportunistic",
        ),
        (
            off,
            None,
            &Dane::Absent,
            Some(&other),
            "clear by opportunistic",
        ),
        (
            required,
            None,
            &usable(),
            None,
            "encrypt + dane by mandatory firma.test",
        ),
        (
            off,
            Some(&encrypt),
            &failed(),
            None,
            "encrypt by rule encrypt",
        ),
        (
            off,
            Some(&dane_only),
            &usable(),
            None,
            "dane by rule dane-only",
        ),
        (
            off,
            Some(&dane_only),
            &Dane::Absent,
            None,
            "4.7.5 TlsPolicy MayPass by rule dane-only",
        ),
    ] {
        let mut message = demands(sender, rule);
        message.tls_required_no = TlsRequiredNo::Present;
        assert_eq!(
            ruled(&message, dane, sts),
            expected,
            "{sender:?} {rule:?} {dane:?} {sts:?}"
        );
    }
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
