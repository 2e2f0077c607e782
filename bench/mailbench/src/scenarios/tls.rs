//! TLS handshakes on the IMAPS port until the server's greeting; full ones, or resumed with
//! `--resume`. `hs_per_server_core_s` is how many one core of the server could do per second.

use std::io::Result;
use std::time::Instant;

use crate::accounting::Snapshot;
use crate::connection::Connection;
use crate::load::{Load, in_parallel};
use crate::record::Record;

pub(super) async fn run(load: Load) -> Result<Record> {
    let count = load.options.number("count", 2000);
    let before = Snapshot::take();
    let start = Instant::now();
    in_parallel(load.options.number("conns", 4), |_| {
        let load = load.clone();
        async move {
            while load.next(count).is_some() {
                if let Err(error) = greet(&load).await {
                    load.failed(&error);
                }
            }
        }
    })
    .await;
    let seconds = start.elapsed().as_secs_f64();
    let server_cpu_s = Snapshot::take().cpu_s_since(&before);
    let cost = super::server_cost(&before, count);
    let tally = &load.tally;
    Ok(Record::default()
        .count("errors", tally.errors.get())
        .figure("hs_per_s", count as f64 / seconds, 1)
        .figure(
            "hs_per_server_core_s",
            count as f64 / server_cpu_s.max(1e-9),
            1,
        )
        .count("resumed", tally.resumed.get())
        .and(tally.latencies.borrow().record("hs"))
        .and(cost))
}

async fn greet(load: &Load) -> Result<()> {
    let start = Instant::now();
    let mut connection = Connection::open(&load.options.text("imap", "127.0.0.1:993")).await?;
    connection.start_tls(&load.tls).await?;
    connection.line().await?;
    load.note_resumption(&connection);
    load.tally.latencies.borrow_mut().add_since(start);
    Ok(())
}
