//! A customer with a mail program as old or as new as asked for, standing on OpenSSL and Python's mail
//! libraries: what the rules about TLS and cleartext are about. A visit tells how far it came and what it
//! was told. Tests only.

use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

/// How a program is set up to protect its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    Clear,
    /// With STARTTLS or STLS.
    StartTls,
    /// TLS from the first byte.
    Tls,
}

/// The newest TLS a program can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newest {
    /// 1999.
    Tls10,
    /// 2006.
    Tls11,
    /// 2008.
    Tls12,
    /// 2018.
    Tls13,
}

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Reads the INBOX.
    Imap,
    /// Reads the maildrop.
    Pop3,
    /// Sends a message.
    Smtp,
}

/// A mail program with its settings.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// What it says in IMAP ID: name, version, system.
    pub imap_id: Option<[&'static str; 3]>,
    /// What it puts behind EHLO.
    pub hello: &'static str,
    /// What it writes into X-Mailer.
    pub mailer: Option<&'static str>,
    /// Its settings.
    pub security: Security,
    /// What it can do.
    pub newest: Newest,
}

/// Who uses it, and how the visit goes.
#[derive(Debug, Clone)]
pub struct Customer {
    /// The program.
    pub program: Program,
    /// User name, which is the address.
    pub user: String,
    /// Password.
    pub password: String,
}

/// What came of a visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// Everything worked.
    pub ok: bool,
    /// How far it came: connect, tls, id, hello, login, select, stat, send, done.
    pub stage: String,
    /// What the program was told, or what it made of it.
    pub text: String,
    /// The TLS version that was agreed on, such as `TLSv1`.
    pub version: Option<String>,
}

impl Customer {
    /// Reads mail by IMAP at a loopback port.
    pub fn imap(&self, port: u16) -> Visit {
        self.visit(Protocol::Imap, "127.0.0.1", port, "")
    }

    /// Reads mail by POP3.
    pub fn pop3(&self, port: u16) -> Visit {
        self.visit(Protocol::Pop3, "127.0.0.1", port, "")
    }

    /// Sends a small message from the own address.
    pub fn send(&self, port: u16, to: &str) -> Visit {
        self.visit(Protocol::Smtp, "127.0.0.1", port, to)
    }

    /// Sends a small message from any address.
    pub fn send_as(&self, port: u16, from: &str, to: &str) -> Visit {
        let mut orders = self.orders(Protocol::Smtp, "127.0.0.1", port, to);
        let message = orders["message"].as_str().unwrap_or_default();
        orders["message"] = message.replace(&self.user, from).into();
        orders["from"] = from.into();
        run(&orders)
    }

    /// Any visit to any host.
    pub fn visit(&self, protocol: Protocol, host: &str, port: u16, to: &str) -> Visit {
        run(&self.orders(protocol, host, port, to))
    }

    fn orders(&self, protocol: Protocol, host: &str, port: u16, to: &str) -> Value {
        let program = &self.program;
        let id = program
            .imap_id
            .map(|[name, version, os]| json!({"name": name, "version": version, "os": os}));
        let mailer = program
            .mailer
            .map(|mailer| format!("X-Mailer: {mailer}\n"))
            .unwrap_or_default();
        let user = &self.user;
        json!({
            "protocol": match protocol {
                Protocol::Imap => "imap",
                Protocol::Pop3 => "pop3",
                Protocol::Smtp => "smtp",
            },
            "host": host,
            "home": home(user),
            "port": port,
            "security": match program.security {
                Security::Clear => "clear",
                Security::StartTls => "starttls",
                Security::Tls => "tls",
            },
            "newest": match program.newest {
                Newest::Tls10 => "TLSv1",
                Newest::Tls11 => "TLSv1_1",
                Newest::Tls12 => "TLSv1_2",
                Newest::Tls13 => "TLSv1_3",
            },
            "user": user,
            "password": self.password,
            "imap_id": id,
            "hello": program.hello,
            "from": user,
            "to": to,
            "message": format!(
                "From: {user}\nTo: {to}\nSubject: a visit\nDate: Mon, 2 Mar 2026 09:00:00 +0100\n\
                 {mailer}\nA small message.\n"
            ),
        })
    }
}

/// Lets the program run.
///
/// # Panics
/// Where Python cannot be run: then nothing is proved.
fn run(orders: &Value) -> Visit {
    let mut child = Command::new("python3")
        .args(["-W", "ignore", "-c", include_str!("program.py")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    let mut input = child.stdin.take().expect("piped");
    input
        .write_all(orders.to_string().as_bytes())
        .expect("told");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    let told: Value = serde_json::from_slice(&output.stdout).expect("a JSON object");
    let text = |name: &str| told[name].as_str().map(str::to_owned);
    Visit {
        ok: told["ok"] == true,
        stage: text("stage").unwrap_or_default(),
        text: text("text").unwrap_or_default(),
        version: text("version"),
    }
}

/// A loopback address for a customer, always the same one.
fn home(user: &str) -> String {
    let sum = user
        .bytes()
        .fold(7_u32, |sum, byte| sum.wrapping_mul(31) ^ u32::from(byte));
    let [_, second, third, fourth] = sum.to_be_bytes();
    // 127.0 is the servers', the upper half belongs to the sinks.
    format!("127.{}.{third}.{}", 1 + second % 60, 1 + fourth % 254)
}
