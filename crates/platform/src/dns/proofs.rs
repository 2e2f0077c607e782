//! What a reply brings along to prove that something does not exist: its NSEC and NSEC3 records, their signatures
//! checked, and how long they hold. What they prove is `denial`'s business. Called by `validate`.

use super::anchors::Anchor;
use super::ask::Reply;
use super::denial::{self, Evidence};
use super::effort::Work;
use super::signed::{self, RecordSet, SIGNATURES_MAX};
use super::validate::Fault;
use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, NSEC, NSEC3};
use hickory_proto::rr::{Name, RData, RecordType};

/// Zones whose proofs of absence are looked at in one reply; honest ones have one.
const SIGNERS_MAX: usize = 4;
/// How long an absence is remembered at most.
const ABSENCE_SECONDS_MAX: u32 = 900;

/// Validated records that prove an absence.
pub(super) struct Proofs {
    kind: RecordType,
    nsec: Vec<(Name, NSEC)>,
    nsec3: Vec<(Name, NSEC3)>,
    /// Seconds for which all of them hold.
    pub(super) ttl: u32,
}

impl Proofs {
    fn empty(kind: RecordType) -> Self {
        Self {
            kind,
            nsec: Vec::new(),
            nsec3: Vec::new(),
            ttl: u32::MAX,
        }
    }

    fn is_empty(&self) -> bool {
        self.nsec.is_empty() && self.nsec3.is_empty()
    }

    fn add(&mut self, set: &RecordSet<'_>, ttl: u32) {
        self.ttl = self.ttl.min(ttl);
        for record in &set.records {
            match &record.data {
                RData::DNSSEC(DNSSECRData::NSEC(data)) => {
                    self.nsec.push((record.name.to_lowercase(), data.clone()));
                }
                RData::DNSSEC(DNSSECRData::NSEC3(data)) => {
                    self.nsec3.push((record.name.to_lowercase(), data.clone()));
                }
                _ => {}
            }
        }
    }

    pub(super) fn evidence(&self) -> Evidence<'_> {
        match self.kind {
            RecordType::NSEC3 => Evidence::Nsec3(
                self.nsec3
                    .iter()
                    .map(|(owner, data)| (owner, data))
                    .collect(),
            ),
            _ => Evidence::Nsec(
                self.nsec
                    .iter()
                    .map(|(owner, data)| (owner, data))
                    .collect(),
            ),
        }
    }
}

/// The NSEC and the NSEC3 records of the reply that `zone` signed with `keys`.
pub(super) fn collect(
    work: &Work,
    reply: &Reply,
    zone: &Name,
    keys: &[DNSKEY],
) -> Result<Vec<Proofs>, Fault> {
    let mut nsec = Proofs::empty(RecordType::NSEC);
    let mut nsec3 = Proofs::empty(RecordType::NSEC3);
    let mut seen: Vec<&Name> = Vec::new();
    for record in &reply.authorities {
        let proofs = match record.record_type() {
            RecordType::NSEC => &mut nsec,
            RecordType::NSEC3 => &mut nsec3,
            _ => continue,
        };
        if seen.contains(&&record.name) || seen.len() == denial::RECORDS_MAX {
            continue;
        }
        seen.push(&record.name);
        if let Some(set) = RecordSet::of(&reply.authorities, &record.name, proofs.kind)
            && let Some(ttl) = proves(work, &set, zone, keys)?
        {
            proofs.add(&set, ttl);
        }
    }
    let found = [nsec, nsec3].into_iter();
    Ok(found.filter(|proofs| !proofs.is_empty()).collect())
}

/// How long a set of NSEC or NSEC3 records that `zone` signed holds; `None` where it proves nothing.
fn proves(
    work: &Work,
    set: &RecordSet<'_>,
    zone: &Name,
    keys: &[DNSKEY],
) -> Result<Option<u32>, Fault> {
    for signature in set.signatures.iter().take(SIGNATURES_MAX) {
        work.step()?;
        // A proof that is itself made from a wildcard proves nothing.
        if let Ok(signed) = signed::verify(set, signature, zone, keys, work)
            && signed.wildcard_at.is_none()
        {
            return Ok(Some(signed.ttl));
        }
    }
    Ok(None)
}

/// The zones that signed a proof of absence about `name`, and may.
pub(super) fn signers(reply: &Reply, name: &Name, kind: RecordType, anchor: &Anchor) -> Vec<Name> {
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
    zones.truncate(SIGNERS_MAX);
    zones
}

/// RFC 2308 §5: the smaller of the SOA's TTL and its minimum.
pub(super) fn absence_ttl(reply: &Reply) -> u32 {
    let soa = reply
        .authorities
        .iter()
        .find_map(|record| match &record.data {
            RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
            _ => None,
        });
    soa.unwrap_or(0).min(ABSENCE_SECONDS_MAX)
}
