//! Tightening over the API: a measure is planned, set, held, let go, taken back and removed, each with what was and what
//! is; rules are tried out and an older version comes back; the emergency switch stands until it is taken back.

use harness::{Server, Web};
use serde_json::{Value, json};

fn change(web: &Web<'_>, method: &str, verb: &str, more: Value) -> Value {
    let mut body = json!({ "scope": "installation", "measure": "cleartext/pop3", "reason": "#7" });
    for (name, value) in more.as_object().expect("an object") {
        body[name.as_str()] = value.clone();
    }
    let path = format!("/api/v1/measures{verb}");
    web.json(method, &path, &body).with(200).json()
}

fn set(web: &Web<'_>) -> Vec<Value> {
    let listed = web.get("/api/v1/measures").with(200).json();
    listed["measures"].as_array().expect("measures").clone()
}

#[test]
fn a_measure_goes_through_its_life_over_the_api() {
    let server = Server::start();
    let web = Web::operator(&server);
    let wish = json!({ "value": "observe; 2030-03-01 enforce" });
    let planned = change(&web, "POST", "/plan", wish.clone());
    assert!(planned["impact"].is_array(), "{planned}");
    assert!(set(&web).is_empty(), "a plan changes nothing");

    change(&web, "PUT", "", wish);
    let one = set(&web).remove(0);
    assert_eq!(one["measure"], "cleartext/pop3", "{one}");
    assert_eq!(one["stage"], "observe", "{one}");

    change(&web, "POST", "/pause", json!({ "stage": "warn" }));
    assert_eq!(set(&web)[0]["stage"], "warn (paused)");
    change(&web, "POST", "/resume", json!({}));
    assert_eq!(set(&web)[0]["stage"], "observe");

    let except = json!({ "scope": "firma.test", "until": "2035-01-01", "owner": "Anna, #8" });
    change(&web, "POST", "/except", except);
    assert_eq!(set(&web).len(), 2);

    let back = change(&web, "POST", "/rollback", json!({}));
    let held = back["value"].as_str().expect("a value");
    assert!(held.contains("paused=warn"), "{back}");
    let gone = change(&web, "POST", "/unset", json!({}));
    assert!(gone["value"].is_null(), "{gone}");
    assert_eq!(set(&web).len(), 1, "the exception stays");

    let wrong =
        json!({ "scope": "installation", "measure": "dane", "value": "enforce", "reason": "" });
    let refused = web.json("PUT", "/api/v1/measures", &wrong).with(422);
    assert!(refused.body.contains("is no measure"), "{refused:?}");
}

#[test]
fn rules_are_tried_out_and_an_older_version_comes_back() {
    let server = Server::start();
    let web = Web::operator(&server);
    let rules = json!({ "rules": [{
        "name": "no-clear", "at": ["rcpt"],
        "when": { "fact": "tls", "value": false },
        "then": [{ "do": "reject", "text": "Only over TLS." }],
        "schedule": "enforce",
    }] });
    let session =
        json!({ "sender": "a@far.test", "recipients": [{ "address": "anna@firma.test" }] });
    let body = json!({ "session": session, "rules": rules, "at": "rcpt" });
    let told = web
        .json("POST", "/api/v1/rules/test", &body)
        .with(200)
        .json();
    assert_eq!(told[0]["decided_by"], "no-clear", "{told}");

    let put = json!({ "rules": rules, "reason": "#9" });
    web.json("PUT", "/api/v1/rules", &put).with(200);
    let empty = json!({ "rules": { "rules": [] }, "reason": "#10" });
    let second = web.json("PUT", "/api/v1/rules", &empty).with(200).json();
    let first = second["version"].as_i64().expect("a version") - 1;
    let path = format!("/api/v1/rules/versions/{first}");
    let differs = web.get(&format!("{path}/diff")).with(200).json();
    assert_eq!(differs[0]["how"], "removed", "{differs}");
    let why = json!({ "reason": "#11" });
    web.json("POST", &format!("{path}/restore"), &why).with(200);
    let held = web.get("/api/v1/rules").with(200);
    assert!(held.body.contains("no-clear"), "{held:?}");
}

#[test]
fn the_emergency_switch_stands_until_it_is_taken_back() {
    let server = Server::start();
    let web = Web::operator(&server);
    let what = json!({ "what": ["tls-1.0", "cleartext"], "reason": "an attack" });
    web.json("POST", "/api/v1/legacy/stops", &what).with(200);
    let stops = web.get("/api/v1/legacy/stops").with(200).json();
    assert_eq!(stops.as_array().map(Vec::len), Some(2), "{stops}");
    web.json("POST", "/api/v1/legacy/resume", &what).with(200);
    let stops = web.get("/api/v1/legacy/stops").with(200).json();
    assert_eq!(stops, json!([]));
    let past = web.get("/api/v1/legacy/history").with(200);
    assert!(past.body.contains("an attack"), "{past:?}");
}
