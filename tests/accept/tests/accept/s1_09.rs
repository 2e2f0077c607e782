//! S1-09: customers may log in on port 25 after STARTTLS where a listener says so, with the rules of submission;
//! who does is counted, so that they can be told to use 465 or 587. S3-75: ESMTP extensions are switched per
//! listener. S3-70: so are the mechanisms.

use harness::customer::{Customer, Newest, Program, Security};
use harness::lines::base64;
use harness::{Lab, Lines};

const OLD: Program = Program {
    imap_id: None,
    hello: "pc.test",
    mailer: Some("Microsoft Outlook 14.0"),
    security: Security::StartTls,
    newest: Newest::Tls12,
};

fn ehlo_in_tls(lab: &Lab, port: &str) -> (Lines, String) {
    let mut smtp = Lines::clear(lab.server.port(port));
    smtp.smtp();
    let clear = smtp.smtp_ask("EHLO pc.test");
    assert!(!clear.contains("AUTH"), "{clear}");
    smtp.smtp_ask("STARTTLS");
    let mut smtp = smtp.start_tls(&lab.server.ca_file());
    let offers = smtp.smtp_ask("EHLO pc.test");
    (smtp, offers)
}

#[test]
fn port_25_takes_logins_where_it_is_switched_on() {
    let lab = Lab::start_with(&[("listener.smtp.login", "true")]);
    let anna = lab.server.account("anna");
    let (mut smtp, offers) = ehlo_in_tls(&lab, "smtp");
    assert!(offers.contains("AUTH "), "{offers}");
    let secret = base64(format!("\0{}\0{}", anna.address, anna.password).as_bytes());
    let reply = smtp.smtp_ask(&format!("AUTH PLAIN {secret}"));
    assert!(reply.starts_with("235"), "{reply}");
    // The rules of submission: nobody else's sender, and mail to anywhere.
    let bernd = lab.server.account("bernd").address;
    let reply = smtp.smtp_ask(&format!("MAIL FROM:<{bernd}>"));
    assert!(reply.starts_with("550 5.7.1"), "{reply}");
    let reply = smtp.smtp_ask(&format!("MAIL FROM:<{}>", anna.address));
    assert!(reply.starts_with("250"), "{reply}");
    let reply = smtp.smtp_ask("RCPT TO:<friend@elsewhere.test>");
    assert!(reply.starts_with("250"), "{reply}");
    // Who did not log in is another server as ever.
    let (mut other, _) = ehlo_in_tls(&lab, "smtp");
    other.smtp_ask("MAIL FROM:<x@far.test>");
    let reply = other.smtp_ask("RCPT TO:<friend@elsewhere.test>");
    assert!(reply.starts_with("550 5.7.1"), "{reply}");
    // It is counted with the port and the program, so that a letter can say where to move.
    let customer = Customer {
        program: OLD,
        user: anna.address.clone(),
        password: anna.password.clone(),
    };
    let visit = customer.send(lab.server.port("smtp"), &bernd);
    assert!(visit.ok, "{visit:?}");
    let port = lab.server.port("smtp").to_string();
    let told = lab.cli(&["audit", "account", &anna.address]);
    assert!(told.contains(&port) && told.contains("outlook"), "{told}");
}

#[test]
fn port_25_takes_no_logins_by_default_and_none_in_clear() {
    let lab = Lab::start();
    let (mut smtp, offers) = ehlo_in_tls(&lab, "smtp");
    assert!(!offers.contains("AUTH"), "{offers}");
    let reply = smtp.smtp_ask("AUTH PLAIN");
    assert!(reply.starts_with("502"), "{reply}");
    let lab = Lab::start_with(&[("listener.smtp.login", "true")]);
    lab.policy(
        "installation",
        "cleartext/submission",
        "observe; 2026-06-01 enforce",
    );
    let mut clear = Lines::clear(lab.server.port("smtp"));
    clear.smtp();
    let offers = clear.smtp_ask("EHLO pc.test");
    assert!(!offers.contains("AUTH"), "{offers}");
    let reply = clear.smtp_ask("AUTH PLAIN AGFubmEAeA==");
    assert!(reply.starts_with("530 5.7.0"), "{reply}");
}
