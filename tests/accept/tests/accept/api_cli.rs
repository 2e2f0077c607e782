//! Policy at the command line goes through the admin API: of the running node, where it holds at once, or in the
//! command's own process after the node was killed; the audit log has who, what was and what is, either way.

use harness::{Lab, Letter, Web};
use serde_json::{Value, json};
use std::os::unix::fs::MetadataExt as _;

/// The newest entry of the audit log with this route.
fn entry(lab: &Lab, route: &str) -> Value {
    let log = Web::operator(&lab.server).get("/api/v1/audit?limit=100");
    let log = log.with(200).json();
    let entries = log.as_array().expect("entries");
    let found = entries.iter().find(|entry| entry["route"] == route);
    found.unwrap_or_else(|| panic!("{route}: {log}")).clone()
}

#[test]
fn a_command_changes_a_running_node_and_a_stopped_one() {
    let mut lab = Lab::start();
    let anna = lab.server.account("anna").address;
    let sender = |lab: &Lab| {
        let mut letter = Letter::new("anna", "bernd@firma.test", "as somebody else");
        letter.from = "chef@firma.test".to_owned();
        lab.submit(&letter)
    };
    assert!(sender(&lab).starts_with("550"), "not her address");
    let set = |value| {
        [
            "policy",
            "set",
            &anna,
            "sender-ownership",
            value,
            "--reason",
            "#1",
        ]
        .map(str::to_owned)
    };
    let run = |lab: &Lab, arguments: &[String]| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        lab.cli(&arguments)
    };
    run(&lab, &set("off"));
    let reply = sender(&lab);
    assert!(reply.starts_with("250"), "at once: {reply}");
    let logged = entry(&lab, "POST /api/v1/policy/settings");
    assert!(
        logged["who"]
            .as_str()
            .is_some_and(|who| who.starts_with("local ")),
        "{logged}"
    );
    assert_eq!(logged["outcome"], "done", "{logged}");
    assert_eq!(logged["before"], Value::Null, "{logged}");
    assert_eq!(logged["after"], "off", "{logged}");

    // Killed, so that its socket is left behind.
    lab.server.kill();
    assert!(lab.server.dir().join("store/api.sock").exists());
    let mut again = set("enforce").to_vec();
    again.extend(["--by".to_owned(), "nora".to_owned()]);
    let told = run(&lab, &again);
    assert!(told.contains("sender-ownership for"), "{told}");
    let (ok, _, why) = lab.server.cli(&["policy", "set", &anna, "dane", "maybe"]);
    assert!(!ok && why.starts_with("rohrpost: \"maybe\""), "{why}");
    root_leaves_nothing_in_data_of_somebody_else(&lab, &set("off"));
    lab.restart();
    assert!(sender(&lab).starts_with("550"), "it holds after the start");
    let logged = entry(&lab, "POST /api/v1/policy/settings");
    assert_eq!(logged["outcome"], "refused 422", "{logged}");
    let history = lab.cli(&["policy", "history", &anna]);
    assert!(
        history.contains("from off to enforce, by nora, because: #1"),
        "{history}"
    );
    nora_is_in_the_log(&lab);
}

/// The change that was made for her while no node ran, with what was before.
fn nora_is_in_the_log(lab: &Lab) {
    let all = Web::operator(&lab.server).get("/api/v1/audit").with(200);
    let all = all.json();
    let changed = all.as_array().expect("entries").iter();
    let mut changed = changed.filter(|entry| entry["before"] == "off");
    let changed = changed.next().unwrap_or_else(|| panic!("{all}"));
    assert_eq!(changed["after"], "enforce", "{changed}");
    assert!(
        changed["who"]
            .as_str()
            .is_some_and(|who| who.ends_with(" for nora")),
        "{changed}"
    );
}

/// Files that root makes there could not be read by the user the node runs as.
fn root_leaves_nothing_in_data_of_somebody_else(lab: &Lab, command: &[String]) {
    let data = lab.server.dir().join("store");
    let owner = std::fs::metadata(&data).expect("data").uid();
    // Only root can play this.
    if owner != 0 || std::os::unix::fs::chown(&data, Some(65_534), None).is_err() {
        return;
    }
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let (ok, _, why) = lab.server.cli(&command);
    assert!(!ok && why.contains("run this command as"), "{why}");
    std::os::unix::fs::chown(&data, Some(owner), None).expect("given back");
}

#[test]
fn every_change_that_can_break_mail_answers_whom_it_concerns() {
    let lab = Lab::start();
    let web = Web::operator(&lab.server);
    let pool = json!({ "addresses": ["192.0.2.7"], "hello": "out.rp.test", "reason": "#2" });
    let done = web.json("PUT", "/api/v1/pools/business", &pool).with(200);
    let done = done.json();
    assert_eq!(done["used_by"], json!([]), "{done}");
    assert!(
        done["warnings"].to_string().contains("PTR"),
        "nobody named the address: {done}"
    );
    lab.policy("firma.test", "pool", "business");
    let done = web.json("PUT", "/api/v1/pools/business", &pool).with(200);
    assert_eq!(done.json()["used_by"], json!(["domain firma.test"]));

    let rule = json!({
        "scope": "firma.test", "domain": "partner.test", "rule": "secure", "reason": "#3",
    });
    let done = web.json("PUT", "/api/v1/destinations", &rule).with(200);
    let done = done.json();
    assert_eq!(
        done["impact"][0]["change"], "destination/partner.test",
        "{done}"
    );

    let at = json!({ "scope": "anna@firma.test", "measure": "cleartext", "reason": "#4" });
    let with = |more: Value| {
        let mut body = at.clone();
        for (name, value) in more.as_object().expect("an object") {
            body[name.as_str()] = value.clone();
        }
        body
    };
    let pause = web.json("POST", "/api/v1/measures/pause", &with(json!({})));
    let pause = pause.with(200).json();
    let of = |answer: &Value| answer["impact"].as_array().map_or(0, Vec::len);
    assert!(of(&pause) > 0, "whom it stops once it is over: {pause}");
    let except = with(json!({ "until": "2035-01-01", "owner": "Anna, #8" }));
    let except = web.json("POST", "/api/v1/measures/except", &except);
    let except = except.with(200).json();
    assert!(of(&except) > 0, "whom it stops once it ended: {except}");
    assert_eq!(except["zone"], "Europe/Berlin", "{except}");
}
