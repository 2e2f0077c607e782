//! The life of a DKIM key. Pure: what DNS showed and the time go in, the next state comes out.
//!
//!   New --seen in DNS--> Published --2 TTL later--> Active --replaced--> Retiring --14 days--> Revoked
//!    |                     | (at once where nothing else signs)  ^
//!    |                     +--record gone--> New                 |
//!    +--------------- operator: use it now ---------------------+         any --operator--> removed
//!
//! A key signs only while it is Active. Its record stays published while it retires, because mail that it signed
//! may wait in queues for five days and is checked again later. Revoked: its private half is destroyed.

use platform::clock::Timestamp;
use std::time::Duration;

/// How long the record of a key that signs no more stays published.
pub const KEPT_PUBLISHED: Duration = Duration::from_secs(14 * 86_400);
/// A TTL below this is taken for this: some resolvers keep answers longer than they are told.
const TTL_MIN: Duration = Duration::from_secs(300);
/// A TTL above this is taken for this.
const TTL_MAX: Duration = Duration::from_secs(2 * 86_400);

/// Where a key is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyState {
    /// Made here; its record was not seen in DNS yet.
    New,
    /// Its record was seen; caches may still hold that there is none.
    Published,
    /// It signs.
    Active,
    /// It signs no more; its record must stay.
    Retiring,
    /// Its private half is destroyed; its record may go.
    Revoked,
}

impl KeyState {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Published => "published",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Revoked => "revoked",
        }
    }

    pub(crate) fn number(self) -> i64 {
        match self {
            Self::New => 0,
            Self::Published => 1,
            Self::Active => 2,
            Self::Retiring => 3,
            Self::Revoked => 4,
        }
    }

    pub(crate) fn from_number(number: i64) -> Option<Self> {
        [
            Self::New,
            Self::Published,
            Self::Active,
            Self::Retiring,
            Self::Revoked,
        ]
        .into_iter()
        .find(|state| state.number() == number)
    }

    /// The edges of the graph above.
    pub fn may_follow(self, before: Self) -> bool {
        use KeyState::{Active, New, Published, Retiring, Revoked};
        matches!(
            (before, self),
            (New, Published | Active)
                | (Published, New | Active)
                | (Active, Retiring)
                | (Retiring, Revoked)
        )
    }
}

/// What DNS showed of a key's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Publication {
    /// Not looked yet, or nobody could say; the text says why.
    Unknown(String),
    /// There, with this key.
    Seen,
    /// Not there.
    Absent,
    /// Something is there, but not this key; the text says what.
    Differs(String),
}

impl Publication {
    pub(crate) fn number(&self) -> i64 {
        match self {
            Self::Unknown(_) => 0,
            Self::Seen => 1,
            Self::Absent => 2,
            Self::Differs(_) => 3,
        }
    }

    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Unknown(text) | Self::Differs(text) => text,
            Self::Seen | Self::Absent => "",
        }
    }

    pub(crate) fn from_row(number: i64, text: &str) -> Self {
        match number {
            1 => Self::Seen,
            2 => Self::Absent,
            3 => Self::Differs(text.to_owned()),
            _ => Self::Unknown(text.to_owned()),
        }
    }
}

/// What decides about the next state.
#[derive(Debug, Clone)]
pub struct LifeFacts {
    /// Where the key is now.
    pub state: KeyState,
    /// What DNS shows now.
    pub publication: Publication,
    /// Since when the record is seen without a break, and its TTL.
    pub seen: Option<(Timestamp, Duration)>,
    /// When it stopped signing.
    pub retired: Option<Timestamp>,
    /// Whether another key of the domain with the same algorithm signs.
    pub another_signs: Another,
}

/// Whether another key of the same domain and algorithm signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Another {
    /// One does; changing over has time.
    Signs,
    /// None does; without this key mail is not signed.
    None,
}

/// When a key that was seen may begin to sign: after twice the TTL, so that no cache still says there is none.
pub fn active_from(seen: (Timestamp, Duration)) -> Timestamp {
    seen.0.plus(seen.1.clamp(TTL_MIN, TTL_MAX) * 2)
}

/// The state that follows, `None` where nothing changes.
pub fn next(facts: &LifeFacts, now: Timestamp) -> Option<KeyState> {
    match (facts.state, &facts.publication) {
        (KeyState::New | KeyState::Published, Publication::Seen) => {
            let waited = facts.seen.is_some_and(|seen| now >= active_from(seen));
            if waited || facts.another_signs == Another::None {
                Some(KeyState::Active)
            } else {
                (facts.state == KeyState::New).then_some(KeyState::Published)
            }
        }
        // What nobody could say changes nothing.
        (KeyState::Published, Publication::Absent | Publication::Differs(_)) => Some(KeyState::New),
        (KeyState::Retiring, _) => {
            let over = |since: Timestamp| now >= since.plus(KEPT_PUBLISHED);
            facts.retired.is_some_and(over).then_some(KeyState::Revoked)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use KeyState::{Active, New, Published, Retiring, Revoked};

    const NOW: Timestamp = Timestamp(1_795_000_000_000);

    fn facts(state: KeyState, publication: Publication, another_signs: Another) -> LifeFacts {
        LifeFacts {
            state,
            publication,
            seen: Some((NOW, Duration::from_secs(3600))),
            retired: Some(NOW),
            another_signs,
        }
    }

    #[test]
    fn a_first_key_signs_when_it_is_seen_and_a_second_after_twice_the_ttl() {
        let hours = |n: u64| NOW.plus(Duration::from_secs(n * 3600));
        let first = facts(New, Publication::Seen, Another::None);
        assert_eq!(next(&first, NOW), Some(Active));
        let second = facts(New, Publication::Seen, Another::Signs);
        assert_eq!(next(&second, NOW), Some(Published));
        let second = facts(Published, Publication::Seen, Another::Signs);
        assert_eq!(next(&second, hours(1)), None);
        assert_eq!(next(&second, hours(2)), Some(Active));
        for absent in [Publication::Absent, Publication::Differs(String::new())] {
            assert_eq!(
                next(&facts(New, absent.clone(), Another::None), hours(9)),
                None
            );
            assert_eq!(
                next(&facts(Published, absent, Another::Signs), hours(9)),
                Some(New)
            );
        }
        let unknown = Publication::Unknown("timed out".to_owned());
        assert_eq!(
            next(&facts(Published, unknown, Another::Signs), hours(9)),
            None
        );
    }

    #[test]
    fn a_key_that_signs_is_never_taken_away_by_dns() {
        for publication in [
            Publication::Absent,
            Publication::Differs("x".into()),
            Publication::Seen,
        ] {
            assert_eq!(next(&facts(Active, publication, Another::Signs), NOW), None);
        }
        let retiring = facts(Retiring, Publication::Absent, Another::Signs);
        assert_eq!(next(&retiring, NOW), None);
        assert_eq!(next(&retiring, NOW.plus(KEPT_PUBLISHED)), Some(Revoked));
    }

    #[test]
    fn every_step_is_an_edge_of_the_graph() {
        for state in [New, Published, Active, Retiring, Revoked] {
            assert_eq!(KeyState::from_number(state.number()), Some(state));
            for publication in [Publication::Seen, Publication::Absent] {
                for another in [Another::Signs, Another::None] {
                    let facts = facts(state, publication.clone(), another);
                    if let Some(after) = next(&facts, NOW.plus(KEPT_PUBLISHED)) {
                        assert!(after.may_follow(state), "{state:?} -> {after:?}");
                    }
                }
            }
        }
    }
}
