//! Submission: accounts log in and send to other domains; the server relays to a sink that runs in
//! this process. `relayed_per_s` ends with the last message at the sink.

use std::cell::Cell;
use std::io::Result;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use crate::accounting::Snapshot;
use crate::connection::{Connection, Reads};
use crate::corpus::Corpus;
use crate::load::Load;
use crate::record::Record;
use crate::smtp::{self, Envelope};

const EHLO_REPLY: &[u8] =
    b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE 99999999\r\n250 SMTPUTF8\r\n";
const DKIM_FIELD: &[u8] = b"DKIM-Signature:";

/// What the sink has seen.
#[derive(Default)]
struct Sunk {
    messages: Cell<usize>,
    signatures: Cell<usize>,
    connections: Cell<usize>,
}

pub(super) async fn run(load: Load) -> Result<Record> {
    let options = load.options.clone();
    let (count, users) = (options.number("count", 1000), options.number("users", 16));
    let corpus = Rc::new(Corpus::new(options.number("size", 4096), 64, 2));
    let sunk = Rc::new(Sunk::default());
    let listener = TcpListener::bind(options.text("sink", "127.0.0.1:2525")).await?;
    tokio::task::spawn_local(serve_sink(listener, sunk.clone()));
    let before = Snapshot::take();
    let start = Instant::now();
    let addresses = load.clone();
    let domains = options.number("rcpt-domains", 1);
    let envelope = move |message: usize, worker: usize| {
        let user = addresses.user(worker % users);
        let to = format!("r{}@sink{}.test", message % 50, message % domains);
        Envelope {
            from: user.clone(),
            to,
            login: Some(user),
        }
    };
    smtp::send_many(&load, &corpus, count, envelope).await;
    let acked_s = start.elapsed().as_secs_f64();
    let ok = count - load.tally.errors.get().min(count);
    let until = Instant::now() + Duration::from_secs(options.number("drain-limit", 40) as u64);
    while sunk.messages.get() < ok && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let relayed_s = start.elapsed().as_secs_f64();
    let cost = super::server_cost(&before, count);
    Ok(Record::default()
        .count("ok", ok)
        .count("errors", load.tally.errors.get())
        .count("size", corpus.size)
        .count("sunk", sunk.messages.get())
        .count("dkim", sunk.signatures.get())
        .count("sink_conns", sunk.connections.get())
        .figure("acked_per_s", ok as f64 / acked_s, 1)
        .figure("relayed_per_s", sunk.messages.get() as f64 / relayed_s, 1)
        .count("connections", load.tally.connections.get())
        .and(load.tally.latencies.borrow().record("reply"))
        .and(cost))
}

async fn serve_sink(listener: TcpListener, sunk: Rc<Sunk>) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        add_one(&sunk.connections);
        let sunk = sunk.clone();
        tokio::task::spawn_local(async move { serve_session(stream, &sunk).await });
    }
}

async fn serve_session(stream: tokio::net::TcpStream, sunk: &Sunk) -> Result<()> {
    let mut connection = Connection::accepted(stream)?;
    connection.set_reads(Reads::Bulk);
    connection.write(b"220 sink ESMTP\r\n").await?;
    loop {
        let line = connection.line().await?;
        let verb = String::from_utf8_lossy(connection.text(line)).to_ascii_uppercase();
        if verb.starts_with("EHLO") {
            connection.write(EHLO_REPLY).await?;
        } else if verb.starts_with("DATA") {
            connection.write(b"354 go\r\n").await?;
            take_message(&mut connection, sunk).await?;
            connection.write(b"250 ok\r\n").await?;
        } else if verb.starts_with("QUIT") {
            return connection.write(b"221 bye\r\n").await;
        } else {
            connection.write(b"250 ok\r\n").await?;
        }
    }
}

async fn take_message(connection: &mut Connection, sunk: &Sunk) -> Result<()> {
    let mut in_header = true;
    loop {
        let line = connection.line().await?;
        let line = connection.text(line);
        if line == b"." {
            add_one(&sunk.messages);
            return Ok(());
        }
        in_header &= !line.is_empty();
        let field = line.get(..DKIM_FIELD.len());
        if in_header && field.is_some_and(|field| field.eq_ignore_ascii_case(DKIM_FIELD)) {
            add_one(&sunk.signatures);
        }
    }
}

fn add_one(counter: &Cell<usize>) {
    counter.set(counter.get() + 1);
}
