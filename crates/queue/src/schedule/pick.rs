//! Whose turn it is: the part of the schedule that compares groups and lanes. Pure.

use super::destination::{Destination, Lane, Standing};
use super::{
    BEHIND_PER_PRIORITY_STEP, CROWDED, Claim, DestinationId, GROUPS_MAX, Group, GroupId,
    IDLE_DESTINATIONS_MAX, LANE_PART, Ordered, PROVEN_PART, RESERVE_PART, SHARE_RATIO_MAX,
    SHORT_LANE_ENTRIES, Schedule, Share, TURN, Task, UNGROUPED,
};
use platform::clock::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How far a group's virtual time may lie behind: the longest stride there is.
const LAG_MAX: u64 = SHARE_RATIO_MAX as u64 * TURN;

/// Whether a lane of this length may take one more in.
pub(super) fn has_room(lane: usize, total: usize, entries_max: usize) -> bool {
    if total >= entries_max {
        return false;
    }
    if total >= entries_max - entries_max / 8 {
        return lane < SHORT_LANE_ENTRIES;
    }
    total < entries_max / CROWDED || lane < entries_max / LANE_PART
}

pub(super) fn lane_of(destination: &mut Destination, group: GroupId, pass: u64) -> &mut Lane {
    let place = destination
        .lanes
        .iter()
        .position(|lane| lane.group == group);
    let place = place.unwrap_or_else(|| {
        destination.lanes.push(Lane {
            group,
            entries: BTreeSet::new(),
            pass,
            busy: 0,
            listed: None,
        });
        destination.lanes.len() - 1
    });
    &mut destination.lanes[place]
}

impl Schedule {
    pub(super) fn group(&mut self, name: Option<&str>, share: Share) -> GroupId {
        let known = name.map_or(Some(UNGROUPED), |name| self.group_ids.get(name).copied());
        let id = known.unwrap_or_else(|| self.new_group(name));
        self.groups[id as usize].share = share;
        id
    }

    fn new_group(&mut self, name: Option<&str>) -> GroupId {
        let (Some(name), Ok(id)) = (name, GroupId::try_from(self.groups.len())) else {
            return UNGROUPED;
        };
        if self.groups.len() >= GROUPS_MAX {
            return UNGROUPED;
        }
        let name: Arc<str> = name.into();
        self.groups.push(Group::new(Some(name.clone())));
        self.group_ids.insert(name, id);
        id
    }

    pub(super) fn destination(&mut self, domain: &str) -> Option<DestinationId> {
        if let Some(&id) = self.destination_ids.get(domain) {
            return Some(id);
        }
        // A destination takes about as much memory as thirty entries.
        if self.destination_ids.len() >= (self.limits.entries_max / 4).max(IDLE_DESTINATIONS_MAX) {
            return None;
        }
        let domain: Arc<str> = domain.into();
        let made = Some(Destination::new(domain.clone()));
        let id = match self.free.pop() {
            Some(id) => {
                self.destinations[id as usize] = made;
                id
            }
            None => {
                self.destinations.push(made);
                DestinationId::try_from(self.destinations.len() - 1).ok()?
            }
        };
        self.destination_ids.insert(domain, id);
        Some(id)
    }

    /// A group that had nothing to do begins where the others are: it gets no credit for the time
    /// it slept, and no debt either.
    pub(super) fn wait_begins(&mut self, group: GroupId) {
        let time = self.time;
        let group = &mut self.groups[group as usize];
        if group.waiting == 0 {
            group.pass = group.pass.max(time);
        }
        group.waiting += 1;
    }

    pub(super) fn open_destinations(&mut self, now: Timestamp) {
        if now < self.seen {
            self.clock_went_back(now);
        }
        self.seen = now;
        while let Some(&(at, id)) = self.wakes.first()
            && at <= now
        {
            self.wakes.pop_first();
            if let Some(destination) = &mut self.destinations[id as usize] {
                destination.until = None;
            }
            self.relist(id);
        }
    }

    /// Nobody is left alone for longer than the longest wait because the clock was wrong.
    fn clock_went_back(&mut self, now: Timestamp) {
        let longest = now.plus(self.limits.times.longest);
        let far: Vec<_> = (self.wakes.iter().rev())
            .take_while(|(at, _)| *at > longest.plus(self.limits.times.longest / 4))
            .copied()
            .collect();
        for (at, id) in far {
            if let Some(destination) = &mut self.destinations[id as usize] {
                destination.until = Some(longest);
            }
            self.move_wake(id, (Some(at), Some(longest)));
        }
    }

    pub(super) fn move_wake(
        &mut self,
        id: DestinationId,
        (before, after): (Option<Timestamp>, Option<Timestamp>),
    ) {
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.wakes.remove(&(before, id));
        }
        if let Some(after) = after {
            self.wakes.insert((after, id));
        }
    }

    /// The group whose turn it is, and from which of its lanes it takes.
    pub(super) fn next_group(&self) -> Option<(GroupId, Standing)> {
        let most = self.limits.attempts_max;
        let free = most - self.busy;
        let reserve = if most >= RESERVE_PART {
            most / RESERVE_PART
        } else {
            0
        };
        let unproven_may = self.busy_unproven < most - most / PROVEN_PART;
        let total = self.shares();
        let mut best: Option<(u64, GroupId, Standing)> = None;
        for (id, group) in (0..).zip(&self.groups) {
            let Some(standing) = group.first(unproven_may) else {
                continue;
            };
            if best.is_some_and(|(pass, ..)| pass <= group.pass) {
                continue;
            }
            if free <= reserve {
                let part = reserve as f64 * total.of(group) / total.sum.max(f64::MIN_POSITIVE);
                if group.busy >= (part as usize).max(1) {
                    continue;
                }
            }
            best = Some((group.pass, id, standing));
        }
        best.map(|(_, id, standing)| (id, standing))
    }

    /// The shares of all groups that wait or have attempts under way.
    fn shares(&self) -> Shares {
        let active = || (self.groups.iter()).filter(|group| group.waiting > 0 || group.busy > 0);
        let greatest = active().map(|group| group.share.size()).fold(0.0, f64::max);
        let mut shares = Shares { greatest, sum: 0.0 };
        shares.sum = active().map(|group| shares.of(group)).sum();
        shares
    }

    /// Takes the first entry of a lane. `None` where nothing may be begun there just now.
    pub(super) fn claim(
        &mut self,
        group_id: GroupId,
        id: DestinationId,
        rank: u64,
        now: Timestamp,
    ) -> Option<Claim> {
        let shares = self.shares();
        let slow_after = self.limits.slow_after;
        let destination = self.destinations[id as usize].as_mut()?;
        let standing = destination.standing(slow_after);
        let (domain, round) = (destination.domain.clone(), destination.round);
        let lane = (destination.lanes.iter_mut()).find(|lane| lane.group == group_id)?;
        let frozen = &self.frozen;
        let place = lane
            .entries
            .iter()
            .find(|entry| !frozen.contains_key(&entry.message));
        let Some(entry) = place.copied() else {
            // All of it is frozen, for the moments an order takes.
            self.groups[group_id as usize].ready[standing as usize].remove(&(rank, id));
            lane.listed = None;
            self.stalled.push(id);
            return None;
        };
        lane.entries.remove(&entry);
        self.entries -= 1;
        self.groups[group_id as usize].waiting -= 1;
        if !self.under_way.insert((entry.message, id)) {
            // It waited twice, for example because its recipients fell due one after the other. Two
            // attempts at once would send it twice.
            self.come_again(entry.message, id, Ordered::Nothing);
            self.relist(id);
            return None;
        }
        lane.busy += 1;
        let group = &mut self.groups[group_id as usize];
        lane.pass = lane.pass.max(group.lane_time) + TURN;
        let lanes = group.ready.iter().map(BTreeSet::len).sum::<usize>().max(1);
        // Time goes on with every turn, so that lanes that come new do not pass those that wait.
        group.lane_time += (TURN / lanes as u64).max(1);
        group.busy += 1;
        let size = shares.of(group).max(f64::MIN_POSITIVE);
        // Whoever could not be served for a while does not make up for it at the others' cost.
        let begin = group.pass.max(self.time.saturating_sub(LAG_MAX));
        group.pass = begin + (TURN as f64 * shares.greatest / size) as u64;
        self.time = self.time.max(begin);
        destination.busy += 1;
        self.busy += 1;
        if standing == Standing::Unproven {
            self.busy_unproven += 1;
        }
        self.relist(id);
        Some(Claim {
            message: entry.message,
            domain,
            task: Task::Try,
            group: group_id,
            destination: id,
            began: now,
            round,
            priority: entry.priority(),
        })
    }

    /// Puts the lanes of a destination where they belong among the ready ones of their groups.
    pub(super) fn relist(&mut self, id: DestinationId) {
        let Some(destination) = self.destinations[id as usize].as_mut() else {
            return;
        };
        let allowed = destination.allowed(self.limits.attempts_per_destination_max) as usize;
        let standing = destination.standing(self.limits.slow_after);
        let busy = destination.busy as usize;
        let is_open = destination.until.is_none() && busy < allowed;
        // Room that one group may not take alone where several want to go there.
        let reserve = match destination.lanes.len() {
            0 | 1 => 0,
            _ => allowed / RESERVE_PART,
        };
        for lane in &mut destination.lanes {
            let may = is_open && (lane.busy == 0 || allowed - busy > reserve);
            let first = lane.entries.first().filter(|_| may);
            let group = &mut self.groups[lane.group as usize];
            let listed = first.map(|first| {
                let behind = first.steps_below_highest() * BEHIND_PER_PRIORITY_STEP;
                if lane.listed.is_none() {
                    lane.pass = lane.pass.max(group.lane_time);
                }
                (standing, lane.pass + behind)
            });
            if listed == lane.listed {
                continue;
            }
            if let Some((standing, rank)) = lane.listed {
                group.ready[standing as usize].remove(&(rank, id));
            }
            if let Some((standing, rank)) = listed {
                group.ready[standing as usize].insert((rank, id));
            }
            lane.listed = listed;
        }
    }

    /// Forgets destinations nothing waits for, once there are many.
    pub(super) fn forget_idle(&mut self) {
        let many = self.destination_ids.len() > IDLE_DESTINATIONS_MAX;
        // Looking at all of them is worth it only now and then.
        if !many || self.destination_ids.len() < self.forget_at {
            return;
        }
        for (id, place) in (0..).zip(self.destinations.iter_mut()) {
            let Some(destination) = place else { continue };
            if destination.is_idle() {
                if let Some(until) = destination.until {
                    self.wakes.remove(&(until, id));
                }
                self.destination_ids.remove(&destination.domain);
                *place = None;
                self.free.push(id);
            }
        }
        self.forget_at = self.destination_ids.len() * 2;
    }
}

struct Shares {
    greatest: f64,
    sum: f64,
}

impl Shares {
    /// A group's share, raised to the smallest there is.
    fn of(&self, group: &Group) -> f64 {
        group.share.size().max(self.greatest / SHARE_RATIO_MAX)
    }
}

impl Group {
    pub(super) fn new(name: Option<Arc<str>>) -> Self {
        Self {
            name,
            share: Share::default(),
            pass: 0,
            lane_time: 0,
            ready: Default::default(),
            waiting: 0,
            busy: 0,
        }
    }

    /// From which lanes it would take: those of proven destinations, or of others where they may,
    /// whichever has waited longer.
    fn first(&self, unproven_may: bool) -> Option<Standing> {
        let proven = self.ready[Standing::Proven as usize].first();
        let unproven = self.ready[Standing::Unproven as usize]
            .first()
            .filter(|_| unproven_may);
        match (proven, unproven) {
            (Some(proven), Some(unproven)) if unproven < proven => Some(Standing::Unproven),
            (Some(_), _) => Some(Standing::Proven),
            (None, Some(_)) => Some(Standing::Unproven),
            (None, None) => None,
        }
    }
}
