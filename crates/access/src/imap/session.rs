//! One IMAP connection: reads commands, has them done, writes the answers. What a command does is in
//! `commands`; here is only what holds for all of them.
//!
//! ```text
//!  Stranger --LOGIN, AUTHENTICATE--> Known --SELECT, EXAMINE--> Selected
//!   |    ^                           |  ^                        |  |  ^
//!   |    +-- STARTTLS                |  +-- CLOSE, UNSELECT, ----+  +--+ SELECT, EXAMINE
//!   |                                |      failed SELECT           |
//!   +------------ LOGOUT ------------+------------ LOGOUT ----------+---> the end
//! ```
//! RFC 3501 §3. STARTTLS keeps nothing of what was said before it (§6.2.1).

use super::ImapContext;
use super::commands::{self, When};
use super::grammar::{Assembler, Bounds, Command, Outcome, Request, Sync, Then, append};
use super::reply::{Code, Reply, Status};
use super::selected::{Expunges, Selected};
use super::wire::{Condstore, Ended, Wire};
use super::{capability, limits};
use admission::{Barred, Standing, Told, Visit};
use directory::Identity;
use platform::net::{Connection, Deadline, Door, Event, StreamError, WrongMode};
use std::sync::Arc;
use std::time::Duration;

/// Where a session is; each state owns what is known by then.
pub(super) enum State {
    /// Nobody has logged in.
    Stranger(Stranger),
    /// An account has.
    Known(Arc<Identity>),
    /// A mailbox is selected.
    Selected(Box<Selected>),
}

/// What is counted before login.
#[derive(Debug)]
pub(super) struct Stranger {
    /// Logins refused so far.
    pub(super) failures: u32,
    /// When whoever has not logged in has to go.
    pub(super) until: Deadline,
}

impl Stranger {
    /// Somebody who has just come, or has just made the connection private.
    pub(super) fn new() -> Self {
        Self {
            failures: 0,
            until: Deadline::after(limits::STRANGER_STAY),
        }
    }

    /// How long to wait where one who is known would have `known`.
    pub(super) fn patience(&self, known: Duration) -> Deadline {
        self.until
            .or_earlier(Deadline::after(known.min(limits::STRANGER_IDLE)))
    }
}

/// A session.
pub(super) struct Session {
    pub(super) wire: Wire,
    pub(super) state: State,
    /// What the client says it is.
    pub(super) told: Option<Box<Told>>,
    bad_commands: u32,
}

/// A command as it came from the wire.
enum Arrived {
    Request(Request),
    Append {
        tag: Box<str>,
        head: Result<(Vec<u8>, append::Message), &'static str>,
        literal: super::grammar::frame::Literal,
    },
    Bad {
        tag: Option<Box<str>>,
        text: &'static str,
        then: Then,
    },
    /// Refused before its literal was asked for.
    Refused {
        tag: Option<Box<str>>,
        reply: Reply,
    },
}

impl State {
    /// The edges of the picture above; asserted whenever the state changes.
    pub(super) fn may_become(&self, next: &State) -> bool {
        matches!(
            (self, next),
            (State::Stranger(_), State::Stranger(_) | State::Known(_))
                | (
                    State::Known(_) | State::Selected(_),
                    State::Known(_) | State::Selected(_)
                )
        )
    }

    /// The account, after login.
    pub(super) fn identity(&self) -> Option<&Arc<Identity>> {
        match self {
            State::Stranger(_) => None,
            State::Known(identity) => Some(identity),
            State::Selected(selected) => Some(&selected.identity),
        }
    }
}

impl Session {
    pub(super) fn new(connection: Connection, context: Arc<ImapContext>) -> Self {
        Self {
            wire: Wire {
                connection,
                context,
                tag: Box::default(),
                condstore: Condstore::Off,
                standing: Standing::default(),
            },
            state: State::Stranger(Stranger::new()),
            told: None,
            bad_commands: 0,
        }
    }

    /// What is known of the session at a login.
    pub(super) fn visit(&self) -> Visit<'_> {
        Visit::of(&self.wire.connection, self.told.as_deref())
    }

    /// Has it watched whether the session may go on; anew whenever TLS or the login changed.
    pub(super) fn watch(&mut self) {
        let identity = self.state.identity().map(|identity| &**identity);
        self.wire.standing = (self.wire.context.desk).standing(&self.visit(), identity);
    }

    /// Goes on until the peer leaves or has to.
    pub(super) async fn run(&mut self) -> Ended {
        if let Err(ended) = self.greet().await {
            return ended;
        }
        loop {
            if let Err(ended) = self.one_command().await {
                return self.farewell(ended).await;
            }
        }
    }

    async fn greet(&mut self) -> Result<(), Ended> {
        self.watch();
        if self.wire.connection.door == Door::Legacy
            && let Err(barred) = self.offer()
            && barred.whatever_it_does(&self.visit())
        {
            // RFC 3501 §7.1.5: BYE in place of a greeting.
            return Err(self.wire.bye(barred.text()).await);
        }
        let mut line = b"* OK [CAPABILITY ".to_vec();
        capability::write_stranger(&mut line, &self.capabilities());
        line.extend_from_slice(b"] ");
        line.extend_from_slice(self.wire.context.settings.host_name.as_bytes());
        line.extend_from_slice(b" ready.\r\n");
        self.wire.out().append(&mut line);
        self.wire.flush().await
    }

    /// Whether a login is offered at all.
    pub(super) fn offer(&self) -> Result<(), Barred> {
        self.wire.context.desk.offer(&self.visit())
    }

    /// What is told of it to strangers.
    pub(super) fn capabilities(&self) -> capability::Offer {
        let visit = self.visit();
        let context = &self.wire.context;
        capability::Offer {
            starttls: match visit.tls {
                None => capability::StartTls::Offered,
                Some(_) => capability::StartTls::Done,
            },
            login: context.desk.offer(&visit).is_ok().then(|| {
                let mechanisms = &context.settings.mechanisms;
                context.desk.mechanisms(&visit, mechanisms).collect()
            }),
        }
    }

    /// Says goodbye where the peer can still hear it.
    async fn farewell(&mut self, ended: Ended) -> Ended {
        match ended {
            Ended::Stream(StreamError::TimedOut) => {
                let text = match self.state {
                    State::Stranger(_) => "Nobody logged in; goodbye.",
                    _ => "Nothing came for too long; please connect again.",
                };
                self.wire.bye(text).await
            }
            Ended::Stream(StreamError::LineTooLong { .. } | StreamError::BufferFull) => {
                self.wire.bye("The line is too long; goodbye.").await
            }
            Ended::Stream(StreamError::TlsOnClearPort(hello)) => {
                // S1-26: people who set the wrong mode get a text and not silence.
                let said = self
                    .wire
                    .bye(
                        "This port begins in clear and offers STARTTLS. Set the connection security \
                         to STARTTLS, or use port 993 for SSL/TLS.",
                    )
                    .await;
                let event = Event::WrongMode(WrongMode::TlsOnClearPort(hello.as_deref()));
                self.wire.connection.report(&event);
                said
            }
            other => other,
        }
    }

    async fn one_command(&mut self) -> Result<(), Ended> {
        // A peer that pipelines without end gets its turn, and others get theirs.
        tokio::task::coop::consume_budget().await;
        let (tag, reply) = match self.next_command().await? {
            Arrived::Request(request) => {
                let Request { tag, command } = request;
                let Some(reply) = self.perform(command, &tag).await? else {
                    return Ok(());
                };
                (Some(tag), reply)
            }
            Arrived::Append { tag, head, literal } => {
                let reply = Box::pin(commands::append::run(self, head, literal)).await?;
                self.announce(Expunges::Allowed).await?;
                (Some(tag), reply)
            }
            Arrived::Refused { tag, reply } => (tag, reply),
            Arrived::Bad { tag, text, then } => {
                let reply = Reply::bad(text);
                if then == Then::Close {
                    reply.write(self.wire.out(), tag.as_deref().unwrap_or("*"));
                    return Err(self
                        .wire
                        .bye("The command cannot be read to its end; goodbye.")
                        .await);
                }
                (tag, reply)
            }
        };
        self.answer(tag.as_deref(), &reply).await
    }

    /// Writes the last line. It leaves when the next command is waited for, so that the answers to
    /// pipelined commands leave together.
    async fn answer(&mut self, tag: Option<&str>, reply: &Reply) -> Result<(), Ended> {
        reply.write(self.wire.out(), tag.unwrap_or("*"));
        if reply.status() == Status::Bad {
            self.bad_commands += 1;
            if self.bad_commands >= limits::BAD_COMMANDS_MAX {
                return Err(self
                    .wire
                    .bye("Too many commands were not understood; goodbye.")
                    .await);
            }
        } else {
            self.bad_commands = 0;
        }
        if let State::Selected(selected) = &self.state
            && selected.is_deleted()
        {
            let text = "The selected mailbox was deleted; please connect again.";
            return Err(self.wire.bye(text).await);
        }
        self.wire.relieve().await
    }

    /// Check, then do, then tell what changed meanwhile.
    async fn perform(&mut self, command: Command, tag: &str) -> Result<Option<Reply>, Ended> {
        let rule = commands::rule(&command);
        if let Some(refusal) = self.check(&rule) {
            return Ok(Some(refusal));
        }
        self.wire.tag = tag.into();
        let reply = commands::run(self, command).await?;
        self.announce(rule.expunges).await?;
        if rule.deletes {
            self.close_deleted();
        }
        Ok(reply)
    }

    /// Whether the command may be given now.
    fn check(&self, rule: &commands::Rule) -> Option<Reply> {
        let selected = matches!(self.state, State::Selected(_));
        let known = !matches!(self.state, State::Stranger(_));
        match rule.when {
            When::Always => None,
            When::Stranger if known => Some(Reply::bad("You are logged in already.")),
            When::Stranger => None,
            When::Known if !known => Some(Reply::bad(format!(
                "{} is for those who have logged in; log in first.",
                rule.name
            ))),
            When::Known => None,
            When::Selected if !known => Some(Reply::bad(format!(
                "{} is for those who have logged in; log in first.",
                rule.name
            ))),
            When::Selected if !selected => Some(Reply::bad(format!(
                "{} needs a selected mailbox; give SELECT or EXAMINE first.",
                rule.name
            ))),
            When::Selected => None,
        }
    }

    /// Writes what happened in the selected mailbox since the last time.
    pub(super) async fn announce(&mut self, expunges: Expunges) -> Result<(), Ended> {
        if expunges == Expunges::Nothing {
            return Ok(());
        }
        let State::Selected(selected) = &mut self.state else {
            return Ok(());
        };
        if !selected.has_news(expunges) {
            return Ok(());
        }
        Box::pin(selected.announce(&mut self.wire, expunges)).await
    }

    /// Whoever deletes the mailbox that is selected knows it, and goes on without one.
    fn close_deleted(&mut self) {
        let State::Selected(selected) = &self.state else {
            return;
        };
        if selected.is_deleted() {
            let identity = selected.identity.clone();
            let line = b"* OK [CLOSED] The selected mailbox is deleted.\r\n";
            self.wire.out().extend_from_slice(line);
            self.become_state(State::Known(identity));
        }
    }

    fn bounds(&self) -> Bounds {
        match self.state {
            State::Stranger(_) => Bounds::STRANGER,
            _ => Bounds::KNOWN,
        }
    }

    /// Reads up to the end of the next command. Nothing is held while the peer is silent.
    async fn next_command(&mut self) -> Result<Arrived, Ended> {
        let bounds = self.bounds();
        let mut assembler = Assembler::default();
        let mut deadline = self.patience(limits::AUTOLOGOUT);
        let mut begun = false;
        loop {
            match assembler.step(self.wire.connection.stream.buffer(), &bounds) {
                Outcome::NeedMore => {}
                Outcome::NeedLiteral(literal) => {
                    if let Some((tag, reply)) = self.refuse_before_literal() {
                        if literal.sync == Sync::Waits {
                            let bytes = self.wire.connection.stream.buffer().len();
                            self.wire.connection.stream.consume(bytes);
                            return Ok(Arrived::Refused { tag, reply });
                        }
                    } else if literal.sync == Sync::Waits {
                        self.wire.invite(b"Ready for the literal.").await?;
                    }
                    continue;
                }
                Outcome::Append {
                    tag,
                    head,
                    literal,
                    consumed,
                } => {
                    self.wire.connection.stream.consume(consumed);
                    let head = head.map_err(|fault| fault.text);
                    return Ok(Arrived::Append { tag, head, literal });
                }
                Outcome::Done { request, consumed } => {
                    self.wire.connection.stream.consume(consumed);
                    return Ok(Arrived::Request(request));
                }
                Outcome::Bad {
                    tag,
                    fault,
                    consumed,
                    then,
                } => {
                    self.wire.connection.stream.consume(consumed);
                    return Ok(Arrived::Bad {
                        tag,
                        text: fault.text,
                        then,
                    });
                }
            }
            if !self.wire.connection.stream.buffer().is_empty() && !begun {
                begun = true;
                deadline = self.patience(limits::COMMAND_REST);
            }
            self.fill(deadline).await?;
        }
    }

    /// How long to wait for the peer; strangers get less than `known` does.
    fn patience(&self, known: Duration) -> Deadline {
        match &self.state {
            State::Stranger(stranger) => stranger.patience(known),
            _ => Deadline::after(known),
        }
    }

    /// Waits for bytes, or for the server's wish to stop.
    async fn fill(&mut self, deadline: Deadline) -> Result<(), Ended> {
        self.wire.flush().await?;
        let Connection {
            stream, shutdown, ..
        } = &mut self.wire.connection;
        tokio::select! {
            filled = stream.fill(deadline) => { filled?; Ok(()) }
            () = shutdown.requested() => {
                Err(self.wire.bye("The server is restarting; please connect again.").await)
            }
            barred = self.wire.standing.withdrawn() => Err(self.wire.bye(barred.text()).await),
        }
    }

    /// RFC 3501 §6.2.3: where no login is offered, credentials are not even asked for.
    fn refuse_before_literal(&self) -> Option<(Option<Box<str>>, Reply)> {
        if !matches!(self.state, State::Stranger(_)) {
            return None;
        }
        let input = self.wire.connection.stream.buffer();
        let name = Assembler::name(input);
        if !matches!(name.as_str(), "LOGIN" | "AUTHENTICATE") {
            return None;
        }
        let barred = self.offer().err()?;
        let tag = super::grammar::command::tag_of(input);
        Some((tag, self.no_login(&barred)))
    }

    /// The answer to every login where none is offered, whoever asks and whatever they send (RFC 5530 §3).
    pub(super) fn no_login(&self, barred: &Barred) -> Reply {
        let connection = &self.wire.connection;
        if connection.stream.tls().is_some() || connection.door == Door::Legacy {
            return Reply::from(barred);
        }
        Reply::no(
            Code::PrivacyRequired,
            "Logins need an encrypted connection. Set the connection security in your mail program to \
             STARTTLS on this port, or to SSL/TLS on port 993.",
        )
    }

    /// Changes the state along an edge of the picture.
    pub(super) fn become_state(&mut self, next: State) {
        debug_assert!(self.state.may_become(&next), "no such edge");
        self.state = next;
    }
}
