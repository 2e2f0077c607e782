//! S3-76: a domain takes mail over TLS only and says so in its own words, at RCPT. S4-07: where it has
//! none, in both languages, in lines of at most 512 octets, with the place to read on. S4-13: the
//! securemx refuses MAIL before TLS; the ordinary MX is no way round.

use harness::{Lab, Lines};

const TEXT: &str = "Accepting only secure delivery (STARTTLS) for firma.test";

fn require_tls(lab: &Lab, value: &str) {
    let set = [
        "policy",
        "set",
        "firma.test",
        "inbound-tls",
        value,
        "--consent-by",
        "Anna Muster",
        "--consent-text",
        "2026-11",
    ];
    lab.cli(&set);
}

fn mx(lab: &Lab, port: &str) -> Lines {
    let mut smtp = Lines::clear(lab.server.port(port));
    smtp.smtp();
    smtp.smtp_ask("EHLO mx.far.test");
    smtp
}

fn in_tls(lab: &Lab, port: &str) -> Lines {
    let mut smtp = mx(lab, port);
    assert!(smtp.smtp_ask("STARTTLS").starts_with("220"));
    let mut smtp = smtp.start_tls(&lab.server.ca_file());
    smtp.smtp_ask("EHLO mx.far.test");
    smtp
}

fn takes(smtp: &mut Lines, to: &str) {
    for command in [
        &format!("RCPT TO:<{to}>"),
        "DATA",
        "From: x@far.test\r\n\r\nx\r\n.",
    ] {
        let reply = smtp.smtp_ask(command);
        assert!(reply.starts_with(['2', '3']), "{command}: {reply}");
    }
}

#[test]
fn the_domains_own_text_stands_at_rcpt_and_others_are_not_touched() {
    let lab = Lab::start();
    require_tls(&lab, &format!("required {TEXT}"));
    let mut smtp = mx(&lab, "smtp");
    assert!(smtp.smtp_ask("MAIL FROM:<x@far.test>").starts_with("250"));
    let refused = smtp.smtp_ask("RCPT TO:<anna@firma.test>");
    assert_eq!(refused, format!("550 5.7.10 {TEXT}"));
    takes(&mut smtp, "carla@privat.test");
    let mut smtp = in_tls(&lab, "smtp");
    assert!(smtp.smtp_ask("MAIL FROM:<x@far.test>").starts_with("250"));
    takes(&mut smtp, "anna@firma.test");
    // Customers submit over TLS anyway.
    lab.send("carla", "anna@firma.test", "from inside");
    assert_eq!(lab.inbox("anna").len(), 2);
}

#[test]
fn without_a_text_of_its_own_it_is_told_in_two_languages() {
    let lab = Lab::start();
    lab.cli(&[
        "policy",
        "set",
        "installation",
        "help-url",
        "https://mx.rp.test/h/",
    ]);
    require_tls(&lab, "required");
    let mut smtp = mx(&lab, "smtp");
    smtp.smtp_ask("MAIL FROM:<x@far.test>");
    let reply = smtp.smtp_ask("RCPT TO:<anna@firma.test>");
    for line in reply.lines() {
        assert!(
            line.starts_with("550") && line.contains("5.7.10"),
            "{reply}"
        );
        assert!(line.len() + 2 <= 512 && line.is_ascii(), "{line}");
        assert!(line.contains("https://mx.rp.test/h/tls"), "{line}");
    }
    assert!(
        reply.contains("over TLS only") && reply.contains("nur ueber TLS"),
        "{reply}"
    );
}

#[test]
fn the_securemx_takes_no_mail_before_tls() {
    let lab = Lab::start();
    require_tls(&lab, "required");
    let mut smtp = mx(&lab, "securemx");
    for _ in 0..2 {
        let reply = smtp.smtp_ask("MAIL FROM:<x@far.test>");
        assert_eq!(reply, "530 5.7.0 Must issue a STARTTLS command first");
    }
    let mut smtp = in_tls(&lab, "securemx");
    assert!(smtp.smtp_ask("MAIL FROM:<x@far.test>").starts_with("250"));
    takes(&mut smtp, "anna@firma.test");
    let mut smtp = mx(&lab, "smtp");
    smtp.smtp_ask("MAIL FROM:<x@far.test>");
    let reply = smtp.smtp_ask("RCPT TO:<anna@firma.test>");
    assert!(reply.starts_with("550-5.7.10"), "{reply}");
}
