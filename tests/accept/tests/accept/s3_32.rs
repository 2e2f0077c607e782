//! S3-32: a rule made with the operator's form is the same JSON as over the API; its header action is done at its point,
//! on a message that is delivered. What the form would do is shown first; the list says what holds in words; moving,
//! removing and a form that is out of date are seen to.

use harness::{Lab, Lines, Web};
use serde_json::{Value, json};

fn encoded(pairs: &[(&str, &str)]) -> String {
    let escape = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' => {
                    char::from(byte).to_string()
                }
                _ => format!("%{byte:02X}"),
            })
            .collect()
    };
    let pairs = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn rules(operator: &Web<'_>) -> Value {
    operator.get("/api/v1/rules").with(200).json()
}

fn delivered(lab: &Lab, subject: &str) -> String {
    let mut smtp = Lines::clear(lab.server.port("smtp"));
    smtp.smtp();
    smtp.smtp_ask("EHLO mx.far.test");
    smtp.smtp_ask("MAIL FROM:<x@far.test>");
    smtp.smtp_ask("RCPT TO:<anna@firma.test>");
    smtp.smtp_ask("DATA");
    let reply = smtp.smtp_ask(&format!(
        "X-Mailer: Loud 1.0\r\nFrom: x@far.test\r\nSubject: {subject}\r\n\r\nhello\r\n."
    ));
    assert!(reply.starts_with("250"), "{reply}");
    lab.wait_inbox("anna", &[&format!("Subject: {subject}")])
}

/// What somebody enters who wants newsletters marked and their mailer removed.
fn entered(version: &str, schedule: &str) -> String {
    encoded(&[
        ("version", version),
        ("was", ""),
        ("name", "mark"),
        ("note", "asked for by marketing"),
        ("at", "data"),
        ("join", "all"),
        ("fact", "sender-domain"),
        ("op", "is"),
        ("value", "far.test"),
        ("fact", "header:subject"),
        ("op", "begins-with"),
        ("value", "news"),
        ("when", ""),
        ("do", "header"),
        ("argument", "add X-Bulk: yes"),
        ("do", "header"),
        ("argument", "remove first X-Mailer"),
        ("do", ""),
        ("argument", ""),
        ("then", ""),
        ("schedule", schedule),
        ("reason", "ticket 17"),
    ])
}

#[test]
fn a_rule_of_the_form_is_that_of_the_api_and_changes_the_header_at_its_point() {
    let lab = Lab::start();
    let operator = Web::operator(&lab.server);
    let grant = json!({ "account": "anna@firma.test", "role": "operator" });
    operator
        .json("POST", "/api/v1/administrators", &grant)
        .with(200);
    let web = Web::log_in(&lab.server, "anna");
    let form = web.get("/rules/new?lang=en").with(200).body;
    assert!(
        form.contains("<select id=\"do-0\"") && !form.contains("<script"),
        "{form}"
    );

    // Looking at it changes nothing, and says what it would do.
    let preview = web
        .form("/rules/preview?lang=en", &entered("0", "enforce"))
        .with(200)
        .body;
    for told in [
        "header: add X-Bulk: yes",
        "the domain of the envelope sender is &quot;far.test&quot; and",
        "In the last seven days",
        "value=\"ticket 17\"",
    ] {
        assert!(preview.contains(told), "{told}\n{preview}");
    }
    assert_eq!(rules(&operator)["version"], 0);

    web.form("/rules/save?lang=en", &entered("0", "enforce"))
        .with(303);
    let by_form = rules(&operator);
    let rule = json!({
        "name": "mark", "note": "asked for by marketing", "at": ["data"],
        "when": { "all": [
            { "fact": "sender-domain", "op": "is", "value": "far.test" },
            { "fact": "header:subject", "op": "begins-with", "value": "news" },
        ]},
        "then": [
            { "do": "header", "action": "add X-Bulk: yes" },
            { "do": "header", "action": "remove first X-Mailer" },
        ],
        "schedule": "enforce",
    });
    let marked = delivered(&lab, "news of today");
    assert!(
        marked.contains("X-Bulk: yes") && !marked.contains("Loud 1.0"),
        "{marked}"
    );
    let other = delivered(&lab, "a question");
    assert!(
        !other.contains("X-Bulk") && other.contains("Loud 1.0"),
        "{other}"
    );

    // The same over the API gives the very same JSON.
    operator
        .ask("DELETE", "/api/v1/rules/named/mark?reason=again", &[], "")
        .with(200);
    assert_eq!(rules(&operator)["rules"]["rules"], json!([]));
    let body = json!({ "rule": rule, "reason": "ticket 17" });
    operator.json("POST", "/api/v1/rules", &body).with(200);
    assert_eq!(rules(&operator)["rules"], by_form["rules"]);
    let past = operator.get("/api/v1/rules/versions").with(200).json();
    assert_eq!(past[2]["reason"], "ticket 17");
    assert_eq!(past[2]["changed_by"], "anna@firma.test");
}

#[test]
fn rules_are_listed_in_words_moved_and_removed_and_nobody_overwrites_another() {
    let lab = Lab::start();
    let operator = Web::operator(&lab.server);
    let grant = json!({ "account": "anna@firma.test", "role": "operator" });
    operator
        .json("POST", "/api/v1/administrators", &grant)
        .with(200);
    let web = Web::log_in(&lab.server, "anna");
    for name in ["first", "second"] {
        let rule = json!({ "name": name, "at": ["rcpt"], "then": [{ "do": "reject" }], "schedule": "observe" });
        let body = json!({ "rule": rule, "reason": "x" });
        operator.json("POST", "/api/v1/rules", &body).with(200);
    }
    let list = web.get("/rules?lang=de").with(200).body;
    for told in [
        "<dd>immer</dd>",
        "<dd>ablehnen</dd>",
        "first lehnt ohne Text ab",
        "Fassung 2",
    ] {
        assert!(list.contains(told), "{told}\n{list}");
    }
    let row = |name, version, place| {
        let pairs = [
            ("name", name),
            ("version", version),
            ("place", place),
            ("reason", "y"),
        ];
        encoded(&pairs)
    };
    web.form("/rules/move", &row("second", "2", "1")).with(303);
    let names = |held: Value| -> Vec<String> {
        let all = held["rules"]["rules"].as_array().expect("rules").clone();
        let names = all
            .iter()
            .map(|rule| rule["name"].as_str().expect("a name").to_owned());
        names.collect()
    };
    assert_eq!(names(rules(&operator)), ["second", "first"]);
    // A list that is out of date changes nothing.
    web.form("/rules/remove", &row("first", "2", "1")).with(422);
    let stale = web
        .form("/rules/save?lang=en", &entered("2", "observe"))
        .with(422)
        .body;
    assert!(
        stale.contains("changed meanwhile") && stale.contains("value=\"mark\""),
        "{stale}"
    );
    let wrong = web
        .form("/rules/save?lang=en", &entered("3", "some day"))
        .with(422)
        .body;
    assert!(wrong.contains("role=\"alert\""), "{wrong}");
    web.form("/rules/remove", &row("first", "3", "1")).with(303);
    assert_eq!(names(rules(&operator)), ["second"]);
    nobody_overwrites_another_over_the_api(&operator);
    // Who is no operator may not.
    let carla = Web::log_in(&lab.server, "carla");
    carla.get("/rules").with(403);
    carla
        .form("/rules/remove", &row("second", "5", "1"))
        .with(403);
}

fn nobody_overwrites_another_over_the_api(operator: &Web<'_>) {
    let seen = operator.get("/api/v1/rules/named/second").with(200);
    let tag = seen.field("etag").expect("an ETag").to_owned();
    let schedule = json!({ "schedule": "warn", "reason": "z" }).to_string();
    let path = "/api/v1/rules/named/second/schedule";
    let fields = [
        ("Content-Type", "application/json"),
        ("If-Match", tag.as_str()),
    ];
    operator.ask("PUT", path, &fields, &schedule).with(200);
    operator.ask("PUT", path, &fields, &schedule).with(412);
}
