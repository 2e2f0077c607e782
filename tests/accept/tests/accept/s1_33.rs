//! S1-33: who answers for a domain gets one letter that lists all its mailboxes a rollout concerns; the mailboxes
//! get their own; a list for letters by other ways names them with that contact.

use harness::{Lab, Lines};
use std::time::Duration;

const PLAN: &str = r#"
slug = "cleartext"
reason = "RFC 8314"
as_of = "2026-03-02"
audience = ["domain:firma.test"]
title = { de = "Ende der Klartext-Anmeldung", en = "No more logins in clear" }
rounds = { first = "2026-03-02T12:00" }
steps = [
  { measure = "cleartext/imap", stage = "observe", date = "2026-03-01" },
  { measure = "cleartext/imap", stage = "enforce", date = "2026-04-01" },
]
"#;

fn logs_in_in_clear(lab: &Lab, address: &str, password: &str) {
    let mut imap = Lines::clear(lab.server.port("imap"));
    imap.line();
    let answer = imap.imap_ask("a", &format!("LOGIN {address} {password}"));
    assert!(answer.starts_with("a OK"), "{address}: {answer}");
}

#[test]
fn a_domain_gets_one_digest_of_twelve_mailboxes() {
    let lab = Lab::start();
    lab.policy("installation", "cleartext", "observe; 2026-12-31 enforce");
    lab.cli(&[
        "domain",
        "set",
        "firma.test",
        "--contact",
        "carla@privat.test",
    ]);
    lab.settle();
    let people: Vec<_> = (1..=12)
        .map(|n| {
            let address = format!("user{n:02}@firma.test");
            let made = lab.cli(&["account", "add", &address, "--json"]);
            let made: serde_json::Value = serde_json::from_str(&made).expect("JSON");
            let password = made["password"].as_str().expect("a password").to_owned();
            logs_in_in_clear(&lab, &address, &password);
            address
        })
        .collect();
    // Somebody of another domain does the same, and is not of the audience.
    let carla = lab.server.account("carla");
    logs_in_in_clear(&lab, &carla.address, &carla.password);
    let file = lab.server.dir().join("plan.toml");
    std::fs::write(&file, PLAN).expect("written");
    lab.cli(&["rollout", "create", &file.display().to_string()]);
    lab.cli(&["rollout", "announce", "cleartext"]);
    lab.cli(&["rollout", "start", "cleartext"]);
    lab.forward(Duration::from_secs(4 * 3600));
    let mut told = String::new();
    lab.wait("thirteen letters", || {
        told = lab.cli(&["rollout", "letters", "cleartext", "--csv"]);
        match told.matches(",delivered,").count() {
            13 => Ok(()),
            _ => Err(told.clone()),
        }
    });
    assert_eq!(told.matches(",round,").count(), 12, "{told}");
    assert_eq!(
        told.matches(",digest,carla@privat.test,").count(),
        1,
        "{told}"
    );
    let mails = lab.inbox("carla");
    assert_eq!(mails.len(), 1, "{mails:?}");
    for address in &people {
        assert!(
            mails[0].contains(address.as_str()),
            "{address}: {}",
            mails[0]
        );
    }
    let contacts = lab.cli(&["rollout", "contacts", "cleartext"]);
    assert_eq!(contacts.lines().count(), 13, "{contacts}");
    assert!(
        contacts.contains("user07@firma.test,firma.test,,carla@privat.test,"),
        "{contacts}"
    );
}
