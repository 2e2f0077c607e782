//! One message over a session: MAIL, RCPT, DATA, the message itself (RFC 5321 §3.3), in as few round trips as the
//! server allows (RFC 2920). Gives an outcome per recipient, or why this host could not be used.

use super::ClientTimes;
use super::dots::DotStuffer;
use super::failure::{Failure, Kind};
use super::offers::{self, Needs};
use super::reply::{self, Reply};
use super::session::{Session, Stage};
use formats::message::Facts;
use platform::net::{Deadline, StreamError};
use platform::segments::Segments;
use queue::RequireTls;
use queue::relay::{Attempt, Cause, Notices, Outcome, Peer};
use routing::idn::on_the_wire;
use std::time::Duration;

/// Bytes read from storage at once.
const CHUNK_BYTES: u64 = 256 * 1024;
/// How long a reply of a server that closed while we sent may take.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Whether the session has carried messages before, and may have ended since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    Fresh,
    Kept,
}

/// How far a message went.
enum Sent {
    /// To its end; the reply is still to come.
    Whole,
    /// The server said no on the way.
    Refused(Reply),
}

/// What the message needs of a server.
pub(super) fn needs(attempt: &Attempt, segments: &Segments) -> std::io::Result<Needs> {
    let facts = segments.read_facts(&attempt.body)?;
    let facts = Facts::from_bytes(&facts).map_err(std::io::Error::other)?;
    let marks = facts.marks();
    let plain = attempt
        .recipients
        .iter()
        .all(|waiting| on_the_wire(&waiting.address.to_string()).is_ascii())
        && on_the_wire(&attempt.mail_from.to_text()).is_ascii();
    let body = u64::try_from(attempt.body.body_bytes).unwrap_or(0);
    Ok(Needs {
        eight_bit_body: marks.eight_bit,
        eight_bit_header: marks.eight_bit_header,
        utf8_envelope: !plain,
        require_tls: attempt.require_tls == RequireTls::Yes,
        bytes: body.saturating_add(attempt.front.len() as u64),
    })
}

/// One message on its way over one session.
pub(super) struct Transaction<'a> {
    pub(super) session: &'a mut Session,
    pub(super) times: &'a ClientTimes,
    pub(super) attempt: &'a Attempt,
    pub(super) segments: &'a Segments,
    pub(super) needs: Needs,
    pub(super) age: Age,
}

/// The replies to the envelope.
struct Envelope {
    recipients: Vec<Reply>,
    data: Option<Reply>,
}

impl Transaction<'_> {
    /// Carries the message.
    pub(super) async fn run(mut self) -> Result<Vec<Outcome>, Failure> {
        if let Some(text) = offers::problem(self.session.offers, self.needs) {
            let kind = if text.starts_with("5.7.30") {
                let cause = Cause::TlsPolicy;
                Kind::HostNever { cause }
            } else {
                Kind::Never
            };
            return Err(Failure::new(&self.session.host, text, kind));
        }
        let mail = match self.begin().await {
            Ok(mail) => mail,
            Err(failure) => return Err(at_begin(failure, self.age, self.session.stage)),
        };
        self.session.stage = Stage::NeedsReset;
        let envelope = self.envelope(&mail).await?;
        let accepted = mail.is_positive() && envelope.recipients.iter().any(Reply::is_positive);
        let go_ahead = match (accepted, envelope.data) {
            (true, Some(reply)) => reply,
            (true, None) => {
                self.session.stream.write(b"DATA\r\n");
                self.session.read(self.times.data, Peer::Answered).await?
            }
            (false, data) => {
                self.give_up(data).await?;
                return Ok(self.refusals(&mail, &envelope.recipients));
            }
        };
        let outcome = if go_ahead.code == 354 {
            self.message().await?
        } else {
            // Nothing was sent, so nothing was taken, even where a peer out of step says 250.
            self.refused(&go_ahead)
        };
        let each = |reply: &Reply| match reply.is_positive() {
            true => outcome.clone(),
            false => self.refused(reply),
        };
        Ok(envelope.recipients.iter().map(each).collect())
    }

    /// Says MAIL, and all that may be said with it; reads the answer to MAIL.
    async fn begin(&mut self) -> Result<Reply, Failure> {
        let session = &mut *self.session;
        let offers = session.offers;
        let reset = session.stage == Stage::NeedsReset;
        let out = session.stream.output();
        if reset {
            out.extend_from_slice(b"RSET\r\n");
        }
        offers::mail(self.attempt, offers, self.needs, out);
        if offers.pipelining {
            for waiting in &self.attempt.recipients {
                let original = waiting.original.as_deref();
                offers::rcpt(&waiting.address, waiting.notify, original, offers, out);
            }
            out.extend_from_slice(b"DATA\r\n");
        }
        if reset {
            session.read(self.times.command, Peer::Answered).await?;
        }
        session.read(self.times.command, Peer::Answered).await
    }

    async fn envelope(&mut self, mail: &Reply) -> Result<Envelope, Failure> {
        let offers = self.session.offers;
        let mut recipients = Vec::with_capacity(self.attempt.recipients.len());
        if offers.pipelining {
            for _ in &self.attempt.recipients {
                recipients.push(
                    self.session
                        .read(self.times.command, Peer::Answered)
                        .await?,
                );
            }
            let data = self.session.read(self.times.data, Peer::Answered).await?;
            return Ok(Envelope {
                recipients,
                data: Some(data),
            });
        }
        if mail.is_positive() {
            for waiting in &self.attempt.recipients {
                let original = waiting.original.as_deref();
                let out = self.session.stream.output();
                offers::rcpt(&waiting.address, waiting.notify, original, offers, out);
                recipients.push(
                    self.session
                        .read(self.times.command, Peer::Answered)
                        .await?,
                );
            }
        }
        Ok(Envelope {
            recipients,
            data: None,
        })
    }

    /// RFC 2920 §3.1: a server that says 354 although nobody is to get the message gets an empty one.
    async fn give_up(&mut self, data: Option<Reply>) -> Result<(), Failure> {
        if data.is_some_and(|data| data.code == 354) {
            self.session.stream.write(b".\r\n");
            self.session.read(self.times.end, Peer::Answered).await?;
        }
        Ok(())
    }

    fn refusals(&self, mail: &Reply, recipients: &[Reply]) -> Vec<Outcome> {
        if !mail.is_positive() {
            return vec![self.refused(mail); self.attempt.recipients.len()];
        }
        recipients.iter().map(|reply| self.refused(reply)).collect()
    }

    /// Sends the message and reads what becomes of it. Up to the final dot another host may be tried; after it the
    /// server may have the message, so that a lost reply only means to ask again later.
    async fn message(&mut self) -> Result<Outcome, Failure> {
        let end = match self.send().await? {
            Sent::Refused(reply) => {
                self.session.stage = Stage::Broken;
                reply
            }
            Sent::Whole => match self.session.read(self.times.end, Peer::Answered).await {
                Ok(reply) => {
                    self.session.stage = Stage::Ready;
                    reply
                }
                Err(failure) => {
                    return Ok(Outcome::Deferred {
                        reply: failure.reply,
                        cause: Cause::Other,
                    });
                }
            },
        };
        Ok(self.taken(&end))
    }

    async fn send(&mut self) -> Result<Sent, Failure> {
        let body = &self.attempt.body;
        let size = u64::try_from(body.body_bytes).unwrap_or(0);
        let mut stuffer = DotStuffer::default();
        let mut out = Vec::new();
        stuffer.push(&self.attempt.front, &mut out);
        let mut at = 0;
        while at < size {
            let range = at..size.min(at + CHUNK_BYTES);
            let chunk = self
                .segments
                .read_body(body, range.clone())
                .map_err(|error| {
                    // Closing without the final dot makes the server forget what it has.
                    self.session.stage = Stage::Broken;
                    let text = format!("4.3.0 reading the message failed: {error}");
                    Failure::new(&self.session.host, &text, Kind::OurFault)
                })?;
            let chunk = match at {
                0 => without_return_path(&chunk),
                _ => &chunk[..],
            };
            stuffer.push(chunk, &mut out);
            at = range.end;
            if at == size {
                stuffer.finish(&mut out);
            }
            let deadline = Deadline::after(self.times.chunk);
            if let Err(error) = self.session.stream.send(&out, deadline).await {
                return self.last_words(&error).await;
            }
            out.clear();
        }
        if size == 0 {
            stuffer.finish(&mut out);
            self.session.stream.write(&out);
        }
        Ok(Sent::Whole)
    }

    /// A server may refuse a message before its end and close; what it said then counts, so that
    /// a message that is too large comes back at once and not after days.
    async fn last_words(&mut self, error: &StreamError) -> Result<Sent, Failure> {
        self.session.stage = Stage::Broken;
        match reply::read(&mut self.session.stream, Deadline::after(LAST_WORDS)).await {
            Ok(reply) if reply.is_permanent() => Ok(Sent::Refused(reply)),
            _ => {
                let text = format!("4.4.2 the connection failed: {error}");
                Err(Failure::next_host(
                    &self.session.host,
                    &text,
                    Peer::Answered,
                ))
            }
        }
    }

    fn refused(&self, reply: &Reply) -> Outcome {
        let cause = Cause::Other;
        let permanent = reply.is_permanent();
        let reply = format!("host={} {}", self.session.host, reply.to_text());
        match permanent {
            true => Outcome::Failed { reply, cause },
            false => Outcome::Deferred { reply, cause },
        }
    }

    /// What the reply to the end of the message means for accepted recipients.
    fn taken(&self, reply: &Reply) -> Outcome {
        if !reply.is_positive() {
            return self.refused(reply);
        }
        let host = &self.session.host;
        let tls = match &self.session.tls {
            Some(tls) => format!("tls={} cipher={}", tls.version, tls.cipher),
            None => "tls=none".to_owned(),
        };
        Outcome::Relayed {
            detail: format!("host={host} {tls} {}", reply.to_text()),
            notices: match self.session.offers.dsn {
                true => Notices::NextServer,
                false => Notices::Us,
            },
        }
    }
}

/// What it means that a session fails before MAIL was answered. A kept one that ended meanwhile costs nothing; from a
/// server that is silent the next kept one would only cost the same minutes again.
fn at_begin(failure: Failure, age: Age, stage: Stage) -> Failure {
    match (age, stage) {
        (Age::Fresh, _) | (Age::Kept, Stage::Silent) => failure,
        (Age::Kept, _) => Failure {
            kind: Kind::Stale,
            ..failure
        },
    }
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
    fn a_silent_server_is_not_asked_again_over_the_next_kept_connection() {
        for (age, stage, stale) in [
            (Age::Kept, Stage::Broken, true),
            (Age::Kept, Stage::Silent, false),
            (Age::Fresh, Stage::Broken, false),
        ] {
            let failure = Failure::next_host("mx.test", "4.4.2 gone", Peer::Unreachable);
            let told = at_begin(failure, age, stage);
            assert_eq!(told.kind == Kind::Stale, stale, "{age:?} {stage:?}");
        }
    }

    #[test]
    fn only_a_leading_return_path_is_left_out() {
        for (message, left) in [
            (
                &b"Return-Path: <a@b>\r\nReceived: x"[..],
                &b"Received: x"[..],
            ),
            (b"return-path:\r\n <a@b>\r\nTo: x", b"To: x"),
            (b"To: x\r\n", b"To: x\r\n"),
            (b"Return-Path: <a@b>", b"Return-Path: <a@b>"),
        ] {
            assert_eq!(without_return_path(message), left);
        }
    }
}
