//! Many sessions in IDLE: what each costs in memory, what silence costs in CPU, and how long after a
//! delivery all sessions of an account know of it. Figures per connection are differences between
//! after and before, so they hold whatever the server had before.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::io::Result;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::accounting::{Memory, Snapshot, machine_available_bytes, own_resident_bytes};
use crate::connection::Connection;
use crate::corpus::Corpus;
use crate::latency::Latencies;
use crate::load::{Load, in_parallel};
use crate::record::Record;
use crate::smtp::OUTSIDE_SENDER;
use crate::{imap, smtp};

/// Logins stop after so many failures: the server takes no more.
const ERRORS_MAX: usize = 50;
/// Time for the server to calm down before memory is read.
const SETTLE: Duration = Duration::from_secs(3);
/// How long a session waits for its push.
const PUSH_PATIENCE: Duration = Duration::from_secs(60);
/// How long after the last delivery pushes are waited for.
const PUSH_DRAIN: Duration = Duration::from_secs(15);
/// Pause between two deliveries.
const PUSH_GAP: Duration = Duration::from_millis(50);

/// A session with the number of its account.
type Idling = (usize, Connection);

/// Memory of server, machine and load generator at one moment.
struct Levels {
    server: Memory,
    available_bytes: u64,
    own_bytes: u64,
}

impl Levels {
    fn now() -> Levels {
        Levels {
            server: Memory::of_server(),
            available_bytes: machine_available_bytes(),
            own_bytes: own_resident_bytes(),
        }
    }

    /// Growth since `before`, in KiB per connection.
    fn growth(&self, before: &Levels, connections: usize) -> Record {
        let each = |now: u64, then: u64| (now as f64 - then as f64) / 1024.0 / connections as f64;
        let (now, then) = (&self.server, &before.server);
        let available = each(before.available_bytes, self.available_bytes);
        Record::default()
            .count("procs_before", then.processes)
            .figure("pss_per_conn_kb", each(now.pss_bytes, then.pss_bytes), 2)
            .figure(
                "private_per_conn_kb",
                each(now.private_bytes, then.private_bytes),
                2,
            )
            .figure("rss_per_conn_kb", each(now.rss_bytes, then.rss_bytes), 2)
            .figure("pss_before_mb", then.pss_bytes as f64 / 1e6, 1)
            .and(now.record())
            .figure("memavail_per_conn_kb", available, 2)
            .figure(
                "client_rss_per_conn_kb",
                each(self.own_bytes, before.own_bytes),
                2,
            )
    }
}

pub(super) async fn run(load: Load) -> Result<Record> {
    let options = load.options.clone();
    let users = options.number("users", 16);
    let levels_before = Levels::now();
    let before = Snapshot::take();
    let sessions = ramp_up(&load, options.number("conns", 1000), users).await;
    let ramped = Snapshot::take();
    let up = sessions.len();
    tokio::time::sleep(SETTLE).await;
    let levels = Levels::now();
    let hold = Duration::from_secs(options.number("hold", 10) as u64);
    let idle_cpu = idle_cpu_fraction(hold).await;
    // What hashing passwords took at the logins is given back late.
    let held = Memory::of_server();
    let pushes = push(&load, sessions, options.number("push", 30).min(users)).await;
    let connections = up.max(1);
    let held_growth = held.pss_bytes as f64 - levels_before.server.pss_bytes as f64;
    Ok(Record::default()
        .count("up", up)
        .count("errors", load.tally.errors.get())
        .figure("ramp_per_s", up as f64 / ramped.wall_s_since(&before), 1)
        .and(levels.growth(&levels_before, connections))
        .figure(
            "held_pss_per_conn_kb",
            held_growth / 1024.0 / connections as f64,
            2,
        )
        .figure("idle_cpu_fraction", idle_cpu, 5)
        .and(pushes)
        .and(ramped.since(&before, connections as f64)))
}

/// Logs in `--ramp` at a time until `count` sessions are in IDLE.
async fn ramp_up(load: &Load, count: usize, users: usize) -> Vec<Idling> {
    let sessions: Rc<RefCell<Vec<Idling>>> = Rc::default();
    in_parallel(load.options.number("ramp", 8), |_| {
        let (load, sessions) = (load.clone(), sessions.clone());
        async move {
            while let Some(number) = load.next(count) {
                let user = number % users;
                match imap::idling_session(&load, &load.user(user)).await {
                    Ok(mut session) => {
                        session.compact();
                        sessions.borrow_mut().push((user, session));
                    }
                    Err(error) => load.failed(&error),
                }
                if load.tally.errors.get() > ERRORS_MAX {
                    break;
                }
            }
        }
    })
    .await;
    sessions.take()
}

/// Cores the server uses while nothing happens.
async fn idle_cpu_fraction(hold: Duration) -> f64 {
    let before = Snapshot::take();
    tokio::time::sleep(hold).await;
    let after = Snapshot::take();
    after.cpu_s_since(&before) / after.wall_s_since(&before)
}

/// The moments of the push part, by account. A push may be read before the reply that acknowledges
/// the message, so both are noted and compared at the end.
#[derive(Default)]
struct Pushes {
    begun: RefCell<HashSet<usize>>,
    acked: RefCell<HashMap<usize, Instant>>,
    heard: RefCell<Vec<(usize, Instant)>>,
}

impl Pushes {
    fn latencies(&self) -> Latencies {
        let mut latencies = Latencies::default();
        let acked = self.acked.borrow();
        for (user, heard) in self.heard.borrow().iter() {
            if let Some(acked) = acked.get(user) {
                latencies.add(heard.saturating_duration_since(*acked));
            }
        }
        latencies
    }
}

/// One message to each of the first `accounts` accounts; every session of theirs must hear of it.
async fn push(load: &Load, sessions: Vec<Idling>, accounts: usize) -> Record {
    let pushes = Rc::new(Pushes::default());
    let (listening, silent): (Vec<_>, Vec<_>) =
        sessions.into_iter().partition(|(user, _)| *user < accounts);
    let expected = listening.len();
    let listeners: Vec<_> = listening
        .into_iter()
        .map(|(user, session)| tokio::task::spawn_local(listen(pushes.clone(), user, session)))
        .collect();
    let errors = deliver(load, &pushes, accounts).await;
    let until = Instant::now() + PUSH_DRAIN;
    while pushes.heard.borrow().len() < expected && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let latencies = pushes.latencies();
    let record = Record::default()
        .count("push_expected", expected)
        .count("pushed", latencies.len())
        .count("push_errors", errors)
        .and(latencies.record("push"));
    listeners.iter().for_each(tokio::task::JoinHandle::abort);
    drop(silent);
    record
}

/// Waits for the session's push. The session is given back so that it stays open to the end.
async fn listen(pushes: Rc<Pushes>, user: usize, mut session: Connection) -> Option<Connection> {
    let until = tokio::time::Instant::now() + PUSH_PATIENCE;
    loop {
        let heard = tokio::time::timeout_at(until, imap::wait_for_exists(&mut session)).await;
        if !matches!(heard, Ok(Ok(()))) {
            return None;
        }
        // What is heard before is mail of an earlier run.
        if pushes.begun.borrow().contains(&user) {
            pushes.heard.borrow_mut().push((user, Instant::now()));
            return Some(session);
        }
    }
}

/// Sends the messages; returns how many failed.
async fn deliver(load: &Load, pushes: &Pushes, accounts: usize) -> usize {
    if accounts == 0 {
        return 0;
    }
    let mut sender = match smtp::session(load, None).await {
        Ok(sender) => sender,
        Err(error) => {
            eprintln!("push: {error}");
            return accounts;
        }
    };
    let corpus = Corpus::new(4096, 4, 9);
    let mut data = Vec::new();
    let mut errors = 0;
    for user in 0..accounts {
        let to = load.user(user);
        data.clear();
        corpus.write_data(user, OUTSIDE_SENDER, &to, &mut data);
        pushes.begun.borrow_mut().insert(user);
        if let Err(error) = smtp::send(&mut sender, OUTSIDE_SENDER, &to, &data).await {
            eprintln!("push: {error}");
            errors += 1;
        }
        pushes.acked.borrow_mut().insert(user, Instant::now());
        tokio::time::sleep(PUSH_GAP).await;
    }
    errors
}
