//! References from the queue to message bytes, for `rohrpost verify` and for compaction.

use platform::params;
use platform::segments::BodyRef;
use platform::store::{Row, StoreError, Tx};

/// References read in one page.
pub const PAGE_ROWS: i64 = 1000;

/// A waiting message's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    /// The waiting message.
    pub message: i64,
    /// Where its bytes are.
    pub body: BodyRef,
}

/// The next page of references after message `after` (0 to begin); empty at the end.
pub fn references(tx: &mut dyn Tx, after: i64) -> Result<Vec<Reference>, StoreError> {
    tx.all(
        "SELECT message, segment, segment_offset, facts_bytes, body_bytes FROM queue_messages \
         WHERE message > ?1 ORDER BY message LIMIT ?2",
        params![after, PAGE_ROWS],
        |row| {
            Ok(Reference {
                message: row.int(0)?,
                body: body_at(row, 1)?,
            })
        },
    )
}

/// The last body that waiting messages refer to in each of the newest `segments_max` segments: what
/// the store knows to be durable when the segments are opened.
pub fn newest_bodies(tx: &mut dyn Tx, segments_max: usize) -> Result<Vec<BodyRef>, StoreError> {
    let mut newest = Vec::new();
    let mut before = i64::MAX;
    while newest.len() < segments_max {
        let found = tx.one(
            "SELECT segment, segment_offset, facts_bytes, body_bytes FROM queue_messages \
             WHERE segment < ?1 ORDER BY segment DESC, segment_offset DESC LIMIT 1",
            params![before],
            |row| body_at(row, 0),
        )?;
        let Some(body) = found else { break };
        before = body.segment;
        newest.push(body);
    }
    Ok(newest)
}

/// The bodies in `segment` that waiting messages refer to.
pub fn references_into(tx: &mut dyn Tx, segment: i64) -> Result<Vec<BodyRef>, StoreError> {
    tx.all(
        "SELECT segment, segment_offset, facts_bytes, body_bytes FROM queue_messages \
         WHERE segment = ?1 ORDER BY segment_offset",
        params![segment],
        |row| body_at(row, 0),
    )
}

/// Points every waiting message at `old` to `new`; gives how many there were.
pub fn retarget(tx: &mut dyn Tx, old: BodyRef, new: BodyRef) -> Result<u64, StoreError> {
    tx.execute(
        "UPDATE queue_messages SET segment = ?3, segment_offset = ?4 \
         WHERE segment = ?1 AND segment_offset = ?2",
        params![old.segment, old.offset, new.segment, new.offset],
    )
}

pub(crate) fn body_at(row: &dyn Row, first: usize) -> Result<BodyRef, StoreError> {
    Ok(BodyRef {
        segment: row.int(first)?,
        offset: row.int(first + 1)?,
        facts_bytes: row.int(first + 2)?,
        body_bytes: row.int(first + 3)?,
    })
}
