//! The running server is killed with SIGKILL at random moments while mail comes in. After each
//! start every mail that was acknowledged with 250 is there exactly once and whole, read by IMAP.

use crash::delivery::{Ledger, Outcome, deliver_until_death, mail};
use crash::time::{TimeBudget, sleep};
use harness::{Account, Lines, Server};
use platform::random::Random;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Connections that deliver at the same time.
const SENDERS: usize = 6;
/// The longest life of a server between two kills.
const LIFE_MS_MAX: u64 = 1500;
/// Messages asked for by one FETCH.
const FETCH_MESSAGES: usize = 50;

#[test]
fn acknowledged_mail_survives_kill_nine() {
    let budget = TimeBudget::begin(30);
    let dir = tempfile::tempdir().unwrap();
    let random = Random::from_os();
    let ledger = Ledger::default();
    let mut kills = 0;
    while !budget.left().is_zero() || kills == 0 {
        let mut server = Server::start_in(dir.path(), &[]);
        let accounts = server.accounts();
        kill_under_load(&mut server, &accounts, &ledger, &random);
        kills += 1;
    }
    let server = Server::start_in(dir.path(), &[]);
    let acknowledged = ledger.acknowledged();
    check(&server, &ledger);
    println!("{kills} kills, {acknowledged} mails acknowledged");
    assert!(acknowledged > 0, "the server accepted mail");
}

/// Lets senders deliver until the server was killed.
fn kill_under_load(server: &mut Server, accounts: &[Account], ledger: &Ledger, random: &Random) {
    let port = server.port("smtp");
    let addresses: Vec<String> = accounts.iter().map(|a| a.address.clone()).collect();
    let stop = AtomicBool::new(false);
    let life = Duration::from_millis(20 + random.next_u64() % LIFE_MS_MAX);
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| scope.spawn(|| deliver_until_death(port, &addresses, ledger, random, &stop)))
            .collect();
        sleep(life);
        server.kill();
        stop.store(true, Ordering::Relaxed);
        for sender in senders {
            let refusal = sender.join().expect("a sender does not panic");
            assert_eq!(refusal, None, "a living server refused a mail");
        }
    });
}

/// Reads every mailbox and compares it with what was sent.
fn check(server: &Server, ledger: &Ledger) {
    let mut found: HashMap<(usize, String), usize> = HashMap::new();
    for account in server.accounts() {
        read_inbox(server.port("imaps"), &server.ca_file(), &account, |text| {
            let number = number_of(text);
            // The server's own trace lines come first; what was sent must follow unchanged.
            assert!(text.ends_with(&mail(number)), "mail {number} is not whole");
            *found.entry((number, account.address.clone())).or_default() += 1;
        });
    }
    for (number, sent) in ledger.sent().iter() {
        for address in &sent.recipients {
            let count = found.remove(&(*number, address.clone())).unwrap_or(0);
            let allowed = match sent.outcome {
                Outcome::Acknowledged => 1..=1,
                Outcome::Unknown => 0..=1,
                Outcome::Refused => 0..=0,
            };
            assert!(
                allowed.contains(&count),
                "mail {number} ({:?}) is {count} times with {address}",
                sent.outcome
            );
        }
    }
    assert!(found.is_empty(), "mails nobody sent there: {found:?}");
}

fn number_of(text: &str) -> usize {
    text.split("\r\n")
        .find_map(|line| line.strip_prefix("X-Number: "))
        .and_then(|number| number.parse().ok())
        .expect("a mail of ours, its header whole")
}

/// Calls `each` with every message of an INBOX, whole.
fn read_inbox(port: u16, ca_file: &Path, account: &Account, mut each: impl FnMut(&str)) {
    let mut imap = Lines::tls(port, ca_file);
    imap.line();
    let Account { address, password } = account;
    let reply = imap.imap_ask("a", &format!("LOGIN \"{address}\" \"{password}\""));
    assert!(reply.contains("a OK"), "{reply}");
    let reply = imap.imap_ask("b", "EXAMINE INBOX");
    let exists: usize = reply
        .lines()
        .find_map(|line| {
            line.strip_prefix("* ")?
                .strip_suffix(" EXISTS")?
                .parse()
                .ok()
        })
        .expect("EXISTS");
    for first in (1..=exists).step_by(FETCH_MESSAGES) {
        let last = (first + FETCH_MESSAGES - 1).min(exists);
        imap.say(&format!("c FETCH {first}:{last} BODY.PEEK[]"));
        let mut bodies = 0;
        loop {
            let line = imap.line();
            if line.starts_with("c ") || line.is_empty() {
                assert!(line.starts_with("c OK"), "{line}");
                break;
            }
            let size = line.strip_suffix('}').and_then(|l| l.rsplit_once('{'));
            if let Some(size) = size.and_then(|(_, size)| size.parse().ok()) {
                let body = imap.bytes(size);
                each(std::str::from_utf8(&body).expect("mails of ours are ASCII"));
                bodies += 1;
                imap.line();
            }
        }
        assert_eq!(bodies, last + 1 - first, "every message has a body");
    }
}
