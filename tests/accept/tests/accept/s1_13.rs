//! S1-13: the letter about a printer has three options, in this order: the maker's update, a relay in one's own network,
//! the hosts for old devices until their date.

use harness::customer::{Customer, Newest, Program, Security};
use harness::{Lab, Lines};
use std::time::Duration;

pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

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
  { measure = "tls-version/submission", stage = "observe", date = "2026-03-01" },
  { measure = "tls-version/submission", stage = "enforce", date = "2026-03-25" },
]
"#;

/// A rollout that is announced, and a way for clients that cannot do more than TLS 1.0.
pub(crate) fn lab() -> Lab {
    let lab = Lab::start_legacy(&[]);
    lab.policy(
        "installation",
        "tls-version",
        "1.2 observe; 2026-12-31 enforce",
    );
    let file = lab.server.dir().join("tls.toml");
    std::fs::write(&file, PLAN).expect("written");
    lab.cli(&["rollout", "create", &file.display().to_string()]);
    lab.cli(&["rollout", "announce", "tls"]);
    lab
}

/// A device of anna's that cannot do more than TLS 1.0 sends something.
pub(crate) fn sends(lab: &Lab, hello: &'static str) {
    let anna = lab.server.account("anna");
    let device = Customer {
        program: Program {
            imap_id: None,
            hello,
            mailer: None,
            security: Security::StartTls,
            newest: Newest::Tls10,
        },
        user: anna.address,
        password: anna.password,
    };
    let visit = device.send(lab.server.port("submission"), "bernd@firma.test");
    assert!(visit.ok, "{visit:?}");
}

/// Anna's newest letter, its lines joined.
pub(crate) fn letter(lab: &Lab, count: usize) -> String {
    lab.wait("letters", || {
        let told = lab.cli(&["rollout", "letters", "tls", "--list", "--json"]);
        let all: Vec<serde_json::Value> = serde_json::from_str(&told).expect("JSON");
        let delivered = all.iter().filter(|one| one["status"] == "delivered");
        (delivered.count() == count).then_some(()).ok_or(told)
    });
    let anna = lab.server.account("anna");
    let mut imap = Lines::tls(lab.server.port("imaps"), &lab.server.ca_file());
    imap.line();
    imap.imap_ask("a", &format!("LOGIN {} {}", anna.address, anna.password));
    imap.imap_ask("b", "EXAMINE INBOX");
    let letter = imap.imap_ask("c", "FETCH * (BODY.PEEK[TEXT])");
    // Quoted-printable: a soft line end, then the line ends of the wrapped text.
    let joined = letter.replace("=\r\n", "").replace("\r\n", " ");
    joined.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_letter_about_a_printer_has_three_options_in_order() {
    let lab = lab();
    sends(&lab, "NPI8A3F21");
    lab.cli(&["rollout", "start", "tls", "--reason", "decided"]);
    lab.forward(DAY);
    let letter = letter(&lab, 1);
    assert!(letter.contains("HP printer"), "{letter}");
    let mut rest = letter.as_str();
    for option in [
        "Update des Herstellers",
        "Relay im eigenen Netz",
        "30. Mai 2026",
    ] {
        let at = rest.find(option);
        let at = at.unwrap_or_else(|| panic!("{option} is missing, or earlier\n{letter}"));
        rest = rest.get(at..).unwrap_or_default();
    }
}
