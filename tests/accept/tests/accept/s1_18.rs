//! S1-18: the emergency switch: one command ends sessions over TLS 1.0 and 1.1 within five seconds and keeps new ones
//! out; clear text has a switch of its own; it is remembered who did it, and whoever is enrolled is to be told.

use harness::Lab;
use harness::customer::{Customer, Newest, Program, Protocol, Security};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn with_access() -> Lab {
    let lab = Lab::start_legacy(&[]);
    let until = "until 2026-05-30 tls=1.0,1.1 cleartext";
    lab.policy("installation", "legacy-access", until);
    let anna = lab.server.account("anna").address;
    lab.cli(&["legacy", "enrol", &anna]);
    lab.wait("the gateway", || {
        let status = lab.cli(&["legacy", "status"]);
        match status.contains("1.0,1.1,1.2; in clear: logins allowed") {
            true => Ok(()),
            false => Err(status),
        }
    });
    lab
}

fn s_client(lab: &Lab, version: &str) -> Child {
    let address = format!(
        "{}:{}",
        lab.server.legacy_host(),
        lab.server.port("imaps_legacy")
    );
    Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", &address, version])
        .args(["-cipher", "ALL:@SECLEVEL=0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is installed")
}

/// Logs in over `version` and gives the session, still open.
fn session(lab: &Lab, version: &str) -> Child {
    let mut child = s_client(lab, version);
    let anna = lab.server.account("anna");
    let login = format!("a LOGIN {} {}\r\n", anna.address, anna.password);
    child
        .stdin
        .as_mut()
        .expect("piped")
        .write_all(login.as_bytes())
        .expect("said");
    let output = child.stdout.take().expect("piped");
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("a OK")), "{version}");
    child
}

#[allow(
    clippy::disallowed_methods,
    reason = "what takes real time is measured on the machine's clock"
)]
fn now() -> Instant {
    Instant::now()
}

fn end(mut session: Child) {
    let _ = session.kill();
    let _ = session.wait();
}

#[test]
fn one_command_ends_old_tls_within_five_seconds() {
    let lab = with_access();
    let mut old = [session(&lab, "-tls1"), session(&lab, "-tls1_1")];
    let mut current = session(&lab, "-tls1_2");
    let (ok, _, told) = lab.server.cli(&["legacy", "disable", "--tls", "1.0,1.1"]);
    assert!(!ok && told.contains("--now"), "{told}");
    let begin = now();
    let told = lab.cli(&[
        "legacy",
        "disable",
        "--tls",
        "1.0,1.1",
        "--now",
        "--by",
        "nora",
        "--reason",
        "CVE-2027-0001",
    ]);
    assert!(told.contains("The gateway has carried it out"), "{told}");
    assert!(
        told.contains("0 over TLS 1.0, 0 over TLS 1.1, 1 over TLS 1.2"),
        "{told}"
    );
    for child in &mut old {
        child.wait().expect("the session ends");
    }
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
    for version in ["-tls1", "-tls1_1"] {
        let output = s_client(&lab, version).wait_with_output().expect("it ends");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains("alert"), "{version}: {told}");
    }
    assert!(current.try_wait().expect("a child").is_none());
    end(current);
    end(session(&lab, "-tls1_2"));
    let history = lab.cli(&["legacy", "history"]);
    assert!(
        history.contains("nora  switched off: tls-1.0, tls-1.1 (CVE-2027-0001)"),
        "{history}"
    );
    let status = lab.cli(&["legacy", "status"]);
    assert!(status.contains("Switched off: tls-1.0 since") && status.contains("by nora"));
    lab.cli(&["legacy", "enable", "--tls", "1.0,1.1"]);
    lab.wait("old TLS again", || {
        let status = lab.cli(&["legacy", "status"]);
        match status.contains("Speaks TLS 1.0,1.1,1.2") {
            true => Ok(()),
            false => Err(status),
        }
    });
    end(session(&lab, "-tls1"));
}

#[test]
fn clear_text_has_a_switch_of_its_own() {
    let lab = with_access();
    let anna = lab.server.account("anna");
    let address = (lab.server.legacy_host(), lab.server.port("imap_legacy"));
    let mut stream = TcpStream::connect(&address).expect("a listener");
    let login = format!("a LOGIN {} {}\r\n", anna.address, anna.password);
    stream.write_all(login.as_bytes()).expect("said");
    let mut lines = BufReader::new(stream.try_clone().expect("a handle")).lines();
    let logged_in = lines.any(|line| line.is_ok_and(|line| line.starts_with("a OK")));
    assert!(logged_in);
    let begin = now();
    lab.cli(&["legacy", "disable", "--cleartext", "--now"]);
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
    let customer = Customer {
        program: Program {
            imap_id: None,
            hello: "old.test",
            mailer: None,
            security: Security::Clear,
            newest: Newest::Tls10,
        },
        user: anna.address,
        password: anna.password,
    };
    let visit = customer.visit(Protocol::Imap, &address.0, address.1, "");
    assert!(!visit.ok && visit.stage == "login", "{visit:?}");
    // TLS 1.0 is as it was.
    end(session(&lab, "-tls1"));
}

#[test]
fn whoever_is_enrolled_gets_a_letter() {
    let lab = with_access();
    let told = lab.cli(&["legacy", "disable", "--tls", "1.0", "--now"]);
    assert!(told.contains("1 enrolled accounts get a notice"), "{told}");
    // Letters are written once a minute of the server's clock.
    lab.forward(Duration::from_secs(120));
    let letter = lab.wait_inbox("anna", &["ab sofort abgeschaltet"]);
    assert!(
        letter.contains("restrict the servers for older"),
        "{letter}"
    );
    assert!(
        letter.contains("Auto-Submitted: auto-generated"),
        "{letter}"
    );
}
