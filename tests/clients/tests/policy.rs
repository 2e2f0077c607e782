//! Policy through the program's own commands on PostgreSQL: everything that is set, seen and counted, and
//! what goes with an account, a domain and a group.

use harness::dns::Signing;
use harness::postgres::Cluster;
use harness::sink::Behaviour;
use harness::{Lab, Letter, Sink};

fn refused(lab: &Lab, arguments: &[&str]) -> String {
    let (ok, output, errors) = lab.server.cli(arguments);
    assert!(!ok, "{arguments:?}: {output}");
    errors
}

#[test]
fn policy_works_on_postgresql() {
    let cluster = Cluster::start();
    let url = format!("\"{}\"", cluster.database());
    let lab = Lab::start_with(&[("store.engine", "postgresql"), ("store.url", &url)]);
    let embedded = lab.server.dir().join("store/rohrpost.sqlite");
    assert!(!embedded.exists(), "PostgreSQL is the store");
    let there = lab.domain("there.test", Signing::Unsigned, Behaviour::default());
    let anna = lab.server.account("anna").address;

    settings(&lab, &anna);
    measures(&lab, &anna);
    legacy_access(&lab, &anna);
    findings(&lab, &anna, &there);
    identities(&lab, &anna, &there);
    limits(&lab, &anna);
    files_and_removal(&lab, &anna);
}

fn settings(lab: &Lab, anna: &str) {
    // Settings, history, a group, a pool, a destination with an end.
    lab.cli(&["group", "set", "privat.test", "private"]);
    lab.cli(&[
        "pool",
        "add",
        "main",
        "127.0.0.1",
        "--hello",
        "mx.provider.test",
    ]);
    lab.cli(&[
        "policy", "set", "private", "pool", "main", "--reason", "theirs",
    ]);
    let used = refused(lab, &["pool", "remove", "main"]);
    assert!(used.contains("still used by group private"), "{used}");
    let rule = [
        "destination",
        "set",
        "far.test",
        "secure",
        "--for",
        anna,
        "--until",
        "2026-12-31",
    ];
    lab.cli(&rule);
    lab.cli(&["policy", "set", "firma.test", "hold-back", "0"]);
    lab.cli(&["policy", "set", "firma.test", "hold-back", "5"]);
    lab.cli(&["policy", "unset", "firma.test", "hold-back"]);
    assert_eq!(
        lab.cli(&["policy", "history", "firma.test"])
            .lines()
            .count(),
        3
    );
    assert!(lab.cli(&["policy", "history"]).lines().count() > 5);
    let shown = lab.cli(&["policy", "show", anna]);
    assert!(shown.contains("destination far.test"), "{shown}");
    assert!(
        lab.cli(&["policy", "show", "carla@privat.test"])
            .contains("group private")
    );
}

fn measures(lab: &Lab, anna: &str) {
    let imap = ["installation", "cleartext/imap"];
    let measure = |verb: &str, more: &[&str]| {
        let told = lab.cli(&[&["measure", verb][..], &imap, more].concat());
        let last = told.lines().last().unwrap_or_default();
        last.rsplit_once(" is now: ").map(|(_, now)| now.to_owned())
    };
    let is = |now: &str| Some(now.to_owned());
    let dated = "warn; 2027-03-05 enforce";
    let set = measure("set", &["warn", "2027-03-05", "enforce"]);
    assert_eq!(set, is(dated));
    let paused = format!("{dated}; paused=observe");
    assert_eq!(measure("pause", &[]), is(&paused));
    assert_eq!(measure("resume", &[]), is(dated));
    let back = measure("rollback", &[]);
    assert_eq!(back, Some(format!("{paused} (until now {dated})")));
    assert!(measure("unset", &[]).is_none());
    let why = [
        "--owner",
        "support",
        "--reason",
        "old scanner",
        "--until",
        "2026-05-30",
    ];
    let except = [&["measure", "except", anna, "tls-version/imap"][..], &why].concat();
    assert!(
        lab.cli(&except)
            .contains("is now: 1.2 observe, until 2026-05-30")
    );
    let listed = lab.cli(&["measure", "list"]);
    let line = listed
        .lines()
        .find(|line| line.starts_with("tls-version/imap "));
    let line = line.unwrap_or_else(|| panic!("{listed}"));
    assert!(line.contains(anna) && line.contains("support"), "{line}");
    assert!(listed.contains("holds the rules of revision"), "{listed}");
    lab.cli(&["measure", "unset", anna, "tls-version/imap"]);
}

fn legacy_access(lab: &Lab, anna: &str) {
    let value = "until 2026-05-30 tls=1.0 cleartext";
    lab.policy("installation", "legacy-access", value);
    lab.cli(&["legacy", "enrol", anna, "--until", "2026-04-30"]);
    let told = lab.cli(&["legacy", "enrol", anna, "--reason", "old phone"]);
    assert!(told.contains("until 2026-05-30, the last day"), "{told}");
    let listed = lab.cli(&["legacy", "list"]);
    assert!(
        listed.contains("old phone") && listed.contains("never used"),
        "{listed}"
    );
    let told = lab.cli(&["legacy", "disable", "--tls", "1.0", "--cleartext", "--now"]);
    assert!(told.contains("1 enrolled accounts get a notice"), "{told}");
    lab.cli(&["legacy", "disable", "--tls", "1.0", "--now"]);
    lab.cli(&["legacy", "enable", "--tls", "1.0", "--cleartext"]);
    lab.cli(&["legacy", "withdraw", anna]);
    let history = lab.cli(&["legacy", "history"]);
    assert_eq!(history.lines().count(), 6, "{history}");
    lab.cli(&["policy", "unset", "installation", "legacy-access"]);
}

fn findings(lab: &Lab, anna: &str, there: &Sink) {
    // Findings, and what was seen of TLS.
    lab.policy(anna, "sender-ownership", "observe");
    let mut letter = Letter::new("anna", "x@there.test", "as somebody else");
    letter.from = "anna@gmx.example".to_owned();
    for seen in 1..=2 {
        assert!(lab.submit(&letter).starts_with("250"));
        there.wait_mails(seen);
        let line = format!("{anna} -> anna@gmx.example ({seen}x, last 2026-03-02)\n");
        assert_eq!(lab.cli(&["findings"]), line);
    }
    for scope in [anna, "firma.test", "private", "installation"] {
        lab.cli(&[
            "policy",
            "set",
            scope,
            "outbound-tls",
            "required",
            "--preview",
        ]);
    }
}

fn identities(lab: &Lab, anna: &str, there: &Sink) {
    // Identities.
    lab.policy(anna, "sender-ownership", "enforce");
    lab.cli(&["identity", "request", anna, "anna@there.test"]);
    let text = there.wait_mails(3)[2].text();
    let code = text
        .split_whitespace()
        .find(|word| word.len() == 14 && word.split('-').count() == 3);
    refused(
        lab,
        &["identity", "confirm", anna, "anna@there.test", "WRONG"],
    );
    lab.cli(&[
        "identity",
        "confirm",
        anna,
        "anna@there.test",
        code.unwrap_or_default(),
    ]);
    lab.cli(&[
        "identity",
        "grant",
        anna,
        "*@privat.test",
        "--reason",
        "stand-in",
    ]);
    assert_eq!(lab.cli(&["identity", "list", anna]).lines().count(), 3);
    let mut letter = Letter::new("anna", "x@there.test", "as somebody else");
    letter.from = "whoever@privat.test".to_owned();
    assert!(lab.submit(&letter).starts_with("250"));
}

fn limits(lab: &Lab, anna: &str) {
    // Limits, also across a flush.
    lab.policy("firma.test", "domain-messages-per-hour", "2");
    lab.policy(anna, "new-recipients-per-day", "1");
    lab.send("anna", "new@there.test", "first");
    let reply = lab.submit(&Letter::new("anna", "newer@there.test", "second"));
    assert!(
        reply.starts_with("450") && reply.contains("4.7.1"),
        "{reply}"
    );
    lab.cli(&["findings"]);
    lab.send("anna", "new@there.test", "second");
    let reply = lab.submit(&Letter::new("bernd", "new@there.test", "third"));
    assert!(
        reply.contains("2 messages an hour for your domain"),
        "{reply}"
    );
}

fn files_and_removal(lab: &Lab, anna: &str) {
    // Files, and what goes.
    let state = lab.server.dir().join("state.toml");
    std::fs::write(&state, lab.cli(&["export"])).expect("the file is written");
    let path = state.display().to_string();
    lab.cli(&["policy", "unset", anna, "new-recipients-per-day"]);
    assert!(
        lab.cli(&["apply", &path])
            .contains("New-recipients-per-day")
    );
    assert_eq!(lab.cli(&["plan", &path]), "Nothing changes.\n");
    lab.cli(&["identity", "remove", anna, "*@privat.test"]);
    let applied = lab.cli(&["apply", &path]);
    assert!(
        applied.contains("may send as *@privat.test (granted)"),
        "{applied}"
    );
    assert_eq!(lab.cli(&["plan", &path]), "Nothing changes.\n");
    lab.cli(&["domain", "remove", "privat.test", "--with-accounts"]);
    assert_eq!(lab.cli(&["identity", "list"]).lines().count(), 2);
    lab.cli(&["domain", "remove", "firma.test", "--with-accounts"]);
    lab.cli(&["group", "remove", "private"]);
    assert_eq!(lab.cli(&["identity", "list"]).lines().count(), 1);
    let left = lab.cli(&["policy", "list"]);
    assert_eq!(left.lines().count(), 2, "headings and the pool: {left}");
    assert!(lab.cli(&["findings"]).is_empty());
}
