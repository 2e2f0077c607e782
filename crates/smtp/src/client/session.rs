//! A connection to a server made ready for messages: greeting, EHLO, STARTTLS as the duty demands, EHLO again
//! (RFC 5321 §3.1, RFC 3207). What it brings may serve several messages with the same duty, one after the other.

use super::ClientTimes;
use super::connect::Origin;
use super::failure::{Failure, Kind};
use super::offers::{self, Offers};
use super::reply::{self, Reply, ReplyError};
use super::report::{self, About, Ends, Reporter};
use platform::clock::Timestamp;
use platform::net::{Deadline, Stream, StreamError};
use platform::tls::{ClientTls, HandshakeFailure, Proof, Verified};
use queue::relay::{Peer, TlsSeen};
use routing::seen::{Identity, Protection};
use routing::tlsrpt::ResultType;
use routing::{Duty, Hop};
use std::net::SocketAddr;
use std::time::Duration;

/// How long a goodbye may take; nobody waits for its answer.
const GOODBYE: Duration = Duration::from_secs(2);

/// Whether the duty's opportunity for TLS is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Security {
    /// As the duty says.
    AsDuty,
    /// The handshake failed a moment ago, in an attempt that may go in clear then.
    ClearThisTime,
}

/// Where a session stands between messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// MAIL may be said.
    Ready,
    /// A transaction was begun and given up: RSET first.
    NeedsReset,
    /// Not to be used again.
    Broken,
    /// Not to be used again: the server said nothing for as long as it may take.
    Silent,
}

impl Stage {
    /// Whether anything may still be said.
    pub(super) fn is_usable(self) -> bool {
        matches!(self, Self::Ready | Self::NeedsReset)
    }
}

/// A connection that is ready for messages.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) stream: Stream,
    pub(super) host: String,
    pub(super) address: SocketAddr,
    pub(super) offers: Offers,
    pub(super) tls: Option<TlsSeen>,
    pub(super) protection: Protection,
    pub(super) stage: Stage,
    /// Messages carried already.
    pub(super) messages: u32,
    pub(super) opened: Timestamp,
    pub(super) security: Security,
}

/// What opening a session takes.
pub(super) struct Opening<'a> {
    pub(super) hop: &'a Hop,
    pub(super) origin: &'a Origin,
    pub(super) times: &'a ClientTimes,
    pub(super) tls: &'a ClientTls,
    pub(super) security: Security,
    pub(super) reporter: Reporter<'a>,
}

impl Opening<'_> {
    /// Greets, and starts TLS as the duty wants it.
    pub(super) async fn open(
        &self,
        stream: Stream,
        address: SocketAddr,
    ) -> Result<Session, Failure> {
        let mut session = Session {
            stream,
            host: self.hop.host.clone(),
            address,
            offers: Offers::default(),
            tls: None,
            protection: Protection::Clear,
            stage: Stage::Ready,
            messages: 0,
            opened: self.reporter.now,
            security: self.security,
        };
        let greeting = session.read(self.times.command, Peer::Unreachable).await?;
        // RFC 7504: 521 and 554 in the greeting mean that this host takes no mail; others may.
        session.expect_positive(&greeting)?;
        let mut ends = Ends {
            ours: Some(session.stream.local().ip()),
            theirs: Some(address.ip()),
            helo: None,
        };
        let named = self.hello(&mut session).await?;
        ends.helo = named
            .lines
            .first()
            .and_then(|line| line.split(' ').next())
            .map(str::to_owned);
        if self.security == Security::ClearThisTime {
            return Ok(session);
        }
        if !session.offers.starttls {
            self.without_tls(&ends)?;
            return Ok(session);
        }
        self.start_tls(&mut session, &ends).await?;
        self.hello(&mut session).await?;
        Ok(session)
    }

    async fn hello(&self, session: &mut Session) -> Result<Reply, Failure> {
        let time = self.times.command;
        let name = &self.origin.hello;
        let reply = session.command(&format!("EHLO {name}"), time).await?;
        if reply.is_positive() {
            session.offers = offers::read(&reply);
            return Ok(reply);
        }
        // RFC 5321 §3.2: a server that knows no EHLO is greeted with HELO.
        let reply = session.command(&format!("HELO {name}"), time).await?;
        session.offers = Offers::default();
        session.expect_positive(&reply)?;
        Ok(reply)
    }

    fn duty(&self) -> &Duty {
        &self.hop.duty
    }

    fn without_tls(&self, ends: &Ends) -> Result<(), Failure> {
        let text = "the server offers no STARTTLS";
        let result = ResultType::StarttlsNotSupported;
        self.reporter.failed(About::Every, result, text, ends);
        if self.duty().allows_clear() {
            return Ok(());
        }
        Err(self.forbidden("4.7.4 the recipient's server offers no encryption (STARTTLS)"))
    }

    async fn start_tls(&self, session: &mut Session, ends: &Ends) -> Result<(), Failure> {
        let reply = session.command("STARTTLS", self.times.command).await?;
        if reply.code != 220 {
            let text = format!("STARTTLS was answered with {}", reply.to_text());
            return Err(self.no_handshake(&text, ends));
        }
        let demand = self.duty().demand(&self.hop.server_name);
        let deadline = Deadline::after(self.times.connect);
        let started = session
            .stream
            .start_tls_client(self.tls, &demand, deadline)
            .await;
        if let Err(error) = started {
            return Err(match error.failure {
                HandshakeFailure::Certificate(fault) => {
                    let about = About::of(&demand.proof);
                    let result = report::of_certificate(&fault);
                    self.reporter.failed(about, result, &fault.text, ends);
                    self.forbidden(&format!("4.7.5 {fault}"))
                }
                other => self.no_handshake(&other.to_string(), ends),
            });
        }
        self.established(session, demand.audit.as_ref(), ends);
        Ok(())
    }

    /// Notes what the session turned out to be.
    fn established(&self, session: &mut Session, audit: Option<&Proof>, ends: &Ends) {
        let Some(facts) = session.stream.tls() else {
            return;
        };
        let certificate = facts.peer_certificate.as_ref();
        let verified = certificate.map_or(Verified::NotAsked, |certificate| certificate.verified);
        let audited = certificate.and_then(|certificate| certificate.audit.as_ref());
        match (audit, audited) {
            (Some(proof), Some(Err(fault))) => {
                let (about, result) = (About::of(proof), report::of_certificate(fault));
                self.reporter.success_but(about, result, &fault.text, ends);
            }
            _ => self.reporter.success(),
        }
        let (identity, word) = match verified {
            Verified::NotAsked => (Identity::Unknown, "no"),
            Verified::Names => (Identity::Proved, "name"),
            Verified::Dane { .. } => (Identity::Proved, "dane"),
            Verified::Fingerprint => (Identity::Proved, "fingerprint"),
        };
        session.protection = Protection::of(Some(facts.version), identity);
        session.tls = Some(TlsSeen {
            version: facts.version.to_string(),
            cipher: facts.cipher.to_owned(),
            verified: match audited {
                Some(Ok(_)) => format!("{word} (a policy under test would be met)"),
                Some(Err(fault)) => {
                    format!("{word} (a policy under test would not be met: {fault})")
                }
                None => word.to_owned(),
            },
        });
    }

    /// A handshake that came to nothing.
    fn no_handshake(&self, text: &str, ends: &Ends) -> Failure {
        let result = ResultType::ValidationFailure;
        self.reporter.failed(About::Every, result, text, ends);
        let text = format!("4.7.5 the TLS handshake failed: {text}");
        if self.duty().allows_clear() {
            return Failure::new(&self.hop.host, &text, Kind::Handshake);
        }
        self.forbidden(&text)
    }

    /// A TLS duty stands against this host.
    fn forbidden(&self, text: &str) -> Failure {
        let policy = &self.duty().policy;
        let text = format!(
            "{text}, and it must not be sent so: {} ({})",
            policy.why, policy.name
        );
        let cause = self.duty().cause;
        let peer = Peer::Answered;
        Failure::new(&self.hop.host, &text, Kind::NextHost { cause, peer })
    }
}

impl Session {
    /// Says `line` and reads the answer.
    pub(super) async fn command(&mut self, line: &str, time: Duration) -> Result<Reply, Failure> {
        self.stream.write(line.as_bytes());
        self.stream.write(b"\r\n");
        self.read(time, Peer::Unreachable).await
    }

    /// Sends what is gathered and reads one reply. `lost` is what a lost connection tells about the server.
    pub(super) async fn read(&mut self, time: Duration, lost: Peer) -> Result<Reply, Failure> {
        let deadline = Deadline::after(time);
        let sent = self.stream.flush(deadline).await;
        let read = reply::read(&mut self.stream, deadline).await;
        match read {
            Ok(reply) if reply.code == 421 => {
                self.stage = Stage::Broken;
                Err(Failure::next_host(&self.host, &reply.to_text(), Peer::Busy))
            }
            Ok(reply) => Ok(reply),
            Err(error) => {
                self.stage = match error {
                    ReplyError::Stream(StreamError::TimedOut) => Stage::Silent,
                    _ => Stage::Broken,
                };
                let text = match sent {
                    Err(error) => format!("4.4.2 the connection failed: {error}"),
                    Ok(()) => format!("4.4.2 {error}"),
                };
                Err(Failure::next_host(&self.host, &text, lost))
            }
        }
    }

    fn expect_positive(&self, reply: &Reply) -> Result<(), Failure> {
        if reply.is_positive() {
            return Ok(());
        }
        let peer = if reply.is_permanent() {
            Peer::Unreachable
        } else {
            Peer::Busy
        };
        Err(Failure::next_host(&self.host, &reply.to_text(), peer))
    }

    /// Says goodbye and does not wait for an answer.
    pub(super) async fn quit(mut self) {
        if self.stage.is_usable() {
            self.stream.write(b"QUIT\r\n");
            // A courtesy; whatever was to be known is known.
            let _ = self.stream.flush(Deadline::after(GOODBYE)).await;
        }
    }
}
