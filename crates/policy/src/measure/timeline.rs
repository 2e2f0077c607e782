//! A schedule in a time zone: moments instead of dates, so that every node decides alike at every instant and
//! without being told. Pure; the time is an argument. Made when a snapshot is built.

use super::schedule::{LocalTime, Schedule};
use crate::local_time;
use crate::model::{Sender, Stage};
use jiff::tz::TimeZone;
use jiff::{Timestamp as Moment, civil};
use platform::clock::Timestamp;

/// The time zone in which days begin and end.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone(TimeZone);

impl Default for Zone {
    /// `Europe/Berlin`.
    fn default() -> Self {
        Self(local_time::zone(local_time::DEFAULT_ZONE).unwrap_or(TimeZone::UTC))
    }
}

impl Zone {
    /// The zone with this IANA name.
    pub fn named(name: &str) -> Option<Self> {
        local_time::zone(name).map(Self)
    }

    pub(crate) fn inner(&self) -> &TimeZone {
        &self.0
    }

    /// Its IANA name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// A moment as the clocks here show it, with their distance from UTC (RFC 3339), to the second.
    pub fn shown(&self, at: Timestamp) -> String {
        let moment = Moment::from_millisecond(at.0).unwrap_or(Moment::MAX);
        let here = moment.to_zoned(self.0.clone());
        here.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    /// The moment at which a day or minute begins. In the hour that summer time leaves out: the moment after
    /// it; in the hour it gives twice: the first.
    pub fn beginning(&self, of: LocalTime) -> Timestamp {
        self.moment(of.beginning())
    }

    /// The moment at which what is allowed until then is over: a day counts as a whole.
    pub fn end(&self, of: LocalTime) -> Timestamp {
        self.moment(of.end())
    }

    fn moment(&self, local: civil::DateTime) -> Timestamp {
        let moment = self.0.to_timestamp(local);
        moment.map_or(Timestamp(i64::MAX), |at| Timestamp(at.as_millisecond()))
    }

    /// The calendar's day and minute at `at`; a day where it is midnight.
    pub fn local(&self, at: Timestamp) -> Option<LocalTime> {
        local_time::local(at, &self.0).map(LocalTime::of)
    }
}

/// A step with the moment it begins at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatedStep {
    /// Since when; `None`: since ever.
    pub from: Option<Timestamp>,
    /// The same as it was written, for texts.
    pub written: Option<LocalTime>,
    /// What holds from then on.
    pub stage: Stage,
}

/// A schedule in a time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// What holds before `steps`.
    first: Stage,
    steps: Box<[(Timestamp, Stage)]>,
    canary: Option<u8>,
    /// What tells the chosen accounts of one measure from those of another.
    salt: u64,
    paused: Option<Stage>,
}

impl Timeline {
    /// The moments of `schedule`. `salt` names the measure: its canary accounts are others than those of
    /// another measure.
    pub fn new(schedule: &Schedule, zone: &Zone, salt: &str) -> Self {
        let mut steps = schedule.steps.iter();
        let first = steps.next().map_or(Stage::Off, |step| step.stage);
        let dated = steps.filter_map(|step| Some((zone.beginning(step.from?), step.stage)));
        Self {
            first,
            steps: dated.collect(),
            canary: schedule.canary,
            salt: hash(salt.as_bytes()),
            paused: schedule.paused,
        }
    }

    /// The stage at `now` for `sender`; without a canary it is the same for all.
    pub fn stage(&self, sender: &Sender<'_>, now: Timestamp) -> Stage {
        if let Some(stage) = self.paused {
            return stage;
        }
        let (stage, before) = self.reached(now);
        match (self.canary, before) {
            (Some(share), Some(before)) if !self.is_canary(sender, share) => before,
            _ => stage,
        }
    }

    /// The stage at `now` and, where it holds for a share of accounts only, that of the others.
    pub fn stages(&self, now: Timestamp) -> (Stage, Option<Stage>) {
        if let Some(stage) = self.paused {
            return (stage, None);
        }
        let (stage, before) = self.reached(now);
        (stage, before.filter(|_| self.canary.is_some()))
    }

    /// The lowest stage anybody is at.
    fn lowest(&self, now: Timestamp) -> Stage {
        let (stage, others) = self.stages(now);
        others.map_or(stage, |others| others.min(stage))
    }

    /// The times in which somebody is below `Enforce`; the end is not part of them.
    pub(crate) fn times_below_enforce(&self) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let starts = std::iter::once(Timestamp(i64::MIN)).chain(self.changes());
        let ends = self.changes().chain([Timestamp(i64::MAX)]);
        starts
            .zip(ends)
            .filter(|(from, _)| self.lowest(*from) < Stage::Enforce)
    }

    /// The stage the dates give and, where it is the last, the stage before it.
    fn reached(&self, now: Timestamp) -> (Stage, Option<Stage>) {
        let passed = self.steps.partition_point(|(from, _)| *from <= now);
        let at = |n: usize| self.steps.get(n).map_or(self.first, |(_, stage)| *stage);
        let Some(last) = passed.checked_sub(1) else {
            let before = self.steps.is_empty().then(|| self.first.before());
            return (self.first, before);
        };
        let before = (passed == self.steps.len()).then(|| match last.checked_sub(1) {
            Some(n) => at(n),
            None => self.first,
        });
        (at(last), before)
    }

    fn is_canary(&self, sender: &Sender<'_>, share: u8) -> bool {
        let whom = match sender.account {
            Some(account) => mixed(account.0.cast_unsigned()),
            None if sender.domain.is_empty() => return false,
            None => hash(sender.domain.as_bytes()),
        };
        mixed(whom ^ self.salt) % 100 < u64::from(share)
    }

    /// The moments at which the stage changes, in order.
    pub fn changes(&self) -> impl Iterator<Item = Timestamp> + '_ {
        let steps = match self.paused {
            Some(_) => &[][..],
            None => &self.steps,
        };
        steps.iter().map(|(from, _)| *from)
    }

    /// Every step, the first without a moment.
    pub fn steps(&self, zone: &Zone) -> Vec<DatedStep> {
        let first = DatedStep {
            from: None,
            written: None,
            stage: self.first,
        };
        let dated = self.steps.iter().map(|(from, stage)| DatedStep {
            from: Some(*from),
            written: zone.local(*from),
            stage: *stage,
        });
        std::iter::once(first).chain(dated).collect()
    }

    /// Share of accounts the last stage holds for; `None`: all.
    pub fn canary(&self) -> Option<u8> {
        self.canary
    }

    /// The stage it is held at, whatever the dates say.
    pub fn paused(&self) -> Option<Stage> {
        self.paused
    }
}

/// FNV-1a: the same on every node and in every version, which is all that is asked of it.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Spreads neighbouring numbers over the whole range (the finisher of SplitMix64).
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
