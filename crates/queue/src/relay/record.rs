//! Writes down what came of an attempt: the rows, the story and the notices it calls for, in one
//! transaction. Decides by the retry plan; sends nothing. Only the relay worker calls it.

use super::{Attempt, Attempted, Cause, HERE, Notices, Outcome, Relay, Try, Waiting, due};
use crate::accept::{self, Arrival, Unsigned};
use crate::bounce::{self, Notice, NoticeKind};
use crate::envelope::ReversePath;
use crate::retry::{Failure, Next, Warn, Warned};
use crate::trace::{self, Event};
use crate::verify::body_at;
use mailbox::Delivery;
use platform::clock::Timestamp;
use platform::params;
use platform::segments::BodyRef;
use platform::store::{StoreError, Tx};

/// Where lines about notices stand: after those of the recipients they tell about.
const NOTICE_LINES_FROM: i64 = 1 << 32;

impl Relay {
    /// Writes what came of an attempt, and the notices it calls for, in one transaction.
    pub(super) async fn record(
        &self,
        attempt: Attempt,
        attempted: Attempted,
    ) -> Result<(), RecordError> {
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
        let mut accounts: Vec<_> = (notices.iter())
            .flat_map(|(_, plan, _)| plan.accounts())
            .collect();
        accounts.extend(changes.iter().filter_map(Change::delivers_to));
        let arrivals: Vec<Option<Arrival>> = (notices.iter())
            .map(|(_, plan, body)| self.queue.arrival(plan, *body))
            .collect();
        let earliest = changes.iter().filter_map(Change::waits_until).min();
        let traces: Vec<_> = (notices.iter())
            .map(|(_, plan, _)| plan.trace().0)
            .collect();
        let written = self
            .queue
            .store
            .write(move |tx| write_record(tx, &attempt, &changes, &notices, now))
            .await;
        if let Err(error) = written {
            // They are made anew under other names.
            self.queue.work.forget_fresh(traces.into_iter());
            return Err(error);
        }
        for account in accounts {
            self.queue.mailboxes.announce(account);
        }
        for arrival in arrivals {
            self.queue.arrived(arrival);
        }
        // Writing it down took longer than its wait: the poll may have passed it by.
        if earliest.is_some_and(|at| at <= self.clock.now()) {
            self.queue.wake();
        }
        Ok(())
    }

    fn changes(&self, attempt: &Attempt, attempted: Attempted, now: Timestamp) -> Vec<Change> {
        let mut tries = attempted.tries;
        let last = tries.last().cloned().unwrap_or_default();
        let pairs = attempt.recipients.iter().zip(attempted.outcomes);
        let success = match attempt.domain.as_str() {
            HERE => (Event::Delivered, NoticeKind::Delivered),
            _ => (Event::Relayed, NoticeKind::Relayed),
        };
        pairs
            .map(|(waiting, outcome)| {
                let jitter = self.random.next_u64().to_le_bytes()[0];
                let next = self.settings.plan.after(&Failure {
                    since: attempt.since(),
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
                change.policy.clone_from(&last.policy);
                change.host = Some(last.host.clone()).filter(|host| !host.is_empty());
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
            submitter: attempt.submitter,
            require_tls: attempt.require_tls,
            wording: &self.settings.wording,
        };
        let message = bounce::accept_for(&facts, &notice, &self.directory).await?;
        if message.recipients.is_empty() {
            tracing::warn!(trace = %attempt.trace, "queue.sender_gone");
            return Ok(None);
        }
        Ok(Some(self.queue.prepare(message, Unsigned::Sent).await?))
    }

    /// What goes back to the sender; nothing where its bytes cannot be read, because a sender who
    /// is told without a copy is better off than one who is never told.
    fn original(&self, attempt: &Attempt) -> bounce::Original {
        let (segments, ret) = (&self.queue.segments, attempt.dsn.ret);
        bounce::original(segments, &attempt.body, ret, attempt.require_tls).unwrap_or_else(
            |error| {
                tracing::error!(%error, trace = %attempt.trace, "queue.original_unreadable");
                bounce::Original::Header(Vec::new())
            },
        )
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Accept(#[from] accept::AcceptError),
    /// A mailbox here does not take a released message.
    #[error("a mailbox refused it: {0}")]
    Mailbox(mailbox::Error),
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
    /// The TLS policy and the host of the last try.
    policy: String,
    host: Option<String>,
    notice: Option<NoticeKind>,
}

impl Change {
    /// The mailbox that a released message goes to now.
    fn delivers_to(&self) -> Option<directory::AccountId> {
        self.waiting
            .account
            .filter(|_| self.event == Event::Delivered)
    }

    fn waits_until(&self) -> Option<Timestamp> {
        match self.after {
            After::WaitsUntil(at) => Some(at),
            After::Gone => None,
        }
    }

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
            policy: self.policy.clone(),
            host: self.host.clone(),
            retry_until: self.until,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum After {
    Gone,
    WaitsUntil(Timestamp),
}

/// What there is to say about recipients whose message is in its mailbox, or goes there now.
pub(super) fn delivered_here(attempt: &Attempt) -> Attempted {
    Attempted {
        outcomes: vec![delivered(); attempt.recipients.len()],
        ..Attempted::default()
    }
}

pub(super) fn delivered() -> Outcome {
    Outcome::Relayed {
        detail: "250 2.1.5 delivered to the mailbox".to_owned(),
        notices: Notices::Us,
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
        policy: String::new(),
        host: None,
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
    // A commit whose end was not known is written again: what is there already is told nobody twice.
    let mut is_new = false;
    for change in changes {
        let n = change.waiting.n;
        let known = match change.after {
            After::Gone => tx.execute(
                "DELETE FROM queue_recipients WHERE message = ?1 AND n = ?2 AND attempts = ?3",
                params![message, n, change.waiting.attempts],
            )?,
            After::WaitsUntil(at) => tx.execute(
                "UPDATE queue_recipients SET attempts = attempts + 1, next_attempt_at = \
                 CASE WHEN held IS NULL AND ordered = 0 THEN ?3 ELSE next_attempt_at END, \
                 last_reply = ?4, delay_notified = ?5, last_cause = ?6 \
                 WHERE message = ?1 AND n = ?2 AND attempts = ?7",
                params![
                    message,
                    n,
                    at.0,
                    &change.detail,
                    change.waiting.warned || change.notice == Some(NoticeKind::Delayed),
                    due::cause_code(change.cause),
                    change.waiting.attempts,
                ],
            )?,
        };
        if known == 0 {
            continue;
        }
        is_new = true;
        if let Some(account) = change.delivers_to() {
            deliver(tx, attempt, &change.waiting, account, now)?;
        }
        let story = trace::stored(&change.told());
        trace::write(tx, attempt.trace, now, n + 1, change.event, &story)?;
    }
    for (n, (kind, plan, body)) in (0_i64..).zip(notices).filter(|_| is_new) {
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

/// A message that was kept back goes to a mailbox here.
fn deliver(
    tx: &mut dyn Tx,
    attempt: &Attempt,
    waiting: &Waiting,
    account: directory::AccountId,
    now: Timestamp,
) -> Result<(), RecordError> {
    // Its bytes may have moved since it was loaded.
    let body = tx.one(
        "SELECT segment, segment_offset, facts_bytes, body_bytes FROM queue_messages \
         WHERE message = ?1",
        params![attempt.trace.0],
        |row| body_at(row, 0),
    )?;
    let delivery = Delivery {
        account,
        mailbox: mailbox::DeliverInto::Inbox,
        body: body.unwrap_or(attempt.body),
        prefix: &accept::delivered_to(&waiting.address),
        flags: mailbox::Flags::default(),
        internal_date: now,
        trace: attempt.trace.0,
    };
    match mailbox::deliver(tx, &delivery) {
        Ok(_) => Ok(()),
        Err(mailbox::Error::Store(error)) => Err(error.into()),
        Err(error) => Err(RecordError::Mailbox(error)),
    }
}
