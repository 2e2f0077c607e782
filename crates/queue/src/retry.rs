//! When a recipient is tried next, when the sender is told that it is late, and when we give up.
//! Pure: the worker passes the facts of the attempt that just failed.
//!
//! Mail that only a TLS duty keeps back has an end of its own: its sender is warned after an hour
//! and gets it back after a day, because waiting longer rarely helps and the sender can act.

use crate::relay::Cause;
use platform::clock::Timestamp;
use std::time::Duration;

/// How long before the end the last try of mail under a TLS duty begins, so that its failure is
/// told at the end and nothing is tried after it.
const LAST_TRY_BEFORE_END: Duration = Duration::from_secs(30);

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
    /// Age at which the sender is told where only a TLS duty keeps the message back.
    pub tls_warn_after: Duration,
    /// Age at which such a message is given up.
    pub tls_give_up_after: Duration,
}

impl Default for RetryPlan {
    fn default() -> Self {
        Self {
            first_wait: Duration::from_secs(5 * 60),
            longest_wait: Duration::from_secs(4000),
            warn_after: Duration::from_secs(4 * 3600),
            give_up_after: Duration::from_secs(5 * 24 * 3600),
            tls_warn_after: Duration::from_secs(3600),
            tls_give_up_after: Duration::from_secs(24 * 3600),
        }
    }
}

/// A temporary failure of one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// When the message could leave first: its acceptance, or its release where it was kept back.
    pub since: Timestamp,
    /// Attempts so far, the one that just failed included.
    pub attempts: u32,
    /// Why it failed.
    pub cause: Cause,
    /// Why the attempt before it failed; `None` where there was none.
    pub previous: Option<Cause>,
    /// Whether the sender was told already that this recipient is late.
    pub warned: Warned,
    /// The time.
    pub now: Timestamp,
    /// 0 to 255; spreads retries over a quarter of the wait.
    pub jitter: u8,
}

/// Whether a delay notice about a recipient was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warned {
    /// Not yet.
    No,
    /// It was; there is one at most.
    Yes,
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
        /// Until when it is tried, as far as is known now; what a delay notice says.
        until: Timestamp,
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

/// What counts for a recipient just now.
struct Limits {
    warn_after: Duration,
    give_up_after: Duration,
    /// When the last try begins; from then on a failure is the last one.
    last_try_after: Duration,
}

impl RetryPlan {
    /// Decides after a temporary failure.
    ///
    /// The last failure's cause counts, because it is what keeps the message back now: a server
    /// that was down for two days and is now up without TLS would not take it on the third day
    /// either. But the early end needs the same cause twice in a row. One broken host among
    /// several, or a day of outage before, must not return a message at the very first sight of a
    /// TLS failure; so it always gets one more try after one wait, and a warning before that.
    pub fn after(&self, failure: &Failure) -> Next {
        let limits = self.limits(failure.cause);
        let age = failure.now.since(failure.since);
        let is_confirmed =
            failure.cause == Cause::Other || failure.previous == Some(Cause::TlsPolicy);
        if age >= self.give_up_after || (is_confirmed && age >= limits.last_try_after) {
            return Next::GiveUp;
        }
        let is_late = age >= limits.warn_after;
        let is_new = failure.warned == Warned::No;
        let mut at = failure.now.plus(self.wait(failure));
        if !is_late && is_new {
            // A try at that very time finds out whether there is still something to warn of.
            at = at.min(failure.since.plus(limits.warn_after));
        }
        let ends = if age < limits.last_try_after {
            limits.last_try_after
        } else {
            self.give_up_after
        };
        Next::Retry {
            at: at.min(failure.since.plus(ends)),
            warn: if is_late && is_new {
                Warn::Now
            } else {
                Warn::No
            },
            until: failure.since.plus(limits.give_up_after).max(at),
        }
    }

    fn limits(&self, cause: Cause) -> Limits {
        match cause {
            Cause::TlsPolicy => {
                let give_up_after = self.tls_give_up_after.min(self.give_up_after);
                Limits {
                    warn_after: self.tls_warn_after,
                    give_up_after,
                    last_try_after: give_up_after.saturating_sub(LAST_TRY_BEFORE_END),
                }
            }
            Cause::Other => Limits {
                warn_after: self.warn_after,
                give_up_after: self.give_up_after,
                last_try_after: self.give_up_after,
            },
        }
    }

    fn wait(&self, failure: &Failure) -> Duration {
        let doubled = self
            .first_wait
            .saturating_mul(1 << failure.attempts.saturating_sub(1).min(16));
        let wait = doubled.min(self.longest_wait);
        wait + wait.mul_f64(f64::from(failure.jitter) / 1024.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_800_000_000_000);

    fn failure(cause: Cause, age_secs: u64) -> Failure {
        Failure {
            since: START,
            attempts: 9,
            cause,
            previous: Some(cause),
            warned: Warned::Yes,
            now: START.plus(Duration::from_secs(age_secs)),
            jitter: 0,
        }
    }

    /// Every attempt of a message that always fails like this: seconds after the start, and the
    /// seconds of its warning.
    fn walk(plan: &RetryPlan, cause: Cause, jitter: u8) -> (Vec<u64>, Vec<u64>) {
        let (mut attempts, mut warnings) = (vec![0], Vec::new());
        let mut failed = Failure {
            attempts: 1,
            previous: None,
            warned: Warned::No,
            jitter,
            ..failure(cause, 0)
        };
        while let Next::Retry { at, warn, .. } = plan.after(&failed) {
            if warn == Warn::Now {
                warnings.push(failed.now.since(START).as_secs());
                failed.warned = Warned::Yes;
            }
            assert!(at > failed.now, "{at:?}");
            attempts.push(at.since(START).as_secs());
            failed.now = at;
            failed.attempts += 1;
            failed.previous = Some(cause);
        }
        (attempts, warnings)
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let (attempts, _) = walk(&RetryPlan::default(), Cause::Other, 0);
        let waits: Vec<_> = attempts.windows(2).map(|two| two[1] - two[0]).collect();
        assert_eq!(waits[..6], [300, 600, 1200, 2400, 4000, 4000]);
    }

    #[test]
    fn the_sender_is_warned_once_and_told_at_the_end() {
        for jitter in [0, 255] {
            let (attempts, warnings) = walk(&RetryPlan::default(), Cause::Other, jitter);
            assert_eq!(warnings, [4 * 3600]);
            assert_eq!(attempts.last(), Some(&(5 * 24 * 3600)));
        }
    }

    #[test]
    fn a_tls_duty_warns_after_an_hour_and_ends_with_the_day() {
        for jitter in [0, 100, 255] {
            let (attempts, warnings) = walk(&RetryPlan::default(), Cause::TlsPolicy, jitter);
            assert_eq!(warnings, [3600]);
            let last = *attempts.last().unwrap();
            assert!((24 * 3600 - 60..24 * 3600).contains(&last), "{last}");
            let later = attempts.iter().filter(|at| **at > 3600).count();
            assert!((12..30).contains(&later), "{attempts:?}");
        }
    }

    #[test]
    fn a_first_tls_failure_after_a_long_outage_gets_another_try_and_a_warning() {
        let plan = RetryPlan::default();
        let late = Failure {
            previous: Some(Cause::Other),
            warned: Warned::No,
            ..failure(Cause::TlsPolicy, 30 * 3600)
        };
        let Next::Retry { at, warn, until } = plan.after(&late) else {
            panic!("given up at the first sight of a TLS failure")
        };
        assert_eq!((warn, until), (Warn::Now, at));
        assert_eq!(at.since(late.now).as_secs(), 4000);
        let again = Failure {
            previous: Some(Cause::TlsPolicy),
            now: at,
            ..late
        };
        assert_eq!(plan.after(&again), Next::GiveUp);
    }

    #[test]
    fn another_failure_after_tls_failures_has_the_long_end() {
        let plan = RetryPlan::default();
        let refused = Failure {
            previous: Some(Cause::TlsPolicy),
            ..failure(Cause::Other, 25 * 3600)
        };
        assert!(matches!(plan.after(&refused), Next::Retry { .. }));
    }

    #[test]
    fn a_recipient_is_warned_of_once_whatever_the_causes() {
        let plan = RetryPlan::default();
        let late = failure(Cause::Other, 5 * 3600);
        assert!(matches!(
            plan.after(&late),
            Next::Retry { warn: Warn::No, .. }
        ));
    }

    #[test]
    fn time_counts_from_the_release_of_a_message_that_was_kept_back() {
        let plan = RetryPlan::default();
        let released = Failure {
            since: START.plus(Duration::from_secs(48 * 3600)),
            warned: Warned::No,
            ..failure(Cause::TlsPolicy, 48 * 3600 + 60)
        };
        assert!(matches!(
            plan.after(&released),
            Next::Retry { warn: Warn::No, .. }
        ));
    }

    #[test]
    fn the_end_for_tls_is_never_after_the_general_one() {
        let plan = RetryPlan {
            give_up_after: Duration::from_secs(3600),
            ..RetryPlan::default()
        };
        let (attempts, _) = walk(&plan, Cause::TlsPolicy, 0);
        assert!(attempts.last().unwrap() <= &3600);
    }
}
