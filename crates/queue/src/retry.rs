//! When a recipient is tried next, and when we give up. Pure.

use platform::clock::Timestamp;
use std::time::Duration;

/// Times of the retry plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPlan {
    /// Wait after the first failed attempt.
    pub first_wait: Duration,
    /// Longest wait between attempts.
    pub longest_wait: Duration,
    /// Age at which the sender is told that it is late.
    pub warn_after: Duration,
    /// Age at which we give up (RFC 5321 §4.5.4.1: at least 4 to 5 days).
    pub give_up_after: Duration,
}

impl Default for RetryPlan {
    fn default() -> Self {
        Self {
            first_wait: Duration::from_secs(5 * 60),
            longest_wait: Duration::from_secs(4000),
            warn_after: Duration::from_secs(4 * 3600),
            give_up_after: Duration::from_secs(5 * 24 * 3600),
        }
    }
}

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try again at this time; `warn` asks for a delay notice now.
    Retry {
        /// When.
        at: Timestamp,
        /// Whether the sender is to be told now.
        warn: Warn,
    },
    /// The message is too old; return it to the sender.
    GiveUp,
}

/// Whether a delay notice is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warn {
    /// Not yet, or it was sent.
    No,
    /// Now.
    Now,
}

impl RetryPlan {
    /// Decides after a temporary failure. `attempts` counts the one that just failed; `jitter` is
    /// 0 to 255 and spreads retries over a quarter of the wait.
    pub fn next(
        &self,
        accepted_at: Timestamp,
        attempts: u32,
        warned: bool,
        now: Timestamp,
        jitter: u8,
    ) -> Next {
        if now.since(accepted_at) >= self.give_up_after {
            return Next::GiveUp;
        }
        let doubled = self
            .first_wait
            .saturating_mul(1 << attempts.saturating_sub(1).min(16));
        let wait = doubled.min(self.longest_wait);
        let spread = wait.mul_f64(f64::from(jitter) / 1024.0);
        let last = accepted_at.plus(self.give_up_after);
        let late = now.since(accepted_at) >= self.warn_after;
        Next::Retry {
            at: now.plus(wait + spread).min(last),
            warn: if late && !warned { Warn::Now } else { Warn::No },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_800_000_000_000);

    #[test]
    fn waits_double_up_to_the_longest() {
        let plan = RetryPlan::default();
        let waits: Vec<u64> = (1..=6)
            .map(
                |attempts| match plan.next(START, attempts, false, START, 0) {
                    Next::Retry { at, .. } => at.since(START).as_secs(),
                    Next::GiveUp => 0,
                },
            )
            .collect();
        assert_eq!(waits, [300, 600, 1200, 2400, 4000, 4000]);
    }

    #[test]
    fn the_sender_is_warned_once_and_told_at_the_end() {
        let plan = RetryPlan::default();
        let late = START.plus(plan.warn_after);
        assert!(matches!(
            plan.next(START, 9, false, late, 0),
            Next::Retry {
                warn: Warn::Now,
                ..
            }
        ));
        assert!(matches!(
            plan.next(START, 9, true, late, 0),
            Next::Retry { warn: Warn::No, .. }
        ));
        assert_eq!(
            plan.next(START, 99, true, START.plus(plan.give_up_after), 0),
            Next::GiveUp
        );
    }

    #[test]
    fn the_last_attempt_is_not_after_the_end() {
        let plan = RetryPlan::default();
        let shortly_before = START.plus(plan.give_up_after - Duration::from_secs(60));
        let Next::Retry { at, .. } = plan.next(START, 50, true, shortly_before, 255) else {
            panic!("gives up too early")
        };
        assert_eq!(at, START.plus(plan.give_up_after));
    }
}
