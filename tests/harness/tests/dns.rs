//! The test DNS, judged by a foreign validator (BIND's delv) and a foreign client (dig).

use harness::dns::{Dns, Fault, RecordType, Signing};
use std::process::Command;

/// What delv, which trusts only our root key, says about a question.
fn delv(dns: &Dns, name: &str, kind: &str) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    let anchors = dir.path().join("anchors");
    let anchor = dns.trust_anchor();
    let fields: Vec<_> = anchor.split_whitespace().collect();
    let [_, _, _, _, flags, protocol, algorithm, key] = fields.as_slice() else {
        panic!("{anchor}");
    };
    let text =
        format!("trust-anchors {{ . static-key {flags} {protocol} {algorithm} \"{key}\"; }};\n");
    std::fs::write(&anchors, text).expect("a file");
    let output = Command::new("delv")
        .args(["@127.0.0.1", "+root=.", "+nottl", "-p"])
        .arg(dns.socket_address().port().to_string())
        .arg("-a")
        .arg(&anchors)
        .args([name, kind])
        .output()
        .expect("delv is installed");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn ip(text: &str) -> std::net::IpAddr {
    text.parse().expect("an address")
}

fn lab() -> Dns {
    let dns = Dns::start();
    for (zone, signing) in [
        ("signed.test", Signing::Signed),
        ("unsigned.test", Signing::Unsigned),
        ("bogus.test", Signing::Bogus),
        ("wrongds.test", Signing::WrongDs),
    ] {
        dns.zone(zone, signing);
        dns.mx(zone, 20, &format!("mx2.{zone}"));
        dns.mx(zone, 10, &format!("mx1.{zone}"));
        dns.address(&format!("mx1.{zone}"), ip("127.0.0.2"));
        dns.address(&format!("mx1.{zone}"), ip("::2"));
        dns.tlsa(&format!("_25._tcp.mx1.{zone}"), 3, 1, 1, &[7; 32]);
        dns.tlsa(&format!("_25._tcp.mx1.{zone}"), 2, 1, 1, &[8; 32]);
        dns.tlsa(&format!("_25._tcp.mx1.{zone}"), 3, 1, 2, &[8; 64]);
        dns.txt(zone, &"long text ".repeat(200));
    }
    dns.cname("alias.signed.test", "mx1.unsigned.test");
    dns.cname("alias.unsigned.test", "mx1.signed.test");
    dns.ptr(ip("192.0.2.7"), "mx1.signed.test");
    dns
}

#[test]
fn a_foreign_validator_agrees_with_every_kind_of_zone() {
    let dns = lab();
    let expected = [
        ("signed.test", "MX", "; fully validated"),
        ("signed.test", "TXT", "; fully validated"),
        ("mx1.signed.test", "A", "; fully validated"),
        ("mx1.signed.test", "AAAA", "; fully validated"),
        ("_25._tcp.mx1.signed.test", "TLSA", "; fully validated"),
        ("7.2.0.192.in-addr.arpa", "PTR", "; fully validated"),
        (
            "mx1.signed.test",
            "TXT",
            "; negative response, fully validated",
        ),
        (
            "_tcp.mx1.signed.test",
            "TLSA",
            "; negative response, fully validated",
        ),
        (
            "_25._tcp.mx2.signed.test",
            "TLSA",
            "; negative response, fully validated",
        ),
        (
            "nowhere.example",
            "MX",
            "; negative response, fully validated",
        ),
        (
            "unsigned.test",
            "DS",
            "; negative response, fully validated",
        ),
        ("unsigned.test", "MX", "; unsigned answer"),
        (
            "mx1.unsigned.test",
            "TXT",
            "; negative response, unsigned answer",
        ),
        ("alias.signed.test", "A", "; unsigned answer"),
        ("bogus.test", "MX", "resolution failed"),
        ("wrongds.test", "MX", "resolution failed"),
    ];
    for (name, kind, words) in expected {
        let said = delv(&dns, name, kind);
        assert!(said.contains(words), "{name} {kind}: {words}\n{said}");
    }
}

#[test]
fn faults_come_and_go() {
    let dns = lab();
    let tlsa = "_25._tcp.mx1.signed.test";
    for fault in [
        Fault::ServFail,
        Fault::Refused,
        Fault::BrokenSignature,
        Fault::ExpiredSignature,
        Fault::NoSignature,
    ] {
        dns.fault(tlsa, Some(RecordType::TLSA), fault);
        let said = delv(&dns, tlsa, "TLSA");
        assert!(!said.contains("; fully validated"), "{fault:?}:\n{said}");
        assert!(!said.contains("; unsigned"), "{fault:?}:\n{said}");
        // Another type at the same name is left alone.
        let other = delv(&dns, tlsa, "TXT");
        assert!(other.contains("fully validated"), "{fault:?}:\n{other}");
        dns.heal(tlsa);
    }
    assert!(delv(&dns, tlsa, "TLSA").contains("; fully validated"));
    // The absence of a record can be broken as well.
    let absent = "_25._tcp.mx2.signed.test";
    for fault in [
        Fault::BrokenSignature,
        Fault::ExpiredSignature,
        Fault::NoSignature,
    ] {
        dns.fault(absent, None, fault);
        let said = delv(&dns, absent, "TLSA");
        assert!(!said.contains("validated"), "{fault:?}:\n{said}");
        dns.heal(absent);
    }
}

#[test]
fn records_change_and_questions_are_counted() {
    let dns = lab();
    let dig = |name: &str, kind: &str| {
        let output = Command::new("dig")
            .args(["@127.0.0.1", "+short", "+time=1", "+tries=1", "-p"])
            .arg(dns.socket_address().port().to_string())
            .args([name, kind])
            .output()
            .expect("dig is installed");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(dig("mx1.signed.test", "A"), "127.0.0.2");
    assert_eq!(
        dig("alias.unsigned.test", "A"),
        "mx1.signed.test.\n127.0.0.2"
    );
    dns.remove("mx1.signed.test", Some(RecordType::A));
    dns.address("mx1.signed.test", ip("127.0.0.3"));
    assert_eq!(dig("mx1.signed.test", "A"), "127.0.0.3");
    dns.remove("mx1.signed.test", None);
    assert_eq!(dig("mx1.signed.test", "A"), "");
    assert_eq!(dns.questions("mx1.signed.test", RecordType::A), 3);
    dns.fault("mx1.signed.test", None, Fault::Silence);
    assert!(dig("mx1.signed.test", "A").contains("timed out"));
    dns.mx("null.test", 0, ".");
    assert_eq!(dig("null.test", "MX"), "0 .");
}
