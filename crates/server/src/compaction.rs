//! Gets the space of removed messages back: mostly dead segments are copied elsewhere and their
//! files removed after readers had time. Rows move in the transaction that makes the copies durable.
//! `Holds` keeps files from being removed while somebody copies them.

use crate::node::Parts;
use platform::segments::BodyRef;
use platform::store::{StoreError, Tx};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A segment is compacted when less than this share of it is live, in percent.
const LIVE_PERCENT_MAX: u64 = 50;
/// Rows changed in one transaction.
const MOVES_AT_ONCE: usize = 200;

/// Who wants no segment removed. Cheap to clone; all clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Holds {
    count: Arc<AtomicUsize>,
}

/// As long as it lives, no segment is removed.
#[derive(Debug)]
pub(crate) struct Hold {
    count: Arc<AtomicUsize>,
}

impl Holds {
    /// Another hold.
    pub(crate) fn hold(&self) -> Hold {
        self.count.fetch_add(1, Ordering::SeqCst);
        Hold {
            count: self.count.clone(),
        }
    }

    fn is_held(&self) -> bool {
        self.count.load(Ordering::SeqCst) > 0
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Debug, thiserror::Error)]
enum CompactionError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Mailbox(#[from] mailbox::Error),
    #[error(transparent)]
    Segments(#[from] std::io::Error),
}

/// One round over all segments. Errors are logged; the next round tries again.
pub(crate) async fn run(parts: &Parts) {
    for segment in parts.segments.compactable() {
        if let Err(error) = consider(parts, segment).await {
            tracing::warn!(segment, %error, "compaction.failed");
        }
    }
    for segment in parts.segments.removable() {
        if parts.holds.is_held() {
            return;
        }
        match live(parts, segment).await {
            Ok(live) if live.is_empty() => {
                if let Err(error) = parts.segments.remove(segment) {
                    tracing::warn!(segment, %error, "compaction.remove_failed");
                }
            }
            Ok(_) => parts.segments.keep(segment),
            Err(error) => tracing::warn!(segment, %error, "compaction.failed"),
        }
    }
}

async fn consider(parts: &Parts, segment: i64) -> Result<(), CompactionError> {
    let live = live(parts, segment).await?;
    let live_bytes: i64 = live
        .iter()
        .map(|body| body.facts_bytes + body.body_bytes)
        .sum();
    let usage = parts
        .segments
        .list()
        .into_iter()
        .find(|usage| usage.number == segment);
    let Some(usage) = usage else { return Ok(()) };
    if u64::try_from(live_bytes).unwrap_or(0) * 100 >= usage.bytes * LIVE_PERCENT_MAX {
        return Ok(());
    }
    let segments = parts.segments.clone();
    let bodies: Vec<BodyRef> = live.into_iter().collect();
    let copied = tokio::task::spawn_blocking(move || segments.compact(segment, &bodies))
        .await
        .map_err(std::io::Error::other)??;
    for moves in copied.moved.chunks(MOVES_AT_ONCE) {
        let moves = moves.to_vec();
        parts.store.write(move |tx| retarget(tx, &moves)).await?;
    }
    if copied.damaged.is_empty() {
        parts.segments.retire(segment)?;
        tracing::info!(
            segment,
            moved = copied.moved.len(),
            "compaction.segment_retired"
        );
    }
    Ok(())
}

fn retarget(tx: &mut dyn Tx, moves: &[(BodyRef, BodyRef)]) -> Result<(), StoreError> {
    for (old, new) in moves {
        mailbox::retarget(tx, *old, *new)?;
        queue::verify::retarget(tx, *old, *new)?;
    }
    Ok(())
}

/// Every body in `segment` that a row refers to.
async fn live(parts: &Parts, segment: i64) -> Result<BTreeSet<BodyRef>, CompactionError> {
    let mut live = BTreeSet::new();
    let mut from = 0;
    loop {
        let page = parts.mailboxes.references_into(segment, from).await?;
        let Some(last) = page.last() else { break };
        from = last.body.offset + 1;
        live.extend(page.into_iter().map(|reference| reference.body));
    }
    let waiting = parts
        .store
        .read(move |tx| queue::verify::references_into(tx, segment))
        .await?;
    live.extend(waiting);
    Ok(live)
}
