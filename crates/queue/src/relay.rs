//! The worker that hands waiting messages to other servers: takes what is due, lets a `Transport`
//! try, records what came of it in one transaction together with the notice it may call for.
//!
//! A message to several recipients of one domain is one attempt. A crash between the peer's 250
//! and our record repeats that attempt (RFC 5321 §4.5.4.1 prefers that to losing it); a store that
//! fails does not: the record is tried again until it is written.

mod attempt;
mod due;
mod look;
mod record;

pub use attempt::{
    Attempt, Attempted, Attempting, Cause, Notices, Ordered, Outcome, Peer, TlsSeen, Transport,
    Try, Waiting,
};

use crate::accept::Queue;
use crate::bounce;
use crate::list;
use crate::retry::RetryPlan;
use crate::schedule::{self, Change, Claim, Down, Finish, Rest, Schedule, Task};
use crate::trace::TraceId;
use directory::Directory;
use look::Look;
use platform::clock::Clock;
use platform::params;
use platform::random::Random;
use platform::spool::SpoolLimits;
use platform::store::StoreError;
use record::{RecordError, delivered_here};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Recipients of one message and domain tried together (RFC 5321 §4.5.3.1.8 promises 100).
const ATTEMPT_RECIPIENTS_MAX: i64 = 100;
/// Wait before a record is tried again; doubles up to the longest.
const RECORD_WAIT_FIRST: Duration = Duration::from_millis(100);
const RECORD_WAIT_LONGEST: Duration = Duration::from_secs(60);
/// How often a stop looks whether attempts ended.
const DRAIN_POLL: Duration = Duration::from_millis(20);
/// Wait after an attempt that our own fault ended, before its rows are looked at again.
const FAULT_WAIT: Duration = Duration::from_secs(60);
/// Attempts that last longer than this on average make a destination slow.
const SLOW_AFTER: Duration = Duration::from_secs(3);
/// Wait before a destination that cannot be reached is probed; doubles up to the longest.
const PROBE_WAIT_FIRST: Duration = Duration::from_secs(30);
const PROBE_WAIT_LONGEST: Duration = Duration::from_secs(15 * 60);

/// The domain of rows whose message is in its mailbox already and whose sender is to be told.
pub(crate) const HERE: &str = "";

/// How the worker behaves.
#[derive(Debug, Clone)]
pub struct RelaySettings {
    /// Attempts under way at once.
    pub attempts_max: usize,
    /// Attempts under way at once to one domain.
    pub attempts_per_domain_max: usize,
    /// Waiting pairs of message and domain held in memory; the rows of more stay in the store.
    pub entries_max: usize,
    /// When to try again and when to give up.
    pub plan: RetryPlan,
    /// The host name notices are sent as.
    pub host: String,
    /// Where notices are put together.
    pub spool: SpoolLimits,
    /// How notices speak.
    pub wording: bounce::Wording,
    /// How often the queue is looked through for what fell due.
    pub poll: Duration,
}

/// The worker.
pub struct Relay {
    queue: Queue,
    directory: Directory,
    transport: Arc<dyn Transport>,
    settings: RelaySettings,
    clock: Clock,
    random: Random,
    traces: crate::TraceIds,
    is_stopping: AtomicBool,
}

/// What the worker needs beside its settings.
pub struct RelayParts {
    /// The queue it works.
    pub queue: Queue,
    /// Tells which senders are local, so that notices reach them.
    pub directory: Directory,
    /// Carries messages away.
    pub transport: Arc<dyn Transport>,
    /// The time.
    pub clock: Clock,
    /// Jitter.
    pub random: Random,
    /// Names for notices.
    pub traces: crate::TraceIds,
}

impl Relay {
    /// A worker; `run` sets it going.
    pub fn new(parts: RelayParts, settings: RelaySettings) -> Arc<Self> {
        let longest = settings.plan.longest_wait;
        let limits = schedule::Limits {
            attempts_max: settings.attempts_max,
            attempts_per_destination_max: settings.attempts_per_domain_max,
            entries_max: settings.entries_max,
            slow_after: SLOW_AFTER,
            times: schedule::Times {
                first: PROBE_WAIT_FIRST.min(settings.plan.first_wait),
                longest: PROBE_WAIT_LONGEST.min(longest),
            },
        };
        parts.queue.work.begin(Schedule::new(limits));
        Arc::new(Self {
            queue: parts.queue,
            directory: parts.directory,
            transport: parts.transport,
            settings,
            clock: parts.clock,
            random: parts.random,
            traces: parts.traces,
            is_stopping: AtomicBool::new(false),
        })
    }

    /// Works until dropped. Errors of the store are logged and tried again.
    pub async fn run(self: Arc<Self>) {
        let _stops = Stops(self.clone());
        self.restore_destinations().await;
        let mut look = Look::new();
        let mut poll = tokio::time::interval(self.settings.poll);
        poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let polled = tokio::select! {
                biased;
                _ = poll.tick() => true,
                () = self.queue.work.woken() => false,
            };
            self.start_ready();
            if self.queue.work.is_look_wanted() {
                look.want_all();
            }
            if let Err(error) = look.go(&self, polled).await {
                tracing::error!(%error, "queue.scan_failed");
                tokio::time::sleep(self.settings.poll).await;
            }
        }
    }

    /// Waits until no attempt is under way, at most `wait`; gives how many are left. For a stop after
    /// `run` was dropped: an attempt that is cut off between the peer's 250 and the record sends its
    /// message twice.
    pub async fn drained(&self, wait: Duration) -> usize {
        let ends = tokio::time::Instant::now() + wait;
        loop {
            let left = self.schedule(|schedule| schedule.under_way());
            if left == 0 || tokio::time::Instant::now() >= ends {
                return left;
            }
            tokio::time::sleep(DRAIN_POLL).await;
        }
    }

    async fn restore_destinations(&self) {
        match self.queue.store.read(list::down).await {
            Ok(known) => self.schedule(|schedule| {
                known.iter().for_each(|down| schedule.restore(down));
            }),
            // They are found out about again, one attempt each.
            Err(error) => {
                let error: StoreError = error;
                tracing::error!(%error, "queue.destinations_unreadable");
            }
        }
    }

    fn schedule<T: Default>(&self, with: impl FnOnce(&mut Schedule) -> T) -> T {
        self.queue.work.schedule(with).unwrap_or_default()
    }

    /// Sets going whatever may be begun now.
    fn start_ready(self: &Arc<Self>) {
        while let Some(claim) = self.pick() {
            tokio::spawn(self.clone().work_on(claim));
        }
    }

    fn pick(&self) -> Option<Claim> {
        if self.is_stopping.load(Ordering::Acquire) {
            return None;
        }
        let now = self.clock.now();
        self.schedule(|schedule| schedule.pick(now))
    }

    /// Works on one pair after the other as long as there are any to begin.
    async fn work_on(self: Arc<Self>, claim: Claim) {
        let mut next = Some(claim);
        while let Some(claim) = next.take() {
            let held = Held {
                relay: self.clone(),
                claim: Some(claim.clone()),
            };
            let tried = self.try_once(&claim).await;
            held.give_back(tried).await;
            next = self.pick();
            if next.is_some() {
                self.start_ready();
            }
        }
    }

    async fn try_once(&self, claim: &Claim) -> Tried {
        let Some((attempt, rest)) = self.load(claim).await else {
            return Tried::nothing();
        };
        let mut attempted = match &claim.task {
            _ if attempt.is_ordered_back() => returned(&attempt),
            Task::Settle(reply) => deferred_all(&attempt, reply),
            Task::Try if attempt.domain == HERE => delivered_here(&attempt),
            Task::Try => self.transport.attempt(&attempt, &self.queue.segments).await,
        };
        attempted.outcomes.resize(
            attempt.recipients.len(),
            Outcome::Deferred {
                reply: "4.3.0 the attempt ended early".to_owned(),
                cause: Cause::Other,
            },
        );
        let mut tried = Tried::of(&attempted);
        tried.rest = rest;
        self.record_surely(&attempt, attempted).await;
        tried
    }

    /// What is to be tried, and whether that is all; `None` where there is nothing to do.
    async fn load(&self, claim: &Claim) -> Option<(Attempt, Rest)> {
        let now = self.clock.now();
        if let Some(fresh) = self.queue.work.take_fresh(claim, now) {
            return Some((*fresh, Rest::None));
        }
        let (message, destination) = (claim.message, claim.domain.clone());
        let loaded = self
            .queue
            .store
            .read(move |tx| due::load(tx, message, &destination, now))
            .await;
        match loaded {
            Ok(due::Loaded::Attempt { attempt, rest }) => return Some((*attempt, rest)),
            Ok(due::Loaded::NotDue) => return None,
            Ok(due::Loaded::Unreadable) => {
                tracing::error!(message, destination = %claim.domain, "queue.rows_unreadable");
            }
            Err(error) => tracing::error!(%error, message, "queue.load_failed"),
        }
        self.look_later();
        None
    }

    /// Has all rows looked through when our own fault may have passed.
    fn look_later(&self) {
        let work = self.queue.work.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                tokio::time::sleep(FAULT_WAIT).await;
                work.look();
            });
        }
    }

    /// Tries to record until it is done. Going back to the queue instead would send the message
    /// again while our disk is full or the database away, once per try.
    async fn record_surely(&self, attempt: &Attempt, mut attempted: Attempted) {
        let mut wait = RECORD_WAIT_FIRST;
        loop {
            match self.record(attempt.clone(), attempted.clone()).await {
                Ok(()) => return,
                Err(RecordError::Mailbox(error)) => attempted = mailbox_gone(attempt, &error),
                Err(error) => {
                    tracing::error!(%error, trace = %attempt.trace, "queue.record_failed");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(RECORD_WAIT_LONGEST);
                }
            }
        }
    }

    /// Gives a claim back to the schedule and remembers what that says of its destination.
    async fn finish(&self, claim: &Claim, tried: &Tried) {
        let now = self.clock.now();
        let jitter = self.random.next_u64().to_le_bytes()[0];
        let change = self.schedule(|schedule| {
            schedule.finish(
                claim,
                Finish {
                    peer: tried.peer,
                    reply: &tried.reply,
                    now,
                    jitter,
                    rest: tried.rest,
                },
            )
        });
        match change {
            // What asks us to slow down for hours keeps mail from being tried as if it were down.
            None if tried.peer == Peer::Busy => self.settle_aged(&claim.domain),
            None => {}
            Some(Change::Up) => {
                tracing::info!(destination = %claim.domain, "queue.destination_up");
                self.forget_down(claim.domain.clone()).await;
            }
            Some(Change::Down(down)) => {
                tracing::info!(destination = %down.domain, failures = down.failures,
                    reply = %down.last_reply, "queue.destination_down");
                self.settle_aged(&down.domain);
                self.remember_down(down).await;
            }
        }
    }

    /// Senders are told in time although nothing of theirs is tried one by one.
    fn settle_aged(&self, destination: &str) {
        let now = self.clock.now();
        let plan = &self.settings.plan;
        let before = |age: Duration| {
            let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            TraceId::first_at(platform::clock::Timestamp(now.0.saturating_sub(age)))
        };
        let (warn, give_up) = (before(plan.warn_after), before(plan.give_up_after));
        let found = self.schedule(|schedule| schedule.settle_aged(destination, warn, give_up, now));
        if found > 0 {
            self.queue.work.wake();
        }
    }

    async fn remember_down(&self, down: Down) {
        let written: Result<_, StoreError> = self
            .queue
            .store
            .write(move |tx| {
                tx.execute(
                    "INSERT INTO queue_destinations \
                     (domain, down_since, failures, next_attempt_at, last_reply) \
                     VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (domain) DO UPDATE SET \
                     down_since = excluded.down_since, failures = excluded.failures, \
                     next_attempt_at = excluded.next_attempt_at, last_reply = excluded.last_reply",
                    params![
                        &*down.domain,
                        down.since.0,
                        down.failures,
                        down.until.0,
                        &*down.last_reply.replace('\0', " "),
                    ],
                )
            })
            .await;
        if let Err(error) = written {
            tracing::error!(%error, "queue.destination_not_remembered");
        }
    }

    async fn forget_down(&self, domain: Arc<str>) {
        let written: Result<_, StoreError> = self
            .queue
            .store
            .write(move |tx| {
                tx.execute(
                    "DELETE FROM queue_destinations WHERE domain = ?1",
                    params![&*domain],
                )
            })
            .await;
        if let Err(error) = written {
            tracing::error!(%error, "queue.destination_not_forgotten");
        }
    }
}

/// Ends the worker's tasks after their attempt when `run` is dropped.
struct Stops(Arc<Relay>);

impl Drop for Stops {
    fn drop(&mut self) {
        self.0.is_stopping.store(true, Ordering::Release);
    }
}

/// A claim that goes back to the schedule even where the attempt panics.
struct Held {
    relay: Arc<Relay>,
    claim: Option<Claim>,
}

impl Held {
    async fn give_back(mut self, tried: Tried) {
        if let Some(claim) = self.claim.take() {
            self.relay.finish(&claim, &tried).await;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(claim) = self.claim.take() else {
            return;
        };
        if std::thread::panicking() {
            let message = claim.message;
            tracing::error!(message, destination = %claim.domain, "queue.attempt_without_record");
        }
        let now = self.relay.clock.now();
        self.relay.schedule(|schedule| {
            let finish = Finish {
                peer: Peer::Unknown,
                reply: "",
                now,
                jitter: 0,
                rest: Rest::None,
            };
            schedule.finish(&claim, finish);
        });
        self.relay.look_later();
    }
}

/// What a claimed pair told of its destination.
#[derive(Debug)]
struct Tried {
    peer: Peer,
    reply: String,
    rest: Rest,
}

impl Tried {
    /// Nothing of it was tried.
    fn nothing() -> Self {
        Self {
            peer: Peer::Unknown,
            reply: String::new(),
            rest: Rest::None,
        }
    }

    fn of(attempted: &Attempted) -> Self {
        let outcomes = &attempted.outcomes;
        let reply = outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Deferred { reply, .. } => Some(reply.clone()),
            _ => None,
        });
        let is_duty = |outcome: &Outcome| outcome.cause() == Cause::TlsPolicy;
        let peer = match attempted.peer {
            // A duty that this sender has says nothing of what others may do.
            Peer::Busy | Peer::Unreachable if outcomes.iter().any(is_duty) => Peer::Unknown,
            // Nobody is refused for good by a server that cannot be reached.
            Peer::Busy | Peer::Unreachable if reply.is_none() => Peer::Answered,
            peer => peer,
        };
        Self {
            peer,
            reply: reply.unwrap_or_default(),
            rest: Rest::None,
        }
    }
}

/// What is settled for all recipients without asking their server.
fn untried(attempt: &Attempt, outcome: Outcome) -> Attempted {
    Attempted {
        outcomes: vec![outcome; attempt.recipients.len()],
        peer: Peer::Unknown,
        tries: Vec::new(),
    }
}

/// Its destination is down; nothing was tried for it.
fn deferred_all(attempt: &Attempt, reply: &str) -> Attempted {
    let reply = reply.to_owned();
    let cause = Cause::Other;
    untried(attempt, Outcome::Deferred { reply, cause })
}

/// An operator gives it back.
fn returned(attempt: &Attempt) -> Attempted {
    let reply = "5.3.2 the operator of this server returned the message".to_owned();
    let cause = Cause::Other;
    untried(attempt, Outcome::Failed { reply, cause })
}

/// The account was removed while the message was kept back.
fn mailbox_gone(attempt: &Attempt, error: &mailbox::Error) -> Attempted {
    tracing::info!(%error, trace = %attempt.trace, "queue.mailbox_gone");
    let outcomes = (attempt.recipients.iter()).map(|recipient| match recipient.account {
        Some(_) => Outcome::Failed {
            reply: "5.1.1 the mailbox was removed while the message was kept back".to_owned(),
            cause: Cause::Other,
        },
        None => record::delivered(),
    });
    Attempted {
        outcomes: outcomes.collect(),
        ..Attempted::default()
    }
}
