//! S1-15: the legacy hosts speak TLS 1.0 and 1.1 and, where the operator says so, clear text; the normal hosts do
//! neither. Also: while the measure only observes, the normal hosts serve old clients through the gateway.

use harness::Lab;
use harness::customer::{Customer, Newest, Program, Protocol, Security, Visit};
use std::io::{Read, Write};
use std::process::{Command, Stdio};

const SERVICES: [(Protocol, &str, &str, &str); 3] = [
    (Protocol::Imap, "imap", "imaps", "imap"),
    (Protocol::Pop3, "pop3", "pop3s", "pop3"),
    (Protocol::Smtp, "smtp", "submissions", "submission"),
];
/// Ways that only the legacy hosts serve.
const OLD_WAYS: [(Security, Newest); 5] = [
    (Security::Clear, Newest::Tls10),
    (Security::StartTls, Newest::Tls10),
    (Security::StartTls, Newest::Tls11),
    (Security::Tls, Newest::Tls10),
    (Security::Tls, Newest::Tls11),
];

fn customer(lab: &Lab, name: &str, security: Security, newest: Newest) -> Customer {
    let account = lab.server.account(name);
    Customer {
        program: Program {
            imap_id: None,
            hello: "old.test",
            mailer: None,
            security,
            newest,
        },
        user: account.address,
        password: account.password,
    }
}

fn at_legacy(lab: &Lab, customer: &Customer, service: (Protocol, &str, &str, &str)) -> Visit {
    let (protocol, clear, implicit, _) = service;
    let name = match customer.program.security {
        Security::Tls => implicit,
        Security::Clear | Security::StartTls => clear,
    };
    let port = lab.server.port(&format!("{name}_legacy"));
    customer.visit(
        protocol,
        &lab.server.legacy_host(),
        port,
        "carla@privat.test",
    )
}

fn at_normal(lab: &Lab, customer: &Customer, service: (Protocol, &str, &str, &str)) -> Visit {
    let (protocol, _, implicit, clear) = service;
    let name = match customer.program.security {
        Security::Tls => implicit,
        Security::Clear | Security::StartTls => clear,
    };
    customer.visit(
        protocol,
        "127.0.0.1",
        lab.server.port(name),
        "carla@privat.test",
    )
}

fn with_access() -> Lab {
    let lab = Lab::start_legacy(&[]);
    let until = "until 2026-05-30 tls=1.0,1.1 cleartext";
    lab.policy("installation", "legacy-access", until);
    let anna = lab.server.account("anna").address;
    lab.cli(&["legacy", "enrol", &anna, "--reason", "old phone"]);
    lab.wait("the gateway", || {
        let status = lab.cli(&["legacy", "status"]);
        match status.contains("Speaks TLS 1.0,1.1,1.2; in clear: logins allowed") {
            true => Ok(()),
            false => Err(status),
        }
    });
    lab
}

#[test]
fn old_programs_work_at_the_legacy_hosts_and_nowhere_else() {
    let lab = with_access();
    for service in SERVICES {
        for (security, newest) in OLD_WAYS {
            let old = customer(&lab, "anna", security, newest);
            let visit = at_legacy(&lab, &old, service);
            assert!(visit.ok, "{service:?} {security:?} {newest:?}: {visit:?}");
            let version = match (security, newest) {
                (Security::Clear, _) => None,
                (_, Newest::Tls10) => Some("TLSv1"),
                _ => Some("TLSv1.1"),
            };
            assert_eq!(visit.version.as_deref(), version);
            let visit = at_normal(&lab, &old, service);
            assert!(!visit.ok, "{service:?} {security:?} {newest:?}: {visit:?}");
        }
        // The normal hosts are as they always were, and so is a current program at the legacy ones.
        let current = customer(&lab, "anna", Security::Tls, Newest::Tls12);
        assert!(at_normal(&lab, &current, service).ok);
        assert!(at_legacy(&lab, &current, service).ok);
    }
}

#[test]
fn openssl_and_netcat_see_the_same() {
    let lab = with_access();
    let (legacy, normal) = (lab.server.legacy_host(), "127.0.0.1".to_owned());
    let old = ["-tls1", "-cipher", "ALL:@SECLEVEL=0"];
    let s_client = |host: &str, port: u16| {
        let output = Command::new("openssl")
            .args(["s_client", "-connect", &format!("{host}:{port}")])
            .args(old)
            .stdin(Stdio::null())
            .output()
            .expect("openssl is installed");
        String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr)
    };
    let told = s_client(&legacy, lab.server.port("imaps_legacy"));
    assert!(told.contains("Protocol  : TLSv1\n"), "{told}");
    let told = s_client(&normal, lab.server.port("imaps"));
    assert!(told.contains("alert protocol version"), "{told}");
    let anna = lab.server.account("anna");
    let login = format!("a LOGIN {} {}\r\nb LOGOUT\r\n", anna.address, anna.password);
    let told = netcat(&legacy, lab.server.port("imap_legacy"), &login);
    assert!(told.contains("a OK "), "{told}");
    let told = netcat(&normal, lab.server.port("imap"), &login);
    assert!(told.contains("a NO [PRIVACYREQUIRED]"), "{told}");
}

fn netcat(host: &str, port: u16, say: &str) -> String {
    let mut child = Command::new("nc")
        .args([host, &port.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("netcat is installed");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(say.as_bytes()).expect("said");
    drop(input);
    let mut text = String::new();
    let mut output = child.stdout.take().expect("piped");
    output.read_to_string(&mut text).expect("the server closes");
    let _ = child.kill();
    let _ = child.wait();
    text
}

#[test]
fn while_the_measure_observes_the_normal_hosts_take_old_tls_through_the_gateway() {
    let lab = Lab::start_legacy(&[]);
    for service in ["imap", "pop3", "submission"] {
        let measure = format!("tls-version/{service}");
        let schedule = ["1.2", "observe;", "2026-03-04", "enforce"];
        lab.cli(&[&["measure", "set", "installation", &measure][..], &schedule].concat());
    }
    lab.wait("the gateway", || {
        let status = lab.cli(&["legacy", "status"]);
        match status.contains("Speaks TLS 1.0,1.1,1.2; in clear: no logins") {
            true => Ok(()),
            false => Err(status),
        }
    });
    for service in SERVICES {
        for (security, newest) in OLD_WAYS {
            let old = customer(&lab, "anna", security, newest);
            let visit = at_normal(&lab, &old, service);
            // Clear text is another measure, which is enforced.
            let wanted = security != Security::Clear;
            assert_eq!(
                visit.ok, wanted,
                "{service:?} {security:?} {newest:?}: {visit:?}"
            );
        }
    }
    let found = lab.cli(&["findings", "tls-version/imap"]);
    assert!(found.contains("anna@firma.test"), "{found}");
    lab.forward(std::time::Duration::from_secs(48 * 3600));
    for service in SERVICES {
        let old = customer(&lab, "anna", Security::Tls, Newest::Tls11);
        let visit = at_normal(&lab, &old, service);
        assert!(!visit.ok && visit.stage != "login", "{visit:?}");
    }
}
