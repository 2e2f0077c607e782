//! What a node does by itself, now and then: notice directory changes made by others, forget old
//! traces, compact segments that are mostly dead.

use super::Parts;
use mailbox::Swept;
use platform::clock::Timestamp;
use platform::store::{StoreError, Tx};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How soon a change made by another process is noticed without a control message.
const REFRESH_EVERY: Duration = Duration::from_secs(1);
/// How often traces and segments are looked at, by the node's clock, which tests can move.
const TIDY_EVERY: Duration = Duration::from_secs(10 * 60);
/// How often that clock is looked at.
const TIDY_POLL: Duration = Duration::from_secs(1);
/// Stories removed in one transaction.
const FORGET_AT_ONCE: i64 = 2000;

pub(super) fn start(parts: &Parts) -> Vec<JoinHandle<()>> {
    let (refreshing, tidying) = (parts.clone(), parts.clone());
    vec![
        tokio::spawn(super::keys::watch(parts.clone())),
        tokio::spawn(super::routing::chores(parts.clone())),
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
            let mut last = None;
            loop {
                let now = tidying.clock.now();
                if last.is_none_or(|last: Timestamp| now.since(last) >= TIDY_EVERY || now < last) {
                    last = Some(now);
                    forget_traces(&tidying).await;
                    sweep_mailboxes(&tidying).await;
                    crate::compaction::run(&tidying).await;
                }
                tokio::time::sleep(TIDY_POLL).await;
            }
        }),
    ]
}

/// Stories, the origins in them, and who looked, each after its own time.
async fn forget_traces(parts: &Parts) {
    let (settings, now) = (&parts.settings, parts.clock.now());
    let before = |kept: Duration| {
        let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        Timestamp(now.0.saturating_sub(kept))
    };
    let origins = before(settings.trace_addresses_kept.0);
    forget(parts, "origins", move |tx| {
        queue::trace::forget_origins(tx, origins, FORGET_AT_ONCE)
    })
    .await;
    let stories = before(settings.trace_kept.0);
    forget(parts, "stories", move |tx| {
        queue::trace::forget(tx, stories, FORGET_AT_ONCE)
    })
    .await;
    let views = before(settings.trace_views_kept.0);
    forget(parts, "views", move |tx| {
        queue::trace::forget_views(tx, views)
    })
    .await;
}

/// Calls `some`, which removes some rows and says how many, until there are no more.
async fn forget(
    parts: &Parts,
    what: &'static str,
    some: impl Fn(&mut dyn Tx) -> Result<u64, StoreError> + Copy + Send + 'static,
) {
    loop {
        match parts.store.write(move |tx| some(tx)).await {
            Ok(0) => return,
            Ok(rows) => tracing::debug!(what, rows, "traces.forgotten"),
            Err(error) => return tracing::warn!(what, %error, "traces.forget_failed"),
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
