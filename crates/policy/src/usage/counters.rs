//! Numbers per scope for the hour and the day. In memory, with the rows that keep them.

use super::Limit;
use crate::model::{Limits, Scope};
use crate::rows;
use platform::params;
use platform::store::{StoreError, Tx};
use std::collections::{HashMap, HashSet};

/// The hour and the day something counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period {
    /// Hours since 1970.
    pub(super) hour: i64,
    /// Days since 1970 in the installation's time zone.
    pub(super) day: i64,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Slot {
    Messages,
    Recipients,
    NewRecipients,
}

impl Slot {
    const ALL: [Self; 3] = [Self::Messages, Self::Recipients, Self::NewRecipients];

    pub(super) fn limit(self, limits: &Limits) -> Option<u32> {
        match self {
            Self::Messages => limits.messages_per_hour,
            Self::Recipients => limits.recipients_per_day,
            Self::NewRecipients => limits.new_recipients_per_day,
        }
    }

    pub(super) fn named(self) -> Limit {
        match self {
            Self::Messages => Limit::MessagesPerHour,
            Self::Recipients => Limit::RecipientsPerDay,
            Self::NewRecipients => Limit::NewRecipientsPerDay,
        }
    }

    fn number(self) -> i64 {
        match self {
            Self::Messages => 0,
            Self::Recipients => 1,
            Self::NewRecipients => 2,
        }
    }

    fn period(self, period: Period) -> i64 {
        match self {
            Self::Messages => period.hour,
            Self::Recipients | Self::NewRecipients => period.day,
        }
    }
}

/// A number and the time it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    period: i64,
    used: u32,
}

/// A number to be kept.
pub(super) type Kept = (Scope, Slot, Count);

#[derive(Debug, Default)]
pub(super) struct Counters {
    counts: HashMap<Scope, [Option<Count>; 3]>,
    changed: HashSet<(Scope, Slot)>,
}

impl Counters {
    fn at(&self, scope: &Scope, slot: Slot) -> Option<Count> {
        let counts = self.counts.get(scope)?;
        counts.get(slot.number() as usize).copied().flatten()
    }

    pub(super) fn used(&self, scope: &Scope, slot: Slot, period: Period) -> u32 {
        let count = self.at(scope, slot);
        let current = count.filter(|count| count.period == slot.period(period));
        current.map_or(0, |count| count.used)
    }

    pub(super) fn add(&mut self, scope: &Scope, slot: Slot, period: Period) {
        let used = self.used(scope, slot, period).saturating_add(1);
        self.put(scope, slot, slot.period(period), used);
    }

    /// Where the hour is over meanwhile, nothing is left to give back.
    pub(super) fn give_back(&mut self, scope: &Scope, slot: Slot, period: Period) {
        let used = self.used(scope, slot, period);
        if used > 0 {
            self.put(scope, slot, slot.period(period), used - 1);
        }
    }

    fn put(&mut self, scope: &Scope, slot: Slot, period: i64, used: u32) {
        if !self.counts.contains_key(scope) {
            self.counts.insert(scope.clone(), [None; 3]);
        }
        let place = self.counts.get_mut(scope);
        if let Some(place) = place.and_then(|all| all.get_mut(slot.number() as usize)) {
            *place = Some(Count { period, used });
        }
        self.changed.insert((scope.clone(), slot));
    }

    pub(super) fn changed(&mut self) -> Vec<Kept> {
        let changed = std::mem::take(&mut self.changed);
        let kept = changed.into_iter().filter_map(|(scope, slot)| {
            let count = self.at(&scope, slot)?;
            Some((scope, slot, count))
        });
        kept.collect()
    }

    pub(super) fn still_changed(&mut self, rows: Vec<Kept>) {
        let keys = rows.into_iter().map(|(scope, slot, _)| (scope, slot));
        self.changed.extend(keys);
    }

    /// Forgets what is about times gone.
    pub(super) fn forget(&mut self, period: Period) {
        self.counts.retain(|_, counts| {
            Slot::ALL.iter().any(|slot| {
                let count = counts.get(slot.number() as usize).copied().flatten();
                count.is_some_and(|count| count.period >= slot.period(period))
            })
        });
    }
}

pub(super) fn read(tx: &mut dyn Tx) -> Result<Counters, StoreError> {
    let rows = tx.all(
        "SELECT scope_kind, scope, measure, period, used FROM policy_usage",
        params![],
        |row| {
            let scope = rows::scope_from(row.int(0)?, row.text(1)?)?;
            let count = Count {
                period: row.int(3)?,
                used: u32::try_from(row.int(4)?).unwrap_or(u32::MAX),
            };
            Ok((scope, row.int(2)?, count))
        },
    )?;
    let mut counters = Counters::default();
    for (scope, number, count) in rows {
        if let Some(slot) = Slot::ALL.iter().find(|slot| slot.number() == number) {
            counters.put(&scope, *slot, count.period, count.used);
        }
    }
    counters.changed.clear();
    Ok(counters)
}

/// Writes numbers over what was kept. A scope that is gone gets no row: its name may come back.
pub(super) fn write(tx: &mut dyn Tx, rows: &[Kept]) -> Result<(), StoreError> {
    for (scope, slot, count) in rows {
        if !rows::scope_exists(tx, scope)? {
            continue;
        }
        let (kind, key) = rows::scope_key(scope);
        tx.execute(
            "INSERT INTO policy_usage (scope_kind, scope, measure, period, used) \
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (scope_kind, scope, measure) DO UPDATE SET \
             period = excluded.period, used = excluded.used",
            params![kind, &key, slot.number(), count.period, count.used],
        )?;
    }
    Ok(())
}

pub(super) fn forget(tx: &mut dyn Tx, period: Period) -> Result<(), StoreError> {
    for slot in Slot::ALL {
        tx.execute(
            "DELETE FROM policy_usage WHERE measure = ?1 AND period < ?2",
            params![slot.number(), slot.period(period)],
        )?;
    }
    Ok(())
}
