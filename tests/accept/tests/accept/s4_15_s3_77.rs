//! S4-15: before mandatory TLS for outgoing mail is switched on, the recipients' domains are named that were
//! reached without it lately; S3-77: before it is required for incoming mail, the senders' domains.

use harness::dns::Signing;
use harness::sink::Behaviour;
use harness::{Lab, deliver};

#[test]
fn the_preview_names_recipients_that_lack_tls() {
    let lab = Lab::start();
    let clear = lab.domain("clear.test", Signing::Unsigned, Behaviour::default());
    let tls = Behaviour::tls(&lab.identity(&["mx.secure.test"]));
    let secure = lab.domain("secure.test", Signing::Unsigned, tls);
    lab.send("anna", "x@clear.test", "in clear");
    lab.send("bernd", "y@clear.test", "in clear");
    lab.send("anna", "x@secure.test", "over TLS");
    clear.wait_mails(2);
    secure.wait_mails(1);
    lab.wait_empty_queue();
    let preview = [
        "policy",
        "set",
        "firma.test",
        "outbound-tls",
        "required",
        "--preview",
    ];
    let told = lab.cli(&preview);
    let line = told.lines().find(|line| line.starts_with("clear.test "));
    let figures: Vec<_> = line.unwrap_or_default().split_whitespace().collect();
    assert_eq!(figures, ["clear.test", "2", "0", "2026-03-02"], "{told}");
    assert!(!told.contains("secure.test"), "{told}");
    assert!(told.ends_with("Nothing was changed.\n"), "{told}");
    let shown = lab.cli(&["policy", "show", "firma.test"]);
    let off = shown.lines().find(|line| line.starts_with("outbound-tls "));
    assert!(off.unwrap_or_default().contains("off"), "{shown}");
    // Switching it on shows the same first.
    let told = lab.cli(&preview[..5]);
    assert!(
        told.contains("clear.test") && told.contains("is now required"),
        "{told}"
    );
    lab.send("anna", "x@clear.test", "held");
    lab.wait_deferred("x@clear.test", 1);
    assert_eq!(clear.mails().len(), 2);
}

#[test]
fn the_preview_names_senders_that_would_be_refused() {
    let lab = Lab::start();
    let smtp = lab.server.port("smtp");
    for domain in ["one.test", "two.test", "three.test"] {
        let message = format!("From: x@{domain}\r\nSubject: in clear\r\n\r\nText\r\n");
        let reply = deliver(smtp, &format!("x@{domain}"), "anna@firma.test", &message);
        assert!(reply.starts_with("250"), "{reply}");
    }
    let preview = [
        "policy",
        "set",
        "firma.test",
        "inbound-tls",
        "required",
        "--preview",
    ];
    let told = lab.cli(&preview);
    for domain in ["one.test", "two.test", "three.test"] {
        assert!(
            told.lines()
                .any(|line| line.starts_with(&format!("{domain} "))),
            "{told}"
        );
    }
    assert!(told.contains("would be refused"), "{told}");
}
