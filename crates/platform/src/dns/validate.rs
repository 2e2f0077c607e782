//! DNSSEC validation (RFC 4035 §5): asks the servers and decides, from our own trust anchors alone, whether an answer
//! is proved, provably not signed, or bogus. Works from the answer upwards: the zone that signed it, the DS records
//! of that zone, the zone that signed those, until a trust anchor. Only where something is not signed it looks, from
//! the anchor downwards, for the place where signing provably ends.

use super::Security;
use super::anchors::Anchors;
use super::ask::{Reply, Servers};
use super::denial::Denial;
use super::dname::{self, Redirection};
use super::effort::Work;
use super::proofs::{self, Proofs, absence_ttl};
use super::signed::{self, Expected, RecordSet, Signed};
use crate::clock::{Clock, Timestamp};
use hickory_proto::dnssec::rdata::DNSKEY;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Aliases (CNAME) followed.
const ALIASES_MAX: usize = 8;
/// Zones and cuts remembered.
const ZONES_MAX: usize = 20_000;
/// How long a zone's keys, or the proof that there are none, are remembered at most.
const ZONE_TIME_MAX: Duration = Duration::from_secs(3600);

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
    /// Of what was said about the name itself: an alias, or what was found.
    pub(super) first: Security,
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
        let mut first = None;
        let mut ttl = u32::MAX;
        for _ in 0..=ALIASES_MAX {
            let reply = self.ask(&work, &name, kind).await?;
            let (judged, found) = self.judge(&work, &reply, &name, kind).await?;
            security = security.min(judged.security);
            let first = *first.get_or_insert(security);
            ttl = ttl.min(judged.ttl);
            match found {
                Step::Done(found) => {
                    return Ok(Known {
                        found,
                        name,
                        security,
                        first,
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
        if let Some(redirection) = dname::above(&reply.answers, name) {
            return self.redirected(work, redirection, name).await;
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

    /// Follows a DNAME, whose own signature proves where it leads (RFC 6672 §5.3.1).
    async fn redirected(
        &self,
        work: &Work,
        redirection: Redirection<'_>,
        name: &Name,
    ) -> Result<(Judged, Step), Fault> {
        let judged = self.set(work, &redirection.set).await?;
        if judged.wildcard.is_some() {
            // RFC 6672 §3.3: what a wildcard makes of a DNAME is nowhere defined.
            return Err(Fault::Bogus(format!(
                "the DNAME above {name} comes from a wildcard"
            )));
        }
        let target = redirection.target.ok_or_else(|| {
            Fault::Temporary(format!("the DNAME above {name} makes a name too long"))
        })?;
        Ok((judged, Step::Alias(target)))
    }

    /// Judges a set, and where it came from a wildcard the proof that it may.
    async fn positive(
        &self,
        work: &Work,
        reply: &Reply,
        set: &RecordSet<'_>,
    ) -> Result<Judged, Fault> {
        let mut judged = self.set(work, set).await?;
        if let Some((zone, labels)) = &judged.wildcard {
            let evidence = self.evidence(work, reply, zone).await?;
            let allowed = evidence.iter().find_map(|proofs| {
                let allowed = proofs.evidence().allows_wildcard(zone, set.name, *labels)?;
                Some((allowed, proofs.ttl))
            });
            let (security, ttl) = allowed.ok_or_else(|| {
                Fault::Bogus(format!(
                    "{} {} comes from a wildcard, and nothing proves that it may",
                    set.name, set.kind
                ))
            })?;
            judged.security = judged.security.min(security);
            judged.ttl = judged.ttl.min(ttl);
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
                Ok(Some(keys)) => match signed::verify(set, signature, &zone, &keys, work) {
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
        let until = |security, ttl_max| Judged {
            security,
            ttl: absence_ttl(reply).min(ttl_max),
            wildcard: None,
        };
        let judged = |security| until(security, u32::MAX);
        let Some(anchor) = self.anchors.above(name) else {
            return Ok((None, judged(Security::Insecure)));
        };
        let signers = proofs::signers(reply, name, kind, anchor);
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
                        return Ok((Some(denial), until(Security::Insecure, proofs.ttl)));
                    }
                    Some(denial) => {
                        return Ok((Some(denial), until(Security::Secure, proofs.ttl)));
                    }
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
        proofs::collect(work, reply, zone, &keys)
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
                if !expected.is_supported() {
                    return Ok(None);
                }
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
            .ok_or_else(|| Fault::Bogus(keyless(zone)))?;
        let (keys, ttl) = expected.zone_keys(&set, work).map_err(Fault::Bogus)?;
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
                match signed::verify(&set, signature, zone, &keys, work) {
                    Ok(signed) => {
                        let keys = self.below(work, child, &set, signed.ttl).await?;
                        return Ok(keys.map_or(Place::Unsigned, Place::Zone));
                    }
                    Err(why) => problem = why,
                }
            }
            return Err(Fault::Bogus(problem));
        }
        // An alias is no zone, and below one of a subtree there is none; the zone above must have signed it.
        let alias = match dname::above(&reply.answers, child) {
            Some(redirection) => Some((redirection.set, Place::Nowhere)),
            None => RecordSet::of(&reply.answers, child, RecordType::CNAME)
                .map(|set| (set, Place::Within)),
        };
        if let Some((set, place)) = alias {
            let keys = self.keys(work, zone.clone()).await?.unwrap_or_default();
            for signature in &set.signatures {
                work.step()?;
                if let Ok(signed) = signed::verify(&set, signature, zone, &keys, work) {
                    self.remember(child, place.clone(), signed.ttl);
                    return Ok(place);
                }
            }
        }
        for proofs in self.evidence(work, &reply, zone).await? {
            let place = match proofs.evidence().about(zone, child, RecordType::DS) {
                Some(Denial::NoData { delegation: true } | Denial::Unsigned) => Place::Unsigned,
                Some(Denial::NoData { delegation: false }) => Place::Within,
                Some(Denial::NxDomain) => Place::Nowhere,
                None => continue,
            };
            let ttl = absence_ttl(&reply).min(proofs.ttl);
            self.remember(child, place.clone(), ttl);
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

/// What a zone without keys means. At the root it is the resolver's doing, not the zone's.
fn keyless(zone: &Name) -> String {
    match zone.is_root() {
        true => "the resolver shows no keys of the root zone: name one in dns.servers that passes DNSSEC on, or \
                 set dns.validate = false"
            .to_owned(),
        false => format!("{zone} must have keys, and shows none"),
    }
}
