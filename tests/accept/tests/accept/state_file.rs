//! The state file holds everything that was decided: an installation that is made of it exports the same bytes, and a
//! rollout whose page is public is never changed by it, nor is anything else then.

use harness::{Lab, Web};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

fn write(lab: &Lab, name: &str, text: &str) -> String {
    let file = lab.server.dir().join(name);
    std::fs::write(&file, text).expect("a file");
    file.display().to_string()
}

/// Something of every section.
fn decide(lab: &Lab) {
    let sample = lab.cli(&["rollout", "sample"]);
    lab.cli(&["rollout", "create", &write(lab, "rollout.toml", &sample)]);
    lab.cli(&["rollout", "voice", "set", "phone", "030 / \"17\""]);
    lab.cli(&["rollout", "voice", "set", "address", "du"]);
    let client = "[[client]]\nid = \"x\"\nname = \"X\"\nclass = \"printer\"\nguide = \"printer\"\n";
    let client = write(lab, "client.toml", client);
    lab.cli(&["catalogue", "add", &client, "--reason", "ours"]);
    let rule = "name = \"one\"\nat = [\"data\"]\nthen = [{ do = \"tag\", word = \"seen\" }]\n";
    lab.cli(&["rules", "add", &write(lab, "rule.toml", rule)]);
    lab.cli(&["policy", "set", "firma.test", "sender-ownership", "warn"]);
    let anna = lab.server.account("anna").address;
    lab.cli(&["identity", "grant", &anna, "*@far.test", "--reason", "hers"]);
}

/// A command on a data directory in which nobody runs.
fn elsewhere(dir: &Path, arguments: &[&str]) -> String {
    let config = dir.join("rohrpost.toml");
    if !config.exists() {
        let dir = dir.display();
        let text = format!(
            "[node]\nhost_name = \"mx.other.test\"\ndata_dir = \"{dir}/data\"\n[tls]\ncertificate_dir = \"{dir}\"\n"
        );
        std::fs::write(&config, text).expect("settings");
    }
    let done = Command::new(harness::server::program())
        .arg("--config")
        .arg(&config)
        .args(arguments)
        .output()
        .expect("it runs");
    let (told, why) = (&done.stdout, String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{arguments:?}: {why}");
    String::from_utf8_lossy(told).into_owned()
}

#[test]
fn an_installation_made_of_its_file_exports_the_same_bytes() {
    let lab = Lab::start();
    decide(&lab);
    let exported = lab.cli(&["export"]);
    for section in [
        "[[account]]",
        "[[policy]]",
        "[[identity]]",
        "[[client]]",
        "[[rules]]",
        "[[rollout]]",
        "[voice]",
    ] {
        assert!(exported.contains(section), "{section}: {exported}");
    }
    let file = write(&lab, "state.toml", &exported);
    assert_eq!(lab.cli(&["plan", &file]), "Nothing changes.\n");
    let other = tempfile::tempdir().expect("it works");
    let planned = elsewhere(other.path(), &["apply", &file]);
    assert!(
        planned.contains("Rollout secure-connections is kept as a draft."),
        "{planned}"
    );
    assert_eq!(elsewhere(other.path(), &["export"]), exported);
    assert_eq!(
        elsewhere(other.path(), &["plan", &file]),
        "Nothing changes.\n"
    );
    let shown = elsewhere(other.path(), &["rollout", "list"]);
    assert!(shown.contains("draft"), "{shown}");
}

#[test]
fn a_rollout_that_runs_stops_a_file_that_wants_another() {
    let lab = Lab::start();
    decide(&lab);
    lab.cli(&["rollout", "announce", "secure-connections"]);
    lab.cli(&["rollout", "start", "secure-connections"]);
    let exported = lab.cli(&["export"]);
    let file = write(&lab, "state.toml", &exported);
    // That it runs is its life, of which the file says nothing.
    assert_eq!(lab.cli(&["plan", &file]), "Nothing changes.\n");
    let later = exported.replace("date = \"2027-04-01\"", "date = \"2027-04-02\"");
    let later = later.replace("phone = ", "hours = \"9-17\"\nphone = ");
    assert_ne!(later, exported);
    let file = write(&lab, "later.toml", &later);
    for verb in ["plan", "apply"] {
        let (ok, told, why) = lab.server.cli(&[verb, &file]);
        assert!(!ok && told.is_empty(), "{told}");
        assert!(
            why.contains(
                "rollout secure-connections is running and is another one in the file (steps)"
            ) && why.contains("rohrpost rollout rollback secure-connections"),
            "{why}"
        );
    }
    assert_eq!(lab.cli(&["export"]), exported, "nothing was done");
    lab.cli(&["rollout", "rollback", "secure-connections"]);
    let rolled_back = lab.cli(&["export"]);
    // What it had set is no longer in the installation, and must not come back with the file.
    let policy = rolled_back.find("[[identity]]").expect("identities");
    let policy = rolled_back.get(..policy).expect("text");
    let rest = later.find("[[identity]]").expect("identities");
    let file = write(&lab, "again.toml", &format!("{policy}{}", &later[rest..]));
    let told = lab.cli(&["apply", &file]);
    assert!(
        told.contains("Rollout secure-connections changes; it stays rolled-back."),
        "{told}"
    );
    // The API answers the same, with whom it would cut off.
    let body = lab.cli(&["api", "POST", "/api/v1/state/plan", "--file", &file]);
    let planned: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(planned["changes"], serde_json::json!([]));
    assert_eq!(planned["breaks"], serde_json::json!([]));
    let all = Web::operator(&lab.server).get("/api/v1/audit").with(200);
    let all = all.json();
    let applied = all.as_array().expect("entries").iter();
    let mut applied = applied.filter(|entry| entry["route"] == "PUT /api/v1/state");
    let newest = applied.next().unwrap_or_else(|| panic!("{all}"));
    assert_eq!(newest["outcome"], "done", "{newest}");
}
