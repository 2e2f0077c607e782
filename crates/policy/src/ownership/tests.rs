//! Checks of reading and ruling: every way a sender can be forged that S0-09 names, and what must pass.

use super::*;
use proptest::prelude::*;

const HELP: Help<'_> = Help {
    login: "anna@firma.test",
    url: "https://mx.firma.test/h/",
};

fn standing(address: &Address) -> Standing {
    match (address.local(), address.domain()) {
        ("anna" | "info", "firma.test") => Standing::Owned,
        (_, "firma.test") => Standing::Hosted,
        (_, domain) => match resembled_domain(domain) {
            Some(other) if other.as_str() == "firma.test" => Standing::LooksLikeOurs,
            _ => Standing::Foreign,
        },
    }
}

fn objection(fields: &str, null_sender: Option<Nature>) -> Option<Objection> {
    let claims = read(format!("Subject: x\r\n{fields}").as_bytes());
    let standings: Vec<Standing> = claims.as_ref().map_or_else(
        |_| Vec::new(),
        |claims| {
            claims
                .claims
                .iter()
                .map(|claim| standing(&claim.address))
                .collect()
        },
    );
    header(
        &HeaderFacts {
            claims: claims.as_ref().map_err(|fault| *fault),
            standings: &standings,
            null_sender,
        },
        HELP,
    )
}

fn reason(fields: &str) -> &'static str {
    objection(fields, None).map_or("", |objection| objection.reason)
}

#[test]
fn own_senders_pass_however_they_are_written() {
    for from in [
        "From: anna@firma.test\r\n",
        "From: Anna <anna@firma.test>\r\n",
        "From: \"Müller, Anna\" <anna@firma.test> (Vertrieb)\r\n",
        "FROM :=?utf-8?q?M=C3=BCller?=\r\n <INFO@Firma.Test>\r\n",
        "From: (a (nested) comment) anna@firma.test\r\n",
        "From: Dr. A. Müller <anna@firma.test>\r\n",
        "From: \"anna\"@firma.test\r\n",
        "From: \"anna@firma.test\" <anna@firma.test>\r\n",
        "From: \"kunde@elsewhere.test via Formular\" <anna@firma.test>\r\n",
        "From: anna@firma.test\r\nSender: info@firma.test\r\n",
        "From: anna@firma.test, info@firma.test\r\nSender: anna@firma.test\r\n",
        "From: anna@firma.test\r\nResent-From: info@firma.test\r\nResent-From: anna@firma.test\r\n",
    ] {
        let expected = if from.contains("INFO") {
            "sender-of-others"
        } else {
            ""
        };
        // The model above knows lower case only; the directory folds case itself.
        assert_eq!(reason(from), expected, "{from}");
    }
}

#[test]
fn senders_of_others_are_objected_to_in_every_place() {
    for (fields, expected) in [
        ("From: chef@firma.test\r\n", "sender-of-others"),
        ("From: x@elsewhere.test\r\n", "sender-elsewhere"),
        (
            "From: anna@firma.test\r\nSender: chef@firma.test\r\n",
            "sender-of-others",
        ),
        (
            "From: anna@firma.test\r\nResent-From: chef@firma.test\r\n",
            "sender-of-others",
        ),
        (
            "From: anna@firma.test\r\nResent-From: anna@firma.test\r\nResent-From: x@y.test\r\n",
            "sender-elsewhere",
        ),
        (
            "From: anna@firma.test\r\nResent-Sender: x@y.test\r\n",
            "sender-elsewhere",
        ),
    ] {
        assert_eq!(reason(fields), expected, "{fields}");
    }
}

#[test]
fn several_authors_need_to_be_owned_and_a_sender() {
    for (fields, expected) in [
        ("From: <chef@firma.test>,<x@y>\r\n", "sender-of-others"),
        (
            "From: <anna@firma.test>,<x@y>\r\nSender: anna@firma.test\r\n",
            "sender-elsewhere",
        ),
        (
            "From: anna@firma.test, info@firma.test\r\n",
            "authors-without-sender",
        ),
        (
            "From: anna@firma.test, info@firma.test\r\nSender: chef@firma.test\r\n",
            "sender-of-others",
        ),
    ] {
        assert_eq!(reason(fields), expected, "{fields}");
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_objected_to() {
    for (fields, expected) in [
        ("", "no-from"),
        ("From:\r\n", "no-from"),
        ("From: (nobody)\r\n", "no-from"),
        ("From: <>\r\n", "sender-unreadable"),
        (
            "From: anna@firma.test\r\nfrom: chef@firma.test\r\n",
            "sender-field-twice",
        ),
        (
            "From: anna@firma.test\r\nSender: anna@firma.test\r\nSender: anna@firma.test\r\n",
            "sender-field-twice",
        ),
        ("From: Vorstand: chef@firma.test;\r\n", "sender-group"),
        ("From: undisclosed:;\r\n", "sender-group"),
        (
            "From: <anna@firma.test> <chef@firma.test>\r\n",
            "sender-unreadable",
        ),
        (
            "From: <anna@firma.test> chef@firma.test\r\n",
            "sender-unreadable",
        ),
        (
            "From: chef@firma.test <anna@firma.test>\r\n",
            "sender-unreadable",
        ),
        (
            "From: Müller, Anna <anna@firma.test>\r\n",
            "sender-unreadable",
        ),
        ("From: <@x.test:anna@firma.test>\r\n", "sender-unreadable"),
        ("From: anna@firma.test,\r\n", "sender-unreadable"),
        ("From: \"anna@firma.test\r\n", "sender-unreadable"),
        ("From: (anna@firma.test\r\n", "sender-unreadable"),
        ("From: anna\0@firma.test\r\n", "sender-unreadable"),
        ("From: anna\r\n", "sender-unreadable"),
        ("From: anna@firma.test\r\nSender:\r\n", "sender-unreadable"),
        (
            "From: anna@firma.test\r\nSender: anna@firma.test, info@firma.test\r\n",
            "sender-unreadable",
        ),
    ] {
        assert_eq!(reason(fields), expected, "{fields:?}");
    }
    let many = vec!["anna@firma.test"; CLAIMS_MAX + 1].join(", ");
    assert_eq!(
        reason(&format!("From: {many}\r\nSender: anna@firma.test\r\n")),
        "sender-too-many"
    );
}

#[test]
fn names_that_read_like_an_address_of_ours_are_objected_to() {
    for (fields, expected) in [
        (
            "From: \"chef@firma.test\" <anna@firma.test>\r\n",
            "sender-shown",
        ),
        (
            "From: =?utf-8?q?chef=40firma=2Etest?= <anna@firma.test>\r\n",
            "sender-shown",
        ),
        (
            "From: =?utf-8?b?Y2hlZkBmaXJtYS50ZXN0?= <anna@firma.test>\r\n",
            "sender-shown",
        ),
        (
            "From: anna@firma.test (chef@firma.test)\r\n",
            "sender-shown",
        ),
        (
            "From: \"Chef (chef@firma.test)\" <anna@firma.test>\r\n",
            "sender-shown",
        ),
        // Cyrillic and full width letters.
        (
            "From: \"chef@f\u{456}rma.test\" <anna@firma.test>\r\n",
            "sender-shown",
        ),
        (
            "From: \"chef\u{ff20}firma.test\" <anna@firma.test>\r\n",
            "sender-shown",
        ),
        // What stands around an address is not part of it, and what nobody sees is not there.
        (
            "From: \"\u{201e}chef@firma.test\u{201c}\" <anna@firma.test>\r\n",
            "sender-shown",
        ),
        (
            "From: \"\u{2709}chef@firma.test\u{2026}\" <anna@firma.test>\r\n",
            "sender-shown",
        ),
        (
            "From: \"chef\u{200b}@fir\u{ad}ma.test\" <anna@firma.test>\r\n",
            "sender-shown",
        ),
        (
            "From: \"chef@firma\u{3002}test\" <anna@firma.test>\r\n",
            "sender-shown",
        ),
        (
            "From: \"chef@firma.test@x\" <anna@firma.test>\r\n",
            "sender-shown",
        ),
        (
            "From: \"'chef@firma.test'\" <anna@firma.test>\r\n",
            "sender-shown",
        ),
        (
            "From: \"\u{201e}anna@firma.test\u{201c}\" <anna@firma.test>\r\n",
            "",
        ),
        ("From: \"o'brien@elsewhere.test\" <anna@firma.test>\r\n", ""),
        ("From: \"Anna @ Firma\" <anna@firma.test>\r\n", ""),
        ("From: \"@work\" <anna@firma.test>\r\n", ""),
        ("From: \"@@@@\" <anna@firma.test>\r\n", ""),
    ] {
        assert_eq!(reason(fields), expected, "{fields}");
    }
}

#[test]
fn look_alikes_are_told_apart_from_other_domains() {
    for (domain, expected) in [
        ("f\u{456}rma.test", Some("firma.test")),
        ("fir\u{43c}a.test", None),
        ("firm\u{430}.test", Some("firma.test")),
        ("xn--frma-l9d.test", Some("firma.test")),
        ("müller.test", None),
        ("firma.test", None),
        ("straße.test", None),
    ] {
        let found = resembled_domain(domain);
        assert_eq!(
            found.as_ref().map(|name| name.as_str()),
            expected,
            "{domain}"
        );
    }
    assert_eq!(
        reason("From: chef@firm\u{430}.test\r\n"),
        "sender-lookalike"
    );
}

#[test]
fn an_empty_envelope_sender_is_for_automatic_mail() {
    let from = "From: anna@firma.test\r\n";
    assert_eq!(objection(from, Some(Nature::Automatic)), None);
    let personal = objection(from, Some(Nature::Personal)).map(|objection| objection.reason);
    assert_eq!(personal, Some("null-sender"));
    assert!(objection("From: chef@firma.test\r\n", Some(Nature::Automatic)).is_some());
}

#[test]
fn the_stage_decides() {
    let found = || objection("From: chef@firma.test\r\n", None);
    assert_eq!(at_stage(Stage::Off, found()), Ruling::Accept);
    assert!(matches!(at_stage(Stage::Observe, found()), Ruling::Note(_)));
    assert!(matches!(
        at_stage(Stage::Enforce, found()),
        Ruling::Refuse(_)
    ));
    assert_eq!(at_stage(Stage::Enforce, None), Ruling::Accept);
}

#[test]
fn every_text_is_in_both_languages_and_one_reply_line() {
    for fields in [
        "",
        "From: a@b.test, c@d.test\r\n",
        "From: anna@firma.test, info@firma.test\r\n",
        "From: anna@firma.test\r\nFrom: anna@firma.test\r\n",
        "From: x:;\r\n",
        "From: anna\r\n",
        "From: \"chef@firma.test\" <anna@firma.test>\r\n",
        "From: chef@firma.test\r\n",
        "From: anna@firma.test\r\n",
    ] {
        let told = objection(fields, Some(Nature::Personal)).expect("an objection");
        let german =
            told.text.contains("Absender nicht erlaubt: ") || told.text.contains("senden Sie");
        assert!(german && told.text.is_ascii(), "{}", told.text);
        assert!(told.text.len() < 480, "{}", told.text);
    }
}

#[test]
fn texts_say_what_happened_and_what_to_do() {
    let chef = Address::parse("chef@firma.test").expect("an address");
    let told = envelope(&chef, Standing::Hosted, HELP).expect("an objection");
    assert!(
        told.text.contains("chef@firma.test (envelope sender)"),
        "{}",
        told.text
    );
    assert!(
        told.text.contains("the login anna@firma.test"),
        "{}",
        told.text
    );
    assert!(
        told.text.ends_with("Help: https://mx.firma.test/h/sender"),
        "{}",
        told.text
    );
    assert!(
        told.text.is_ascii() && told.text.len() < 480,
        "{}",
        told.text
    );
    assert_eq!(told.used, "chef@firma.test");
    assert_eq!(envelope(&chef, Standing::Owned, HELP), None);
}

proptest! {
    #[test]
    fn never_panics(header in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&header);
        let _ = read(&[b"From: ", &header[..]].concat());
    }

    #[test]
    fn odd_lists_end(value in r#"[a-c@<>(),:;"\\ .=?]{0,60}"#) {
        let _ = read(format!("From: {value}\r\n").as_bytes());
    }
}
