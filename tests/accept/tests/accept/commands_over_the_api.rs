//! A command is a client of the admin API, of the running node or of its own process where none runs: what it changes
//! stands in the audit log with the user who typed it, and no secret does.

use harness::Server;
use serde_json::Value;

fn ok(server: &Server, arguments: &[&str]) -> String {
    let (ok, output, errors) = server.cli(arguments);
    assert!(ok, "{arguments:?}: {output}{errors}");
    output
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn log(server: &Server) -> Vec<Value> {
    let log = ok(server, &["admin", "log", "--json", "--limit", "2000"]);
    log.lines().map(json).collect()
}

/// The entries whose route this is.
fn of(log: &[Value], route: &str) -> Vec<Value> {
    let is_it = |entry: &&Value| entry["route"] == route;
    log.iter().filter(is_it).cloned().collect()
}

/// Of another server; the password is "geheim-vom-alten-Server".
const HASH: &str = "{SSHA}V3T7TL4V6+45hetCRp1/WkPsD5VzYWx6";

/// Has passwords and tokens made; gives them as they were told.
fn secrets(server: &Server) -> Vec<String> {
    let password = |arguments: &[&str]| {
        let made = json(&ok(server, arguments));
        made["password"].as_str().expect("a password").to_owned()
    };
    let carla = "carla@firma.test";
    let token = ["token", "add", "--role", "support", "--label", "x"];
    let hash = ["account", "password", carla, "--password-hash", HASH];
    let told = vec![
        password(&["account", "add", carla, "--json"]),
        password(&["account", "password", carla, "--json"]),
        password(&["app-password", "add", carla, "phone", "--json"]),
        ok(server, &token).trim().to_owned(),
        HASH.to_owned(),
    ];
    ok(server, &hash);
    told
}

#[test]
fn what_a_command_changes_is_in_the_audit_log_and_no_secret_is() {
    let server = Server::start();
    let secrets = secrets(&server);
    let alias = ["alias", "add", "post@firma.test", "carla@firma.test"];
    ok(&server, &alias);
    let (again, _, why) = server.cli(&["account", "add", "carla@firma.test"]);
    assert!(
        !again && why.contains("carla@firma.test is an account already"),
        "{why}"
    );
    let log = log(&server);
    let text = format!("{log:?}");
    for secret in &secrets {
        assert!(secret.len() > 15 && !text.contains(secret), "{secret}");
    }
    let added = of(&log, "POST /api/v1/domains/firma.test/accounts");
    assert_eq!(added[0]["outcome"], "refused 409");
    assert_eq!(added[1]["outcome"], "done");
    assert_eq!(added[1]["after"]["login"], "carla@firma.test");
    let who = added[1]["who"].as_str().expect("a name");
    assert!(
        who.starts_with("local ") && who.len() > "local ".len(),
        "{who}"
    );
    let alias = of(&log, "POST /api/v1/domains/firma.test/aliases/post");
    assert_eq!(alias[0]["after"]["to"][0], "carla@firma.test");
}

#[test]
fn without_a_node_it_is_the_same() {
    let mut server = Server::start();
    let beside = ["account", "add", "carla@firma.test"];
    ok(&server, &beside);
    server.kill();
    let suspend = ["account", "set", "carla@firma.test", "--status"];
    let done = ok(&server, &[&suspend[..], &["suspended"]].concat());
    assert_eq!(done, "Account carla@firma.test is now suspended.\n");
    ok(&server, &["account", "remove", "carla@firma.test"]);
    let log = log(&server);
    let set = of(&log, "PATCH /api/v1/accounts/carla%40firma.test");
    assert_eq!(set[0]["before"]["status"], "active");
    assert_eq!(set[0]["after"]["status"], "suspended");
    let added = of(&log, "POST /api/v1/domains/firma.test/accounts");
    assert_eq!(set[0]["who"], added[0]["who"]);
    let removed = of(&log, "DELETE /api/v1/accounts/carla%40firma.test");
    assert_eq!(removed[0]["outcome"], "done");
}

#[test]
fn an_administrator_is_told_where_to_begin() {
    let server = Server::start();
    let told = ok(
        &server,
        &["admin", "add", "anna@firma.test", "--role", "support"],
    );
    assert!(
        told.starts_with("anna@firma.test is support now.\nLog in at https://")
            && told.contains("/login ")
            && told.trim_end().ends_with("/support"),
        "{told}"
    );
    let grant = [
        "anna@firma.test",
        "--role",
        "domain-admin",
        "--domain",
        "firma.test",
    ];
    let told = ok(&server, &[&["admin", "add"], &grant[..]].concat());
    assert!(
        told.starts_with("anna@firma.test is domain-admin of firma.test now."),
        "{told}"
    );
    let told = ok(&server, &[&["admin", "remove"], &grant[..]].concat());
    assert_eq!(
        told,
        "anna@firma.test is no domain-admin of firma.test any more.\n"
    );
    let (none, _, why) = server.cli(&["admin", "add", "nobody@firma.test", "--role", "support"]);
    assert!(
        !none && why.contains("nobody@firma.test does not exist"),
        "{why}"
    );
}
