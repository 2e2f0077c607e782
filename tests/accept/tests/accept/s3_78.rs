//! S3-78: a rule for a destination demands TLS and its lowest version. A foreign TLS 1.0 server is
//! deferred with 4.7.x, TLS 1.2 is delivered to; with 1.3 as the lowest, TLS 1.2 is deferred too.

use harness::Lab;
use harness::authority::self_signed;
use harness::sink::{Behaviour, Foreign, Versions};

#[test]
fn the_lowest_version_counts() {
    let lab = Lab::start();
    let identity = self_signed(&["x.test"]);
    for domain in ["old.test", "good.test", "strict.test", "new.test"] {
        lab.dns.mx(domain, 10, &format!("mx.{domain}"));
        lab.destination(
            domain,
            match domain {
                "strict.test" | "new.test" => &["encrypt", "--tls-version=1.3"],
                _ => &["encrypt", "--tls-version=1.2"],
            },
        );
    }
    let only12 = Behaviour::tls_versions(&identity, Versions::Only12);
    let old = lab.foreign_sink("mx.old.test", &identity, Foreign::Tls10);
    let good = lab.sink("mx.good.test", only12.clone());
    let strict = lab.sink("mx.strict.test", only12);
    let new = lab.sink("mx.new.test", Behaviour::tls(&identity));
    for domain in ["old.test", "good.test", "strict.test", "new.test"] {
        lab.send("anna", &format!("box@{domain}"), "version");
    }
    for domain in ["old.test", "strict.test"] {
        let said = lab.wait_deferred(&format!("box@{domain}"), 1);
        assert!(said.contains("4.7."), "{domain}: {said}");
    }
    let version = |mails: Vec<harness::sink::Mail>| mails[0].tls.clone().map(|tls| tls.version);
    assert_eq!(version(good.wait_mails(1)).as_deref(), Some("TLSv1.2"));
    assert_eq!(version(new.wait_mails(1)).as_deref(), Some("TLSv1.3"));
    assert!(old.mails().is_empty() && strict.mails().is_empty());
    assert!(old.sessions()[0].tls_failure.is_some());
}
