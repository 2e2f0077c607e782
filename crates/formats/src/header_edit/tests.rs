//! Checks of the actions: exact bytes, order, and that nothing else is ever touched.

use super::*;
use crate::header::{self, LINE_BYTES_MAX};
use proptest::prelude::*;

fn action(text: &str) -> Action {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn edited(header: &str, actions: &[&str]) -> String {
    let actions: Vec<Action> = actions.iter().map(|text| action(text)).collect();
    String::from_utf8(apply(header.as_bytes(), &actions).into_owned()).expect("text")
}

const TWICE: &str = "A: 1\r\nX-Originating-IP: one\r\n\tfolded\r\nB : 2\r\nx-originating-ip:two\r\n\
                     no field\r\nX-ORIGINATING-IP: three\r\n\r\n";

#[test]
fn first_nth_last_and_all_are_counted_from_the_top() {
    for (which, left) in [
        ("first", ["two", "three"].as_slice()),
        ("2", &["one", "three"]),
        ("last", &["one", "two"]),
        ("all", &[]),
        ("4", &["one", "two", "three"]),
    ] {
        let text = edited(TWICE, &[&format!("remove {which} X-Originating-IP")]);
        for value in ["one", "two", "three"] {
            assert_eq!(
                text.contains(value),
                left.contains(&value),
                "{which}: {text}"
            );
        }
        assert!(
            text.starts_with("A: 1\r\n") && text.ends_with("\r\n\r\n"),
            "{text}"
        );
        assert!(
            text.contains("B : 2\r\n") && text.contains("no field\r\n"),
            "{text}"
        );
    }
    assert!(!edited(TWICE, &["remove first X-Originating-IP"]).contains("folded"));
}

#[test]
fn replacing_and_renaming_keep_the_place() {
    assert_eq!(
        edited("A: 1\r\nB: 2\r\n\t3\r\nC: 4\r\n", &["replace all b: neu"]),
        "A: 1\r\nB: neu\r\nC: 4\r\n"
    );
    assert_eq!(
        edited(
            "A: 1\r\nB :2\r\n\t 3\r\nB: 4\r\n",
            &["rename first B X-Old"]
        ),
        "A: 1\r\nX-Old:2\r\n\t 3\r\nB: 4\r\n"
    );
    assert_eq!(edited("A: 1\r\n", &["replace all B: x"]), "A: 1\r\n");
}

#[test]
fn fields_are_added_at_both_ends() {
    assert_eq!(
        edited("A: 1\r\n\r\n", &["add Z: 9", "prepend Y: 8"]),
        "Y: 8\r\nA: 1\r\nZ: 9\r\n\r\n"
    );
    assert_eq!(edited("", &["add Z: 9"]), "Z: 9\r\n");
    assert_eq!(edited("A: 1", &["add Z: 9"]), "A: 1\r\nZ: 9\r\n");
}

#[test]
fn actions_see_what_earlier_ones_left() {
    assert_eq!(
        edited(
            "A: 1\r\nA: 2\r\nA: 3\r\n",
            &["remove first A", "remove first A"]
        ),
        "A: 3\r\n"
    );
    assert_eq!(
        edited("A: 1\r\n", &["rename all A B", "replace all B: 2"]),
        "B: 2\r\n"
    );
}

#[test]
fn text_beyond_ascii_is_encoded() {
    let text = edited(
        "",
        &["add Subject: Grüße aus Köln, und noch viel mehr Text, der lang genug ist"],
    );
    assert!(text.is_ascii(), "{text}");
    let value = header::find(text.as_bytes(), "Subject")
        .expect("a field")
        .value()
        .into_owned();
    assert_eq!(
        header::decode_text(&value),
        "Grüße aus Köln, und noch viel mehr Text, der lang genug ist"
    );
}

#[test]
fn patterns_take_stars_anywhere() {
    for (pattern, name, expected) in [
        ("X-Forwarded-*", "x-forwarded-for", true),
        ("X-Forwarded-*", "X-Forwarded-", true),
        ("X-Forwarded-*", "X-Forwarded", false),
        ("X-PHP-*-Script", "X-PHP-Originating-Script", true),
        ("X-PHP-*-Script", "X-PHP-Script", false),
        ("*-Script", "X-Script-Script", true),
        ("a*b*c", "aXbYbZc", true),
        ("a*b*c", "aXcYb", false),
        ("Bcc", "Bcc-X", false),
        ("Bcc", "", false),
    ] {
        let parsed: NamePattern = pattern.parse().expect(pattern);
        assert_eq!(
            parsed.matches(name.as_bytes()),
            expected,
            "{pattern} {name}"
        );
    }
    for bad in ["", "*", "**", "a b", "a:", "ä", "*a*b*c*d*e"] {
        assert!(bad.parse::<NamePattern>().is_err(), "{bad}");
    }
    assert!("X-*".parse::<FieldName>().is_err());
}

#[test]
fn the_default_list_removes_what_tells_where_somebody_sits() {
    let header = "X-Originating-IP: [192.0.2.1]\r\nX-Client-IP: 1\r\nX-Sender-IP: 1\r\n\
                  X-Forwarded-For: 1\r\nX-Source-Args: 1\r\nX-PHP-Originating-Script: 1\r\n\
                  Subject: x\r\nUser-Agent: y\r\n";
    let kept = apply(header.as_bytes(), default_outbound());
    assert_eq!(&*kept, b"Subject: x\r\nUser-Agent: y\r\n");
    assert_eq!(&*apply(&kept, mail_programs()), b"Subject: x\r\n");
    let blind = apply(
        b"To: a\r\nBCC: b,\r\n c\r\nResent-Bcc: d\r\n",
        blind_copies(),
    );
    assert_eq!(&*blind, b"To: a\r\n");
    assert!(matches!(
        apply(b"Subject: x\r\n", default_outbound()),
        Cow::Borrowed(_)
    ));
}

#[test]
fn protected_fields_are_named() {
    for (text, expected) in [
        ("remove first Received", Some("Received")),
        ("remove all ARC-*", Some("ARC-Seal")),
        (
            "add Authentication-Results: x",
            Some("Authentication-Results"),
        ),
        ("rename all X-A DKIM-Signature", Some("DKIM-Signature")),
        ("remove all *s", Some("ARC-Authentication-Results")),
        ("remove all X-*", None),
        ("add X-Received: y", None),
    ] {
        assert_eq!(action(text).protected(), expected, "{text}");
    }
}

#[test]
fn what_is_typed_prints_back() {
    for text in [
        "remove first X-A",
        "remove 3 X-*",
        "replace last Subject: Neu: hier",
        "rename all X-A X-B",
        "add X-A: b",
        "prepend X-A: b",
    ] {
        assert_eq!(action(text).to_string(), text);
    }
    assert_eq!(action("remove X-A:"), action("remove all X-A"));
    for bad in [
        "",
        "drop X",
        "remove",
        "add X",
        "rename A",
        "replace all X",
        "add a b: c",
        "add X: a\nb",
    ] {
        assert!(bad.parse::<Action>().is_err(), "{bad}");
    }
}

fn any_action() -> impl Strategy<Value = Action> {
    let which = prop_oneof![
        Just("first".to_owned()),
        Just("last".to_owned()),
        Just("all".to_owned()),
        (1..4u8).prop_map(|n| n.to_string()),
    ];
    (0..5u8, which, "[AB]", "[AC]", "[a-zä ]{0,40}").prop_map(|(verb, which, name, to, value)| {
        action(&match verb {
            0 => format!("remove {which} {name}*"),
            1 => format!("replace {which} {name}: {value}"),
            2 => format!("rename {which} {name} {to}"),
            3 => format!("add {name}: {value}"),
            _ => format!("prepend {name}: {value}"),
        })
    })
}

proptest! {
    #[test]
    fn other_fields_keep_every_byte(
        header in "([ABXYZ ]{1,2}:?[ a-z]{0,9}(\r\n[ \t][a-z]{0,4}){0,2}\r\n){0,8}(\r\n)?",
        actions in proptest::collection::vec(any_action(), 0..5),
    ) {
        let is_other = |field: &header::Field<'_>| {
            !matches!(field.name.first(), Some(b'A' | b'B' | b'C'))
        };
        let others = |bytes: &[u8]| -> Vec<Vec<u8>> {
            fields(bytes)
                .filter(|field| is_other(field))
                .map(|field| bytes[field.start..field.end].to_vec())
                .collect()
        };
        let result = apply(header.as_bytes(), &actions);
        // A line of blanks at the head belongs to no field and is no continuation there.
        prop_assume!(!header.starts_with([' ', '\t']));
        prop_assert_eq!(others(&result), others(header.as_bytes()));
        let end = |bytes: &[u8]| fields(bytes).last().map_or(0, |field| field.end);
        prop_assert_eq!(&result[end(&result)..], &header.as_bytes()[end(header.as_bytes())..]);
        for line in result.split(|&byte| byte == b'\n') {
            prop_assert!(line.len() <= LINE_BYTES_MAX + 1);
        }
    }

    #[test]
    fn never_panics(header in proptest::collection::vec(any::<u8>(), 0..120), actions in proptest::collection::vec(any_action(), 0..4)) {
        let _ = apply(&header, &actions);
    }

    #[test]
    fn removing_all_leaves_none(header in "([ab]{1,2}: [a-z]{0,5}\r\n){0,9}") {
        let result = apply(header.as_bytes(), &[action("remove all a*")]).into_owned();
        prop_assert!(fields(&result).all(|field| !field.name.starts_with(b"a")));
    }
}
