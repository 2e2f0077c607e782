//! The server's resolver against the test DNS: what it takes for proved, absent, forged and unknown.

use harness::dns::{Dns, Fault, RecordType, Signing};

use platform::clock::Clock;
use platform::dns::{Anchors, Mx, Outcome, Resolver, Security, SystemResolver};
use std::net::IpAddr;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn resolver(dns: &Dns, anchor: &str) -> SystemResolver {
    let anchors = Anchors::parse(anchor).expect("an anchor");
    SystemResolver::new(&[dns.socket_address()], anchors, Clock::system()).expect("a resolver")
}

/// Zones of every kind, each with an MX whose host has an address and a TLSA record.
fn lab() -> (Dns, SystemResolver) {
    let dns = Dns::start();
    for (zone, signing) in [
        ("signed.test", Signing::Signed),
        ("unsigned.test", Signing::Unsigned),
        ("bogus.test", Signing::Bogus),
        ("wrongds.test", Signing::WrongDs),
    ] {
        dns.zone(zone, signing);
        dns.mx(zone, 10, &format!("mx.{zone}"));
        dns.address(&format!("mx.{zone}"), ip("127.0.0.2"));
        dns.address(&format!("v4.{zone}"), ip("127.0.0.2"));
        dns.address(&format!("mx.{zone}"), ip("::2"));
        dns.tlsa(&format!("_25._tcp.mx.{zone}"), 3, 1, 1, &[7; 32]);
        dns.txt(&format!("_mta-sts.{zone}"), "v=STSv1; id=1;");
    }
    let resolver = resolver(&dns, &dns.trust_anchor());
    (dns, resolver)
}

fn security<T>(outcome: &Outcome<T>) -> Option<Security> {
    match outcome {
        Outcome::Found(answer) => Some(answer.security),
        _ => None,
    }
}

#[tokio::test]
async fn what_is_signed_is_secure() {
    let (dns, resolver) = lab();
    let mx = resolver.mx("signed.test").await;
    assert_eq!(security(&mx), Some(Security::Secure), "{mx:?}");
    let both = resolver.addresses("mx.signed.test").await;
    assert_eq!(security(&both), Some(Security::Secure), "{both:?}");
    let one_family = resolver.addresses("v4.signed.test").await;
    assert_eq!(
        security(&one_family),
        Some(Security::Secure),
        "{one_family:?}"
    );
    let tlsa = resolver.tlsa("_25._tcp.mx.signed.test").await;
    assert_eq!(security(&tlsa), Some(Security::Secure), "{tlsa:?}");
    let txt = resolver.txt("_mta-sts.signed.test").await;
    assert_eq!(security(&txt), Some(Security::Secure), "{txt:?}");
    dns.ptr(ip("192.0.2.7"), "mx.signed.test");
    let ptr = resolver.reverse(ip("192.0.2.7")).await;
    assert_eq!(security(&ptr), Some(Security::Secure), "{ptr:?}");
}

#[tokio::test]
async fn an_absence_is_proved_where_the_zone_is_signed() {
    let (_dns, resolver) = lab();
    let secure = [
        "_25._tcp.v4.signed.test",
        "_25._tcp.nowhere.signed.test",
        "_25._tcp.nowhere.example",
    ];
    for name in secure {
        let absent = resolver.tlsa(name).await;
        let proved = matches!(
            absent,
            Outcome::NoData(Security::Secure) | Outcome::NxDomain(Security::Secure)
        );
        assert!(proved, "{name}: {absent:?}");
    }
    let no_data = resolver.txt("mx.signed.test").await;
    assert_eq!(no_data, Outcome::NoData(Security::Secure));
    let absent = resolver.tlsa("_25._tcp.v4.unsigned.test").await;
    assert_eq!(absent, Outcome::NxDomain(Security::Insecure));
    let no_data = resolver.txt("mx.unsigned.test").await;
    assert_eq!(no_data, Outcome::NoData(Security::Insecure));
}

/// The server sets AD on everything; that must not count.
#[tokio::test]
async fn what_is_not_signed_is_insecure() {
    let (_dns, resolver) = lab();
    let mx = resolver.mx("unsigned.test").await;
    assert_eq!(security(&mx), Some(Security::Insecure), "{mx:?}");
    let tlsa = resolver.tlsa("_25._tcp.mx.unsigned.test").await;
    assert_eq!(security(&tlsa), Some(Security::Insecure), "{tlsa:?}");
    let addresses = resolver.addresses("mx.unsigned.test").await;
    assert_eq!(
        security(&addresses),
        Some(Security::Insecure),
        "{addresses:?}"
    );
}

#[tokio::test]
async fn what_does_not_validate_is_bogus() {
    let (dns, resolver) = lab();
    for zone in ["bogus.test", "wrongds.test"] {
        let mx = resolver.mx(zone).await;
        assert!(matches!(mx, Outcome::Bogus(_)), "{zone}: {mx:?}");
        let tlsa = resolver.tlsa(&format!("_25._tcp.mx.{zone}")).await;
        assert!(matches!(tlsa, Outcome::Bogus(_)), "{zone}: {tlsa:?}");
        let absent = resolver.tlsa(&format!("_25._tcp.v4.{zone}")).await;
        assert!(matches!(absent, Outcome::Bogus(_)), "{zone}: {absent:?}");
    }
    let faults = [
        Fault::BrokenSignature,
        Fault::ExpiredSignature,
        Fault::NoSignature,
    ];
    for (n, fault) in faults.into_iter().enumerate() {
        let (present, absent) = (
            format!("_{n}._tcp.mx.signed.test"),
            format!("_{n}._tcp.v4.signed.test"),
        );
        dns.tlsa(&present, 3, 1, 1, &[7; 32]);
        for name in [present, absent] {
            dns.fault(&name, None, fault);
            let tlsa = resolver.tlsa(&name).await;
            assert!(
                matches!(tlsa, Outcome::Bogus(_)),
                "{name} {fault:?}: {tlsa:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_failure_is_a_failure() {
    let (dns, resolver) = lab();
    for (fault, name) in [
        (Fault::ServFail, "_25._tcp.a.signed.test"),
        (Fault::Refused, "_25._tcp.b.signed.test"),
        (Fault::Silence, "_25._tcp.c.signed.test"),
    ] {
        dns.fault(name, Some(RecordType::TLSA), fault);
        let tlsa = resolver.tlsa(name).await;
        assert!(
            matches!(tlsa, Outcome::TemporaryFailure(_)),
            "{fault:?}: {tlsa:?}"
        );
    }
}

#[tokio::test]
async fn an_alias_is_worth_what_its_weakest_link_is() {
    let (dns, resolver) = lab();
    dns.cname("a.signed.test", "mx.signed.test");
    dns.cname("b.signed.test", "mx.unsigned.test");
    dns.cname("c.unsigned.test", "mx.signed.test");
    for (name, target, expected) in [
        ("a.signed.test", "mx.signed.test", Security::Secure),
        ("b.signed.test", "mx.unsigned.test", Security::Insecure),
        ("c.unsigned.test", "mx.signed.test", Security::Insecure),
    ] {
        let found = resolver.addresses(name).await.found().expect("addresses");
        assert_eq!((found.security, &*found.name), (expected, target), "{name}");
    }
}

#[tokio::test]
async fn a_long_answer_comes_over_tcp_and_a_null_mx_is_one() {
    let (dns, resolver) = lab();
    dns.txt("long.signed.test", &"x".repeat(4000));
    let txt = resolver.txt("long.signed.test").await.found();
    assert_eq!(txt.expect("it comes").value, [vec![b'x'; 4000]]);
    dns.mx("null.test", 0, ".");
    let null = resolver.mx("null.test").await.found().expect("it comes");
    assert_eq!((null.value, null.security), (Mx::Null, Security::Secure));
}

#[tokio::test]
async fn anchors_may_be_ds_lines() {
    let (dns, _) = lab();
    let resolver = resolver(&dns, &dns.trust_anchor_ds());
    let mx = resolver.mx("signed.test").await;
    assert_eq!(security(&mx), Some(Security::Secure), "{mx:?}");
    let mx = resolver.mx("unsigned.test").await;
    assert_eq!(security(&mx), Some(Security::Insecure), "{mx:?}");
}
