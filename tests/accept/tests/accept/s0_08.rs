//! S0-08: who logged in sends only as addresses that are theirs: envelope, From, Sender, Resent-From.
//! Observing refuses nothing and writes down what it saw.

use harness::{Lab, Letter, Lines};

/// A conversation on which `account` is logged in.
pub(crate) fn logged_in(lab: &Lab, account: &str) -> Lines {
    let account = lab.server.account(account);
    let mut smtp = Lines::tls(lab.server.port("submissions"), &lab.server.ca_file());
    smtp.smtp();
    smtp.smtp_ask("EHLO client.test");
    let login = format!("\0{}\0{}", account.address, account.password);
    let login = harness::lines::base64(login.as_bytes());
    let reply = smtp.smtp_ask(&format!("AUTH PLAIN {login}"));
    assert!(reply.starts_with("235"), "{reply}");
    smtp
}

/// Sends one message from `envelope` to bernd with these header lines; the last reply.
pub(crate) fn send(smtp: &mut Lines, envelope: &str, header: &str) -> String {
    smtp.smtp_ask("RSET");
    for command in [
        &format!("MAIL FROM:<{envelope}>"),
        "RCPT TO:<bernd@firma.test>",
        "DATA",
    ] {
        let reply = smtp.smtp_ask(command);
        if !reply.starts_with(['2', '3']) {
            return reply;
        }
    }
    smtp.smtp_ask(&format!("{header}\r\nSubject: x\r\n\r\nx\r\n."))
}

#[test]
fn only_own_addresses_and_aliases_are_senders() {
    let lab = Lab::start();
    lab.cli(&[
        "policy",
        "set",
        "installation",
        "help-url",
        "https://mx.rp.test/h/",
    ]);
    let mut smtp = logged_in(&lab, "anna");
    for own in [
        "anna@firma.test",
        "info@firma.test",
        "A.Mueller@firma.test",
        "anna+shop@firma.test",
    ] {
        let reply = send(&mut smtp, own, &format!("From: {own}"));
        assert!(reply.starts_with("250"), "{own}: {reply}");
    }
    for other in [
        "fremd@other.test",
        "bernd@firma.test",
        "verkauf@firma.test",
        "carla@privat.test",
    ] {
        let reply = send(&mut smtp, other, "From: anna@firma.test");
        assert!(reply.starts_with("550 5.7.1 "), "{other}: {reply}");
        for field in ["From", "Sender", "Resent-From"] {
            let mut header = format!("{field}: {other}");
            if field != "From" {
                header.insert_str(0, "From: anna@firma.test\r\n");
            }
            let reply = send(&mut smtp, "anna@firma.test", &header);
            assert!(
                reply.starts_with("550 5.7.1 Sender not allowed"),
                "{header}: {reply}"
            );
            assert!(
                reply.contains(other) && reply.contains("https://mx.rp.test/h/sender"),
                "{reply}"
            );
        }
    }
    // Nothing of what was refused came in.
    assert_eq!(lab.inbox("bernd").len(), 4);
}

#[test]
fn observing_takes_the_mail_and_writes_it_down() {
    let lab = Lab::start();
    lab.policy("anna@firma.test", "sender-ownership", "observe");
    let mut smtp = logged_in(&lab, "anna");
    for _ in 0..3 {
        let reply = send(&mut smtp, "fremd@other.test", "From: chef@firma.test");
        assert!(reply.starts_with("250"), "{reply}");
    }
    assert_eq!(lab.inbox("bernd").len(), 3);
    lab.wait("findings", || {
        let found = lab.cli(&["findings"]);
        let seen = |sender: &str| {
            found
                .lines()
                .any(|line| line.contains(sender) && line.contains("anna@firma.test"))
        };
        (seen("fremd@other.test") && seen("chef@firma.test"))
            .then_some(())
            .ok_or(found)
    });
    // Others are held to it all the same.
    let mut smtp = logged_in(&lab, "carla");
    let reply = send(&mut smtp, "fremd@other.test", "From: carla@privat.test");
    assert!(reply.starts_with("550 5.7.1 "), "{reply}");
    lab.policy("anna@firma.test", "sender-ownership", "off");
    let reply =
        lab.submit(&Letter::new("anna", "bernd@firma.test", "off").field("Sender: a@b.test"));
    assert!(reply.starts_with("250"), "{reply}");
}
