//! IMAP logins: connect, TLS, LOGIN, LOGOUT. The latency is that until LOGIN's answer. With
//! `--resume` all connections but the first resume their TLS session.

use std::io::Result;
use std::time::Instant;

use crate::accounting::Snapshot;
use crate::imap;
use crate::load::{Load, in_parallel};
use crate::record::Record;

pub(super) async fn run(load: Load) -> Result<Record> {
    let count = load.options.number("count", 500);
    let users = load.options.number("users", 16);
    let before = Snapshot::take();
    let start = Instant::now();
    in_parallel(load.options.number("conns", 4), |_| {
        log_in_often(load.clone(), count, users)
    })
    .await;
    let seconds = start.elapsed().as_secs_f64();
    let cost = super::server_cost(&before, count);
    let tally = &load.tally;
    Ok(Record::default()
        .count("errors", tally.errors.get())
        .figure("logins_per_s", count as f64 / seconds, 1)
        .count("resumed", tally.resumed.get())
        .and(tally.latencies.borrow().record("login"))
        .and(cost))
}

async fn log_in_often(load: Load, count: usize, users: usize) {
    while let Some(number) = load.next(count) {
        let start = Instant::now();
        match imap::session(&load, &load.user(number % users)).await {
            Ok(session) => {
                load.tally.latencies.borrow_mut().add_since(start);
                imap::logout(session).await;
            }
            Err(error) => load.failed(&error),
        }
    }
}
