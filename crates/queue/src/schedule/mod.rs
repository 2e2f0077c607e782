//! Who is tried next: waiting work per (group, destination), in memory, as a pure data structure.
//! Knows no store, no clock and no network; the relay worker feeds it, asks it and tells it what
//! came of each attempt.
//!
//! ```text
//!   free slot -> group with the least virtual time -> its lane with the least -> its first entry
//! ```
//!
//! - Groups share by weight (stride scheduling); a group that waits gets at least an eighth of what
//!   the greatest gets. Lanes of a group, one per destination, take turns.
//! - A destination bears a number of attempts at once that adapts, and is backed off as a whole when
//!   it cannot be reached; what waits for it then costs nothing (`destination`).
//! - The last eighth of all slots, and of a destination's, is kept for groups that use little;
//!   destinations that are new, slow or failing never take more than three quarters of all slots.
//! - Memory is bounded: past `entries_max` nothing is taken in, and the caller comes again later.

mod destination;
mod entry;
mod pick;
mod state;
#[cfg(test)]
mod tests;

pub use crate::relay::{Ordered, Peer};
pub use destination::{Change, Down};
pub use state::{DestinationState, GroupState, State};

use crate::trace::TraceId;
use destination::{Destination, Ended, Standing};
use entry::Entry;
use pick::{has_room, lane_of};
use platform::clock::Timestamp;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// One turn, in virtual time.
const TURN: u64 = 1 << 20;
/// How far a lane falls behind for each step its first message is below the highest priority. Two
/// and a quarter turns between the extremes: urgent mail is next, and the rest is served still.
const BEHIND_PER_PRIORITY_STEP: u64 = TURN / 8;
/// The greatest share is at most this many times the smallest.
const SHARE_RATIO_MAX: f64 = 8.0;
/// What a step of a group's priority does to its share.
const SHARE_PER_PRIORITY_STEP: f64 = 1.5;
/// Customer groups told apart; mail of more of them shares the part of those without a group.
const GROUPS_MAX: usize = 10_000;
/// Idle destinations remembered for what was learned of them.
const IDLE_DESTINATIONS_MAX: usize = 10_000;
/// While this share of the entries is taken, no lane takes in more than `LANE_PART` of them.
const CROWDED: usize = 2;
const LANE_PART: usize = 16;
/// The last eighth of the entries is for lanes shorter than this.
const SHORT_LANE_ENTRIES: usize = 64;
/// Slots kept for groups that use little: one in this many.
const RESERVE_PART: usize = 8;
/// Pairs settled at once; each takes a transaction and perhaps a notice.
const SETTLING_MAX: usize = 32;
/// Slots kept from unproven destinations: one in this many.
const PROVEN_PART: usize = 4;

/// Names a group within the schedule.
type GroupId = u32;
/// Mail of nobody's group, and of groups beyond `GROUPS_MAX`.
const UNGROUPED: GroupId = 0;
/// Names a destination within the schedule.
type DestinationId = u32;

/// How much there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Attempts under way at once.
    pub attempts_max: usize,
    /// The same to one destination.
    pub attempts_per_destination_max: usize,
    /// Pairs of message and destination held in memory, 16 bytes and some each.
    pub entries_max: usize,
    /// Attempts that last longer than this on average make a destination slow.
    pub slow_after: Duration,
    /// How long a destination is left alone.
    pub times: Times,
}

/// How long a destination that cannot be reached is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// After the first failure; it doubles.
    pub first: Duration,
    /// At most.
    pub longest: Duration,
}

/// What a group may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// 1 to 1000.
    pub weight: u32,
    /// -9 to 9; the higher first.
    pub priority: i8,
}

impl Default for Share {
    fn default() -> Self {
        Self {
            weight: 10,
            priority: 0,
        }
    }
}

impl Share {
    fn size(self) -> f64 {
        f64::from(self.weight.max(1)) * SHARE_PER_PRIORITY_STEP.powi(i32::from(self.priority))
    }
}

/// A message that waits for a destination.
#[derive(Debug, Clone, Copy)]
pub struct Waiting<'a> {
    /// The message.
    pub message: i64,
    /// Its recipients' domain.
    pub domain: &'a str,
    /// Its customer group.
    pub group: Option<&'a str>,
    /// What that group may use.
    pub share: Share,
    /// When it became due.
    pub due: Timestamp,
    /// MT-PRIORITY.
    pub priority: i8,
    /// Whether its sender was told already that it is late.
    pub warned: bool,
    /// Whether it is to be tried, or goes back to its sender whatever its destination does.
    pub ordered: Ordered,
}

/// What became of a `push`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It waits its turn.
    Added,
    /// It was there, or is under way.
    Known,
    /// No room; come again when there is.
    Full,
}

/// The right to try one pair. Goes back by `Schedule::finish`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The message.
    pub message: i64,
    /// The destination.
    pub domain: Arc<str>,
    /// What is to be done.
    pub task: Task,
    group: GroupId,
    destination: DestinationId,
    began: Timestamp,
    round: u32,
    priority: i8,
}

/// What is to be done with a claimed pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Try to deliver it.
    Try,
    /// Its destination is down and it is late or too old, or it goes back to its sender: say so,
    /// without trying. Holds why the last probe failed.
    Settle(Arc<str>),
}

struct Group {
    name: Option<Arc<str>>,
    share: Share,
    /// Virtual time of its next turn.
    pass: u64,
    /// Virtual time of its lanes.
    lane_time: u64,
    ready: [BTreeSet<(u64, DestinationId)>; 2],
    waiting: usize,
    busy: usize,
}

/// Work that waits, and work under way.
pub struct Schedule {
    limits: Limits,
    groups: Vec<Group>,
    group_ids: HashMap<Arc<str>, GroupId>,
    destinations: Vec<Option<Destination>>,
    free: Vec<DestinationId>,
    destination_ids: HashMap<Arc<str>, DestinationId>,
    under_way: HashSet<(i64, DestinationId)>,
    /// Pairs under way that were brought once more meanwhile: other recipients fell due, or an
    /// operator ordered something. They have their turn when they come back.
    again: HashMap<(i64, DestinationId), Ordered>,
    /// Messages nobody may claim just now, and how many ask for that.
    frozen: HashMap<i64, u32>,
    /// Destinations that had nothing but frozen messages when their turn came.
    stalled: Vec<DestinationId>,
    wakes: BTreeSet<(Timestamp, DestinationId)>,
    /// The latest time heard of since the last `pick`.
    seen: Timestamp,
    settle: VecDeque<Claim>,
    settling: usize,
    entries: usize,
    /// Attempts under way, settling not counted.
    busy: usize,
    busy_unproven: usize,
    /// Virtual time of the groups.
    time: u64,
    /// Destinations at which idle ones are looked for.
    forget_at: usize,
}

impl Schedule {
    /// An empty one.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            groups: vec![Group::new(None)],
            group_ids: HashMap::new(),
            destinations: Vec::new(),
            free: Vec::new(),
            destination_ids: HashMap::new(),
            under_way: HashSet::new(),
            again: HashMap::new(),
            frozen: HashMap::new(),
            stalled: Vec::new(),
            wakes: BTreeSet::new(),
            // What was stored by a clock that was wrong is found at the first look at this one.
            seen: Timestamp(i64::MAX),
            settle: VecDeque::new(),
            settling: 0,
            entries: 0,
            busy: 0,
            busy_unproven: 0,
            time: 0,
            forget_at: 0,
        }
    }

    /// Pairs that wait.
    pub fn len(&self) -> usize {
        self.entries
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Pairs under way.
    pub fn under_way(&self) -> usize {
        self.under_way.len() - self.settle.len()
    }

    /// Whether much of the room is free, so that it is worth to look for work left in the store.
    pub fn has_much_room(&self) -> bool {
        self.entries < self.limits.entries_max / 4 * 3
    }

    /// Takes work in.
    pub fn push(&mut self, work: &Waiting<'_>) -> Pushed {
        let group = self.group(work.group, work.share);
        let Some(id) = self.destination(work.domain) else {
            return Pushed::Full;
        };
        if self.under_way.contains(&(work.message, id)) {
            self.come_again(work.message, id, work.ordered);
            return Pushed::Known;
        }
        if work.ordered == Ordered::Return {
            let task = Task::Settle("".into());
            self.settle_now((work.message, id), group, work.priority, task);
            return Pushed::Added;
        }
        let entry = Entry::new(work.message, work.due, work.priority, work.warned);
        let (total, entries_max) = (self.entries, self.limits.entries_max);
        let lane_time = self.groups[group as usize].lane_time;
        let Some(destination) = self.destinations[id as usize].as_mut() else {
            return Pushed::Full;
        };
        let lane = lane_of(destination, group, lane_time);
        if !has_room(lane.entries.len(), total, entries_max) {
            return match lane.entries.contains(&entry) {
                true => Pushed::Known,
                false => Pushed::Full,
            };
        }
        let was_first = lane.entries.first().copied();
        if !lane.entries.insert(entry) {
            return Pushed::Known;
        }
        self.entries += 1;
        let first_changed = was_first.is_none_or(|first| entry < first);
        self.wait_begins(group);
        if first_changed {
            self.relist(id);
        }
        Pushed::Added
    }

    fn come_again(&mut self, message: i64, id: DestinationId, ordered: Ordered) {
        let again = self.again.entry((message, id)).or_insert(ordered);
        if ordered == Ordered::Return {
            *again = ordered;
        }
    }

    fn settle_now(
        &mut self,
        (message, id): (i64, DestinationId),
        group: GroupId,
        priority: i8,
        task: Task,
    ) {
        let Some(destination) = self.destinations[id as usize].as_ref() else {
            return;
        };
        self.under_way.insert((message, id));
        self.settle.push_back(Claim {
            message,
            domain: destination.domain.clone(),
            task,
            group,
            destination: id,
            began: Timestamp(0),
            round: destination.round,
            priority,
        });
    }

    /// The next pair to work on; `None` where nothing may be begun just now.
    pub fn pick(&mut self, now: Timestamp) -> Option<Claim> {
        self.open_destinations(now);
        if self.settling < SETTLING_MAX
            && let Some(claim) = self.settle.pop_front()
        {
            self.settling += 1;
            return Some(claim);
        }
        while self.busy < self.limits.attempts_max {
            let (group, standing) = self.next_group()?;
            let &(rank, id) = self.groups[group as usize].ready[standing as usize].first()?;
            if let Some(claim) = self.claim(group, id, rank, now) {
                return Some(claim);
            }
        }
        None
    }

    /// When a destination's wait ends next; before that `pick` gives nothing new by itself.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// Gives a claim back. `Some` tells of a destination that went down or came up.
    pub fn finish(&mut self, claim: &Claim, ended: Finish<'_>) -> Option<Change> {
        let id = claim.destination;
        self.seen = self.seen.max(ended.now);
        self.under_way.remove(&(claim.message, id));
        if claim.task != Task::Try {
            self.settling = self.settling.saturating_sub(1);
            self.more(claim, &ended);
            return None;
        }
        let slow_after = self.limits.slow_after;
        let destination = self.destinations.get_mut(id as usize)?.as_mut()?;
        let standing = destination.standing(slow_after);
        destination.busy = destination.busy.saturating_sub(1);
        if let Some(lane) = (destination.lanes.iter_mut()).find(|lane| lane.group == claim.group) {
            lane.busy = lane.busy.saturating_sub(1);
        }
        let (busy_here, until) = (destination.busy as usize + 1, destination.until);
        let change = destination.ended(
            &Ended {
                peer: ended.peer,
                reply: ended.reply,
                began: claim.began,
                round: claim.round,
                now: ended.now,
                jitter: ended.jitter,
            },
            &self.limits.times,
        );
        let after = destination.standing(slow_after);
        let wakes = (until, destination.until);
        self.busy = self.busy.saturating_sub(1);
        if standing == Standing::Unproven {
            self.busy_unproven = self.busy_unproven.saturating_sub(busy_here);
        }
        if after == Standing::Unproven {
            self.busy_unproven += busy_here - 1;
        }
        self.move_wake(id, wakes);
        if let Some(group) = self.groups.get_mut(claim.group as usize) {
            group.busy = group.busy.saturating_sub(1);
        }
        self.more(claim, &ended);
        self.relist(id);
        self.forget_idle();
        change
    }

    /// What is left of a pair has its turn next: recipients beyond those of one attempt, and what
    /// was brought meanwhile. What goes back to its sender does not wait for its destination.
    fn more(&mut self, claim: &Claim, ended: &Finish<'_>) {
        let id = claim.destination;
        let pair = (claim.message, id);
        let again = self.again.remove(&pair);
        let task = match &claim.task {
            _ if again == Some(Ordered::Return) => Some(Task::Settle("".into())),
            Task::Settle(_) if ended.rest == Rest::More => Some(claim.task.clone()),
            _ => None,
        };
        if let Some(task) = task {
            return self.settle_now(pair, claim.group, claim.priority, task);
        }
        if ended.rest == Rest::None && again.is_none() {
            return;
        }
        let Some(destination) = self.destinations[id as usize].as_mut() else {
            return;
        };
        let lane_time = self.groups[claim.group as usize].lane_time;
        let lane = lane_of(destination, claim.group, lane_time);
        let entry = Entry::new(claim.message, ended.now, claim.priority, false);
        if lane.entries.insert(entry) {
            self.entries += 1;
            self.wait_begins(claim.group);
            self.relist(id);
        }
    }

    /// Sets aside what has grown old behind a destination that is down; `pick` gives it out as
    /// `Task::Settle`. Gives how many there are.
    pub fn settle_aged(
        &mut self,
        domain: &str,
        warn_before: TraceId,
        give_up_before: TraceId,
        now: Timestamp,
    ) -> usize {
        let Some(&id) = self.destination_ids.get(domain) else {
            return 0;
        };
        let Some(destination) = self.destinations[id as usize].as_mut() else {
            return 0;
        };
        let reply: Arc<str> = (*destination.last_reply).into();
        let round = destination.round;
        let mut aged = Vec::new();
        for lane in &mut destination.lanes {
            let (group, before) = (lane.group, aged.len());
            let is_aged = |entry: &Entry| entry.is_aged(warn_before, give_up_before);
            aged.extend((lane.entries.iter().copied().filter(is_aged)).map(|entry| (group, entry)));
            lane.entries.retain(|entry| !is_aged(entry));
            self.groups[group as usize].waiting -= aged.len() - before;
        }
        let domain = destination.domain.clone();
        self.entries -= aged.len();
        let before = self.settle.len();
        for (group, entry) in aged {
            if !self.under_way.insert((entry.message, id)) {
                self.come_again(entry.message, id, Ordered::Nothing);
                continue;
            }
            self.settle.push_back(Claim {
                message: entry.message,
                domain: domain.clone(),
                task: Task::Settle(reply.clone()),
                group,
                destination: id,
                began: now,
                round,
                priority: entry.priority(),
            });
        }
        self.relist(id);
        self.settle.len() - before
    }

    /// Keeps messages from being claimed until `thaw`. Gives those that are under way, which it has
    /// no effect on.
    pub fn freeze(&mut self, messages: &HashSet<i64>) -> HashSet<i64> {
        let busy: HashSet<i64> = (self.under_way.iter())
            .map(|(message, _)| *message)
            .filter(|message| messages.contains(message))
            .collect();
        for message in messages.difference(&busy) {
            *self.frozen.entry(*message).or_default() += 1;
        }
        busy
    }

    /// Ends `freeze` for messages that it froze.
    pub fn thaw<'a>(&mut self, messages: impl Iterator<Item = &'a i64>) {
        for message in messages {
            if let Some(count) = self.frozen.get_mut(message) {
                *count -= 1;
                if *count == 0 {
                    self.frozen.remove(message);
                }
            }
        }
        for id in std::mem::take(&mut self.stalled) {
            self.relist(id);
        }
    }

    /// A destination that was down before a restart.
    pub fn restore(&mut self, down: &Down) {
        let Some(id) = self.destination(&down.domain) else {
            return;
        };
        let Some(destination) = self.destinations[id as usize].as_mut() else {
            return;
        };
        let before = destination.until;
        destination.restore(down);
        let after = destination.until;
        self.move_wake(id, (before, after));
        self.relist(id);
    }

    /// Tries a destination at once, whatever happened before.
    pub fn reset(&mut self, domain: &str) -> Option<Change> {
        let &id = self.destination_ids.get(domain)?;
        let destination = self.destinations[id as usize].as_mut()?;
        let slow_after = self.limits.slow_after;
        let (before, was) = (destination.until, destination.standing(slow_after));
        let change = destination.reset();
        let (is, busy) = (destination.standing(slow_after), destination.busy as usize);
        if was == Standing::Unproven && is == Standing::Proven {
            self.busy_unproven = self.busy_unproven.saturating_sub(busy);
        }
        self.move_wake(id, (before, None));
        self.relist(id);
        change
    }
}

/// How a claimed attempt ended.
#[derive(Debug, Clone, Copy)]
pub struct Finish<'a> {
    /// What it told of the destination.
    pub peer: Peer,
    /// The reply, for those who ask why.
    pub reply: &'a str,
    /// The time.
    pub now: Timestamp,
    /// 0 to 255; spreads waits.
    pub jitter: u8,
    /// Whether it was all there is to do for this pair.
    pub rest: Rest,
}

/// What is left of a pair after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rest {
    /// Nothing that is due.
    #[default]
    None,
    /// More recipients than one attempt takes.
    More,
}
