//! Reads from the queue what is due: first pairs of message and domain, then the rows of one pair.
//! Never writes; called by the relay worker.

use super::{ATTEMPT_RECIPIENTS_MAX, Attempt, Cause, Waiting};
use crate::accept;
use crate::dispatch::{RequireTls, TlsRequiredNo};
use crate::envelope::{DsnOptions, Notify, ReversePath};
use crate::trace::TraceId;
use crate::verify::body_at;
use directory::AccountId;
use formats::address::Address;
use platform::clock::Timestamp;
use platform::params;
use platform::store::{StoreError, Tx};
use std::collections::HashSet;

/// Rows of what is due read at once.
const DUE_ROWS_MAX: i64 = 2000;

/// Message and domain pairs that are due, oldest first, each once.
pub(super) struct DuePage {
    pub(super) pairs: Vec<(i64, String)>,
    /// The last row, where more may follow it.
    pub(super) last: Option<DueRow>,
}

/// Where a row stands among those that are due: `next_attempt_at`, `message`, `n`.
pub(super) type DueRow = (i64, i64, i64);

/// The page after the row `after`; `None` begins.
pub(super) fn due(
    tx: &mut dyn Tx,
    now: Timestamp,
    after: Option<DueRow>,
) -> Result<DuePage, StoreError> {
    let (at, message, n) = after.unwrap_or((i64::MIN, i64::MIN, i64::MIN));
    let rows = tx.all(
        "SELECT next_attempt_at, message, n, domain FROM queue_recipients \
         WHERE next_attempt_at <= ?1 AND (next_attempt_at, message, n) > (?2, ?3, ?4) \
         ORDER BY next_attempt_at, message, n LIMIT ?5",
        params![now.0, at, message, n, DUE_ROWS_MAX],
        |row| {
            let place = (row.int(0)?, row.int(1)?, row.int(2)?);
            Ok((place, row.text(3)?.to_owned()))
        },
    )?;
    let is_full = i64::try_from(rows.len()).is_ok_and(|rows| rows >= DUE_ROWS_MAX);
    let last = rows.last().map(|(place, _)| *place).filter(|_| is_full);
    let mut seen = HashSet::new();
    let pairs = rows
        .into_iter()
        .map(|((_, message, _), domain)| (message, domain))
        .filter(|pair| seen.insert(pair.clone()))
        .collect();
    Ok(DuePage { pairs, last })
}

/// What the rows of a claimed pair hold.
pub(super) enum Loaded {
    Attempt(Box<Attempt>),
    /// Nothing is due any more.
    NotDue,
    /// Rows that make no attempt: an address that is none, or no row for the message.
    Unreadable,
}

/// What is due of a claimed pair.
pub(super) fn load(
    tx: &mut dyn Tx,
    message: i64,
    domain: &str,
    now: Timestamp,
) -> Result<Loaded, StoreError> {
    let rows = tx.all(
        "SELECT n, address, notify, original, attempts, delay_notified, last_cause FROM queue_recipients \
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
                cause: cause(row.int(6).unwrap_or_default()),
            }))
        },
    )?;
    if rows.is_empty() {
        return Ok(Loaded::NotDue);
    }
    let recipients: Vec<_> = rows.into_iter().flatten().collect();
    if recipients.is_empty() {
        return Ok(Loaded::Unreadable);
    }
    let attempt = tx.one(
        "SELECT sender, envelope_id, ret, accepted_at, segment, segment_offset, \
         facts_bytes, body_bytes, submitter FROM queue_messages WHERE message = ?1",
        params![message],
        |row| {
            Ok(Attempt {
                trace: TraceId(message),
                sender: reverse_path(row.text(0)?),
                mail_from: reverse_path(row.text(0)?),
                submitter: row.maybe_int(8)?.map(AccountId),
                group: None,
                front: Vec::new(),
                require_tls: RequireTls::No,
                tls_required_no: TlsRequiredNo::Absent,
                route: None,
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
    )?;
    Ok(attempt.map_or(Loaded::Unreadable, |attempt| {
        Loaded::Attempt(Box::new(attempt))
    }))
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
