//! What a node does for policy by itself: notice changed settings, keep findings and counts. Called by the
//! node at its start and at its end.

use super::Parts;
use platform::clock::Timestamp;
use platform::store::{StoreError, Tx};
use policy::identities::Identities;
use policy::nodes::{self, Report};
use policy::{impact, rules, samples};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How soon a setting made by another process holds without a control message.
const REFRESH_EVERY: Duration = Duration::from_secs(1);
/// How much of counts and findings a crash may lose.
const KEEP_EVERY: Duration = Duration::from_secs(2);
/// How often counts of days gone are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(3600);
/// How often the trend of today is reckoned and what is old forgotten, by the node's clock, which tests can move.
const LOOK_BACK_EVERY: Duration = Duration::from_secs(6 * 3600);
/// How often that clock is looked at.
const LOOK_BACK_POLL: Duration = Duration::from_secs(1);

pub(super) fn start(parts: &Parts) -> Vec<JoinHandle<()>> {
    let (refreshing, keeping, forgetting) = (parts.clone(), parts.clone(), parts.clone());
    vec![
        tokio::spawn(record_facts(parts.clone())),
        tokio::spawn(look_back(parts.clone())),
        tokio::spawn(refresh(refreshing)),
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

/// Keeps what rules could have asked about, for replays; removes what is too old also where nothing is kept any more.
async fn record_facts(parts: Parts) {
    let dir = parts.settings.data_dir.join(rules::record::DIRECTORY);
    let (recorder, writer) =
        rules::record::recorder(dir, parts.clock.clone(), parts.random.clone());
    if parts.settings.rules_record_facts.0 {
        parts.policies.watch().record_with(recorder);
    }
    writer.run().await;
}

/// Reads settings that were changed, and says now and then which ones this node holds.
async fn refresh(parts: Parts) {
    let mut said: Option<(Report, Instant)> = None;
    loop {
        let refreshed = parts.policies.refresh().await;
        if let Err(error) = &refreshed {
            tracing::error!(%error, "policy.refresh_failed");
        }
        let trouble = refreshed.err().map(|error| error.to_string());
        let now = parts.clock.now();
        let node = &parts.settings.host_name.0;
        let report = parts.policies.report(node, now, trouble);
        let is_new = said.as_ref().is_none_or(|(last, at)| {
            at.elapsed() >= nodes::REPORTED_EVERY
                || last.revision != report.revision
                || last.trouble != report.trouble
        });
        if is_new {
            let row = report.clone();
            let written = parts.store.write(move |tx| nodes::report(tx, &row)).await;
            match written {
                Ok(()) => said = Some((report, Instant::now())),
                Err(error) => tracing::warn!(%error, "policy.report_not_written"),
            }
        }
        tokio::time::sleep(REFRESH_EVERY).await;
    }
}

/// At the end: a node that stops holds no rules.
pub(super) async fn leave(parts: &Parts) {
    let node = parts.settings.host_name.0.clone();
    let left = parts.store.write(move |tx| nodes::leave(tx, &node)).await;
    if let Err(error) = left {
        tracing::warn!(%error, "policy.node_not_removed");
    }
}

/// Writes everything that waits in memory: at the end, and when somebody is about to look at it.
pub(super) async fn keep(parts: &Parts) {
    keep_counts(parts).await;
    if let Err(error) = parts.router.seen().flush().await {
        tracing::warn!(%error, "routing.seen_not_written");
    }
}

async fn keep_counts(parts: &Parts) {
    if let Err(error) = parts.findings.flush().await {
        tracing::warn!(%error, "findings.flush_failed");
    }
    if let Err(error) = parts.policies.watch().flush().await {
        tracing::warn!(%error, "rules.findings_not_written");
    }
    if let Err(error) = parts.connections.flush().await {
        tracing::warn!(%error, "connections.flush_failed");
    }
    if let Err(error) = parts.usage.flush().await {
        tracing::warn!(%error, "usage.flush_failed");
    }
}

/// Forgets old findings and connections and writes the trend of today, a few times a day.
async fn look_back(parts: Parts) {
    let mut last = None;
    loop {
        let now = parts.clock.now();
        if last.is_none_or(|last: Timestamp| now.since(last) >= LOOK_BACK_EVERY || now < last) {
            last = Some(now);
            let kept = parts.settings.findings_kept.0;
            if let Err(error) = parts.connections.forget(kept, now).await {
                tracing::warn!(%error, "connections.forget_failed");
            }
            if let Err(error) = parts.findings.forget(kept, now).await {
                tracing::warn!(%error, "findings.forget_failed");
            }
            let first_day = now
                .0
                .saturating_sub(i64::try_from(kept.as_millis()).unwrap_or(i64::MAX));
            let first_day = first_day.div_euclid(24 * 3600 * 1000);
            let servers =
                move |tx: &mut dyn Tx| policy::rules::servers::forget_before(tx, first_day);
            if let Err(error) = parts.store.write(servers).await {
                tracing::warn!(%error, "rules.findings_not_forgotten");
            }
            if let Err(error) = write_trend(&parts, now).await {
                tracing::warn!(%error, "impact.trend_not_written");
            }
        }
        tokio::time::sleep(LOOK_BACK_POLL).await;
    }
}

/// Reckons question by question, so that nobody waits long for a reader, and writes little.
async fn write_trend(parts: &Parts, now: Timestamp) -> Result<(), StoreError> {
    let store = &parts.store;
    for proposed in store.read(impact::standing).await? {
        let (asked, snapshot) = (proposed.clone(), parts.policies.snapshot());
        let day = store
            .read(move |tx| impact::today(tx, &asked, &snapshot, now))
            .await?;
        store
            .write(move |tx| impact::record(tx, &proposed, &day))
            .await?;
    }
    let totals = store.read(move |tx| samples::totals(tx, now)).await?;
    store
        .write(move |tx| samples::record(tx, totals, now))
        .await
}
