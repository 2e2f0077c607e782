//! OpenSSL's client against the server: what a foreign TLS stack can and cannot agree on with us.

use crate::server::Server;
use std::io::Write;
use std::process::{Command, Stdio};

/// A port and how TLS begins there: the name for `-starttls`, or `None` for implicit TLS.
pub const PORTS: [(&str, Option<&str>); 7] = [
    ("smtp", Some("smtp")),
    ("submission", Some("smtp")),
    ("submissions", None),
    ("imap", Some("imap")),
    ("imaps", None),
    ("pop3", Some("pop3")),
    ("pop3s", None),
];

/// How a handshake went.
#[derive(Debug)]
pub struct Handshake {
    /// Whether a session was agreed on.
    pub agreed: bool,
    /// Everything s_client printed.
    pub output: String,
}

/// Tries a handshake with `openssl s_client` and further arguments.
pub fn handshake(server: &Server, port: &str, starttls: Option<&str>, more: &[&str]) -> Handshake {
    let mut command = Command::new("openssl");
    command
        .arg("s_client")
        .arg("-connect")
        .arg(format!("127.0.0.1:{}", server.port(port)));
    command.arg("-CAfile").arg(server.ca_file());
    if let Some(protocol) = starttls {
        command.args(["-starttls", protocol]);
    }
    command
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("openssl is installed");
    if let Some(mut input) = child.stdin.take() {
        let _ = input.write_all(b"Q\n");
    }
    let output = child.wait_with_output().expect("openssl ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let output = text(&output.stdout) + &text(&output.stderr);
    let agreed = output.contains("Cipher is ") && !output.contains("Cipher is (NONE)");
    Handshake { agreed, output }
}

/// Asserts on every port that a handshake with these arguments is agreed on.
pub fn agreed_everywhere(server: &Server, more: &[&str]) {
    for (port, starttls) in PORTS {
        let result = handshake(server, port, starttls, more);
        assert!(result.agreed, "{port} refuses {more:?}:\n{}", result.output);
    }
}

/// Asserts on every port that a handshake with these arguments is refused.
pub fn refused_everywhere(server: &Server, more: &[&str]) {
    for (port, starttls) in PORTS {
        let result = handshake(server, port, starttls, more);
        assert!(
            !result.agreed,
            "{port} accepts {more:?}:\n{}",
            result.output
        );
    }
}
