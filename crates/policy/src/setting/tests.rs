//! Every kind of value in the form it is typed and shown in, and what is refused.

use super::*;

/// What is typed and what is shown again.
const TEXTS: &[(Name, &str, &str)] = &[
    (Name::SenderOwnership, "observe", "observe"),
    (Name::OutboundTls, " authenticated ", "authenticated"),
    (Name::InboundTls, "off", "off"),
    (
        Name::InboundTls,
        "required  Only TLS for firma.test",
        "required Only TLS for firma.test",
    ),
    (
        Name::InboundTls,
        "required [observe 2025-03-05 enforce] Only TLS",
        "required [observe; 2025-03-05 enforce] Only TLS",
    ),
    (
        Name::InboundTls,
        "required [enforce] [firma.test] takes TLS only",
        "required [enforce] [firma.test] takes TLS only",
    ),
    (
        Name::OutboundTls,
        "required warn, 2025-03-05 enforce",
        "required warn; 2025-03-05 enforce",
    ),
    (Name::OutboundTls, "authenticated enforce", "authenticated"),
    (
        Name::SenderOwnership,
        "observe; 2025-03-01T06:30 enforce; canary=5%",
        "observe; 2025-03-01T06:30 enforce; canary=5%",
    ),
    (
        Name::Cleartext,
        "warn 2025-03-05 enforce paused=observe",
        "warn; 2025-03-05 enforce; paused=observe",
    ),
    (Name::TlsVersion, "1.3", "1.3 enforce"),
    (
        Name::TlsVersion,
        "1.2 off; 2025-03-05 enforce",
        "1.2 off; 2025-03-05 enforce",
    ),
    (Name::LegacyAccess, "forbidden", "forbidden"),
    (
        Name::LegacyAccess,
        "until 2025-05-30",
        "until 2025-05-30 tls=1.0,1.1",
    ),
    (
        Name::LegacyAccess,
        "until 2025-05-30T12:00 cleartext tls=1.1",
        "until 2025-05-30T12:00 tls=1.1 cleartext",
    ),
    (
        Name::LegacyAccess,
        "until 2025-05-30 tls=none cleartext",
        "until 2025-05-30 tls=none cleartext",
    ),
    (Name::Dane, "audit", "audit"),
    (Name::Pool, "business-1", "business-1"),
    (Name::Weight, "30", "30"),
    (Name::Priority, "-9", "-9"),
    (Name::Delay, "600s", "10m"),
    (Name::Delay, "22:00-06:00", "22:00-06:00"),
    (Name::HoldBack, "30", "30"),
    (Name::MessagesPerHour, "none", "none"),
    (Name::DomainRecipientsPerDay, "5000", "5000"),
    (Name::StripOrigin, "off", "off"),
    (
        Name::HeadersOutbound,
        "remove first X-Originating-IP\n\n add X-A: b",
        "remove first X-Originating-IP\nadd X-A: b",
    ),
    (Name::Language, "en", "en"),
    (Name::HelpUrl, "https://rp.test/h/", "https://rp.test/h/"),
    (Name::TimeZone, "Europe/Berlin", "Europe/Berlin"),
    (
        Name::Destination,
        "secure exception next-hop=[192.0.2.1]:2525 names=A.test,.b.test version=1.3",
        "secure version=1.3 names=a.test,.b.test next-hop=[192.0.2.1]:2525 exception",
    ),
    (
        Name::PoolAddresses,
        "hello=mx1.test 2001:db8::1, 192.0.2.1",
        "192.0.2.1 2001:db8::1 hello=mx1.test",
    ),
];

#[test]
fn what_is_shown_is_what_can_be_typed() {
    for (name, typed, shown) in TEXTS {
        let value = Value::parse(*name, typed).unwrap();
        assert_eq!(value.to_string(), *shown, "{name}");
        assert_eq!(Value::parse(*name, shown).unwrap(), value, "{name}");
    }
}

#[test]
fn nonsense_is_refused_with_what_can_be_given() {
    for (name, typed) in [
        (Name::SenderOwnership, "on"),
        (Name::Cleartext, "required"),
        (Name::TlsVersion, "1.1 enforce"),
        (Name::TlsVersion, "enforce"),
        (Name::LegacyAccess, "tls=1.0"),
        (Name::LegacyAccess, "until"),
        (Name::LegacyAccess, "until tls=1.0"),
        (Name::LegacyAccess, "until 2025-05-30 tls=1.2"),
        (Name::LegacyAccess, "until 2025-05-30 forever"),
        (Name::LegacyAccess, "off 2025-05-30"),
        (Name::OutboundTls, "off observe"),
        (Name::OutboundTls, "required sometimes"),
        (Name::InboundTls, "required [sometimes] text"),
        (Name::InboundTls, "required Ümlaut"),
        (Name::InboundTls, "required a\nb"),
        (Name::Weight, "0"),
        (Name::Priority, "10"),
        (Name::Delay, "22:00-22:00"),
        (Name::Delay, "24:00-01:00"),
        (Name::Delay, "m"),
        (Name::Delay, "99999999999999999999h"),
        (Name::Delay, "ü"),
        (Name::HoldBack, "7"),
        (Name::HoldBack, "60"),
        (Name::MessagesPerHour, "-1"),
        (Name::HeadersInbound, "drop X-A"),
        (Name::HelpUrl, "javascript:alert(1)/"),
        (Name::TimeZone, "Mars/Olympus"),
        (Name::Destination, "fingerprint"),
        (Name::Destination, "secure names=a..b"),
        (Name::Destination, "may next-hop=[192.0.2.1]x"),
        (Name::Destination, "may next-hop=a:0"),
        (Name::PoolAddresses, "192.0.2.300"),
        (Name::Pool, "two words"),
    ] {
        let text = Value::parse(name, typed).unwrap_err();
        assert!(text.len() > 20, "{name} {typed}: {text}");
    }
}

#[test]
fn every_name_is_found_by_its_word_and_has_its_place() {
    for (n, described) in NAMES.iter().enumerate() {
        assert_eq!(Name::from_word(described.word), Some(described.name));
        assert_eq!(described.name as usize, n);
        assert!(!described.syntax.is_empty() && described.says.ends_with('.'));
    }
}

#[test]
fn inbound_tls_is_for_whole_domains() {
    let text = Name::InboundTls
        .check_scope(ScopeKind::Account)
        .unwrap_err();
    assert!(
        text.contains("whole domain only") && text.contains("nur für ganze Domains"),
        "{text}"
    );
    assert!(Name::InboundTls.check_scope(ScopeKind::Domain).is_ok());
    assert!(Name::Weight.check_scope(ScopeKind::Account).is_err());
}

mod any_text {
    use super::*;
    use proptest::prelude::*;

    const WORDS: &[&str] = &[
        "off",
        "observe",
        "warn",
        "enforce",
        "2025-03-05",
        "2025-03-28T02:30",
        "9999-12-31",
        "canary=10%",
        "paused=warn",
        ";",
        ",",
        "1.2",
        "1.3",
        "required",
        "authenticated",
        "[",
        "]",
        "until",
        "tls=1.1",
        "cleartext",
        "forbidden",
        "ü",
        "\0",
        "2025-02-30",
        "T",
        "-",
    ];

    proptest! {
        #[test]
        fn is_refused_or_shown_as_it_can_be_typed(
            words in prop::collection::vec((0..WORDS.len(), "[ \t]{0,1}"), 0..8),
            name in 0..NAMES.len(),
        ) {
            let name = NAMES[name].name;
            let text: String = words.iter().map(|(n, gap)| format!("{}{gap}", WORDS[*n])).collect();
            if let Ok(value) = Value::parse(name, &text) {
                let shown = value.to_string();
                prop_assert_eq!(Value::parse(name, &shown), Ok(value), "{}", shown);
            }
        }
    }
}
