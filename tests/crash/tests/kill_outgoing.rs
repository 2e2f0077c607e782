//! The running server is killed with SIGKILL at random moments while its queue is full of mail for
//! another server. What was acknowledged arrives there; what that server took, and this one had time
//! to write down, does not arrive again.

use crash::delivery::{Ledger, Outcome, deliver_until_death};
use crash::time::{TimeBudget, sleep};
use harness::sink::{Behaviour, Step, Trouble};
use harness::{Dns, Server, Sink};
use platform::random::Random;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Connections that deliver at the same time.
const SENDERS: usize = 4;
/// The longest time senders go on before the queue is left to itself.
const LIFE_MS_MAX: u64 = 1200;
/// Time a server has to write down what another one took, on a busy machine.
const RECORD_TIME: Duration = Duration::from_secs(2);
/// Addresses here that lead elsewhere.
const FORWARDS: [(&str, &str); 2] = [
    ("one@firma.test", "box@one.test"),
    ("two@firma.test", "box@two.test"),
];
/// How long the rest of the queue may take at the end.
const DRAIN_ROUNDS_MAX: usize = 600;

/// Number of a mail and where it went.
type Copy = (usize, String);

#[test]
fn a_full_queue_survives_kill_nine() {
    let budget = TimeBudget::begin(30);
    let dir = tempfile::tempdir().unwrap();
    let (random, ledger, dns) = (Random::from_os(), Ledger::default(), Dns::start());
    let slow = Trouble::Wait(Duration::from_millis(100));
    let sink = Sink::start(
        ([127, 0, 0, 1], 0).into(),
        Behaviour::default().trouble(Step::Body, slow),
    );
    make_forwards(dir.path(), &sink, &dns);
    let mut recorded = HashSet::new();
    let (mut kills, mut waited) = (0, 0);
    while !budget.left().is_zero() || kills < 2 {
        let server = start(dir.path(), &sink, &dns);
        waited += kill_under_load(server, &ledger, &sink, &random, &mut recorded);
        kills += 1;
    }
    sink.behave(Behaviour::default());
    let server = start(dir.path(), &sink, &dns);
    drain(&server);
    check(&ledger, &sink);
    let acknowledged = ledger.acknowledged();
    println!("{kills} kills, {acknowledged} mails acknowledged, {waited} waited at a kill");
    assert!(acknowledged > 0 && waited > 0, "the queue was never full");
}

fn start(dir: &Path, sink: &Sink, dns: &Dns) -> Server {
    let next_hop = sink.address().to_string();
    let servers = format!("dns.servers=[\"{}\"]", dns.socket_address());
    // Few at once, so that the queue stays full until the kill.
    let few = "queue.attempts_per_domain_max=4";
    Server::start_in(
        dir,
        &["--next-hop", &next_hop, "--set", &servers, "--set", few],
    )
}

fn make_forwards(dir: &Path, sink: &Sink, dns: &Dns) {
    let server = start(dir, sink, dns);
    for (here, there) in FORWARDS {
        let (ok, _, errors) = server.cli(&["alias", "add", here, there]);
        assert!(ok, "{errors}");
    }
}

/// Lets senders deliver, then the queue work, then kills. Checks that nothing written down by an
/// earlier life came again. Gives how many recipients waited.
fn kill_under_load(
    mut server: Server,
    ledger: &Ledger,
    sink: &Sink,
    random: &Random,
    recorded: &mut HashSet<usize>,
) -> usize {
    let port = server.port("smtp");
    let addresses = FORWARDS.map(|(here, _)| here.to_owned());
    let stop = AtomicBool::new(false);
    let life = Duration::from_millis(50 + random.next_u64() % LIFE_MS_MAX);
    let before = sink.mails().len();
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| scope.spawn(|| deliver_until_death(port, &addresses, ledger, random, &stop)))
            .collect();
        sleep(life);
        stop.store(true, Ordering::Relaxed);
        for sender in senders {
            let refusal = sender.join().expect("a sender does not panic");
            assert_eq!(refusal, None, "a living server refused a mail");
        }
    });
    // What this life took over is at the place in the list where it will always be.
    let taken = sink.mails().len();
    sleep(RECORD_TIME + Duration::from_millis(random.next_u64() % 500));
    let (_, rows, _) = server.cli(&["queue", "--json"]);
    server.kill();
    let mails = sink.mails();
    let copies: Vec<Copy> = mails.iter().map(copy).collect();
    let old: HashSet<&Copy> = recorded.iter().map(|place| &copies[*place]).collect();
    for again in &copies[before..] {
        assert!(
            !old.contains(again),
            "{again:?} came again after it was written down"
        );
    }
    recorded.extend(0..taken);
    rows.lines().count()
}

fn copy(mail: &harness::sink::Mail) -> Copy {
    let text = mail.text();
    let number = text
        .lines()
        .find_map(|line| line.strip_prefix("X-Number: "))
        .and_then(|number| number.trim().parse().ok());
    let (to, _) = mail.to.first().expect("a recipient");
    (
        number.expect("a mail of ours, its header whole"),
        to.clone(),
    )
}

/// Waits until nothing is left to send.
fn drain(server: &Server) {
    for _ in 0..DRAIN_ROUNDS_MAX {
        let (ok, rows, errors) = server.cli(&["queue", "--json"]);
        assert!(ok, "{errors}");
        if rows.is_empty() {
            return;
        }
        sleep(Duration::from_millis(100));
    }
    panic!(
        "the queue does not become empty:\n{}",
        server.cli(&["queue"]).1
    );
}

/// Compares what arrived with what was acknowledged.
fn check(ledger: &Ledger, sink: &Sink) {
    let mut found: HashMap<Copy, usize> = HashMap::new();
    for mail in sink.mails() {
        *found.entry(copy(&mail)).or_default() += 1;
    }
    for (number, sent) in ledger.sent().iter() {
        for (here, there) in FORWARDS {
            let is_meant = sent.recipients.iter().any(|to| to == here);
            let count = found.remove(&(*number, there.to_owned())).unwrap_or(0);
            match sent.outcome {
                Outcome::Acknowledged if is_meant => {
                    assert!(count >= 1, "mail {number} to {there} is lost");
                }
                Outcome::Unknown if is_meant => {}
                _ => assert_eq!(count, 0, "mail {number} to {there} was sent by nobody"),
            }
        }
    }
    assert!(found.is_empty(), "mails nobody sent there: {found:?}");
}
