//! One connection: reads lines within limits, has commands carried out, gathers their replies.
//! Knows no verb (that is `commands/`) and decides nothing about mail. Started by `server::serve`.
//!
//! Replies to pipelined commands leave in one write, when there is nothing left to read (RFC 2920
//! §3.2); the reply to an accepted message never waits for the next message to be stored.

use super::commands;
use super::relay;
use super::rules::{self, Remembered};
use super::settings::{Listener, LoginOffer, Role, ServerContext};
use super::state::{self, State};
use crate::limits::Limits;
use crate::reply::{Permanent, Reply, Status, Success, Transient};
use admission::{Barred, Standing, Told, Visit};
use directory::Identity;
use platform::net::{Connection, Deadline, Door, Event, Line, StreamError, WrongMode};
use platform::tls::HandshakeError;
use std::sync::Arc;
use std::time::Duration;

/// Gathered replies are sent when they reach this size, whether or not more commands wait.
const GATHERED_REPLIES_BYTES_MAX: usize = 16 * 1024;
/// How much of an over-long line is skipped before the connection is closed.
const SKIPPED_LINE_BYTES_MAX: usize = 1024 * 1024;

/// How long the last reply may take.
const CLOSING: Duration = Duration::from_secs(10);
/// How long, and how many bytes, a closing connection is still read.
const LINGERING: Duration = Duration::from_secs(2);
const LINGERING_BYTES_MAX: usize = 1024 * 1024;

/// Why a session ended.
#[derive(Debug)]
pub(super) enum End {
    /// The client sent QUIT.
    Quit,
    /// We closed with 421 (or refused to go on); the word says why.
    Closed(&'static str),
    /// The connection broke, or the peer closed it.
    Stream(StreamError),
    /// STARTTLS failed.
    Tls(Box<HandshakeError>),
    /// Policy no longer lets in who came this way.
    Withdrawn(Barred),
}

impl From<StreamError> for End {
    fn from(error: StreamError) -> Self {
        Self::Stream(error)
    }
}

/// What a command has to say; `None` where it has sent its own reply.
pub(super) type Outcome = Result<Option<Reply>, End>;

/// How often things happened in this connection.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Refusals other than of recipients.
    pub(super) errors: u32,
    /// Commands without effect since the last message.
    pub(super) idle_commands: u32,
    /// Failed logins.
    pub(super) login_failures: u32,
    /// Messages begun.
    pub(super) messages: u32,
}

/// Whether this client may use XCLIENT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Xclient {
    /// Its address is listed.
    Permitted,
    /// It does not exist for this client.
    Hidden,
}

/// Whether replies that wait to be sent acknowledge a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gathered {
    AcknowledgesMail,
    Other,
}

/// One connection.
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) role: Role,
    pub(super) context: Arc<ServerContext>,
    pub(super) listener: Arc<Listener>,
    pub(super) state: State,
    /// Who logged in.
    pub(super) login: Option<Identity>,
    /// The client's host name, where XCLIENT gave one.
    pub(super) client_name: Option<Box<str>>,
    pub(super) xclient: Xclient,
    pub(super) counters: Counters,
    /// What the client says it is.
    pub(super) told: Option<Box<Told>>,
    /// Whether it may go on.
    pub(super) standing: Standing,
    /// What the operator's rules remember of it.
    pub(super) rules: Remembered,
    gathered: Gathered,
    session_ends: Deadline,
    login_ends: Deadline,
    /// The command being carried out. Given back while nothing is to be read.
    line: Vec<u8>,
}

impl Session {
    pub(super) fn new(
        connection: Connection,
        role: Role,
        context: Arc<ServerContext>,
        listener: Arc<Listener>,
    ) -> Self {
        let limits = listener.limits(&context.settings);
        let peer = connection.stream.peer().ip();
        let settings = &context.settings;
        let listed = settings
            .xclient_networks
            .iter()
            .any(|network| network.contains(peer));
        Self {
            session_ends: Deadline::after(limits.session_time),
            login_ends: Deadline::after(limits.login_time),
            xclient: if listed {
                Xclient::Permitted
            } else {
                Xclient::Hidden
            },
            connection,
            role,
            context,
            listener,
            state: State::Connected,
            login: None,
            client_name: None,
            counters: Counters::default(),
            told: None,
            standing: Standing::default(),
            rules: Remembered::default(),
            gathered: Gathered::Other,
            line: Vec::new(),
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        self.listener.limits(&self.context.settings)
    }

    /// The name this server has on this listener.
    pub(super) fn host_name(&self) -> &str {
        let own = self.listener.hello.as_deref();
        own.unwrap_or(&self.context.settings.host_name)
    }

    /// The greeting (RFC 5321 §4.2: the host name comes first).
    pub(super) fn greeting(&self) -> Reply {
        Reply::bare(
            Success::Ready,
            format!("{} ESMTP Rohrpost", self.host_name()),
        )
    }

    /// Serves the connection to its end.
    pub(super) async fn run(&mut self) {
        let end = match self.refused_at_the_door() {
            Some(refusal) => {
                self.gather(&refusal);
                End::Closed("door-closed")
            }
            None => self.dialogue().await,
        };
        self.say_goodbye(end).await;
    }

    async fn dialogue(&mut self) -> End {
        if let Some(refusal) = rules::connect(self).await {
            self.gather(&refusal);
            return End::Closed("rule");
        }
        let greeting = self.greeting();
        self.gather(&greeting);
        self.watch();
        loop {
            if let Err(end) = self.one_command().await {
                return end;
            }
        }
    }

    /// RFC 5321 §3.1: a legacy host that serves nobody any more says so in place of a greeting.
    fn refused_at_the_door(&self) -> Option<Reply> {
        if self.connection.door != Door::Legacy {
            return None;
        }
        let barred = self.context.desk.offer(&self.visit()).err()?;
        barred.whatever_it_does(&self.visit()).then(|| {
            Reply::permanent(
                Permanent::Failed,
                Status::SECURITY,
                barred.text().to_owned(),
            )
        })
    }

    /// What is known of the session at a login.
    pub(super) fn visit(&self) -> Visit<'_> {
        Visit::of(&self.connection, self.told.as_deref())
    }

    /// A message says which program wrote it: the login counts as one of that.
    pub(super) fn recognise(&mut self, mailer: Option<Box<str>>) {
        let known = self.told.as_deref().and_then(|told| told.mailer.as_deref());
        if mailer.is_none() || mailer.as_deref() == known {
            return;
        }
        let Some(login) = &self.login else {
            return;
        };
        // Of a source in clear nothing was noted.
        if relay::source(login).is_some() && self.connection.stream.tls().is_none() {
            return;
        }
        let mut told = self.told.clone().unwrap_or_default();
        told.mailer = mailer;
        let after = Visit::of(&self.connection, Some(&*told));
        self.context.desk.recognised(&self.visit(), &after, login);
        self.told = Some(told);
    }

    /// Has it watched whether the session may go on; anew whenever TLS or the login changed.
    pub(super) fn watch(&mut self) {
        self.standing = (self.context.desk).standing(&self.visit(), self.login.as_ref());
    }

    async fn one_command(&mut self) -> Result<(), End> {
        // A peer that pipelines without end gets its turn, and others get theirs.
        tokio::task::coop::consume_budget().await;
        match self
            .read_line(self.limits().command_line_bytes_max, Waiting::ForCommand)
            .await
        {
            Ok(()) => {}
            Err(End::Stream(StreamError::LineTooLong { .. })) => {
                return self.skip_long_line().await;
            }
            Err(end) => return Err(end),
        }
        let line = std::mem::take(&mut self.line);
        let outcome = commands::run(self, &line).await;
        self.line = line;
        match outcome? {
            Some(reply) => self.answer(reply),
            None => Ok(()),
        }
    }

    /// RFC 5321 §4.5.3.1.4: tell, skip to the end of the line, go on.
    async fn skip_long_line(&mut self) -> Result<(), End> {
        let deadline = self.deadline(self.limits().command_idle);
        match self
            .connection
            .stream
            .discard_line(SKIPPED_LINE_BYTES_MAX, deadline)
            .await
        {
            Ok(_) => {}
            Err(StreamError::LineTooLong { .. }) => {
                self.gather(&line_too_long());
                return Err(End::Closed("endless-line"));
            }
            Err(error) => return Err(error.into()),
        }
        self.answer(line_too_long())
    }

    /// Gathers the reply to a command, counting errors; ends the session after 421 and 221.
    pub(super) fn answer(&mut self, reply: Reply) -> Result<(), End> {
        if reply.is_refusal() {
            self.counters.errors += 1;
            if self.counters.errors > self.limits().errors_max && reply.code() != 421 {
                self.gather(&Reply::transient(
                    Transient::Closing,
                    Status::SECURITY,
                    "Too many errors in one connection. Correct the client's settings and connect \
                     again.",
                ));
                return Err(End::Closed("too-many-errors"));
            }
        }
        self.gather(&reply);
        match reply.code() {
            421 => Err(End::Closed("answered-421")),
            221 => Err(End::Quit),
            _ => Ok(()),
        }
    }

    /// Gathers a reply that acknowledges a message.
    pub(super) fn acknowledge(&mut self, reply: &Reply) {
        self.gather(reply);
        self.gathered = Gathered::AcknowledgesMail;
    }

    /// Gathers a reply.
    pub(super) fn gather(&mut self, reply: &Reply) {
        reply.write_to(self.connection.stream.output());
    }

    /// Sends what acknowledges a message, before something that takes long.
    pub(super) async fn flush_acknowledgement(&mut self) -> Result<(), End> {
        if self.gathered == Gathered::AcknowledgesMail {
            self.flush().await?;
        }
        Ok(())
    }

    pub(super) async fn flush(&mut self) -> Result<(), End> {
        self.gathered = Gathered::Other;
        let deadline = Deadline::after(self.limits().reply_time);
        Ok(self.connection.stream.flush(deadline).await?)
    }

    /// Enters another state, which must be an edge of the graph.
    pub(super) fn enter(&mut self, next: State) {
        debug_assert!(
            state::may_follow(self.state.kind(), next.kind()),
            "{:?} -> {:?}",
            self.state.kind(),
            next.kind()
        );
        self.state = next;
    }

    /// Drops the transaction, if there is one.
    pub(super) fn reset(&mut self) {
        self.state = std::mem::take(&mut self.state).without_transaction();
    }

    /// That long from now, but not past what bounds the whole session.
    pub(super) fn deadline(&self, wait: Duration) -> Deadline {
        let deadline = Deadline::after(wait).or_earlier(self.session_ends);
        match (self.role, &self.login) {
            (Role::Submission, None) => deadline.or_earlier(self.login_ends),
            _ => deadline,
        }
    }

    /// Reads more bytes of a message; sends gathered replies first. A session that may no longer go on ends here too: its
    /// message was not taken over, and its client hears why.
    pub(super) async fn fill(&mut self, deadline: Deadline) -> Result<(), End> {
        if self.connection.stream.pending_bytes() > 0 {
            self.flush().await?;
        }
        tokio::select! {
            biased;
            barred = self.standing.withdrawn() => Err(End::Withdrawn(barred)),
            filled = self.connection.stream.fill(deadline) => { filled?; Ok(()) }
        }
    }

    /// Reads one line into `self.line`, without its line ending. A bare LF ends a line too: which
    /// commands are meant is clear, and messages are read elsewhere.
    pub(super) async fn read_line(
        &mut self,
        line_bytes_max: usize,
        waiting: Waiting,
    ) -> Result<(), End> {
        let line = match Line::find(self.connection.stream.buffer(), 0) {
            Some(line) if self.connection.stream.pending_bytes() < GATHERED_REPLIES_BYTES_MAX => {
                line
            }
            _ => self.wait_for_line(line_bytes_max, waiting).await?,
        };
        if line.total_bytes > self.line_bytes_max(line_bytes_max) {
            return Err(StreamError::LineTooLong { line_bytes_max }.into());
        }
        self.line.clear();
        if let Some(text) = self.connection.stream.buffer().get(..line.content_bytes) {
            self.line.extend_from_slice(text);
        }
        self.connection.stream.consume(line.total_bytes);
        Ok(())
    }

    async fn wait_for_line(
        &mut self,
        line_bytes_max: usize,
        waiting: Waiting,
    ) -> Result<Line, End> {
        if self.connection.stream.pending_bytes() > 0 {
            self.flush().await?;
        }
        if self.connection.stream.buffer().is_empty() {
            self.line = Vec::new();
        }
        let deadline = self.deadline(self.limits().command_idle);
        // An AUTH line may be longer than others; which one it is shows only when it has begun.
        let longest = line_bytes_max.max(self.limits().auth_line_bytes_max);
        let read = self.connection.stream.read_line(longest, deadline);
        match waiting {
            Waiting::ForCommand => tokio::select! {
                biased;
                line = read => Ok(line?),
                () = self.connection.shutdown.requested() => Err(End::Closed("shutdown")),
                barred = self.standing.withdrawn() => Err(End::Withdrawn(barred)),
            },
            Waiting::ForAuth => Ok(read.await?),
        }
    }

    /// RFC 4954 §4 lets AUTH lines be longer than RFC 5321 §4.5.3.1.4 lets others be.
    fn line_bytes_max(&self, line_bytes_max: usize) -> usize {
        let is_auth = self
            .connection
            .stream
            .buffer()
            .get(..5)
            .is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTH "));
        if is_auth {
            line_bytes_max.max(self.limits().auth_line_bytes_max)
        } else {
            line_bytes_max
        }
    }

    /// The line that was read last.
    pub(super) fn line(&self) -> &[u8] {
        &self.line
    }

    /// Tells the peer why, as far as it can still be told, and closes.
    async fn say_goodbye(&mut self, end: End) {
        let role = self.role.name();
        match &end {
            End::Quit => tracing::debug!(role, "smtp session ended"),
            End::Stream(StreamError::TimedOut) => {
                tracing::info!(role, reason = "idle", "smtp session closed");
                self.gather(&Reply::transient(
                    Transient::Closing,
                    Status::TIMED_OUT,
                    "Nothing was heard for too long; the connection is closed. Connect again.",
                ));
            }
            End::Stream(StreamError::TlsOnClearPort(hello)) => {
                let hello = hello.as_deref();
                self.connection
                    .report(&Event::WrongMode(WrongMode::TlsOnClearPort(hello)));
                self.gather(&Reply::permanent(
                    Permanent::Failed,
                    Status::SECURITY,
                    "This port begins without TLS. Set the client to STARTTLS, or to port 465 for \
                     TLS from the start.",
                ));
            }
            End::Closed("shutdown") => self.gather(&Reply::transient(
                Transient::Closing,
                Status::SHUTTING_DOWN,
                "The server is going down for a moment. Try again soon.",
            )),
            End::Withdrawn(barred) => {
                let reason = barred.refusal.reason;
                tracing::info!(role, reason, "smtp session closed");
                self.gather(&Reply::transient(
                    Transient::Closing,
                    Status::SECURITY,
                    barred.text().to_owned(),
                ));
            }
            End::Closed(reason) => tracing::info!(role, reason, "smtp session closed"),
            End::Stream(error) => tracing::debug!(role, %error, "smtp session broken off"),
            End::Tls(error) => self.connection.report(&Event::of_handshake(error)),
        }
        if !matches!(end, End::Tls(_)) {
            self.close().await;
        }
    }

    /// Sends what is left to say and closes. Unread input would make the operating system reset the
    /// connection and the peer lose our last words, so some of it is read and thrown away.
    async fn close(&mut self) {
        let stream = &mut self.connection.stream;
        if stream.shutdown(Deadline::after(CLOSING)).await.is_err() {
            return;
        }
        let deadline = Deadline::after(LINGERING);
        let mut drained = 0;
        while drained < LINGERING_BYTES_MAX {
            stream.consume(stream.buffer().len());
            match stream.fill(deadline).await {
                Ok(bytes) => drained += bytes,
                Err(_) => return,
            }
        }
    }

    /// Whether AUTH exists on this connection, before and after TLS.
    pub(super) fn login_offer(&self) -> LoginOffer {
        match self.role {
            Role::Mx | Role::SecureMx => self.listener.login,
            Role::Submission => LoginOffer::AfterTls,
        }
    }
}

/// What a line is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// The next command: a stop of the server ends the wait.
    ForCommand,
    /// The answer to a challenge.
    ForAuth,
}

fn line_too_long() -> Reply {
    Reply::permanent(
        Permanent::Unrecognised,
        Status::SYNTAX,
        "The line is too long and was ignored.",
    )
}
