//! Time as an argument. Decisions take a `Timestamp`; only wiring code holds a `Clock`.
//! The clock of a demo or test run can be set and moved; a production clock cannot.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// From whole seconds since 1970-01-01T00:00:00Z.
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// This point moved into the future; saturates at the end of representable time.
    pub fn plus(self, by: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// How long after `earlier` this is; zero where it is not later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// Where the time comes from. Cheap to clone; all clones show the same time.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// Milliseconds added to the machine's clock; always 0 in production.
    offset: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The machine's clock, which cannot be moved.
    pub fn system() -> Self {
        Self { offset: None }
    }

    /// A clock for demo and test runs that shows `start` now and runs on from there.
    pub fn settable(start: Timestamp) -> Self {
        let clock = Self {
            offset: Some(Arc::new(AtomicI64::new(0))),
        };
        clock.set(start);
        clock
    }

    /// The time now.
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one place that asks the machine"
    )]
    pub fn now(&self) -> Timestamp {
        let machine = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| {
                i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
            });
        let offset = self
            .offset
            .as_ref()
            .map_or(0, |offset| offset.load(Ordering::Relaxed));
        Timestamp(machine.saturating_add(offset))
    }

    /// Moves a settable clock to `to`. Returns false, and changes nothing, on a production clock.
    pub fn set(&self, to: Timestamp) -> bool {
        let Some(offset) = &self.offset else {
            return false;
        };
        let now = self.now();
        offset.fetch_add(to.0.saturating_sub(now.0), Ordering::Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_settable_clock_moves_and_runs_on() {
        let clock = Clock::settable(Timestamp::from_seconds(1_000));
        assert_eq!(clock.now().seconds(), 1_000);
        assert!(clock.set(Timestamp::from_seconds(5_000)));
        assert_eq!(clock.clone().now().seconds(), 5_000);
    }

    #[test]
    fn a_production_clock_refuses_to_be_set() {
        let clock = Clock::system();
        assert!(!clock.set(Timestamp(0)));
        assert!(clock.now().seconds() > 1_700_000_000);
    }
}
