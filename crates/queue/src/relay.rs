//! The worker that hands waiting messages to other servers: takes what is due, lets a `Transport`
//! try, records what came of it in one transaction together with the notice it may call for.
//!
//! A message to several recipients of one domain is one attempt. A crash between the peer's 250
//! and our record repeats that attempt (RFC 5321 §4.5.4.1 prefers that to losing it).

use crate::accept::{self, Queue};
use crate::bounce::{self, Notice, NoticeKind};
use crate::envelope::{DsnOptions, Notify, ReversePath};
use crate::retry::{Next, RetryPlan, Warn};
use crate::trace::{self, Event, TraceId};
use crate::verify::body_at;
use directory::Directory;
use formats::address::Address;
use platform::clock::{Clock, Timestamp};
use platform::params;
use platform::random::Random;
use platform::segments::{BodyRef, Segments};
use platform::spool::SpoolLimits;
use platform::store::{StoreError, Tx};
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify as Wake;

/// Recipients of one message and domain tried together (RFC 5321 §4.5.3.1.8 promises 100).
const ATTEMPT_RECIPIENTS_MAX: i64 = 100;
/// Rows looked at in one pass over what is due.
const DUE_ROWS_MAX: i64 = 2000;

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

/// One try: some recipients of one message in one domain.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The message.
    pub trace: TraceId,
    /// MAIL FROM.
    pub sender: ReversePath,
    /// RET and ENVID.
    pub dsn: DsnOptions,
    /// The recipients' domain.
    pub domain: String,
    /// Who is tried, at most `ATTEMPT_RECIPIENTS_MAX`.
    pub recipients: Vec<Waiting>,
    /// Where the message's bytes are.
    pub body: BodyRef,
    accepted_at: Timestamp,
}

impl Attempt {
    /// Whether it was tried before.
    pub fn is_retry(&self) -> bool {
        self.recipients.iter().any(|waiting| waiting.attempts > 0)
    }
}

/// A recipient waiting in the queue.
#[derive(Debug, Clone)]
pub struct Waiting {
    n: i64,
    /// RCPT TO.
    pub address: Address,
    /// NOTIFY.
    pub notify: Notify,
    /// ORCPT.
    pub original: Option<String>,
    attempts: u32,
    warned: bool,
}

/// What came of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The next server took it over.
    Relayed {
        /// Its words, with host and TLS facts: `name=value …`.
        detail: String,
        /// Whether it also took over the duty to send notices.
        notices: Notices,
    },
    /// It may work later.
    Deferred {
        /// Reply or local reason, with enhanced code where there is one.
        reply: String,
    },
    /// It will not work.
    Failed {
        /// Reply or local reason, with enhanced code where there is one.
        reply: String,
    },
}

/// Who sends notices about a relayed recipient (RFC 3461 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notices {
    /// The next server knows DSN.
    NextServer,
    /// It does not; a "relayed" notice is ours where SUCCESS was asked for.
    Us,
}

/// A running attempt; gives one outcome per recipient, in their order.
pub type Attempting<'a> = Pin<Box<dyn Future<Output = Vec<Outcome>> + Send + 'a>>;

/// What carries a message to another server. Implemented by the SMTP client.
pub trait Transport: Send + Sync {
    /// Tries once, within its own time limits. Must give one outcome per recipient; a missing one
    /// counts as deferred.
    fn attempt<'a>(&'a self, attempt: &'a Attempt, segments: &'a Segments) -> Attempting<'a>;
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
        loop {
            if let Err(error) = self.start_due().await {
                tracing::error!(%error, "queue.scan_failed");
            }
            tokio::select! {
                () = self.queue.due.notified() => {}
                () = self.slot_free.notified() => {}
                () = tokio::time::sleep(self.settings.poll) => {}
            }
        }
    }

    async fn start_due(self: &Arc<Self>) -> Result<(), StoreError> {
        let now = self.clock.now();
        let due = self.queue.store.read(move |tx| due(tx, now)).await?;
        for (message, domain) in due {
            if !self.claim(message, &domain) {
                continue;
            }
            let relay = self.clone();
            tokio::spawn(async move {
                relay.try_once(message, &domain).await;
                relay.release(message, &domain);
            });
        }
        Ok(())
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

    async fn try_once(&self, message: i64, domain: &str) {
        let (wanted, now) = (domain.to_owned(), self.clock.now());
        let loaded = self
            .queue
            .store
            .read(move |tx| load(tx, message, &wanted, now))
            .await;
        let attempt = match loaded {
            Ok(Some(attempt)) => attempt,
            Ok(None) => return,
            Err(error) => return tracing::error!(%error, message, "queue.load_failed"),
        };
        let mut outcomes = if attempt.domain == HERE {
            delivered_here(&attempt)
        } else {
            self.transport.attempt(&attempt, &self.queue.segments).await
        };
        outcomes.resize(
            attempt.recipients.len(),
            Outcome::Deferred {
                reply: "4.3.0 the attempt ended early".to_owned(),
            },
        );
        if let Err(error) = self.record(attempt, outcomes).await {
            tracing::error!(%error, message, "queue.record_failed");
            // Without a record the rows are due at once; wait, so that a full disk at our side
            // does not become a flood at the peer's.
            tokio::time::sleep(self.settings.plan.first_wait.min(Duration::from_secs(60))).await;
        }
    }

    /// Writes what came of an attempt, and the notices it calls for, in one transaction.
    async fn record(&self, attempt: Attempt, outcomes: Vec<Outcome>) -> Result<(), RecordError> {
        let now = self.clock.now();
        let changes = self.changes(&attempt, outcomes, now);
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
            notices.extend(self.prepare_notice(&attempt, notice).await?);
        }
        let accounts: Vec<_> = notices
            .iter()
            .flat_map(|(plan, _)| plan.accounts())
            .collect();
        let wakes = notices.iter().any(|(plan, _)| plan.has_waiting());
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

    fn changes(&self, attempt: &Attempt, outcomes: Vec<Outcome>, now: Timestamp) -> Vec<Change> {
        let pairs = attempt.recipients.iter().zip(outcomes);
        let success = match attempt.domain.as_str() {
            HERE => (Event::Delivered, NoticeKind::Delivered),
            _ => (Event::Relayed, NoticeKind::Relayed),
        };
        pairs
            .map(|(waiting, outcome)| {
                let jitter = self.random.next_u64().to_le_bytes()[0];
                let next = self.settings.plan.next(
                    attempt.accepted_at,
                    waiting.attempts + 1,
                    waiting.warned,
                    now,
                    jitter,
                );
                change(waiting, outcome, next, success)
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
            give_up_at: attempt.accepted_at.plus(self.settings.plan.give_up_after),
            host: &self.settings.host,
            spool: &self.settings.spool,
            original: bounce::original(&self.queue.segments, &attempt.body, attempt.dsn.ret)?,
        };
        let message = bounce::accept_for(&facts, &notice, &self.directory).await?;
        if message.recipients.is_empty() {
            tracing::warn!(trace = %attempt.trace, "queue.sender_gone");
            return Ok(None);
        }
        Ok(Some(self.queue.append(accept::Plan::new(message)?).await?))
    }
}

#[derive(Debug, thiserror::Error)]
enum RecordError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Accept(#[from] accept::AcceptError),
    #[error("reading the message for a notice failed: {0}")]
    Body(#[from] std::io::Error),
    #[error("making a notice failed: {0}")]
    Notice(#[from] bounce::NoticeError),
}

/// What one outcome does to a waiting recipient.
#[derive(Debug, Clone)]
struct Change {
    waiting: Waiting,
    after: After,
    event: Event,
    detail: String,
    notice: Option<NoticeKind>,
}

impl Change {
    fn reported(&self) -> bounce::Reported {
        bounce::Reported {
            address: self.waiting.address.clone(),
            original: self.waiting.original.clone(),
            reply: self.detail.clone(),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum After {
    Gone,
    WaitsUntil(Timestamp),
}

/// What there is to say about recipients whose message is in its mailbox.
fn delivered_here(attempt: &Attempt) -> Vec<Outcome> {
    let delivered = Outcome::Relayed {
        detail: "250 2.1.5 delivered to the mailbox".to_owned(),
        notices: Notices::Us,
    };
    vec![delivered; attempt.recipients.len()]
}

/// Decides what an outcome means; `success` is how a success is recorded and reported. Pure.
fn change(waiting: &Waiting, outcome: Outcome, next: Next, success: (Event, NoticeKind)) -> Change {
    let notify = waiting.notify;
    let (after, event, detail, notice) = match (outcome, next) {
        (Outcome::Relayed { detail, notices }, _) => {
            let ours = notices == Notices::Us && notify.success;
            (After::Gone, success.0, detail, ours.then_some(success.1))
        }
        (Outcome::Failed { reply }, _) | (Outcome::Deferred { reply }, Next::GiveUp) => (
            After::Gone,
            Event::Failed,
            reply,
            notify.failure.then_some(NoticeKind::Failed),
        ),
        (Outcome::Deferred { reply }, Next::Retry { at, warn }) => {
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
        after,
        event,
        detail,
        notice,
    }
}

fn write_record(
    tx: &mut dyn Tx,
    attempt: &Attempt,
    changes: &[Change],
    notices: &[(accept::Plan, BodyRef)],
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
                 last_reply = ?4, delay_notified = ?5 WHERE message = ?1 AND n = ?2",
                params![
                    message,
                    n,
                    at.0,
                    &change.detail,
                    change.waiting.warned || change.notice == Some(NoticeKind::Delayed),
                ],
            )?,
        };
        let detail = format!("to=<{}> {}", change.waiting.address, change.detail);
        trace::write(tx, attempt.trace, now, n + 1, change.event, &detail)?;
    }
    for (plan, body) in notices {
        accept::write_rows(tx, plan, *body)?;
        let detail = format!("notice={}", plan.trace());
        trace::write(tx, attempt.trace, now, 0, Event::Bounced, &detail)?;
    }
    tx.execute(
        "DELETE FROM queue_messages WHERE message = ?1 AND NOT EXISTS \
         (SELECT 1 FROM queue_recipients WHERE queue_recipients.message = ?1)",
        params![message],
    )?;
    Ok(())
}

/// Message and domain pairs that are due, oldest first, each once.
fn due(tx: &mut dyn Tx, now: Timestamp) -> Result<Vec<(i64, String)>, StoreError> {
    let mut seen = HashSet::new();
    let rows = tx.all(
        "SELECT message, domain FROM queue_recipients WHERE next_attempt_at <= ?1 \
         ORDER BY next_attempt_at, message, n LIMIT ?2",
        params![now.0, DUE_ROWS_MAX],
        |row| Ok((row.int(0)?, row.text(1)?.to_owned())),
    )?;
    Ok(rows
        .into_iter()
        .filter(|pair| seen.insert(pair.clone()))
        .collect())
}

fn load(
    tx: &mut dyn Tx,
    message: i64,
    domain: &str,
    now: Timestamp,
) -> Result<Option<Attempt>, StoreError> {
    let recipients: Vec<_> = tx
        .all(
            "SELECT n, address, notify, original, attempts, delay_notified FROM queue_recipients \
             WHERE message = ?1 AND domain = ?2 AND next_attempt_at <= ?3 ORDER BY n LIMIT ?4",
            params![message, domain, now.0, ATTEMPT_RECIPIENTS_MAX],
            |row| {
                let address = Address::parse(row.text(1)?).ok();
                Ok(address.map(|address| Waiting {
                    n: row.int(0).unwrap_or_default(),
                    address,
                    notify: Notify::from_bits(row.int(2).unwrap_or_default()),
                    original: row.maybe_text(3).ok().flatten().map(str::to_owned),
                    attempts: row.int(4).ok().and_then(|n| n.try_into().ok()).unwrap_or(0),
                    warned: row.int(5).unwrap_or_default() != 0,
                }))
            },
        )?
        .into_iter()
        .flatten()
        .collect();
    if recipients.is_empty() {
        return Ok(None);
    }
    tx.one(
        "SELECT sender, envelope_id, ret, accepted_at, segment, segment_offset, \
         facts_bytes, body_bytes FROM queue_messages WHERE message = ?1",
        params![message],
        |row| {
            Ok(Attempt {
                trace: TraceId(message),
                sender: reverse_path(row.text(0)?),
                dsn: DsnOptions {
                    envelope_id: row.maybe_text(1)?.map(str::to_owned),
                    ret: accept::return_from_code(row.int(2)?),
                },
                domain: domain.to_owned(),
                recipients: recipients.clone(),
                accepted_at: Timestamp(row.int(3)?),
                body: body_at(row, 4)?,
            })
        },
    )
}

/// A stored sender; what cannot be read back is treated as the null sender, so that no notice can
/// go to a wrong address.
fn reverse_path(text: &str) -> ReversePath {
    Address::parse(text).map_or(ReversePath::Null, ReversePath::Address)
}
