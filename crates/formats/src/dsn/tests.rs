//! Tests of delivery status notices: read back with our own scanner, and hostile inputs.

use proptest::prelude::*;

use super::*;
use crate::message::{Facts, Part, PartKind};
use crate::transfer::Decoder;

fn address(text: &str) -> Address {
    Address::parse(text).expect(text)
}

fn body(message: &[u8], part: Part<'_>) -> String {
    let body = part.body();
    let mut decoder = Decoder::new(part.encoding());
    let mut out = Vec::new();
    decoder.push(&message[body.start as usize..body.end as usize], &mut out);
    decoder.finish(&mut out);
    String::from_utf8(out).expect("UTF-8")
}

const ORIGINAL: &[u8] =
    b"From: anna@firma.test\r\nMessage-ID: <1@firma.test>\r\nSubject: x\r\n\r\nHello\nthere\r";

fn recipient(address: &Address) -> Recipient<'_> {
    Recipient {
        address,
        original: Some("rfc822;Bernd@x.test"),
        action: Action::Failed,
        reason: Reason::Status,
        status: "5.1.1",
        remote_mta: Some("mx.x.test"),
        diagnostic: Some("550 5.1.1 no such user"),
        own_reason: None,
        last_attempt_ms: Some(0),
        retry_until_ms: Some(86_400_000),
    }
}

fn build_for(to: &Address, recipients: &[Recipient<'_>], returned: Returned<'_>) -> Vec<u8> {
    build(&Notice {
        reporting_mta: "mail.firma.test",
        from: &address("postmaster@firma.test"),
        to,
        unix_ms: 837_596_665_000,
        token: "abc123",
        envelope_id: Some("QQ 314159"),
        arrived_ms: 837_596_000_000,
        recipients,
        returned,
        first: Language::German,
        help: Some("https://help.firma.test"),
    })
}

#[test]
fn a_failure_tells_people_and_programs() {
    let (anna, bernd) = (address("anna@firma.test"), address("bernd@x.test"));
    let notice = build_for(&anna, &[recipient(&bernd)], Returned::Message(ORIGINAL));
    let facts = Facts::scan(&notice);
    assert!(!facts.marks().bare_cr && !facts.marks().bare_lf && !facts.marks().eight_bit);
    let root = facts.root();
    assert_eq!(
        (root.media_type(), root.subtype()),
        (&b"multipart"[..], &b"report"[..])
    );
    assert_eq!(root.param("report-type"), Some(&b"delivery-status"[..]));
    let header = &notice[..facts.header_bytes() as usize];
    for (name, value) in [
        ("From", "Mail Delivery System <postmaster@firma.test>"),
        ("To", "<anna@firma.test>"),
        ("Auto-Submitted", "auto-replied"),
        ("Message-ID", "<abc123@mail.firma.test>"),
        ("In-Reply-To", "<1@firma.test>"),
        ("Date", "Wed, 17 Jul 1996 09:44:25 +0000"),
    ] {
        let field = header::find(header, name).expect(name);
        assert_eq!(&*field.value(), value.as_bytes());
    }
    let parts: Vec<_> = root.children().collect();
    let types: Vec<_> = parts.iter().map(|part| part.subtype()).collect();
    assert_eq!(types, [&b"plain"[..], b"delivery-status", b"rfc822"]);
    let text = body(&notice, parts[0]);
    for line in [
        "Empfänger: bernd@x.test\r\nWas geschehen ist: Diese Adresse gibt es beim Anbieter des Empfängers nicht.\r\nWer am Zug ist: Sie selbst.\r\n",
        "Whose move it is: Yours.\r\n",
        "Answer of mx.x.test: 550 5.1.1 no such user\r\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert_eq!(
        body(&notice, parts[1]),
        "Original-Envelope-Id: QQ 314159\r\nReporting-MTA: dns; mail.firma.test\r\nArrival-Date: Wed, 17 Jul 1996 09:33:20 +0000\r\n\r\nOriginal-Recipient: rfc822; Bernd@x.test\r\nFinal-Recipient: rfc822; bernd@x.test\r\nAction: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.x.test\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\nLast-Attempt-Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"
    );
    assert_eq!(parts[2].kind(), PartKind::Message);
    let returned = body(&notice, parts[2]);
    assert_eq!(
        returned,
        String::from_utf8_lossy(ORIGINAL).replace("Hello\nthere\r", "Hello\r\nthere\r\n")
    );
}

#[test]
fn headers_alone_go_back_without_the_body() {
    let (anna, bernd) = (address("anna@firma.test"), address("bernd@x.test"));
    let notice = build_for(&anna, &[recipient(&bernd)], Returned::Headers(ORIGINAL));
    let facts = Facts::scan(&notice);
    let last = facts.root().children().last().expect("a part");
    assert_eq!(last.subtype(), b"rfc822-headers");
    assert!(body(&notice, last).ends_with("Subject: x\r\n\r\n"));
}

#[test]
fn a_delay_says_until_when() {
    let (anna, bernd) = (address("anna@firma.test"), address("bernd@x.test"));
    let delayed = Recipient {
        action: Action::Delayed,
        status: "4.4.1",
        ..recipient(&bernd)
    };
    let notice = build_for(&anna, &[delayed], Returned::Headers(ORIGINAL));
    let facts = Facts::scan(&notice);
    let parts: Vec<_> = facts.root().children().collect();
    assert!(
        body(&notice, parts[0]).contains("We keep trying until: 2 January 1970, 00:00 UTC\r\n")
    );
    assert!(
        body(&notice, parts[0])
            .contains("Wir versuchen es bis: 2. Januar 1970, 00:00 Uhr (UTC)\r\n")
    );
    assert!(body(&notice, parts[1]).contains("Action: delayed\r\nStatus: 4.4.1\r\n"));
    assert!(body(&notice, parts[1]).contains("Will-Retry-Until: Fri, 02 Jan 1970"));
}

#[test]
fn addresses_beyond_ascii_take_the_forms_of_rfc_6533() {
    let (anna, jorg) = (address("anna@firma.test"), address("jörg+x@müller.test"));
    let utf8 = Recipient {
        original: None,
        ..recipient(&jorg)
    };
    let original = "Subject: ä\r\n\r\nx".as_bytes();
    let ascii = build_for(
        &anna,
        std::slice::from_ref(&utf8),
        Returned::Headers(ORIGINAL),
    );
    let facts = Facts::scan(&ascii);
    let status = facts.root().children().nth(1).expect("a part");
    assert!(!facts.marks().eight_bit);
    assert!(
        body(&ascii, status)
            .contains("Final-Recipient: utf-8; j\\x{F6}rg\\x{2B}x@m\\x{FC}ller.test\r\n")
    );

    let global = build_for(&jorg, &[utf8], Returned::Message(original));
    let facts = Facts::scan(&global);
    let parts: Vec<_> = facts.root().children().collect();
    assert_eq!(parts[1].subtype(), b"global-delivery-status");
    assert!(body(&global, parts[1]).contains("Final-Recipient: utf-8; jörg+x@müller.test\r\n"));
    assert_eq!(
        (parts[2].subtype(), parts[2].kind()),
        (&b"global"[..], PartKind::Message)
    );
}

#[test]
fn an_answer_cannot_pass_for_our_own_words() {
    let (anna, bernd) = (address("anna@firma.test"), address("bernd@x.test"));
    let forged = Recipient {
        diagnostic: Some("550 no\r\nWhat you can do: pay"),
        ..recipient(&bernd)
    };
    let notice = build_for(&anna, &[forged], Returned::Headers(ORIGINAL));
    let facts = Facts::scan(&notice);
    let text = body(&notice, facts.root().children().next().expect("a part"));
    assert!(text.contains("550 no  What you can do: pay\r\n"), "{text}");
}

#[test]
fn every_status_has_an_explanation() {
    for subject in 0..9 {
        for detail in 0..40 {
            for action in [
                Action::Failed,
                Action::Delayed,
                Action::Delivered,
                Action::Relayed,
                Action::Expanded,
            ] {
                for reason in [
                    Reason::Status,
                    Reason::MandatoryTls,
                    Reason::RecipientTls,
                    Reason::RequireTls,
                ] {
                    let status = format!("5.{subject}.{detail}");
                    let both = advice::advice(action, reason, &status);
                    for advice in [both.german, both.english] {
                        assert!(advice.what.ends_with('.') && advice.what_to_do.ends_with('.'));
                    }
                }
            }
        }
    }
}

#[test]
fn mandatory_tls_lists_the_options_with_links_in_both_languages() {
    let (anna, bernd) = (address("anna@firma.test"), address("bernd@x.test"));
    let late = Recipient {
        action: Action::Delayed,
        reason: Reason::MandatoryTls,
        status: "4.7.5",
        diagnostic: None,
        own_reason: Some("4.7.5 mx.x.test offers no TLS"),
        ..recipient(&bernd)
    };
    let notice = build_for(&anna, &[late], Returned::Headers(ORIGINAL));
    let facts = Facts::scan(&notice);
    let parts: Vec<_> = facts.root().children().collect();
    let text = body(&notice, parts[0]);
    for line in [
        "keine sichere verschlüsselte Verbindung",
        "Technischer Grund: 4.7.5 mx.x.test offers no TLS",
        "Ihre Möglichkeiten:",
        "Ausnahme nur für die Domain x.test",
        "geschützten Web-Link",
        "auf anderem Weg",
        "no secure encryption",
        "Your options:",
        "https://help.firma.test/mandatory-tls/off\r\n",
        "https://help.firma.test/mandatory-tls/exception\r\n",
        "https://help.firma.test/mandatory-tls/web-link\r\n",
    ] {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
    assert!(text.find("Empfänger") < text.find("Recipient"));
    assert!(body(&notice, parts[1]).contains("Status: 4.7.5\r\n"));
}

#[test]
fn our_own_notices_read_back() {
    let (anna, jorg) = (address("anna@firma.test"), address("jörg@x.test"));
    let notice = build_for(&anna, &[recipient(&jorg)], Returned::Message(ORIGINAL));
    let read = report::parse(&notice, &Facts::scan(&notice)).expect("a notice");
    assert_eq!(read.reporting_mta.as_deref(), Some("mail.firma.test"));
    assert_eq!(read.envelope_id.as_deref(), Some("QQ 314159"));
    assert_eq!(read.message_id.as_deref(), Some("<1@firma.test>"));
    assert_eq!(read.recipients[0].address, "jörg@x.test");
    assert_eq!(read.recipients[0].original.as_deref(), Some("Bernd@x.test"));
    assert_eq!(read.recipients[0].status, "5.1.1");
}

proptest! {
    #[test]
    fn any_bytes_can_be_read_as_a_notice(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = report::parse_status(&bytes);
    }

    #[test]
    fn nothing_is_injected(
        foreign in "(\r\n|\n|\r|[ -~]|ä|Bcc: x|--=_abc123){0,30}",
        long in "[ -~]{0,3000}",
        original in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let (anna, bernd) = (address("anna@firma.test"), address("bernd@x.test"));
        let hostile = Recipient {
            original: Some(&foreign),
            status: &foreign,
            remote_mta: Some(&foreign),
            diagnostic: Some(&long),
            own_reason: Some(&foreign),
            ..recipient(&bernd)
        };
        let hostile = [hostile, Recipient { diagnostic: Some(&foreign), ..recipient(&bernd) }];
        let notice = build(&Notice {
            reporting_mta: &foreign,
            from: &bernd,
            to: &anna,
            unix_ms: i64::MAX,
            token: &long,
            envelope_id: Some(&foreign),
            arrived_ms: i64::MIN,
            recipients: &hostile,
            returned: Returned::Headers(&original),
            first: Language::English,
            help: Some(&foreign),
        });
        let _ = report::parse(&notice, &Facts::scan(&notice));
        let facts = Facts::scan(&notice);
        prop_assert!(!facts.marks().bare_cr && !facts.marks().bare_lf);
        prop_assert_eq!(facts.root().children().count(), 3);
        let header = &notice[..facts.header_bytes() as usize];
        prop_assert!(header::find(header, "Bcc").is_none());
        let status = facts.root().children().nth(1).expect("a part").body();
        let status = &notice[status.start as usize..status.end as usize];
        prop_assert!(status.is_ascii());
        prop_assert_eq!(status.windows(4).filter(|end| end == b"\r\n\r\n").count(), 2);
        prop_assert!(status.split(|&byte| byte == b'\n').all(|line| line.len() <= 999));
    }
}
