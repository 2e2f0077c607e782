//! What an operator does on good and bad days, through the program's own commands: backup and
//! restore, verify, settings, certificates, PostgreSQL instead of the embedded store.

use harness::postgres::Cluster;
use harness::{Lines, Server, deliver};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const MESSAGE: &str = "From: s@other.test\r\nTo: anna@firma.test\r\nSubject: number ";

fn fill(server: &Server, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let text = format!("{MESSAGE}{number}\r\n\r\nbody {number}\r\n");
        let reply = deliver(
            server.port("smtp"),
            "s@other.test",
            "anna@firma.test",
            &text,
        );
        assert!(reply.starts_with("250"), "{reply}");
    }
}

/// UIDVALIDITY line and every message of anna's INBOX with its UID and flags.
fn inbox(server: &Server) -> String {
    let anna = server.account("anna");
    let mut imap = Lines::tls(server.port("imaps"), &server.ca_file());
    imap.line();
    imap.imap_ask("a", &format!("LOGIN {} {}", anna.address, anna.password));
    let select = imap.imap_ask("b", "EXAMINE INBOX");
    let validity = select
        .lines()
        .find(|line| line.contains("UIDVALIDITY"))
        .unwrap_or_default();
    format!(
        "{validity}\n{}",
        imap.imap_ask("c", "FETCH 1:* (UID FLAGS BODY.PEEK[])")
    )
}

fn mark_seen(server: &Server, sequence: u32) {
    let anna = server.account("anna");
    let mut imap = Lines::tls(server.port("imaps"), &server.ca_file());
    imap.line();
    imap.imap_ask("a", &format!("LOGIN {} {}", anna.address, anna.password));
    imap.imap_ask("b", "SELECT INBOX");
    let stored = imap.imap_ask(
        "c",
        &format!("STORE {sequence} +FLAGS (\\Seen \\Flagged Work)"),
    );
    assert!(stored.contains("c OK"), "{stored}");
}

#[test]
fn a_backup_of_a_running_node_restores_to_what_was_there() {
    let mut server = Server::start();
    fill(&server, 0..5);
    mark_seen(&server, 2);
    let before = inbox(&server);
    let backup = tempfile::tempdir().unwrap();
    let copy = backup.path().join("copy");
    let (done, out, err) = server.cli(&["backup", copy.to_str().unwrap()]);
    assert!(done, "{out}{err}");
    fill(&server, 5..7);
    let refused = server.cli(&["restore", copy.to_str().unwrap()]);
    assert!(!refused.0, "restoring over a running node must be refused");
    server.kill();

    let fresh = tempfile::tempdir().unwrap();
    let settings = std::fs::read_to_string(server.dir().join("rohrpost.toml")).unwrap();
    let (old, new) = (
        server.dir().display().to_string(),
        fresh.path().display().to_string(),
    );
    let config = fresh.path().join("rohrpost.toml");
    std::fs::write(&config, settings.replace(&old, &new)).unwrap();
    let restored = Command::new(harness::server::program())
        .arg("--config")
        .arg(&config)
        .arg("restore")
        .arg(&copy)
        .output()
        .unwrap();
    assert!(restored.status.success(), "{restored:?}");
    let server = Server::start_in(fresh.path(), &[]);
    assert_eq!(inbox(&server), before);
    let (well, out, err) = server.cli(&["verify"]);
    assert!(well && out.contains("All is well"), "{out}{err}");
}

#[test]
fn verify_names_a_damaged_message() {
    let mut server = Server::start();
    fill(&server, 0..3);
    let (well, out, err) = server.cli(&["verify"]);
    assert!(well, "{out}{err}");
    server.kill();
    let segments = server.dir().join("store/segments");
    let mut flipped = 0;
    for file in std::fs::read_dir(segments).unwrap().flatten() {
        let mut bytes = std::fs::read(file.path()).unwrap();
        if let Some(at) = bytes.windows(6).position(|w| w == b"body 1") {
            bytes[at] ^= 1;
            std::fs::write(file.path(), bytes).unwrap();
            flipped += 1;
        }
    }
    assert_eq!(flipped, 1);
    let (well, out, _) = server.cli(&["verify"]);
    assert!(!well, "{out}");
    assert!(out.contains("message 2 in mailbox 1 of account"), "{out}");
}

#[test]
fn a_bad_settings_file_is_refused_with_its_lines() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("bad.toml");
    std::fs::write(
        &config,
        "[node]\nhost_name = \"x y\"\n[smtp]\nmesage_size_max = 1\n",
    )
    .unwrap();
    let run = Command::new(harness::server::program())
        .arg("--config")
        .arg(&config)
        .arg("serve")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&run.stderr);
    assert!(!run.status.success());
    for part in ["line 2", "line 4", "smtp.message_size_max", "example"] {
        assert!(text.contains(part), "no «{part}» in {text}");
    }
}

#[test]
fn a_change_on_the_command_line_counts_at_once() {
    let server = Server::start();
    let refused = |to: &str| {
        let mut smtp = Lines::clear(server.port("smtp"));
        smtp.smtp();
        smtp.smtp_ask("EHLO client.test");
        smtp.smtp_ask("MAIL FROM:<s@other.test>");
        smtp.smtp_ask(&format!("RCPT TO:<{to}>"))
    };
    assert!(refused("neu@firma.test").starts_with("550 5.1.1"));
    let (done, out, err) = server.cli(&["alias", "add", "neu@firma.test", "anna@firma.test"]);
    assert!(done, "{out}{err}");
    assert!(refused("neu@firma.test").starts_with("250"));
    let (_, before, _) = server.cli(&["export"]);
    let state = server.dir().join("state.toml");
    std::fs::write(
        &state,
        before.replace("neu@firma.test", "anders@firma.test"),
    )
    .unwrap();
    let (done, plan, err) = server.cli(&["plan", state.to_str().unwrap()]);
    assert!(done && plan.contains("anders@firma.test"), "{plan}{err}");
    assert_eq!(
        server.cli(&["export"]).1,
        before,
        "plan must change nothing"
    );
    let (done, out, err) = server.cli(&["apply", state.to_str().unwrap()]);
    assert!(done, "{out}{err}");
    assert!(refused("neu@firma.test").starts_with("550 5.1.1"));
    assert!(refused("anders@firma.test").starts_with("250"));
}

#[test]
fn certificates_change_without_a_restart() {
    let server = Server::start();
    let shown = || {
        let result = harness::openssl::handshake(&server, "imaps", None, &["-showcerts"]);
        let end = result.output.find("-----END").unwrap_or(0);
        result.output[..end].to_owned()
    };
    let before = shown();
    let tls = server.dir().join("tls");
    let other = tempfile::tempdir().unwrap();
    openssl_self_signed(other.path());
    for file in ["ecdsa.crt", "ecdsa.key"] {
        std::fs::copy(other.path().join(file), tls.join(file)).unwrap();
    }
    assert_eq!(
        shown(),
        before,
        "certificates change when told to, not before"
    );
    let (done, out, err) = server.cli(&["reload"]);
    assert!(done, "{out}{err}");
    assert_ne!(shown(), before);
    let kept = shown();
    std::fs::write(tls.join("ecdsa.crt"), "broken").unwrap();
    let (done, _, err) = server.cli(&["reload"]);
    assert!(!done && err.contains("ecdsa.crt"), "{err}");
    assert_eq!(shown(), kept, "a broken pair must not replace a good one");
}

fn openssl_self_signed(dir: &Path) {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "30", "-subj", "/CN=mx.rp.test"])
        .args(["-addext", "subjectAltName=DNS:mx.rp.test,DNS:localhost"])
        .arg("-keyout")
        .arg(dir.join("ecdsa.key"))
        .arg("-out")
        .arg(dir.join("ecdsa.crt"))
        .output()
        .expect("openssl is installed");
    assert!(made.status.success(), "{made:?}");
}

/// `rohrpost serve` on a settings file; ends with its handle.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_same_node_runs_on_postgresql() {
    let cluster = Cluster::start();
    let demo = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let settings = std::fs::read_to_string(demo.dir().join("rohrpost.toml")).unwrap();
    let store = format!(
        "[store]\nengine = \"postgresql\"\nurl = \"{}\"\n",
        cluster.database()
    );
    let settings = settings.replace(
        &demo.dir().join("store").display().to_string(),
        &dir.path().join("store").display().to_string(),
    );
    let settings = settings.replacen("[tls]", &format!("{store}\n[tls]"), 1);
    let config = dir.path().join("rohrpost.toml");
    std::fs::write(&config, settings).unwrap();
    let cli = |arguments: &[&str]| {
        let output = Command::new(harness::server::program())
            .arg("--config")
            .arg(&config)
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    cli(&["domain", "add", "firma.test"]);
    let made = cli(&["account", "add", "anna@firma.test", "--json"]);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let password = made["password"].as_str().unwrap().to_owned();
    let log = dir.path().join("log");
    let out = std::fs::File::create(&log).unwrap();
    let child = Command::new(harness::server::program())
        .arg("--config")
        .arg(&config)
        .arg("serve")
        .stdin(Stdio::null())
        .stdout(out.try_clone().unwrap())
        .stderr(out)
        .spawn()
        .unwrap();
    let _serving = Serving(child);
    let (smtp, imaps) = (
        port(&log, "Mx", "StartTls"),
        port(&log, "Imap", "ImplicitTls"),
    );
    let text = format!("{MESSAGE}1\r\n\r\nin PostgreSQL\r\n");
    assert!(deliver(smtp, "s@other.test", "anna@firma.test", &text).starts_with("250"));
    let mut imap = Lines::tls(imaps, &demo.ca_file());
    imap.line();
    let login = imap.imap_ask("a", &format!("LOGIN anna@firma.test {password}"));
    assert!(login.contains("a OK"), "{login}");
    imap.imap_ask("b", "SELECT INBOX");
    assert!(
        imap.imap_ask("c", "FETCH 1 (BODY[TEXT])")
            .contains("in PostgreSQL")
    );
    assert!(cli(&["verify"]).contains("All is well"));
}

/// The port a listener got, from the log line that says so.
#[allow(clippy::disallowed_methods, reason = "waits for another process")]
fn port(log: &Path, role: &str, mode: &str) -> u16 {
    for _ in 0..600 {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let wanted = (format!("role={role}"), format!("mode={mode}"));
        let line = text
            .lines()
            .find(|l| l.contains(&wanted.0) && l.contains(&wanted.1));
        let port = line.and_then(|l| {
            l.split_once("address=")?
                .1
                .split(' ')
                .next()?
                .rsplit(':')
                .next()?
                .parse()
                .ok()
        });
        if let Some(port) = port {
            return port;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!(
        "the node does not listen:\n{}",
        std::fs::read_to_string(log).unwrap_or_default()
    );
}
