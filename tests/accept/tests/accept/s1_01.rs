//! S1-01: one cut-over date ends cleartext logins and TLS below 1.2 together, at every port customers use, on
//! a running server.

use harness::customer::{Customer, Newest, Program, Security, Visit};
use harness::{Lab, Lines};
use std::time::Duration;

const CLEAR: Program = Program {
    imap_id: None,
    hello: "pc.test",
    mailer: None,
    security: Security::Clear,
    newest: Newest::Tls13,
};

fn with(security: Security, newest: Newest) -> Program {
    Program {
        security,
        newest,
        ..CLEAR
    }
}

/// Every visit of a kind, at every port it fits: name and what came of it.
fn visits(lab: &Lab, security: Security, newest: Newest) -> Vec<(&'static str, Visit)> {
    let anna = lab.server.account("anna");
    let customer = Customer {
        program: with(security, newest),
        user: anna.address.clone(),
        password: anna.password,
    };
    let port = |name: &str| lab.server.port(name);
    let (smtp, imap, pop3) = match security {
        Security::Tls => ("submissions", "imaps", "pop3s"),
        Security::Clear | Security::StartTls => ("submission", "imap", "pop3"),
    };
    vec![
        (smtp, customer.send(port(smtp), &anna.address)),
        (imap, customer.imap(port(imap))),
        (pop3, customer.pop3(port(pop3))),
    ]
}

fn by_port_25(lab: &Lab, newest: Newest) -> Visit {
    let anna = lab.server.account("anna");
    let customer = Customer {
        program: with(Security::StartTls, newest),
        user: anna.address.clone(),
        password: anna.password,
    };
    customer.send(lab.server.port("smtp"), &anna.address)
}

/// In clear on three ports, with TLS 1.0 and 1.1 on seven: port 25 takes logins here, in TLS.
fn insecure(lab: &Lab) -> Vec<(&'static str, Visit)> {
    let mut all = visits(lab, Security::Clear, Newest::Tls13);
    for newest in [Newest::Tls10, Newest::Tls11] {
        for security in [Security::StartTls, Security::Tls] {
            all.extend(visits(lab, security, newest));
        }
        all.push(("smtp", by_port_25(lab, newest)));
    }
    all
}

#[test]
fn cleartext_and_old_tls_end_at_the_same_midnight_everywhere() {
    let lab = Lab::start_legacy(&[("listener.smtp.login", "true")]);
    let pid = lab.server.pid();
    // The lab's time is 2 March 2026, 9:00 in Berlin.
    lab.policy("installation", "cleartext", "observe; 2026-03-03 enforce");
    lab.policy(
        "installation",
        "tls-version",
        "1.2 observe; 2026-03-03 enforce",
    );
    lab.settle();
    // 23:59 in Berlin.
    lab.forward(Duration::from_secs(15 * 3600 - 90));
    for (port, visit) in insecure(&lab) {
        assert!(visit.ok, "before, {port}: {visit:?}");
    }
    lab.forward(Duration::from_secs(90));
    for (port, visit) in insecure(&lab) {
        assert!(!visit.ok, "after, {port}: {visit:?}");
    }
    for security in [Security::StartTls, Security::Tls] {
        for (port, visit) in visits(&lab, security, Newest::Tls12) {
            assert!(visit.ok, "after, {port}: {visit:?}");
        }
    }
    let visit = by_port_25(&lab, Newest::Tls12);
    assert!(visit.ok, "after, smtp: {visit:?}");
    // Mail of other servers comes in clear as before; no login ever does there.
    let mut mx = Lines::clear(lab.server.port("smtp"));
    mx.smtp();
    mx.smtp_ask("EHLO far.test");
    let anna = lab.server.account("anna").address;
    assert!(mx.smtp_ask("AUTH PLAIN AGFubmEAeA==").starts_with("530"));
    assert!(mx.smtp_ask("MAIL FROM:<x@far.test>").starts_with("250"));
    assert!(mx.smtp_ask(&format!("RCPT TO:<{anna}>")).starts_with("250"));
    assert_eq!(lab.server.pid(), pid);
}
