//! A set of UIDs as runs of consecutive numbers; also the sequence map of a session (RFC 3501
//! §2.3.1.2: message sequence numbers are the positions in it). Pure. A mailbox of 100,000
//! messages without gaps takes 12 bytes; look-ups either way are binary searches.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    first: u32,
    last: u32,
    /// How many UIDs the runs in front hold.
    before: u32,
}

impl Run {
    fn len(self) -> u32 {
        self.last - self.first + 1
    }
}

/// UIDs in ascending order, each once. 0 is no UID and is never in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UidSet {
    runs: Vec<Run>,
}

impl UidSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every UID from `first` to `last`; empty where `last` is less or 0.
    pub fn range(first: u32, last: u32) -> Self {
        let mut set = Self::new();
        set.push(first, last);
        set
    }

    /// Any ranges, in any order, overlapping or not, ends in either order (RFC 3501 §9 `seq-range`).
    pub fn from_ranges(ranges: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let mut ranges: Vec<_> = ranges
            .into_iter()
            .map(|(a, b)| (a.min(b), a.max(b)))
            .collect();
        ranges.sort_unstable();
        let mut set = Self::new();
        ranges
            .into_iter()
            .for_each(|(first, last)| set.push(first, last));
        set
    }

    /// Adds the UIDs from `first` to `last`. `first` must not be below the first UID of the last
    /// run; what is there already is not doubled. Others are ignored: use `union`.
    pub fn push(&mut self, first: u32, last: u32) {
        let first = first.max(1);
        if last < first {
            return;
        }
        match self.runs.last_mut() {
            None => self.runs.push(Run {
                first,
                last,
                before: 0,
            }),
            Some(run) if first < run.first => {}
            Some(run) if first <= run.last.saturating_add(1) => run.last = run.last.max(last),
            Some(run) => {
                let before = run.before + run.len();
                self.runs.push(Run {
                    first,
                    last,
                    before,
                });
            }
        }
    }

    /// How many UIDs it holds.
    pub fn len(&self) -> u32 {
        self.runs.last().map_or(0, |run| run.before + run.len())
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The lowest UID.
    pub fn first(&self) -> Option<u32> {
        self.runs.first().map(|run| run.first)
    }

    /// The highest UID.
    pub fn last(&self) -> Option<u32> {
        self.runs.last().map(|run| run.last)
    }

    /// The runs, each as first and last UID, ascending.
    pub fn runs(&self) -> impl DoubleEndedIterator<Item = (u32, u32)> + ExactSizeIterator {
        self.runs.iter().map(|run| (run.first, run.last))
    }

    /// Every UID, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = u32> {
        self.runs.iter().flat_map(|run| run.first..=run.last)
    }

    /// Whether `uid` is in it.
    pub fn contains(&self, uid: u32) -> bool {
        self.sequence_of(uid).is_some()
    }

    /// The position of `uid`, from 1.
    pub fn sequence_of(&self, uid: u32) -> Option<u32> {
        let at = self.runs.partition_point(|run| run.last < uid);
        let run = self.runs.get(at)?;
        (run.first <= uid).then(|| run.before + (uid - run.first) + 1)
    }

    /// The UID at position `sequence`, from 1.
    pub fn uid_at(&self, sequence: u32) -> Option<u32> {
        let index = sequence.checked_sub(1)?;
        let at = self
            .runs
            .partition_point(|run| run.before <= index)
            .checked_sub(1)?;
        let run = self.runs.get(at)?;
        let uid = run.first.checked_add(index - run.before)?;
        (uid <= run.last).then_some(uid)
    }

    /// The UIDs at the positions `sequences`; positions past the end are left out.
    pub fn at_sequences(&self, sequences: &UidSet) -> UidSet {
        let mut uids = UidSet::new();
        for (from, to) in sequences.runs() {
            let to = to.min(self.len());
            let mut from = from;
            while from <= to {
                let at = self.runs.partition_point(|run| run.before < from) - 1;
                let run = self.runs[at];
                let first = run.first + (from - run.before - 1);
                let last = run.last.min(first + (to - from));
                uids.push(first, last);
                from = from + (last - first) + 1;
            }
        }
        uids
    }

    /// What is in both.
    pub fn intersection(&self, other: &UidSet) -> UidSet {
        let mut both = UidSet::new();
        let (mut a, mut b) = (self.runs.iter().peekable(), other.runs.iter().peekable());
        while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
            both.push(x.first.max(y.first), x.last.min(y.last));
            if x.last <= y.last {
                a.next();
            } else {
                b.next();
            }
        }
        both
    }

    /// What is in `self` and not in `other`.
    pub fn difference(&self, other: &UidSet) -> UidSet {
        let mut left = UidSet::new();
        let mut holes = other.runs.iter().peekable();
        for run in &self.runs {
            let mut from = u64::from(run.first);
            while let Some(hole) = holes.peek() {
                if hole.first > run.last {
                    break;
                }
                if u64::from(hole.first) > from {
                    // Checked by the loop's conditions: from fits, as it is below hole.first.
                    left.push(from as u32, hole.first - 1);
                }
                from = from.max(u64::from(hole.last) + 1);
                if hole.last > run.last {
                    break;
                }
                holes.next();
            }
            if from <= u64::from(run.last) {
                left.push(from as u32, run.last);
            }
        }
        left
    }

    /// What is in either.
    pub fn union(&self, other: &UidSet) -> UidSet {
        UidSet::from_ranges(self.runs().chain(other.runs()))
    }

    /// Takes `uid` out; gives the position it had. Positions above move down by one.
    pub fn remove(&mut self, uid: u32) -> Option<u32> {
        let sequence = self.sequence_of(uid)?;
        *self = self.difference(&UidSet::range(uid, uid));
        Some(sequence)
    }

    /// The part of it above `uid`: what is still to do after a page ended there.
    pub fn above(&self, uid: u32) -> UidSet {
        uid.checked_add(1).map_or_else(UidSet::new, |first| {
            self.intersection(&UidSet::range(first, u32::MAX))
        })
    }

    /// Gives spare memory back; for sessions that go idle.
    pub fn shrink(&mut self) {
        self.runs.shrink_to_fit();
    }
}

impl FromIterator<u32> for UidSet {
    fn from_iter<I: IntoIterator<Item = u32>>(uids: I) -> Self {
        UidSet::from_ranges(uids.into_iter().map(|uid| (uid, uid)))
    }
}

/// As in IMAP: `1:4,7` (RFC 3501 §9 `sequence-set`). Empty for the empty set.
impl fmt::Display for UidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.runs().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}:{last}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn set(uids: &BTreeSet<u32>) -> UidSet {
        uids.iter().copied().collect()
    }

    #[test]
    fn neighbours_become_one_run_and_print_as_one() {
        let mut some = UidSet::from_ranges([(7, 7), (3, 1), (2, 4)]);
        assert_eq!(some.to_string(), "1:4,7");
        some.push(8, 9);
        assert_eq!(some.to_string(), "1:4,7:9");
        assert_eq!(some.runs().len(), 2);
        assert_eq!(some.len(), 7);
    }

    #[test]
    fn the_ends_of_the_number_range_are_safe() {
        let all = UidSet::range(0, u32::MAX);
        assert_eq!((all.len(), all.first()), (u32::MAX, Some(1)));
        assert_eq!(all.uid_at(u32::MAX), Some(u32::MAX));
        assert_eq!(all.uid_at(0), None);
        assert_eq!(all.above(u32::MAX), UidSet::new());
        assert_eq!(all.difference(&all), UidSet::new());
        let mut end = UidSet::range(u32::MAX, u32::MAX);
        end.push(u32::MAX, u32::MAX);
        assert_eq!(end.len(), 1);
        assert_eq!(UidSet::new().uid_at(1), None);
    }

    #[test]
    fn removing_gives_the_position_it_had() {
        let mut map = UidSet::from_ranges([(10, 12), (20, 20)]);
        assert_eq!(map.remove(11), Some(2));
        assert_eq!(map.remove(11), None);
        assert_eq!(map.sequence_of(20), Some(3));
        assert_eq!(map.to_string(), "10,12,20");
    }

    proptest! {
        #[test]
        fn it_is_a_sorted_set(a in prop::collection::btree_set(1u32..80, 0..40),
                              b in prop::collection::btree_set(1u32..80, 0..40)) {
            let (x, y) = (set(&a), set(&b));
            prop_assert_eq!(x.iter().collect::<BTreeSet<_>>(), a.clone());
            prop_assert_eq!(x.len() as usize, a.len());
            prop_assert_eq!(x.intersection(&y), set(&(&a & &b)));
            prop_assert_eq!(x.difference(&y), set(&(&a - &b)));
            prop_assert_eq!(x.union(&y), set(&(&a | &b)));
            for (index, uid) in a.iter().enumerate() {
                prop_assert_eq!(x.sequence_of(*uid), Some(index as u32 + 1));
                prop_assert_eq!(x.uid_at(index as u32 + 1), Some(*uid));
            }
            prop_assert_eq!(x.uid_at(a.len() as u32 + 1), None);
            let wanted: UidSet = y.iter().collect();
            let expected: BTreeSet<u32> = b.iter().filter_map(|s| x.uid_at(*s)).collect();
            prop_assert_eq!(x.at_sequences(&wanted), set(&expected));
        }
    }
}
