//! Records against a DNS in memory, the macros of RFC 7208 §7.4, and hostile texts.

use super::*;
use platform::dns::StaticResolver;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

async fn word(resolver: &StaticResolver, address: &str, domain: &str) -> &'static str {
    check_host(resolver, ip(address), domain, "anna")
        .await
        .word()
}

#[tokio::test]
async fn each_mechanism_matches_what_it_names() {
    let dns = StaticResolver::new();
    dns.add_txt("ip.test", "v=spf1 ip4:192.0.2.0/28 ip6:2001:db8::/32 -all");
    dns.add_txt("a.test", "v=spf1 a:mx.a.test/30//64 ~all");
    dns.add_address("mx.a.test", ip("192.0.2.4"))
        .add_address("mx.a.test", ip("2001:db8::1"));
    dns.add_txt("mx.test", "v=spf1 mx ?all");
    dns.add_mx("mx.test", 10, "mx.a.test");
    dns.add_txt("inc.test", "v=spf1 include:ip.test include:a.test -all");
    dns.add_txt("re.test", "v=spf1 redirect=ip.test");
    dns.add_txt("ex.test", "v=spf1 exists:%{ir}.%{l}._spf.%{d2} -all");
    dns.add_address("9.2.0.192.anna._spf.ex.test", ip("127.0.0.2"));
    for (address, domain, result) in [
        ("192.0.2.15", "ip.test", "pass"),
        ("192.0.2.16", "ip.test", "fail"),
        ("2001:db8:ffff::1", "ip.test", "pass"),
        ("192.0.2.7", "a.test", "pass"),
        ("192.0.2.8", "a.test", "softfail"),
        ("2001:db8::ffff", "a.test", "pass"),
        ("192.0.2.4", "mx.test", "pass"),
        ("192.0.2.5", "mx.test", "neutral"),
        ("192.0.2.7", "inc.test", "pass"),
        ("198.51.100.1", "inc.test", "fail"),
        ("192.0.2.1", "re.test", "pass"),
        ("198.51.100.1", "re.test", "fail"),
        ("192.0.2.9", "ex.test", "pass"),
        ("192.0.2.10", "ex.test", "fail"),
        ("192.0.2.1", "nothing.test", "none"),
    ] {
        assert_eq!(
            word(&dns, address, domain).await,
            result,
            "{address} {domain}"
        );
    }
}

#[tokio::test]
async fn limits_and_mistakes_are_permanent_errors() {
    let dns = StaticResolver::new();
    dns.add_txt("loop.test", "v=spf1 include:loop.test -all");
    dns.add_txt(
        "void.test",
        "v=spf1 a:x1.test a:x2.test a:x3.test ip4:192.0.2.1 -all",
    );
    dns.add_txt("twice.test", "v=spf1 -all")
        .add_txt("twice.test", "v=spf1 +all");
    dns.add_txt("typo.test", "v=spf1 ipv4:192.0.2.1 -all");
    dns.add_txt("empty.test", "v=spf1 include:nothing.test -all");
    dns.add_txt("wrong.test", "v=spf1 ip4:192.0.2.1/33 -all");
    dns.add_txt("macro.test", "v=spf1 exists:%{q}.test -all");
    dns.add_txt("fine.test", "v=spf1 a:x1.test a:x2.test ip4:192.0.2.1 -all");
    dns.add_txt("spf10.test", "v=spf10 +all");
    for (domain, result) in [
        ("loop.test", "permerror"),
        ("void.test", "permerror"),
        ("twice.test", "permerror"),
        ("typo.test", "permerror"),
        ("empty.test", "permerror"),
        ("wrong.test", "permerror"),
        ("macro.test", "permerror"),
        ("fine.test", "pass"),
        ("spf10.test", "none"),
    ] {
        assert_eq!(word(&dns, "192.0.2.1", domain).await, result, "{domain}");
    }
    dns.fail("down.test", "no answer");
    assert_eq!(word(&dns, "192.0.2.1", "down.test").await, "temperror");
}

/// RFC 7208 §7.4.
#[test]
fn macros_are_those_of_the_rfc() {
    let facts = macros::Facts {
        address: ip("192.0.2.3"),
        local: "strong-bad",
        sender_domain: "email.example.com",
        domain: "email.example.com",
    };
    for (written, name) in [
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l-}", "strong.bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        (
            "%{ir}.%{v}._spf.%{d2}",
            "3.2.0.192.in-addr._spf.example.com",
        ),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
    ] {
        assert_eq!(expand(written, &facts).unwrap(), name, "{written}");
    }
    for written in ["%", "%{", "%{d0}", "%{x}", "%a", "", "%{d}ü", "%_"] {
        assert!(expand(written, &facts).is_err(), "{written}");
    }
    let long = format!("{}.test", ["a".repeat(60).as_str(); 6].join("."));
    assert!(expand(&long, &facts).unwrap().len() <= 253);
}

proptest::proptest! {
    /// Records come from whoever owns a domain: nothing in them panics, and what is parsed expands to
    /// names the DNS can be asked for.
    #[test]
    fn hostile_records_do_no_harm(
        text in "(v=spf1|)( [-+~?]?(a|mx|ip4|ip6|include|exists|ptr|all|redirect=|exp=)?[:/=]?[%{}a-z0-9./:_-]{0,24}){0,6}",
        wild in ".{0,200}",
    ) {
        for record in [text, format!("v=spf1 {wild}")] {
            let _ = record::is_spf(&record);
            let _ = parse(&record);
        }
        let facts = macros::Facts {
            address: ip("2001:db8::1"),
            local: "anna",
            sender_domain: "firma.test",
            domain: "firma.test",
        };
        if let Ok(name) = expand(&wild, &facts) {
            proptest::prop_assert!(!name.is_empty() && name.len() <= 253 && name.is_ascii());
        }
    }
}
