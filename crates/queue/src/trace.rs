//! The story of one message, told by rows written in the same transactions as what they tell.
//! A `TraceId` is given at MAIL, shown in the 250 reply and in Received, and never used again.

mod facts;
mod find;
mod origin;
mod story;

pub use facts::{Accepted, Noticed, RECIPIENTS_TOLD_MAX, Session, SessionTls, Settled, Told};
pub(crate) use facts::{clean, stored};
pub use find::{Query, find};
pub(crate) use origin::keep as keep_origin;
pub use origin::{Origin, View, forget_origins, forget_views, record_view, views};

pub use story::{Sentence, tell, time};

use platform::clock::{Clock, Timestamp};
use platform::params;
use platform::store::{StoreError, Tx};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Names one accepted message in logs, replies and the trace. Grows with time, so that rows of
/// one day lie together and old ones can be removed as a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(pub i64);

/// Bits below the milliseconds: enough for 65,536 messages a millisecond.
const SEQUENCE_BITS: u32 = 16;
/// 2020-01-01T00:00:00Z in ms; leaves 47 bits of milliseconds, which last until the year 6479.
const EPOCH_MS: i64 = 1_577_836_800_000;
/// Lower-case base 32 without letters that look like digits.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 63 bits in groups of 5.
const TEXT_BYTES: usize = 13;

impl TraceId {
    /// The smallest id that can have been given at `time`; for removing old rows.
    pub fn first_at(time: Timestamp) -> Self {
        Self(
            time.0
                .saturating_sub(EPOCH_MS)
                .max(0)
                .saturating_mul(1 << SEQUENCE_BITS),
        )
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; TEXT_BYTES];
        for (place, byte) in text.iter_mut().rev().enumerate() {
            *byte = ALPHABET[(self.0 >> (5 * place)) as usize & 31];
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// A text that is no trace id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a trace id has 13 characters, for example 01hq3w8k2m4p0")]
pub struct NotATraceId;

impl FromStr for TraceId {
    type Err = NotATraceId;

    fn from_str(text: &str) -> Result<Self, NotATraceId> {
        if text.len() != TEXT_BYTES {
            return Err(NotATraceId);
        }
        let mut value: i64 = 0;
        for byte in text.bytes() {
            let digit = ALPHABET
                .iter()
                .position(|known| *known == byte.to_ascii_lowercase())
                .ok_or(NotATraceId)?;
            value = value
                .checked_mul(32)
                .and_then(|v| v.checked_add(digit as i64))
                .ok_or(NotATraceId)?;
        }
        Ok(Self(value))
    }
}

/// Gives out ids, each once, growing even where the clock steps back. Cheap to clone; all clones
/// count together, and a program must have one line of clones only.
#[derive(Debug, Clone)]
pub struct TraceIds {
    clock: Clock,
    last: Arc<AtomicI64>,
}

impl TraceIds {
    /// Ids by this clock, all after `last`: the newest id that was ever stored.
    pub fn after(clock: Clock, last: TraceId) -> Self {
        Self {
            clock,
            last: Arc::new(AtomicI64::new(last.0)),
        }
    }

    /// Ids by this clock, where nothing was ever stored.
    pub fn new(clock: Clock) -> Self {
        Self::after(clock, TraceId(0))
    }

    /// A new id.
    pub fn next(&self) -> TraceId {
        let now = TraceId::first_at(self.clock.now()).0;
        let previous = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
                Some(now.max(last + 1))
            })
            .unwrap_or_default();
        TraceId(now.max(previous + 1))
    }
}

/// What happened, in the words the trace is searched by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The message was taken over with 250.
    Accepted,
    /// It is in a recipient's mailbox, and the sender asked to be told.
    Delivered,
    /// Another server took a recipient over.
    Relayed,
    /// An attempt failed for now.
    Deferred,
    /// A recipient failed for good.
    Failed,
    /// A notice about this message was sent.
    Bounced,
    /// An operator did something to it while it waited.
    Ordered,
    /// Its sender called it back before anything of it left.
    Cancelled,
}

impl Event {
    /// As stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Deferred => "deferred",
            Self::Failed => "failed",
            Self::Bounced => "bounced",
            Self::Ordered => "ordered",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One line of a message's story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// `Event::word`.
    pub event: String,
    /// The facts as stored: JSON, in rows of older releases `name=value` separated by spaces.
    pub detail: String,
    /// The same as values.
    pub told: Told,
}

/// Adds a line to the story of `id`. `n` orders lines of one transaction at the same millisecond.
pub(crate) fn write(
    tx: &mut dyn Tx,
    id: TraceId,
    at: Timestamp,
    n: i64,
    event: Event,
    detail: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO traces (trace, at, n, event, detail) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (trace, at, n, event) DO UPDATE SET detail = excluded.detail",
        params![id.0, at.0, n, event.word(), detail],
    )
    .map(drop)
}

/// The story of `id`, oldest line first; at most `ENTRIES_MAX` lines.
pub fn read(tx: &mut dyn Tx, id: TraceId) -> Result<Vec<Entry>, StoreError> {
    tx.all(
        "SELECT at, event, detail FROM traces WHERE trace = ?1 ORDER BY at, n LIMIT ?2",
        params![id.0, ENTRIES_MAX],
        |row| {
            let (event, detail) = (row.text(1)?.to_owned(), row.text(2)?.to_owned());
            Ok(Entry {
                at: Timestamp(row.int(0)?),
                told: Told::read(&event, &detail),
                event,
                detail,
            })
        },
    )
}

/// The origin of a message whose story begins with `first`, as seen at `now`.
pub fn origin(tx: &mut dyn Tx, id: TraceId, first: Option<&Entry>) -> Result<Origin, StoreError> {
    if let Some(known) = origin::read(tx, id)? {
        return Ok(known);
    }
    Ok(match first.map(|entry| &entry.told) {
        Some(Told::Accepted(accepted)) if accepted.session.role.is_empty() => Origin::None,
        _ => Origin::Expired,
    })
}

/// Most lines of one story that are read.
pub const ENTRIES_MAX: i64 = 10_000;

/// The newest id in the store; what a restarted program begins after, even where its clock is slow.
pub fn newest(tx: &mut dyn Tx) -> Result<TraceId, StoreError> {
    let newest = tx.one(
        "SELECT max(id) FROM (SELECT max(trace) AS id FROM traces \
         UNION ALL SELECT max(message) AS id FROM queue_messages) AS ids",
        &[],
        |row| row.maybe_int(0),
    )?;
    Ok(TraceId(newest.flatten().unwrap_or(0)))
}

/// Removes stories of messages accepted before `before`; at most `limit` lines a call. Gives how
/// many went.
pub fn forget(tx: &mut dyn Tx, before: Timestamp, limit: i64) -> Result<u64, StoreError> {
    tx.execute(
        "DELETE FROM traces WHERE trace IN \
         (SELECT DISTINCT trace FROM traces WHERE trace < ?1 ORDER BY trace LIMIT ?2)",
        params![TraceId::first_at(before).0, limit],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_even_when_the_clock_stands_still() {
        let ids = TraceIds::new(Clock::settable(Timestamp::from_seconds(1_800_000_000)));
        let many: Vec<_> = (0..1000).map(|_| ids.next()).collect();
        assert!(many.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn an_id_reads_back_from_its_text() {
        let id = TraceId(0x0123_4567_89ab_cdef);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("zzzzzzzzzzzzz".parse::<TraceId>(), Err(NotATraceId));
        assert_eq!("short".parse::<TraceId>(), Err(NotATraceId));
    }
}
