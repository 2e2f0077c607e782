//! S0-15: a DMARC aggregate report that comes in is counted; the figures equal a count by hand.

use harness::{Lab, lines};

/// 10 + 3 + 2 + 1 messages; 13 with DKIM, 10 with SPF, 13 passed DMARC, 2 put aside, 1 refused.
fn report(domain: &str, id: &str) -> String {
    let record = |source: &str, count: u32, disposition: &str, dkim: &str, spf: &str| {
        format!(
            "<record><row><source_ip>{source}</source_ip><count>{count}</count>\
             <policy_evaluated><disposition>{disposition}</disposition><dkim>{dkim}</dkim>\
             <spf>{spf}</spf></policy_evaluated></row>\
             <identifiers><header_from>{domain}</header_from></identifiers></record>\r\n"
        )
    };
    let records = [
        record("192.0.2.10", 10, "none", "pass", "pass"),
        record("2001:db8::5", 3, "none", "pass", "fail"),
        record("203.0.113.66", 2, "quarantine", "fail", "fail"),
        record("203.0.113.67", 1, "reject", "fail", "fail"),
    ];
    format!(
        "<?xml version=\"1.0\"?>\r\n<feedback><report_metadata><org_name>Big Mail</org_name>\
         <email>dmarc@big.test</email><report_id>{id}</report_id>\r\n\
         <date_range><begin>1772323200</begin><end>1772409599</end></date_range></report_metadata>\
         <policy_published><domain>{domain}</domain><p>reject</p></policy_published>\r\n{}</feedback>\r\n",
        records.concat()
    )
}

fn hand_in(lab: &Lab, to: &str, domain: &str, id: &str) {
    let message = format!(
        "From: dmarc@big.test\r\nTo: {to}\r\nSubject: Report Domain: {domain}\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nA report.\r\n--b\r\n\
         Content-Type: application/xml; name=report.xml\r\n\r\n{}\r\n--b--\r\n",
        report(domain, id)
    );
    let reply = lines::deliver(lab.server.port("smtp"), "dmarc@big.test", to, &message);
    assert!(reply.starts_with("250"), "{reply}");
}

#[test]
fn figures_equal_a_count_by_hand() {
    let to = "bernd@firma.test";
    let lab = Lab::start_with(&[("reports.address", to)]);
    let domain = "firma.test";
    hand_in(&lab, to, domain, "one");
    // The same report again, and one about a domain of somebody else: neither counts.
    hand_in(&lab, to, domain, "one");
    hand_in(&lab, to, "elsewhere.test", "two");
    hand_in(&lab, to, domain, "three");
    let ask = ["reports", "dmarc", domain, "--days", "36500"];
    lab.wait("figures", || {
        let shown = lab.cli(&ask);
        if shown.contains("2 reports about firma.test") {
            Ok(())
        } else {
            Err(shown)
        }
    });
    let shown = lab.cli(&ask);
    for line in [
        "32 messages: 26 passed DMARC (81.2 %), 6 failed.",
        "DKIM passed for 26, SPF for 20. Delivered 26, put aside 4, refused 2.",
        "2026-03-01  Big Mail: 26 of 32 passed (81.2 %)",
        "203.0.113.66: 4",
    ] {
        assert!(shown.contains(line), "{line} is missing in\n{shown}");
    }
    let none = lab.cli(&["reports", "dmarc", "privat.test", "--days", "36500"]);
    assert!(none.starts_with("No reports"), "{none}");
}
