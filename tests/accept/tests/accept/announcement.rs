//! The parts of S0-01 that there are: a rollout makes a page that anybody reads without a login, and a banner on every
//! page of those whom it concerns, with what they have to do. The banner in a webmail is missing, and S0-01 with it:
//! there is no webmail; the API has what it will show.

use super::s1_13::sends;
use harness::{Lab, Web};
use std::process::Command;

const PLAN: &str = r#"
slug = "tls"
reason = "RFC 8996"
as_of = "2026-03-02"
audience = ["firma.test"]
title = { de = "Sichere Verbindungen", en = "Secure connections" }
steps = [
  { measure = "tls-version/submission", stage = "observe", date = "2026-03-01" },
  { measure = "tls-version/submission", stage = "enforce", date = "2026-03-25" },
]
"#;

fn lab() -> Lab {
    let lab = Lab::start_legacy(&[]);
    lab.policy(
        "installation",
        "tls-version",
        "1.2 observe; 2026-12-31 enforce",
    );
    let file = lab.server.dir().join("tls.toml");
    std::fs::write(&file, PLAN).expect("written");
    lab.cli(&["rollout", "create", &file.display().to_string()]);
    lab
}

fn curl(lab: &Lab, path: &str) -> String {
    let url = format!("https://127.0.0.1:{}{path}", lab.server.port("https"));
    let output = Command::new("curl")
        .args(["--silent", "--insecure", "--max-time", "20", &url])
        .output()
        .expect("curl runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_rollout_makes_a_page_for_all_and_a_banner_for_whom_it_concerns() {
    let lab = lab();
    let anna = Web::log_in(&lab.server, "anna");
    let is_there = |page: &str| page.contains("class=\"banner\"");
    // A draft is nobody's news.
    assert!(!curl(&lab, "/ankuendigungen/tls").contains("Sichere Verbindungen"));
    assert!(!is_there(&anna.get("/status?lang=de").with(200).body));

    lab.cli(&["rollout", "announce", "tls"]);
    let page = curl(&lab, "/ankuendigungen/tls");
    assert!(
        page.contains("Sichere Verbindungen") && page.contains("25. März 2026"),
        "{page}"
    );
    assert!(!is_there(&page), "{page}");
    for path in [
        "/status",
        "/einstellungen",
        "/hilfe/",
        "/hilfe/outlook",
        "/ankuendigungen/",
        "/h/",
    ] {
        let page = anna.get(&format!("{path}?lang=de")).with(200).body;
        assert!(is_there(&page), "{path}\n{page}");
        for told in [
            "href=\"/ankuendigungen/tls\"",
            "Sichere Verbindungen",
            "25. März 2026",
            "Sie müssen nichts tun",
        ] {
            assert!(page.contains(told), "{path}: {told}\n{page}");
        }
    }
    let english = anna.get("/status?lang=en").with(200).body;
    assert!(english.contains("href=\"/announcements/tls\""), "{english}");
    // Whom it does not concern.
    let carla = Web::log_in(&lab.server, "carla")
        .get("/status?lang=de")
        .with(200)
        .body;
    assert!(!is_there(&carla), "{carla}");

    sends(&lab, "NPI8A3F21");
    lab.wait("what anna has to do", || {
        let page = anna.get("/einstellungen?lang=de").with(200).body;
        let told = page.contains("Bitte handeln Sie: </span><a href=\"/status\"");
        told.then_some(()).ok_or(page)
    });
}

#[test]
fn programs_are_told_the_same_over_the_api() {
    let lab = lab();
    lab.cli(&["rollout", "announce", "tls"]);
    let anna = Web::log_in(&lab.server, "anna");
    let own = "/api/v1/accounts/anna@firma.test/announcements";
    let told = anna.get(own).with(200).json();
    assert_eq!(told[0]["slug"], "tls", "{told}");
    assert_eq!(told[0]["title_en"], "Secure connections");
    assert_eq!(told[0]["date"], "2026-03-25");
    assert_eq!(told[0]["need"], "nothing");
    assert_eq!(told[0]["page"], "https://mx.rp.test/ankuendigungen/tls");
    sends(&lab, "NPI8A3F21");
    lab.wait("what anna has to do", || {
        let told = anna.get(own).with(200).json();
        (told[0]["need"] == "action")
            .then_some(())
            .ok_or(told.to_string())
    });
    // Others' accounts are nobody's business, and who is not concerned is told nothing.
    anna.get("/api/v1/accounts/bernd@firma.test/announcements")
        .with(403);
    let carla = Web::log_in(&lab.server, "carla");
    let none = carla.get("/api/v1/accounts/carla@privat.test/announcements");
    assert_eq!(none.with(200).json(), serde_json::json!([]));
}
