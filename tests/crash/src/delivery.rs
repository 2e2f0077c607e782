//! Delivers marked mails over SMTP to a server that may die at any moment, and remembers which
//! ones it acknowledged. Knows no other protocol; a broken connection is an ordinary end here.

use platform::random::Random;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// How long an answer may take before a sender gives up.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(20);
/// Mails on one connection before the next one is opened.
const PER_CONNECTION: usize = 20;
/// Sizes of mails in bytes, in turn: many small ones, some past every limit for memory.
const SIZES: [usize; 10] = [
    600, 4_000, 900, 20_000, 2_000, 70_000, 1_200, 4_000, 300_000, 3_000,
];

/// What became of one mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Sent or being sent; no answer came. It may be there once, or not.
    Unknown,
    /// Answered with 250. It must be there.
    Acknowledged,
    /// Refused or given up before its end was sent. It must not be there.
    Refused,
}

/// One mail that was begun.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Its recipients' addresses.
    pub recipients: Vec<String>,
    /// What became of it.
    pub outcome: Outcome,
}

/// Everything that was sent, by number.
#[derive(Debug, Default)]
pub struct Ledger {
    next: AtomicUsize,
    sent: Mutex<BTreeMap<usize, Sent>>,
}

impl Ledger {
    /// Everything so far.
    pub fn sent(&self) -> MutexGuard<'_, BTreeMap<usize, Sent>> {
        self.sent.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn begin(&self, recipients: Vec<String>) -> usize {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let outcome = Outcome::Refused;
        self.sent().insert(
            number,
            Sent {
                recipients,
                outcome,
            },
        );
        number
    }

    fn note(&self, number: usize, outcome: Outcome) {
        if let Some(sent) = self.sent().get_mut(&number) {
            sent.outcome = outcome;
        }
    }

    /// How many were acknowledged.
    pub fn acknowledged(&self) -> usize {
        let sent = self.sent();
        let acknowledged = sent.values().filter(|s| s.outcome == Outcome::Acknowledged);
        acknowledged.count()
    }
}

/// Mail `number` as it is sent, without the final dot.
pub fn mail(number: usize) -> String {
    let mut text =
        format!("From: <crash@client.test>\r\nSubject: mail\r\nX-Number: {number}\r\n\r\n");
    let wanted = SIZES[number % SIZES.len()];
    let mut line = number as u64 + 1;
    while text.len() < wanted {
        line = line
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        text.push_str(&format!("{line:064x}\r\n"));
    }
    text
}

/// Delivers mail after mail until the server is gone or `stop` is set. Gives the text of a refusal
/// that is no sign of a dying server.
pub fn deliver_until_death(
    port: u16,
    addresses: &[String],
    ledger: &Ledger,
    random: &Random,
    stop: &AtomicBool,
) -> Option<String> {
    while !stop.load(Ordering::Relaxed) {
        match connection(port, addresses, ledger, random, stop) {
            Ok(None) => {}
            Ok(Some(refusal)) => return Some(refusal),
            Err(_) => return None,
        }
    }
    None
}

fn connection(
    port: u16,
    addresses: &[String],
    ledger: &Ledger,
    random: &Random,
    stop: &AtomicBool,
) -> io::Result<Option<String>> {
    let socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(ANSWER_TIME_MAX))?;
    socket.set_write_timeout(Some(ANSWER_TIME_MAX))?;
    socket.set_nodelay(true)?;
    let mut smtp = Smtp {
        wire: BufReader::new(socket),
    };
    smtp.reply()?;
    smtp.ask("EHLO client.test")?;
    for _ in 0..PER_CONNECTION {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let count = 1 + random.next_u64() % 2;
        let skip = random.next_u64() as usize % addresses.len();
        let several = addresses.iter().cycle().skip(skip);
        let recipients: Vec<String> = several.take(count as usize).cloned().collect();
        let number = ledger.begin(recipients.clone());
        if let Some(refusal) = one(&mut smtp, number, &recipients, ledger)? {
            return Ok(Some(refusal));
        }
    }
    smtp.ask("QUIT")?;
    Ok(None)
}

fn one(
    smtp: &mut Smtp,
    number: usize,
    recipients: &[String],
    ledger: &Ledger,
) -> io::Result<Option<String>> {
    let mut commands = vec!["MAIL FROM:<crash@client.test>".to_owned()];
    commands.extend(recipients.iter().map(|to| format!("RCPT TO:<{to}>")));
    for command in commands {
        let reply = smtp.ask(&command)?;
        if !reply.starts_with("250") {
            return Ok(Some(format!("{command}: {reply}")));
        }
    }
    let reply = smtp.ask("DATA")?;
    if !reply.starts_with("354") {
        return Ok(Some(format!("DATA: {reply}")));
    }
    smtp.wire.get_mut().write_all(mail(number).as_bytes())?;
    // From here on the server may have the whole mail, whether we hear of it or not.
    ledger.note(number, Outcome::Unknown);
    let reply = smtp.ask(".")?;
    if reply.starts_with("250") {
        ledger.note(number, Outcome::Acknowledged);
        return Ok(None);
    }
    ledger.note(number, Outcome::Refused);
    Ok(Some(format!("after the dot: {reply}")))
}

struct Smtp {
    wire: BufReader<TcpStream>,
}

impl Smtp {
    fn ask(&mut self, line: &str) -> io::Result<String> {
        let line = format!("{line}\r\n");
        self.wire.get_mut().write_all(line.as_bytes())?;
        self.reply()
    }

    /// The last line of a reply.
    fn reply(&mut self) -> io::Result<String> {
        loop {
            let mut line = String::new();
            if self.wire.read_line(&mut line)? == 0 || !line.ends_with('\n') {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(line.trim_end().to_owned());
            }
        }
    }
}
