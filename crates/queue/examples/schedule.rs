//! Measures the queue with many rows: memory and time of the schedule alone, the start of a worker on
//! a full store, and a live destination beside mail for dead ones. Prints a table.
//!
//! `cargo run --release -p queue --example schedule [ROWS]` (1,000,000 where nothing is said)

#![allow(clippy::unwrap_used, reason = "a measurement may stop")]

use directory::Directory;
use mailbox::Mailboxes;
use platform::clock::{Clock, Timestamp};
use platform::files::RealFiles;
use platform::params;
use platform::random::Random;
use platform::segments::{SegmentOptions, Segments};
use platform::signals::Signals;
use platform::spool::{Spool, SpoolLimits};
use platform::store::{Engine, Options, Store, StoreError};
use queue::relay::{
    Attempt, Attempted, Attempting, Cause, Notices, Outcome, Peer, Relay, RelayParts,
    RelaySettings, Transport,
};
use queue::schedule::{Finish, Limits, Ordered, Rest, Schedule, Share, Times, Waiting};
use queue::{
    Accept, DeliverTo, Dispatch, DsnOptions, Notify, Queue, Recipient, ReversePath, TraceId,
    TraceIds,
};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

const GROUPS: [&str; 4] = ["private", "business", "newsletter", "internal"];
const DESTINATIONS: i64 = 1000;
const LIVE_MESSAGES: usize = 200;

#[tokio::main]
async fn main() {
    let rows = std::env::args().nth(1).and_then(|rows| rows.parse().ok());
    let rows: i64 = rows.unwrap_or(1_000_000);
    println!("| measured | value |\n|---|---|");
    alone(rows, DESTINATIONS);
    alone(rows, rows / 10);
    from_store(rows).await;
    let quiet = beside_dead(0).await;
    let full = beside_dead(100_000).await;
    row("live mail alone, median and p95", &quiet);
    row("live mail beside 100,000 for 100 dead domains", &full);
}

fn row(what: &str, value: &str) {
    println!("| {what} | {value} |");
}

/// Resident memory in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|n| n.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}

fn limits(entries_max: usize) -> Limits {
    Limits {
        attempts_max: 300,
        attempts_per_destination_max: 20,
        entries_max,
        slow_after: Duration::from_secs(3),
        times: Times {
            first: Duration::from_secs(30),
            longest: Duration::from_secs(900),
        },
    }
}

/// The data structure by itself.
fn alone(rows: i64, destinations: i64) {
    let now = Clock::system().now();
    let names: Vec<String> = (0..destinations).map(|n| format!("d{n}.test")).collect();
    let before = resident();
    let mut schedule = Schedule::new(limits(4_000_000));
    let began = Instant::now();
    for message in 0..rows {
        let n = usize::try_from(message).unwrap_or(0);
        schedule.push(&Waiting {
            message,
            domain: &names[n % names.len()],
            group: Some(GROUPS[n % GROUPS.len()]),
            share: Share::default(),
            due: Timestamp(now.0 + message),
            priority: 0,
            warned: false,
            ordered: Ordered::Nothing,
        });
    }
    let (pushed, bytes) = (began.elapsed(), resident().saturating_sub(before));
    let began = Instant::now();
    let mut served = 0_u32;
    while let Some(claim) = schedule.pick(now) {
        served += 1;
        schedule.finish(
            &claim,
            Finish {
                peer: Peer::Answered,
                reply: "",
                now,
                jitter: 0,
                rest: Rest::None,
            },
        );
    }
    let took = began.elapsed();
    let what = format!("{rows} entries for {destinations} domains, 4 groups");
    row(
        &format!("{what}: memory"),
        &format!("{} MB, {} bytes each", bytes >> 20, bytes / rows as usize),
    );
    row(
        &format!("{what}: taking in"),
        &format!("{} ms", pushed.as_millis()),
    );
    row(
        &format!("{what}: serving all"),
        &format!(
            "{} ms, {} ns each",
            took.as_millis(),
            took.as_nanos() / u128::from(served.max(1))
        ),
    );
}

/// Notes when attempts begin; the domains that begin with "dead" cannot be reached.
#[derive(Default)]
struct Sink {
    attempts: AtomicUsize,
    first: Mutex<Option<Instant>>,
    arrived: Mutex<Vec<(TraceId, Instant)>>,
    /// Attempts never end, so that only the taking in is measured.
    holds: bool,
}

impl Transport for Sink {
    fn attempt<'a>(&'a self, attempt: &'a Attempt, _: &'a Segments) -> Attempting<'a> {
        Box::pin(async move {
            self.attempts.fetch_add(1, Ordering::Relaxed);
            let now = Instant::now();
            self.first.lock().unwrap().get_or_insert(now);
            if self.holds {
                std::future::pending::<()>().await;
            }
            if attempt.domain.starts_with("dead") {
                tokio::time::sleep(Duration::from_millis(50)).await;
                let reply = "4.4.1 no connection".to_owned();
                let cause = Cause::Other;
                return Attempted {
                    outcomes: vec![Outcome::Deferred { reply, cause }],
                    peer: Peer::Unreachable,
                    ..Attempted::default()
                };
            }
            self.arrived.lock().unwrap().push((attempt.trace, now));
            let detail = "host=sink 250 ok".to_owned();
            let notices = Notices::NextServer;
            Attempted {
                outcomes: vec![Outcome::Relayed { detail, notices }],
                ..Attempted::default()
            }
        })
    }
}

struct Rig {
    store: Store,
    queue: Queue,
    relay: Arc<Relay>,
    sink: Arc<Sink>,
    traces: TraceIds,
    spool: SpoolLimits,
}

async fn rig(dir: &Path, holds: bool) -> Rig {
    let (clock, random) = (Clock::system(), Random::from_os());
    let options = SegmentOptions::new(clock.clone(), random.clone());
    let (segments, _) =
        Segments::open(&dir.join("segments"), options, Arc::new(RealFiles)).unwrap();
    let options = Options {
        engine: Engine::Sqlite {
            path: dir.join("t.sqlite"),
        },
        readers: 2,
        gather_max: Duration::from_millis(4),
        before_commit: Some(segments.before_commit()),
    };
    let schema = [directory::SCHEMA, mailbox::SCHEMA, queue::SCHEMA];
    let store = Store::open(options, &schema).unwrap();
    let rules = directory::Settings::default();
    let directory = Directory::open(store.clone(), rules, random.clone())
        .await
        .unwrap();
    let mailboxes = Mailboxes::new(
        store.clone(),
        segments.clone(),
        Signals::default(),
        clock.clone(),
    );
    let queue = Queue::new(store.clone(), segments, mailboxes);
    let traces = TraceIds::new(clock.clone());
    let spool = SpoolLimits {
        memory_bytes: 1 << 20,
        dir: Arc::from(dir),
    };
    let sink = Arc::new(Sink {
        holds,
        ..Sink::default()
    });
    let relay = Relay::new(
        RelayParts {
            queue: queue.clone(),
            directory,
            transport: sink.clone(),
            clock,
            random,
            traces: traces.clone(),
        },
        RelaySettings {
            attempts_max: 300,
            attempts_per_domain_max: 20,
            entries_max: 2_000_000,
            plan: Default::default(),
            host: "mx.rp.test".into(),
            spool: spool.clone(),
            wording: Default::default(),
            poll: Duration::from_secs(1),
        },
    );
    Rig {
        store,
        queue,
        relay,
        sink,
        traces,
        spool,
    }
}

/// Writes rows as acceptances long ago would have; bodies are not needed.
async fn fill(store: &Store, rows: i64, domain: impl Fn(i64) -> String + Send + Copy + 'static) {
    let first = TraceId::first_at(Timestamp(Clock::system().now().0 - 60_000)).0;
    for begin in (0..rows).step_by(20_000) {
        let written: Result<(), StoreError> = store
            .write(move |tx| {
                for n in begin..rows.min(begin + 20_000) {
                    write_one(tx, first + n, &domain(n), n)?;
                }
                Ok(())
            })
            .await;
        written.unwrap();
    }
}

fn write_one(
    tx: &mut dyn platform::store::Tx,
    message: i64,
    domain: &str,
    n: i64,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO queue_messages (message, accepted_at, sender, submitter, envelope_id, ret, \
         segment, segment_offset, facts_bytes, body_bytes, recipients) \
         VALUES (?1, ?2, 'anna@firma.test', 1, NULL, 0, 1, ?3, 10, 20, 1)",
        params![message, Clock::system().now().0, n * 4096],
    )?;
    tx.execute(
        "INSERT INTO queue_recipients (message, n, domain, address, notify, original, attempts, \
         next_attempt_at, delay_notified, last_reply, customer_group) \
         VALUES (?1, 0, ?2, ?3, 6, NULL, 1, ?4, 0, '451 4.3.0 try again later', ?5)",
        params![
            message,
            domain,
            &format!("user{n}@{domain}"),
            Clock::system().now().0 - 1000,
            GROUPS[usize::try_from(n).unwrap_or(0) % GROUPS.len()],
        ],
    )?;
    Ok(())
}

async fn from_store(rows: i64) {
    let dir = tempfile::tempdir().unwrap();
    let filled = rig(dir.path(), true).await;
    fill(&filled.store, rows, |n| {
        format!("d{}.test", n % DESTINATIONS)
    })
    .await;
    drop(filled);
    let before = resident();
    let rig = rig(dir.path(), true).await;
    let began = Instant::now();
    let worker = tokio::spawn(rig.relay.clone().run());
    let waiting = || rig.queue.state().unwrap_or_default();
    while (waiting().waiting + waiting().under_way) as i64 != rows {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let all = began.elapsed();
    let first = rig.sink.first.lock().unwrap().unwrap() - began;
    let bytes = resident().saturating_sub(before);
    let what = format!("start on {rows} rows in SQLite");
    row(
        &format!("{what}: first attempt"),
        &format!("{} ms", first.as_millis()),
    );
    row(
        &format!("{what}: all taken in"),
        &format!("{} ms", all.as_millis()),
    );
    row(&format!("{what}: memory"), &format!("{} MB", bytes >> 20));
    worker.abort();
}

/// Median and 95th percentile from acceptance to attempt, in milliseconds.
async fn beside_dead(dead: i64) -> String {
    let dir = tempfile::tempdir().unwrap();
    let rig = rig(dir.path(), false).await;
    fill(&rig.store, dead, |n| format!("dead{}.test", n % 100)).await;
    let worker = tokio::spawn(rig.relay.clone().run());
    // As a server that has been running: the dead ones were found to be so.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut sent = Vec::new();
    for _ in 0..LIVE_MESSAGES {
        sent.push(send(&rig).await);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    while rig.sink.arrived.lock().unwrap().len() < LIVE_MESSAGES {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let arrived = rig.sink.arrived.lock().unwrap().clone();
    let mut waits: Vec<u128> = (sent.iter())
        .map(|(trace, at)| {
            let (_, began) = arrived.iter().find(|(id, _)| id == trace).unwrap();
            began.duration_since(*at).as_micros()
        })
        .collect();
    waits.sort_unstable();
    worker.abort();
    let tries = rig.sink.attempts.load(Ordering::Relaxed) - LIVE_MESSAGES;
    let at = |part: usize| waits[waits.len() * part / 100] as f64 / 1000.0;
    format!(
        "{:.2} and {:.2} ms; {tries} attempts at dead domains",
        at(50),
        at(95)
    )
}

async fn send(rig: &Rig) -> (TraceId, Instant) {
    let text = b"Subject: live\r\n\r\nx\r\n";
    let mut body = Spool::new(rig.spool.clone());
    body.push(text).unwrap();
    let trace = rig.traces.next();
    let address = |text| formats::address::Address::parse(text).unwrap();
    let accept = Accept {
        trace,
        sender: ReversePath::Address(address("anna@firma.test")),
        recipients: vec![Recipient {
            address: address("x@live.test"),
            deliver_to: DeliverTo::Remote,
            notify: Notify::DEFAULT,
            original: None,
        }],
        submitter: None,
        dsn: DsnOptions::default(),
        body,
        facts: formats::message::Facts::scan(text).to_bytes(),
        session: Default::default(),
        now: Clock::system().now(),
        announced: None,
        dispatch: Dispatch::default(),
    };
    let began = Instant::now();
    rig.queue.accept(accept).await.unwrap();
    (trace, began)
}
