//! S1-14: legacy access has an end date: without one it cannot be saved, and one of more than 90 days is
//! saved with a warning.

use harness::Lab;

#[test]
fn legacy_access_cannot_be_saved_without_an_end_date() {
    let lab = Lab::start();
    for value in [&["until"][..], &["tls=1.0,1.1"], &["cleartext"], &["on"]] {
        for scope in ["installation", "firma.test"] {
            let mut set = vec!["policy", "set", scope, "legacy-access"];
            set.extend(value);
            let (ok, output, errors) = lab.server.cli(&set);
            assert!(!ok, "{set:?}: {output}");
            assert!(errors.contains("must have an end date"), "{errors}");
        }
    }
    let listed = lab.cli(&["policy", "list"]);
    assert!(!listed.contains("legacy-access"), "{listed}");
    // An account alone cannot have it, and neither can a group: it enrols instead.
    let anna = lab.server.account("anna").address;
    let (ok, ..) = lab.server.cli(&[
        "policy",
        "set",
        &anna,
        "legacy-access",
        "until",
        "2026-05-30",
    ]);
    assert!(!ok);
}

#[test]
fn more_than_ninety_days_are_warned_of() {
    let lab = Lab::start();
    // The lab's day is 2 March 2026.
    for (until, warned) in [("2026-05-30", false), ("2026-06-02", true)] {
        let value = ["legacy-access", "until", until, "cleartext"];
        for verb in [["measure", "plan"], ["measure", "set"]] {
            let told = lab.cli(&[&verb[..], &["installation"], &value].concat());
            assert_eq!(told.contains("more than 90 days"), warned, "{told}");
        }
    }
    let listed = lab.cli(&["measure", "list"]);
    let line = listed
        .lines()
        .find(|line| line.starts_with("legacy-access "));
    let line = line.unwrap_or_default();
    assert!(
        line.contains("until 2026-06-02 tls=1.0,1.1 cleartext"),
        "{listed}"
    );
}
