//! Measures in a snapshot: at which stage which measure is for whom, at any moment and without a new snapshot.
//! Pure; a lookup allocates nothing.

use super::{Scoped, Snapshot};
use crate::legacy::Stopped;
use crate::measure::{DatedStep, Measure, Schedule, Service, Timeline, Zone};
use crate::model::*;
use crate::spoofed::{Spoofed, SpoofedDemand};
use directory::AccountId;
use platform::clock::Timestamp;
use platform::tls::TlsVersion;

/// What a timeline is for; `None` stands for every service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    TlsVersion(Option<Service>),
    Cleartext(Option<Service>),
    SenderOwnership,
    InboundTls,
    OutboundTls,
    SpoofedSender,
}

impl What {
    /// What the canary accounts are chosen by. That of all services is one, so that a customer who is
    /// chosen for one is chosen for all.
    fn salt(self) -> &'static str {
        match self {
            Self::TlsVersion(_) => "tls-version",
            Self::Cleartext(_) => "cleartext",
            Self::SenderOwnership => "sender-ownership",
            Self::InboundTls => "inbound-tls",
            Self::OutboundTls => "outbound-tls",
            Self::SpoofedSender => "spoofed-sender",
        }
    }

    /// The same for every service, where there are services.
    fn everywhere(self) -> Option<Self> {
        match self {
            // What others connect to; our own connections are another matter.
            Self::TlsVersion(Some(service)) if service != Service::Relay => {
                Some(Self::TlsVersion(None))
            }
            Self::Cleartext(Some(service)) if service.takes_clear_logins() => {
                Some(Self::Cleartext(None))
            }
            _ => None,
        }
    }
}

/// What is demanded, where a measure can demand one thing or another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Demand {
    Only,
    Tls(TlsVersion),
    Outbound(OutboundTls),
    Spoofed(Spoofed),
}

#[derive(Debug)]
struct Dated {
    what: What,
    demand: Demand,
    /// From when on it no longer holds: an exception that is over.
    ends_at: Option<Timestamp>,
    timeline: Timeline,
}

impl Dated {
    fn holds(&self, now: Timestamp) -> bool {
        self.ends_at.is_none_or(|end| end > now)
    }
}

/// The measures of one scope. Few: they are looked through.
#[derive(Debug, Default)]
pub(crate) struct Measures {
    dated: Vec<Dated>,
    legacy: Option<Legacy>,
}

impl Measures {
    pub(crate) fn add_ownership(&mut self, schedule: &Schedule, at: At<'_>) {
        self.add(What::SenderOwnership, Demand::Only, schedule, at);
    }

    pub(crate) fn add_inbound(&mut self, schedule: &Schedule, at: At<'_>) {
        self.add(What::InboundTls, Demand::Only, schedule, at);
    }

    pub(crate) fn add_outbound(&mut self, demand: &OutboundDemand, at: At<'_>) {
        let level = Demand::Outbound(demand.level);
        self.add(What::OutboundTls, level, &demand.schedule, at);
    }

    pub(crate) fn add_spoofed(&mut self, demand: &SpoofedDemand, at: At<'_>) {
        let level = Demand::Spoofed(demand.level);
        self.add(What::SpoofedSender, level, &demand.schedule, at);
    }

    /// `item` is a service's word or `*`.
    pub(crate) fn add_cleartext(&mut self, item: &str, schedule: &Schedule, at: At<'_>) {
        let what = What::Cleartext(Service::from_word(item));
        self.add(what, Demand::Only, schedule, at);
    }

    /// `item` is a service's word or `*`.
    pub(crate) fn add_lowest_tls(&mut self, item: &str, lowest: &LowestTls, at: At<'_>) {
        let what = What::TlsVersion(Service::from_word(item));
        let demand = Demand::Tls(lowest.version);
        self.add(what, demand, &lowest.schedule, at);
    }

    fn add(&mut self, what: What, demand: Demand, schedule: &Schedule, at: At<'_>) {
        self.dated.push(Dated {
            what,
            demand,
            ends_at: at.ends_at,
            timeline: Timeline::new(schedule, at.zone, what.salt()),
        });
    }

    pub(crate) fn set_legacy(&mut self, access: &LegacyAccess, zone: &Zone) {
        self.legacy = Some(match access {
            LegacyAccess::Off => Legacy::Off,
            LegacyAccess::Forbidden => Legacy::Forbidden,
            LegacyAccess::Until {
                until,
                versions,
                clear,
            } => Legacy::Until {
                end: zone.end(*until),
                versions: *versions,
                clear: *clear,
            },
        });
    }

    /// That of the service itself stands before that of every service.
    fn find(&self, what: What, now: Timestamp) -> Option<&Dated> {
        let of = |what: What| {
            let mut holding = self.dated.iter().filter(|dated| dated.holds(now));
            holding.find(|dated| dated.what == what)
        };
        of(what).or_else(|| of(what.everywhere()?))
    }
}

/// Where and until when a setting holds, as the snapshot is built.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) zone: &'a Zone,
    pub(crate) ends_at: Option<Timestamp>,
}

impl Snapshot {
    /// How far `measure` has come for `sender` at `now`. The most specific of account, domain, group and
    /// installation that says something decides; of mandatory TLS the strictest. A rule is the same for
    /// everybody but for its canary; one that does not exist is `Off`.
    pub fn stage(&self, measure: &Measure, sender: &Sender<'_>, now: Timestamp) -> Decided<Stage> {
        match measure {
            Measure::TlsVersion(service) => {
                let Decided { value, origin } = self.lowest_tls(*service, sender, now);
                Decided {
                    value: value.1,
                    origin,
                }
            }
            Measure::Cleartext(service) => {
                self.stage_of(What::Cleartext(Some(*service)), sender, now)
            }
            Measure::SenderOwnership => self.stage_of(What::SenderOwnership, sender, now),
            Measure::InboundTls => {
                let found = self.domains.get(sender.domain).and_then(|at| {
                    let dated = at.measures.as_deref()?.find(What::InboundTls, now)?;
                    Some(self.decided(dated.timeline.stage(sender, now), at))
                });
                found.unwrap_or_else(|| self.default_value(Stage::Off))
            }
            Measure::OutboundTls => self.outbound_stage(sender, now),
            Measure::SpoofedSender => {
                let Decided { value, origin } = self.spoofed(sender, now);
                Decided {
                    value: value.1,
                    origin,
                }
            }
            Measure::Rule(name) => {
                let timeline = self.rules.timeline(name);
                let stage = timeline.map_or(Stage::Off, |timeline| timeline.stage(sender, now));
                self.default_value(stage)
            }
        }
    }

    /// How far sender ownership has come for this sender; `Enforce` where nothing is set.
    pub fn ownership(&self, sender: &Sender<'_>, now: Timestamp) -> Decided<Stage> {
        self.stage_of(What::SenderOwnership, sender, now)
    }

    /// The lowest version of a service that is aimed at for `sender`, and the stage of that; TLS 1.2,
    /// enforced, where nothing is set. What is below 1.2 is refused where the version is 1.3.
    pub fn lowest_tls(
        &self,
        service: Service,
        sender: &Sender<'_>,
        now: Timestamp,
    ) -> Decided<(TlsVersion, Stage)> {
        let Some((at, dated)) = self.found(What::TlsVersion(Some(service)), sender, now) else {
            return self.default_value((TlsVersion::V1_2, Stage::Enforce));
        };
        let version = match dated.demand {
            Demand::Tls(version) => version,
            Demand::Only | Demand::Outbound(_) | Demand::Spoofed(_) => TlsVersion::V1_2,
        };
        self.decided((version, dated.timeline.stage(sender, now)), at)
    }

    /// The sender's demand on transport that is enforced. The strictest of account, domain, group and
    /// installation wins; among equals the widest is the origin.
    pub fn outbound_tls(&self, sender: &Sender<'_>, now: Timestamp) -> Decided<OutboundTls> {
        let mut decided = self.default_value(OutboundTls::Off);
        for (at, level, stage) in self.outbound(sender, now) {
            if stage == Stage::Enforce && level > decided.value {
                decided = self.decided(level, at);
            }
        }
        decided
    }

    /// What becomes of mail from outside that says it is from this author and is not proved, and how far that is; where
    /// nothing is set it is only observed.
    pub fn spoofed(&self, author: &Sender<'_>, now: Timestamp) -> Decided<(Spoofed, Stage)> {
        let Some((at, dated)) = self.found(What::SpoofedSender, author, now) else {
            return self.default_value((Spoofed::Reject, Stage::Observe));
        };
        let level = match dated.demand {
            Demand::Spoofed(level) => level,
            Demand::Only | Demand::Tls(_) | Demand::Outbound(_) => Spoofed::Reject,
        };
        self.decided((level, dated.timeline.stage(author, now)), at)
    }

    fn outbound_stage(&self, sender: &Sender<'_>, now: Timestamp) -> Decided<Stage> {
        let mut decided = self.default_value(Stage::Off);
        for (at, level, stage) in self.outbound(sender, now) {
            if level > OutboundTls::Off && stage > decided.value {
                decided = self.decided(stage, at);
            }
        }
        decided
    }

    fn outbound<'s>(
        &'s self,
        sender: &'s Sender<'_>,
        now: Timestamp,
    ) -> impl Iterator<Item = (&'s Scoped, OutboundTls, Stage)> {
        self.widest_first(sender).filter_map(move |at| {
            let dated = at.measures.as_deref()?.find(What::OutboundTls, now)?;
            match dated.demand {
                Demand::Outbound(level) => Some((at, level, dated.timeline.stage(sender, now))),
                Demand::Only | Demand::Tls(_) | Demand::Spoofed(_) => None,
            }
        })
    }

    /// Whether mail for this hosted domain is taken over TLS only at `now`.
    pub fn inbound_tls(&self, domain: &str, now: Timestamp) -> Option<&InboundTls> {
        let demand = self.domains.get(domain)?.inbound_tls.as_ref()?;
        let sender = Sender {
            account: None,
            domain,
            group: None,
        };
        let stage = self.stage(&Measure::InboundTls, &sender, now).value;
        (stage == Stage::Enforce).then_some(demand)
    }

    /// Every step of a measure as it stands for `sender` at `now`, for texts; empty where nothing is set.
    pub fn steps(
        &self,
        measure: &Measure,
        sender: &Sender<'_>,
        now: Timestamp,
    ) -> Decided<Vec<DatedStep>> {
        let what = match measure {
            Measure::TlsVersion(service) => What::TlsVersion(Some(*service)),
            Measure::Cleartext(service) => What::Cleartext(Some(*service)),
            Measure::SenderOwnership => What::SenderOwnership,
            Measure::InboundTls => What::InboundTls,
            Measure::OutboundTls => What::OutboundTls,
            Measure::SpoofedSender => What::SpoofedSender,
            Measure::Rule(name) => {
                let timeline = self.rules.timeline(name);
                let steps = timeline.map(|timeline| timeline.steps(&self.zone));
                return self.default_value(steps.unwrap_or_default());
            }
        };
        match self.found(what, sender, now) {
            Some((at, dated)) => self.decided(dated.timeline.steps(&self.zone), at),
            None => self.default_value(Vec::new()),
        }
    }

    /// Legacy access as it stands for `sender`: that of the domain stands before that of the installation.
    /// Whether the account is enrolled is another question.
    pub fn legacy(&self, sender: &Sender<'_>, now: Timestamp) -> Legacy {
        let set = |at: &Scoped| at.measures.as_deref()?.legacy;
        match self.narrowest_first(sender).find_map(set) {
            Some(Legacy::Until { end, .. }) if end <= now => Legacy::Off,
            Some(Legacy::Until {
                end,
                versions,
                clear,
            }) => Legacy::Until {
                end,
                versions: OldVersions {
                    tls10: versions.tls10 && !self.stopped.versions.tls10,
                    tls11: versions.tls11 && !self.stopped.versions.tls11,
                },
                clear: match self.stopped.stops_clear() {
                    true => LegacyClear::Refused,
                    false => clear,
                },
            },
            Some(legacy) => legacy,
            None => Legacy::Off,
        }
    }

    /// Whether an account was enrolled for the legacy hosts.
    pub fn enrolled(&self, account: AccountId) -> bool {
        self.enrolled.contains(&account)
    }

    /// When anything that has dates changes next for anybody: a stage, an exception that ends, legacy access.
    /// For chores and texts; lookups need no waking.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let passed = self.changes.partition_point(|at| *at <= now);
        self.changes.get(passed).copied()
    }

    /// Where the days of the installation begin and end.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    fn stage_of(&self, what: What, sender: &Sender<'_>, now: Timestamp) -> Decided<Stage> {
        match self.found(what, sender, now) {
            Some((at, dated)) => self.decided(dated.timeline.stage(sender, now), at),
            None => self.default_value(Stage::Enforce),
        }
    }

    fn found(&self, what: What, sender: &Sender<'_>, now: Timestamp) -> Option<(&Scoped, &Dated)> {
        self.narrowest_first(sender)
            .find_map(|at| Some((at, at.measures.as_deref()?.find(what, now)?)))
    }
}

/// Until when anybody may come through the legacy hosts, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LegacyEnds {
    pub(crate) at_all: Timestamp,
    pub(crate) tls10: Timestamp,
    pub(crate) tls11: Timestamp,
    pub(crate) clear: Timestamp,
}

impl Default for LegacyEnds {
    fn default() -> Self {
        let never = Timestamp(i64::MIN);
        Self {
            at_all: never,
            tls10: never,
            tls11: never,
            clear: never,
        }
    }
}

/// When something that is refused at `Enforce` is let through for somebody: times that do not touch, in
/// order; the end is not part of them.
#[derive(Debug, Default)]
pub(crate) struct Openings(Box<[(Timestamp, Timestamp)]>);

impl Openings {
    pub(crate) fn open_at(&self, now: Timestamp) -> bool {
        let begun = self.0.partition_point(|(from, _)| *from <= now);
        let last = begun.checked_sub(1).and_then(|n| self.0.get(n));
        last.is_some_and(|(_, to)| now < *to)
    }

    fn of(mut times: Vec<(Timestamp, Timestamp)>) -> Self {
        times.sort_unstable();
        let mut merged: Vec<(Timestamp, Timestamp)> = Vec::new();
        for (from, to) in times {
            match merged.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => merged.push((from, to)),
            }
        }
        Self(merged.into())
    }
}

/// For each service, in the order of `Service::ALL`: when anybody may do what the measure ends.
#[derive(Debug, Default)]
pub(crate) struct OpenToSomebody {
    pub(crate) clear: [Openings; Service::ALL.len()],
    pub(crate) below_12: [Openings; Service::ALL.len()],
    pub(crate) below_13: [Openings; Service::ALL.len()],
}

impl Snapshot {
    /// Whether anybody at all may log in to `service` in clear on the normal hosts at `now`.
    pub fn clear_for_somebody(&self, service: Service, now: Timestamp) -> bool {
        self.open.clear[service as usize].open_at(now)
    }

    /// Whether anybody at all may use TLS older than 1.2 at `service` on the normal hosts at `now`: only
    /// then is a handshake that offers no more handed to the legacy gateway.
    pub fn old_tls_for_somebody(&self, service: Service, now: Timestamp) -> bool {
        self.open.below_12[service as usize].open_at(now)
    }

    /// Whether anybody at all may use TLS 1.2 at `service` at `now`.
    pub fn tls12_for_somebody(&self, service: Service, now: Timestamp) -> bool {
        // Where nothing is set 1.2 is enough; an installation that demands 1.3 has no such default.
        self.open.below_13[service as usize].open_at(now)
    }

    /// Reckons what lookups for everybody need, once all scopes are there.
    pub(super) fn sum_up(&mut self) {
        let mut changes: Vec<Timestamp> = self.ends.clone();
        let mut legacy = LegacyEnds::default();
        let mut clear: [Vec<_>; Service::ALL.len()] = Default::default();
        let (mut below_12, mut below_13) = (clear.clone(), clear.clone());
        for measures in self.all_scopes().filter_map(|at| at.measures.as_deref()) {
            changes.extend(measures.dated.iter().flat_map(|d| d.timeline.changes()));
            if let Some(Legacy::Until {
                end,
                versions,
                clear,
            }) = measures.legacy
            {
                changes.push(end);
                legacy.take(end, versions, clear);
            }
            for service in Service::ALL {
                let n = service as usize;
                measures.open_times(
                    What::Cleartext(Some(service)),
                    TlsVersion::V1_2,
                    &mut clear[n],
                );
                let what = What::TlsVersion(Some(service));
                measures.open_times(what, TlsVersion::V1_2, &mut below_12[n]);
                measures.open_times(what, TlsVersion::V1_3, &mut below_13[n]);
            }
        }
        for (n, service) in Service::ALL.into_iter().enumerate() {
            // Who is not covered by any setting of the installation's needs TLS 1.2 only.
            let what = What::TlsVersion(Some(service));
            let covered = self.installation.measures.as_deref();
            if covered.is_none_or(|at| at.find(what, Timestamp(i64::MAX)).is_none()) {
                below_13[n].push((Timestamp(i64::MIN), Timestamp(i64::MAX)));
            }
        }
        changes.sort_unstable();
        changes.dedup();
        self.changes = changes.into();
        self.legacy_ends = legacy.without(self.stopped);
        self.open = OpenToSomebody {
            clear: clear.map(Openings::of),
            below_12: below_12.map(Openings::of),
            below_13: below_13.map(Openings::of),
        };
    }

    fn all_scopes(&self) -> impl Iterator<Item = &Scoped> {
        std::iter::once(&self.installation)
            .chain(self.groups.values())
            .chain(self.domains.values())
            .chain(self.accounts.values())
    }
}

impl LegacyEnds {
    fn without(self, stopped: Stopped) -> Self {
        let unless = |stopped: bool, end: Timestamp| match stopped {
            true => Timestamp(i64::MIN),
            false => end,
        };
        Self {
            at_all: self.at_all,
            tls10: unless(stopped.versions.tls10, self.tls10),
            tls11: unless(stopped.versions.tls11, self.tls11),
            clear: unless(stopped.stops_clear(), self.clear),
        }
    }

    fn take(&mut self, end: Timestamp, versions: OldVersions, clear: LegacyClear) {
        let later = |known: &mut Timestamp, on: bool| {
            if on {
                *known = (*known).max(end);
            }
        };
        later(&mut self.at_all, true);
        later(&mut self.tls10, versions.tls10);
        later(&mut self.tls11, versions.tls11);
        later(&mut self.clear, clear == LegacyClear::Allowed);
    }
}

impl Measures {
    /// When this scope lets somebody do what `what` ends: a login in clear, or a TLS version below
    /// `needed`.
    fn open_times(&self, what: What, needed: TlsVersion, open: &mut Vec<(Timestamp, Timestamp)>) {
        let own = self.dated.iter().filter(|dated| dated.what == what);
        let wide = self
            .dated
            .iter()
            .filter(|dated| Some(dated.what) == what.everywhere());
        // While that of the service itself holds, the one for every service does not count.
        let own: Vec<&Dated> = own.collect();
        let wide_from = own
            .iter()
            .map(|dated| dated.ends_at.unwrap_or(Timestamp(i64::MAX)))
            .max()
            .unwrap_or(Timestamp(i64::MIN));
        let counted = own.into_iter().map(|dated| (dated, Timestamp(i64::MIN)));
        for (dated, since) in counted.chain(wide.map(|dated| (dated, wide_from))) {
            let until = dated.ends_at.unwrap_or(Timestamp(i64::MAX));
            let clipped = |(from, to): (Timestamp, Timestamp)| (from.max(since), to.min(until));
            let times: Vec<_> = match dated.demand {
                // With 1.3 demanded at any stage, 1.2 is demanded at once.
                Demand::Tls(TlsVersion::V1_3) if needed == TlsVersion::V1_2 => Vec::new(),
                // Where 1.2 is all that is demanded, it is enough.
                Demand::Tls(version) if version < needed => {
                    vec![(Timestamp(i64::MIN), Timestamp(i64::MAX))]
                }
                _ => dated.timeline.times_below_enforce().collect(),
            };
            open.extend(
                times
                    .into_iter()
                    .map(clipped)
                    .filter(|(from, to)| from < to),
            );
        }
    }
}
