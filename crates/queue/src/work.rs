//! Work that waits, shared between those who bring it and the worker: the schedule behind a lock,
//! and the messages that came in a moment ago, so that their first attempt reads no row.
//!
//! Where no worker runs (a command beside a running node) nothing is kept here: the rows are enough.

use crate::relay::Attempt;
use crate::schedule::{Claim, Pushed, Schedule, Share, State, Waiting};
use platform::clock::Timestamp;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify as Wake;

/// Messages remembered from their acceptance to their first attempt; the rows of others are read.
const FRESH_MAX: usize = 1000;
/// After this time rows are read again: bodies may have moved.
const FRESH_TIME_MAX: Duration = Duration::from_secs(60);

/// The schedule and what belongs to it.
#[derive(Default)]
pub(crate) struct Work {
    inner: Mutex<Inner>,
    wake: Wake,
    /// Somebody changed rows: all of them are to be looked through.
    look: AtomicBool,
    /// There was no room for something.
    crowded: AtomicBool,
}

#[derive(Default)]
struct Inner {
    /// `None` while no worker runs.
    schedule: Option<Schedule>,
    fresh: HashMap<i64, Fresh>,
    /// When old ones of these were last thrown away.
    fresh_swept: Timestamp,
}

struct Fresh {
    attempt: Box<Attempt>,
    since: Timestamp,
}

impl Inner {
    fn remember(&mut self, message: i64, attempt: Box<Attempt>, now: Timestamp) {
        if self.fresh.len() >= FRESH_MAX && now.since(self.fresh_swept) > FRESH_TIME_MAX {
            // Those of destinations that are down are not asked for soon.
            self.fresh_swept = now;
            self.fresh
                .retain(|_, fresh| now.since(fresh.since) < FRESH_TIME_MAX);
        }
        if self.fresh.len() < FRESH_MAX {
            let since = now;
            self.fresh.insert(message, Fresh { attempt, since });
        }
    }
}

impl Work {
    /// A worker begins; what it will not find in the store was never there.
    pub(crate) fn begin(&self, schedule: Schedule) {
        self.with(|inner| inner.schedule = Some(schedule));
    }

    /// Remembers a message whose rows are about to be written. Before they are there, because a look
    /// at the store may find them, and the attempt be over, before whoever wrote them goes on: what
    /// was remembered after that would be sent a second time.
    pub(crate) fn coming(&self, message: i64, attempt: Box<Attempt>, now: Timestamp) {
        self.with(|inner| {
            if inner.schedule.is_some() {
                inner.remember(message, attempt, now);
            }
        });
    }

    /// Takes waiting pairs in whose rows are there now, wakes the worker.
    pub(crate) fn arrived(&self, waiting: &[Waiting<'_>]) {
        let is_taken = self.with(|inner| {
            let Some(schedule) = &mut inner.schedule else {
                return false;
            };
            let mut is_taken = false;
            for work in waiting {
                match schedule.push(work) {
                    Pushed::Added => is_taken = true,
                    Pushed::Known => {}
                    Pushed::Full => {
                        inner.fresh.remove(&work.message);
                        self.crowded.store(true, Ordering::Release);
                    }
                }
            }
            is_taken
        });
        if is_taken {
            self.wake.notify_one();
        }
    }

    /// Whether something was left in the store for want of room since the last call.
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowded.swap(false, Ordering::AcqRel)
    }

    /// Takes in what a look at the store found; false where there was no room for some of it.
    pub(crate) fn found(&self, waiting: &[Waiting<'_>]) -> bool {
        self.with(|inner| {
            let Some(schedule) = &mut inner.schedule else {
                return true;
            };
            let mut had_room = true;
            for work in waiting {
                had_room &= schedule.push(work) != Pushed::Full;
            }
            had_room
        })
    }

    /// What was remembered of a message from its acceptance, if that was just now. Given once.
    pub(crate) fn take_fresh(&self, claim: &Claim, now: Timestamp) -> Option<Box<Attempt>> {
        let fresh = self.with(|inner| inner.fresh.remove(&claim.message))?;
        let is_recent = now.since(fresh.since) < FRESH_TIME_MAX;
        let is_meant = *claim.domain == *fresh.attempt.destination();
        (is_recent && is_meant).then_some(fresh.attempt)
    }

    /// Forgets what was remembered of messages whose rows were changed.
    pub(crate) fn forget_fresh(&self, messages: impl Iterator<Item = i64>) {
        self.with(|inner| {
            for message in messages {
                inner.fresh.remove(&message);
            }
        });
    }

    /// Uses the schedule; `None` where no worker runs.
    pub(crate) fn schedule<T>(&self, with: impl FnOnce(&mut Schedule) -> T) -> Option<T> {
        self.with(|inner| inner.schedule.as_mut().map(with))
    }

    /// What the worker is doing; `None` where none runs.
    pub(crate) fn state(&self) -> Option<State> {
        self.schedule(|schedule| schedule.state())
    }

    /// Has all rows looked through.
    pub(crate) fn look(&self) {
        self.look.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// Whether somebody asked for a look since the last call.
    pub(crate) fn is_look_wanted(&self) -> bool {
        self.look.swap(false, Ordering::AcqRel)
    }

    /// Wakes the worker.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Until somebody wakes the worker.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    fn with<T>(&self, with: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.inner.lock().unwrap_or_else(|e| e.into_inner());
        with(&mut inner)
    }
}

/// What the schedule calls the destination of a recipient: its domain, or where an operator sends it
/// instead, so that neither suffers from the other's troubles.
pub(crate) fn destination<'a>(domain: &'a str, route: Option<&str>) -> Cow<'a, str> {
    match route {
        None => Cow::Borrowed(domain),
        Some(route) => Cow::Owned(format!("{domain}{VIA}{route}")),
    }
}

/// Takes `destination` apart: the domain, and the operator's route.
pub(crate) fn domain_and_route(destination: &str) -> (&str, Option<&str>) {
    match destination.split_once(VIA) {
        Some((domain, route)) => (domain, Some(route)),
        None => (destination, None),
    }
}

/// Never part of a domain.
const VIA: &str = " via ";

/// What a group may use, by the settings of the moment.
pub(crate) fn share(policies: Option<&policy::Policies>, group: Option<&str>) -> Share {
    let Some(policies) = policies else {
        return Share::default();
    };
    let class = policies.snapshot().class(group);
    Share {
        weight: class.weight,
        priority: class.priority,
    }
}
