//! A rule as a rollout: those it would have refused get a letter with what it will answer and nothing about encryption,
//! it is enforced on its local date, and taking the rollout back gives it the schedule it had.

use harness::{Lab, Letter, Lines};
use std::time::Duration;

const RULE: &str = r#"{"name":"no-printers","at":["mail"],
  "when":{"all":[{"fact":"authenticated","value":true},{"fact":"hello","value":"printer"}]},
  "then":[{"do":"reject","text":"Please give this device a real name."}],"schedule":"observe"}"#;

const PLAN: &str = r#"
slug = "names"
reason = "abuse from unnamed devices"
as_of = "2026-03-02"
audience = ["installation"]
title = { de = "Geräte brauchen Namen", en = "Devices need names" }
rounds = { first = "2026-03-02T12:00" }
steps = [
  { measure = "rule/no-printers", stage = "warn", date = "2026-03-20" },
  { measure = "rule/no-printers", stage = "enforce", date = "2026-04-01" },
]
[texts.de]
means = "Tragen Sie im Gerät einen eigenen Namen ein."
[texts.en]
means = "Enter a name of its own in the device."
"#;

/// MAIL of a customer's device that greets with this name.
fn mail(lab: &Lab, name: &str) -> String {
    let anna = lab.server.account("anna");
    let mut smtp = Lines::tls(lab.server.port("submissions"), &lab.server.ca_file());
    smtp.smtp();
    smtp.smtp_ask(&format!("EHLO {name}"));
    let plain = format!("\0{}\0{}", anna.address, anna.password);
    let plain = harness::lines::base64(plain.as_bytes());
    let reply = smtp.smtp_ask(&format!("AUTH PLAIN {plain}"));
    assert!(reply.starts_with("235"), "{reply}");
    smtp.smtp_ask("MAIL FROM:<anna@firma.test>")
}

#[test]
fn a_rule_is_announced_enforced_on_its_date_and_taken_back() {
    let lab = Lab::start();
    let file = |name: &str, text: &str| {
        let path = lab.server.dir().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    lab.cli(&["rules", "add", &file("rule.json", RULE)]);
    assert!(mail(&lab, "printer").starts_with("250"));
    lab.submit(&Letter::new("carla", "anna@firma.test", "not concerned"));
    lab.cli(&["rollout", "create", &file("plan.toml", PLAN)]);
    lab.cli(&["rollout", "announce", "names"]);
    lab.wait("the finding", || {
        let impact = lab.cli(&["rollout", "impact", "names"]);
        let named = impact.contains("anna@firma.test") && !impact.contains("carla");
        named.then_some(()).ok_or(impact)
    });
    lab.cli(&["rollout", "start", "names"]);
    let shown = lab.cli(&["rules", "show", "no-printers"]);
    let planned = "observe; 2026-03-20 warn; 2026-04-01 enforce";
    assert!(shown.contains(planned), "{shown}");
    let history = lab.cli(&["rules", "history"]);
    assert!(
        history.contains("rollout names: abuse from unnamed devices"),
        "{history}"
    );

    lab.forward(Duration::from_secs(4 * 3600));
    let letter = lab.wait_inbox("anna", &["Content-Language: de, en"]);
    // Its lines are wrapped, in more than one way, and its header is the server's.
    let (_, body) = letter.split_once("\r\n\r\n").expect("a body");
    let body = body.replace("=\r\n", "");
    let letter = body.split_whitespace().collect::<Vec<_>>().join(" ");
    for told in [
        "Please give this device a real name.",
        "Enter a name of its own",
        "1 April 2026",
    ] {
        assert!(letter.contains(told), "{told}\n{letter}");
    }
    for foreign in ["encrypt", "TLS", "Thunderbird"] {
        assert!(!letter.contains(foreign), "{foreign}\n{letter}");
    }
    let letters = lab.cli(&["rollout", "letters", "names"]);
    assert!(!letters.contains("carla"), "{letters}");

    // 1 April begins at 22:00 UTC of the day before, in summer time.
    lab.at("2026-03-31T21:59:00Z");
    assert!(mail(&lab, "printer").starts_with("250"));
    lab.at("2026-03-31T22:00:00Z");
    assert_eq!(
        mail(&lab, "printer"),
        "550 5.7.1 Please give this device a real name."
    );
    assert!(mail(&lab, "scanner-2").starts_with("250"));

    let back = lab.cli(&["rollout", "rollback", "names", "--reason", "too early"]);
    assert!(back.contains("rule no-printers"), "{back}");
    assert!(mail(&lab, "printer").starts_with("250"));
    let shown = lab.cli(&["rules", "show", "no-printers"]);
    assert!(shown.contains("\"observe\""), "{shown}");
}
