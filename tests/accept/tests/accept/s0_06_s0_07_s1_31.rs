//! S0-06: letters go only to whom a rollout concerns, in rounds, and what became of each is told. S0-07: a letter
//! names program, what to do, deadline, consequence and support. S1-31: who was fixed drops out and is thanked
//! once; what was cut off by kill -9 sends nothing twice.

use harness::customer::{Customer, Newest, Program, Security};
use harness::{Lab, Lines};
use std::time::Duration;

const OUTLOOK: Program = Program {
    imap_id: Some(["Microsoft Outlook", "14.0", "Windows"]),
    hello: "pc.test",
    mailer: None,
    security: Security::StartTls,
    newest: Newest::Tls10,
};
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The lab's time is Monday, 2 March 2026, 9:00 in Berlin.
const PLAN: &str = r#"
slug = "tls"
reason = "RFC 8996"
as_of = "2026-03-02"
audience = ["installation"]
title = { de = "Sichere Verbindungen", en = "Secure connections" }
rounds = { first = "2026-03-03T08:00", every_days = 7, last = "2026-03-20" }
legacy = { until = "2026-05-30", tls = ["1.0", "1.1"], cleartext = true }
steps = [
  { measure = "tls-version/imap", stage = "observe", date = "2026-03-01" },
  { measure = "tls-version/imap", stage = "enforce", date = "2026-03-25" },
]
evidence = [ { source = "https://other.test/", seen = "2026-01-01", note = "PEER-PRACTICE" } ]
"#;

/// An account of the test.
struct Person {
    address: &'static str,
    password: String,
}

fn add(lab: &Lab, address: &'static str) -> Person {
    let made = lab.cli(&["account", "add", address, "--json"]);
    let made: serde_json::Value = serde_json::from_str(&made).expect("JSON");
    let password = made["password"].as_str().expect("a password").to_owned();
    Person { address, password }
}

fn comes(lab: &Lab, person: &Person, newest: Newest) {
    let customer = Customer {
        program: Program { newest, ..OUTLOOK },
        user: person.address.to_owned(),
        password: person.password.clone(),
    };
    let visit = customer.imap(lab.server.port("imap"));
    assert!(visit.ok, "{}: {visit:?}", person.address);
}

/// The letters as JSON, once `count` of them lie in mailboxes.
fn letters(lab: &Lab, count: usize) -> Vec<serde_json::Value> {
    let mut found = Vec::new();
    lab.wait("letters", || {
        let told = lab.cli(&["rollout", "letters", "tls", "--list", "--json"]);
        let all: Vec<serde_json::Value> = serde_json::from_str(&told).expect("JSON");
        let delivered = all.iter().filter(|one| one["status"] == "delivered");
        if delivered.count() != count {
            return Err(told);
        }
        found = all;
        Ok(())
    });
    found
}

fn of(letters: &[serde_json::Value], round: i64) -> Vec<String> {
    let mut found: Vec<_> = letters
        .iter()
        .filter(|one| one["round"] == round)
        .map(|one| format!("{} {}", one["kind"], one["to"]).replace('"', ""))
        .collect();
    found.sort();
    found
}

/// The messages in an INBOX, quoted-printable undone.
fn inbox(lab: &Lab, person: &Person) -> Vec<String> {
    let mut imap = Lines::tls(lab.server.port("imaps"), &lab.server.ca_file());
    imap.line();
    let login = format!("LOGIN {} {}", person.address, person.password);
    imap.imap_ask("a", &login);
    imap.imap_ask("b", "EXAMINE INBOX");
    imap.say("c FETCH 1:* (BODY.PEEK[])");
    let mut messages = Vec::new();
    loop {
        let line = imap.line();
        if line.starts_with("c ") || line.is_empty() {
            return messages;
        }
        let literal = line
            .strip_suffix('}')
            .and_then(|line| line.rsplit_once('{'));
        if let Some(size) = literal.and_then(|(_, size)| size.parse().ok()) {
            let text = String::from_utf8_lossy(&imap.bytes(size)).into_owned();
            messages.push(plain(&text));
        }
    }
}

fn plain(message: &str) -> String {
    let (header, body) = message.split_once("\r\n\r\n").expect("a header");
    let joined = body.replace("=\r\n", "");
    let (mut bytes, mut rest) = (Vec::new(), joined.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *first == b'=');
        let hex = hex.and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    format!("{header}\r\n\r\n{}", String::from_utf8_lossy(&bytes))
}

/// S0-07: program, what to do, deadline, consequence, whom to ask.
fn names_the_five_facts(mails: &[String]) {
    assert_eq!(mails.len(), 1);
    let unwrapped = mails[0].replace("\r\n", " ");
    for fact in [
        "Outlook 2010",
        "TLS 1.0",
        "Das ist zu tun:",
        "25. März 2026",
        "lehnt unser Server die Verbindung dieses Programms ab",
        "030 / 1234567",
        "30. Mai 2026",
    ] {
        assert!(unwrapped.contains(fact), "{fact}: {}", mails[0]);
    }
    assert!(mails[0].contains("\r\nAuto-Submitted: auto-generated\r\n"));
    assert!(!mails[0].contains("List-Unsubscribe") && !mails[0].contains("PEER-PRACTICE"));
}

#[test]
fn rounds_go_to_whom_it_concerns_and_thanks_to_the_fixed() {
    let mut lab = Lab::start_legacy(&[]);
    lab.policy(
        "installation",
        "tls-version",
        "1.2 observe; 2026-12-31 enforce",
    );
    lab.cli(&["rollout", "voice", "set", "phone", "030 / 1234567"]);
    let [erna, fritz, gerd, heidi] = [
        "erna@firma.test",
        "fritz@firma.test",
        "gerd@privat.test",
        "heidi@privat.test",
    ]
    .map(|address| add(&lab, address));
    for person in [&erna, &fritz, &gerd] {
        comes(&lab, person, Newest::Tls10);
    }
    comes(&lab, &heidi, Newest::Tls13);
    let file = lab.server.dir().join("tls.toml");
    std::fs::write(&file, PLAN).expect("written");
    lab.cli(&["rollout", "create", &file.display().to_string()]);
    lab.cli(&["rollout", "announce", "tls"]);
    let plan = lab.cli(&["rollout", "start", "tls", "--reason", "decided"]);
    assert!(plan.contains("tls-version imap"), "{plan}");
    assert!(plan.contains("accounts: 3"), "{plan}");
    assert!(letters(&lab, 0).is_empty(), "before the first round");

    lab.forward(DAY);
    let first = letters(&lab, 3);
    let everybody = [
        "round erna@firma.test",
        "round fritz@firma.test",
        "round gerd@privat.test",
    ];
    assert_eq!(of(&first, 1), everybody);
    for letter in &first {
        assert!(
            letter["since"].as_i64() > Some(1_772_438_400_000),
            "{letter}"
        );
    }
    names_the_five_facts(&inbox(&lab, &erna));
    assert!(inbox(&lab, &heidi).is_empty());

    // One is fixed. The power goes while the second round is under way.
    comes(&lab, &erna, Newest::Tls12);
    // What sessions saw in the last seconds a power cut may lose; looking at it writes it.
    lab.cli(&["rollout", "plan", "tls"]);
    lab.forward(6 * DAY + 23 * HOUR);
    lab.cli(&["clock", "set", "2026-03-10T09:30:00Z"]);
    lab.restart();
    lab.forward(HOUR);
    let second = letters(&lab, 6);
    let left = [
        "round fritz@firma.test",
        "round gerd@privat.test",
        "thanks erna@firma.test",
    ];
    assert_eq!(of(&second, 2), left);
    for person in [&erna, &fritz, &gerd] {
        assert_eq!(inbox(&lab, person).len(), 2, "{}", person.address);
    }
    lab.forward(7 * DAY);
    let third = letters(&lab, 8);
    assert_eq!(of(&third, 3), &left[..2], "no second thanks");
    assert!(inbox(&lab, &heidi).is_empty());
}
