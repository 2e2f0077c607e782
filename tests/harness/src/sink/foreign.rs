//! Sinks whose TLS is OpenSSL's, for what rustls does not speak: TLS 1.0, CBC suites, RSA key
//! exchange. Python's `ssl` runs them; what it saw comes back as a line of JSON per event.

use super::{Behaviour, Mail, Shared, Sink, TlsFacts};
use crate::authority::Identity;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::SystemTime;

/// What the foreign TLS is limited to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// TLS 1.0 and nothing newer.
    Tls10,
    /// TLS 1.1 and nothing newer.
    Tls11,
    /// TLS 1.2 with CBC suites only, with forward secrecy.
    Tls12Cbc,
    /// TLS 1.2 with AES-GCM, but RSA key exchange only (no forward secrecy); needs an RSA key.
    Tls12StaticRsa,
    /// Everything OpenSSL has by default.
    Usual,
}

impl Foreign {
    /// Lowest version, highest version, cipher list.
    fn limits(self) -> [&'static str; 3] {
        match self {
            Self::Tls10 => ["TLSv1", "TLSv1", "ALL:@SECLEVEL=0"],
            Self::Tls11 => ["TLSv1_1", "TLSv1_1", "ALL:@SECLEVEL=0"],
            Self::Tls12Cbc => [
                "TLSv1_2",
                "TLSv1_2",
                "ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA:\
                 ECDHE-RSA-AES256-SHA:@SECLEVEL=0",
            ],
            Self::Tls12StaticRsa => ["TLSv1_2", "TLSv1_2", "AES256-GCM-SHA384:AES128-GCM-SHA256"],
            Self::Usual => ["TLSv1_2", "TLSv1_3", "DEFAULT"],
        }
    }
}

impl Sink {
    /// Starts a sink in OpenSSL.
    ///
    /// # Panics
    /// Where the address is taken or Python is missing.
    #[allow(clippy::disallowed_methods, reason = "tests use the machine's clock")]
    pub fn foreign(address: SocketAddr, identity: &Identity, limits: Foreign) -> Self {
        let [lowest, highest, ciphers] = limits.limits();
        let mut child = Command::new("python3")
            .args(["-c", include_str!("foreign.py")])
            .args([address.ip().to_string(), address.port().to_string()])
            .args([lowest, highest, ciphers])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is installed");
        let mut input = child.stdin.take().expect("a pipe");
        let pem = format!("{}{}", identity.pem.1, identity.pem.0);
        input.write_all(pem.as_bytes()).expect("it reads");
        drop(input);
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut first = String::new();
        output.read_line(&mut first).expect("a line");
        let port = first.trim().parse().expect("the port it listens on");
        let shared = Shared::new(Behaviour::default());
        let noted = shared.clone();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Ok(event) = serde_json::from_str(&line) {
                    note(&noted, &event, SystemTime::now());
                }
            }
        });
        Self {
            shared,
            address: SocketAddr::new(address.ip(), port),
            foreign: Some(child),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn note(shared: &Arc<Shared>, event: &Value, now: SystemTime) {
    let session = event["session"].as_u64().unwrap_or(0);
    let session = usize::try_from(session).unwrap_or(0);
    let tls = &event["tls"];
    let tls = tls.is_object().then(|| TlsFacts {
        version: text(&tls["version"]),
        cipher: text(&tls["cipher"]),
        server_name: tls["server_name"].as_str().map(str::to_owned),
    });
    match event["what"].as_str() {
        Some("begin") => {
            let client = text(&event["client"]).parse().expect("an address");
            shared.begin(client, now);
        }
        Some("hello") => shared.note(session, |s| s.hello = text(&event["name"])),
        Some("command") => shared.note(session, |s| s.commands.push(text(&event["line"]))),
        Some("tls") => shared.note(session, |s| s.tls = tls),
        Some("no tls") => shared.note(session, |s| s.tls_failure = Some(text(&event["why"]))),
        Some("end") => shared.note(session, |s| s.ended = true),
        Some("mail") => {
            let pair = |value: &Value| (text(&value[0]), text(&value[1]));
            let (from, from_parameters) = pair(&event["from"]);
            let to = event["to"].as_array().cloned().unwrap_or_default();
            shared.take(Mail {
                session,
                tls,
                from,
                from_parameters,
                to: to.iter().map(pair).collect(),
                // Latin 1: each byte is one character.
                data: text(&event["data"]).chars().map(|c| c as u8).collect(),
            });
        }
        _ => {}
    }
}
