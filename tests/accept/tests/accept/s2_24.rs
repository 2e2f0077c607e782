//! S2-24: a call to support takes three pages, find, read, see green, and nothing beside them, well within five
//! minutes.

use harness::customer::{Customer, Newest, Program, Security};
use harness::{Lab, Web};
use std::time::{Duration, Instant};

const CALL_TIME_MAX: Duration = Duration::from_secs(5 * 60);
const CUSTOMER: &str = "anna@firma.test";

const OUTLOOK: Program = Program {
    imap_id: Some(["Microsoft Outlook", "14.0", "Windows"]),
    hello: "pc.test",
    mailer: None,
    security: Security::StartTls,
    newest: Newest::Tls10,
};

fn customer(lab: &Lab, program: Program) -> Customer {
    let anna = lab.server.account("anna");
    Customer {
        program,
        user: anna.address,
        password: anna.password,
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "what takes real time is measured on the machine's clock"
)]
fn now() -> Instant {
    Instant::now()
}

/// A browser of somebody who has nothing but the role.
fn support(lab: &Lab) -> Web<'_> {
    lab.cli(&["admin", "add", "bernd@firma.test", "--role", "support"]);
    Web::log_in(&lab.server, "bernd")
}

/// Where the first link leads that holds `words` in its address, as a browser would read it.
fn link(page: &str, words: &str) -> String {
    let mut addresses = page.split("href=\"").skip(1);
    let found = addresses.find_map(|rest| {
        let (address, _) = rest.split_once('"')?;
        address
            .contains(words)
            .then(|| address.replace("&amp;", "&"))
    });
    found.unwrap_or_else(|| panic!("no link with {words}: {page}"))
}

#[test]
fn a_call_takes_three_pages_from_the_address_to_green() {
    let lab = Lab::start_legacy(&[]);
    lab.policy(
        "installation",
        "tls-version",
        "1.2 observe; 2026-03-03 enforce",
    );
    let imap = lab.server.port("imap");
    lab.wait("the gateway", || {
        let visit = customer(&lab, OUTLOOK).imap(imap);
        visit.ok.then_some(()).ok_or(format!("{visit:?}"))
    });
    lab.at("2026-03-03T08:00:00Z");
    let refused = customer(&lab, OUTLOOK).imap(imap);
    assert!(!refused.ok, "{refused:?}");
    let web = support(&lab);
    let call = now();

    // First page: a field for the address.
    let home = web.get("/status?lang=en").with(200).body;
    let find = web.get(&link(&home, "/support")).with(200).body;
    assert!(find.contains("action=\"/support\""), "{find}");
    assert!(find.contains("name=\"address\""), "{find}");
    // Second: what fails, and the steps.
    let steps = web.get(&format!("/support?lang=en&address={CUSTOMER}"));
    let steps = steps.with(200).body;
    for told in [
        "Please act",
        "Outlook 2010",
        "To read out: ",
        "The port may stay 143",
        "<ol>",
    ] {
        assert!(steps.contains(told), "{told}: {steps}");
    }
    assert!(!steps.contains("nothing you have to do"), "{steps}");
    // Third: it looks again by itself, until the customer's program connects as the steps say.
    let wait = link(&steps, "live=1");
    let page = web.get(&wait).with(200).body;
    assert!(page.contains("http-equiv=\"refresh\""), "{page}");
    assert!(!page.contains("nothing you have to do"), "{page}");
    let fixed = Program {
        newest: Newest::Tls12,
        ..OUTLOOK
    };
    let visit = customer(&lab, fixed).imap(imap);
    assert!(visit.ok, "{visit:?}");
    let green = web.get(&wait).with(200).body;
    assert!(green.contains("nothing you have to do"), "{green}");
    assert!(!green.contains("What fails at the moment"), "{green}");
    assert!(call.elapsed() < CALL_TIME_MAX, "{:?}", call.elapsed());
}
