//! Taking a message over: body bytes into a segment, then one transaction with a row in each local
//! mailbox, a row per remote recipient and the trace. Returns after that transaction is durable;
//! only then may anybody answer 250. On an error nothing of the message exists.

use crate::dispatch::{Dispatch, Folder, Front, Hold, Origin, RequireTls, TlsRequiredNo};
use crate::envelope::{DeliverTo, DsnOptions, Recipient, Return, ReversePath};
use crate::front;
use crate::relay::{self, Attempt, HERE, Ordered};
use crate::schedule::{self, Share, State};
use crate::trace::{self, Event, TraceId};
use crate::work::{Work, share};
use directory::AccountId;
use formats::address::Address;
use mailbox::{Delivery, Mailboxes};
use platform::clock::Timestamp;
use platform::params;
use platform::segments::{BodyRef, Segments};
use platform::spool::Spool;
use platform::store::{Expectation, Store, StoreError, Tx};
use policy::Policies;
use signing::{Signing, SigningError};
use std::collections::HashSet;
use std::sync::Arc;

/// `next_attempt_at` of what is held: nobody who looks for what is due ever meets it.
pub(crate) const HELD: Timestamp = Timestamp(i64::MAX);
/// `held` of what a session asked to be held.
const HELD_BY_RULE: &str = "rule";
/// Recipients of a first attempt that is remembered from the acceptance; the rows of more are read.
const FIRST_ATTEMPT_RECIPIENTS_MAX: usize = 20;
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
    /// It could not be signed.
    #[error("signing failed: {0}")]
    Signing(#[from] SigningError),
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
    pub(crate) work: Arc<Work>,
    pub(crate) signing: Option<Signing>,
    pub(crate) policies: Option<Policies>,
}

impl Queue {
    /// A queue over these stores, that signs nothing and treats all groups alike.
    pub fn new(store: Store, segments: Segments, mailboxes: Mailboxes) -> Self {
        Self {
            store,
            segments,
            mailboxes,
            work: Arc::default(),
            signing: None,
            policies: None,
        }
    }

    /// The same, signing what leaves.
    #[must_use]
    pub fn with_signing(mut self, signing: Signing) -> Self {
        self.signing = Some(signing);
        self
    }

    /// The same, with shares and delays of groups.
    #[must_use]
    pub fn with_policies(mut self, policies: Policies) -> Self {
        self.policies = Some(policies);
        self
    }

    /// Makes the relay worker look through all rows for what is due now.
    pub fn wake(&self) {
        self.work.look();
    }

    /// What the relay worker is doing; `None` where none runs in this program.
    pub fn state(&self) -> Option<State> {
        self.work.state()
    }

    /// Announces that an `accept` is near, so that parallel sessions share one flush. Goes into
    /// `Accept::announced`; it counts for some milliseconds only.
    pub fn expect(&self) -> Expectation {
        self.store.expect_write()
    }

    /// Takes a message over. Durable, and signed where it leaves, when it returns.
    ///
    /// # Errors
    /// See `AcceptError`; nothing was kept then.
    pub async fn accept(&self, message: Accept) -> Result<(), AcceptError> {
        // On the heap, because the future of every session, idle or not, would carry its size.
        Box::pin(self.take_over(message)).await
    }

    async fn take_over(&self, mut message: Accept) -> Result<(), AcceptError> {
        let announced = message.announced.take();
        let (plan, body) = self.prepare(message, Unsigned::Refused).await?;
        let (accounts, arrival) = (plan.accounts(), self.arrival(&plan, body));
        let trace = plan.trace();
        let rows = move |tx: &mut dyn Tx| write_rows(tx, &plan, body);
        let written = match announced {
            Some(announced) => announced.write(rows).await,
            None => self.store.write(rows).await,
        };
        if let Err(error) = written {
            self.work.forget_fresh(std::iter::once(trace.0));
            return Err(error);
        }
        for account in accounts {
            self.mailboxes.announce(account);
        }
        self.arrived(arrival);
        Ok(())
    }

    /// Everything before the rows: release time, signatures, bytes.
    pub(crate) async fn prepare(
        &self,
        mut message: Accept,
        unsigned: Unsigned,
    ) -> Result<(Plan, BodyRef), AcceptError> {
        self.delay(&mut message);
        let mut plan = Plan::new(message)?;
        if let Some(signing) = self.signing.as_ref().filter(|_| plan.leaves()) {
            plan.front = match front::make(signing, &plan.message).await {
                Ok(front) => front,
                Err(error) if unsigned == Unsigned::Sent => {
                    tracing::error!(%error, trace = %plan.message.trace, "queue.notice_unsigned");
                    Front::default()
                }
                Err(error) => return Err(error.into()),
            };
        }
        self.append(plan).await
    }

    /// Customers' mail leaves when their group's mail may.
    fn delay(&self, message: &mut Accept) {
        if let (Some(policies), Origin::Submitted { .. }) =
            (&self.policies, &message.dispatch.origin)
        {
            let dispatch = &mut message.dispatch;
            let group = dispatch.group.as_deref();
            let earliest = policies.snapshot().release_at(group, message.now);
            dispatch.release_at = dispatch.release_at.max(earliest);
        }
    }

    /// What the schedule is to know once the rows are there; `None` where nothing is due yet. Called
    /// before they are written.
    pub(crate) fn arrival(&self, plan: &Plan, body: BodyRef) -> Option<Arrival> {
        let message = &plan.message;
        if plan.waiting.is_empty() || plan.next_attempt_at() > message.now {
            return None;
        }
        let mut domains: Vec<_> = (plan.waiting.iter())
            .map(|waiting| waiting.domain.as_str().into())
            .collect();
        domains.sort_unstable();
        domains.dedup();
        if let Some(attempt) = plan.first_attempt(&domains, body) {
            self.work.coming(message.trace.0, attempt, message.now);
        }
        Some(Arrival {
            message: message.trace.0,
            group: message.dispatch.group.clone(),
            share: share(self.policies.as_ref(), message.dispatch.group.as_deref()),
            due: message.now,
            priority: message.dispatch.priority,
            domains,
        })
    }

    pub(crate) fn arrived(&self, arrival: Option<Arrival>) {
        let Some(arrival) = arrival else { return };
        let waiting: Vec<_> = (arrival.domains.iter())
            .map(|domain| schedule::Waiting {
                message: arrival.message,
                domain,
                group: arrival.group.as_deref(),
                share: arrival.share,
                due: arrival.due,
                priority: arrival.priority,
                warned: false,
                ordered: Ordered::Nothing,
            })
            .collect();
        self.work.arrived(&waiting);
    }

    async fn append(&self, plan: Plan) -> Result<(Plan, BodyRef), AcceptError> {
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

/// What to do where a message cannot be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsigned {
    /// Its sender keeps it and comes again.
    Refused,
    /// A notice without a signature is better than none.
    Sent,
}

/// Work for the schedule.
pub(crate) struct Arrival {
    message: i64,
    domains: Vec<Box<str>>,
    group: Option<Box<str>>,
    share: Share,
    due: Timestamp,
    priority: i8,
}

pub(crate) struct Plan {
    message: Accept,
    local: Vec<LocalCopy>,
    /// Waits for another server, for its release, or (in the domain `relay::HERE`) for its notice of
    /// delivery.
    waiting: Vec<Waiting>,
    /// What goes in front of it where it leaves.
    front: Front,
    /// The first line of its story.
    story: String,
}

/// A recipient that becomes a queue row.
#[derive(Debug)]
struct Waiting {
    domain: String,
    recipient: Recipient,
    /// The mailbox it goes to when it is released.
    account: Option<AccountId>,
}

impl Plan {
    fn new(mut message: Accept) -> Result<Self, AcceptError> {
        let mut local = Vec::new();
        let mut waiting = Vec::new();
        let mut seen = HashSet::new();
        let has_sender = message.sender != ReversePath::Null;
        let is_kept = is_kept(&message);
        let mut told = told(&mut message);
        for recipient in std::mem::take(&mut message.recipients) {
            let account = match recipient.deliver_to {
                DeliverTo::Account(account) => account,
                DeliverTo::Remote => {
                    let domain = recipient.address.domain().to_owned();
                    waiting.push(Waiting {
                        domain,
                        recipient,
                        account: None,
                    });
                    continue;
                }
            };
            let is_first = seen.insert(account);
            if is_first && !is_kept {
                let prefix = delivered_to(&recipient.address);
                local.push(LocalCopy { account, prefix });
            }
            // RFC 3461 §5.2.3: a success that was asked for is reported; the worker does it, so
            // that accepting stays one short transaction.
            if (is_first && is_kept) || (recipient.notify.success && has_sender) {
                waiting.push(Waiting {
                    domain: HERE.to_owned(),
                    recipient,
                    account: (is_first && is_kept).then_some(account),
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
            front: Front::default(),
            story: trace::stored(&told),
        })
    }

    pub(crate) fn accounts(&self) -> Vec<AccountId> {
        self.local.iter().map(|copy| copy.account).collect()
    }

    pub(crate) fn trace(&self) -> TraceId {
        self.message.trace
    }

    /// Whether anything of it goes to another server.
    fn leaves(&self) -> bool {
        self.waiting.iter().any(|waiting| waiting.domain != HERE)
    }

    fn next_attempt_at(&self) -> Timestamp {
        let dispatch = &self.message.dispatch;
        match dispatch.hold {
            Hold::Held => HELD,
            Hold::None => dispatch
                .release_at
                .unwrap_or(self.message.now)
                .max(self.message.now),
        }
    }

    /// The first attempt, where there is one only.
    fn first_attempt(&self, domains: &[Box<str>], body: BodyRef) -> Option<Box<Attempt>> {
        let message = &self.message;
        let [domain] = domains else { return None };
        if self.waiting.len() > FIRST_ATTEMPT_RECIPIENTS_MAX {
            return None;
        }
        let recipients = (0..).zip(&self.waiting).map(|(n, waiting)| relay::Waiting {
            n,
            address: waiting.recipient.address.clone(),
            notify: waiting.recipient.notify,
            original: waiting.recipient.original.clone(),
            attempts: 0,
            warned: false,
            cause: None,
            account: waiting.account,
            ordered: Ordered::Nothing,
        });
        Some(Box::new(Attempt {
            trace: message.trace,
            sender: message.sender.clone(),
            mail_from: (self.front.forward_sender)
                .clone()
                .unwrap_or_else(|| message.sender.clone()),
            dsn: message.dsn.clone(),
            submitter: message.submitter,
            rules_of: message.dispatch.rules_of.clone(),
            group: message.dispatch.group.clone(),
            front: self.front.lines.clone(),
            require_tls: message.dispatch.require_tls,
            tls_required_no: message.dispatch.tls_required_no,
            route: None,
            domain: domain.to_string(),
            recipients: recipients.collect(),
            body,
            accepted_at: message.now,
            released_at: None,
        }))
    }
}

/// Whether a message stays in the queue for a while, whoever it is for.
fn is_kept(message: &Accept) -> bool {
    let release_at = message.dispatch.release_at;
    message.dispatch.hold == Hold::Held || release_at.is_some_and(|at| at > message.now)
}

/// The line that a copy in a mailbox begins with.
pub(crate) fn delivered_to(address: &Address) -> String {
    format!("Delivered-To: {address}\r\n")
}

pub(crate) fn write_rows(tx: &mut dyn Tx, plan: &Plan, body: BodyRef) -> Result<(), AcceptError> {
    let message = &plan.message;
    for copy in &plan.local {
        mailbox::deliver(
            tx,
            &Delivery {
                account: copy.account,
                mailbox: match message.dispatch.folder {
                    Folder::Inbox => mailbox::DeliverInto::Inbox,
                    Folder::Junk if message.dispatch.inbox_for.contains(&copy.account) => {
                        mailbox::DeliverInto::Inbox
                    }
                    Folder::Junk => mailbox::DeliverInto::SpecialUse(mailbox::SpecialUse::Junk),
                },
                body,
                prefix: &copy.prefix,
                flags: mailbox::Flags::default(),
                internal_date: message.now,
                trace: message.trace.0,
            },
        )?;
    }
    if !plan.waiting.is_empty() {
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
    let dispatch = &message.dispatch;
    // Where copies were delivered already, nothing can be called back any more.
    let recipients = if plan.local.is_empty() {
        plan.waiting.len()
    } else {
        0
    };
    let front = Some(&plan.front.lines).filter(|lines| !lines.is_empty());
    let forward_sender = plan.front.forward_sender.as_ref().map(ReversePath::to_text);
    tx.execute(
        "INSERT INTO queue_messages (message, accepted_at, sender, submitter, envelope_id, ret, \
         segment, segment_offset, facts_bytes, body_bytes, recipients, release_at, tls_demand, \
         front, forward_sender, rules_of) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        params![
            message.trace.0,
            message.now.0,
            &message.sender.to_text(),
            message.submitter.map(|account| account.0),
            message.dsn.envelope_id.as_deref(),
            return_code(message.dsn.ret),
            body.segment,
            body.offset,
            body.facts_bytes,
            body.body_bytes,
            i64::try_from(recipients).unwrap_or(0),
            dispatch.release_at.map(|at| at.0),
            tls_demand(dispatch),
            front,
            forward_sender.as_deref(),
            dispatch.rules_of.as_deref(),
        ],
    )?;
    let held = (dispatch.hold == Hold::Held).then_some(HELD_BY_RULE);
    for (n, waiting) in (0_i64..).zip(&plan.waiting) {
        tx.execute(
            "INSERT INTO queue_recipients (message, n, domain, address, notify, original, \
             attempts, next_attempt_at, delay_notified, last_reply, customer_group, priority, \
             account, held) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, 0, '', ?8, ?9, ?10, ?11)",
            params![
                message.trace.0,
                n,
                &waiting.domain,
                &waiting.recipient.address.to_string(),
                waiting.recipient.notify.to_bits(),
                waiting.recipient.original.as_deref(),
                plan.next_attempt_at().0,
                dispatch.group.as_deref(),
                i64::from(dispatch.priority),
                waiting.account.map(|account| account.0),
                held,
            ],
        )?;
    }
    Ok(())
}

fn tls_demand(dispatch: &Dispatch) -> i64 {
    i64::from(dispatch.require_tls == RequireTls::Yes)
        | i64::from(dispatch.tls_required_no == TlsRequiredNo::Present) << 1
}

pub(crate) fn require_tls(demand: i64) -> RequireTls {
    match demand & 1 {
        0 => RequireTls::No,
        _ => RequireTls::Yes,
    }
}

pub(crate) fn tls_required_no(demand: i64) -> TlsRequiredNo {
    match demand & 2 {
        0 => TlsRequiredNo::Absent,
        _ => TlsRequiredNo::Present,
    }
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
