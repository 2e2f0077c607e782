//! S4-05: inbound and outbound mandatory TLS are two switches. S4-09: the inbound one needs consent to its
//! consequences, which is kept with who, when and which text. S4-10: it exists for domains only.

use harness::{Lines, Server};

fn cli(server: &Server, arguments: &[&str]) -> String {
    let (ok, output, errors) = server.cli(arguments);
    assert!(ok, "{arguments:?}: {output}{errors}");
    output
}

/// The value and the origin of a setting as `policy show` has them.
fn shown(server: &Server, who: &str, name: &str) -> (String, String) {
    let text = cli(server, &["policy", "show", who, "--json"]);
    let rows: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let rows = rows.as_array().cloned().unwrap_or_default();
    let row = rows
        .iter()
        .find(|row| row["name"] == name)
        .expect("the setting");
    let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
    (text("value"), text("origin"))
}

/// The answer to RCPT in clear.
fn rcpt_in_clear(server: &Server, to: &str) -> String {
    let mut smtp = Lines::clear(server.port("smtp"));
    smtp.smtp();
    smtp.smtp_ask("EHLO other.example");
    smtp.smtp_ask("MAIL FROM:<x@other.example>");
    smtp.smtp_ask(&format!("RCPT TO:<{to}>"))
}

#[test]
fn inbound_tls_needs_consent_that_is_kept() {
    let server = Server::start();
    let set = ["policy", "set", "firma.test", "inbound-tls", "required"];
    let (ok, _, why) = server.cli(&set);
    assert!(!ok, "not without consent");
    assert!(
        why.contains("neither be restored nor delivered later"),
        "{why}"
    );
    assert!(
        why.contains("weder wiederherstellen noch nachträglich zustellen"),
        "{why}"
    );
    assert!(why.contains("--consent-text 2026-11"), "{why}");
    assert_eq!(
        shown(&server, "firma.test", "inbound-tls"),
        ("off".into(), "default".into())
    );
    assert!(rcpt_in_clear(&server, "anna@firma.test").starts_with("250"));

    let wrong = [
        &set[..],
        &["--consent-by", "Anna Chef", "--consent-text", "2020-01"],
    ]
    .concat();
    assert!(!server.cli(&wrong).0, "not with consent to another text");
    let right = [
        &set[..],
        &["--consent-by", "Anna Chef", "--consent-text", "2026-11"],
    ]
    .concat();
    cli(&server, &right);
    assert_eq!(
        shown(&server, "firma.test", "inbound-tls"),
        ("required".into(), "domain firma.test".into())
    );
    let history = cli(&server, &["policy", "history", "firma.test"]);
    assert!(
        history.contains("with the consent of Anna Chef to text 2026-11"),
        "{history}"
    );
    let refused = rcpt_in_clear(&server, "anna@firma.test");
    assert!(refused.starts_with("550-5.7.10"), "{refused}");
    assert!(
        rcpt_in_clear(&server, "carla@privat.test").starts_with("250"),
        "nobody else's"
    );
}

const CONSENT: [&str; 4] = ["--consent-by", "Anna Chef", "--consent-text", "2026-11"];

#[test]
fn two_switches_that_do_not_touch_each_other() {
    let server = Server::start();
    let on = ["policy", "set", "firma.test", "inbound-tls", "required"];
    cli(&server, &[&on[..], &CONSENT[..]].concat());
    // The other switch is not touched by it, and the other way round.
    assert_eq!(
        shown(&server, "firma.test", "outbound-tls"),
        ("off".into(), "default".into())
    );
    cli(
        &server,
        &["policy", "set", "firma.test", "outbound-tls", "required"],
    );
    cli(
        &server,
        &["policy", "set", "firma.test", "inbound-tls", "off"],
    );
    assert_eq!(
        shown(&server, "firma.test", "outbound-tls"),
        ("required".into(), "domain firma.test".into())
    );
    assert!(rcpt_in_clear(&server, "anna@firma.test").starts_with("250"));
}

#[test]
fn inbound_tls_is_for_domains_only() {
    let server = Server::start();
    let account = [
        "policy",
        "set",
        "anna@firma.test",
        "inbound-tls",
        "required",
    ];
    let (ok, _, why) = server.cli(&[&account[..], &CONSENT[..]].concat());
    assert!(
        !ok && why.contains("for a whole domain only, not for a single account"),
        "{why}"
    );
    cli(
        &server,
        &[
            "policy",
            "set",
            "anna@firma.test",
            "outbound-tls",
            "authenticated",
        ],
    );
    let account = shown(&server, "anna@firma.test", "outbound-tls");
    assert_eq!(
        account,
        ("authenticated".into(), "account anna@firma.test".into())
    );
}

#[test]
fn a_state_file_carries_settings_and_consent() {
    let server = Server::start();
    let set = [
        "policy",
        "set",
        "firma.test",
        "inbound-tls",
        "required",
        "Only TLS here",
    ];
    cli(&server, &[&set[..], &CONSENT[..]].concat());
    cli(
        &server,
        &[
            "policy",
            "set",
            "anna@firma.test",
            "hold-back",
            "30",
            "--reason",
            "asked for it",
        ],
    );
    let state = server.dir().join("state.toml");
    let path = state.display().to_string();
    let exported = cli(&server, &["export"]);
    std::fs::write(&state, &exported).expect("the file is written");
    assert_eq!(cli(&server, &["plan", &path]), "Nothing changes.\n");
    cli(
        &server,
        &["policy", "unset", "anna@firma.test", "hold-back"],
    );
    cli(
        &server,
        &["policy", "set", "firma.test", "inbound-tls", "off"],
    );
    cli(&server, &["policy", "set", "installation", "dane", "audit"]);
    let plan = cli(&server, &["plan", &path]);
    assert!(
        plan.contains("Hold-back for account anna@firma.test becomes 30."),
        "{plan}"
    );
    assert!(
        plan.contains("Dane for installation is no longer set."),
        "{plan}"
    );
    assert_eq!(cli(&server, &["apply", &path]), plan);
    assert_eq!(cli(&server, &["export"]), exported);
    let history = cli(&server, &["policy", "history", "firma.test"]);
    let first = history.lines().next().unwrap_or_default();
    assert!(
        first.contains("(state file)") && first.contains("consent of Anna Chef"),
        "{history}"
    );
    a_file_without_consent_changes_nothing(&server, &exported);
}

fn a_file_without_consent_changes_nothing(server: &Server, exported: &str) {
    let state = server.dir().join("state.toml");
    let path = state.display().to_string();
    // Without consent in the file nothing changes, not even its domains.
    cli(
        server,
        &["policy", "set", "firma.test", "inbound-tls", "off"],
    );
    let without: Vec<_> = exported
        .lines()
        .filter(|line| !line.starts_with("consent"))
        .collect();
    std::fs::write(&state, without.join("\n")).expect("the file is written");
    let (ok, _, why) = server.cli(&["apply", &path]);
    assert!(!ok && why.contains("consent"), "{why}");
    let (ok, output, _) = server.cli(&["policy", "show", "firma.test", "--json"]);
    assert!(ok && !output.contains("Only TLS here"), "{output}");
}
