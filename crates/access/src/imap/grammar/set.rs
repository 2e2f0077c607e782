//! Sequence sets (RFC 3501 §9) as ranges, as the peer wrote them. A set is never expanded to its
//! members: `1:4294967295` costs a few bytes.

use super::cursor::Cursor;
use super::{Fault, Parsed};
use crate::imap::limits;

/// `seq-number`: a number or `*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Number(u32),
    Last,
}

/// A set as the peer wrote it; `*` has no value yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    ranges: Vec<(Bound, Bound)>,
}

/// ```abnf
/// sequence-set = (seq-number / seq-range) *("," sequence-set)
/// seq-range    = seq-number ":" seq-number
/// seq-number   = nz-number / "*"
/// ```
pub fn sequence_set(cursor: &mut Cursor<'_>) -> Parsed<Set> {
    let mut ranges = Vec::new();
    loop {
        if ranges.len() >= limits::SET_RANGES_MAX {
            return Err(Fault::new(
                "The set has too many parts; please ask in several commands.",
            ));
        }
        let first = bound(cursor)?;
        let last = if cursor.take(b':') {
            bound(cursor)?
        } else {
            first
        };
        ranges.push((first, last));
        if !cursor.take(b',') {
            return Ok(Set { ranges });
        }
    }
}

fn bound(cursor: &mut Cursor<'_>) -> Parsed<Bound> {
    if cursor.take(b'*') {
        return Ok(Bound::Last);
    }
    cursor
        .number_nonzero()
        .map(Bound::Number)
        .map_err(|_| Fault::new("A message set such as 1:5,7 or 12:* was expected."))
}

impl Set {
    /// Pairs of first and last, each ascending, with `*` as `last`. RFC 3501 §9: `9:*` with a last of 5
    /// is `5:9`. A `*` in an empty mailbox is 0.
    pub fn resolve(&self, last: u32) -> impl Iterator<Item = (u32, u32)> {
        let value = move |bound: Bound| match bound {
            Bound::Number(number) => number,
            Bound::Last => last,
        };
        self.ranges
            .iter()
            .map(move |(a, b)| (value(*a), value(*b)))
            .map(|(a, b)| (a.min(b), a.max(b)))
    }

    /// The highest number named, `*` being `last`; RFC 3501 §9 has sequence numbers past the end refused.
    pub fn highest(&self, last: u32) -> u32 {
        self.resolve(last).map(|(_, high)| high).max().unwrap_or(0)
    }
}
