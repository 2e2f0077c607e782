//! Full download by POP3: each session logs in over TLS and RETRs its first `--per-conn` messages,
//! deleting none.

use std::io::Result;
use std::time::Instant;

use crate::accounting::Snapshot;
use crate::connection::{Connection, Reads};
use crate::load::{Load, in_parallel};
use crate::record::Record;

pub(super) async fn run(load: Load) -> Result<Record> {
    let per_session = load.options.number("per-conn", 200);
    let before = Snapshot::take();
    let start = Instant::now();
    in_parallel(load.options.number("conns", 1), |worker| {
        let load = load.clone();
        let given = load.options.given("user").map(str::to_owned);
        let user = given.unwrap_or_else(|| load.user(worker));
        async move {
            if let Err(error) = download(&load, &user, per_session).await {
                load.failed(&error);
            }
        }
    })
    .await;
    let seconds = start.elapsed().as_secs_f64();
    let tally = &load.tally;
    let messages = tally.started.get();
    let cost = super::server_cost(&before, messages);
    Ok(Record::default()
        .count("errors", tally.errors.get())
        .count("msgs", messages)
        .figure("retr_per_s", messages as f64 / seconds, 1)
        .figure(
            "mb_per_s",
            tally.received_bytes.get() as f64 / 1e6 / seconds,
            2,
        )
        .and(tally.latencies.borrow().record("retr"))
        .and(cost))
}

async fn download(load: &Load, user: &str, messages: usize) -> Result<()> {
    let mut session = Connection::open(&load.options.text("pop3", "127.0.0.1:995")).await?;
    if load.options.text("imaptls", "implicit") == "implicit" {
        session.start_tls(&load.tls).await?;
    }
    session.set_reads(Reads::Bulk);
    session.pop3_ok().await?;
    command(&mut session, &format!("USER {user}")).await?;
    command(&mut session, &format!("PASS {}", load.password())).await?;
    let tally = &load.tally;
    for number in 1..=messages {
        let start = Instant::now();
        command(&mut session, &format!("RETR {number}")).await?;
        loop {
            let line = session.line().await?;
            if session.text(line) == b"." {
                break;
            }
        }
        tally.latencies.borrow_mut().add_since(start);
        tally.started.set(tally.started.get() + 1);
    }
    tally
        .received_bytes
        .set(tally.received_bytes.get() + session.received_bytes);
    command(&mut session, "QUIT").await
}

async fn command(session: &mut Connection, command: &str) -> Result<()> {
    session.write(format!("{command}\r\n").as_bytes()).await?;
    session.pop3_ok().await
}
