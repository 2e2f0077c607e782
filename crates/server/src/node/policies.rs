//! What a node does for policy by itself: notice changed settings, keep findings and counts. Called by the
//! node at its start and at its end.

use super::Parts;
use policy::identities::Identities;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How soon a setting made by another process holds without a control message.
const REFRESH_EVERY: Duration = Duration::from_secs(1);
/// How much of counts and findings a crash may lose.
const KEEP_EVERY: Duration = Duration::from_secs(5);
/// How often counts of days gone are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(3600);

pub(super) fn start(parts: &Parts) -> Vec<JoinHandle<()>> {
    let (refreshing, keeping, forgetting) = (parts.clone(), parts.clone(), parts.clone());
    vec![
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(REFRESH_EVERY).await;
                if let Err(error) = refreshing.policies.refresh().await {
                    tracing::error!(%error, "policy.refresh_failed");
                }
            }
        }),
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(KEEP_EVERY).await;
                keep_counts(&keeping).await;
            }
        }),
        tokio::spawn(async move {
            loop {
                let (policies, now) = (&forgetting.policies, forgetting.clock.now());
                let forgotten = forgetting.usage.forget(&policies.snapshot(), now).await;
                if let Err(error) = forgotten {
                    tracing::warn!(%error, "usage.forget_failed");
                }
                let identities = Identities::new(forgetting.store.clone());
                if let Err(error) = identities.forget_expired(now).await {
                    tracing::warn!(%error, "identities.forget_failed");
                }
                tokio::time::sleep(FORGET_EVERY).await;
            }
        }),
    ]
}

/// Writes everything that waits in memory: at the end, and when somebody is about to look at it.
pub(crate) async fn keep(parts: &Parts) {
    keep_counts(parts).await;
    if let Err(error) = parts.router.seen().flush().await {
        tracing::warn!(%error, "routing.seen_not_written");
    }
}

async fn keep_counts(parts: &Parts) {
    if let Err(error) = parts.findings.flush().await {
        tracing::warn!(%error, "findings.flush_failed");
    }
    if let Err(error) = parts.usage.flush().await {
        tracing::warn!(%error, "usage.flush_failed");
    }
}
