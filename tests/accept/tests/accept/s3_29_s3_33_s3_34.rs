//! S3-29: fields that tell where a sender sits do not leave. S3-33: the first, n-th, last or all of a
//! name are removed, in and out. S3-34: add, replace, prepend, rename, before signing; protected
//! fields warn.

use harness::dns::Signing;
use harness::sink::{Behaviour, Mail, StartTls};
use harness::{Lab, Letter, Lines};

const TELLING: [&str; 8] = [
    "X-Originating-IP: [203.0.113.7]",
    "X-Client-IP: 203.0.113.7",
    "X-Sender-IP: 203.0.113.7",
    "X-Forwarded-For: 203.0.113.7",
    "X-Forwarded-Host: annas-pc",
    "X-Source-IP: 203.0.113.7",
    "X-Source-Args: /home/anna",
    "X-PHP-Originating-Script: 1000:mail.php",
];

fn far(lab: &Lab) -> harness::Sink {
    lab.domain(
        "far.test",
        Signing::Unsigned,
        Behaviour::start_tls(StartTls::None),
    )
}

fn sent(lab: &Lab, sink: &harness::Sink, fields: &[&str]) -> Mail {
    let before = sink.mails().len();
    let mut letter = Letter::new("anna", "box@far.test", "header");
    for field in fields {
        letter = letter.field(field);
    }
    let reply = lab.submit(&letter);
    assert!(reply.starts_with("250"), "{reply}");
    sink.wait_mails(before + 1).remove(before)
}

fn has(mail: &Mail, start: &str) -> usize {
    let text = mail.text();
    let header = text.split("\r\n\r\n").next().unwrap_or_default();
    header
        .lines()
        .filter(|line| line.starts_with(start))
        .count()
}

#[test]
fn what_tells_where_a_sender_sits_does_not_leave() {
    let lab = Lab::start();
    let sink = far(&lab);
    let mail = sent(&lab, &sink, &TELLING);
    for field in TELLING {
        let name = field.split(':').next().unwrap_or_default();
        assert_eq!(has(&mail, name), 0, "{}", mail.text());
    }
    assert!(!mail.text().contains("203.0.113.7") && !mail.text().contains("annas-pc"));
    // The mail program's name stays unless it is asked for.
    assert_eq!(
        has(&sent(&lab, &sink, &["User-Agent: M/1"]), "User-Agent"),
        1
    );
    lab.policy("firma.test", "strip-mail-program", "on");
    assert_eq!(
        has(
            &sent(&lab, &sink, &["User-Agent: M/1", "X-Mailer: M"]),
            "User-Agent"
        ),
        0
    );
    lab.policy("firma.test", "strip-origin", "off");
    assert_eq!(
        has(&sent(&lab, &sink, &TELLING[..1]), "X-Originating-IP"),
        1
    );
}

#[test]
fn the_first_of_two_is_removed_on_the_way_out_and_in() {
    let lab = Lab::start();
    let sink = far(&lab);
    lab.policy("firma.test", "headers-outbound", "remove first X-Mark");
    let mail = sent(&lab, &sink, &["X-Mark: upper", "X-Mark: lower"]);
    assert_eq!(
        (has(&mail, "X-Mark: upper"), has(&mail, "X-Mark: lower")),
        (0, 1)
    );
    lab.policy(
        "firma.test",
        "headers-inbound",
        "remove first X-Originating-IP",
    );
    let mut smtp = Lines::clear(lab.server.port("smtp"));
    smtp.smtp();
    for command in [
        "EHLO mx.far.test",
        "MAIL FROM:<x@far.test>",
        "RCPT TO:<anna@firma.test>",
        "DATA",
    ] {
        let reply = smtp.smtp_ask(command);
        assert!(reply.starts_with(['2', '3']), "{reply}");
    }
    smtp.smtp_ask(
        "From: x@far.test\r\nX-Originating-IP: upper\r\nX-Originating-IP: lower\r\n\r\ninbound\r\n.",
    );
    let text = lab.wait_inbox("anna", &["inbound"]);
    assert!(
        text.contains("X-Originating-IP: lower") && !text.contains("upper"),
        "{text}"
    );
}

#[test]
fn other_fields_are_changed_before_signing() {
    let lab = super::s0_14::lab();
    let sink = far(&lab);
    lab.cli(&[
        "policy",
        "set",
        "firma.test",
        "headers-outbound",
        "replace all Organization: Firma GmbH",
        "rename all X-Old X-New",
        "replace all Subject: Vom Haus",
        "add X-Last: yes",
        "prepend X-First: yes",
    ]);
    let mail = sent(
        &lab,
        &sink,
        &["Organization: Garage", "X-Old:  1\r\n\t folded"],
    );
    for expected in [
        "Organization: Firma GmbH",
        "X-New:  1",
        "Subject: Vom Haus",
        "X-Last: yes",
        "X-First: yes",
    ] {
        assert_eq!(has(&mail, expected), 1, "{expected}: {}", mail.text());
    }
    assert!(!mail.text().contains("Garage") && mail.text().contains("X-New:  1\r\n\t folded\r\n"));
    super::s0_14::signed_for(&lab, &mail, "firma.test");
}

#[test]
fn protected_fields_warn() {
    let lab = Lab::start();
    for (action, warns) in [
        ("remove first Received", true),
        ("remove all ARC-*", true),
        ("remove all X-A", false),
    ] {
        let set = ["policy", "set", "firma.test", "headers-outbound", action];
        let (ok, output, errors) = lab.server.cli(&set);
        assert!(ok, "{errors}");
        let said = format!("{output}{errors}");
        let names = said.contains("Received") || said.contains("ARC-Seal");
        assert_eq!(names, warns, "{action}: {said}");
    }
}
