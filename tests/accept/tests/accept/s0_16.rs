//! S0-16: mail for our domains from elsewhere is found in DMARC reports: who sent it, how much, what to do.

use harness::{Lab, lines};
use serde_json::Value;

const DOMAIN: &str = "firma.test";

fn record(source: &str, count: u32, result: &str, signer: &str) -> String {
    format!(
        "<record><row><source_ip>{source}</source_ip><count>{count}</count><policy_evaluated>\
         <disposition>none</disposition><dkim>{result}</dkim><spf>fail</spf></policy_evaluated></row>\
         <identifiers><header_from>{DOMAIN}</header_from></identifiers><auth_results><dkim>\
         <domain>{signer}</domain><result>pass</result></dkim></auth_results></record>\r\n"
    )
}

fn hand_in(lab: &Lab, to: &str) {
    let records = [
        record("192.0.2.10", 10, "pass", DOMAIN),
        record("198.51.100.7", 4, "fail", "sendgrid.net"),
        record("203.0.113.66", 2, "fail", ""),
    ];
    // 2026-03-01, the day before the lab's.
    let report = format!(
        "<feedback><report_metadata><org_name>Big Mail</org_name><report_id>one</report_id>\r\n\
         <date_range><begin>1772323200</begin><end>1772409599</end></date_range></report_metadata>\
         <policy_published><domain>{DOMAIN}</domain><p>none</p></policy_published>\r\n{}</feedback>\r\n",
        records.concat()
    );
    let message = format!(
        "From: dmarc@big.test\r\nTo: {to}\r\nSubject: Report\r\nMIME-Version: 1.0\r\n\
         Content-Type: application/xml; name=report.xml\r\n\r\n{report}"
    );
    let reply = lines::deliver(lab.server.port("smtp"), "dmarc@big.test", to, &message);
    assert!(reply.starts_with("250"), "{reply}");
}

#[test]
fn what_did_not_come_from_us_is_listed_with_what_to_do() {
    let to = "bernd@firma.test";
    let lab = Lab::start_with(&[("reports.address", to)]);
    lab.cli(&["pool", "add", "business", "192.0.2.10"]);
    lab.policy(DOMAIN, "pool", "business");
    hand_in(&lab, to);
    let ask = ["dmarc", "sources", DOMAIN, "--json"];
    lab.wait("sources", || match lab.cli(&ask) {
        shown if shown.contains("198.51.100.7") => Ok(()),
        shown => Err(shown),
    });
    let sources: Value = serde_json::from_str(&lab.cli(&ask)).expect("JSON");
    let told: Vec<_> = sources
        .as_array()
        .expect("a list")
        .iter()
        .map(|s| {
            (
                s["source"].as_str(),
                s["class"].as_str(),
                s["failed"].as_u64(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (Some("192.0.2.10"), Some("our-pool"), Some(0)),
            (Some("198.51.100.7"), Some("service"), Some(4)),
            (Some("203.0.113.66"), Some("unknown"), Some(2)),
        ]
    );
    let german = lab.cli(&["dmarc", "sources", DOMAIN, "--lang", "de"]);
    for words in [
        "SendGrid sendet mit Absendern von firma.test, ohne es zu beweisen",
        "richten Sie dort DKIM für firma.test ein",
        "203.0.113.66: Nicht über uns und ohne Beweis",
    ] {
        assert!(german.contains(words), "{words}:\n{german}");
    }
    let status = lab.cli(&["dmarc", "status", DOMAIN]);
    assert!(status.contains("publishes no DMARC record"), "{status}");
}
