//! What one answer may cost: questions, checks of signatures, and the time it is judged by. Zones can be made so that a
//! validator works for hours on one of their names (CVE-2023-50387); here it gives up soon, and the answer is bogus.

use super::validate::Fault;
use crate::clock::Clock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Questions asked and sets looked at for one answer; more is a loop or an attack.
const STEPS_MAX: usize = 100;
/// Public-key operations for one answer. Usual ones take less than twenty.
const CHECKS_MAX: usize = 100;
/// Public-key operations for one answer that came to nothing. Honest zones have next to none: key tags seldom collide.
const FAILURES_MAX: usize = 16;

/// The work done so far for one answer, and the time it is judged by.
#[derive(Debug)]
pub(super) struct Work {
    steps: AtomicUsize,
    checks: AtomicUsize,
    failures: AtomicUsize,
    /// Seconds since 1970, as signatures count them.
    pub(super) now: u32,
}

impl Work {
    #[allow(
        clippy::disallowed_methods,
        reason = "signatures are judged by the machine's time, whatever a demo's clock shows"
    )]
    pub(super) fn begin() -> Self {
        // Signatures are made in real time, whatever a test's clock says. RFC 4034 §3.1.5: modulo 2^32.
        Self::at(Clock::system().now().seconds() as u32)
    }

    pub(super) fn at(now: u32) -> Self {
        Self {
            steps: AtomicUsize::new(0),
            checks: AtomicUsize::new(0),
            failures: AtomicUsize::new(0),
            now,
        }
    }

    /// Counts a question or a look at a set.
    pub(super) fn step(&self) -> Result<(), Fault> {
        if self.steps.fetch_add(1, Ordering::Relaxed) < STEPS_MAX {
            return Ok(());
        }
        Err(Fault::Bogus("validation takes too many steps".to_owned()))
    }

    /// Runs a public-key operation, unless there were too many.
    pub(super) fn check(&self, check: impl FnOnce() -> bool) -> bool {
        if self.failures.load(Ordering::Relaxed) >= FAILURES_MAX
            || self.checks.fetch_add(1, Ordering::Relaxed) >= CHECKS_MAX
        {
            return false;
        }
        let good = check();
        if !good {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        good
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_makes_us_check_for_ever() {
        let (work, mut done) = (Work::at(0), 0);
        for _ in 0..1000 {
            work.check(|| {
                done += 1;
                false
            });
        }
        assert_eq!(done, FAILURES_MAX);
        let (work, mut done) = (Work::at(0), 0);
        for _ in 0..1000 {
            work.check(|| {
                done += 1;
                true
            });
        }
        assert_eq!(done, CHECKS_MAX);
    }
}
