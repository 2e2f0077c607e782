//! S3-70: a listener has the mechanisms it is given. S3-75: and the ESMTP extensions that are not switched
//! off.

use harness::{Lab, Lines};

fn offers_in_tls(lab: &Lab, port: &str) -> String {
    let mut smtp = Lines::tls(lab.server.port(port), &lab.server.ca_file());
    smtp.smtp();
    smtp.smtp_ask("EHLO pc.test")
}

#[test]
fn a_listener_has_its_own_mechanisms() {
    let only = r#"["SCRAM-SHA-256", "PLAIN"]"#;
    let scram = r#"["SCRAM-SHA-256"]"#;
    let lab = Lab::start_with(&[
        ("listener.submissions.mechanisms", only),
        ("listener.imaps.mechanisms", scram),
        ("listener.pop3s.mechanisms", scram),
    ]);
    let offers = offers_in_tls(&lab, "submissions");
    let auth = offers.lines().find(|line| line.contains("AUTH "));
    let auth = auth.unwrap_or_else(|| panic!("{offers}"));
    assert!(
        auth.trim_end().ends_with("AUTH SCRAM-SHA-256 PLAIN"),
        "{auth}"
    );
    let (ca, anna) = (lab.server.ca_file(), lab.server.account("anna"));
    let mut imap = Lines::tls(lab.server.port("imaps"), &ca);
    let greeting = imap.line();
    assert!(
        greeting.contains("LOGINDISABLED AUTH=SCRAM-SHA-256]"),
        "{greeting}"
    );
    let reply = imap.imap_ask("a", &format!("LOGIN {} {}", anna.address, anna.password));
    assert!(reply.contains("a NO [CANNOT]"), "{reply}");
    let reply = imap.imap_ask("b", "AUTHENTICATE PLAIN");
    assert!(reply.contains("b NO [CANNOT]"), "{reply}");
    let mut pop3 = Lines::tls(lab.server.port("pop3s"), &ca);
    pop3.line();
    pop3.say(&format!("USER {}", anna.address));
    let reply = pop3.line();
    assert!(reply.starts_with("-ERR this server wants AUTH"), "{reply}");
    // Other listeners have them all.
    let mut smtp = Lines::clear(lab.server.port("submission"));
    smtp.smtp();
    smtp.smtp_ask("EHLO pc.test");
    smtp.smtp_ask("STARTTLS");
    let mut smtp = smtp.start_tls(&ca);
    let offers = smtp.smtp_ask("EHLO pc.test");
    assert!(
        offers.contains("SCRAM-SHA-256-PLUS") && offers.contains("LOGIN"),
        "{offers}"
    );
}

#[test]
fn a_listener_leaves_out_the_extensions_it_is_told_to() {
    let off = r#"["STARTTLS", "CHUNKING", "dsn"]"#;
    let lab = Lab::start_with(&[("listener.smtp.extensions_off", off)]);
    let ehlo = |port: &str| {
        let mut smtp = Lines::clear(lab.server.port(port));
        smtp.smtp();
        let offers = smtp.smtp_ask("EHLO far.test");
        (smtp, offers)
    };
    let (mut smtp, offers) = ehlo("smtp");
    let (_, full) = ehlo("securemx");
    for keyword in ["STARTTLS", "CHUNKING", "DSN"] {
        assert!(
            !offers.contains(keyword) && full.contains(keyword),
            "{offers}"
        );
    }
    assert!(offers.contains("PIPELINING"), "{offers}");
    assert!(smtp.smtp_ask("STARTTLS").starts_with("502"));
    let reply = smtp.smtp_ask("MAIL FROM:<x@far.test> ENVID=x");
    assert!(reply.starts_with("555"), "{reply}");
}
