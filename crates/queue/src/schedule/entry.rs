//! One waiting pair of message and destination in sixteen bytes, in the order it is served. Pure.

use crate::trace::TraceId;
use platform::clock::Timestamp;

/// Highest and lowest MT-PRIORITY (RFC 6710 §2).
const PRIORITY_MAX: i8 = 9;
/// What one step of priority is worth in waiting time. Because it is a head start and no rank of its
/// own, nothing waits for ever behind more urgent mail: after 18 steps every message is served.
const PRIORITY_STEP_MS: i64 = 2 * 60 * 1000;
/// Bits below the time: 5 of priority, 1 of "was warned".
const BITS: u32 = 6;

/// Ordered by when it should be served, then by message, which makes the order total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    rank: i64,
    pub(super) message: i64,
}

impl Entry {
    pub(super) fn new(message: i64, due: Timestamp, priority: i8, warned: bool) -> Self {
        let priority = priority.clamp(-PRIORITY_MAX, PRIORITY_MAX);
        let served = due
            .0
            .saturating_sub(i64::from(priority) * PRIORITY_STEP_MS)
            .clamp(0, i64::MAX >> BITS);
        let steps = i64::from(PRIORITY_MAX - priority);
        Self {
            rank: served << BITS | steps << 1 | i64::from(warned),
            message,
        }
    }

    pub(super) fn priority(self) -> i8 {
        PRIORITY_MAX - i8::try_from(self.steps_below_highest()).unwrap_or(0)
    }

    /// Steps below the highest priority, 0 to 18.
    pub(super) fn steps_below_highest(self) -> u64 {
        (self.rank >> 1 & 0x1f).unsigned_abs()
    }

    /// Whether something is to be told about it although its destination is down: that it is late,
    /// or that it is given up.
    pub(super) fn is_aged(self, warn_before: TraceId, give_up_before: TraceId) -> bool {
        let warned = self.rank & 1 != 0;
        self.message < give_up_before.0 || (!warned && self.message < warn_before.0)
    }
}
