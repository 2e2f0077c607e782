//! The SMTP client: a session that is ready for MAIL, one message, and workers that send many.

use std::io::Result;
use std::rc::Rc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::connection::Connection;
use crate::corpus::Corpus;
use crate::load::{Load, in_parallel};

/// Reverse-path of mail from outside.
pub(crate) const OUTSIDE_SENDER: &str = "s@src.test";
const EHLO: &[u8] = b"EHLO client.bench.test\r\n";
/// A run with more failures than this makes no sense.
const ERRORS_MAX: usize = 200;

/// Who writes to whom, and who logs in for it.
pub(crate) struct Envelope {
    /// Reverse-path.
    pub(crate) from: String,
    /// The recipient.
    pub(crate) to: String,
    /// The account for AUTH, if there is to be one.
    pub(crate) login: Option<String>,
}

/// Connects, greets, starts TLS as `--tls` says and logs in.
pub(crate) async fn session(load: &Load, login: Option<&str>) -> Result<Connection> {
    let mut connection = Connection::open(&load.options.text("smtp", "127.0.0.1:25")).await?;
    let mode = load.options.text("tls", "none");
    if mode == "implicit" {
        connection.start_tls(&load.tls).await?;
    }
    connection.smtp_expect(220).await?;
    connection.write(EHLO).await?;
    connection.smtp_expect(250).await?;
    if mode == "starttls" {
        connection.write(b"STARTTLS\r\n").await?;
        connection.smtp_expect(220).await?;
        connection.start_tls(&load.tls).await?;
        connection.write(EHLO).await?;
        connection.smtp_expect(250).await?;
    }
    if let Some(user) = login {
        let response = STANDARD.encode(format!("\0{user}\0{}", load.password()));
        connection
            .write(format!("AUTH PLAIN {response}\r\n").as_bytes())
            .await?;
        connection.smtp_expect(235).await?;
    }
    load.connected(&connection);
    Ok(connection)
}

/// One transaction; `data` ends with the line that ends DATA. Returns the time from the first byte
/// of the message to the reply that acknowledges it.
pub(crate) async fn send(
    connection: &mut Connection,
    from: &str,
    to: &str,
    data: &[u8],
) -> Result<Duration> {
    let envelope = format!("MAIL FROM:<{from}>\r\nRCPT TO:<{to}>\r\nDATA\r\n");
    connection.write(envelope.as_bytes()).await?;
    connection.smtp_expect(250).await?;
    connection.smtp_expect(250).await?;
    connection.smtp_expect(354).await?;
    let start = Instant::now();
    connection.write(data).await?;
    connection.smtp_expect(250).await?;
    Ok(start.elapsed())
}

/// `--conns` workers that send `count` messages in all, `--per-conn` on each connection.
/// `envelope(message, worker)` says from whom to whom.
pub(crate) async fn send_many(
    load: &Load,
    corpus: &Rc<Corpus>,
    count: usize,
    envelope: impl Fn(usize, usize) -> Envelope + 'static,
) {
    let envelope = Rc::new(envelope);
    in_parallel(load.options.number("conns", 1), |worker| {
        let (load, corpus, envelope) = (load.clone(), corpus.clone(), envelope.clone());
        async move { sender(&load, &corpus, count, |message| envelope(message, worker)).await }
    })
    .await;
}

async fn sender(load: &Load, corpus: &Corpus, count: usize, envelope: impl Fn(usize) -> Envelope) {
    let per_connection = load.options.number("per-conn", 0);
    let mut connection = None;
    let mut sent_on_connection = 0;
    let mut data = Vec::with_capacity(corpus.size + 2048);
    while let Some(message) = load.next(count) {
        let envelope = envelope(message);
        data.clear();
        corpus.write_data(message, &envelope.from, &envelope.to, &mut data);
        if connection.is_none() {
            sent_on_connection = 0;
        }
        match send_on(load, connection.take(), &envelope, &data).await {
            Ok(usable) => {
                sent_on_connection += 1;
                if per_connection > 0 && sent_on_connection >= per_connection {
                    quit(usable).await;
                } else {
                    connection = Some(usable);
                }
            }
            Err(error) => {
                load.failed(&error);
                if load.tally.errors.get() > ERRORS_MAX {
                    break;
                }
            }
        }
    }
    if let Some(connection) = connection {
        quit(connection).await;
    }
}

/// Sends on the connection that is there or on a new one; gives it back if it can be used again.
async fn send_on(
    load: &Load,
    connection: Option<Connection>,
    envelope: &Envelope,
    data: &[u8],
) -> Result<Connection> {
    let mut connection = match connection {
        Some(connection) => connection,
        None => session(load, envelope.login.as_deref()).await?,
    };
    let took = send(&mut connection, &envelope.from, &envelope.to, data).await?;
    load.tally.latencies.borrow_mut().add(took);
    Ok(connection)
}

/// The mail is acknowledged; how the session ends does not matter any more.
async fn quit(mut connection: Connection) {
    if connection.write(b"QUIT\r\n").await.is_ok() {
        let _ = connection.smtp_reply().await;
    }
}
