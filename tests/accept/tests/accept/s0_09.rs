//! S0-09: tricks with names and addresses in From are refused: several authors, none, groups, two
//! fields, look-alikes, addresses in display names.

use super::s0_08::{logged_in, send};
use harness::Lab;

#[test]
fn several_authors_need_to_be_owned_and_a_sender() {
    let lab = Lab::start();
    let mut smtp = logged_in(&lab, "anna");
    for (header, expected) in [
        ("From: <chef@firma.test>,<x@y.test>", "550 5.7.1"),
        (
            "From: <anna@firma.test>,<x@y.test>\r\nSender: anna@firma.test",
            "550 5.7.1",
        ),
        ("From: anna@firma.test, info@firma.test", "550 5.7.1"),
        (
            "From: anna@firma.test, info@firma.test\r\nSender: bernd@firma.test",
            "550 5.7.1",
        ),
        (
            "From: anna@firma.test, info@firma.test\r\nSender: anna@firma.test",
            "250",
        ),
    ] {
        let reply = send(&mut smtp, "anna@firma.test", header);
        assert!(reply.starts_with(expected), "{header}: {reply}");
    }
}

#[test]
fn what_shows_another_sender_is_refused() {
    let lab = Lab::start();
    let mut smtp = logged_in(&lab, "anna");
    for header in [
        "To: x@y.test",
        "From:",
        "From: <>",
        "From: Vorstand: chef@firma.test;",
        "From: undisclosed:;",
        "From: anna@firma.test\r\nFrom: chef@firma.test",
        "From: <anna@firma.test> <chef@firma.test>",
        "From: chef@firma.test <anna@firma.test>",
        "From: \"chef@firma.test\" <anna@firma.test>",
        "From: =?utf-8?q?Chef_=3Cchef=40firma=2Etest=3E?= <anna@firma.test>",
        "From: anna@firma.test (bernd@firma.test)",
        // A Cyrillic letter in a domain that is hosted here.
        "From: \"chef@f\u{456}rma.test\" <anna@firma.test>",
        "From: chef@xn--frma-l9d.test",
    ] {
        let reply = send(&mut smtp, "anna@firma.test", header);
        assert!(reply.starts_with("550 5.7.1"), "{header}: {reply}");
    }
    for header in [
        "From: \"M\u{fc}ller, Anna\" <anna@firma.test> (Vertrieb)",
        "From: =?utf-8?q?M=C3=BCller?=\r\n <anna@firma.test>",
        "From: \"kunde@else.test\" <anna@firma.test>",
    ] {
        let reply = send(&mut smtp, "anna@firma.test", header);
        assert!(reply.starts_with("250"), "{header}: {reply}");
    }
}
