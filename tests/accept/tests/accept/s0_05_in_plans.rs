//! S0-05 where a change is made: `rohrpost plan` of a state file, and every verb of `rohrpost measure` after which
//! somebody could be cut off, say who that would be first.

use harness::customer::{Customer, Newest, Program, Security};
use harness::{Lab, Server};

/// Anna reads her mail with TLS 1.2.
fn visit(lab: &Lab) -> String {
    let anna = lab.server.account("anna");
    let customer = Customer {
        program: Program {
            imap_id: Some(["Microsoft Outlook", "14.0", "Windows"]),
            hello: "pc.test",
            mailer: None,
            security: Security::StartTls,
            newest: Newest::Tls12,
        },
        user: anna.address.clone(),
        password: anna.password,
    };
    let visit = customer.imap(lab.server.port("imap"));
    assert!(visit.ok, "{visit:?}");
    anna.address
}

fn plan(server: &Server, state: &str) -> String {
    let file = server.dir().join("state.toml");
    std::fs::write(&file, state).expect("a file");
    let (ok, output, errors) = server.cli(&["plan", &file.display().to_string()]);
    assert!(ok, "{output}{errors}");
    output
}

#[test]
fn a_plan_of_a_state_file_says_who_would_be_cut_off() {
    let lab = Lab::start();
    visit(&lab);
    // What was seen is written when somebody looks.
    lab.cli(&["impact", "tls-version/imap=1.3"]);
    let state = lab.cli(&["export"]);
    let unchanged = plan(&lab.server, &state);
    assert!(!unchanged.contains("would cut off"), "{unchanged}");
    let strict = format!(
        "{state}\n[[policy]]\nscope = \"installation\"\nname = \"tls-version\"\nitem = \"imap\"\n\
         value = \"1.3 observe; 2026-04-01 enforce\"\n"
    );
    let told = plan(&lab.server, &strict);
    assert!(
        told.contains("it would cut off 1 accounts in 1 domains here"),
        "{told}"
    );
    assert!(
        told.contains("rohrpost impact tls-version/imap=1.3 --scope installation"),
        "{told}"
    );
    let listed = lab.cli(&["measure", "list"]);
    assert!(listed.contains("Nothing is set"), "{listed}");
}

#[test]
fn every_verb_that_can_cut_somebody_off_says_whom() {
    let lab = Lab::start();
    let anna = visit(&lab);
    let measure = |verb: &str, more: &[&str]| {
        let all = [
            &["measure", verb, "installation", "tls-version/imap"][..],
            more,
        ]
        .concat();
        lab.cli(&all)
    };
    let names = |told: &str| told.lines().any(|line| line.starts_with(&anna));
    let value = ["1.3", "warn", "2026-04-01", "enforce"];
    let planned = measure("plan", &value);
    assert!(
        names(&planned) && planned.ends_with("Nothing was changed.\n"),
        "{planned}"
    );
    assert!(
        planned.contains("from 2026-04-01 (2026-04-01T00:00:00+02:00): enforce"),
        "{planned}"
    );
    for (verb, more, named) in [
        ("set", &value[..], true),
        ("pause", &[], false),
        ("resume", &[], true),
        ("rollback", &[], true),
        ("rollback", &[], true),
        // The default demands 1.2, which anna has.
        ("unset", &[], false),
        ("rollback", &[], true),
    ] {
        let told = measure(verb, more);
        assert_eq!(names(&told), named, "{verb}: {told}");
    }
    // Only stages: the version stays.
    let told = measure("set", &["observe"]);
    assert!(told.ends_with("is now: 1.3 observe\n"), "{told}");
    let shown = lab.cli(&["measure", "show", &anna, "tls-version/imap"]);
    let line = shown
        .lines()
        .find(|line| line.starts_with("tls-version/imap "));
    let words: Vec<_> = line.unwrap_or_default().split_whitespace().collect();
    assert_eq!(
        words,
        ["tls-version/imap", "observe", "-", "installation"],
        "{shown}"
    );
}
