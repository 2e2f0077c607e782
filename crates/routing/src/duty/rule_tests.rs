//! The table of rules for destinations: every level against what the recipient publishes and what the
//! sender demands.

use super::tests::*;
use super::*;
use crate::sts::Mode;
use policy::TlsLevel;

/// A rule of this level alone, against what the recipient publishes.
fn check(level: TlsLevel, dane: &Dane, sts: Option<&StsPolicy>, expected: &str) {
    let rule = rule(level);
    let ruling = ruled(&demands(OutboundTls::Off, Some(&rule)), dane, sts);
    assert_eq!(ruling, expected, "{level:?} {dane:?} {sts:?}");
}

const OPPORTUNISTIC: &str = "clear by opportunistic";
const BOGUS: &str = "4.7.5 Other MayPass by dane";

#[test]
fn levels_without_a_proof_of_their_own() {
    use TlsLevel::{Dane as DaneLevel, Encrypt, May};
    let (enforce, no) = (sts(Mode::Enforce, HOST), Dane::Absent);
    let by_name = "clear + names(mx.rp.test) by opportunistic";
    check(May, &no, None, OPPORTUNISTIC);
    check(May, &usable(), None, "clear + dane by opportunistic");
    check(May, &unusable(), None, OPPORTUNISTIC);
    check(May, &failed(), None, OPPORTUNISTIC);
    check(May, &no, Some(&enforce), by_name);
    let by_sts = "names(mx.rp.test) by mta-sts";
    check(Encrypt, &no, None, "encrypt by rule encrypt");
    check(Encrypt, &usable(), None, "dane by dane");
    check(Encrypt, &failed(), None, BOGUS);
    check(Encrypt, &no, Some(&enforce), by_sts);
    check(DaneLevel, &no, None, OPPORTUNISTIC);
    check(DaneLevel, &usable(), None, "dane by dane");
    check(DaneLevel, &unusable(), None, "encrypt by dane");
    check(DaneLevel, &failed(), None, BOGUS);
}

#[test]
fn levels_that_demand_a_proof() {
    use TlsLevel::{DaneOnly, Fingerprint, Secure, Verify};
    let (enforce, no) = (sts(Mode::Enforce, HOST), Dane::Absent);
    let without = "4.7.5 TlsPolicy MayPass by rule dane-only";
    check(DaneOnly, &no, None, without);
    check(DaneOnly, &usable(), None, "dane by rule dane-only");
    check(DaneOnly, &unusable(), None, without);
    check(DaneOnly, &no, Some(&enforce), without);
    check(DaneOnly, &failed(), None, BOGUS);
    let verify = "names(mx.rp.test) by rule verify";
    let verify_beside = "names(mx.rp.test) + dane by rule verify";
    check(Verify, &no, None, verify);
    check(Verify, &usable(), None, verify_beside);
    check(Verify, &failed(), None, BOGUS);
    let secure = "names(rp.test,mx.rp.test) by rule secure";
    let secure_beside = "names(rp.test,mx.rp.test) + names(mx.rp.test) by rule secure";
    check(Secure, &no, None, secure);
    check(Secure, &no, Some(&enforce), secure_beside);
    let pinned = "fingerprint by rule fingerprint";
    let pinned_beside = "fingerprint + dane by rule fingerprint";
    check(Fingerprint, &no, None, pinned);
    check(Fingerprint, &usable(), None, pinned_beside);
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
    use TlsLevel::{Encrypt, Fingerprint, May};
    let check = |mut rule: DestinationRule, exception, sender, dane: &Dane, expected: &str| {
        rule.exception = exception;
        let ruling = ruled(&demands(sender, Some(&rule)), dane, None);
        assert_eq!(ruling, expected, "{rule:?} {sender:?} {dane:?}");
    };
    let no = &Dane::Absent;
    let by_name = "names(mx.rp.test) by mandatory firma.test";
    let encrypted = "encrypt by mandatory firma.test";
    check(rule(May), false, Required, no, encrypted);
    check(rule(May), false, Authenticated, no, by_name);
    // The records bind nobody after `may`, but they are the proof the sender wants.
    let by_dane = "dane by mandatory firma.test";
    check(rule(May), false, Authenticated, &usable(), by_dane);
    check(rule(Encrypt), false, Authenticated, no, by_name);
    let pinned = "fingerprint by rule fingerprint";
    check(rule(Fingerprint), false, Authenticated, no, pinned);
    check(rule(May), true, Required, no, OPPORTUNISTIC);
    let audited = "clear + dane by opportunistic";
    check(rule(May), true, Authenticated, &usable(), audited);
    let lowered = "encrypt by rule encrypt";
    check(rule(Encrypt), true, Authenticated, no, lowered);
    check(rule(Encrypt), true, Authenticated, &failed(), lowered);
}
