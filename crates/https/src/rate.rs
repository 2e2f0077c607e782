//! How many requests an address may send: a bucket for each IPv4 address or IPv6 /64 network that fills again with time.
//! Memory is bounded; whoever has a full bucket is forgotten first.

use platform::clock::Timestamp;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

/// Requests that may come at once.
const BURST: i64 = 400;
/// Requests that a bucket gains per second.
const PER_SECOND: i64 = 40;
/// Addresses that are remembered.
const ADDRESSES_MAX: usize = 20_000;

/// The buckets.
#[derive(Default)]
pub(crate) struct Rate {
    buckets: Mutex<HashMap<u64, Bucket>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    /// Thousandths of a request.
    left: i64,
    at: Timestamp,
}

impl Rate {
    /// Takes one request of `peer`; gives the seconds to wait where there is none left.
    pub(crate) fn take(&self, peer: IpAddr, now: Timestamp) -> Result<(), u64> {
        let mut buckets = self.buckets.lock().unwrap_or_else(|e| e.into_inner());
        if buckets.len() >= ADDRESSES_MAX {
            buckets.retain(|_, bucket| bucket.refilled(now).left < BURST * 1000);
            // Still as many: all of them are busy. Forgetting them lets each begin anew.
            if buckets.len() >= ADDRESSES_MAX {
                buckets.clear();
            }
        }
        let full = Bucket {
            left: BURST * 1000,
            at: now,
        };
        let bucket = buckets.entry(block(peer)).or_insert(full);
        *bucket = bucket.refilled(now);
        if bucket.left < 1000 {
            return Err(1);
        }
        bucket.left -= 1000;
        Ok(())
    }
}

impl Bucket {
    fn refilled(self, now: Timestamp) -> Self {
        let gained = now
            .0
            .saturating_sub(self.at.0)
            .max(0)
            .saturating_mul(PER_SECOND);
        Self {
            left: self.left.saturating_add(gained).min(BURST * 1000),
            at: now,
        }
    }
}

/// An IPv4 address, or the first half of an IPv6 address.
fn block(peer: IpAddr) -> u64 {
    match peer {
        IpAddr::V4(peer) => u64::from(u32::from(peer)),
        IpAddr::V6(peer) => u64::try_from(u128::from(peer) >> 64).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_all(rate: &Rate, peer: &str, now: i64) -> i64 {
        let peer = peer.parse().unwrap();
        (0..10_000)
            .take_while(|_| rate.take(peer, Timestamp(now)).is_ok())
            .count() as i64
    }

    #[test]
    fn a_burst_then_a_steady_rate_each_for_itself() {
        let rate = Rate::default();
        assert_eq!(take_all(&rate, "192.0.2.1", 0), BURST);
        assert_eq!(take_all(&rate, "192.0.2.2", 0), BURST);
        assert_eq!(take_all(&rate, "192.0.2.1", 1000), PER_SECOND);
        // A clock that goes back gives nothing.
        assert_eq!(take_all(&rate, "192.0.2.1", 0), 0);
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let rate = Rate::default();
        assert_eq!(take_all(&rate, "2001:db8::1", 0), BURST);
        assert_eq!(take_all(&rate, "2001:db8::2", 0), 0);
        assert_eq!(take_all(&rate, "2001:db8:0:1::2", 0), BURST);
    }

    #[test]
    fn memory_is_bounded() {
        let rate = Rate::default();
        for n in 0..ADDRESSES_MAX as u32 + 10 {
            let _ = rate.take(IpAddr::V4(n.into()), Timestamp(0));
        }
        assert!(rate.buckets.lock().unwrap().len() <= ADDRESSES_MAX);
    }
}
