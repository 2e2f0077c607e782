//! S2-18: an account that was secure for a week and then tries without encryption hears of it the same day, once.
//! S2-22: while a measure warns, ten logins make one letter, and the next one comes a week later at the soonest.

use harness::{Lab, Lines};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);
const PLAN: &str = r#"
slug = "cleartext"
reason = "RFC 8314"
as_of = "2026-03-02"
audience = ["installation"]
title = { de = "Ende der Klartext-Anmeldung", en = "No more logins in clear" }
steps = [
  { measure = "cleartext/imap", stage = "warn", date = "2026-03-01" },
  { measure = "cleartext/imap", stage = "enforce", date = "2026-06-01" },
]
"#;

fn in_clear(lab: &Lab, name: &str) -> String {
    let account = lab.server.account(name);
    let mut imap = Lines::clear(lab.server.port("imap"));
    imap.line();
    imap.imap_ask(
        "a",
        &format!("LOGIN {} {}", account.address, account.password),
    )
}

/// Whether that was a login, warned or not.
fn gets_in(told: &str) -> bool {
    told.contains("a OK")
}

fn secure(lab: &Lab, name: &str) {
    let account = lab.server.account(name);
    let mut imap = Lines::tls(lab.server.port("imaps"), &lab.server.ca_file());
    imap.line();
    let login = format!("LOGIN {} {}", account.address, account.password);
    assert!(imap.imap_ask("a", &login).starts_with("a OK"));
}

/// Waits until so many letters of a kind lie in mailboxes.
fn letters(lab: &Lab, kind: &str, count: usize) {
    lab.wait("letters", || {
        let told = lab.cli(&["rollout", "letters", "--csv"]);
        let of_kind = told.lines().filter(|line| line.contains(kind));
        match of_kind.filter(|line| line.contains(",delivered,")).count() {
            n if n == count => Ok(()),
            _ => Err(told),
        }
    });
}

#[test]
fn ten_logins_while_it_warns_make_one_letter() {
    let lab = Lab::start();
    lab.policy("installation", "cleartext", "observe; 2026-12-31 enforce");
    let file = lab.server.dir().join("plan.toml");
    std::fs::write(&file, PLAN).expect("written");
    lab.cli(&["rollout", "create", &file.display().to_string()]);
    lab.cli(&["rollout", "announce", "cleartext"]);
    lab.cli(&["rollout", "start", "cleartext"]);
    for _ in 0..10 {
        assert!(gets_in(&in_clear(&lab, "anna")));
    }
    lab.forward(Duration::from_secs(3600));
    letters(&lab, ",nudge,", 1);
    // The letter is read in TLS by another program; the old one goes on in clear every day.
    for _ in 0..5 {
        lab.forward(DAY);
        assert!(gets_in(&in_clear(&lab, "anna")));
        lab.forward(Duration::from_secs(60));
    }
    letters(&lab, ",nudge,", 1);
    lab.forward(2 * DAY);
    assert!(gets_in(&in_clear(&lab, "anna")));
    lab.forward(Duration::from_secs(3600));
    letters(&lab, ",nudge,", 2);
}

#[test]
fn who_was_secure_and_tries_in_clear_hears_of_it_the_same_day_once() {
    let lab = Lab::start();
    secure(&lab, "anna");
    lab.forward(8 * DAY);
    secure(&lab, "anna");
    lab.forward(DAY);
    // Cleartext is refused here; the attempt is what counts.
    assert!(!gets_in(&in_clear(&lab, "anna")));
    lab.forward(Duration::from_secs(120));
    letters(&lab, ",regression,", 1);
    let mail = lab.wait_inbox("anna", &["Auto-Submitted: auto-generated"]);
    assert!(mail.contains("anna@firma.test"), "{mail}");
    assert!(!gets_in(&in_clear(&lab, "anna")));
    lab.forward(DAY);
    letters(&lab, ",regression,", 1);
}
