//! The table of messages' own wishes: REQUIRETLS and `TLS-Required: No` (RFC 8689).

use super::tests::*;
use super::*;
use crate::sts::Mode;
use policy::TlsLevel;

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
