//! One message at a time: how long after its 250 does a client see it, one that asks with NOOP every
//! millisecond (`poll_visible`) and one that waits in IDLE (`idle_push`).

use std::cell::Cell;
use std::io::Result;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::accounting::Snapshot;
use crate::connection::Connection;
use crate::corpus::Corpus;
use crate::latency::Latencies;
use crate::load::Load;
use crate::record::Record;
use crate::smtp::OUTSIDE_SENDER;
use crate::{imap, smtp};

/// How long the poller waits for one message.
const POLL_PATIENCE: Duration = Duration::from_secs(10);
/// How long after the 250 IDLE may take.
const PUSH_PATIENCE: Duration = Duration::from_secs(12);
/// Pause between two looks.
const TICK: Duration = Duration::from_millis(1);

/// When the idle session last heard of a message.
type LastPush = Rc<Cell<Option<Instant>>>;

pub(super) async fn run(load: Load) -> Result<Record> {
    let options = load.options.clone();
    let count = options.number("count", 50);
    let gap = Duration::from_millis(options.number("gap-ms", 60) as u64);
    let corpus = Corpus::new(options.number("size", 4096), 8, 3);
    let user = load.user(options.number("user", 3));
    let last_push = LastPush::default();
    let idle = imap::idling_session(&load, &user).await?;
    tokio::task::spawn_local(note_pushes(idle, last_push.clone()));
    let mut poller = imap::session(&load, &user).await?;
    poller.imap_command("a", "SELECT INBOX").await?;
    let mut sender = smtp::session(&load, None).await?;

    let (mut transactions, mut polls, mut pushes) = (
        Latencies::default(),
        Latencies::default(),
        Latencies::default(),
    );
    let mut timeouts = 0;
    let mut data = Vec::new();
    let before = Snapshot::take();
    for message in 0..count {
        data.clear();
        corpus.write_data(message, OUTSIDE_SENDER, &user, &mut data);
        last_push.set(None);
        let start = Instant::now();
        smtp::send(&mut sender, OUTSIDE_SENDER, &user, &data).await?;
        let acked = Instant::now();
        transactions.add(acked - start);
        if !options.flag("no-poll") {
            timeouts += usize::from(!poll_until_seen(&mut poller, acked).await?);
            polls.add_since(acked);
        }
        match wait_for_push(&last_push, acked).await {
            Some(pushed) => pushes.add(pushed.saturating_duration_since(acked)),
            None => timeouts += 1,
        }
        tokio::time::sleep(gap).await;
    }
    let cost = super::server_cost(&before, count);
    Ok(Record::default()
        .count("timeouts", timeouts)
        .and(transactions.record("smtp_txn"))
        .and(polls.record("poll_visible"))
        .and(pushes.record("idle_push"))
        .and(cost))
}

/// Whether the message was seen in time.
async fn poll_until_seen(poller: &mut Connection, acked: Instant) -> Result<bool> {
    loop {
        poller.write(b"N1 NOOP\r\n").await?;
        let mut seen = false;
        poller
            .imap_response("N1", |line| seen |= line.ends_with(b"EXISTS"))
            .await?;
        if seen || acked.elapsed() > POLL_PATIENCE {
            return Ok(seen);
        }
        tokio::time::sleep(TICK).await;
    }
}

async fn wait_for_push(last_push: &LastPush, acked: Instant) -> Option<Instant> {
    while last_push.get().is_none() && acked.elapsed() < PUSH_PATIENCE {
        tokio::time::sleep(TICK).await;
    }
    last_push.get()
}

async fn note_pushes(mut idle: Connection, last_push: LastPush) {
    while imap::wait_for_exists(&mut idle).await.is_ok() {
        last_push.set(Some(Instant::now()));
    }
}
