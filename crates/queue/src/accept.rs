//! Taking a message over: body bytes into a segment, then one transaction with a row in each local
//! mailbox, a row per remote recipient and the trace. Returns after that transaction is durable;
//! only then may anybody answer 250. On an error nothing of the message exists.

use crate::dispatch::Dispatch;
use crate::envelope::{DeliverTo, DsnOptions, Recipient, Return, ReversePath};
use crate::relay::HERE;
use crate::trace::{self, Event, TraceId};
use directory::AccountId;
use mailbox::{Delivery, Mailboxes};
use platform::clock::Timestamp;
use platform::params;
use platform::segments::{BodyRef, Segments};
use platform::spool::Spool;
use platform::store::{Expectation, Store, StoreError, Tx};
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::Notify as Wake;

/// Bodies up to this size are appended on the session's own task; the write into the page cache
/// takes some ten microseconds, less than handing it to another thread.
const INLINE_APPEND_BYTES_MAX: u64 = 256 * 1024;

/// A message ready to be taken over.
pub struct Accept {
    /// Its name in trace and replies.
    pub trace: TraceId,
    /// MAIL FROM.
    pub sender: ReversePath,
    /// Accepted recipients, at least one.
    pub recipients: Vec<Recipient>,
    /// The account that submitted it; `None` for mail from other servers.
    pub submitter: Option<AccountId>,
    /// RET and ENVID.
    pub dsn: DsnOptions,
    /// The message with Return-Path and Received in front.
    pub body: Spool,
    /// `formats::message::Facts` of `body`, encoded.
    pub facts: Vec<u8>,
    /// The session that brought it, for its story.
    pub session: trace::Session,
    /// The time of acceptance; INTERNALDATE of local copies.
    pub now: Timestamp,
    /// From `Queue::expect`, asked for when the message began to come in.
    pub announced: Option<Expectation>,
    /// How it is to travel, where it leaves.
    pub dispatch: Dispatch,
}

/// Why a message could not be taken over. The peer keeps it and tries again (4yz).
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// Its bytes could not be written.
    #[error("writing the message failed: {0}")]
    Body(#[from] std::io::Error),
    /// The transaction failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A local mailbox refused it, for example because it is gone.
    #[error("a mailbox refused it: {0}")]
    Mailbox(#[from] mailbox::Error),
    /// Nobody to deliver to.
    #[error("no recipient")]
    NoRecipient,
}

/// Mail in motion. Cheap to clone.
#[derive(Clone)]
pub struct Queue {
    pub(crate) store: Store,
    pub(crate) segments: Segments,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) due: Arc<Wake>,
}

impl Queue {
    /// A queue over these stores.
    pub fn new(store: Store, segments: Segments, mailboxes: Mailboxes) -> Self {
        Self {
            store,
            segments,
            mailboxes,
            due: Arc::new(Wake::new()),
        }
    }

    /// Makes the relay worker look for what is due now.
    pub fn wake(&self) {
        self.due.notify_one();
    }

    /// Announces that an `accept` is near, so that parallel sessions share one flush. Goes into
    /// `Accept::announced`; it counts for some milliseconds only.
    pub fn expect(&self) -> Expectation {
        self.store.expect_write()
    }

    /// Takes a message over. Durable when it returns.
    ///
    /// # Errors
    /// See `AcceptError`; nothing was kept then.
    pub async fn accept(&self, message: Accept) -> Result<(), AcceptError> {
        let plan = Plan::new(message)?;
        let (mut plan, body) = self.append(plan).await?;
        let accounts = plan.accounts();
        let waiting = plan.has_waiting();
        let announced = plan.message.announced.take();
        let rows = move |tx: &mut dyn Tx| write_rows(tx, &plan, body);
        match announced {
            Some(announced) => announced.write(rows).await?,
            None => self.store.write(rows).await?,
        }
        for account in accounts {
            self.mailboxes.announce(account);
        }
        if waiting {
            self.due.notify_one();
        }
        Ok(())
    }

    pub(crate) async fn append(&self, plan: Plan) -> Result<(Plan, BodyRef), AcceptError> {
        if plan.message.body.len() <= INLINE_APPEND_BYTES_MAX {
            let at = self
                .segments
                .append(&plan.message.facts, &plan.message.body)?;
            return Ok((plan, at));
        }
        let segments = self.segments.clone();
        let appended = tokio::task::spawn_blocking(move || {
            segments
                .append(&plan.message.facts, &plan.message.body)
                .map(|at| (plan, at))
        });
        Ok(appended.await.map_err(std::io::Error::other)??)
    }
}

/// A copy for one account: several addresses that lead to one account get one copy.
#[derive(Debug)]
struct LocalCopy {
    account: AccountId,
    prefix: String,
}

pub(crate) struct Plan {
    message: Accept,
    local: Vec<LocalCopy>,
    /// Waits for another server, or (in the domain `relay::HERE`) for its notice of delivery.
    waiting: Vec<Waiting>,
    /// The first line of its story.
    story: String,
}

/// A recipient that becomes a queue row.
#[derive(Debug)]
struct Waiting {
    domain: String,
    recipient: Recipient,
}

impl Plan {
    pub(crate) fn new(mut message: Accept) -> Result<Self, AcceptError> {
        let mut local = Vec::new();
        let mut waiting = Vec::new();
        let mut seen = HashSet::new();
        let has_sender = message.sender != ReversePath::Null;
        let mut told = told(&mut message);
        for recipient in std::mem::take(&mut message.recipients) {
            let account = match recipient.deliver_to {
                DeliverTo::Account(account) => account,
                DeliverTo::Remote => {
                    let domain = recipient.address.domain().to_owned();
                    waiting.push(Waiting { domain, recipient });
                    continue;
                }
            };
            if seen.insert(account) {
                let prefix = format!("Delivered-To: {}\r\n", recipient.address);
                local.push(LocalCopy { account, prefix });
            }
            // RFC 3461 §5.2.3: a success that was asked for is reported; the worker does it, so
            // that accepting stays one short transaction.
            if recipient.notify.success && has_sender {
                waiting.push(Waiting {
                    domain: HERE.to_owned(),
                    recipient,
                });
            }
        }
        if local.is_empty() && waiting.is_empty() {
            return Err(AcceptError::NoRecipient);
        }
        told.local = local.len();
        told.waiting = waiting.len();
        Ok(Self {
            message,
            local,
            waiting,
            story: trace::stored(&told),
        })
    }

    pub(crate) fn accounts(&self) -> Vec<AccountId> {
        self.local.iter().map(|copy| copy.account).collect()
    }

    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(crate) fn trace(&self) -> TraceId {
        self.message.trace
    }
}

pub(crate) fn write_rows(tx: &mut dyn Tx, plan: &Plan, body: BodyRef) -> Result<(), AcceptError> {
    let message = &plan.message;
    for copy in &plan.local {
        mailbox::deliver(
            tx,
            &Delivery {
                account: copy.account,
                mailbox: mailbox::DeliverInto::Inbox,
                body,
                prefix: &copy.prefix,
                flags: mailbox::Flags::default(),
                internal_date: message.now,
                trace: message.trace.0,
            },
        )?;
    }
    if plan.has_waiting() {
        write_queue_rows(tx, plan, body)?;
    }
    let (id, at) = (message.trace, message.now);
    trace::write(tx, id, at, 0, Event::Accepted, &plan.story)?;
    trace::keep_origin(tx, id, &message.session)?;
    Ok(())
}

/// What the story says first. The client of the session stays with the message, for its origin.
fn told(message: &mut Accept) -> trace::Accepted {
    let told = message.recipients.iter().take(trace::RECIPIENTS_TOLD_MAX);
    let message_id = formats::message::Envelope::from_facts_bytes(&message.facts)
        .ok()
        .and_then(|envelope| envelope.message_id)
        .map(|id| trace::clean(&String::from_utf8_lossy(id)));
    let session = std::mem::take(&mut message.session);
    message.session.client = session.client;
    message.session.hello.clone_from(&session.hello);
    trace::Accepted {
        from: message.sender.to_text(),
        to: told
            .map(|recipient| recipient.address.to_string())
            .collect(),
        to_more: message
            .recipients
            .len()
            .saturating_sub(trace::RECIPIENTS_TOLD_MAX),
        local: 0,
        waiting: 0,
        bytes: i64::try_from(message.body.len()).unwrap_or(i64::MAX),
        message_id,
        session,
    }
}

fn write_queue_rows(tx: &mut dyn Tx, plan: &Plan, body: BodyRef) -> Result<(), StoreError> {
    let message = &plan.message;
    let sender = message.sender.to_text();
    tx.execute(
        "INSERT INTO queue_messages (message, accepted_at, sender, submitter, envelope_id, ret, \
         segment, segment_offset, facts_bytes, body_bytes) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            message.trace.0,
            message.now.0,
            &sender,
            message.submitter.map(|account| account.0),
            message.dsn.envelope_id.as_deref(),
            return_code(message.dsn.ret),
            body.segment,
            body.offset,
            body.facts_bytes,
            body.body_bytes,
        ],
    )?;
    for (n, Waiting { domain, recipient }) in (0_i64..).zip(&plan.waiting) {
        tx.execute(
            "INSERT INTO queue_recipients (message, n, domain, address, notify, original, \
             attempts, next_attempt_at, delay_notified, last_reply) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, 0, '')",
            params![
                message.trace.0,
                n,
                domain,
                &recipient.address.to_string(),
                recipient.notify.to_bits(),
                recipient.original.as_deref(),
                message.now.0,
            ],
        )?;
    }
    Ok(())
}

pub(crate) fn return_code(ret: Return) -> i64 {
    match ret {
        Return::Unspecified => 0,
        Return::Full => 1,
        Return::Headers => 2,
    }
}

pub(crate) fn return_from_code(code: i64) -> Return {
    match code {
        1 => Return::Full,
        2 => Return::Headers,
        _ => Return::Unspecified,
    }
}
