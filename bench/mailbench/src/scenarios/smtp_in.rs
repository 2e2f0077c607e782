//! Delivery from outside: `--conns` sessions send `--count` messages of `--size` bytes to `--users`
//! accounts; then STATUS is asked until every account has all of its own. `acked_per_s` ends with the
//! last 250, `visible_per_s` with the last message seen.

use std::io::Result;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::accounting::Snapshot;
use crate::connection::Connection;
use crate::corpus::Corpus;
use crate::load::Load;
use crate::record::Record;
use crate::smtp::{Envelope, OUTSIDE_SENDER};
use crate::{imap, smtp};

/// How long lost mail is waited for when there were errors: some of it will never come.
const DRAIN_AFTER_ERRORS: Duration = Duration::from_secs(15);

/// A session that asks how many messages an account has.
struct Watcher {
    session: Connection,
    messages_before: usize,
}

pub(super) async fn run(load: Load) -> Result<Record> {
    let options = load.options.clone();
    let (count, users) = (options.number("count", 1000), options.number("users", 16));
    let corpus = Rc::new(Corpus::new(options.number("size", 4096), 64, 1));
    let mailbox = mailbox(&load);
    let mut watchers = match options.flag("no-visible") {
        true => Vec::new(),
        false => watchers(&load, users, &mailbox).await?,
    };
    load.tally.connections.set(0);
    let before = Snapshot::take();
    let start = Instant::now();
    let addresses = load.clone();
    let envelope = move |message: usize, _| Envelope {
        from: OUTSIDE_SENDER.to_owned(),
        to: addresses.user(message % users),
        login: None,
    };
    smtp::send_many(&load, &corpus, count, envelope).await;
    let acked_s = start.elapsed().as_secs_f64();
    let at_ack = Snapshot::take();
    let missing = wait_until_visible(&load, &mut watchers, &mailbox, count).await?;
    let visible_s = if watchers.is_empty() {
        0.0
    } else {
        start.elapsed().as_secs_f64()
    };
    let cost = super::server_cost(&before, count);

    let tally = &load.tally;
    let errors = tally.errors.get();
    let ok = count - errors.min(count);
    let visible_per_s = if visible_s > 0.0 {
        ok as f64 / visible_s
    } else {
        0.0
    };
    let cpu_at_ack_us = at_ack.cpu_s_since(&before) * 1e6 / count as f64;
    Ok(Record::default()
        .count("ok", ok)
        .count("errors", errors)
        .count("missing", missing)
        .count("size", corpus.size)
        .figure("acked_s", acked_s, 3)
        .figure("acked_per_s", ok as f64 / acked_s, 1)
        .figure("visible_s", visible_s, 3)
        .figure("visible_per_s", visible_per_s, 1)
        .figure("cpu_at_ack_us_per_msg", cpu_at_ack_us, 1)
        .count("connections", tally.connections.get())
        .count("resumed", tally.resumed.get())
        .and(tally.latencies.borrow().record("reply"))
        .and(cost))
}

/// Where mail turns up; a spam filter may file the synthetic text as junk.
fn mailbox(load: &Load) -> String {
    let default = std::env::var("MB_VISMBOX").unwrap_or_else(|_| "INBOX".into());
    format!("\"{}\"", load.options.text("vismbox", &default))
}

async fn watchers(load: &Load, users: usize, mailbox: &str) -> Result<Vec<Watcher>> {
    let mut watchers = Vec::with_capacity(users);
    for user in 0..users {
        let mut session = imap::session(load, &load.user(user)).await?;
        let messages_before = imap::status(&mut session, mailbox).await?;
        watchers.push(Watcher {
            session,
            messages_before,
        });
    }
    Ok(watchers)
}

/// Polls each account until its share of the messages is there. Returns how many never came.
async fn wait_until_visible(
    load: &Load,
    watchers: &mut [Watcher],
    mailbox: &str,
    count: usize,
) -> Result<usize> {
    let pause = Duration::from_millis(load.options.number("poll-ms", 40) as u64);
    let patience = match load.tally.errors.get() {
        0 => Duration::from_secs(load.options.number("drain-limit", 120) as u64),
        _ => DRAIN_AFTER_ERRORS,
    };
    let until = Instant::now() + patience;
    let users = watchers.len();
    let mut missing = 0;
    for (user, watcher) in watchers.iter_mut().enumerate() {
        let share = count / users + usize::from(user < count % users);
        let wanted = watcher.messages_before + share;
        loop {
            let there = imap::status(&mut watcher.session, mailbox).await?;
            if there >= wanted {
                break;
            }
            if Instant::now() > until {
                missing += wanted - there;
                break;
            }
            tokio::time::sleep(pause).await;
        }
    }
    Ok(missing)
}
