//! Sender rewriting for forwards (SRS, as libsrs2 and postsrsd write it): MAIL FROM becomes an address of the
//! forwarding domain that carries the original one under a hash, so that SPF holds at the next server and a notice
//! finds its way back. Pure; the time is an argument. `Signing` holds the keyed `Srs`.
//!
//! SRS0=HASH=DAY=original.domain=local@forwarder    one forward
//! SRS1=HASH=first.forwarder==HASH=DAY=...@us       a later forward: only the first one is remembered
//!
//! The hash covers everything but case, because some servers change the case of what is before the @.

use crate::InstallationSecret;
use aws_lc_rs::hmac;
use formats::address::Address;
use platform::clock::Timestamp;

/// How long a rewritten sender is good for. Mail waits at most five days in queues; notices about it come later.
pub const VALID_DAYS: i64 = 21;
/// Letters of the hash: 40 bits, each guess costs a whole RCPT.
const HASH_LETTERS: usize = 8;
/// Days count modulo this: two letters of five bits.
const DAYS_CYCLE: i64 = 1024;
const SECONDS_PER_DAY: i64 = 86_400;
/// RFC 4648 base32, which survives a change of case.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// What an address that mail comes to turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reversed {
    /// No rewritten sender: an ordinary address.
    Ordinary,
    /// The sender it stands for.
    Sender(Address),
    /// It looks like one of ours, but the hash is wrong: made up, or of another installation.
    Forged,
    /// It was ours, more than [`VALID_DAYS`] ago.
    Expired,
}

/// Rewrites with one installation's key.
pub(crate) struct Srs {
    key: hmac::Key,
}

impl Srs {
    pub(crate) fn new(secret: &InstallationSecret) -> Self {
        Self {
            key: secret.srs_key(),
        }
    }

    /// The sender under which `sender`'s mail is forwarded by `via` at the time `now`. Where the rewritten address
    /// would be longer than an address may be, it is postmaster@via: the notice then reaches who runs the domain.
    pub(crate) fn forward(&self, sender: &Address, via: &str, now: Timestamp) -> Address {
        let local = match Rewritten::parse(sender.local()) {
            Some(Rewritten::Once { body }) => self.second(sender.domain(), body, via),
            // A first forwarder that is no domain is nobody's: such a sender is one like any other.
            Some(Rewritten::Again { first, body, .. })
                if address(&format!("SRS0{body}"), first).is_some() =>
            {
                self.second(first, body, via)
            }
            Some(Rewritten::Again { .. }) | None => self.first(sender, via, now),
        };
        address(&local, via)
            .or_else(|| address("postmaster", via))
            .unwrap_or_else(|| sender.clone())
    }

    fn first(&self, sender: &Address, via: &str, now: Timestamp) -> String {
        let day = day_letters(now);
        let signed = format!("{day}={}={}", sender.domain(), sender.local());
        format!("SRS0={}={signed}", self.hash("0", via, &signed))
    }

    fn second(&self, first: &str, body: &str, via: &str) -> String {
        let signed = format!("{first}={body}");
        format!("SRS1={}={signed}", self.hash("1", via, &signed))
    }

    /// The sender that `to` stands for.
    pub(crate) fn reverse(&self, to: &Address, now: Timestamp) -> Reversed {
        match Rewritten::parse(to.local()) {
            None => Reversed::Ordinary,
            Some(Rewritten::Once { body }) => self.reverse_first(body, to.domain(), now),
            Some(Rewritten::Again { hash, first, body }) => {
                let signed = format!("{first}={body}");
                if !self.proves(hash, "1", to.domain(), &signed) {
                    return Reversed::Forged;
                }
                address(&format!("SRS0{body}"), first).map_or(Reversed::Forged, Reversed::Sender)
            }
        }
    }

    fn reverse_first(&self, body: &str, via: &str, now: Timestamp) -> Reversed {
        // The body begins with the separator that followed SRS0.
        let Some((hash, signed)) = body.get(1..).and_then(|rest| rest.split_once('=')) else {
            return Reversed::Forged;
        };
        if !self.proves(hash, "0", via, signed) {
            return Reversed::Forged;
        }
        let mut parts = signed.splitn(3, '=');
        let (Some(day), Some(domain), Some(local)) = (parts.next(), parts.next(), parts.next())
        else {
            return Reversed::Forged;
        };
        match day_age(day, now) {
            None => Reversed::Forged,
            Some(age) if age > VALID_DAYS => Reversed::Expired,
            Some(_) => address(local, domain).map_or(Reversed::Forged, Reversed::Sender),
        }
    }

    fn proves(&self, hash: &str, kind: &str, via: &str, signed: &str) -> bool {
        let wanted = self.hash(kind, via, signed);
        let given = hash.to_ascii_uppercase();
        aws_lc_rs::constant_time::verify_slices_are_equal(wanted.as_bytes(), given.as_bytes())
            .is_ok()
    }

    fn hash(&self, kind: &str, via: &str, signed: &str) -> String {
        let text = format!("{kind}\n{via}\n{signed}").to_lowercase();
        let tag = hmac::sign(&self.key, text.as_bytes());
        let bits = tag
            .as_ref()
            .iter()
            .take(8)
            .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        (0..HASH_LETTERS)
            .map(|n| letter(bits >> (59 - 5 * n)))
            .collect()
    }
}

/// The parts of a local part that begins like a rewritten one.
enum Rewritten<'a> {
    /// `body` is everything after `SRS0`.
    Once { body: &'a str },
    /// `body` is everything after the first forwarder and one separator, as it followed `SRS0` there.
    Again {
        hash: &'a str,
        first: &'a str,
        body: &'a str,
    },
}

impl<'a> Rewritten<'a> {
    fn parse(local: &'a str) -> Option<Self> {
        let (tag, body) = local.split_at_checked(4)?;
        if !body.starts_with(['=', '+', '-']) {
            return None;
        }
        if tag.eq_ignore_ascii_case("SRS0") {
            return Some(Self::Once { body });
        }
        if !tag.eq_ignore_ascii_case("SRS1") {
            return None;
        }
        let (hash, rest) = body.get(1..)?.split_once('=')?;
        let (first, body) = rest.split_once('=')?;
        if !body.starts_with(['=', '+', '-']) {
            return None;
        }
        Some(Self::Again { hash, first, body })
    }
}

fn address(local: &str, domain: &str) -> Option<Address> {
    let quoted: String = local
        .chars()
        .flat_map(|letter| {
            let escape = matches!(letter, '"' | '\\').then_some('\\');
            escape.into_iter().chain([letter])
        })
        .collect();
    // What needs no quotes loses them again when it is printed.
    Address::parse(&format!("\"{quoted}\"@{domain}")).ok()
}

fn letter(bits: u64) -> char {
    let index = usize::try_from(bits & 31).unwrap_or(0);
    char::from(ALPHABET.get(index).copied().unwrap_or(b'A'))
}

fn day_number(now: Timestamp) -> i64 {
    now.seconds()
        .div_euclid(SECONDS_PER_DAY)
        .rem_euclid(DAYS_CYCLE)
}

fn day_letters(now: Timestamp) -> String {
    let day = u64::try_from(day_number(now)).unwrap_or(0);
    [letter(day >> 5), letter(day)].into_iter().collect()
}

/// How many days ago `letters` was; tomorrow counts as today, because clocks differ.
fn day_age(letters: &str, now: Timestamp) -> Option<i64> {
    let mut day = 0;
    for byte in letters.bytes() {
        let value = ALPHABET
            .iter()
            .position(|letter| *letter == byte.to_ascii_uppercase())?;
        day = day * 32 + i64::try_from(value).ok()?;
        if day >= DAYS_CYCLE {
            return None;
        }
    }
    let age = (day_number(now) - day).rem_euclid(DAYS_CYCLE);
    Some(if age == DAYS_CYCLE - 1 { 0 } else { age })
}

#[cfg(test)]
mod tests;
