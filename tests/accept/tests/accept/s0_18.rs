//! S0-18: each rule of Google, Yahoo and Microsoft for senders, checked for a hosted domain against the DNS, the
//! keys and the reports, with pass and fail.

use harness::Lab;
use serde_json::Value;

fn verdict(rules: &Value, profile: &str, rule: &str) -> String {
    let all = rules.as_array().expect("a list");
    let one = all
        .iter()
        .find(|r| r["profile"] == profile && r["rule"] == rule)
        .unwrap_or_else(|| panic!("no {rule} of {profile} in {rules}"));
    one["verdict"].as_str().expect("a word").to_owned()
}

/// The rules, and whether the command found no fault.
fn check(lab: &Lab) -> (bool, Value) {
    let (ok, output, errors) = lab.server.cli(&["check", "domain", "firma.test", "--json"]);
    (
        ok,
        serde_json::from_str(&output).unwrap_or_else(|_| panic!("{output}{errors}")),
    )
}

#[test]
fn each_rule_is_judged_by_what_is_there() {
    let lab = Lab::start();
    let address = "127.51.0.9";
    lab.cli(&["pool", "add", "business", address, "--hello", "out.rp.test"]);
    lab.policy("firma.test", "pool", "business");
    let (ok, bare) = check(&lab);
    assert!(!ok, "{bare}");
    for (profile, rule, expected) in [
        ("google", "spf-or-dkim", "pass"),
        ("google", "spf-and-dkim", "fail"),
        ("google", "ptr", "fail"),
        ("google", "tls", "pass"),
        ("microsoft", "spf", "fail"),
        ("microsoft", "dkim", "pass"),
        ("yahoo", "dmarc", "fail"),
        ("yahoo", "spam-rate", "unknown"),
    ] {
        assert_eq!(
            verdict(&bare, profile, rule),
            expected,
            "{profile} {rule}: {bare}"
        );
    }
    lab.dns
        .txt("firma.test", &format!("v=spf1 ip4:{address} -all"));
    lab.dns.txt("_dmarc.firma.test", "v=DMARC1; p=none");
    lab.dns
        .address("out.rp.test", address.parse().expect("an address"));
    lab.dns
        .ptr(address.parse().expect("an address"), "out.rp.test");
    let (ok, mended) = check(&lab);
    assert!(ok, "{mended}");
    for profile in ["google", "yahoo"] {
        for rule in ["spf-and-dkim", "ptr", "dmarc"] {
            assert_eq!(
                verdict(&mended, profile, rule),
                "pass",
                "{profile} {rule}: {mended}"
            );
        }
    }
    let shown = lab.cli(&[
        "check",
        "domain",
        "firma.test",
        "--profile",
        "google",
        "--lang",
        "de",
    ]);
    assert!(
        shown.starts_with("google\n") && !shown.contains("yahoo"),
        "{shown}"
    );
    assert!(
        shown.contains("Jede Adresse, von der Post ausgeht"),
        "{shown}"
    );
}
