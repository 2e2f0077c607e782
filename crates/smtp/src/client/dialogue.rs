//! One conversation with one server: greeting, EHLO, STARTTLS, the envelope, the message.
//! Gives an outcome per recipient, or why this host could not be used.

use super::ClientSettings;
use super::dots::DotStuffer;
use super::idn::on_the_wire;
use super::reply::{self, Reply, ReplyError};
use formats::address::Address;
use formats::message::Facts;
use platform::net::{Deadline, Stream, StreamError};
use platform::segments::{BodyRef, Segments};
use platform::tls::{ClientTls, Demand};
use queue::relay::{Attempt, Cause, Notices, Outcome};
use queue::{Notify, Return};
use std::time::Duration;

/// Part of the text of a failure that a later attempt may answer by going in clear.
pub(super) const HANDSHAKE_FAILED: &str = "4.7.5 the TLS handshake failed";
/// Bytes read from storage at once.
const CHUNK_BYTES: u64 = 64 * 1024;

/// How long a reply of a server that closed while we sent may take.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How long each step may take (RFC 5321 §4.5.3.2).
#[derive(Debug, Clone, Copy)]
pub struct ClientTimes {
    /// Until connected.
    pub connect: Duration,
    /// Greeting, EHLO, MAIL, RCPT, STARTTLS.
    pub command: Duration,
    /// Until the go-ahead for DATA.
    pub data: Duration,
    /// Sending a chunk of the message.
    pub chunk: Duration,
    /// Until the reply to the final dot.
    pub end: Duration,
}

impl Default for ClientTimes {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            command: Duration::from_secs(5 * 60),
            data: Duration::from_secs(2 * 60),
            chunk: Duration::from_secs(3 * 60),
            end: Duration::from_secs(10 * 60),
        }
    }
}

/// Whether TLS is tried.
pub(super) enum Security<'a> {
    /// Where the server offers it.
    Opportunistic {
        /// With this configuration.
        tls: &'a ClientTls,
    },
    /// Not at all.
    Clear,
}

/// Why a host could not be used.
#[derive(Debug)]
pub(super) enum Failure {
    /// Another host, or the same one later, may do.
    TryNextHost(String),
    /// No host can take this message.
    Permanent(String),
}

/// How far a message went.
enum Sent {
    /// To its end; the reply is still to come.
    Whole,
    /// The server said no on the way.
    Refused(Reply),
}

/// What the server offers in EHLO.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Offers {
    starttls: bool,
    eight_bit: bool,
    utf8: bool,
    dsn: bool,
    pipelining: bool,
    /// 0: no limit told.
    size_max: u64,
    size: bool,
}

/// What the message needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Needs {
    eight_bit: bool,
    utf8: bool,
    bytes: u64,
}

pub(super) struct Dialogue<'a> {
    stream: Stream,
    host: &'a str,
    settings: &'a ClientSettings,
    offers: Offers,
}

impl<'a> Dialogue<'a> {
    pub(super) fn new(stream: Stream, host: &'a str, settings: &'a ClientSettings) -> Self {
        Self {
            stream,
            host,
            settings,
            offers: Offers::default(),
        }
    }

    pub(super) async fn run(
        mut self,
        attempt: &Attempt,
        segments: &Segments,
        security: Security<'_>,
    ) -> Result<Vec<Outcome>, Failure> {
        let needs = needs(attempt, segments).map_err(|error| {
            Failure::TryNextHost(format!("4.3.0 reading the message failed: {error}"))
        })?;
        self.greet(security).await?;
        check_offers(self.offers, needs, self.host)?;
        let outcomes = self.transact(attempt, segments, needs).await;
        // A courtesy; the outcome is known by now.
        let deadline = Deadline::after(Duration::from_secs(2));
        self.stream.write(b"QUIT\r\n");
        let _ = self.stream.flush(deadline).await;
        outcomes
    }

    async fn greet(&mut self, security: Security<'_>) -> Result<(), Failure> {
        let greeting = self.read(self.settings.times.command).await?;
        self.positive(&greeting)?;
        self.hello().await?;
        let Security::Opportunistic { tls } = security else {
            return Ok(());
        };
        if !self.offers.starttls {
            return Ok(());
        }
        let reply = self
            .command("STARTTLS", self.settings.times.command)
            .await?;
        if reply.code != 220 {
            return Err(self.later(&format!("{HANDSHAKE_FAILED}: {}", reply.to_text())));
        }
        let deadline = Deadline::after(self.settings.times.connect);
        let demand = Demand::opportunistic(self.host);
        if let Err(error) = self.stream.start_tls_client(tls, &demand, deadline).await {
            return Err(self.later(&format!("{HANDSHAKE_FAILED}: {error}")));
        }
        self.hello().await
    }

    async fn hello(&mut self) -> Result<(), Failure> {
        let ehlo = format!("EHLO {}", self.settings.host);
        let reply = self.command(&ehlo, self.settings.times.command).await?;
        if reply.is_positive() {
            self.offers = offers(&reply);
            return Ok(());
        }
        // RFC 5321 §3.2: a server that knows no EHLO is greeted with HELO.
        let helo = format!("HELO {}", self.settings.host);
        let reply = self.command(&helo, self.settings.times.command).await?;
        self.offers = Offers::default();
        self.positive(&reply)
    }

    async fn transact(
        &mut self,
        attempt: &Attempt,
        segments: &Segments,
        needs: Needs,
    ) -> Result<Vec<Outcome>, Failure> {
        let mail = mail_command(attempt, self.offers, needs);
        let reply = self.command(&mail, self.settings.times.command).await?;
        if !reply.is_positive() {
            return Ok(vec![self.refused(&reply); attempt.recipients.len()]);
        }
        let replies = self.recipients(attempt).await?;
        if !replies.iter().any(Reply::is_positive) {
            return Ok(replies.iter().map(|reply| self.refused(reply)).collect());
        }
        let go_ahead = self.command("DATA", self.settings.times.data).await?;
        let outcome = if go_ahead.code == 354 {
            let end = match self.send_message(&attempt.body, segments).await? {
                Sent::Whole => self.read(self.settings.times.end).await?,
                Sent::Refused(reply) => reply,
            };
            self.taken(&end)
        } else {
            // Nothing was sent, so nothing was taken, even where a peer out of step says 250.
            self.refused(&go_ahead)
        };
        let each = |reply: &Reply| {
            if reply.is_positive() {
                outcome.clone()
            } else {
                self.refused(reply)
            }
        };
        Ok(replies.iter().map(each).collect())
    }

    async fn recipients(&mut self, attempt: &Attempt) -> Result<Vec<Reply>, Failure> {
        let mut replies = Vec::with_capacity(attempt.recipients.len());
        let commands = attempt.recipients.iter().map(|waiting| {
            rcpt_command(
                &waiting.address,
                waiting.notify,
                waiting.original.as_deref(),
                self.offers,
            )
        });
        let commands: Vec<String> = commands.collect();
        if self.offers.pipelining {
            for command in &commands {
                self.stream.write(command.as_bytes());
                self.stream.write(b"\r\n");
            }
            for _ in &commands {
                replies.push(self.read(self.settings.times.command).await?);
            }
            return Ok(replies);
        }
        for command in &commands {
            replies.push(self.command(command, self.settings.times.command).await?);
        }
        Ok(replies)
    }

    async fn send_message(&mut self, body: &BodyRef, segments: &Segments) -> Result<Sent, Failure> {
        let size = u64::try_from(body.body_bytes).unwrap_or(0);
        let mut stuffer = DotStuffer::default();
        let mut out = Vec::new();
        let mut at = 0;
        while at < size {
            let range = at..size.min(at + CHUNK_BYTES);
            let chunk = segments.read_body(body, range.clone()).map_err(|error| {
                // Closing without the final dot makes the server forget what it has.
                self.later(&format!("4.3.0 reading the message failed: {error}"))
            })?;
            let chunk = if at == 0 {
                without_return_path(&chunk)
            } else {
                &chunk[..]
            };
            out.clear();
            stuffer.push(chunk, &mut out);
            let deadline = Deadline::after(self.settings.times.chunk);
            if let Err(error) = self.stream.send(&out, deadline).await {
                return self.last_words(&error).await;
            }
            at = range.end;
        }
        out.clear();
        stuffer.finish(&mut out);
        self.stream.write(&out);
        Ok(Sent::Whole)
    }

    /// A server may refuse a message before its end and close; what it said then counts, so that
    /// a message that is too large comes back at once and not after days.
    async fn last_words(&mut self, error: &StreamError) -> Result<Sent, Failure> {
        match reply::read(&mut self.stream, Deadline::after(LAST_WORDS)).await {
            Ok(reply) if reply.is_permanent() => Ok(Sent::Refused(reply)),
            _ => Err(self.lost(error)),
        }
    }

    async fn command(&mut self, line: &str, time: Duration) -> Result<Reply, Failure> {
        self.stream.write(line.as_bytes());
        self.stream.write(b"\r\n");
        self.read(time).await
    }

    async fn read(&mut self, time: Duration) -> Result<Reply, Failure> {
        let deadline = Deadline::after(time);
        self.stream
            .flush(deadline)
            .await
            .map_err(|error| self.lost(&error))?;
        match reply::read(&mut self.stream, deadline).await {
            Ok(reply) if reply.code == 421 => Err(self.later(&reply.to_text())),
            Ok(reply) => Ok(reply),
            Err(error @ (ReplyError::Stream(_) | ReplyError::NotSmtp)) => {
                Err(self.later(&format!("4.4.2 {error}")))
            }
        }
    }

    fn positive(&self, reply: &Reply) -> Result<(), Failure> {
        if reply.is_positive() {
            return Ok(());
        }
        // RFC 7504: 521 and 554 in the greeting mean that this host takes no mail; others may.
        Err(self.later(&reply.to_text()))
    }

    fn later(&self, text: &str) -> Failure {
        Failure::TryNextHost(format!("host={} {text}", self.host))
    }

    fn lost(&self, error: &StreamError) -> Failure {
        self.later(&format!("4.4.2 the connection failed: {error}"))
    }

    fn refused(&self, reply: &Reply) -> Outcome {
        let reply_text = format!("host={} {}", self.host, reply.to_text());
        if reply.is_permanent() {
            Outcome::Failed {
                reply: reply_text,
                cause: Cause::Other,
            }
        } else {
            Outcome::Deferred {
                reply: reply_text,
                cause: Cause::Other,
            }
        }
    }

    /// What the reply to the end of the message means for accepted recipients.
    fn taken(&self, reply: &Reply) -> Outcome {
        if !reply.is_positive() {
            return self.refused(reply);
        }
        let tls = match self.stream.tls() {
            Some(facts) => format!("tls={} cipher={}", facts.version, facts.cipher),
            None => "tls=none".to_owned(),
        };
        Outcome::Relayed {
            detail: format!("host={} {tls} {}", self.host, reply.to_text()),
            notices: if self.offers.dsn {
                Notices::NextServer
            } else {
                Notices::Us
            },
        }
    }
}

fn needs(attempt: &Attempt, segments: &Segments) -> std::io::Result<Needs> {
    let facts = segments.read_facts(&attempt.body)?;
    let facts = Facts::from_bytes(&facts).map_err(std::io::Error::other)?;
    let marks = facts.marks();
    let plain = attempt
        .recipients
        .iter()
        .all(|waiting| on_the_wire(&waiting.address.to_string()).is_ascii())
        && on_the_wire(&attempt.sender.to_text()).is_ascii();
    Ok(Needs {
        eight_bit: marks.eight_bit || marks.eight_bit_header,
        utf8: marks.eight_bit_header || !plain,
        bytes: u64::try_from(attempt.body.body_bytes).unwrap_or(0),
    })
}

/// Whether the server can take the message at all.
fn check_offers(offers: Offers, needs: Needs, host: &str) -> Result<(), Failure> {
    let problem = if needs.utf8 && !offers.utf8 {
        Some(
            "5.6.7 the recipient's server takes no international addresses or headers \
             (SMTPUTF8); use plain ASCII addresses",
        )
    } else if needs.eight_bit && !offers.eight_bit {
        Some(
            "5.6.3 the recipient's server takes no 8-bit text; send the message as quoted-printable",
        )
    } else if offers.size_max > 0 && needs.bytes > offers.size_max {
        Some("5.3.4 the message is larger than the recipient's server takes; send a link instead")
    } else {
        None
    };
    problem.map_or(Ok(()), |text| {
        Err(Failure::Permanent(format!("host={host} {text}")))
    })
}

fn offers(reply: &Reply) -> Offers {
    let mut offers = Offers::default();
    // The first line is the greeting.
    for line in reply.lines.iter().skip(1) {
        let mut words = line.split_ascii_whitespace();
        let Some(keyword) = words.next() else {
            continue;
        };
        match keyword.to_ascii_uppercase().as_str() {
            "STARTTLS" => offers.starttls = true,
            "8BITMIME" => offers.eight_bit = true,
            "SMTPUTF8" => offers.utf8 = true,
            "DSN" => offers.dsn = true,
            "PIPELINING" => offers.pipelining = true,
            "SIZE" => {
                offers.size = true;
                offers.size_max = words.next().and_then(|n| n.parse().ok()).unwrap_or(0);
            }
            _ => {}
        }
    }
    offers
}

fn mail_command(attempt: &Attempt, offers: Offers, needs: Needs) -> String {
    let sender = attempt.sender.to_text();
    let mut command = format!("MAIL FROM:<{}>", on_the_wire(&sender));
    if offers.size {
        command.push_str(&format!(" SIZE={}", needs.bytes));
    }
    if offers.eight_bit && needs.eight_bit {
        command.push_str(" BODY=8BITMIME");
    }
    if needs.utf8 {
        command.push_str(" SMTPUTF8");
    }
    if offers.dsn {
        match attempt.dsn.ret {
            Return::Full => command.push_str(" RET=FULL"),
            Return::Headers => command.push_str(" RET=HDRS"),
            Return::Unspecified => {}
        }
        if let Some(id) = &attempt.dsn.envelope_id {
            command.push_str(&format!(" ENVID={id}"));
        }
    }
    command
}

fn rcpt_command(
    address: &Address,
    notify: Notify,
    original: Option<&str>,
    offers: Offers,
) -> String {
    let mut command = format!("RCPT TO:<{}>", on_the_wire(&address.to_string()));
    if offers.dsn {
        if notify == Notify::NEVER {
            command.push_str(" NOTIFY=NEVER");
        } else if notify != Notify::DEFAULT {
            let words = [
                (notify.success, "SUCCESS"),
                (notify.failure, "FAILURE"),
                (notify.delay, "DELAY"),
            ];
            let words: Vec<_> = words
                .iter()
                .filter(|(on, _)| *on)
                .map(|(_, word)| *word)
                .collect();
            command.push_str(&format!(" NOTIFY={}", words.join(",")));
        }
        if let Some(original) = original {
            command.push_str(&format!(" ORCPT={original}"));
        }
    }
    command
}

/// Return-Path is for final delivery only (RFC 5321 §4.4); our stored copy begins with it.
fn without_return_path(chunk: &[u8]) -> &[u8] {
    const NAME: &[u8] = b"Return-Path:";
    if !chunk
        .get(..NAME.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(NAME))
    {
        return chunk;
    }
    let mut end = 0;
    while let Some(newline) = chunk
        .get(end..)
        .and_then(|rest| memchr::memchr(b'\n', rest))
    {
        end += newline + 1;
        if !matches!(chunk.get(end), Some(b' ' | b'\t')) {
            break;
        }
    }
    chunk.get(end..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_read_from_ehlo() {
        let lines = [
            "mx.example hello",
            "SIZE 1000",
            "8bitmime",
            "STARTTLS",
            "X-ODD thing",
        ];
        let reply = Reply {
            code: 250,
            lines: lines.map(str::to_owned).to_vec(),
        };
        let found = offers(&reply);
        assert!(found.starttls && found.eight_bit && !found.dsn && found.size);
        assert_eq!(found.size_max, 1000);
    }

    #[test]
    fn a_message_the_server_cannot_take_fails_for_good() {
        let needs = Needs {
            eight_bit: true,
            utf8: false,
            bytes: 10,
        };
        let error = check_offers(Offers::default(), needs, "mx.example");
        assert!(matches!(error, Err(Failure::Permanent(text)) if text.contains("5.6.3")));
    }

    #[test]
    fn only_a_leading_return_path_is_left_out() {
        assert_eq!(
            without_return_path(b"Return-Path: <a@b>\r\nReceived: x"),
            b"Received: x"
        );
        assert_eq!(
            without_return_path(b"return-path:\r\n <a@b>\r\nTo: x"),
            b"To: x"
        );
        assert_eq!(without_return_path(b"To: x\r\n"), b"To: x\r\n");
        assert_eq!(
            without_return_path(b"Return-Path: <a@b>"),
            b"Return-Path: <a@b>"
        );
    }
}
