//! S2-21: a phase of warning for one protocol alone, with a last day: sending in clear works on that day and
//! the account is told; from midnight on it is refused. Reading was never allowed in clear.

use harness::lines::base64;
use harness::{Lab, Lines};
use std::time::Duration;

fn auth(lab: &Lab) -> String {
    let anna = lab.server.account("anna");
    let mut smtp = Lines::clear(lab.server.port("submission"));
    smtp.smtp();
    smtp.smtp_ask("EHLO pc.test");
    let secret = base64(format!("\0{}\0{}", anna.address, anna.password).as_bytes());
    smtp.smtp_ask(&format!("AUTH PLAIN {secret}"))
}

#[test]
fn sending_in_clear_is_warned_of_until_its_last_day_and_refused_after_it() {
    let lab = Lab::start();
    let anna = lab.server.account("anna");
    // The lab's time is 2 March 2026, 9:00 in Berlin; the last day is the 2nd.
    lab.policy(
        "installation",
        "cleartext/submission",
        "warn; 2026-03-03 enforce",
    );
    lab.settle();
    lab.forward(Duration::from_secs(15 * 3600 - 60));
    let reply = auth(&lab);
    assert!(reply.starts_with("235"), "{reply}");
    assert!(
        reply.contains("From 2026-03-03 on this is refused."),
        "{reply}"
    );
    let findings = lab.cli(&["findings"]);
    assert!(findings.contains("cleartext/submission"), "{findings}");
    // The other direction has no such phase.
    let mut imap = Lines::clear(lab.server.port("imap"));
    imap.line();
    let login = format!("LOGIN {} {}", anna.address, anna.password);
    let reply = imap.imap_ask("a", &login);
    assert!(reply.contains("a NO [PRIVACYREQUIRED]"), "{reply}");
    lab.forward(Duration::from_secs(60));
    let reply = auth(&lab);
    assert!(
        reply.starts_with("530 5.7.0 Must issue a STARTTLS"),
        "{reply}"
    );
}
