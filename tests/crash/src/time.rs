//! How long the crash tests may take. The environment is asked here and nowhere else.

use std::time::{Duration, Instant};

/// The time a test has: `default_seconds`, or what `CRASH_SECONDS` says.
#[derive(Debug, Clone, Copy)]
pub struct TimeBudget {
    begin: Instant,
    whole: Duration,
}

impl TimeBudget {
    /// Begins now.
    #[allow(
        clippy::disallowed_methods,
        reason = "tests run on the machine's clock and are told by the environment"
    )]
    pub fn begin(default_seconds: u64) -> Self {
        let wanted = std::env::var("CRASH_SECONDS")
            .ok()
            .and_then(|text| text.parse().ok());
        Self {
            begin: Instant::now(),
            whole: Duration::from_secs(wanted.unwrap_or(default_seconds)),
        }
    }

    /// What is left of it.
    pub fn left(&self) -> Duration {
        self.whole.saturating_sub(self.begin.elapsed())
    }
}

/// How long `run` took.
#[allow(
    clippy::disallowed_methods,
    reason = "tests run on the machine's clock"
)]
pub fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    let value = run();
    (value, begin.elapsed())
}

/// Sleeps; for threads of tests that wait for a moment to kill.
#[allow(
    clippy::disallowed_methods,
    reason = "tests wait on the machine's clock"
)]
pub fn sleep(time: Duration) {
    std::thread::sleep(time);
}
