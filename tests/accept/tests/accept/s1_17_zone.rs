//! S1-17: once legacy access is over, its names are taken out of the zone on a date, as `dig` sees it: shown first, not
//! before the end, and taken back with one command.

use harness::{Named, Server, Web};
use serde_json::json;
use std::time::{Duration, Instant};

const IMAP: &str = "imap-legacy.rp.test";

/// A server that asks, and may change, this zone.
fn server(named: &Named) -> Server {
    let servers = format!("dns.servers=[\"{}\"]", named.address());
    let primary = format!("dns.update_servers=[\"{}\"]", named.address());
    let key = format!("dns.update_key_file={}", named.key_file().display());
    let zones = "dns.update_zones=[\"rp.test\"]";
    let mut arguments = vec!["--clock", "2026-05-20T12:00:00Z"];
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
fn becomes(named: &Named, kind: &str, text: &str) {
    let begin = Instant::now();
    loop {
        let seen = named.dig(IMAP, kind);
        let mut lines: Vec<_> = seen.lines().collect();
        lines.sort_unstable();
        if lines.join(" ") == text {
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "{kind}: {seen}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn the_names_leave_the_zone_on_their_date_and_come_back_on_request() {
    let records = "imap-legacy 7200 A 192.0.2.10\nimap-legacy 7200 A 192.0.2.11\n\
                   imap-legacy 7200 AAAA 2001:db8::10\nsmtp-legacy 7200 A 192.0.2.10\n\
                   mx A 192.0.2.1";
    let named = Named::start("rp.test", records);
    let server = server(&named);
    let until = ["until", "2026-05-30", "tls=1.0,1.1"];
    let set = ["policy", "set", "installation", "legacy-access"];
    cli(&server, &[&set[..], &until].concat());
    // Not while people may still use them.
    let (ok, _, why) = server.cli(&["legacy", "dns", "--on", "2026-05-30", "--yes"]);
    assert!(!ok && why.contains("lasts until 2026-05-30"), "{why}");
    let go = ["legacy", "dns", "--on", "2026-06-01", "--reason", "the end"];
    let shown = cli(&server, &go);
    for line in [
        "- imap-legacy.rp.test. 7200 IN A 192.0.2.10\n",
        "- imap-legacy.rp.test. 7200 IN AAAA 2001:db8::10\n",
        "- smtp-legacy.rp.test. 7200 IN A 192.0.2.10\n",
        "Nothing is planned yet",
    ] {
        assert!(shown.contains(line), "{line}:\n{shown}");
    }
    cli(&server, &[&go[..], &["--yes"]].concat());
    let (ok, _, why) = server.cli(&[&go[..], &["--yes"]].concat());
    assert!(!ok && why.contains("legacy dns --rollback"), "{why}");
    becomes(&named, "A", "192.0.2.10 192.0.2.11");
    // Midnight in Berlin is 22:00 UTC.
    cli(&server, &["clock", "set", "2026-05-31T22:00:00Z"]);
    becomes(&named, "A", "");
    becomes(&named, "AAAA", "");
    assert_eq!(named.dig("mx.rp.test", "A"), "192.0.2.1");
    let listed = cli(&server, &["legacy", "dns"]);
    assert!(listed.contains("is over since 2026-05-30"), "{listed}");
    assert!(
        listed.contains("published by") && listed.contains("the end"),
        "{listed}"
    );
    let back = cli(&server, &["legacy", "dns", "--rollback"]);
    assert!(back.contains("the old record is published again"), "{back}");
    becomes(&named, "A", "192.0.2.10 192.0.2.11");
    becomes(&named, "AAAA", "2001:db8::10");
    // The same over the API, and in German where that is asked for.
    let web = Web::operator(&server);
    let names = web.get("/api/v1/legacy/dns").with(200).json();
    assert_eq!(names["may_go"], true, "{names}");
    let path = "/api/v1/legacy/dns/rollback?lang=de";
    let problem = web.json("POST", path, &json!({})).with(409).json();
    assert_eq!(
        problem["detail"],
        "Es gibt keine Änderung, die zurückgenommen werden könnte."
    );
}
