//! Who must wait after wrong passwords. Counted per user name and block of peer addresses, so that
//! nobody can lock somebody else's account; bounded; a device that repeats one old password counts
//! once, because that is not guessing. Pure bookkeeping: the time is an argument.

use crate::AddressBlock;
use crate::cache::Cache;
use crate::limits::WRONG_PASSWORDS_REMEMBERED_MAX;
use crate::settings::BackOff;
use platform::clock::Timestamp;
use std::net::IpAddr;
use std::time::Duration;

/// A keyed digest of account and password; says nothing to whoever reads memory without the key.
pub(crate) type Digest = [u8; 32];

/// Whose attempts are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Who {
    user: Box<str>,
    block: AddressBlock,
}

/// Whether a password may be checked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// Check it, then say how it went.
    Check,
    /// It was wrong before and still is.
    WrongAgain,
    /// Not before this time has passed.
    Wait(Duration),
}

#[derive(Debug, Default)]
struct Entry {
    wrong: u32,
    last: Timestamp,
    not_before: Timestamp,
    /// Passwords that count already: being checked or found wrong; oldest first.
    counted: Vec<(Digest, Outcome)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Pending,
    Wrong,
}

pub(crate) struct BackOffTable {
    settings: BackOff,
    entries: Cache<Who, Entry>,
}

impl BackOffTable {
    pub(crate) fn new(settings: BackOff) -> Self {
        Self {
            entries: Cache::new(settings.entries_max),
            settings,
        }
    }

    /// Under which name attempts for `user` from `peer` are counted; `None`: never.
    pub(crate) fn who(&self, user: &str, peer: IpAddr) -> Option<Who> {
        if self.settings.never.iter().any(|block| block.contains(peer)) {
            return None;
        }
        let bits = if peer.to_canonical().is_ipv4() {
            self.settings.ipv4_prefix_bits
        } else {
            self.settings.ipv6_prefix_bits
        };
        Some(Who {
            user: user.into(),
            block: AddressBlock::around(peer, bits),
        })
    }

    /// How long this one must still wait; zero for now.
    pub(crate) fn wait(&mut self, who: &Who, now: Timestamp) -> Duration {
        match self.current(who, now) {
            Some(entry) => entry.not_before.since(now),
            None => Duration::ZERO,
        }
    }

    /// Whether this very password was found wrong before.
    pub(crate) fn is_known(&mut self, who: &Who, digest: &Digest) -> bool {
        self.entries
            .get_mut(who)
            .is_some_and(|entry| entry.counted.contains(&(*digest, Outcome::Wrong)))
    }

    /// Counts an attempt before it is checked, so that a thousand at once are a thousand.
    /// `digest` is `None` where the password is not known (SCRAM).
    pub(crate) fn begin(&mut self, who: &Who, digest: Option<Digest>, now: Timestamp) -> Attempt {
        if self.current(who, now).is_none() {
            self.entries.insert(who.clone(), Entry::default());
        }
        let (free, first, longest) = (
            self.settings.free_attempts,
            self.settings.first_wait,
            self.settings.longest_wait,
        );
        let Some(entry) = self.entries.get_mut(who) else {
            return Attempt::Check;
        };
        let known = entry.counted.iter().find(|(d, _)| Some(*d) == digest);
        match known {
            Some((_, Outcome::Wrong)) => return Attempt::WrongAgain,
            Some((_, Outcome::Pending)) => return Attempt::Check,
            None => {}
        }
        let wait = entry.not_before.since(now);
        if !wait.is_zero() {
            return Attempt::Wait(wait);
        }
        entry.last = now;
        entry.wrong = entry.wrong.saturating_add(1);
        if let Some(digest) = digest {
            if entry.counted.len() >= WRONG_PASSWORDS_REMEMBERED_MAX {
                entry.counted.remove(0);
            }
            entry.counted.push((digest, Outcome::Pending));
        }
        if entry.wrong >= free {
            let doublings = (entry.wrong - free).min(20);
            entry.not_before = now.plus(first.saturating_mul(1 << doublings).min(longest));
        }
        Attempt::Check
    }

    /// The password was wrong.
    pub(crate) fn wrong(&mut self, who: &Who, digest: Option<Digest>) {
        if let Some(entry) = self.entries.get_mut(who) {
            for (counted, outcome) in &mut entry.counted {
                if Some(*counted) == digest {
                    *outcome = Outcome::Wrong;
                }
            }
        }
    }

    /// The password was right; everything before it was a slip.
    pub(crate) fn right(&mut self, who: &Who) {
        self.entries.remove(who);
    }

    /// The attempt was not checked after all.
    pub(crate) fn withdrawn(&mut self, who: &Who, digest: Option<Digest>) {
        if let Some(entry) = self.entries.get_mut(who) {
            entry.wrong = entry.wrong.saturating_sub(1);
            entry.not_before = Timestamp::default();
            entry
                .counted
                .retain(|(counted, _)| Some(*counted) != digest);
        }
    }

    fn current(&mut self, who: &Who, now: Timestamp) -> Option<&mut Entry> {
        let forgotten_after = self.settings.forgotten_after;
        let expired = self
            .entries
            .get_mut(who)
            .is_some_and(|entry| now.since(entry.last) > forgotten_after);
        if expired {
            self.entries.remove(who);
            return None;
        }
        self.entries.get_mut(who)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> BackOffTable {
        BackOffTable::new(BackOff {
            free_attempts: 3,
            first_wait: Duration::from_secs(2),
            longest_wait: Duration::from_secs(60),
            entries_max: 1000,
            never: vec!["192.0.2.0/24".parse().unwrap()],
            ..BackOff::default()
        })
    }

    fn fail(table: &mut BackOffTable, who: &Who, number: u8, now: Timestamp) -> Attempt {
        let attempt = table.begin(who, Some([number; 32]), now);
        if attempt == Attempt::Check {
            table.wrong(who, Some([number; 32]));
        }
        attempt
    }

    #[test]
    fn waits_double_up_to_the_longest_and_end() {
        let mut table = table();
        let who = table.who("anna", "203.0.113.7".parse().unwrap()).unwrap();
        let mut now = Timestamp::from_seconds(1000);
        let mut waits = Vec::new();
        for number in 0..12 {
            assert_eq!(
                fail(&mut table, &who, number, now),
                Attempt::Check,
                "{number}"
            );
            let wait = table.wait(&who, now);
            waits.push(wait.as_secs());
            if !wait.is_zero() {
                assert_eq!(fail(&mut table, &who, 99, now), Attempt::Wait(wait));
            }
            now = now.plus(wait);
        }
        assert_eq!(waits, [0, 0, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]);
        let much_later = now.plus(Duration::from_secs(7 * 3600));
        assert_eq!(fail(&mut table, &who, 50, much_later), Attempt::Check);
        assert!(table.wait(&who, much_later).is_zero());
    }

    #[test]
    fn a_device_that_repeats_one_password_counts_once() {
        let mut table = table();
        let who = table.who("anna", "203.0.113.7".parse().unwrap()).unwrap();
        let now = Timestamp::from_seconds(1000);
        assert_eq!(fail(&mut table, &who, 1, now), Attempt::Check);
        for _ in 0..100 {
            assert_eq!(fail(&mut table, &who, 1, now), Attempt::WrongAgain);
        }
        assert!(table.wait(&who, now).is_zero());
    }

    #[test]
    fn many_connections_at_once_with_the_right_password_all_get_in() {
        let mut table = table();
        let who = table.who("anna", "203.0.113.7".parse().unwrap()).unwrap();
        for _ in 0..20 {
            assert_eq!(
                table.begin(&who, Some([1; 32]), Timestamp(5)),
                Attempt::Check
            );
        }
        table.right(&who);
        assert!(table.wait(&who, Timestamp(5)).is_zero());
    }

    #[test]
    fn nobody_elsewhere_waits() {
        let mut table = table();
        let now = Timestamp::from_seconds(1000);
        let attacker = table.who("anna", "203.0.113.7".parse().unwrap()).unwrap();
        for number in 0..50 {
            fail(&mut table, &attacker, number, now);
        }
        assert!(!table.wait(&attacker, now).is_zero());
        let neighbour = table.who("anna", "203.0.113.200".parse().unwrap()).unwrap();
        assert_eq!(neighbour, attacker, "one block is one peer");
        let elsewhere = table.who("anna", "203.0.114.7".parse().unwrap()).unwrap();
        assert!(table.wait(&elsewhere, now).is_zero());
        let other_user = table.who("bernd", "203.0.113.7".parse().unwrap()).unwrap();
        assert!(table.wait(&other_user, now).is_zero());
        assert_eq!(
            table.who("anna", "192.0.2.1".parse().unwrap()),
            None,
            "allow-listed"
        );
        assert_eq!(table.who("anna", "::ffff:192.0.2.1".parse().unwrap()), None);
    }

    #[test]
    fn an_attempt_that_was_not_checked_does_not_count() {
        let mut table = table();
        let who = table.who("anna", "203.0.113.7".parse().unwrap()).unwrap();
        for number in 0..100 {
            let digest = Some([number; 32]);
            assert_eq!(table.begin(&who, digest, Timestamp(5)), Attempt::Check);
            table.withdrawn(&who, digest);
        }
        assert!(table.wait(&who, Timestamp(5)).is_zero());
    }
}
