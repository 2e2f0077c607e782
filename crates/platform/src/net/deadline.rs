//! The latest moment by which something must have happened. One deadline covers a whole command or reply,
//! however many reads or writes that takes, so that a peer cannot stretch it byte by byte.

use std::time::Duration;
use tokio::time::Instant;

/// A point on the machine's monotonic clock. Cheap to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// `duration` from now; durations beyond a year count as a year.
    pub fn after(duration: Duration) -> Self {
        const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
        Self(Instant::now() + duration.min(LONGEST))
    }

    /// The earlier of two deadlines.
    pub fn or_earlier(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }

    /// Whether the moment is over.
    pub fn has_passed(self) -> bool {
        self.0 <= Instant::now()
    }

    /// The moment, for `tokio::time::timeout_at` and `sleep_until`.
    pub fn instant(self) -> Instant {
        self.0
    }
}
