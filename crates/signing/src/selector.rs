//! Names for new keys. Pure. Dated: `rp` + year and month + letters, never used twice in a domain. Fixed: `rp1a`,
//! `rp1b`, `rp2a`, `rp2b`, for customers who point four aliases (CNAME) at the provider once and never touch their
//! DNS again; rotation then alternates between the two pairs.

use crate::key::Algorithm;
use formats::rfc3339;
use platform::clock::Timestamp;

/// How the keys of a domain are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Naming {
    /// `rp2611a`, `rp2611b`, …
    #[default]
    Dated,
    /// `rp1a`, `rp1b` and `rp2a`, `rp2b` in turn.
    Fixed,
}

/// The naming that `taken` selectors of a domain follow.
pub(crate) fn naming_of(taken: &[&str]) -> Naming {
    let fixed = |name: &&str| FIXED.iter().flatten().any(|known| known == name);
    if !taken.is_empty() && taken.iter().all(fixed) {
        Naming::Fixed
    } else {
        Naming::Dated
    }
}

const FIXED: [[&str; 2]; 2] = [["rp1a", "rp1b"], ["rp2a", "rp2b"]];

/// Selectors for a new pair of keys, RSA first; `None` where both fixed pairs are in use.
pub(crate) fn next_pair(naming: Naming, taken: &[&str], now: Timestamp) -> Option<[String; 2]> {
    match naming {
        Naming::Fixed => FIXED
            .iter()
            .find(|pair| pair.iter().all(|name| !taken.contains(name)))
            .map(|pair| pair.map(str::to_owned)),
        Naming::Dated => {
            let date = rfc3339::format(now.0);
            let month: String = date.chars().skip(2).take(5).filter(|c| *c != '-').collect();
            let mut free = (0_u32..).map(|n| format!("rp{month}{}", letters(n)));
            let mut next = || free.find(|name| !taken.contains(&name.as_str()));
            Some([next()?, next()?])
        }
    }
}

/// Whether the order of a pair says how it signs; RSA first.
pub(crate) const PAIR: [Algorithm; 2] = [Algorithm::Rsa, Algorithm::Ed25519];

/// a … z, ba, bb …
fn letters(mut n: u32) -> String {
    let mut reversed = Vec::new();
    loop {
        reversed.push(char::from(b'a' + u8::try_from(n % 26).unwrap_or(0)));
        n /= 26;
        if n == 0 {
            return reversed.into_iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_month_and_are_not_given_twice() {
        let now = Timestamp(rfc3339::parse("2026-11-22T20:00:00Z").unwrap());
        let pair = next_pair(Naming::Dated, &[], now).unwrap();
        assert_eq!(pair, ["rp2611a", "rp2611b"]);
        let pair = next_pair(Naming::Dated, &["rp2611a", "rp2611b", "rp2611d"], now).unwrap();
        assert_eq!(pair, ["rp2611c", "rp2611e"]);
        assert_eq!(
            (letters(25), letters(26)),
            ("z".to_owned(), "ba".to_owned())
        );
    }

    #[test]
    fn fixed_pairs_take_turns() {
        let next = |taken: &[&str]| next_pair(Naming::Fixed, taken, Timestamp(0));
        assert_eq!(next(&[]).unwrap(), ["rp1a", "rp1b"]);
        assert_eq!(next(&["rp1a", "rp1b"]).unwrap(), ["rp2a", "rp2b"]);
        assert_eq!(next(&["rp2a", "rp2b"]).unwrap(), ["rp1a", "rp1b"]);
        assert_eq!(next(&["rp1a", "rp2b"]), None);
        assert_eq!(naming_of(&["rp1a", "rp2b"]), Naming::Fixed);
        assert_eq!(naming_of(&[]), Naming::Dated);
    }
}
