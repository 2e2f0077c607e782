//! SPF against records in memory: each mechanism, and the limits that keep one record from asking for ever.

use super::spf::{Check, Spf};
use super::spf_macro::Facts;
use platform::dns::StaticResolver;
use proptest::prelude::*;

async fn spf(dns: &StaticResolver, client: &str, domain: &str) -> Spf {
    let facts = Facts {
        client: client.parse().unwrap(),
        hello: "mx.far.test",
        sender_local: "anna",
        sender_domain: domain,
    };
    Check::new(dns, facts).run().await
}

fn zone(records: &[(&str, &str)]) -> StaticResolver {
    let dns = StaticResolver::new();
    for (name, text) in records {
        dns.add_txt(name, text);
    }
    dns
}

#[tokio::test]
async fn mechanisms_match_in_order() {
    let dns = zone(&[
        (
            "far.test",
            "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 a:host.far.test/31 mx ~all",
        ),
        ("hard.test", "v=spf1 -ip4:192.0.2.9 ?ip4:192.0.2.0/24 -all"),
        ("plain.test", "v=spf1"),
        ("next.test", "v=spf1 redirect=hard.test"),
        ("with.test", "v=spf1 include:far.test -all"),
        ("exists.test", "v=spf1 exists:%{ir}.list.test -all"),
        ("ptr.test", "v=spf1 ptr -all"),
        ("not.test", "v=spf10 -all"),
    ]);
    dns.add_address("host.far.test", "198.51.100.4".parse().unwrap())
        .add_mx("far.test", 10, "mx.far.test")
        .add_address("mx.far.test", "203.0.113.7".parse().unwrap())
        .add_address("7.2.0.192.list.test", "127.0.0.2".parse().unwrap())
        .add_reverse("192.0.2.5".parse().unwrap(), "a.ptr.test")
        .add_address("a.ptr.test", "192.0.2.5".parse().unwrap());
    for (client, domain, result) in [
        ("192.0.2.77", "far.test", Spf::Pass),
        ("2001:db8::1", "far.test", Spf::Pass),
        ("::ffff:192.0.2.77", "far.test", Spf::Pass),
        ("198.51.100.5", "far.test", Spf::Pass),
        ("198.51.100.6", "far.test", Spf::SoftFail),
        ("203.0.113.7", "far.test", Spf::Pass),
        ("192.0.2.9", "hard.test", Spf::Fail),
        ("192.0.2.8", "hard.test", Spf::Neutral),
        ("192.0.2.9", "next.test", Spf::Fail),
        ("10.0.0.1", "plain.test", Spf::Neutral),
        ("192.0.2.77", "with.test", Spf::Pass),
        ("10.0.0.1", "with.test", Spf::Fail),
        ("192.0.2.7", "exists.test", Spf::Pass),
        ("192.0.2.8", "exists.test", Spf::Fail),
        ("192.0.2.5", "ptr.test", Spf::Pass),
        ("10.0.0.1", "not.test", Spf::None),
        ("10.0.0.1", "nothing.test", Spf::None),
    ] {
        assert_eq!(spf(&dns, client, domain).await, result, "{client} {domain}");
    }
}

#[tokio::test]
async fn broken_records_and_limits() {
    let many = (0..11).map(|n| format!(" a:a{n}.test")).collect::<String>();
    let dns = zone(&[
        ("word.test", "v=spf1 foo -all"),
        ("bits.test", "v=spf1 ip4:192.0.2.0/33 -all"),
        ("family.test", "v=spf1 ip4:2001:db8::1 -all"),
        ("twice.test", "v=spf1 -all"),
        ("twice.test", "v=spf1 +all"),
        ("self.test", "v=spf1 include:self.test -all"),
        ("many.test", &format!("v=spf1{many} -all")),
        ("void.test", "v=spf1 a:x1.test a:x2.test a:x3.test -all"),
        ("gone.test", "v=spf1 include:nothing.test -all"),
        ("later.test", "v=spf1 a:broken.test -all"),
        ("double.test", "v=spf1 redirect=a.test redirect=b.test"),
    ]);
    for n in 0..11 {
        dns.add_address(&format!("a{n}.test"), "10.9.9.9".parse().unwrap());
    }
    dns.fail("broken.test", "SERVFAIL")
        .fail("failing.test", "SERVFAIL");
    let permanent = [
        "word", "bits", "family", "twice", "self", "many", "void", "gone", "double",
    ];
    for name in permanent {
        assert_eq!(
            spf(&dns, "192.0.2.1", &format!("{name}.test")).await,
            Spf::PermError,
            "{name}"
        );
    }
    for name in ["later", "failing"] {
        assert_eq!(
            spf(&dns, "192.0.2.1", &format!("{name}.test")).await,
            Spf::TempError,
            "{name}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// What strangers write is read without a panic.
    #[test]
    fn strangers_may_write_anything(
        text in "((DKIM-Signature|ARC-Seal|ARC-Message-Signature|ARC-Authentication-Results|From|%\\{[a-z0-9r.]{0,3}\\}|i=[0-9]{0,3}|[a-z]{1,2}=|;|:| |\r\n|\t|rsa-sha256|far\\.test|1|\\PC){0,3}){0,30}",
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        crate::fuzz::foreign_text(text.as_bytes());
        crate::fuzz::foreign_text(&bytes);
        crate::fuzz::srs(&text);
    }
}
