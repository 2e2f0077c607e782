//! What is known of one destination: how many attempts it bears at once, and whether it is down.
//! Pure; times and jitter come in as arguments. Only the schedule calls it.
//!
//! Concurrency grows by one with every answer until the destination first says that it is enough,
//! and by one a round after that; it is halved when the destination slows us down. A destination
//! that cannot be reached is backed off as a whole: one message probes it when the wait is over,
//! and nothing else of what waits for it is touched.

use super::{Entry, GroupId, Peer, Times};
use platform::clock::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Attempts at once to a destination nothing is known of.
const ATTEMPTS_FIRST: f32 = 5.0;
/// Weight of the newest attempt in the average duration.
const DURATION_SHARE: f32 = 0.2;
/// Wait after the destination asked us to slow down; doubles while it goes on asking.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Doublings of that wait.
const BUSY_DOUBLINGS_MAX: u32 = 6;

/// Work of one group for one destination.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) group: GroupId,
    pub(super) entries: BTreeSet<Entry>,
    /// Virtual time of its next turn within the group.
    pub(super) pass: u64,
    /// Attempts under way.
    pub(super) busy: u32,
    /// Under what it stands among the group's ready lanes.
    pub(super) listed: Option<(Standing, u64)>,
}

/// Whether a destination has shown that it answers quickly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It answered lately, and within the time that counts as slow.
    Proven,
    /// New, slow or failing: all of these together never get all slots.
    Unproven,
}

#[derive(Debug)]
pub(super) struct Destination {
    pub(super) domain: Arc<str>,
    pub(super) lanes: Vec<Lane>,
    /// Attempts under way.
    pub(super) busy: u32,
    /// Attempts it bears at once; at least 1.
    allowed: f32,
    /// It slowed us down once: from then on growth is careful.
    careful: bool,
    slowed: u32,
    answered_at: Option<Timestamp>,
    duration_ms: f32,
    /// Probes that failed one after the other.
    pub(super) failures: u32,
    pub(super) down_since: Option<Timestamp>,
    /// Nothing is tried before this time; `None` once it has come.
    pub(super) until: Option<Timestamp>,
    pub(super) last_reply: Box<str>,
    /// Grows with every change between up and down, so that attempts begun before it count no more.
    pub(super) round: u32,
}

/// A change of a destination that is worth remembering over a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It could not be reached, again.
    Down(Down),
    /// It answers again.
    Up,
}

/// A destination that cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Down {
    /// The domain.
    pub domain: Arc<str>,
    /// Since when.
    pub since: Timestamp,
    /// Probes that failed one after the other.
    pub failures: u32,
    /// When it is probed next.
    pub until: Timestamp,
    /// Why the last probe failed.
    pub last_reply: Box<str>,
}

/// How an attempt at it ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended<'a> {
    pub(super) peer: Peer,
    pub(super) reply: &'a str,
    pub(super) began: Timestamp,
    pub(super) round: u32,
    pub(super) now: Timestamp,
    pub(super) jitter: u8,
}

impl Destination {
    pub(super) fn new(domain: Arc<str>) -> Self {
        Self {
            domain,
            lanes: Vec::new(),
            busy: 0,
            allowed: ATTEMPTS_FIRST,
            careful: false,
            slowed: 0,
            answered_at: None,
            duration_ms: 0.0,
            failures: 0,
            down_since: None,
            until: None,
            last_reply: Box::default(),
            round: 0,
        }
    }

    /// Attempts it may get at once just now.
    pub(super) fn allowed(&self, most: usize) -> u32 {
        if self.failures > 0 {
            return 1;
        }
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        // The truncation is wanted: parts of an attempt are none.
        (self.allowed as u32).clamp(1, most.max(1))
    }

    pub(super) fn standing(&self, slow_after: Duration) -> Standing {
        let is_quick = self.duration_ms <= slow_after.as_millis() as f32;
        // What is delivered here needs no network.
        let is_known = self.answered_at.is_some() || self.domain.is_empty();
        match self.failures == 0 && is_known && is_quick {
            true => Standing::Proven,
            false => Standing::Unproven,
        }
    }

    /// Nothing waits, nothing runs, nothing is remembered that would be missed.
    pub(super) fn is_idle(&self) -> bool {
        self.busy == 0
            && self.failures == 0
            && self.lanes.iter().all(|lane| lane.entries.is_empty())
    }

    pub(super) fn ended(&mut self, ended: &Ended<'_>, times: &Times) -> Option<Change> {
        if ended.peer == Peer::Unknown {
            return None;
        }
        let took = ended.now.since(ended.began).as_millis() as f32;
        self.duration_ms = match self.answered_at {
            Some(_) => self.duration_ms + (took - self.duration_ms) * DURATION_SHARE,
            None => took,
        };
        match ended.peer {
            Peer::Answered => self.answered(ended.now),
            Peer::Busy => {
                self.slow_down(ended, times);
                None
            }
            Peer::Unreachable => self.unreachable(ended, times),
            Peer::Unknown => None,
        }
    }

    fn answered(&mut self, now: Timestamp) -> Option<Change> {
        self.answered_at = Some(now);
        self.slowed = 0;
        let was_down = self.failures > 0;
        if was_down {
            self.failures = 0;
            self.down_since = None;
            self.until = None;
            self.last_reply = Box::default();
            self.round = self.round.wrapping_add(1);
            self.allowed = 1.0;
        }
        let growth = if self.careful {
            1.0 / self.allowed
        } else {
            1.0
        };
        // Far beyond any setting, so that the addition never loses its effect.
        self.allowed = (self.allowed + growth).min(10_000.0);
        was_down.then_some(Change::Up)
    }

    fn slow_down(&mut self, ended: &Ended<'_>, times: &Times) {
        self.careful = true;
        let used = self.allowed.min(self.busy as f32 + 1.0);
        self.allowed = (used / 2.0).max(1.0);
        // Attempts that ran side by side got the same answer; it counts once.
        if self.until.is_none_or(|until| until <= ended.now) {
            let wait = BUSY_WAIT.saturating_mul(1 << self.slowed.min(BUSY_DOUBLINGS_MAX));
            self.slowed += 1;
            self.until = Some(
                ended
                    .now
                    .plus(spread(wait.min(times.longest), ended.jitter)),
            );
            self.last_reply = ended.reply.into();
        }
    }

    fn unreachable(&mut self, ended: &Ended<'_>, times: &Times) -> Option<Change> {
        if self.answered_at.is_some_and(|at| at > ended.began) {
            // Others got through meanwhile: it is short of room, not down.
            self.careful = true;
            self.allowed = (self.allowed / 2.0).max(1.0);
            return None;
        }
        if ended.round != self.round {
            return None;
        }
        self.round = self.round.wrapping_add(1);
        let wait = times
            .first
            .saturating_mul(1 << self.failures.min(20))
            .min(times.longest);
        self.failures = self.failures.saturating_add(1);
        self.allowed = 1.0;
        let since = *self.down_since.get_or_insert(ended.now);
        let until = ended.now.plus(spread(wait, ended.jitter));
        self.until = Some(until);
        self.last_reply = ended.reply.into();
        Some(Change::Down(Down {
            domain: self.domain.clone(),
            since,
            failures: self.failures,
            until,
            last_reply: self.last_reply.clone(),
        }))
    }

    /// As it was before a restart.
    pub(super) fn restore(&mut self, down: &Down) {
        self.failures = down.failures;
        self.down_since = Some(down.since);
        self.until = Some(down.until);
        self.last_reply = down.last_reply.clone();
        self.allowed = 1.0;
    }

    /// Forgets what kept it waiting; the operator knows better.
    pub(super) fn reset(&mut self) -> Option<Change> {
        let was_down = self.failures > 0;
        self.failures = 0;
        self.slowed = 0;
        self.down_since = None;
        self.until = None;
        self.round = self.round.wrapping_add(1);
        was_down.then_some(Change::Up)
    }
}

/// `wait` and up to a quarter of it, so that many do not come back together.
fn spread(wait: Duration, jitter: u8) -> Duration {
    wait + wait.mul_f64(f64::from(jitter) / 1024.0)
}
