//! One POP3 connection: reads lines, hands commands to `commands`, sends replies in one write per
//! batch of pipelined commands (RFC 2449 §6.6).
//!
//!   Authorization --USER/PASS, AUTH--> Transaction --QUIT--> (update, end)
//!        |  ^                              |
//!        +--+ STLS (forgets the user)      +-- connection lost, idle --> end, nothing removed

use super::commands;
use super::grammar::{self, Command};
use super::limits::{self, ERRORS_MAX, LINE_BYTES_MAX, SKIP_BYTES_MAX};
use super::lock::{MaildropLock, MaildropLocks};
use admission::{Barred, Desk, Standing, Visit};
use directory::Identity;
use directory::sasl::Mechanism;
use mailbox::{Mailboxes, Maildrop};
use platform::clock::Clock;
use platform::net::{Connection, Deadline, Door, Event, StreamError, WrongMode};
use platform::tls::HandshakeError;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// What every POP3 session needs.
#[derive(Clone)]
pub struct Pop3Context {
    /// Who may log in, and how.
    pub desk: Desk,
    /// The mail.
    pub mailboxes: Mailboxes,
    /// The time.
    pub clock: Clock,
    /// Which maildrops are open.
    pub locks: MaildropLocks,
    /// This server's name, for the greeting.
    pub host: String,
    /// Mechanisms of AUTH, in the order they are shown.
    pub mechanisms: Arc<[Mechanism]>,
    /// How long a client may be silent; at least 10 minutes (RFC 1939 §3).
    pub idle_time_max: Duration,
    /// How long the TLS handshake may take.
    pub handshake_time_max: Duration,
}

/// What a session knows by now.
pub(super) enum State {
    /// Nobody has logged in.
    Authorization {
        /// The name given with USER.
        user: Option<String>,
    },
    /// A maildrop is open.
    Transaction(Box<Transaction>),
}

/// An open maildrop.
pub(super) struct Transaction {
    pub(super) identity: Identity,
    pub(super) maildrop: Maildrop,
    /// Indexes of messages marked with DELE.
    pub(super) marked: BTreeSet<usize>,
    pub(super) _lock: MaildropLock,
}

/// Whether the session goes on after a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// The next command.
    GoOn,
    /// The connection ends.
    End,
}

/// Why a session ended without QUIT.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// The connection.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// This server is being stopped.
    #[error("the server is being stopped")]
    Shutdown,
    /// Policy no longer lets in who came this way.
    #[error("no longer let in: {}", .0.refusal.reason)]
    Withdrawn(Barred),
    /// TLS could not be agreed on.
    #[error("TLS handshake: {0}")]
    Handshake(Box<HandshakeError>),
}

pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) context: Arc<Pop3Context>,
    pub(super) state: State,
    /// Whether it may go on.
    pub(super) standing: Standing,
    pub(super) logins_failed: u32,
    /// When the login must be done.
    login_by: Deadline,
    errors: u32,
}

/// Runs a connection to its end. TLS listeners hand over the stream after the handshake.
pub async fn serve(connection: Connection, context: Arc<Pop3Context>) {
    let mut session = Session {
        connection,
        context,
        state: State::Authorization { user: None },
        standing: Standing::default(),
        logins_failed: 0,
        login_by: Deadline::after(limits::LOGIN_TIME_MAX),
        errors: 0,
    };
    if let Err(ended) = session.run().await {
        session.farewell(&ended).await;
        tracing::debug!(reason = %ended, "pop3.connection_ended");
    }
    let _ = session
        .connection
        .stream
        .shutdown(Deadline::after(Duration::from_secs(5)))
        .await;
}

impl Session {
    /// What is known of the session at a login.
    pub(super) fn visit(&self) -> Visit<'_> {
        // Clients do not say what they are in this protocol.
        Visit::of(&self.connection, None)
    }

    /// Whether a login is offered at all.
    pub(super) fn offer(&self) -> Result<(), Barred> {
        self.context.desk.offer(&self.visit())
    }

    /// Has it watched whether the session may go on; anew whenever TLS or the login changed.
    pub(super) fn watch(&mut self) {
        let identity = match &self.state {
            State::Authorization { .. } => None,
            State::Transaction(transaction) => Some(&transaction.identity),
        };
        self.standing = self.context.desk.standing(&self.visit(), identity);
    }

    /// A legacy host that serves nobody any more says so in place of a greeting.
    fn check_door(&self) -> Result<(), Ended> {
        match self.offer() {
            Err(barred)
                if self.connection.door == Door::Legacy
                    && barred.whatever_it_does(&self.visit()) =>
            {
                Err(Ended::Withdrawn(barred))
            }
            _ => Ok(()),
        }
    }

    async fn run(&mut self) -> Result<(), Ended> {
        self.check_door()?;
        self.watch();
        let greeting = format!("{} POP3 server ready", self.context.host);
        self.ok(&greeting);
        loop {
            // A client that pipelines without end gets its turn, and others get theirs.
            tokio::task::coop::consume_budget().await;
            let line_ready = self.connection.stream.buffer().contains(&b'\n');
            if !line_ready {
                self.connection
                    .stream
                    .flush(Deadline::after(limits::SEND_TIME_MAX))
                    .await?;
            }
            let command = match self.read_command().await? {
                Ok(command) => command,
                Err(text) => {
                    self.refuse(text);
                    if self.count_error() == Then::End {
                        break;
                    }
                    continue;
                }
            };
            // Boxed, so that an idle session does not hold room for the largest command.
            if Box::pin(commands::run(self, command)).await? == Then::End {
                break;
            }
        }
        self.connection
            .stream
            .flush(Deadline::after(limits::SEND_TIME_MAX))
            .await?;
        Ok(())
    }

    /// The next command; the inner error is a text for a line that is none.
    async fn read_command(&mut self) -> Result<Result<Command, &'static str>, Ended> {
        let deadline = self.deadline();
        let shutdown = self.connection.shutdown.clone();
        let line = tokio::select! {
            line = self.connection.stream.read_line(LINE_BYTES_MAX, deadline) => line,
            () = shutdown.requested() => return Err(Ended::Shutdown),
            barred = self.standing.withdrawn() => return Err(Ended::Withdrawn(barred)),
        };
        let line = match line {
            Ok(line) => line,
            Err(StreamError::LineTooLong { .. }) => {
                self.connection
                    .stream
                    .discard_line(SKIP_BYTES_MAX, deadline)
                    .await?;
                return Ok(Err("the line is too long"));
            }
            Err(error) => return Err(error.into()),
        };
        let bytes = self
            .connection
            .stream
            .buffer()
            .get(..line.content_bytes)
            .unwrap_or_default();
        let parsed = grammar::parse(bytes).map_err(|malformed| malformed.0);
        self.connection.stream.consume(line.total_bytes);
        Ok(parsed)
    }

    pub(super) fn deadline(&self) -> Deadline {
        match self.state {
            // For all commands together, so that nobody holds a place by asking for CAPA.
            State::Authorization { .. } => self.login_by,
            State::Transaction(_) => Deadline::after(self.context.idle_time_max),
        }
    }

    pub(super) fn ok(&mut self, text: &str) {
        self.reply("+OK", text);
    }

    pub(super) fn refuse(&mut self, text: &str) {
        self.reply("-ERR", text);
    }

    fn reply(&mut self, status: &str, text: &str) {
        let output = self.connection.stream.output();
        output.extend_from_slice(status.as_bytes());
        if !text.is_empty() {
            output.push(b' ');
            output.extend_from_slice(text.as_bytes());
        }
        output.extend_from_slice(b"\r\n");
    }

    /// Counts a mistake; past the limit the session ends.
    pub(super) fn count_error(&mut self) -> Then {
        self.errors += 1;
        if self.errors < ERRORS_MAX {
            return Then::GoOn;
        }
        self.refuse("too many errors; the connection is closed");
        Then::End
    }

    /// Sends gathered output once there is much of it.
    pub(super) async fn relieve(&mut self) -> Result<(), Ended> {
        if self.connection.stream.pending_bytes() > 32 * 1024 {
            self.connection
                .stream
                .flush(Deadline::after(limits::SEND_TIME_MAX))
                .await?;
        }
        Ok(())
    }

    async fn farewell(&mut self, ended: &Ended) {
        let text = match ended {
            Ended::Stream(StreamError::TimedOut) => {
                "[SYS/TEMP] the connection was silent for too long and is closed"
            }
            Ended::Stream(StreamError::TlsOnClearPort(_)) => {
                "[SYS/PERM] this port begins without TLS; set your mail program to STARTTLS here, \
                 or use the port for SSL/TLS (995)"
            }
            Ended::Stream(StreamError::LineTooLong { .. }) => {
                "[SYS/PERM] a line does not end; the connection is closed"
            }
            Ended::Shutdown => "[SYS/TEMP] the server is being restarted; connect again",
            Ended::Withdrawn(barred) => &format!("[SYS/PERM] {}", barred.text()),
            Ended::Handshake(error) => {
                self.connection.report(&Event::of_handshake(error));
                return;
            }
            Ended::Stream(_) => return,
        };
        if let Ended::Stream(StreamError::TlsOnClearPort(hello)) = ended {
            let mode = WrongMode::TlsOnClearPort(hello.as_deref());
            self.connection.report(&Event::WrongMode(mode));
        }
        self.refuse(text);
        let _ = self
            .connection
            .stream
            .flush(Deadline::after(Duration::from_secs(5)))
            .await;
    }
}
