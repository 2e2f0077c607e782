//! Submission: accounts log in and send to other domains; the server relays to a sink that runs in
//! this process. `relayed_per_s` ends with the last message at the sink; `relay_…_ms` is from the MAIL
//! command of the submitter until the sink has the whole message.
//!
//! With `--dead N`, before anything is measured N messages are submitted for dead0.test, whose server
//! takes connections and never says a word.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::Result;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use crate::accounting::Snapshot;
use crate::connection::{Connection, Reads};
use crate::corpus::Corpus;
use crate::latency::Latencies;
use crate::load::Load;
use crate::record::Record;
use crate::smtp::{self, Envelope};

const EHLO_REPLY: &[u8] =
    b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE 99999999\r\n250 SMTPUTF8\r\n";
const DKIM_FIELD: &[u8] = b"DKIM-Signature:";
/// What the recipients' names begin with; the number of the message follows.
const RECIPIENT: &str = "r";
/// From the last message for the dead destination to the first that is measured.
const AFTER_DEAD: Duration = Duration::from_secs(3);

/// What the sink has seen.
#[derive(Default)]
struct Sunk {
    messages: Cell<usize>,
    signatures: Cell<usize>,
    connections: Cell<usize>,
    /// When the messages that are under way were begun, by number.
    begun: RefCell<HashMap<usize, Instant>>,
    latencies: RefCell<Latencies>,
}

impl Sunk {
    /// Message `number` is complete.
    fn arrived(&self, number: Option<usize>) {
        add_one(&self.messages);
        if let Some(begun) = number.and_then(|number| self.begun.borrow_mut().remove(&number)) {
            self.latencies.borrow_mut().add_since(begun);
        }
    }
}

pub(super) async fn run(load: Load) -> Result<Record> {
    let options = load.options.clone();
    let (count, users) = (options.number("count", 1000), options.number("users", 16));
    let corpus = Rc::new(Corpus::new(options.number("size", 4096), 64, 2));
    let sunk = Rc::new(Sunk::default());
    let listener = TcpListener::bind(options.text("sink", "127.0.0.1:2525")).await?;
    tokio::task::spawn_local(serve_sink(listener, sunk.clone()));
    let held = Rc::new(Cell::new(0));
    let dead = options.number("dead", 0);
    if dead > 0 {
        let hole = TcpListener::bind(options.text("hole", "127.0.0.1:2526")).await?;
        tokio::task::spawn_local(hold_silently(hole, held.clone()));
        fill_dead(&load, &corpus, dead).await;
    }
    let before = Snapshot::take();
    let start = Instant::now();
    let addresses = load.clone();
    let domains = options.number("rcpt-domains", 1);
    let begun = sunk.clone();
    let envelope = move |message: usize, worker: usize| {
        let user = addresses.user(worker % users);
        let to = format!("{RECIPIENT}{message}@sink{}.test", message % domains);
        begun.begun.borrow_mut().insert(message, Instant::now());
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
        .count("dead", dead)
        .count("dead_conns", held.get())
        .figure("acked_per_s", ok as f64 / acked_s, 1)
        .figure("relayed_per_s", sunk.messages.get() as f64 / relayed_s, 1)
        .count("connections", load.tally.connections.get())
        .and(load.tally.latencies.borrow().record("reply"))
        .and(sunk.latencies.borrow().record("relay"))
        .and(cost))
}

/// Submits `dead` messages for a destination that never takes them; they count for nothing.
async fn fill_dead(load: &Load, corpus: &Rc<Corpus>, dead: usize) {
    let filling = Load {
        tally: Rc::default(),
        ..load.clone()
    };
    let (addresses, users) = (load.clone(), load.options.number("users", 16));
    let envelope = move |message: usize, worker: usize| {
        let user = addresses.user(worker % users);
        Envelope {
            from: user.clone(),
            to: format!("{RECIPIENT}{message}@dead0.test"),
            login: Some(user),
        }
    };
    smtp::send_many(&filling, corpus, dead, envelope).await;
    tokio::time::sleep(AFTER_DEAD).await;
}

/// Takes connections, says nothing, lets nobody go.
async fn hold_silently(listener: TcpListener, held: Rc<Cell<usize>>) -> Result<()> {
    let mut connections = Vec::new();
    loop {
        connections.push(listener.accept().await?);
        add_one(&held);
    }
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
    let mut number = None;
    loop {
        let line = connection.line().await?;
        let verb = String::from_utf8_lossy(connection.text(line)).to_ascii_uppercase();
        if verb.starts_with("EHLO") {
            connection.write(EHLO_REPLY).await?;
        } else if verb.starts_with("DATA") {
            connection.write(b"354 go\r\n").await?;
            take_message(&mut connection, sunk).await?;
            sunk.arrived(number.take());
            connection.write(b"250 ok\r\n").await?;
        } else if verb.starts_with("QUIT") {
            return connection.write(b"221 bye\r\n").await;
        } else {
            number = message_number(&verb).or(number);
            connection.write(b"250 ok\r\n").await?;
        }
    }
}

/// The number in `RCPT TO:<rNUMBER@…>`, in capitals.
fn message_number(line: &str) -> Option<usize> {
    let recipient = line.strip_prefix("RCPT TO:<")?;
    let (local_part, _) = recipient.split_once('@')?;
    local_part.get(RECIPIENT.len()..)?.parse().ok()
}

async fn take_message(connection: &mut Connection, sunk: &Sunk) -> Result<()> {
    let mut in_header = true;
    loop {
        let line = connection.line().await?;
        let line = connection.text(line);
        if line == b"." {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_name_their_message() {
        assert_eq!(
            message_number("RCPT TO:<R17@SINK0.TEST> NOTIFY=NEVER"),
            Some(17)
        );
        assert_eq!(message_number("MAIL FROM:<U0001@BENCH.TEST>"), None);
    }
}
