//! S0-22: a page tells each user the exact servers, ports and senders; a wizard gives a tool that sends past the
//! provider a subdomain with records of its own, and sees which are published.

use harness::dns::Signing;
use harness::{Lab, Web};
use serde_json::json;

/// The ports of a provider whose load balancer takes the usual ones.
const PORTS: &str = "[\"imap starttls 143\", \"imap tls 993\", \"pop3 starttls 110\", \"pop3 tls 995\", \
                     \"smtp starttls 587\", \"smtp tls 465\"]";
const SPF: &str = "v=spf1 include:spf.tool.test ip4:192.0.2.7 -all";
const ASKED: &str = "name=news.firma.test&selector=nl1&key_alias=nl1.dkim.tool.test\
                     &from=spf.tool.test,192.0.2.7&bounce_mx=mx.tool.test";

fn lab() -> Lab {
    let lab = Lab::start_with(&[
        ("clients.ports", PORTS),
        ("reports.address", "postmaster@firma.test"),
    ]);
    lab.cli(&["rollout", "voice", "set", "smtp-host", "smtp.rp.test"]);
    lab.cli(&["rollout", "voice", "set", "imap-host", "imap.rp.test"]);
    lab
}

#[test]
fn the_page_names_the_exact_servers_and_senders() {
    let lab = lab();
    Web::new(&lab.server).get("/einstellungen").with(303);
    let page = Web::log_in(&lab.server, "anna").get("/einstellungen?lang=de");
    let page = page.with(200).body;
    for told in [
        "smtp.rp.test",
        "imap.rp.test",
        "<td>465</td><td>SSL/TLS",
        "<td>587</td><td>STARTTLS",
        "<td>993</td><td>SSL/TLS",
        "anna@firma.test (die ganze Adresse)",
        "das Passwort des Postfachs",
        "<li>info@firma.test</li>",
        "news.firma.test",
    ] {
        assert!(page.contains(told), "{told}\n{page}");
    }
    assert!(
        page.find("<td>465</td>") < page.find("<td>587</td>"),
        "{page}"
    );
    assert!(
        !page.contains("-legacy") && !page.contains("verkauf@"),
        "{page}"
    );
    let english = Web::log_in(&lab.server, "carla").get("/settings?lang=en");
    let english = english.with(200).body;
    assert!(
        english.contains("carla@privat.test (the whole address)"),
        "{english}"
    );
}

#[test]
fn without_a_setting_the_ports_are_those_that_listen() {
    let lab = Lab::start();
    let page = Web::log_in(&lab.server, "anna")
        .get("/settings")
        .with(200)
        .body;
    for name in [
        "submission",
        "submissions",
        "imap",
        "imaps",
        "pop3",
        "pop3s",
    ] {
        let cell = format!("<td>{}</td>", lab.server.port(name));
        assert!(page.contains(&cell), "{name} {cell}\n{page}");
    }
}

/// All of the records but one, and that one otherwise.
fn publish(lab: &Lab) {
    lab.dns.txt("news.firma.test", SPF);
    lab.dns.txt("nl1.dkim.tool.test", "v=DKIM1; p=MIIB");
    lab.dns
        .cname("nl1._domainkey.news.firma.test", "nl1.dkim.tool.test");
    lab.dns.txt("_dmarc.news.firma.test", "v=DMARC1; p=none");
    lab.dns.mx("bounce.news.firma.test", 10, "mx.tool.test");
    // Answers that nothing is there are kept for a while, by the server's clock.
    lab.forward(std::time::Duration::from_secs(24 * 3600));
}

#[test]
fn the_wizard_emits_the_records_and_sees_them_published() {
    let lab = lab();
    lab.cli(&[
        "admin",
        "add",
        "anna@firma.test",
        "--role",
        "domain-admin",
        "--domain",
        "firma.test",
    ]);
    lab.dns.zone("firma.test", Signing::Unsigned);
    lab.dns.zone("tool.test", Signing::Unsigned);
    lab.dns
        .txt("_dmarc.firma.test", "v=DMARC1; p=reject; sp=quarantine");
    let anna = Web::log_in(&lab.server, "anna");
    assert!(
        anna.get("/einstellungen")
            .body
            .contains("/delegieren?name=news.firma.test")
    );
    let dmarc = "v=DMARC1; p=quarantine; adkim=s; aspf=r; rua=mailto:postmaster@firma.test";
    let page = anna
        .get(&format!("/delegieren?{ASKED}&lang=de"))
        .with(200)
        .body;
    for told in [
        &format!("news.firma.test. IN TXT &quot;{SPF}&quot;")[..],
        "nl1._domainkey.news.firma.test. IN CNAME nl1.dkim.tool.test.",
        &format!("_dmarc.news.firma.test. IN TXT &quot;{dmarc}&quot;"),
        "bounce.news.firma.test. IN MX 10 mx.tool.test.",
        "weder unsere Signatur (DKIM)",
    ] {
        assert!(page.contains(told), "{told}\n{page}");
    }
    assert_eq!(page.matches(">fehlt<").count(), 5, "{page}");

    publish(&lab);
    let records = lab.cli(&[
        "domain",
        "delegate",
        "news.firma.test",
        "--selector",
        "nl1",
        "--key-alias",
        "nl1.dkim.tool.test",
        "--from",
        "spf.tool.test",
        "--from",
        "192.0.2.7",
        "--bounce-mx",
        "mx.tool.test",
    ]);
    let states: Vec<&str> = records
        .lines()
        .filter_map(|line| line.strip_prefix("; ")?.split([' ', ':']).next())
        .filter(|word| ["published", "missing", "differs"].contains(word))
        .collect();
    assert_eq!(
        states,
        ["published", "published", "differs", "published", "missing"],
        "{records}"
    );
    assert!(
        records.contains(&format!("_dmarc.news.firma.test. IN TXT \"{dmarc}\"")),
        "{records}"
    );
}

#[test]
fn nobody_delegates_what_is_not_theirs() {
    let lab = lab();
    let bernd = Web::log_in(&lab.server, "bernd");
    assert!(!bernd.get("/einstellungen").body.contains("/delegieren?"));
    bernd.get(&format!("/delegieren?{ASKED}")).with(422);
    let api = "/api/v1/delegations/news.firma.test";
    bernd.get(api).with(422);
    Web::new(&lab.server).get(api).with(401);
    let body = json!({ "role": "domain-admin", "domains": ["privat.test"], "label": "privat" });
    let made = Web::operator(&lab.server).json("POST", "/api/v1/tokens", &body);
    let token = made.with(201).json()["token"]
        .as_str()
        .expect("a token")
        .to_owned();
    let privat = Web::token(&lab.server, &token);
    // The same words for what is hosted for others and for what is hosted nowhere here.
    let theirs = privat
        .get(api)
        .with(422)
        .body
        .replace("news.firma.test", "NAME");
    let nobodys = privat
        .get("/api/v1/delegations/news.other.test")
        .with(422)
        .body;
    assert_eq!(theirs, nobodys.replace("news.other.test", "NAME"));
    privat.get("/api/v1/delegations/privat.test").with(422);
    let own = privat
        .get("/api/v1/delegations/news.privat.test")
        .with(200)
        .json();
    assert_eq!(own["domain"], "privat.test", "{own}");
}
