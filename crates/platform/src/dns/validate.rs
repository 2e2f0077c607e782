//! DNSSEC validation (RFC 4035 §5): asks the servers and decides, from our own trust anchors alone, whether an answer
//! is proved, provably not signed, or bogus. Works from the answer upwards: the zone that signed it, the DS records
//! of that zone, the zone that signed those, until a trust anchor. Only where something is not signed it looks, from
//! the anchor downwards, for the place where signing provably ends.

use super::Security;
use super::anchors::{Anchor, Anchors};
use super::ask::{Reply, Servers};
use super::denial::{Denial, Evidence};
use super::signed::{self, Expected, RecordSet, SIGNATURES_MAX, Signed};
use crate::clock::{Clock, Timestamp};
use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, NSEC, NSEC3};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Aliases (CNAME) followed.
const ALIASES_MAX: usize = 8;
/// Questions asked and signatures checked for one answer; more is a loop or an attack.
const STEPS_MAX: usize = 100;
/// Zones and cuts remembered.
const ZONES_MAX: usize = 20_000;
/// How long a zone's keys, or the proof that there are none, are remembered at most.
const ZONE_TIME_MAX: Duration = Duration::from_secs(3600);
/// How long an absence is remembered at most.
const ABSENCE_SECONDS_MAX: u32 = 900;

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    Bogus(String),
    Temporary(String),
}

/// What was asked for.
#[derive(Debug, Clone)]
pub(super) enum Found {
    Records(Vec<Record>),
    NoData,
    NxDomain,
}

/// What is known in the end.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) found: Found,
    /// The name after aliases.
    pub(super) name: Name,
    pub(super) security: Security,
    pub(super) ttl: Duration,
}

/// What a name is for DNSSEC.
#[derive(Debug, Clone)]
enum Place {
    /// A signed zone begins there; these are its keys.
    Zone(Arc<Vec<DNSKEY>>),
    /// An unsigned zone begins there, or no anchor covers it.
    Unsigned,
    /// No zone begins there.
    Within,
    /// There is nothing there, nor below it.
    Nowhere,
}

/// Where a name is: in the signed zone, or below the end of signing.
enum Where {
    Signed(Name),
    Unsigned,
}

type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send + 'a>>;

/// Asks and validates.
#[derive(Debug)]
pub(super) struct Validator {
    servers: Arc<Servers>,
    anchors: Anchors,
    places: Mutex<HashMap<Name, (Place, Timestamp)>>,
    clock: Clock,
}

/// The work done so far for one answer, and the time it is judged by.
struct Work {
    steps: AtomicUsize,
    /// Seconds since 1970, as signatures count them.
    now: u32,
}

impl Work {
    #[allow(
        clippy::disallowed_methods,
        reason = "signatures are judged by the machine's time, whatever a demo's clock shows"
    )]
    fn begin() -> Self {
        // Signatures are made in real time, whatever a test's clock says. RFC 4034 §3.1.5: modulo 2^32.
        let seconds = Clock::system().now().seconds();
        Self {
            steps: AtomicUsize::new(0),
            now: seconds as u32,
        }
    }

    fn step(&self) -> Result<(), Fault> {
        if self.steps.fetch_add(1, Ordering::Relaxed) < STEPS_MAX {
            return Ok(());
        }
        Err(Fault::Bogus("validation takes too many steps".to_owned()))
    }
}

/// A set that was looked at.
struct Judged {
    security: Security,
    ttl: u32,
    /// The zone that signed it, where it was made from a wildcard, and the labels of what the wildcard is below.
    wildcard: Option<(Name, u8)>,
}

impl Validator {
    pub(super) fn new(servers: Arc<Servers>, anchors: Anchors, clock: Clock) -> Self {
        Self {
            servers,
            anchors,
            places: Mutex::default(),
            clock,
        }
    }

    /// Everything of type `kind` at `name` or where its aliases lead.
    pub(super) async fn look_up(&self, name: &Name, kind: RecordType) -> Result<Known, Fault> {
        let work = Work::begin();
        let mut name = name.clone();
        let mut security = Security::Secure;
        let mut ttl = u32::MAX;
        for _ in 0..=ALIASES_MAX {
            let reply = self.ask(&work, &name, kind).await?;
            let (judged, found) = self.judge(&work, &reply, &name, kind).await?;
            security = security.min(judged.security);
            ttl = ttl.min(judged.ttl);
            match found {
                Step::Done(found) => {
                    return Ok(Known {
                        found,
                        name,
                        security,
                        ttl: Duration::from_secs(ttl.into()),
                    });
                }
                Step::Alias(target) => name = target,
            }
        }
        Err(Fault::Temporary(format!(
            "too many aliases lead on from {name}"
        )))
    }

    async fn ask(&self, work: &Work, name: &Name, kind: RecordType) -> Result<Reply, Fault> {
        work.step()?;
        self.servers.ask(name, kind).await.map_err(Fault::Temporary)
    }

    /// What one reply says about the very name that was asked for.
    async fn judge(
        &self,
        work: &Work,
        reply: &Reply,
        name: &Name,
        kind: RecordType,
    ) -> Result<(Judged, Step), Fault> {
        if let Some(set) = RecordSet::of(&reply.answers, name, kind) {
            let judged = self.positive(work, reply, &set).await?;
            let records = set.records.into_iter().cloned().collect();
            return Ok((judged, Step::Done(Found::Records(records))));
        }
        if let Some(set) = RecordSet::of(&reply.answers, name, RecordType::CNAME) {
            let target = set.records.iter().find_map(|record| match &record.data {
                RData::CNAME(target) => Some(target.0.to_lowercase()),
                _ => None,
            });
            if let Some(target) = target {
                let judged = self.positive(work, reply, &set).await?;
                return Ok((judged, Step::Alias(target)));
            }
        }
        let (denial, judged) = self.negative(work, reply, name, kind).await?;
        let found = match denial {
            Some(Denial::NxDomain) => Found::NxDomain,
            Some(Denial::NoData { .. }) => Found::NoData,
            Some(Denial::Unsigned) | None if reply.no_such_name => Found::NxDomain,
            Some(Denial::Unsigned) | None => Found::NoData,
        };
        Ok((judged, Step::Done(found)))
    }

    /// Judges a set, and where it came from a wildcard the proof that it may.
    async fn positive(
        &self,
        work: &Work,
        reply: &Reply,
        set: &RecordSet<'_>,
    ) -> Result<Judged, Fault> {
        let judged = self.set(work, set).await?;
        if let Some((zone, labels)) = &judged.wildcard {
            let evidence = self.evidence(work, reply, zone).await?;
            let allowed = evidence
                .iter()
                .any(|evidence| evidence.evidence().allows_wildcard(zone, set.name, *labels));
            if !allowed {
                return Err(Fault::Bogus(format!(
                    "{} {} comes from a wildcard, and nothing proves that it may",
                    set.name, set.kind
                )));
            }
        }
        Ok(judged)
    }

    /// Judges a set by its signatures, or by the lack of them.
    async fn set(&self, work: &Work, set: &RecordSet<'_>) -> Result<Judged, Fault> {
        let unsigned = |ttl| Judged {
            security: Security::Insecure,
            ttl,
            wildcard: None,
        };
        let Some(anchor) = self.anchors.above(set.name) else {
            return Ok(unsigned(set.ttl()));
        };
        let mut problem = None;
        for signature in &set.signatures {
            let zone = signature.input().signer_name.to_lowercase();
            let own_parent = set.kind == RecordType::DS && zone == *set.name;
            // A signer above the anchor, or beside the name, would be a way around the anchor.
            if !zone.zone_of(set.name) || !anchor.zone.zone_of(&zone) || own_parent {
                continue;
            }
            work.step()?;
            match self.keys(work, zone.clone()).await {
                Ok(None) => return Ok(unsigned(set.ttl())),
                Ok(Some(keys)) => match signed::verify(set, signature, &zone, &keys, work.now) {
                    Ok(Signed { ttl, wildcard_at }) => {
                        return Ok(Judged {
                            security: Security::Secure,
                            ttl,
                            wildcard: wildcard_at.map(|labels| (zone, labels)),
                        });
                    }
                    Err(why) => problem = problem.or(Some(Fault::Bogus(why))),
                },
                Err(fault) => problem = problem.or(Some(fault)),
            }
        }
        if let Some(problem) = problem {
            return Err(problem);
        }
        let search = match set.kind {
            RecordType::DS => set.name.base_name(),
            _ => set.name.clone(),
        };
        match self.locate(work, search).await? {
            Where::Unsigned => Ok(unsigned(set.ttl())),
            Where::Signed(zone) => Err(Fault::Bogus(format!(
                "{} {} is not signed, but its zone {zone} is",
                set.name, set.kind
            ))),
        }
    }

    /// Judges that there is nothing.
    async fn negative(
        &self,
        work: &Work,
        reply: &Reply,
        name: &Name,
        kind: RecordType,
    ) -> Result<(Option<Denial>, Judged), Fault> {
        let judged = |security| Judged {
            security,
            ttl: absence_ttl(reply),
            wildcard: None,
        };
        let Some(anchor) = self.anchors.above(name) else {
            return Ok((None, judged(Security::Insecure)));
        };
        let signers = signers(reply, name, kind, anchor);
        let mut problem = None;
        for zone in signers {
            let keys = match self.keys(work, zone.clone()).await {
                Ok(keys) => keys,
                Err(fault) => {
                    problem = problem.or(Some(fault));
                    continue;
                }
            };
            if keys.is_none() {
                return Ok((None, judged(Security::Insecure)));
            }
            for proofs in self.evidence(work, reply, &zone).await? {
                match proofs.evidence().about(&zone, name, kind) {
                    Some(denial @ Denial::Unsigned) => {
                        return Ok((Some(denial), judged(Security::Insecure)));
                    }
                    Some(denial) => return Ok((Some(denial), judged(Security::Secure))),
                    None => {}
                }
            }
        }
        if let Some(problem) = problem {
            return Err(problem);
        }
        let search = match kind {
            RecordType::DS => name.base_name(),
            _ => name.clone(),
        };
        match self.locate(work, search).await? {
            Where::Unsigned => Ok((None, judged(Security::Insecure))),
            Where::Signed(zone) => Err(Fault::Bogus(format!(
                "nothing proves that {name} has no {kind}, but its zone {zone} is signed"
            ))),
        }
    }

    /// The NSEC and the NSEC3 records of the reply that `zone` signed.
    async fn evidence(
        &self,
        work: &Work,
        reply: &Reply,
        zone: &Name,
    ) -> Result<Vec<Proofs>, Fault> {
        let Some(keys) = self.keys(work, zone.clone()).await? else {
            return Ok(Vec::new());
        };
        let mut nsec = Vec::new();
        let mut nsec3 = Vec::new();
        for record in &reply.authorities {
            let kind = record.record_type();
            if !matches!(kind, RecordType::NSEC | RecordType::NSEC3) {
                continue;
            }
            let Some(set) = RecordSet::of(&reply.authorities, &record.name, kind) else {
                continue;
            };
            for signature in set.signatures.iter().take(SIGNATURES_MAX) {
                work.step()?;
                let signed = signed::verify(&set, signature, zone, &keys, work.now);
                // A proof that is itself made from a wildcard proves nothing.
                if !signed.is_ok_and(|signed| signed.wildcard_at.is_none()) {
                    continue;
                }
                match &record.data {
                    RData::DNSSEC(DNSSECRData::NSEC(data)) => {
                        nsec.push((record.name.to_lowercase(), data.clone()));
                    }
                    RData::DNSSEC(DNSSECRData::NSEC3(data)) => {
                        nsec3.push((record.name.to_lowercase(), data.clone()));
                    }
                    _ => {}
                }
                break;
            }
        }
        let found = [
            (!nsec.is_empty()).then_some(Proofs::Nsec(nsec)),
            (!nsec3.is_empty()).then_some(Proofs::Nsec3(nsec3)),
        ];
        Ok(found.into_iter().flatten().collect())
    }

    /// The validated keys of `zone`; `None` where it is provably not signed.
    fn keys<'a>(&'a self, work: &'a Work, zone: Name) -> Later<'a, Option<Arc<Vec<DNSKEY>>>> {
        Box::pin(async move {
            match self.remembered(&zone) {
                Some(Place::Zone(keys)) => return Ok(Some(keys)),
                Some(Place::Unsigned) => return Ok(None),
                _ => {}
            }
            let Some(anchor) = self.anchors.above(&zone) else {
                return Ok(None);
            };
            if anchor.zone == zone {
                let expected = Expected {
                    ds: anchor.ds.clone(),
                    keys: anchor.keys.clone(),
                };
                return self
                    .fetch_keys(work, &zone, &expected, u32::MAX)
                    .await
                    .map(Some);
            }
            let reply = self.ask(work, &zone, RecordType::DS).await?;
            if let Some(set) = RecordSet::of(&reply.answers, &zone, RecordType::DS)
                && !set.signatures.is_empty()
            {
                let judged = self.set(work, &set).await?;
                return match judged.security {
                    Security::Insecure => Ok(None),
                    Security::Secure => self.below(work, &zone, &set, judged.ttl).await,
                };
            }
            match self.locate(work, zone.clone()).await? {
                Where::Unsigned => Ok(None),
                Where::Signed(found) if found == zone => match self.remembered(&zone) {
                    Some(Place::Zone(keys)) => Ok(Some(keys)),
                    _ => Err(Fault::Temporary(format!(
                        "the keys of {zone} changed just now"
                    ))),
                },
                Where::Signed(found) => Err(Fault::Bogus(format!(
                    "{zone} signs, but is no zone of its own within {found}"
                ))),
            }
        })
    }

    /// The keys of `zone`, whose validated DS records are `set`.
    async fn below(
        &self,
        work: &Work,
        zone: &Name,
        set: &RecordSet<'_>,
        ttl: u32,
    ) -> Result<Option<Arc<Vec<DNSKEY>>>, Fault> {
        let ds = set
            .records
            .iter()
            .filter_map(|record| signed::ds(record))
            .cloned();
        let expected = Expected {
            ds: ds.collect(),
            keys: Vec::new(),
        };
        if !expected.is_supported() {
            self.remember(zone, Place::Unsigned, ttl);
            return Ok(None);
        }
        self.fetch_keys(work, zone, &expected, ttl).await.map(Some)
    }

    async fn fetch_keys(
        &self,
        work: &Work,
        zone: &Name,
        expected: &Expected,
        ttl_max: u32,
    ) -> Result<Arc<Vec<DNSKEY>>, Fault> {
        let reply = self.ask(work, zone, RecordType::DNSKEY).await?;
        let set = RecordSet::of(&reply.answers, zone, RecordType::DNSKEY)
            .ok_or_else(|| Fault::Bogus(format!("{zone} must have keys, and shows none")))?;
        let (keys, ttl) = expected.zone_keys(&set, work.now).map_err(Fault::Bogus)?;
        let keys = Arc::new(keys);
        self.remember(zone, Place::Zone(Arc::clone(&keys)), ttl.min(ttl_max));
        Ok(keys)
    }

    /// Goes down from the anchor to the zone that `name` is in, or to where signing ends.
    fn locate<'a>(&'a self, work: &'a Work, name: Name) -> Later<'a, Where> {
        Box::pin(async move {
            let Some(anchor) = self.anchors.above(&name) else {
                return Ok(Where::Unsigned);
            };
            let mut zone = anchor.zone.clone();
            if self.keys(work, zone.clone()).await?.is_none() {
                return Ok(Where::Unsigned);
            }
            for labels in usize::from(zone.num_labels()) + 1..=name.iter().len() {
                let child = name.trim_to(labels);
                match self.place(work, &zone, &child).await? {
                    Place::Zone(_) => zone = child,
                    Place::Unsigned => return Ok(Where::Unsigned),
                    Place::Within => {}
                    Place::Nowhere => break,
                }
            }
            Ok(Where::Signed(zone))
        })
    }

    /// What `child` is, seen from the signed zone `zone` above it.
    async fn place(&self, work: &Work, zone: &Name, child: &Name) -> Result<Place, Fault> {
        if let Some(place) = self.remembered(child) {
            return Ok(place);
        }
        let reply = self.ask(work, child, RecordType::DS).await?;
        if let Some(set) = RecordSet::of(&reply.answers, child, RecordType::DS) {
            let keys = self.keys(work, zone.clone()).await?.unwrap_or_default();
            let mut problem = format!("the DS records of {child} are not signed");
            for signature in &set.signatures {
                work.step()?;
                match signed::verify(&set, signature, zone, &keys, work.now) {
                    Ok(signed) => {
                        let keys = self.below(work, child, &set, signed.ttl).await?;
                        return Ok(keys.map_or(Place::Unsigned, Place::Zone));
                    }
                    Err(why) => problem = why,
                }
            }
            return Err(Fault::Bogus(problem));
        }
        if let Some(set) = RecordSet::of(&reply.answers, child, RecordType::CNAME) {
            // An alias is no zone; that it is one must be proved by the zone above.
            let keys = self.keys(work, zone.clone()).await?.unwrap_or_default();
            let mut signatures = set.signatures.iter();
            if signatures.any(|s| signed::verify(&set, s, zone, &keys, work.now).is_ok()) {
                self.remember(child, Place::Within, set.ttl());
                return Ok(Place::Within);
            }
        }
        for proofs in self.evidence(work, &reply, zone).await? {
            let place = match proofs.evidence().about(zone, child, RecordType::DS) {
                Some(Denial::NoData { delegation: true } | Denial::Unsigned) => Place::Unsigned,
                Some(Denial::NoData { delegation: false }) => Place::Within,
                Some(Denial::NxDomain) => Place::Nowhere,
                None => continue,
            };
            self.remember(child, place.clone(), absence_ttl(&reply));
            return Ok(place);
        }
        Err(Fault::Bogus(format!(
            "nothing proves whether {child}, in the signed zone {zone}, is signed"
        )))
    }

    fn remembered(&self, name: &Name) -> Option<Place> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let (place, until) = places.get(name)?;
        (*until > self.clock.now()).then(|| place.clone())
    }

    fn remember(&self, name: &Name, place: Place, ttl: u32) {
        let time = Duration::from_secs(ttl.into()).min(ZONE_TIME_MAX);
        let now = self.clock.now();
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= ZONES_MAX {
            places.retain(|_, (_, until)| *until > now);
        }
        if places.len() >= ZONES_MAX {
            places.clear();
        }
        places.insert(name.clone(), (place, now.plus(time)));
    }
}

enum Step {
    Done(Found),
    Alias(Name),
}

/// Validated records that prove an absence.
enum Proofs {
    Nsec(Vec<(Name, NSEC)>),
    Nsec3(Vec<(Name, NSEC3)>),
}

impl Proofs {
    fn evidence(&self) -> Evidence<'_> {
        match self {
            Self::Nsec(records) => {
                Evidence::Nsec(records.iter().map(|(owner, data)| (owner, data)).collect())
            }
            Self::Nsec3(records) => {
                Evidence::Nsec3(records.iter().map(|(owner, data)| (owner, data)).collect())
            }
        }
    }
}

/// The zones that signed a proof of absence about `name`, and may.
fn signers(reply: &Reply, name: &Name, kind: RecordType, anchor: &Anchor) -> Vec<Name> {
    let mut zones: Vec<Name> = Vec::new();
    for signature in reply.authorities.iter().filter_map(signed::signature) {
        let input = signature.input();
        let proves = matches!(input.type_covered, RecordType::NSEC | RecordType::NSEC3);
        let zone = input.signer_name.to_lowercase();
        let own_parent = kind == RecordType::DS && zone == *name;
        let may = zone.zone_of(name) && anchor.zone.zone_of(&zone) && !own_parent;
        if proves && may && !zones.contains(&zone) {
            zones.push(zone);
        }
    }
    zones.truncate(SIGNATURES_MAX);
    zones
}

/// RFC 2308 §5: the smaller of the SOA's TTL and its minimum.
fn absence_ttl(reply: &Reply) -> u32 {
    let soa = reply
        .authorities
        .iter()
        .find_map(|record| match &record.data {
            RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
            _ => None,
        });
    soa.unwrap_or(0).min(ABSENCE_SECONDS_MAX)
}
