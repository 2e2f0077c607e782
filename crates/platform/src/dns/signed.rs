//! One set of records and its signatures (RFC 4034 §3, §6; RFC 4035 §5.3). Pure: the time is an argument; where keys
//! come from is `validate`'s business.

use super::dname;
use super::effort::Work;
use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, DS, RRSIG};
use hickory_proto::dnssec::{Algorithm, DigestType, Verifier as _};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinEncodable as _, BinEncoder, NameEncoding};

/// Signatures of one set that are tried; more are a way to make us work (CVE-2023-50387).
pub(super) const SIGNATURES_MAX: usize = 8;
/// Keys of one zone with the same tag that are tried.
const SAME_TAG_MAX: usize = 4;
/// Records of one set.
const RECORDS_MAX: usize = 1000;
/// DS records of one zone that are looked at; each may have to be compared with every key.
const DS_MAX: usize = 16;

/// The records of one name and type, with their signatures.
pub(super) struct RecordSet<'a> {
    pub(super) name: &'a Name,
    pub(super) kind: RecordType,
    pub(super) records: Vec<&'a Record>,
    pub(super) signatures: Vec<&'a RRSIG>,
}

impl<'a> RecordSet<'a> {
    /// Those of `section` in class IN; `None` where there is no record.
    pub(super) fn of(section: &'a [Record], name: &Name, kind: RecordType) -> Option<Self> {
        let ours = |record: &&Record| record.dns_class == DNSClass::IN && record.name == *name;
        let records: Vec<_> = section
            .iter()
            .filter(|record| record.record_type() == kind)
            .filter(ours)
            .take(RECORDS_MAX)
            .collect();
        let name = &records.first()?.name;
        let signatures = section
            .iter()
            .filter(ours)
            .filter_map(signature)
            .filter(|signature| signature.input().type_covered == kind)
            .take(SIGNATURES_MAX)
            .collect();
        Some(Self {
            name,
            kind,
            records,
            signatures,
        })
    }

    /// The smallest TTL.
    pub(super) fn ttl(&self) -> u32 {
        self.records
            .iter()
            .map(|record| record.ttl)
            .min()
            .unwrap_or(0)
    }
}

pub(super) fn signature(record: &Record) -> Option<&RRSIG> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(rrsig)) => Some(rrsig),
        _ => None,
    }
}

pub(super) fn dnskey(record: &Record) -> Option<&DNSKEY> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::DNSKEY(key)) => Some(key),
        _ => None,
    }
}

pub(super) fn ds(record: &Record) -> Option<&DS> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::DS(ds)) => Some(ds),
        _ => None,
    }
}

/// What a good signature tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Signed {
    /// Seconds for which the set may be kept.
    pub(super) ttl: u32,
    /// Where the set was made from a wildcard: the labels of the name that the wildcard is at. That the name itself
    /// does not exist must be proved then (RFC 4035 §5.3.4).
    pub(super) wildcard_at: Option<u8>,
}

/// Checks `signature` over `set` with the keys of the zone that signed.
pub(super) fn verify(
    set: &RecordSet<'_>,
    signature: &RRSIG,
    zone: &Name,
    keys: &[DNSKEY],
    work: &Work,
) -> Result<Signed, String> {
    let now = work.now;
    let input = signature.input();
    let labels = set.name.num_labels();
    if input.signer_name != *zone || !zone.zone_of(set.name) {
        return Err(format!("the signature of {} is by a stranger", set.name));
    }
    if input.num_labels > labels || input.num_labels < zone.num_labels() {
        return Err(format!("the signature of {} is for another name", set.name));
    }
    if set.kind == RecordType::DS && input.num_labels < labels {
        return Err(format!("the DS of {} come from a wildcard", set.name));
    }
    // RFC 1982: times wrap around; a difference counts by its sign.
    let later = |a: u32, b: u32| (a.wrapping_sub(b) as i32) > 0;
    if later(now, input.sig_expiration.get()) {
        return Err(format!(
            "the signature of {} {} has expired",
            set.name, set.kind
        ));
    }
    if later(input.sig_inception.get(), now) {
        return Err(format!(
            "the signature of {} {} is not valid yet",
            set.name, set.kind
        ));
    }
    let signed =
        signed_data(set, signature).ok_or("the records cannot be put in canonical form")?;
    let fits = |key: &&DNSKEY| {
        key.zone_key()
            && !key.revoke()
            && key.public_key_algorithm() == input.algorithm
            && input.algorithm.is_supported()
            && key
                .calculate_key_tag()
                .is_ok_and(|tag| tag == input.key_tag)
    };
    let mut verified = keys.iter().filter(fits).take(SAME_TAG_MAX);
    if !verified.any(|key| work.check(|| key.verify(&signed, signature.sig()).is_ok())) {
        return Err(format!(
            "the signature of {} {} is not by a key of {zone}",
            set.name, set.kind
        ));
    }
    let left = input.sig_expiration.get().wrapping_sub(now);
    Ok(Signed {
        ttl: set.ttl().min(input.original_ttl).min(left),
        wildcard_at: (input.num_labels < labels).then_some(input.num_labels),
    })
}

/// The key's algorithm.
trait KeyAlgorithm {
    fn public_key_algorithm(&self) -> Algorithm;
}

impl KeyAlgorithm for DNSKEY {
    fn public_key_algorithm(&self) -> Algorithm {
        hickory_proto::dnssec::PublicKey::algorithm(self.public_key())
    }
}

/// What is signed (RFC 4034 §3.1.8.1): the signature's fields, then the records in canonical form and order, each once.
fn signed_data(set: &RecordSet<'_>, signature: &RRSIG) -> Option<Vec<u8>> {
    let input = signature.input();
    let mut owner = set.name.to_lowercase();
    if input.num_labels < owner.num_labels() {
        owner = owner
            .trim_to(usize::from(input.num_labels))
            .prepend_label("*")
            .ok()?;
    }
    owner.set_fqdn(true);
    let mut head = Vec::new();
    {
        let mut encoder = BinEncoder::new(&mut head);
        encoder.set_canonical_form(true);
        encoder.set_name_encoding(NameEncoding::UncompressedLowercase);
        owner.emit(&mut encoder).ok()?;
        set.kind.emit(&mut encoder).ok()?;
        set.records.first()?.dns_class.emit(&mut encoder).ok()?;
        encoder.emit_u32(input.original_ttl).ok()?;
    }
    let mut bodies = set
        .records
        .iter()
        .map(|record| canonical_data(record))
        .collect::<Option<Vec<_>>>()?;
    bodies.sort_unstable();
    bodies.dedup();
    let mut signed = Vec::new();
    {
        let mut encoder = BinEncoder::new(&mut signed);
        encoder.set_canonical_form(true);
        encoder.set_name_encoding(NameEncoding::Uncompressed);
        input.emit(&mut encoder).ok()?;
    }
    for body in bodies {
        signed.extend_from_slice(&head);
        signed.extend_from_slice(&u16::try_from(body.len()).ok()?.to_be_bytes());
        signed.extend_from_slice(&body);
    }
    Some(signed)
}

/// RFC 4034 §6.2.
fn canonical_data(record: &Record) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    let mut encoder = BinEncoder::new(&mut data);
    encoder.set_canonical_form(true);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    match dname::target(record) {
        // The library does not know the name in it.
        Some(target) => target.to_lowercase().emit(&mut encoder).ok()?,
        None => record.data.emit(&mut encoder).ok()?,
    }
    Some(data)
}

/// What the parent zone, or a trust anchor, says about a zone's keys.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub(super) ds: Vec<DS>,
    pub(super) keys: Vec<DNSKEY>,
}

impl Expected {
    /// RFC 4035 §5.2: a zone all of whose DS records are in algorithms that we do not have counts as not signed.
    pub(super) fn is_supported(&self) -> bool {
        let supported = |key: &DNSKEY| key.public_key_algorithm().is_supported();
        self.keys.iter().any(supported) || self.strongest().next().is_some()
    }

    /// The DS records that count: RFC 4509 §3, SHA-1 only where there is nothing better.
    fn strongest(&self) -> impl Iterator<Item = &DS> {
        let supported = |ds: &&DS| ds.algorithm().is_supported() && ds.digest_type().is_supported();
        let better = self
            .ds
            .iter()
            .filter(supported)
            .any(|ds| ds.digest_type() != DigestType::SHA1);
        self.ds
            .iter()
            .filter(supported)
            .filter(move |ds| !better || ds.digest_type() != DigestType::SHA1)
            .take(DS_MAX)
    }

    fn means(&self, zone: &Name, key: &DNSKEY) -> bool {
        let tag = key.calculate_key_tag().ok();
        self.keys
            .iter()
            .any(|anchor| anchor.public_key() == key.public_key())
            || self.strongest().any(|ds| {
                Some(ds.key_tag()) == tag
                    && ds.algorithm() == key.public_key_algorithm()
                    && ds.covers(zone, key).unwrap_or(false)
            })
    }

    /// The zone's keys, where one that is expected has signed them all (RFC 4035 §5.2).
    pub(super) fn zone_keys(
        &self,
        set: &RecordSet<'_>,
        work: &Work,
    ) -> Result<(Vec<DNSKEY>, u32), String> {
        let keys: Vec<DNSKEY> = set
            .records
            .iter()
            .filter_map(|record| dnskey(record))
            .cloned()
            .collect();
        let expected: Vec<DNSKEY> = keys
            .iter()
            .filter(|key| self.means(set.name, key))
            .cloned()
            .collect();
        if expected.is_empty() {
            return Err(format!(
                "no key of {} is the one that is expected",
                set.name
            ));
        }
        let mut problem = format!("the keys of {} are not signed", set.name);
        for signature in &set.signatures {
            match verify(set, signature, set.name, &expected, work) {
                Ok(signed) => return Ok((keys, signed.ttl)),
                Err(why) => problem = why,
            }
        }
        Err(problem)
    }
}
