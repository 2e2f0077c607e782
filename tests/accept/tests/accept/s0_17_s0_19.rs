//! S0-17, S0-19: the DMARC record of a domain whose zone this server may change goes from stage to stage on its
//! date, as `dig` sees it, with its time to live lowered beforehand; `rohrpost dmarc rollback` restores it. No
//! `pct`, trials by `t=y`.

use harness::{Named, Server, Web};
use serde_json::json;
use std::time::{Duration, Instant};

const OWNER: &str = "_dmarc.firma.test";
const OLD: &str = "\"v=DMARC1; p=none; pct=50; rua=mailto:d@firma.test\"";
const NEW: &str = "\"v=DMARC1; p=quarantine; rua=mailto:d@firma.test\"";

/// A server at this time that asks, and may change, this zone.
fn server(named: &Named, time: &str) -> Server {
    let servers = format!("dns.servers=[\"{}\"]", named.address());
    let primary = format!("dns.update_servers=[\"{}\"]", named.address());
    let key = format!("dns.update_key_file={}", named.key_file().display());
    let zones = "dns.update_zones=[\"firma.test\"]";
    let mut arguments = vec!["--clock", time];
    for setting in [&servers, &primary, &key, zones, "dns.validate=false"] {
        arguments.extend(["--set", setting]);
    }
    Server::start_with(&arguments)
}

fn cli(server: &Server, arguments: &[&str]) -> String {
    let (ok, output, errors) = server.cli(arguments);
    assert!(ok, "rohrpost {}:\n{output}{errors}", arguments.join(" "));
    output
}

/// Waits until the zone shows it.
#[allow(
    clippy::disallowed_methods,
    reason = "tests wait on the machine's clock"
)]
fn becomes(named: &Named, text: &str, ttl: u32) {
    let begin = Instant::now();
    loop {
        let seen = (named.dig(OWNER, "TXT"), named.ttl(OWNER, "TXT"));
        if seen == (text.to_owned(), Some(ttl)) {
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "{seen:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_stage_comes_on_its_date_and_can_be_taken_back() {
    let named = Named::start("firma.test", &format!("_dmarc 7200 TXT {OLD}"));
    let server = server(&named, "2026-09-29T12:00:00Z");
    let plan = [
        "dmarc",
        "plan",
        "firma.test",
        "--to",
        "quarantine",
        "--on",
        "2026-09-30",
        "--reason",
        "step 2",
    ];
    let shown = cli(&server, &plan);
    for line in [
        "- _dmarc.firma.test. 7200 IN TXT",
        "+ _dmarc.firma.test. 7200 IN TXT \"v=DMARC1; p=quarantine; rua",
        "Nothing is planned yet",
    ] {
        assert!(shown.contains(line), "{line}:\n{shown}");
    }
    // No report has come: the advisor says so, and it takes a decision.
    let (ok, _, why) = server.cli(&[&plan[..], &["--yes"]].concat());
    assert!(!ok && why.contains("Reports came for 0"), "{why}");
    cli(&server, &[&plan[..], &["--yes", "--anyway"]].concat());
    assert_eq!(named.dig(OWNER, "TXT"), OLD);
    // Midnight in Berlin is 22:00 UTC; two hours and one before it the old record is made short-lived.
    cli(&server, &["clock", "set", "2026-09-29T19:00:10Z"]);
    becomes(&named, OLD, 300);
    cli(&server, &["clock", "set", "2026-09-29T21:59:50Z"]);
    becomes(&named, OLD, 300);
    cli(&server, &["clock", "set", "2026-09-29T22:00:00Z"]);
    becomes(&named, NEW, 300);
    cli(&server, &["clock", "set", "2026-10-01T22:00:01Z"]);
    becomes(&named, NEW, 7200);
    let changes = cli(&server, &["dmarc", "changes", "firma.test"]);
    assert!(
        changes.contains("settled by") && changes.contains("step 2"),
        "{changes}"
    );
    let back = cli(&server, &["dmarc", "rollback", "firma.test"]);
    assert!(back.contains("was taken back"), "{back}");
    becomes(&named, OLD, 7200);
}

#[test]
fn a_domain_without_a_record_gets_its_first() {
    let named = Named::start("firma.test", "other TXT \"stays\"");
    let server = server(&named, "2026-09-29T12:00:00Z");
    let status = cli(&server, &["dmarc", "status", "firma.test"]);
    assert!(status.contains("publishes no DMARC record"), "{status}");
    let plan = [
        "dmarc",
        "plan",
        "firma.test",
        "--to",
        "none",
        "--on",
        "2026-09-29",
        "--yes",
    ];
    let shown = cli(&server, &plan);
    assert!(!shown.contains("pct"), "{shown}");
    becomes(
        &named,
        "\"v=DMARC1; p=none; rua=mailto:postmaster@mx.rp.test\"",
        300,
    );
    assert_eq!(named.dig("other.firma.test", "TXT"), "\"stays\"");
    let trial = [
        "dmarc",
        "plan",
        "firma.test",
        "--to",
        "quarantine",
        "--trial",
        "--on",
        "2027-01-01",
    ];
    // The first change has not settled: one after the other.
    let (_, shown, _) = server.cli(&trial);
    assert!(shown.contains("p=quarantine; t=y;"), "{shown}");
}

/// Whoever administers the domain goes the same way over the API, for that domain only.
#[test]
fn a_domain_admin_plans_for_the_own_domain_over_the_api() {
    let named = Named::start("firma.test", &format!("_dmarc 7200 TXT {OLD}"));
    let server = server(&named, "2026-09-29T12:00:00Z");
    let body = json!({ "role": "domain-admin", "domains": ["firma.test"], "label": "firma" });
    let made = Web::operator(&server).json("POST", "/api/v1/tokens", &body);
    let made = made.with(201).json();
    let web = Web::token(&server, made["token"].as_str().expect("a token"));
    let dmarc = "/api/v1/domains/firma.test/dmarc";
    let status = web.get(&format!("{dmarc}?lang=de")).with(200).json();
    assert_eq!(
        (&status["policy"], &status["next"]),
        (&json!("none"), &json!("quarantine"))
    );
    assert_eq!(status["removed_tags"], json!(["pct"]));
    let blockers = status["blockers"].to_string();
    assert!(blockers.contains("kamen Berichte"), "{blockers}");
    let step = json!({ "to": "quarantine", "on": "2026-09-30", "reason": "step 2" });
    let planned = web
        .json("POST", &format!("{dmarc}/plan"), &step)
        .with(200)
        .json();
    assert_eq!(planned["change"], serde_json::Value::Null);
    assert_eq!(planned["shorten_at"], "2026-09-29T19:00:00Z");
    let changes = format!("{dmarc}/changes");
    let refused = web
        .json("POST", &format!("{changes}?lang=de"), &step)
        .with(409)
        .json();
    assert_eq!(refused["type"], "urn:rohrpost:problem:held-against");
    assert!(
        refused["detail"].to_string().contains("Dagegen spricht"),
        "{refused}"
    );
    let anyway = json!({ "to": "quarantine", "on": "2026-09-30", "anyway": true });
    web.json("POST", &changes, &anyway).with(201);
    let listed = web.get(&changes).with(200).json();
    assert_eq!(listed[0]["state"], "planned", "{listed}");
    let back = web
        .json("POST", &format!("{dmarc}/rollback"), &json!({}))
        .with(200)
        .json();
    assert_eq!(back["state"], "cancelled");
    for foreign in [
        "dmarc",
        "dmarc/sources",
        "dmarc/rates",
        "checks",
        "dns/check",
        "dns/records",
    ] {
        web.get(&format!("/api/v1/domains/privat.test/{foreign}"))
            .with(403);
    }
    web.json("POST", "/api/v1/domains/privat.test/dmarc/changes", &anyway)
        .with(403);
    let records = web
        .get("/api/v1/domains/firma.test/dns/records")
        .with(200)
        .json();
    let dmarc = records["records"].as_array().expect("a list").iter();
    let dmarc = dmarc
        .clone()
        .find(|record| record["purpose"] == "dmarc")
        .expect("one");
    assert_eq!(
        (&dmarc["name"], &dmarc["verdict"]),
        (&json!(OWNER), &json!("good"))
    );
}
