//! What the schedule is doing, for whoever asks why a message waits. Values only.

use super::Schedule;
use serde::{Deserialize, Serialize};

/// Destinations told at most.
const DESTINATIONS_MAX: usize = 1000;

/// The schedule at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct State {
    /// Pairs of message and destination in memory.
    pub waiting: usize,
    /// Attempts under way.
    pub under_way: usize,
    /// Groups that wait or have attempts under way.
    pub groups: Vec<GroupState>,
    /// Destinations that are down, slowed or have attempts under way; some, where there are many.
    pub destinations: Vec<DestinationState>,
}

/// What a group does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupState {
    /// Its name; `None` for mail without a group.
    pub name: Option<Box<str>>,
    /// Pairs that wait.
    pub waiting: usize,
    /// Attempts under way.
    pub under_way: usize,
}

/// What a destination does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationState {
    /// The domain.
    pub domain: Box<str>,
    /// Pairs that wait.
    pub waiting: usize,
    /// Attempts under way.
    pub under_way: u32,
    /// Attempts it bears at once.
    pub allowed: u32,
    /// Since when it cannot be reached, milliseconds since 1970.
    pub down_since_ms: Option<i64>,
    /// Nothing is tried before this time, milliseconds since 1970.
    pub until_ms: Option<i64>,
    /// Why.
    pub last_reply: Box<str>,
}

impl Schedule {
    /// What it is doing.
    pub fn state(&self) -> State {
        let groups = self.groups.iter();
        let most = self.limits.attempts_per_destination_max;
        State {
            waiting: self.entries,
            under_way: self.under_way.len(),
            groups: groups
                .filter(|group| group.waiting > 0 || group.busy > 0)
                .map(|group| GroupState {
                    name: group.name.as_deref().map(Into::into),
                    waiting: group.waiting,
                    under_way: group.busy,
                })
                .collect(),
            destinations: (self.destinations.iter().flatten())
                .filter(|destination| destination.busy > 0 || destination.until.is_some())
                .take(DESTINATIONS_MAX)
                .map(|destination| DestinationState {
                    domain: (*destination.domain).into(),
                    waiting: (destination.lanes.iter())
                        .map(|lane| lane.entries.len())
                        .sum(),
                    under_way: destination.busy,
                    allowed: destination.allowed(most),
                    down_since_ms: destination.down_since.map(|at| at.0),
                    until_ms: destination.until.map(|at| at.0),
                    last_reply: destination.last_reply.clone(),
                })
                .collect(),
        }
    }
}
