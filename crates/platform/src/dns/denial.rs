//! Proofs that something does not exist: NSEC (RFC 4035 §5.4) and NSEC3 (RFC 5155 §8). Pure; the records given are
//! validated already, and all of one zone.

use hickory_proto::dnssec::rdata::{NSEC, NSEC3};
use hickory_proto::rr::{Name, RecordType};

/// Records of one answer that are looked at.
const RECORDS_MAX: usize = 16;
/// RFC 9276 §3.2: with more rounds of hashing a proof is not worth the work, and counts as none.
const ITERATIONS_MAX: u16 = 150;

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

    /// RFC 4035 §5.3.4, RFC 5155 §8.8: `name` itself does not exist, so that the wildcard below the ancestor with
    /// `labels` labels may stand for it.
    pub(super) fn allows_wildcard(&self, zone: &Name, name: &Name, labels: u8) -> bool {
        match self {
            Self::Nsec(records) => records
                .iter()
                .any(|(owner, nsec)| covers(owner, nsec, zone, name)),
            Self::Nsec3(records) => Nsec3s::new(records, zone).is_some_and(|records| {
                records.too_costly()
                    || records
                        .covering(&name.trim_to(usize::from(labels) + 1))
                        .is_some()
            }),
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
    let blind = owner.zone_of(name) && (is_cut(has) || has(RecordType::from(39)));
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
        })
    }

    fn too_costly(&self) -> bool {
        self.iterations > ITERATIONS_MAX
    }

    fn hash(&self, name: &Name) -> Option<Vec<u8>> {
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
                if is_cut(has) || has(RecordType::from(39)) {
                    return None;
                }
                break (ancestor, self.covering(&next_closer)?);
            }
            next_closer = ancestor;
        };
        let wildcard = closest.prepend_label("*").ok()?;
        if let Some(nsec3) = self.matching(&wildcard) {
            no_data(|kind| nsec3.type_set().contains(kind), kind, &wildcard)?;
            return Some(Denial::NoData { delegation: false });
        }
        if gap.opt_out() {
            // RFC 5155 §9.2: what is in this gap may be an unsigned zone.
            return Some(Denial::Unsigned);
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
    fn the_hash_label_is_read() {
        // RFC 5155 appendix A: H(example) and its bytes begin 0p9mhaveqvm6t7vb...
        let hash = base32hex(b"0p9mhaveqvm6t7vbl5lop2u3t2rp3tom").unwrap();
        assert_eq!(hash.len(), 20);
        assert_eq!(hash[..3], [0x06, 0x53, 0x68]);
        assert_eq!(base32hex(b"w"), None);
    }
}
