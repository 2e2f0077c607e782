//! Proofs that something does not exist: NSEC (RFC 4035 §5.4) and NSEC3 (RFC 5155 §8). Pure; the records given are
//! validated already, and all of one zone.

use super::Security;
use hickory_proto::dnssec::rdata::{NSEC, NSEC3};
use hickory_proto::rr::{Name, RecordType};
use std::cell::Cell;

/// Records of one answer that are looked at.
pub(super) const RECORDS_MAX: usize = 16;
/// RFC 9276 §3.2: with more rounds of hashing a proof is not worth the work, and counts as none.
const ITERATIONS_MAX: u16 = 100;
/// Names hashed for one proof (CVE-2023-50868). Names of addresses (`ip6.arpa`) have 34 labels.
const HASHES_MAX: u32 = 48;

/// What is proved about a name and a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denial {
    /// The name is there, the type is not.
    NoData {
        /// The name is where another zone begins.
        delegation: bool,
    },
    /// The name is not there, nor a wildcard that would stand for it.
    NxDomain,
    /// Nothing: an unsigned zone may begin there (opt-out, RFC 5155 §6), or the proof is too costly to look at.
    Unsigned,
}

/// The records that prove.
#[derive(Debug)]
pub(super) enum Evidence<'a> {
    Nsec(Vec<(&'a Name, &'a NSEC)>),
    Nsec3(Vec<(&'a Name, &'a NSEC3)>),
}

impl Evidence<'_> {
    /// What is proved about `name` and `kind` in `zone`; `None` where nothing is.
    pub(super) fn about(&self, zone: &Name, name: &Name, kind: RecordType) -> Option<Denial> {
        match self {
            Self::Nsec(records) => nsec(records, zone, name, kind),
            Self::Nsec3(records) => Nsec3s::new(records, zone)?.about(name, kind),
        }
    }

    /// RFC 4035 §5.3.4, RFC 5155 §8.8: neither `name` itself exists nor anything between it and the ancestor with
    /// `labels` labels, so that the wildcard below that may stand for it. `None` where that is not proved,
    /// `Insecure` where the name may as well be in an unsigned zone.
    pub(super) fn allows_wildcard(&self, zone: &Name, name: &Name, labels: u8) -> Option<Security> {
        match self {
            Self::Nsec(records) => {
                let proves = |(owner, nsec): &(&Name, &NSEC)| {
                    let closest = closest_encloser(name, owner, nsec.next_domain_name());
                    covers(owner, nsec, zone, name) && closest.iter().len() == usize::from(labels)
                };
                let mut records = records.iter().take(RECORDS_MAX);
                records.any(proves).then_some(Security::Secure)
            }
            Self::Nsec3(records) => {
                let records = Nsec3s::new(records, zone)?;
                if records.too_costly() {
                    return Some(Security::Insecure);
                }
                let gap = records.covering(&name.trim_to(usize::from(labels) + 1))?;
                // RFC 5155 §9.2.
                Some(match gap.opt_out() {
                    true => Security::Insecure,
                    false => Security::Secure,
                })
            }
        }
    }
}

/// Whether a bitmap is that of the upper side of a zone cut.
fn is_cut(has: impl Fn(RecordType) -> bool) -> bool {
    has(RecordType::NS) && !has(RecordType::SOA)
}

/// RFC 6840 §4.1 and §4.4: what a bitmap at the very name says about the type.
fn no_data(has: impl Fn(RecordType) -> bool, kind: RecordType, name: &Name) -> Option<Denial> {
    if has(kind) || has(RecordType::CNAME) {
        return None;
    }
    if kind == RecordType::DS {
        // The lower side of the cut cannot speak about DS.
        if has(RecordType::SOA) && !name.is_root() {
            return None;
        }
    } else if is_cut(&has) {
        return None;
    }
    Some(Denial::NoData {
        delegation: is_cut(&has),
    })
}

/// Whether the gap behind `owner` holds `name`. RFC 6840 §4.1: a gap behind a cut, or an alias of a subtree, says
/// nothing about what is below it.
fn covers(owner: &Name, nsec: &NSEC, zone: &Name, name: &Name) -> bool {
    let next = nsec.next_domain_name();
    let has = |kind| nsec.type_set().contains(kind);
    let blind = owner.zone_of(name) && (is_cut(has) || has(RecordType::DNAME));
    let inside = owner < name && (name < next || next == zone);
    inside && zone.zone_of(name) && !blind
}

fn nsec(records: &[(&Name, &NSEC)], zone: &Name, name: &Name, kind: RecordType) -> Option<Denial> {
    let records = records.get(..records.len().min(RECORDS_MAX))?;
    if let Some((_, nsec)) = records.iter().find(|(owner, _)| *owner == name) {
        return no_data(|kind| nsec.type_set().contains(kind), kind, name);
    }
    let (owner, gap) = records
        .iter()
        .find(|(owner, nsec)| covers(owner, nsec, zone, name))?;
    let next = gap.next_domain_name();
    if name.zone_of(next) {
        // Something is below it, so it is there, and empty.
        return Some(Denial::NoData { delegation: false });
    }
    let closest = closest_encloser(name, owner, next);
    let wildcard = closest.prepend_label("*").ok()?;
    if let Some((_, nsec)) = records.iter().find(|(owner, _)| **owner == wildcard) {
        return match no_data(|kind| nsec.type_set().contains(kind), kind, &wildcard)? {
            Denial::NoData { .. } => Some(Denial::NoData { delegation: false }),
            other => Some(other),
        };
    }
    let no_wildcard = records
        .iter()
        .any(|(owner, nsec)| covers(owner, nsec, zone, &wildcard));
    no_wildcard.then_some(Denial::NxDomain)
}

/// The longest ancestor of `name` that exists: what it shares with either end of the gap.
fn closest_encloser(name: &Name, owner: &Name, next: &Name) -> Name {
    let mut ancestor = name.base_name();
    while !ancestor.is_root() && !ancestor.zone_of(owner) && !ancestor.zone_of(next) {
        ancestor = ancestor.base_name();
    }
    ancestor
}

struct Nsec3s<'a> {
    /// The hash of the owner, the record.
    records: Vec<(Vec<u8>, &'a NSEC3)>,
    zone: &'a Name,
    salt: &'a [u8],
    iterations: u16,
    hashes_left: Cell<u32>,
}

impl<'a> Nsec3s<'a> {
    /// Those of `zone` with the parameters of the first.
    fn new(records: &[(&'a Name, &'a NSEC3)], zone: &'a Name) -> Option<Self> {
        let (_, first) = records.first()?;
        let (salt, iterations) = (first.salt(), first.iterations());
        let own = records
            .iter()
            .take(RECORDS_MAX)
            .filter(|(owner, nsec3)| {
                owner.base_name() == *zone
                    && nsec3.salt() == salt
                    && nsec3.iterations() == iterations
            })
            .filter_map(|(owner, nsec3)| Some((base32hex(owner.iter().next()?)?, *nsec3)))
            .collect();
        Some(Self {
            records: own,
            zone,
            salt,
            iterations,
            hashes_left: Cell::new(HASHES_MAX),
        })
    }

    fn too_costly(&self) -> bool {
        self.iterations > ITERATIONS_MAX
    }

    fn hash(&self, name: &Name) -> Option<Vec<u8>> {
        self.hashes_left.set(self.hashes_left.get().checked_sub(1)?);
        let algorithm = self.records.first()?.1.hash_algorithm();
        let hash = algorithm
            .hash(self.salt, &name.to_lowercase(), self.iterations)
            .ok()?;
        Some(hash.as_ref().to_vec())
    }

    fn matching(&self, name: &Name) -> Option<&'a NSEC3> {
        let hash = self.hash(name)?;
        let found = self.records.iter().find(|(owner, _)| *owner == hash);
        found.map(|(_, nsec3)| *nsec3)
    }

    fn covering(&self, name: &Name) -> Option<&'a NSEC3> {
        let hash = self.hash(name)?;
        let found = self.records.iter().find(|(owner, nsec3)| {
            let next = nsec3.next_hashed_owner_name();
            let (owner, hash) = (owner.as_slice(), hash.as_slice());
            if owner < next {
                owner < hash && hash < next
            } else {
                // The last gap reaches around the end.
                owner < hash || hash < next
            }
        });
        found.map(|(_, nsec3)| *nsec3)
    }

    fn about(&self, name: &Name, kind: RecordType) -> Option<Denial> {
        if self.too_costly() {
            return Some(Denial::Unsigned);
        }
        if let Some(nsec3) = self.matching(name) {
            return no_data(|kind| nsec3.type_set().contains(kind), kind, name);
        }
        // RFC 5155 §8.3: the longest ancestor that is there, and the gap that holds the next longer name.
        let mut next_closer = name.clone();
        let (closest, gap) = loop {
            let ancestor = next_closer.base_name();
            if !self.zone.zone_of(&ancestor) || next_closer.is_root() {
                return None;
            }
            if let Some(nsec3) = self.matching(&ancestor) {
                let has = |kind| nsec3.type_set().contains(kind);
                if is_cut(has) || has(RecordType::DNAME) {
                    return None;
                }
                break (ancestor, self.covering(&next_closer)?);
            }
            next_closer = ancestor;
        };
        if gap.opt_out() {
            // RFC 5155 §9.2: what is in this gap may be an unsigned zone, whatever a wildcard says.
            return Some(Denial::Unsigned);
        }
        let wildcard = closest.prepend_label("*").ok()?;
        if let Some(nsec3) = self.matching(&wildcard) {
            no_data(|kind| nsec3.type_set().contains(kind), kind, &wildcard)?;
            return Some(Denial::NoData { delegation: false });
        }
        self.covering(&wildcard).map(|_| Denial::NxDomain)
    }
}

/// RFC 4648 §7 without padding.
fn base32hex(label: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(label.len() * 5 / 8);
    let (mut bits, mut have) = (0_u32, 0);
    for letter in label {
        let value = match letter {
            b'0'..=b'9' => letter - b'0',
            b'a'..=b'v' => letter - b'a' + 10,
            b'A'..=b'V' => letter - b'A' + 10,
            _ => return None,
        };
        bits = (bits << 5 | u32::from(value)) & 0xffff;
        have += 5;
        if have >= 8 {
            have -= 8;
            bytes.push((bits >> have) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn about(
        records: &[(&str, &str, &[RecordType])],
        asked: &str,
        kind: RecordType,
    ) -> Option<Denial> {
        let records: Vec<_> = records
            .iter()
            .map(|(owner, next, types)| (name(owner), NSEC::new(name(next), types.iter().copied())))
            .collect();
        let records = records.iter().map(|(owner, nsec)| (owner, nsec)).collect();
        Evidence::Nsec(records).about(&name("test."), &name(asked), kind)
    }

    #[test]
    fn gaps_and_bitmaps_of_nsec() {
        use RecordType as T;
        const NO_DATA: Option<Denial> = Some(Denial::NoData { delegation: false });
        let apex: (&str, &str, &[T]) = ("test.", "a.test.", &[T::NS, T::SOA]);
        let a: (&str, &str, &[T]) = ("a.test.", "x.c.test.", &[T::A]);
        let last: (&str, &str, &[T]) = ("z.test.", "test.", &[T::A]);
        let cut: (&str, &str, &[T]) = ("d.test.", "z.test.", &[T::NS]);
        let wild: (&str, &str, &[T]) = ("*.test.", "a.test.", &[T::MX]);
        // The name is there.
        assert_eq!(about(&[a], "a.test.", T::TLSA), NO_DATA);
        assert_eq!(about(&[a], "A.test.", T::A), None);
        // Nothing is said about the wildcard, then that there is none, then that it lacks the type.
        assert_eq!(about(&[a], "b.test.", T::A), None);
        assert_eq!(about(&[a, apex], "b.test.", T::A), Some(Denial::NxDomain));
        assert_eq!(about(&[a, wild], "b.test.", T::TLSA), NO_DATA);
        assert_eq!(about(&[a, wild], "b.test.", T::MX), None);
        // Empty, but something is below it.
        assert_eq!(about(&[a, apex], "c.test.", T::A), NO_DATA);
        // The last gap.
        assert_eq!(
            about(&[last, apex], "zz.test.", T::A),
            Some(Denial::NxDomain)
        );
        assert_eq!(about(&[last, apex], "zz.other.", T::A), None);
        // A cut: no DS there, and nothing about what is below it.
        assert_eq!(
            about(&[cut], "d.test.", T::DS),
            Some(Denial::NoData { delegation: true })
        );
        assert_eq!(about(&[cut], "d.test.", T::A), None);
        assert_eq!(about(&[cut, apex], "mx.d.test.", T::A), None);
        // The lower side of a cut says nothing about DS.
        assert_eq!(about(&[apex], "test.", T::DS), None);
        assert_eq!(about(&[apex], "test.", T::MX), NO_DATA);
    }

    #[test]
    fn a_wildcard_stands_only_for_what_nothing_nearer_exists_for() {
        let allows = |owner: &str, next: &str, asked: &str, labels: u8| {
            let nsec = NSEC::new(name(next), [RecordType::A]);
            let owner = name(owner);
            let evidence = Evidence::Nsec(vec![(&owner, &nsec)]);
            evidence.allows_wildcard(&name("test."), &name(asked), labels)
        };
        let secure = Some(Security::Secure);
        assert_eq!(allows("a.test.", "z.test.", "m.test.", 1), secure);
        assert_eq!(allows("a.test.", "z.test.", "x.m.test.", 1), secure);
        // There is m.test, so that *.test does not stand for what is below it.
        assert_eq!(allows("m.test.", "z.test.", "x.m.test.", 1), None);
        assert_eq!(allows("a.test.", "y.m.test.", "x.m.test.", 1), None);
        assert_eq!(allows("m.test.", "z.test.", "x.m.test.", 2), secure);
        assert_eq!(allows("m.test.", "z.test.", "a.test.", 1), None);
    }

    /// The hash of `name` with neither salt nor further rounds, and one more or less.
    fn hashed(text: &str, by: i16) -> Vec<u8> {
        let algorithm = hickory_proto::dnssec::Nsec3HashAlgorithm::SHA1;
        let mut hash = algorithm
            .hash(&[], &name(text), 0)
            .unwrap()
            .as_ref()
            .to_vec();
        let last = hash.last_mut().unwrap();
        *last = u8::try_from(i16::from(*last) + by).unwrap();
        hash
    }

    fn owner_of(hash: &[u8]) -> Name {
        const LETTERS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
        let bits: Vec<u8> = hash
            .iter()
            .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
            .collect();
        let label: String = bits
            .chunks(5)
            .map(|five| five.iter().fold(0, |sum, bit| sum << 1 | bit))
            .map(|value: u8| char::from(LETTERS[usize::from(value)]))
            .collect();
        name(&format!("{label}.test."))
    }

    fn nsec3(opt_out: bool, iterations: u16, next: Vec<u8>, types: &[RecordType]) -> NSEC3 {
        let algorithm = hickory_proto::dnssec::Nsec3HashAlgorithm::SHA1;
        let types = types.iter().copied();
        NSEC3::new(algorithm, opt_out, iterations, Vec::new(), next, types)
    }

    /// RFC 5155 §9.2, RFC 9276 §3.2.
    #[test]
    fn opt_out_and_costly_hashes_prove_nothing_but_doubt() {
        let asked = name("m.test.");
        let (before, after) = (hashed("m.test.", -1), hashed("m.test.", 1));
        for (opt_out, iterations, expected) in [
            (false, 0, Some(Security::Secure)),
            (true, 0, Some(Security::Insecure)),
            (false, 101, Some(Security::Insecure)),
        ] {
            let gap = nsec3(opt_out, iterations, after.clone(), &[]);
            let owner = owner_of(&before);
            let evidence = Evidence::Nsec3(vec![(&owner, &gap)]);
            let found = evidence.allows_wildcard(&name("test."), &asked, 1);
            assert_eq!(found, expected, "{opt_out} {iterations}");
        }
        // A wildcard that lacks the type does not help where the name may be an unsigned zone.
        for (opt_out, expected) in [
            (false, Denial::NoData { delegation: false }),
            (true, Denial::Unsigned),
        ] {
            let apex = nsec3(
                false,
                0,
                hashed("test.", 1),
                &[RecordType::SOA, RecordType::NS],
            );
            let gap = nsec3(opt_out, 0, after.clone(), &[]);
            let wildcard = nsec3(false, 0, hashed("*.test.", 1), &[RecordType::MX]);
            let owners = [hashed("test.", 0), before.clone(), hashed("*.test.", 0)];
            let owners: Vec<Name> = owners.iter().map(|hash| owner_of(hash)).collect();
            let records = owners.iter().zip([&apex, &gap, &wildcard]).collect();
            let found = Evidence::Nsec3(records).about(&name("test."), &asked, RecordType::A);
            assert_eq!(found, Some(expected), "{opt_out}");
        }
    }

    #[test]
    fn the_hash_label_is_read() {
        // RFC 5155 appendix A: H(example) and its bytes begin 0p9mhaveqvm6t7vb...
        let hash = base32hex(b"0p9mhaveqvm6t7vbl5lop2u3t2rp3tom").unwrap();
        assert_eq!(hash.len(), 20);
        assert_eq!(hash[..3], [0x06, 0x53, 0x68]);
        assert_eq!(base32hex(b"w"), None);
    }
}
