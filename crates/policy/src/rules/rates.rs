//! How often something happened lately, for rules that let only so many through. In memory of one node, bounded; a
//! window begins with the first event in it. Forgets everything at a restart. Sessions ask.

use super::action::Action;
use super::evaluate::Acting;
use super::fact::Fact;
use super::facts::{Facts, Known, hash_of};
use super::rule::{Point, Rule};
use platform::clock::Timestamp;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Counters kept at once; beyond that the oldest windows are forgotten.
const COUNTERS_MAX: usize = 100_000;

/// Counters of rates. Cheap to clone; all clones share them.
#[derive(Clone, Default)]
pub struct Rates {
    counters: Arc<Mutex<HashMap<(u64, u64), Counter>>>,
}

#[derive(Debug, Clone, Copy)]
struct Counter {
    ends: Timestamp,
    used: u32,
}

/// Whether there is room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// It was counted and may pass.
    Left,
    /// The window is full until then.
    Full {
        /// When the window ends.
        until: Timestamp,
    },
}

impl Rates {
    /// Counts one event for the rate in `acting`; what is no rate has room always.
    pub fn count(&self, acting: &Acting<'_>, facts: &Facts<'_>, now: Timestamp) -> Room {
        let Action::Rate { by, count, per, .. } = acting.action else {
            return Room::Left;
        };
        let key = key_of(acting, by, facts);
        let held = self.counters.lock();
        let mut counters = held.unwrap_or_else(|poisoned| poisoned.into_inner());
        if counters.len() >= COUNTERS_MAX && !counters.contains_key(&key) {
            counters.retain(|_, counter| counter.ends > now);
            if counters.len() >= COUNTERS_MAX {
                counters.clear();
            }
        }
        let fresh = Counter {
            ends: now.plus(per.0),
            used: 0,
        };
        let counter = counters.entry(key).or_insert(fresh);
        if counter.ends <= now {
            *counter = fresh;
        }
        if counter.used >= *count {
            return Room::Full {
                until: counter.ends,
            };
        }
        counter.used += 1;
        Room::Left
    }

    /// The same without counting.
    pub fn look(&self, acting: &Acting<'_>, facts: &Facts<'_>, now: Timestamp) -> Room {
        let Action::Rate { by, count, .. } = acting.action else {
            return Room::Left;
        };
        let held = self.counters.lock();
        let counters = held.unwrap_or_else(|poisoned| poisoned.into_inner());
        match counters.get(&key_of(acting, by, facts)) {
            Some(counter) if counter.ends > now && counter.used >= *count => Room::Full {
                until: counter.ends,
            },
            _ => Room::Left,
        }
    }
}

impl Rates {
    /// Whether `rule`, whose condition holds, would stop somebody if it were enforced; of a rule that can stop nobody:
    /// whether it would act. Counts as the rule would count.
    pub fn would_act(&self, rule: &Rule, point: Point, facts: &Facts<'_>, now: Timestamp) -> bool {
        if !rule.can_break() {
            return true;
        }
        for action in &rule.then {
            let stops = match action {
                Action::Accept => return false,
                // What the other server can do is not known yet.
                Action::RequireTls { lowest, .. } => {
                    point == Point::Deliver || !facts.has_tls(lowest.0)
                }
                Action::Rate { .. } => {
                    let acting = Acting { rule, action };
                    self.count(&acting, facts, now) != Room::Left
                }
                other => other.can_break(),
            };
            if stops {
                return true;
            }
        }
        false
    }
}

/// Where a rate of a rule is counted.
fn key_of(acting: &Acting<'_>, by: &[Fact], facts: &Facts<'_>) -> (u64, u64) {
    (hash_of(&acting.rule.name, 0), key(by, facts))
}

/// What the values of these facts are counted under.
fn key(by: &[Fact], facts: &Facts<'_>) -> u64 {
    let mut key = 0;
    for fact in by {
        key = match fact {
            // The network, for IPv6: a client has 2^64 addresses to change to.
            Fact::Client => match facts.client {
                Known::Is(address) => hash_of(&counted_as(address), key),
                _ => key,
            },
            Fact::Recipient | Fact::RecipientDomain => {
                let first = facts.recipients.value().and_then(|all| all.first());
                let text = match (fact, first) {
                    (_, None) => "",
                    (Fact::Recipient, Some(one)) => one.address.value().unwrap_or_default(),
                    (_, Some(one)) => one.domain,
                };
                hash_of(text, key)
            }
            other => hash_of(
                super::compiled::text_of(other, facts)
                    .value()
                    .unwrap_or_default(),
                key,
            ),
        }
        .wrapping_add(1);
    }
    key
}

fn counted_as(address: std::net::IpAddr) -> String {
    match address.to_canonical() {
        std::net::IpAddr::V4(v4) => v4.to_string(),
        std::net::IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}")
        }
    }
}
