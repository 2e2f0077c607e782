//! S1-29: whoever helps on the phone enters an address and sees within five seconds what just failed, with which
//! program, what to read out, and can enrol, extend and send the guide; each look is written down.

use harness::customer::{Customer, Newest, Program, Security};
use harness::{Lab, Web};
use std::time::{Duration, Instant};

const SHOWN_TIME_MAX: Duration = Duration::from_secs(5);
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
fn a_failed_login_is_told_at_once_with_what_to_read_out() {
    let lab = Lab::start();
    lab.policy(
        "installation",
        "legacy-access",
        "until 2026-05-30 tls=1.0,1.1",
    );
    let web = support(&lab);
    let clear = Program {
        security: Security::Clear,
        ..OUTLOOK
    };
    let failed = now();
    let visit = customer(&lab, clear).imap(lab.server.port("imap"));
    assert!(!visit.ok && visit.stage == "login", "{visit:?}");
    let asked = format!("/support?address={CUSTOMER}&lang=de");
    let page = web.get(&asked).with(200).body;
    assert!(failed.elapsed() < SHOWN_TIME_MAX, "{:?}", failed.elapsed());
    for told in [
        "Was gerade nicht gelingt",
        "Outlook 2010",
        "Passwort unverschlüsselt gesendet",
        "Zum Vorlesen: ",
        "Der Port kann auf 143 gesetzt bleiben",
        "<ol>",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    // The guide goes to whom it is for, with a link that needs no login.
    let mail = link(&page, "mailto:");
    assert!(
        mail.starts_with(&format!("mailto:{CUSTOMER}?subject=")),
        "{mail}"
    );
    assert!(mail.contains("%2Fhilfe%2Foutlook"), "{mail}");
    let guide = link(&page, "/hilfe/outlook");
    Web::new(&lab.server).get(&guide).with(200);
    // Turn on, then extend; each is in the audit log, as is the look, once in ten minutes.
    for button in ["Einschalten", "Verlängern"] {
        assert!(web.get(&asked).with(200).body.contains(button), "{button}");
        web.form("/support/enrol", &format!("address={CUSTOMER}"))
            .with(303);
    }
    assert!(lab.cli(&["legacy", "list"]).contains(CUSTOMER));
    let log = Web::operator(&lab.server)
        .get("/api/v1/audit")
        .with(200)
        .json();
    let of = |route: &str| {
        let lines = log.as_array().into_iter().flatten();
        lines.filter(|line| line["route"] == route).count()
    };
    assert_eq!(
        (of("GET /support"), of("POST /support/enrol")),
        (1, 2),
        "{log}"
    );
    // Nobody else may look, and support may look only.
    Web::log_in(&lab.server, "anna").get(&asked).with(403);
    let body = serde_json::json!({ "contact": "bernd@firma.test" });
    web.json("PATCH", "/api/v1/domains/firma.test", &body)
        .with(403);
}
