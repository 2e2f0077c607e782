//! For every state of the world: one more demand never weakens the duty.

use super::tests::*;
use super::*;
use crate::sts::Mode;
use policy::TlsLevel;
use proptest::prelude::*;

/// How strict: nothing < encryption < a proof < not at all.
fn strength(demands: &Demands<'_>, facts: &HostFacts<'_>) -> (u8, TlsVersion) {
    match decide(demands, facts).duty {
        Ok(duty) => {
            let floor = match duty.floor {
                Floor::Clear => 0,
                Floor::Encrypt => 1,
                Floor::Proof(_) => 2,
            };
            (floor, duty.version_min)
        }
        Err(_) => (3, TlsVersion::V1_3),
    }
}

fn a_dane() -> impl Strategy<Value = Dane> {
    prop_oneof![
        Just(Dane::NotApplicable("unsigned")),
        Just(Dane::Absent),
        Just(usable()),
        Just(unusable()),
        Just(failed()),
    ]
}

fn a_policy() -> impl Strategy<Value = Option<StsPolicy>> {
    let mode = prop_oneof![Just(Mode::Enforce), Just(Mode::Testing), Just(Mode::None)];
    let mx = prop_oneof![Just(HOST), Just("other.test")];
    proptest::option::of((mode, mx).prop_map(|(mode, mx)| sts(mode, mx)))
}

fn a_level() -> impl Strategy<Value = TlsLevel> {
    prop_oneof![
        Just(TlsLevel::May),
        Just(TlsLevel::Encrypt),
        Just(TlsLevel::Dane),
        Just(TlsLevel::DaneOnly),
        Just(TlsLevel::Verify),
        Just(TlsLevel::Secure),
        Just(TlsLevel::Fingerprint),
    ]
}

fn a_rule() -> impl Strategy<Value = Option<DestinationRule>> {
    proptest::option::of((a_level(), any::<bool>()).prop_map(|(level, exception)| {
        let mut made = rule(level);
        made.exception = exception;
        made
    }))
}

fn a_sender() -> impl Strategy<Value = OutboundTls> {
    prop_oneof![
        Just(OutboundTls::Off),
        Just(OutboundTls::Required),
        Just(OutboundTls::Authenticated),
    ]
}

fn a_mode() -> impl Strategy<Value = DaneMode> {
    prop_oneof![
        Just(DaneMode::Enforce),
        Just(DaneMode::Audit),
        Just(DaneMode::Off),
    ]
}

fn chosen() -> impl Strategy<Value = Chosen> {
    prop_oneof![
        Just(Chosen::Operator),
        Just(Chosen::Mx(Security::Secure)),
        Just(Chosen::Mx(Security::Insecure)),
    ]
}

proptest! {
    #[test]
    fn one_more_demand_never_weakens_the_duty(
        dane in a_dane(),
        policy in a_policy(),
        rule_before in a_rule(),
        sender in a_sender(),
        mode in a_mode(),
        chosen in chosen(),
        relaxed in any::<bool>(),
        requiretls in any::<bool>(),
    ) {
        let host = HostFacts { chosen, ..facts(&dane, policy.as_ref()) };
        let mut before = demands(sender, rule_before.as_ref());
        before.dane = mode;
        if relaxed {
            before.tls_required_no = TlsRequiredNo::Present;
        }
        if requiretls {
            before.require_tls = RequireTls::Yes;
        }
        let weaker = strength(&before, &host);

        for level in [OutboundTls::Required, OutboundTls::Authenticated] {
            let mut after = before.clone();
            after.sender.value = sender.max(level);
            prop_assert!(strength(&after, &host) >= weaker);
        }
        let mut after = before.clone();
        after.require_tls = RequireTls::Yes;
        prop_assert!(strength(&after, &host) >= weaker);
        let mut after = before.clone();
        after.tls_required_no = TlsRequiredNo::Absent;
        prop_assert!(strength(&after, &host) >= weaker);
        let mut after = before.clone();
        after.dane = DaneMode::Enforce;
        prop_assert!(
            strength(&after, &host) >= weaker || matches!(dane, Dane::Usable { .. }),
            "only a usable proof by DANE may stand for another demand"
        );
        // A rule where there was none, other than the two that are there to lift something.
        if rule_before.is_none() {
            for level in [
                TlsLevel::Encrypt,
                TlsLevel::Dane,
                TlsLevel::DaneOnly,
                TlsLevel::Verify,
                TlsLevel::Secure,
                TlsLevel::Fingerprint,
            ] {
                let added = rule(level);
                let mut after = before.clone();
                after.rule = Some(&added);
                prop_assert!(
                    strength(&after, &host) >= weaker || matches!(dane, Dane::Usable { .. }),
                    "{level:?}"
                );
            }
        }
    }
}
