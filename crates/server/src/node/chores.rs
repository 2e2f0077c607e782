//! What a node does by itself, now and then: notice directory changes made by others, forget old
//! traces, compact segments that are mostly dead.

use super::Parts;
use mailbox::Swept;
use platform::clock::Timestamp;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How soon a change made by another process is noticed without a control message.
const REFRESH_EVERY: Duration = Duration::from_secs(1);
/// How often traces and segments are looked at.
const TIDY_EVERY: Duration = Duration::from_secs(10 * 60);
/// How long the stories of messages, with their addresses, are kept (S3-30).
const TRACES_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Stories removed in one transaction.
const FORGET_AT_ONCE: i64 = 2000;

pub(super) fn start(parts: &Parts) -> Vec<JoinHandle<()>> {
    let (refreshing, tidying) = (parts.clone(), parts.clone());
    vec![
        tokio::spawn(super::keys::watch(parts.clone())),
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(REFRESH_EVERY).await;
                if let Err(error) = refreshing.directory.refresh().await {
                    tracing::warn!(%error, "directory.refresh_failed");
                }
                if let Err(error) = refreshing.signing.refresh().await {
                    tracing::warn!(%error, "signing.refresh_failed");
                }
            }
        }),
        tokio::spawn(async move {
            loop {
                forget_traces(&tidying).await;
                sweep_mailboxes(&tidying).await;
                crate::compaction::run(&tidying).await;
                tokio::time::sleep(TIDY_EVERY).await;
            }
        }),
    ]
}

async fn forget_traces(parts: &Parts) {
    let kept = i64::try_from(TRACES_KEPT.as_millis()).unwrap_or(i64::MAX);
    let before = Timestamp(parts.clock.now().0.saturating_sub(kept));
    loop {
        let forgotten = parts
            .store
            .write(move |tx| queue::trace::forget(tx, before, FORGET_AT_ONCE))
            .await;
        match forgotten {
            Ok(0) => return,
            Ok(lines) => tracing::debug!(lines, "traces.forgotten"),
            Err(error) => return tracing::warn!(%error, "traces.forget_failed"),
        }
    }
}

/// Removes the messages of deleted mailboxes and accounts, a batch at a time.
async fn sweep_mailboxes(parts: &Parts) {
    loop {
        match parts.mailboxes.sweep().await {
            Ok(Swept::Some) => {}
            Ok(Swept::Nothing) => return,
            Err(error) => return tracing::warn!(%error, "mailboxes.sweep_failed"),
        }
    }
}
