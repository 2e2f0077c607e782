//! One IMAP command, `--reps` times on one connection (or, `--fresh`, each on its own, which adds
//! the login to the CPU). Counts untagged lines, bytes and the hits of SEARCH.

use std::io::Result;
use std::time::{Duration, Instant};

use crate::accounting::Snapshot;
use crate::connection::{Connection, Reads};
use crate::corpus::NEEDLE;
use crate::imap;
use crate::load::Load;
use crate::record::Record;

/// What the last repetition brought.
#[derive(Default)]
struct Answer {
    lines: usize,
    hits: usize,
}

pub(super) async fn run(load: Load) -> Result<Record> {
    let options = load.options.clone();
    let user = options.text("user", "big@bench.test");
    let command = options
        .text("cmd", "SELECT INBOX")
        .replace("NEEDLE", NEEDLE);
    let repetitions = options.number("reps", 1).max(1);
    let fresh = options.flag("fresh");
    let mut session = bulk_session(&load, &user).await?;
    if !options.flag("no-select") {
        let select = format!("SELECT {}", options.text("mbox", "INBOX"));
        session.imap_command("E", &select).await?;
    }
    let before = Snapshot::take();
    let start = Instant::now();
    let mut received = 0;
    let mut first = Duration::ZERO;
    let mut answer = Answer::default();
    let mut received_before = if fresh { 0 } else { session.received_bytes };
    for repetition in 0..repetitions {
        if fresh && repetition > 0 {
            received += session.received_bytes - received_before;
            imap::logout(session).await;
            session = bulk_session(&load, &user).await?;
            received_before = 0;
        }
        let (took, got) = ask(&mut session, &command).await?;
        if repetition == 0 {
            first = took;
        }
        answer = got;
        load.tally.latencies.borrow_mut().add(took);
    }
    let seconds = start.elapsed().as_secs_f64();
    received += session.received_bytes - received_before;
    let cost = super::server_cost(&before, repetitions);
    Ok(Record::default()
        .text("cmd", command)
        .figure("first_ms", first.as_secs_f64() * 1e3, 2)
        .count("lines", answer.lines)
        .count("hits", answer.hits)
        .figure("rx_mb_per_s", received as f64 / 1e6 / seconds, 2)
        .count("rx_bytes_per_rep", received / repetitions as u64)
        .and(load.tally.latencies.borrow().record("cmd"))
        .and(cost))
}

async fn bulk_session(load: &Load, user: &str) -> Result<Connection> {
    let mut session = imap::session(load, user).await?;
    session.set_reads(Reads::Bulk);
    Ok(session)
}

async fn ask(session: &mut Connection, command: &str) -> Result<(Duration, Answer)> {
    let mut answer = Answer::default();
    let start = Instant::now();
    session
        .write(format!("Q1 {command}\r\n").as_bytes())
        .await?;
    let count = |line: &[u8]| {
        answer.lines += 1;
        if line.starts_with(b"* SEARCH") {
            answer.hits += line.iter().filter(|&&byte| byte == b' ').count() - 1;
        } else if line.starts_with(b"* ESEARCH") {
            answer.hits += 1;
        }
    };
    session.imap_response("Q1", count).await?;
    Ok((start.elapsed(), answer))
}
