//! N-E1, loops: a forward carries the mark of the address it went through; when it comes back it is
//! refused at once instead of after a hundred rounds.

use harness::dns::Signing;
use harness::sink::{Behaviour, StartTls};
use harness::{Lab, Lines};

fn deliver(lab: &Lab, to: &str, message: &str) -> String {
    let mut smtp = Lines::clear(lab.server.port("smtp"));
    smtp.smtp();
    for command in [
        "EHLO mx.far.test",
        "MAIL FROM:<author@far.test>",
        &format!("RCPT TO:<{to}>"),
        "DATA",
    ] {
        let reply = smtp.smtp_ask(command);
        assert!(reply.starts_with(['2', '3']), "{command}: {reply}");
    }
    smtp.smtp_ask(&format!("{message}\r\n."))
}

#[test]
fn a_circle_ends_in_its_first_round() {
    let lab = Lab::start();
    let far = lab.domain(
        "far.test",
        Signing::Unsigned,
        Behaviour::start_tls(StartTls::None),
    );
    lab.cli(&[
        "alias",
        "add",
        "weiter@firma.test",
        "box@far.test",
        "anna@firma.test",
    ]);
    let reply = deliver(
        &lab,
        "weiter@firma.test",
        "From: author@far.test\r\nSubject: round\r\n\r\nx",
    );
    assert!(reply.starts_with("250"), "{reply}");
    let forwarded = far.wait_mails(1).remove(0).text();
    assert!(
        forwarded.contains("Delivered-To: weiter@firma.test\r\n"),
        "{forwarded}"
    );
    assert!(!forwarded.contains("for <box@far.test>"), "{forwarded}");
    // The copy that stays has one Delivered-To, its own.
    let kept = lab.wait_inbox("anna", &["round"]);
    assert_eq!(kept.matches("Delivered-To:").count(), 1, "{kept}");
    let reply = deliver(&lab, "weiter@firma.test", forwarded.trim_end());
    assert!(reply.starts_with("554 5.4.6 "), "{reply}");
    // Anywhere else it may still go.
    let reply = deliver(&lab, "bernd@firma.test", forwarded.trim_end());
    assert!(reply.starts_with("250"), "{reply}");
}
