//! S1-28: whoever comes back late finds the way from the refusal to the own page, keeps the old client working in
//! one step and within a minute, until the end date and never after it.

use harness::customer::{Customer, Newest, Program, Protocol, Security, Visit};
use harness::{Lab, Server, Web};
use std::time::{Duration, Instant};

/// From the click to working mail, at most.
const GRACE_TIME_MAX: Duration = Duration::from_secs(60);

const IN_CLEAR: Program = Program {
    imap_id: Some(["Microsoft Outlook", "14.0", "Windows"]),
    hello: "buero.test",
    mailer: None,
    security: Security::Clear,
    newest: Newest::Tls10,
};
const OLD_TLS: Program = Program {
    security: Security::Tls,
    ..IN_CLEAR
};

fn late(lab: &Lab, program: Program) -> Customer {
    let anna = lab.server.account("anna");
    Customer {
        program,
        user: anna.address,
        password: anna.password,
    }
}

fn at_legacy(lab: &Lab, program: Program, port: &str) -> Visit {
    let port = lab.server.port(port);
    let host = lab.server.legacy_host();
    late(lab, program).visit(Protocol::Imap, &host, port, "")
}

#[allow(
    clippy::disallowed_methods,
    reason = "what takes real time is measured on the machine's clock"
)]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn a_refused_customer_reads_mail_again_within_a_minute_of_the_click() {
    let lab = Lab::start_legacy(&[]);
    let until = "until 2026-05-30 tls=1.0,1.1 cleartext";
    lab.policy("installation", "legacy-access", until);
    lab.wait("the gateway", || {
        let status = lab.cli(&["legacy", "status"]);
        let open = status.contains("1.0,1.1,1.2; in clear: logins allowed");
        open.then_some(()).ok_or(status)
    });
    assert!(!late(&lab, IN_CLEAR).imap(lab.server.port("imap")).ok);
    assert!(!late(&lab, OLD_TLS).imap(lab.server.port("imaps")).ok);
    // Refused at the legacy host, too; but the refusal names a page anybody can read, and that the own one.
    for (program, port) in [(IN_CLEAR, "imap_legacy"), (OLD_TLS, "imaps_legacy")] {
        let visit = at_legacy(&lab, program, port);
        assert!(!visit.ok && visit.stage == "login", "{visit:?}");
        let page = "https://mx.rp.test/h/legacy";
        assert!(visit.text.contains(page), "{visit:?}");
    }
    let help = Web::new(&lab.server).get("/h/legacy").with(200).body;
    assert!(help.contains("href=\"/status\""), "{help}");

    let web = Web::log_in(&lab.server, "anna");
    assert!(web.get("/status").with(200).body.contains("/status/keep"));
    let clicked = now();
    web.form("/status/keep", "").with(303);
    for (program, port) in [(OLD_TLS, "imaps_legacy"), (IN_CLEAR, "imap_legacy")] {
        lab.wait("a login at the legacy host", || {
            let visit = at_legacy(&lab, program, port);
            visit.ok.then_some(()).ok_or(format!("{visit:?}"))
        });
    }
    assert!(
        clicked.elapsed() < GRACE_TIME_MAX,
        "{:?}",
        clicked.elapsed()
    );

    // The last second of the last day in Berlin, and the first one after it.
    lab.at("2026-05-30T21:59:30Z");
    let visit = at_legacy(&lab, OLD_TLS, "imaps_legacy");
    assert!(visit.ok, "{visit:?}");
    lab.at("2026-05-30T22:00:01Z");
    let visit = at_legacy(&lab, OLD_TLS, "imaps_legacy");
    assert!(!visit.ok, "{visit:?}");
    let page = Web::log_in(&lab.server, "anna").get("/status").with(200);
    assert!(!page.body.contains("/status/keep"), "{}", page.body);
}

#[test]
fn one_click_enrols_until_the_end_and_never_after() {
    let server = Server::start_with(&["--clock", "2025-03-10T12:00:00+01:00"]);
    let set = [
        "policy",
        "set",
        "installation",
        "legacy-access",
        "until 2025-05-30 tls=1.0,1.1 cleartext",
        "--reason",
        "x",
    ];
    let (ok, out, err) = server.cli(&set);
    assert!(ok, "{out}{err}");
    let web = Web::log_in(&server, "anna");
    let page = web.get("/status?lang=de").with(200).body;
    assert!(
        page.contains("/status/keep") && page.contains("30. Mai 2025"),
        "{page}"
    );
    web.form("/status/keep", "").with(303);
    let page = web.get("/status?lang=de").with(200).body;
    assert!(
        !page.contains("/status/keep") && page.contains("imap-legacy."),
        "{page}"
    );
    let list = Web::operator(&server)
        .get("/api/v1/legacy-access")
        .with(200)
        .json();
    assert_eq!(list[0]["account"], "anna@firma.test", "{list}");
    // Carla comes back after the end.
    assert!(server.cli(&["clock", "set", "2025-05-31T00:00:01+02:00"]).0);
    let carla = Web::log_in(&server, "carla");
    let page = carla.get("/status?lang=de").with(200).body;
    assert!(!page.contains("/status/keep"), "{page}");
    carla.form("/status/keep", "").with(422);
    let list = Web::operator(&server)
        .get("/api/v1/legacy-access")
        .with(200)
        .json();
    assert!(!list.to_string().contains("carla"), "{list}");
}
