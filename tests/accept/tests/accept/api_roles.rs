//! One domain admin cannot read or change another's domain, a user only the own account: over every operation that the
//! server's own OpenAPI document names, so that a new one is among them by itself.

use harness::{Server, Web, web::Answer};
use serde_json::{Value, json};

/// Somebody else's domain and account, as they appear anywhere.
const FOREIGN: &str = "privat.test";

/// Method and path of every operation.
fn operations(server: &Server) -> Vec<(String, String)> {
    let document = Web::new(server)
        .get("/api/v1/openapi.json")
        .with(200)
        .json();
    let paths = document["paths"].as_object().expect("paths").clone();
    let mut all = Vec::new();
    for (path, item) in paths {
        for method in ["get", "put", "post", "patch", "delete"] {
            if item.get(method).is_some() {
                all.push((method.to_uppercase(), path.clone()));
            }
        }
    }
    assert!(all.len() > 50, "{}", all.len());
    all
}

/// The path with the names of a domain and an account put in.
fn filled(path: &str, domain: &str, account: &str) -> String {
    let mut path = path
        .replace("{domain}", domain)
        .replace("{account}", account);
    while let (Some(begin), Some(end)) = (path.find('{'), path.find('}')) {
        path.replace_range(begin..=end, "1");
    }
    path
}

/// Bodies that would do something where they were let in.
fn bodies() -> Vec<Value> {
    vec![
        json!({}),
        json!({ "contact": "anna@firma.test", "to": ["anna@firma.test"], "local": "neu" }),
        json!({ "password": "a-new-Passwort-1", "label": "x", "reason": "x", "value": "required" }),
        json!({ "scope": FOREIGN, "name": "outbound-tls", "value": "required", "reason": "x" }),
        json!({ "account": "anna@firma.test", "role": "operator" }),
        json!({ "role": "operator", "label": "mine" }),
    ]
}

fn ask(web: &Web<'_>, method: &str, path: &str) -> Vec<Answer> {
    match method {
        "GET" | "DELETE" => vec![in_time(|| web.ask(method, path, &[], ""))],
        _ => bodies()
            .iter()
            .map(|body| in_time(|| web.json(method, path, body)))
            .collect(),
    }
}

/// Asks again where these were too many requests at once; a minute of patience is more than the limit asks for.
#[allow(
    clippy::disallowed_methods,
    reason = "tests wait on the machine's clock"
)]
fn in_time(ask: impl Fn() -> Answer) -> Answer {
    for _ in 0..60 {
        let answer = ask();
        if answer.status != 429 {
            return answer;
        }
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    panic!("a minute of nothing but 429")
}

/// What an operation needs at least, as the document's text says it.
fn is_of(path: &str) -> bool {
    path.contains("{domain}") || path.contains("{account}")
}

/// Asks everything about what is not the caller's; nothing of it may be told or done.
fn refuses_all_that_is_foreign(server: &Server, web: &Web<'_>, domain: &str, account: &str) {
    let state = || {
        let operator = Web::operator(server);
        in_time(|| operator.get("/api/v1/state")).with(200).body
    };
    let before = state();
    for (method, path) in operations(server) {
        // The caller's own session must go on.
        if path == "/api/v1/session" {
            continue;
        }
        let asked = filled(&path, domain, account);
        for answer in ask(web, &method, &asked) {
            let told = format!("{method} {asked}: {answer:?}");
            if is_of(&path) {
                assert!([403, 404].contains(&answer.status), "{told}");
            }
            assert!(answer.status < 500, "{told}");
            if answer.status < 300 {
                assert!(!answer.body.contains(FOREIGN), "{told}");
            }
        }
    }
    let after = state();
    assert_eq!(before, after, "something was changed");
}

#[test]
fn a_domain_admin_sees_and_changes_nothing_of_another_domain() {
    let server = Server::start();
    let made = Web::operator(&server)
        .json(
            "POST",
            "/api/v1/tokens",
            &json!({ "role": "domain-admin", "domains": ["firma.test"], "label": "firma" }),
        )
        .with(201)
        .json();
    let web = Web::token(&server, made["token"].as_str().expect("a token"));
    // The own domain is there.
    web.get("/api/v1/domains/firma.test").with(200);
    web.get("/api/v1/accounts/bernd@firma.test/connections")
        .with(200);
    refuses_all_that_is_foreign(&server, &web, FOREIGN, "carla@privat.test");
    refuses_all_that_is_foreign(&server, &web, "none-such.test", "nobody@none-such.test");
}

#[test]
fn a_user_sees_and_changes_nothing_of_another_account() {
    let server = Server::start();
    let web = Web::log_in(&server, "anna");
    web.get("/api/v1/accounts/anna@firma.test/connections")
        .with(200);
    refuses_all_that_is_foreign(&server, &web, FOREIGN, "carla@privat.test");
    refuses_all_that_is_foreign(&server, &web, "firma.test", "bernd@firma.test");
    for page in ["/support", "/support?address=carla@privat.test"] {
        web.get(page).with(403);
    }
}

#[test]
fn a_form_of_another_site_changes_nothing() {
    let server = Server::start();
    let web = Web::log_in(&server, "anna");
    let path = "/api/v1/accounts/anna@firma.test/app-passwords";
    let body = json!({ "label": "x" }).to_string();
    let kind = ("Content-Type", "application/json");
    let foreign = ("Origin", "https://evil.test");
    web.ask("POST", path, &[kind, foreign], &body).with(403);
    web.ask(
        "POST",
        path,
        &[kind, ("Sec-Fetch-Site", "cross-site")],
        &body,
    )
    .with(403);
    web.ask("POST", path, &[kind], &body).with(201);
}

#[test]
fn changes_are_logged_with_before_and_after_and_conflicts_are_noticed() {
    let server = Server::start();
    let web = Web::operator(&server);
    let path = "/api/v1/domains/firma.test";
    let seen = web.get(path).with(200);
    let tag = seen.field("etag").expect("an ETag").to_owned();
    let fields = [
        ("Content-Type", "application/json"),
        ("If-Match", tag.as_str()),
    ];
    let body = json!({ "contact": "anna@firma.test" }).to_string();
    web.ask("PATCH", path, &fields, &body).with(200);
    web.ask("PATCH", path, &fields, &body).with(412);
    let log = web
        .get("/api/v1/audit?subject=domain%20firma.test")
        .with(200)
        .json();
    let lines = log.as_array().expect("a list");
    assert_eq!(lines[0]["outcome"], "refused 412");
    assert_eq!(lines[1]["before"]["contact"], Value::Null);
    assert_eq!(lines[1]["after"]["contact"], "anna@firma.test");
    let (ok, text, _) = server.cli(&["admin", "log", "--limit", "5"]);
    assert!(
        ok && text.contains("PATCH /api/v1/domains/firma.test"),
        "{text}"
    );
}

#[test]
fn a_token_that_is_revoked_or_over_opens_nothing() {
    let server = Server::start();
    let (ok, token, _) = server.cli(&["token", "add", "--role", "support", "--label", "x"]);
    assert!(ok);
    let web = Web::token(&server, token.trim());
    web.get("/api/v1/queue").with(200);
    web.json("POST", "/api/v1/domains", &json!({ "name": "neu.test" }))
        .with(403);
    let (_, list, _) = server.cli(&["token", "list"]);
    let line = list
        .lines()
        .find(|line| line.contains("support"))
        .expect("a line");
    let id = line.split(' ').next().expect("an id");
    assert!(!list.contains(token.trim()));
    assert!(server.cli(&["token", "revoke", id]).0);
    web.get("/api/v1/queue").with(401);
    let (ok, me, _) = server.cli(&["api", "GET", "/api/v1/me"]);
    assert!(ok && me.contains("\"local "), "{me}");
}

/// A token that administers firma.test.
fn admin_of_firma(server: &Server) -> String {
    let body = json!({ "role": "domain-admin", "domains": ["firma.test"], "label": "firma" });
    let made = Web::operator(server).json("POST", "/api/v1/tokens", &body);
    let made = made.with(201).json();
    made["token"].as_str().expect("a token").to_owned()
}

#[test]
fn a_domain_admin_gets_no_more_through_an_account_of_the_domain() {
    let server = Server::start();
    let operator = Web::operator(&server);
    let token = admin_of_firma(&server);
    let web = Web::token(&server, &token);
    let password = json!({ "password": "a-new-Passwort-1" });
    let bernd = "/api/v1/accounts/bernd@firma.test";
    web.json("PUT", &format!("{bernd}/password"), &password)
        .with(200);
    for grant in [
        json!({ "account": "bernd@firma.test", "role": "operator" }),
        json!({ "account": "bernd@firma.test", "role": "domain-admin", "domain": "privat.test" }),
    ] {
        operator
            .json("POST", "/api/v1/administrators", &grant)
            .with(200);
        web.json("PUT", &format!("{bernd}/password"), &password)
            .with(403);
        web.json("PATCH", bernd, &json!({ "status": "suspended" }))
            .with(403);
        web.ask("DELETE", bernd, &[], "").with(403);
        web.json(
            "POST",
            &format!("{bernd}/app-passwords"),
            &json!({ "label": "x" }),
        )
        .with(403);
        operator
            .json("DELETE", "/api/v1/administrators", &grant)
            .with(204);
    }
    web.json("PUT", &format!("{bernd}/password"), &password)
        .with(200);
}

#[test]
fn a_domain_forbids_legacy_access_and_never_opens_it() {
    let server = Server::start();
    let token = admin_of_firma(&server);
    let web = Web::token(&server, &token);
    let path = "/api/v1/domains/firma.test/policy/legacy-access";
    let longer = json!({ "value": "until 2099-01-01 tls=1.0 cleartext", "reason": "x" });
    web.json("PUT", path, &longer).with(403);
    let none = json!({ "value": "forbidden", "reason": "x" });
    web.json("PUT", path, &none).with(200);
    Web::operator(&server).json("PUT", path, &longer).with(200);
}

#[test]
fn of_several_who_saw_the_same_only_one_changes_it() {
    let server = Server::start();
    let path = "/api/v1/domains/firma.test";
    let seen = Web::operator(&server).get(path).with(200);
    let tag = seen.field("etag").expect("an ETag").to_owned();
    let change = || {
        let fields = [
            ("Content-Type", "application/json"),
            ("If-Match", tag.as_str()),
        ];
        let body = json!({ "contact": "anna@firma.test" }).to_string();
        Web::operator(&server)
            .ask("PATCH", path, &fields, &body)
            .status
    };
    let mut came: Vec<u16> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..8).map(|_| scope.spawn(change)).collect();
        asked
            .into_iter()
            .map(|one| one.join().expect("asked"))
            .collect()
    });
    came.sort_unstable();
    assert_eq!(came, [200, 412, 412, 412, 412, 412, 412, 412]);
}

#[test]
fn odd_requests_are_refused_and_large_ones_of_nobody_are_not_read() {
    let server = Server::start();
    let operator = Web::operator(&server);
    for path in [
        "/api/v1/impact?change=rule/%00",
        "/api/v1/domains?offset=%00",
        "/api/v1/accounts/%ff@firma.test",
        "/api/v1/accounts/anna@firma.test%00",
        "/api/v1/domains/firma.test/accounts?offset=99999999999999999999",
        "/api/v1/audit?before=-9223372036854775808&who=%F0%28",
    ] {
        let answer = operator.get(path);
        assert!(answer.status < 500, "{path}: {answer:?}");
    }
    let large = format!("user=x&password={}", "x".repeat(66_000));
    let kind = [("Content-Type", "application/x-www-form-urlencoded")];
    Web::new(&server)
        .ask("POST", "/login", &kind, &large)
        .with(413);
}

#[test]
fn who_looks_at_connections_is_written_down() {
    let server = Server::start();
    let operator = Web::operator(&server);
    operator
        .get("/api/v1/accounts/anna@firma.test/connections")
        .with(200);
    operator.get("/api/v1/state").with(200);
    let log = operator.get("/api/v1/audit").with(200).json();
    let routes: Vec<_> = log.as_array().expect("a list").iter().collect();
    assert_eq!(routes[0]["route"], "GET /api/v1/state");
    assert_eq!(routes[1]["subject"], "account anna@firma.test");
}
