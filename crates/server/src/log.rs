//! The log: one line per event on standard error, as text with named fields.

use tracing_subscriber::EnvFilter;

/// Starts logging at `level` (`error`, `warn`, `info`, `debug`).
pub(crate) fn start(level: &str) {
    let filter = EnvFilter::new(level);
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .finish();
    // A second start in one process (tests) keeps the first one.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
