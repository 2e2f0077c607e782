//! A zone of the test DNS: its records, its key, its signatures and its chain of NSEC records.
//! Knows nothing of sockets or messages; `answer.rs` asks it.

use hickory_proto::dnssec::crypto::{Digest, EcdsaSigningKey};
use hickory_proto::dnssec::rdata::sig::SigInput;
use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, DS, NSEC, RRSIG};
use hickory_proto::dnssec::{Algorithm, DigestType, PublicKey, SigningKey, TBS};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{DNSClass, LowerName, Name, RData, Record, RecordType, SerialNumber};
use std::collections::BTreeMap;

/// How a zone stands to its parent and to its own signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    /// Signed, and its key is vouched for by a DS at the parent.
    Signed,
    /// Not signed; the parent proves that there is no DS.
    Unsigned,
    /// Signed with a DS at the parent, but every signature is broken.
    Bogus,
    /// Signed correctly, but the DS at the parent is of another key.
    WrongDs,
}

/// 2001-09-09 and 2036-07-18: a test's settable clock may stand anywhere between.
const INCEPTION: u32 = 1_000_000_000;
const EXPIRATION: u32 = 2_100_000_000;
/// 2001-09-11, for signatures that have expired.
const EXPIRED: u32 = 1_000_200_000;

/// What to do to the signature of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Good,
    Broken,
    Expired,
    Absent,
}

type Records = BTreeMap<RecordType, Vec<RData>>;

pub(super) struct Zone {
    pub(super) origin: LowerName,
    pub(super) signing: Signing,
    key: Key,
    names: BTreeMap<LowerName, Records>,
}

/// One key that signs everything (flags 257).
struct Key {
    key: EcdsaSigningKey,
    dnskey: DNSKEY,
    tag: u16,
}

impl Key {
    fn new() -> Self {
        let algorithm = Algorithm::ECDSAP256SHA256;
        let pkcs8 = EcdsaSigningKey::generate_pkcs8(algorithm).expect("a key");
        let key = EcdsaSigningKey::from_pkcs8(&pkcs8, algorithm).expect("a key");
        let dnskey = DNSKEY::from_key(&key.to_public_key().expect("a public key"));
        let tag = dnskey.calculate_key_tag().expect("a tag");
        Self { key, dnskey, tag }
    }
}

impl Zone {
    pub(super) fn new(origin: LowerName, signing: Signing) -> Self {
        let mut zone = Self {
            origin: origin.clone(),
            signing,
            key: Key::new(),
            names: BTreeMap::new(),
        };
        let host = Name::from_ascii("ns.test.").expect("a name");
        let soa = SOA::new(host.clone(), host.clone(), 1, 3600, 600, 86_400, 1);
        zone.add(&origin, RData::SOA(soa));
        zone.add(
            &origin,
            RData::NS(hickory_proto::rr::rdata::NS(host.clone())),
        );
        if signing != Signing::Unsigned {
            let key = zone.key.dnskey.clone();
            zone.add(&origin, RData::DNSSEC(DNSSECRData::DNSKEY(key)));
        }
        zone
    }

    /// Adds a record; one that is there already is not doubled.
    pub(super) fn add(&mut self, name: &LowerName, data: RData) {
        let records = self.names.entry(name.clone()).or_default();
        let set = records.entry(data.record_type()).or_default();
        if !set.contains(&data) {
            set.push(data);
        }
    }

    /// Removes records of one type, or all of them.
    pub(super) fn remove(&mut self, name: &LowerName, kind: Option<RecordType>) {
        if let Some(records) = self.names.get_mut(name) {
            records.retain(|have, _| kind.is_some_and(|kind| kind != *have));
            if records.is_empty() {
                self.names.remove(name);
            }
        }
    }

    /// Notes at this (the parent's) side that `child` is delegated.
    pub(super) fn delegate(&mut self, child: &Zone) {
        let host = Name::from_ascii("ns.test.").expect("a name");
        self.remove(&child.origin, None);
        self.add(&child.origin, RData::NS(hickory_proto::rr::rdata::NS(host)));
        let ds = match child.signing {
            Signing::Unsigned => return,
            Signing::Signed | Signing::Bogus => child.ds(),
            Signing::WrongDs => Zone::new(child.origin.clone(), Signing::Signed).ds(),
        };
        self.add(&child.origin, RData::DNSSEC(DNSSECRData::DS(ds)));
    }

    /// The DS of this zone's key.
    pub(super) fn ds(&self) -> DS {
        let dnskey = &self.key.dnskey;
        let digest: Digest = dnskey
            .to_digest(&self.origin, DigestType::SHA256)
            .expect("a digest");
        let algorithm = dnskey.public_key().algorithm();
        let digest = digest.as_ref().to_vec();
        DS::new(self.key.tag, algorithm, DigestType::SHA256, digest)
    }

    /// The public key.
    pub(super) fn dnskey(&self) -> &DNSKEY {
        &self.key.dnskey
    }

    pub(super) fn records(&self, name: &LowerName, kind: RecordType) -> Option<&[RData]> {
        Some(self.names.get(name)?.get(&kind)?.as_slice())
    }

    /// Whether the name exists, if only because something exists below it (RFC 8020).
    pub(super) fn exists(&self, name: &LowerName) -> bool {
        self.names.keys().any(|have| name.zone_of(have))
    }

    /// A record set as it goes on the wire: the records and, in a signed zone, their signature.
    pub(super) fn set(
        &self,
        name: &LowerName,
        data: &[RData],
        ttl: u32,
        mark: Mark,
    ) -> Vec<Record> {
        let owner = Name::from(name.clone());
        let mut records: Vec<Record> = data
            .iter()
            .map(|data| Record::from_rdata(owner.clone(), ttl, data.clone()))
            .collect();
        // RFC 4035 §2.2: the NS records at a delegation are the child's and not signed here.
        let foreign =
            data.first().map(RData::record_type) == Some(RecordType::NS) && *name != self.origin;
        if self.signing != Signing::Unsigned && mark != Mark::Absent && !foreign {
            let signature = self.signature(&owner, &records, ttl, mark);
            records.push(signature);
        }
        records
    }

    fn signature(&self, owner: &Name, records: &[Record], ttl: u32, mark: Mark) -> Record {
        let kind = records
            .first()
            .map_or(RecordType::ZERO, Record::record_type);
        let input = SigInput {
            type_covered: kind,
            algorithm: Algorithm::ECDSAP256SHA256,
            num_labels: owner.num_labels(),
            original_ttl: ttl,
            sig_expiration: SerialNumber::new(if mark == Mark::Expired {
                EXPIRED
            } else {
                EXPIRATION
            }),
            sig_inception: SerialNumber::new(INCEPTION),
            key_tag: self.key.tag,
            signer_name: self.origin.clone().into(),
        };
        let signed =
            TBS::from_input(owner, DNSClass::IN, &input, records.iter()).expect("signable records");
        let mut signature = self.key.key.sign(&signed).expect("a signature");
        if (mark == Mark::Broken || self.signing == Signing::Bogus)
            && let Some(byte) = signature.get_mut(20)
        {
            *byte ^= 0x55;
        }
        let signature = DNSSECRData::RRSIG(RRSIG::from_sig(input, signature));
        Record::from_rdata(owner.clone(), ttl, RData::DNSSEC(signature))
    }

    /// SOA of this zone, as it stands in negative answers.
    pub(super) fn soa(&self, ttl: u32) -> Vec<Record> {
        let data = self.records(&self.origin, RecordType::SOA);
        self.set(&self.origin, data.unwrap_or_default(), ttl, Mark::Good)
    }

    /// The NSEC at `name`, or the one whose gap holds it (RFC 4035 §3.1.3). Empty where unsigned.
    pub(super) fn nsec(&self, name: &LowerName, ttl: u32) -> Vec<Record> {
        if self.signing == Signing::Unsigned {
            return Vec::new();
        }
        let at = self.names.range(..=name.clone()).next_back();
        let Some((owner, records)) = at else {
            return Vec::new();
        };
        let after = (
            std::ops::Bound::Excluded(owner.clone()),
            std::ops::Bound::Unbounded,
        );
        let next = self.names.range(after).next();
        let next = next.map_or(&self.origin, |(next, _)| next);
        let nsec = NSEC::new_cover_self(next.clone().into(), records.keys().copied());
        let data = [RData::DNSSEC(DNSSECRData::NSEC(nsec))];
        self.set(owner, &data, ttl, Mark::Good)
    }

    /// The wildcard that could have answered for an absent name: `*.` below its closest
    /// existing ancestor.
    pub(super) fn wildcard_for(&self, name: &LowerName) -> LowerName {
        let mut ancestor = name.base_name();
        while ancestor != self.origin && !self.exists(&ancestor) {
            ancestor = ancestor.base_name();
        }
        let name = Name::from_ascii("*").expect("a name");
        let name = name.append_domain(&ancestor).expect("a short name");
        LowerName::new(&name)
    }
}
