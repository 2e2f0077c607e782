//! Reads from the queue what is due: first pairs of message and destination, then the rows of one
//! pair. Never writes; called by the relay worker.

use super::{ATTEMPT_RECIPIENTS_MAX, Attempt, Cause, Ordered, Waiting};
use crate::accept;
use crate::envelope::{DsnOptions, Notify, ReversePath};
use crate::schedule::Rest;
use crate::trace::TraceId;
use crate::verify::body_at;
use crate::work;
use directory::AccountId;
use formats::address::Address;
use platform::clock::Timestamp;
use platform::params;
use platform::store::{Row, StoreError, Tx};

/// Rows of what is due read at once.
const DUE_ROWS_MAX: i64 = 5000;

/// A pair of message and destination that is due.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub(super) message: i64,
    pub(super) destination: Box<str>,
    pub(super) group: Option<Box<str>>,
    pub(super) due: Timestamp,
    pub(super) priority: i8,
    pub(super) warned: bool,
    pub(super) ordered: Ordered,
}

/// Some pairs, each once, and where to go on.
pub(super) struct Page {
    pub(super) pairs: Vec<Pair>,
    /// The last row, where more may follow it.
    pub(super) last: Option<Place>,
}

/// Where a row stands among those that are due: `next_attempt_at`, `message`, `n`.
pub(super) type Place = (i64, i64, i64);

/// The page of what is due after the row `after`, by time. For what fell due since the last look.
pub(super) fn due(tx: &mut dyn Tx, now: Timestamp, after: Place) -> Result<Page, StoreError> {
    let (at, message, n) = after;
    let rows = tx.all(
        "SELECT next_attempt_at, message, n, domain, route, customer_group, priority, \
         delay_notified, ordered FROM queue_recipients \
         WHERE next_attempt_at <= ?1 AND (next_attempt_at, message, n) > (?2, ?3, ?4) \
         ORDER BY next_attempt_at, message, n LIMIT ?5",
        params![now.0, at, message, n, DUE_ROWS_MAX],
        |row| Ok((place(row)?, pair(row)?)),
    )?;
    Ok(page(rows, now))
}

/// The page of all rows after the row `after`, by message: the quickest way through all of them.
pub(super) fn all(tx: &mut dyn Tx, now: Timestamp, after: Place) -> Result<Page, StoreError> {
    let (_, message, n) = after;
    let rows = tx.all(
        "SELECT next_attempt_at, message, n, domain, route, customer_group, priority, \
         delay_notified, ordered FROM queue_recipients WHERE (message, n) > (?1, ?2) \
         ORDER BY message, n LIMIT ?3",
        params![message, n, DUE_ROWS_MAX],
        |row| Ok((place(row)?, pair(row)?)),
    )?;
    Ok(page(rows, now))
}

fn page(rows: Vec<(Place, Pair)>, now: Timestamp) -> Page {
    let is_full = i64::try_from(rows.len()).is_ok_and(|rows| rows >= DUE_ROWS_MAX);
    let last = rows.last().map(|(place, _)| *place).filter(|_| is_full);
    let mut pairs: Vec<Pair> = Vec::with_capacity(rows.len());
    for (_, pair) in rows {
        let is_known = pairs.last().is_some_and(|known| {
            (known.message, &known.destination) == (pair.message, &pair.destination)
        });
        if pair.due <= now && !is_known {
            pairs.push(pair);
        }
    }
    Page { pairs, last }
}

fn place(row: &dyn Row) -> Result<Place, StoreError> {
    Ok((row.int(0)?, row.int(1)?, row.int(2)?))
}

fn pair(row: &dyn Row) -> Result<Pair, StoreError> {
    Ok(Pair {
        message: row.int(1)?,
        destination: match row.maybe_text(4)? {
            None => row.text(3)?.into(),
            route => work::destination(row.text(3)?, route).into(),
        },
        group: row.maybe_text(5)?.map(Into::into),
        due: Timestamp(row.int(0)?),
        priority: i8::try_from(row.int(6)?).unwrap_or(0),
        warned: row.int(7)? != 0,
        ordered: ordered(row.int(8)?),
    })
}

/// What the rows of a claimed pair hold.
pub(super) enum Loaded {
    Attempt {
        attempt: Box<Attempt>,
        /// Whether more recipients are due than are tried at once.
        rest: Rest,
    },
    /// Nothing is due any more.
    NotDue,
    /// Rows that make no attempt: an address that is none, or no row for the message.
    Unreadable,
}

/// What is due of a claimed pair. Recipients that are ordered back to their sender come alone.
pub(super) fn load(
    tx: &mut dyn Tx,
    message: i64,
    destination: &str,
    now: Timestamp,
) -> Result<Loaded, StoreError> {
    let (domain, route) = work::domain_and_route(destination);
    let mut group = None;
    let rows = tx.all(
        "SELECT n, address, notify, original, attempts, delay_notified, last_cause, account, \
         ordered, customer_group FROM queue_recipients WHERE message = ?1 AND domain = ?2 \
         AND coalesce(route, '') = ?3 AND next_attempt_at <= ?4 ORDER BY ordered DESC, n LIMIT ?5",
        params![
            message,
            domain,
            route.unwrap_or(""),
            now.0,
            ATTEMPT_RECIPIENTS_MAX
        ],
        |row| {
            group = row.maybe_text(9)?.map(Into::into);
            recipient(row)
        },
    )?;
    if rows.is_empty() {
        return Ok(Loaded::NotDue);
    }
    let has_more = i64::try_from(rows.len()).is_ok_and(|rows| rows >= ATTEMPT_RECIPIENTS_MAX);
    let mut recipients: Vec<_> = rows.into_iter().flatten().collect();
    let Some(first) = recipients.first() else {
        return Ok(Loaded::Unreadable);
    };
    let ordered = first.ordered;
    let before = recipients.len();
    recipients.retain(|recipient| recipient.ordered == ordered);
    let rest = match has_more || recipients.len() < before {
        true => Rest::More,
        false => Rest::None,
    };
    let recipients = Recipients {
        domain,
        route,
        group,
        recipients,
    };
    let attempt = attempt(tx, message, recipients)?;
    Ok(
        attempt.map_or(Loaded::Unreadable, |attempt| Loaded::Attempt {
            attempt: Box::new(attempt),
            rest,
        }),
    )
}

/// What the recipients' rows say of an attempt.
struct Recipients<'a> {
    domain: &'a str,
    route: Option<&'a str>,
    group: Option<Box<str>>,
    recipients: Vec<Waiting>,
}

/// The message's row; `None` where there is none.
fn attempt(
    tx: &mut dyn Tx,
    message: i64,
    mut of: Recipients<'_>,
) -> Result<Option<Attempt>, StoreError> {
    tx.one(
        "SELECT sender, envelope_id, ret, accepted_at, segment, segment_offset, facts_bytes, \
         body_bytes, submitter, release_at, tls_demand, front, forward_sender, rules_of \
         FROM queue_messages WHERE message = ?1",
        params![message],
        |row| {
            let sender = reverse_path(row.text(0)?);
            let demand = row.int(10)?;
            Ok(Attempt {
                trace: TraceId(message),
                mail_from: match row.maybe_text(12)? {
                    Some(rewritten) => reverse_path(rewritten),
                    None => sender.clone(),
                },
                sender,
                submitter: row.maybe_int(8)?.map(AccountId),
                rules_of: row.maybe_text(13)?.map(Into::into),
                group: of.group.take(),
                front: match row.is_null(11)? {
                    true => Vec::new(),
                    false => row.bytes(11)?.to_vec(),
                },
                require_tls: accept::require_tls(demand),
                tls_required_no: accept::tls_required_no(demand),
                route: of.route.map(str::to_owned),
                dsn: DsnOptions {
                    envelope_id: row.maybe_text(1)?.map(str::to_owned),
                    ret: accept::return_from_code(row.int(2)?),
                },
                domain: of.domain.to_owned(),
                recipients: std::mem::take(&mut of.recipients),
                accepted_at: Timestamp(row.int(3)?),
                released_at: row.maybe_int(9)?.map(Timestamp),
                body: body_at(row, 4)?,
            })
        },
    )
}

/// `None` where the address cannot be read.
fn recipient(row: &dyn Row) -> Result<Option<Waiting>, StoreError> {
    let Ok(address) = Address::parse(row.text(1)?) else {
        return Ok(None);
    };
    Ok(Some(Waiting {
        n: row.int(0)?,
        address,
        notify: Notify::from_bits(row.int(2)?),
        original: row.maybe_text(3)?.map(str::to_owned),
        attempts: row.int(4)?.try_into().unwrap_or(0),
        warned: row.int(5)? != 0,
        cause: cause(row.int(6)?),
        account: row.maybe_int(7)?.map(AccountId),
        ordered: ordered(row.int(8)?),
    }))
}

fn ordered(code: i64) -> Ordered {
    match code {
        0 => Ordered::Nothing,
        _ => Ordered::Return,
    }
}

/// The code of a cause in `queue_recipients.last_cause`; 0 stands for no failure yet.
pub(super) fn cause_code(cause: Cause) -> i64 {
    match cause {
        Cause::Other => 1,
        Cause::TlsPolicy => 2,
    }
}

fn cause(code: i64) -> Option<Cause> {
    match code {
        1 => Some(Cause::Other),
        2 => Some(Cause::TlsPolicy),
        _ => None,
    }
}

/// A stored sender; what cannot be read back is treated as the null sender, so that no notice can
/// go to a wrong address.
fn reverse_path(text: &str) -> ReversePath {
    Address::parse(text).map_or(ReversePath::Null, ReversePath::Address)
}
