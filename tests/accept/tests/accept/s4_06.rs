//! S4-06 (and S3-78): mandatory TLS is TLS 1.2 or later with forward secrecy and AEAD. Foreign
//! servers that have only less get nothing.

use harness::authority::self_signed;
use harness::dns::Signing;
use harness::sink::{Behaviour, Foreign, Versions};
use harness::{Authority, Lab};
use std::time::Duration;

#[test]
fn weak_tls_does_not_get_mandatory_mail() {
    let lab = Lab::start();
    let anna = lab.server.account("anna").address;
    lab.policy(&anna, "outbound-tls", "required");
    let ecdsa = self_signed(&["x.test"]);
    let rsa = Authority::default().issue_rsa(&["x.test"]);
    let weak = [
        ("tls10.test", Foreign::Tls10, &ecdsa),
        ("tls11.test", Foreign::Tls11, &ecdsa),
        ("cbc.test", Foreign::Tls12Cbc, &ecdsa),
        ("static.test", Foreign::Tls12StaticRsa, &rsa),
    ];
    let sinks: Vec<_> = weak
        .into_iter()
        .map(|(domain, limits, identity)| {
            lab.dns.mx(domain, 10, &format!("mx.{domain}"));
            let sink = lab.foreign_sink(&format!("mx.{domain}"), identity, limits);
            (domain, sink)
        })
        .collect();
    lab.dns.mx("usual.test", 10, "mx.usual.test");
    let usual = lab.foreign_sink("mx.usual.test", &ecdsa, Foreign::Usual);
    let only12 = Behaviour::tls_versions(&ecdsa, Versions::Only12);
    let only12 = lab.domain("only12.test", Signing::Unsigned, only12);
    for (domain, _) in &sinks {
        lab.send("anna", &format!("box@{domain}"), "mandatory");
    }
    lab.send("anna", "box@usual.test", "mandatory");
    lab.send("anna", "box@only12.test", "mandatory");
    assert!(usual.wait_mails(1)[0].tls.is_some());
    assert_eq!(
        only12.wait_mails(1)[0].tls.as_ref().expect("TLS").version,
        "TLSv1.2"
    );
    for attempts in 1..=2 {
        for (domain, _) in &sinks {
            let said = lab.wait_deferred(&format!("box@{domain}"), attempts);
            assert!(said.contains("4.7."), "{domain}: {said}");
        }
        lab.forward(Duration::from_secs(2 * 3600));
    }
    for (domain, sink) in &sinks {
        assert!(sink.mails().is_empty(), "{domain}");
        assert!(sink.sessions()[0].tls_failure.is_some(), "{domain}");
    }
}
