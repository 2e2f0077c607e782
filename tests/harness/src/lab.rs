//! A closed world for tests of sending, in one call: a DNS with its own root key, a certificate
//! authority, sinks as other providers' servers, a policy host, and a Rohrpost server that asks only
//! these. Labs beside each other do not meet: each process has its own /24 of loopback addresses.

use crate::authority::{Authority, Identity, Validity};
use crate::dns::{Dns, Signing};
use crate::https::{Answer, Https, STS_PATH, sts_policy};
use crate::lines::{Lines, base64};
use crate::server::Server;
use crate::sink::{Behaviour, Foreign, Sink};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// The time a lab's server starts with: Monday, 2 March 2026, 9:00 in Berlin.
pub const START: &str = "2026-03-02T08:00:00Z";
/// How long a test waits for something in the server.
const ARRIVAL_TIME_MAX: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A running lab; everything ends with its handle.
pub struct Lab {
    /// The server under test.
    pub server: Server,
    /// The only DNS there is.
    pub dns: Dns,
    /// The authority the server trusts.
    pub authority: Authority,
    /// The policy hosts of all domains, and places for reports.
    pub https: Https,
    /// Port of all sinks.
    port: u16,
    /// What the server was started with, beside its clock.
    arguments: Vec<String>,
    /// When the server's clock was set last, and to what: seconds since 1970. It runs on from there.
    clock: Mutex<(Instant, u64)>,
    _files: tempfile::TempDir,
}

/// A message to submit.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Who logs in: an account of the demo provider by its local part.
    pub account: String,
    /// MAIL FROM and From; the account's address where empty.
    pub from: String,
    /// What follows the address in MAIL.
    pub parameters: String,
    /// Addresses, each with what follows in RCPT.
    pub to: Vec<(String, String)>,
    /// Further header fields, whole lines without their ends.
    pub fields: Vec<String>,
    /// Subject.
    pub subject: String,
}

impl Letter {
    /// A small message from an account.
    pub fn new(account: &str, to: &str, subject: &str) -> Self {
        Self {
            account: account.to_owned(),
            from: String::new(),
            parameters: String::new(),
            to: vec![(to.to_owned(), String::new())],
            fields: Vec::new(),
            subject: subject.to_owned(),
        }
    }

    /// With parameters of MAIL, such as `RET=HDRS ENVID=1`.
    pub fn parameters(mut self, parameters: &str) -> Self {
        self.parameters = parameters.to_owned();
        self
    }

    /// With parameters for every RCPT so far, such as `NOTIFY=NEVER`.
    pub fn notify(mut self, parameters: &str) -> Self {
        for (_, have) in &mut self.to {
            *have = parameters.to_owned();
        }
        self
    }

    /// To one more recipient.
    pub fn and(mut self, to: &str) -> Self {
        self.to.push((to.to_owned(), String::new()));
        self
    }

    /// With one more header field.
    pub fn field(mut self, line: &str) -> Self {
        self.fields.push(line.to_owned());
        self
    }
}

/// Numbers of loopback hosts, shared by all labs of this process.
static NEXT_HOST: AtomicU8 = AtomicU8::new(1);

/// A loopback address that no other test uses: the process gives the /24.
fn next_address() -> IpAddr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let host = NEXT_HOST.fetch_add(1, Ordering::Relaxed);
    assert!(host < 255, "254 hosts are enough for one process");
    // 127.0 and 127.1 are left to servers of the machine.
    Ipv4Addr::new(127, 64 | (high & 0x3f), low, host).into()
}

impl Default for Lab {
    fn default() -> Self {
        Self::start()
    }
}

impl Lab {
    /// Starts one.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with settings of the server, such as `("queue.retry_first", "1 min")`.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_more(settings, &[])
    }

    /// The same with the legacy gateway beside the server.
    pub fn start_legacy(settings: &[(&str, &str)]) -> Self {
        Self::start_more(settings, &["--legacy"])
    }

    /// The same at another time (`2024-12-02T08:00:00Z`): for calendars of years gone or to come.
    pub fn start_legacy_at(time: &str, settings: &[(&str, &str)]) -> Self {
        Self::start_at(time, settings, &["--legacy"])
    }

    fn start_more(settings: &[(&str, &str)], more: &[&str]) -> Self {
        Self::start_at(START, settings, more)
    }

    fn start_at(time: &str, settings: &[(&str, &str)], more: &[&str]) -> Self {
        let files = tempfile::tempdir().expect("a temporary folder");
        let (dns, authority) = (Dns::start(), Authority::default());
        let https = Https::start(SocketAddr::new(next_address(), 0));
        let port = free_port();
        let (anchor, ca_file) = (files.path().join("root.key"), files.path().join("ca.pem"));
        dns.write_trust_anchor(&anchor);
        authority.write(&ca_file);
        let mut arguments = vec!["--next-hop".to_owned(), String::new()];
        let mut set = |name: &str, value: &str| {
            arguments.extend(["--set".to_owned(), format!("{name}={value}")]);
        };
        set("dns.servers", &format!("[\"{}\"]", dns.socket_address()));
        set("dns.trust_anchor_file", &anchor.display().to_string());
        set("tls.ca_file", &ca_file.display().to_string());
        set("queue.smtp_port", &port.to_string());
        set("tls.mta_sts_port", &https.address().port().to_string());
        for (name, value) in settings {
            set(name, value);
        }
        arguments.extend(more.iter().map(ToString::to_string));
        let clock = Mutex::new((now(), seconds(time)));
        let server = Server::start_with(&with_clock(&arguments, time));
        publish_keys(&server, &dns);
        Self {
            server,
            dns,
            authority,
            https,
            port,
            clock,
            arguments,
            _files: files,
        }
    }

    /// A certificate of the trusted authority.
    pub fn identity(&self, names: &[&str]) -> Identity {
        self.authority.issue(names, Validity::Long)
    }

    /// A sink with an address record for `host`; MX records are the test's matter.
    pub fn sink(&self, host: &str, behaviour: Behaviour) -> Sink {
        let sink = Sink::start(SocketAddr::new(next_address(), self.port), behaviour);
        self.dns.address(host, sink.address().ip());
        sink
    }

    /// The same in OpenSSL.
    pub fn foreign_sink(&self, host: &str, identity: &Identity, limits: Foreign) -> Sink {
        let address = SocketAddr::new(next_address(), self.port);
        let sink = Sink::foreign(address, identity, limits);
        self.dns.address(host, sink.address().ip());
        sink
    }

    /// A domain with a zone of its own and one mail exchanger `mx.DOMAIN`.
    pub fn domain(&self, domain: &str, signing: Signing, behaviour: Behaviour) -> Sink {
        self.dns.zone(domain, signing);
        let host = format!("mx.{domain}");
        self.dns.mx(domain, 10, &host);
        self.sink(&host, behaviour)
    }

    /// Where the TLSA records of a host stand.
    pub fn tlsa_name(&self, host: &str) -> String {
        format!("_{}._tcp.{host}", self.port)
    }

    /// Publishes a TLSA record for the mail server on `host`.
    pub fn tlsa(&self, host: &str, [usage, selector, matching]: [u8; 3], data: &[u8]) {
        self.dns
            .tlsa(&self.tlsa_name(host), usage, selector, matching, data);
    }

    /// Publishes an MTA-STS policy for a domain, on a host with a good certificate.
    pub fn sts(&self, domain: &str, mode: &str, mx: &[&str]) {
        let policy = sts_policy(mode, mx, 604_800);
        let host = format!("mta-sts.{domain}");
        self.sts_host(domain, &self.identity(&[&host]), Answer::text(&policy));
    }

    /// Announces a policy, and answers for it in this way with this certificate.
    pub fn sts_host(&self, domain: &str, identity: &Identity, answer: Answer) {
        let host = format!("mta-sts.{domain}");
        self.dns
            .txt(&format!("_mta-sts.{domain}"), "v=STSv1; id=20260302a;");
        self.dns.address(&host, self.https.address().ip());
        self.https.certificate(&host, identity);
        self.https.answer(&host, STS_PATH, answer);
    }

    /// Submits a message over TLS with login; the last reply, which may be a refusal.
    pub fn submit(&self, letter: &Letter) -> String {
        let account = self.server.account(&letter.account);
        let from = Some(letter.from.clone()).filter(|from| !from.is_empty());
        let from = from.unwrap_or(account.address.clone());
        let mut smtp = Lines::tls(self.server.port("submissions"), &self.server.ca_file());
        smtp.smtp();
        smtp.smtp_ask("EHLO laptop.test");
        let login = base64(format!("\0{}\0{}", account.address, account.password).as_bytes());
        let reply = smtp.smtp_ask(&format!("AUTH PLAIN {login}"));
        assert!(reply.starts_with("235"), "{reply}");
        let mut commands = vec![format!("MAIL FROM:<{from}> {}", letter.parameters)];
        for (to, parameters) in &letter.to {
            commands.push(format!("RCPT TO:<{to}> {parameters}"));
        }
        commands.push("DATA".to_owned());
        for command in commands {
            let reply = smtp.smtp_ask(command.trim_end());
            if !reply.starts_with(['2', '3']) {
                return reply;
            }
        }
        let to: Vec<&str> = letter.to.iter().map(|(to, _)| to.as_str()).collect();
        let mut message = format!(
            "From: {from}\r\nTo: {}\r\nSubject: {}\r\n",
            to.join(", "),
            letter.subject
        );
        for field in &letter.fields {
            message.push_str(&format!("{field}\r\n"));
        }
        message.push_str("\r\nThe body.\r\n.");
        smtp.smtp_ask(&message)
    }

    /// Submits a small message and expects it to be taken.
    pub fn send(&self, account: &str, to: &str, subject: &str) {
        let reply = self.submit(&Letter::new(account, to, subject));
        assert!(reply.starts_with("250"), "{reply}");
    }

    /// Moves the server's clock ahead from what it shows now, and makes it look through the queue.
    pub fn forward(&self, by: Duration) {
        let time = self.later(by);
        self.cli(&["clock", "set", &time]);
        self.cli(&["queue", "--run"]);
    }

    /// Sets the server's clock to a time (`2025-03-04T23:00:00Z`), and makes it look at everything.
    pub fn at(&self, time: &str) {
        *self.clock.lock().expect("nobody panics holding it") = (now(), seconds(time));
        self.cli(&["clock", "set", time]);
        self.cli(&["queue", "--run"]);
    }

    /// Kills the server, as a power cut would, and starts it again on its data; on other ports.
    pub fn restart(&mut self) {
        let time = self.later(Duration::ZERO);
        self.server.restart(&with_clock(&self.arguments, &time));
    }

    /// The time to set the clock to, so that it shows `by` more than now.
    fn later(&self, by: Duration) -> String {
        let mut clock = self.clock.lock().expect("nobody panics holding it");
        let (set, to) = *clock;
        let seconds = to + set.elapsed().as_secs() + 1 + by.as_secs();
        *clock = (now(), seconds);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let [year, month, day] = civil(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// Runs a command that has to work; what it printed.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let (ok, output, errors) = self.server.cli(arguments);
        assert!(ok, "rohrpost {}:\n{output}{errors}", arguments.join(" "));
        output
    }

    /// All messages in an account's INBOX, whole.
    pub fn inbox(&self, account: &str) -> Vec<String> {
        let account = self.server.account(account);
        self.inbox_of(&account.address, &account.password)
    }

    /// The same of an account that the demo does not know: with its address and password.
    pub fn inbox_of(&self, address: &str, password: &str) -> Vec<String> {
        let mut imap = Lines::tls(self.server.port("imaps"), &self.server.ca_file());
        imap.line();
        imap.imap_ask("a", &format!("LOGIN {address} {password}"));
        imap.imap_ask("b", "EXAMINE INBOX");
        imap.say("c FETCH 1:* (BODY.PEEK[])");
        let mut messages = Vec::new();
        loop {
            let line = imap.line();
            if line.starts_with("c ") || line.is_empty() {
                return messages;
            }
            let size = line.strip_suffix('}').and_then(|line| {
                let (_, size) = line.rsplit_once('{')?;
                size.parse().ok()
            });
            if let Some(size) = size {
                messages.push(String::from_utf8_lossy(&imap.bytes(size)).into_owned());
            }
        }
    }

    /// Waits for a message in an account's INBOX that holds all of `words`.
    ///
    /// # Panics
    /// Where none comes.
    pub fn wait_inbox(&self, account: &str, words: &[&str]) -> String {
        let mut found = None;
        self.wait("a message in the INBOX", || {
            let messages = self.inbox(account);
            let seen = messages.join("\n----\n");
            found = messages
                .into_iter()
                .find(|message| words.iter().all(|word| message.contains(word)));
            found.as_ref().map(|_| ()).ok_or(seen)
        });
        found.expect("it was waited for")
    }

    /// Waits until the queue's listing says all of `words` for one recipient; that line of JSON.
    ///
    /// # Panics
    /// Where it does not.
    pub fn wait_queue(&self, words: &[&str]) -> String {
        let mut found = String::new();
        self.wait("a row of the queue", || {
            let rows = self.cli(&["queue", "--json"]);
            let row = rows
                .lines()
                .find(|row| words.iter().all(|word| row.contains(word)));
            found = row.unwrap_or_default().to_owned();
            row.map(|_| ()).ok_or(rows.clone())
        });
        found
    }

    /// Waits until mail for `to` was tried at least `attempts` times and still waits; what was
    /// said the last time.
    ///
    /// # Panics
    /// Where it does not come to that.
    pub fn wait_deferred(&self, to: &str, attempts: u64) -> String {
        let mut said = String::new();
        self.wait(&format!("a deferral of {to}"), || {
            let rows = self.cli(&["queue", "--json"]);
            let row = rows.lines().find_map(|row| {
                let row: serde_json::Value = serde_json::from_str(row).ok()?;
                let tried = row["attempts"].as_u64()? >= attempts;
                let text = row["last_reply"].as_str()?.to_owned();
                (row["recipient"] == to && tried && !text.is_empty()).then_some(text)
            });
            said = row.ok_or(rows)?;
            Ok(())
        });
        said
    }

    /// The stories of all messages to an address, in sentences.
    pub fn story(&self, address: &str) -> String {
        self.cli(&["trace", address])
    }

    /// What happened to all messages to an address, newest message first: the objects that
    /// `rohrpost trace --json` prints.
    pub fn events(&self, address: &str) -> Vec<serde_json::Value> {
        let lines = self.cli(&["trace", "--json", address]);
        let read = |line| serde_json::from_str(line).expect("JSON");
        lines.lines().map(read).collect()
    }

    /// Every connection that was tried for messages to an address, in its order per message.
    pub fn tries(&self, address: &str) -> Vec<serde_json::Value> {
        let events = self.events(address);
        let tries = events
            .iter()
            .map(|event| event["detail"]["tries"].as_array());
        tries.flatten().flatten().cloned().collect()
    }

    /// Waits until the story of the messages to an address holds this event, such as `relayed`.
    ///
    /// # Panics
    /// Where it does not.
    pub fn wait_event(&self, address: &str, event: &str) {
        self.wait(&format!("{event} {address}"), || {
            let happened = self.events(address).iter().any(|e| e["event"] == event);
            if happened {
                Ok(())
            } else {
                Err(self.story(address))
            }
        });
    }

    /// Sets a policy for an address, a domain, a group or `installation`, such as
    /// `("firma.test", "outbound-tls", "required")`.
    pub fn policy(&self, scope: &str, name: &str, value: &str) {
        self.cli(&["policy", "set", scope, name, value]);
    }

    /// Sets everybody's rule for a destination, such as `("there.test", &["verify"])`.
    pub fn destination(&self, domain: &str, rule: &[&str]) {
        self.cli(&[&["destination", "set", domain], rule].concat());
    }

    /// Waits until nothing is in the queue.
    ///
    /// # Panics
    /// Where something stays.
    pub fn wait_empty_queue(&self) {
        self.wait("an empty queue", || {
            let rows = self.cli(&["queue", "--json"]);
            if rows.is_empty() { Ok(()) } else { Err(rows) }
        });
    }

    /// Gives the server a moment for what it has begun; for loops that look again anyway.
    #[allow(
        clippy::disallowed_methods,
        reason = "tests wait on the machine's clock"
    )]
    pub fn settle(&self) {
        std::thread::sleep(Duration::from_millis(200));
    }

    /// Waits until `look` succeeds; its error is what was seen instead.
    ///
    /// # Panics
    /// Where it does not; the server's log is in the text.
    #[allow(
        clippy::disallowed_methods,
        reason = "tests wait on the machine's clock"
    )]
    pub fn wait(&self, what: &str, mut look: impl FnMut() -> Result<(), String>) {
        let begin = Instant::now();
        loop {
            let seen = match look() {
                Ok(()) => return,
                Err(seen) => seen,
            };
            assert!(
                begin.elapsed() < ARRIVAL_TIME_MAX,
                "waiting for {what}; seen:\n{seen}\nlog:\n{}",
                self.server.log()
            );
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// The server's settings file, for commands that are run by hand.
    pub fn config(&self) -> PathBuf {
        self.server.dir().join("rohrpost.toml")
    }
}

fn with_clock<'a>(arguments: &'a [String], time: &'a str) -> Vec<&'a str> {
    let rest = arguments.iter().map(String::as_str);
    ["--clock", time].into_iter().chain(rest).collect()
}

#[allow(clippy::disallowed_methods, reason = "tests use the machine's clock")]
fn now() -> Instant {
    Instant::now()
}

/// Puts the key records that the demo wants published into the DNS.
fn publish_keys(server: &Server, dns: &Dns) {
    let records = server.endpoints()["dkim"].as_array();
    for record in records.into_iter().flatten() {
        if let (Some(name), Some(value)) = (record["name"].as_str(), record["value"].as_str()) {
            dns.txt(name, value);
        }
    }
}

/// A port that is free on all of this process's addresses, as far as one can tell by trying one.
fn free_port() -> u16 {
    let listener = TcpListener::bind(SocketAddr::new(next_address(), 0)).expect("a free port");
    listener.local_addr().expect("a bound socket").port()
}

/// Year, month and day of a day since 1970 (Howard Hinnant's `civil_from_days`, for dates after 1970).
fn civil(days: u64) -> [u64; 3] {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    [era * 400 + year + u64::from(month <= 2), month, date]
}

/// Seconds since 1970 at a time such as `2024-12-02T08:00:00Z`.
fn seconds(time: &str) -> u64 {
    let part = |from: usize, to: usize| -> u64 {
        let digits = time
            .get(from..to)
            .expect("a time as long as 2024-12-02T08:00:00Z");
        digits.parse().expect("digits")
    };
    let date = [part(0, 4), part(5, 7), part(8, 10)];
    // Calendars of tests lie between 2000 and 2100.
    let days = (10_957..47_482).find(|days| civil(*days) == date);
    let days = days.expect("a day of this century");
    days * 86_400 + part(11, 13) * 3600 + part(14, 16) * 60 + part(17, 19)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_SECONDS: u64 = 1_772_438_400;

    #[test]
    fn the_start_is_what_it_says() {
        assert_eq!(seconds(START), START_SECONDS);
        assert_eq!(civil(START_SECONDS / 86_400), [2026, 3, 2]);
        assert_eq!(START_SECONDS % 86_400, 8 * 3600);
        assert_eq!(civil(START_SECONDS / 86_400 - 2), [2026, 2, 28]);
        assert_eq!(civil(11_016), [2000, 2, 29]);
    }
}
