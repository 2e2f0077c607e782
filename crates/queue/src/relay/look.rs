//! Looking through the store for what is due: all rows at the start and when somebody else changed
//! some, what fell due since the last time otherwise. Only reads; fills the schedule.

use super::due::{self, Page, Place};
use super::{Relay, StoreError};
use crate::schedule::Waiting;
use crate::work::share;
use platform::clock::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// A look at what fell due goes back this far, for rows that were written late.
const OVERLAP: Duration = Duration::from_secs(2);
/// All rows are looked through at least this often, so that no mistake keeps one waiting for ever.
const ALL_AT_LEAST: Duration = Duration::from_secs(20 * 60);
/// And no more often than this where memory cannot hold them all.
const ALL_AT_MOST: Duration = Duration::from_secs(30);

/// Where the last look ended.
pub(super) struct Look {
    /// Everything due up to here was seen.
    seen: Timestamp,
    all_at: Option<tokio::time::Instant>,
    is_all_wanted: bool,
    /// There is more than memory holds.
    is_crowded: bool,
}

impl Look {
    pub(super) fn new() -> Self {
        Self {
            seen: Timestamp(i64::MIN),
            all_at: None,
            is_all_wanted: true,
            is_crowded: false,
        }
    }

    pub(super) fn want_all(&mut self) {
        self.is_all_wanted = true;
    }

    /// Looks, if there is reason to; `polled` is true now and then.
    pub(super) async fn go(&mut self, relay: &Arc<Relay>, polled: bool) -> Result<(), StoreError> {
        self.is_crowded |= relay.queue.work.is_crowded();
        // A clock that was set back leaves rows behind what was seen.
        self.is_all_wanted |= relay.clock.now() < self.seen;
        let since = self.all_at.map(|at| at.elapsed());
        let has_room = relay.schedule(|schedule| schedule.has_much_room());
        let is_due = since.is_none_or(|since| {
            since >= ALL_AT_LEAST || (self.is_crowded && has_room && since >= ALL_AT_MOST)
        });
        if self.is_all_wanted || (polled && is_due) {
            self.is_all_wanted = false;
            // A look that fails is wanted again.
            let done = self.all(relay).await;
            self.is_all_wanted |= done.is_err();
            return done;
        }
        if polled {
            return self.fell_due(relay).await;
        }
        Ok(())
    }

    async fn all(&mut self, relay: &Arc<Relay>) -> Result<(), StoreError> {
        let now = relay.clock.now();
        let mut after: Place = (i64::MIN, i64::MIN, i64::MIN);
        let mut had_room = true;
        loop {
            let store = &relay.queue.store;
            let page = store.read(move |tx| due::all(tx, now, after)).await?;
            had_room &= take_in(relay, &page);
            match page.last {
                Some(last) => after = last,
                None => break,
            }
        }
        self.is_crowded = !had_room;
        self.seen = now;
        self.all_at = Some(tokio::time::Instant::now());
        Ok(())
    }

    async fn fell_due(&mut self, relay: &Arc<Relay>) -> Result<(), StoreError> {
        let now = relay.clock.now();
        let overlap = i64::try_from(OVERLAP.as_millis()).unwrap_or(0);
        let mut after: Place = (self.seen.0.saturating_sub(overlap), i64::MIN, i64::MIN);
        loop {
            let store = &relay.queue.store;
            let page = store.read(move |tx| due::due(tx, now, after)).await?;
            self.is_crowded |= !take_in(relay, &page);
            match page.last {
                Some(last) => after = last,
                None => break,
            }
        }
        self.seen = now;
        Ok(())
    }
}

/// Fills the schedule and sets going what may begin; false where there was no room for some.
fn take_in(relay: &Arc<Relay>, page: &Page) -> bool {
    let policies = relay.queue.policies.as_ref();
    let mut last = (None, share(policies, None));
    let waiting: Vec<_> = (page.pairs.iter())
        .map(|pair| {
            let group = pair.group.as_deref();
            if last.0 != group {
                last = (group, share(policies, group));
            }
            Waiting {
                message: pair.message,
                domain: &pair.destination,
                group,
                share: last.1,
                due: pair.due,
                priority: pair.priority,
                warned: pair.warned,
                ordered: pair.ordered,
            }
        })
        .collect();
    if waiting.is_empty() {
        return true;
    }
    let had_room = relay.queue.work.found(&waiting);
    relay.start_ready();
    had_room
}
