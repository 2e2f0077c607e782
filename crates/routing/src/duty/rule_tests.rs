//! The table of rules for destinations: every level against what the recipient publishes and what the
//! sender demands.

use super::tests::*;
use super::*;
use crate::sts::Mode;
use policy::TlsLevel;

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
