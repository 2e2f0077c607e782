//! The worker that hands waiting messages to other servers: takes what is due, lets a `Transport`
//! try, records what came of it in one transaction together with the notice it may call for.
//!
//! A message to several recipients of one domain is one attempt. A crash between the peer's 250
//! and our record repeats that attempt (RFC 5321 §4.5.4.1 prefers that to losing it); a store that
//! fails does not: the record is tried again until it is written.

mod attempt;
mod due;

pub use attempt::{
    Attempt, Attempted, Attempting, Cause, Notices, Outcome, Peer, TlsSeen, Transport, Try, Waiting,
};

use crate::accept::{self, Queue};
use crate::bounce::{self, Notice, NoticeKind};
use crate::envelope::ReversePath;
use crate::retry::{Failure, Next, RetryPlan, Warn, Warned};
use crate::trace::{self, Event};
use directory::Directory;
use platform::clock::{Clock, Timestamp};
use platform::params;
use platform::random::Random;
use platform::segments::BodyRef;
use platform::spool::SpoolLimits;
use platform::store::{StoreError, Tx};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify as Wake;

/// Recipients of one message and domain tried together (RFC 5321 §4.5.3.1.8 promises 100).
const ATTEMPT_RECIPIENTS_MAX: i64 = 100;
/// Pages of what is due looked at when an attempt ended: the first has work unless it is all for domains
/// that are busy.
const PAGES_AT_WAKE_MAX: usize = 1;
/// Pages of them looked at now and then, so that much mail for a dead domain hides no other.
const PAGES_AT_POLL_MAX: usize = 25;
/// Wait before a record is tried again; doubles up to the longest.
const RECORD_WAIT_FIRST: Duration = Duration::from_millis(100);
const RECORD_WAIT_LONGEST: Duration = Duration::from_secs(60);
/// How often a stop looks whether attempts ended.
const DRAIN_POLL: Duration = Duration::from_millis(20);
/// Wait after an attempt that our own fault ended, before its rows are looked at again.
const FAULT_WAIT: Duration = Duration::from_secs(60);

/// Where lines about notices stand: after those of the recipients they tell about.
const NOTICE_LINES_FROM: i64 = 1 << 32;

/// The domain of rows whose message is in its mailbox already and whose sender is to be told.
pub(crate) const HERE: &str = "";

/// How the worker behaves.
#[derive(Debug, Clone)]
pub struct RelaySettings {
    /// Attempts under way at once.
    pub attempts_max: usize,
    /// Attempts under way at once to one domain.
    pub attempts_per_domain_max: usize,
    /// When to try again and when to give up.
    pub plan: RetryPlan,
    /// The host name notices are sent as.
    pub host: String,
    /// Where notices are put together.
    pub spool: SpoolLimits,
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
    under_way: Mutex<UnderWay>,
    slot_free: Wake,
}

#[derive(Default)]
struct UnderWay {
    attempts: HashSet<(i64, String)>,
    per_domain: HashMap<String, usize>,
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
        Arc::new(Self {
            queue: parts.queue,
            directory: parts.directory,
            transport: parts.transport,
            settings,
            clock: parts.clock,
            random: parts.random,
            traces: parts.traces,
            under_way: Mutex::default(),
            slot_free: Wake::new(),
        })
    }

    /// Works until dropped. Errors of the store are logged and tried again.
    pub async fn run(self: Arc<Self>) {
        let mut poll = tokio::time::interval(self.settings.poll);
        poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let pages_max = tokio::select! {
                biased;
                _ = poll.tick() => PAGES_AT_POLL_MAX,
                () = self.queue.due.notified() => PAGES_AT_WAKE_MAX,
                () = self.slot_free.notified() => PAGES_AT_WAKE_MAX,
            };
            if let Err(error) = self.start_due(pages_max).await {
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
            let left = self.attempts_under_way();
            if left == 0 || tokio::time::Instant::now() >= ends {
                return left;
            }
            tokio::time::sleep(DRAIN_POLL).await;
        }
    }

    async fn start_due(self: &Arc<Self>, pages_max: usize) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut after = None;
        for _ in 0..pages_max {
            let page = self
                .queue
                .store
                .read(move |tx| due::due(tx, now, after))
                .await?;
            for (message, domain) in page.pairs {
                if self.claim(message, &domain) {
                    self.start(message, domain);
                }
            }
            after = page.last;
            if after.is_none() || !self.has_room() {
                break;
            }
        }
        Ok(())
    }

    /// Sets an attempt going whose pair was claimed.
    fn start(self: &Arc<Self>, message: i64, domain: String) {
        let relay = self.clone();
        tokio::spawn(async move {
            let attempt = tokio::spawn({
                let (relay, domain) = (relay.clone(), domain.clone());
                async move { relay.try_once(message, &domain).await }
            });
            // Rows that are due still would be claimed again at once, for ever.
            if !matches!(attempt.await, Ok(Tried::Recorded)) {
                tracing::error!(message, domain, "queue.attempt_without_record");
                tokio::time::sleep(FAULT_WAIT).await;
            }
            relay.release(message, &domain);
        });
    }

    fn has_room(&self) -> bool {
        self.attempts_under_way() < self.settings.attempts_max
    }

    fn attempts_under_way(&self) -> usize {
        let under_way = self.under_way.lock().unwrap_or_else(|e| e.into_inner());
        under_way.attempts.len()
    }

    fn claim(&self, message: i64, domain: &str) -> bool {
        let mut under_way = self.under_way.lock().unwrap_or_else(|e| e.into_inner());
        let busy = under_way.per_domain.get(domain).copied().unwrap_or(0);
        if under_way.attempts.len() >= self.settings.attempts_max
            || busy >= self.settings.attempts_per_domain_max
            || !under_way.attempts.insert((message, domain.to_owned()))
        {
            return false;
        }
        *under_way.per_domain.entry(domain.to_owned()).or_default() += 1;
        true
    }

    fn release(&self, message: i64, domain: &str) {
        let mut under_way = self.under_way.lock().unwrap_or_else(|e| e.into_inner());
        under_way.attempts.remove(&(message, domain.to_owned()));
        if let Some(busy) = under_way.per_domain.get_mut(domain) {
            *busy -= 1;
            if *busy == 0 {
                under_way.per_domain.remove(domain);
            }
        }
        self.slot_free.notify_one();
    }

    async fn try_once(&self, message: i64, domain: &str) -> Tried {
        let (wanted, now) = (domain.to_owned(), self.clock.now());
        let loaded = self
            .queue
            .store
            .read(move |tx| due::load(tx, message, &wanted, now))
            .await;
        let attempt = match loaded {
            Ok(due::Loaded::Attempt(attempt)) => *attempt,
            Ok(due::Loaded::NotDue) => return Tried::Recorded,
            Ok(due::Loaded::Unreadable) => {
                tracing::error!(message, domain, "queue.rows_unreadable");
                return Tried::OurFault;
            }
            Err(error) => {
                tracing::error!(%error, message, "queue.load_failed");
                return Tried::OurFault;
            }
        };
        let mut attempted = if attempt.domain == HERE {
            delivered_here(&attempt)
        } else {
            self.transport.attempt(&attempt, &self.queue.segments).await
        };
        attempted.outcomes.resize(
            attempt.recipients.len(),
            Outcome::Deferred {
                reply: "4.3.0 the attempt ended early".to_owned(),
                cause: Cause::Other,
            },
        );
        self.record_surely(&attempt, &attempted).await;
        Tried::Recorded
    }

    /// Tries to record until it is done. Going back to the queue instead would send the message
    /// again while our disk is full or the database away, once per try.
    async fn record_surely(&self, attempt: &Attempt, attempted: &Attempted) {
        let mut wait = RECORD_WAIT_FIRST;
        while let Err(error) = self.record(attempt.clone(), attempted.clone()).await {
            tracing::error!(%error, trace = %attempt.trace, "queue.record_failed");
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RECORD_WAIT_LONGEST);
        }
    }

    /// Writes what came of an attempt, and the notices it calls for, in one transaction.
    async fn record(&self, attempt: Attempt, attempted: Attempted) -> Result<(), RecordError> {
        let now = self.clock.now();
        let changes = self.changes(&attempt, attempted, now);
        let mut notices = Vec::new();
        for kind in NoticeKind::ALL {
            let about: Vec<_> = changes
                .iter()
                .filter(|c| c.notice == Some(kind))
                .map(Change::reported)
                .collect();
            if about.is_empty() || attempt.sender == ReversePath::Null {
                continue;
            }
            let notice = Notice {
                kind,
                about,
                now,
                trace: self.traces.next(),
            };
            let prepared = self.prepare_notice(&attempt, notice).await?;
            notices.extend(prepared.map(|(plan, body)| (kind, plan, body)));
        }
        let accounts: Vec<_> = notices
            .iter()
            .flat_map(|(_, plan, _)| plan.accounts())
            .collect();
        let wakes = notices.iter().any(|(_, plan, _)| plan.has_waiting());
        self.queue
            .store
            .write(move |tx| write_record(tx, &attempt, &changes, &notices, now))
            .await?;
        for account in accounts {
            self.queue.mailboxes.announce(account);
        }
        if wakes {
            self.queue.due.notify_one();
        }
        Ok(())
    }

    fn changes(&self, attempt: &Attempt, attempted: Attempted, now: Timestamp) -> Vec<Change> {
        let mut tries = attempted.tries;
        let pairs = attempt.recipients.iter().zip(attempted.outcomes);
        let success = match attempt.domain.as_str() {
            HERE => (Event::Delivered, NoticeKind::Delivered),
            _ => (Event::Relayed, NoticeKind::Relayed),
        };
        pairs
            .map(|(waiting, outcome)| {
                let jitter = self.random.next_u64().to_le_bytes()[0];
                let next = self.settings.plan.after(&Failure {
                    since: attempt.accepted_at,
                    attempts: waiting.attempts + 1,
                    cause: outcome.cause(),
                    previous: waiting.cause,
                    warned: match waiting.warned {
                        true => Warned::Yes,
                        false => Warned::No,
                    },
                    now,
                    jitter,
                });
                let mut change = change(waiting, outcome, next, success);
                change.tries = std::mem::take(&mut tries);
                change
            })
            .collect()
    }

    async fn prepare_notice(
        &self,
        attempt: &Attempt,
        notice: Notice,
    ) -> Result<Option<(accept::Plan, BodyRef)>, RecordError> {
        let facts = bounce::About {
            sender: &attempt.sender,
            dsn: &attempt.dsn,
            accepted_at: attempt.accepted_at,
            trace: attempt.trace,
            host: &self.settings.host,
            spool: &self.settings.spool,
            original: self.original(attempt),
        };
        let message = bounce::accept_for(&facts, &notice, &self.directory).await?;
        if message.recipients.is_empty() {
            tracing::warn!(trace = %attempt.trace, "queue.sender_gone");
            return Ok(None);
        }
        Ok(Some(self.queue.append(accept::Plan::new(message)?).await?))
    }

    /// What goes back to the sender; nothing where its bytes cannot be read, because a sender who
    /// is told without a copy is better off than one who is never told.
    fn original(&self, attempt: &Attempt) -> bounce::Original {
        bounce::original(&self.queue.segments, &attempt.body, attempt.dsn.ret).unwrap_or_else(
            |error| {
                tracing::error!(%error, trace = %attempt.trace, "queue.original_unreadable");
                bounce::Original::Header(Vec::new())
            },
        )
    }
}

/// What came of a claimed pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tried {
    /// Its rows say what comes next, or there were none.
    Recorded,
    /// Its rows are as they were.
    OurFault,
}

#[derive(Debug, thiserror::Error)]
enum RecordError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Accept(#[from] accept::AcceptError),
    #[error("making a notice failed: {0}")]
    Notice(#[from] bounce::NoticeError),
}

/// What one outcome does to a waiting recipient.
#[derive(Debug, Clone)]
struct Change {
    waiting: Waiting,
    /// Why it failed; without meaning for a success.
    cause: Cause,
    /// Until when it is tried.
    until: Option<Timestamp>,
    after: After,
    event: Event,
    detail: String,
    /// What was tried; with the first recipient of an attempt only.
    tries: Vec<Try>,
    notice: Option<NoticeKind>,
}

impl Change {
    fn told(&self) -> trace::Settled {
        trace::Settled {
            to: self.waiting.address.to_string(),
            reply: trace::clean(&self.detail),
            cause: self.cause,
            next_ms: match self.after {
                After::WaitsUntil(at) => Some(at.0),
                After::Gone => None,
            },
            tries: self.tries.clone(),
        }
    }

    fn reported(&self) -> bounce::Reported {
        bounce::Reported {
            address: self.waiting.address.clone(),
            original: self.waiting.original.clone(),
            reply: self.detail.clone(),
            cause: self.cause,
            retry_until: self.until,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum After {
    Gone,
    WaitsUntil(Timestamp),
}

/// What there is to say about recipients whose message is in its mailbox.
fn delivered_here(attempt: &Attempt) -> Attempted {
    let delivered = Outcome::Relayed {
        detail: "250 2.1.5 delivered to the mailbox".to_owned(),
        notices: Notices::Us,
    };
    Attempted {
        outcomes: vec![delivered; attempt.recipients.len()],
        ..Attempted::default()
    }
}

/// Decides what an outcome means; `success` is how a success is recorded and reported. Pure.
fn change(waiting: &Waiting, outcome: Outcome, next: Next, success: (Event, NoticeKind)) -> Change {
    let notify = waiting.notify;
    let cause = outcome.cause();
    let until = match next {
        Next::Retry { until, .. } => Some(until),
        Next::GiveUp => None,
    };
    let (after, event, detail, notice) = match (outcome, next) {
        (Outcome::Relayed { detail, notices }, _) => {
            let ours = notices == Notices::Us && notify.success;
            (After::Gone, success.0, detail, ours.then_some(success.1))
        }
        (Outcome::Failed { reply, .. }, _) | (Outcome::Deferred { reply, .. }, Next::GiveUp) => (
            After::Gone,
            Event::Failed,
            reply,
            notify.failure.then_some(NoticeKind::Failed),
        ),
        (Outcome::Deferred { reply, .. }, Next::Retry { at, warn, .. }) => {
            let due = warn == Warn::Now && notify.delay;
            (
                After::WaitsUntil(at),
                Event::Deferred,
                reply,
                due.then_some(NoticeKind::Delayed),
            )
        }
    };
    Change {
        waiting: waiting.clone(),
        cause,
        until,
        after,
        event,
        detail,
        tries: Vec::new(),
        notice,
    }
}

fn write_record(
    tx: &mut dyn Tx,
    attempt: &Attempt,
    changes: &[Change],
    notices: &[(NoticeKind, accept::Plan, BodyRef)],
    now: Timestamp,
) -> Result<(), RecordError> {
    let message = attempt.trace.0;
    for change in changes {
        let n = change.waiting.n;
        match change.after {
            After::Gone => tx.execute(
                "DELETE FROM queue_recipients WHERE message = ?1 AND n = ?2",
                params![message, n],
            )?,
            After::WaitsUntil(at) => tx.execute(
                "UPDATE queue_recipients SET attempts = attempts + 1, next_attempt_at = ?3, \
                 last_reply = ?4, delay_notified = ?5, last_cause = ?6 WHERE message = ?1 AND n = ?2",
                params![
                    message,
                    n,
                    at.0,
                    &change.detail,
                    change.waiting.warned || change.notice == Some(NoticeKind::Delayed),
                    due::cause_code(change.cause),
                ],
            )?,
        };
        let story = trace::stored(&change.told());
        trace::write(tx, attempt.trace, now, n + 1, change.event, &story)?;
    }
    for (n, (kind, plan, body)) in (0_i64..).zip(notices) {
        accept::write_rows(tx, plan, *body)?;
        let told = trace::Noticed {
            notice: plan.trace().to_string(),
            says: kind.word().to_owned(),
        };
        let story = trace::stored(&told);
        trace::write(
            tx,
            attempt.trace,
            now,
            NOTICE_LINES_FROM + n,
            Event::Bounced,
            &story,
        )?;
    }
    tx.execute(
        "DELETE FROM queue_messages WHERE message = ?1 AND NOT EXISTS \
         (SELECT 1 FROM queue_recipients WHERE queue_recipients.message = ?1)",
        params![message],
    )?;
    Ok(())
}
