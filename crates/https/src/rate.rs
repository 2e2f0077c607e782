//! How often an address may do something: a bucket for each IPv4 address or IPv6 /64 network that fills again with time.
//! Memory is bounded; whoever has a full bucket is forgotten first.

use platform::clock::Timestamp;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

/// How fast.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// What may come at once.
    burst: i64,
    /// How long until a bucket has gained one more, in milliseconds.
    one_per_ms: i64,
}

/// Requests of all kinds.
pub(crate) const REQUESTS: Pace = Pace {
    burst: 400,
    one_per_ms: 25,
};
/// What anybody may write to us, such as a question: as much as people do, so that nobody alone fills the list.
pub(crate) const WRITINGS: Pace = Pace {
    burst: 5,
    one_per_ms: 10 * 60 * 1000,
};
/// Addresses that are remembered.
const ADDRESSES_MAX: usize = 20_000;

/// The buckets.
pub(crate) struct Rate {
    pace: Pace,
    buckets: Mutex<HashMap<u64, Bucket>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    /// In milliseconds of waiting: `one_per_ms` for each.
    left: i64,
    at: Timestamp,
}

impl Rate {
    /// Full buckets for everybody.
    pub(crate) fn new(pace: Pace) -> Self {
        Self {
            pace,
            buckets: Mutex::default(),
        }
    }

    /// Takes one of `peer`'s; gives the seconds to wait where there is none left.
    pub(crate) fn take(&self, peer: IpAddr, now: Timestamp) -> Result<(), u64> {
        let (one, full) = (self.pace.one_per_ms, self.pace.burst * self.pace.one_per_ms);
        let mut buckets = self.buckets.lock().unwrap_or_else(|e| e.into_inner());
        if buckets.len() >= ADDRESSES_MAX {
            buckets.retain(|_, bucket| bucket.refilled(full, now).left < full);
            // Still as many: all of them are busy. Forgetting them lets each begin anew.
            if buckets.len() >= ADDRESSES_MAX {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(block(peer)).or_insert(Bucket {
            left: full,
            at: now,
        });
        *bucket = bucket.refilled(full, now);
        if bucket.left < one {
            let wait_ms = one.saturating_sub(bucket.left);
            return Err(u64::try_from(wait_ms).unwrap_or(0).div_ceil(1000));
        }
        bucket.left -= one;
        Ok(())
    }
}

impl Bucket {
    fn refilled(self, full: i64, now: Timestamp) -> Self {
        let gained = now.0.saturating_sub(self.at.0).max(0);
        Self {
            left: self.left.saturating_add(gained).min(full),
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
        let rate = Rate::new(REQUESTS);
        assert_eq!(take_all(&rate, "192.0.2.1", 0), REQUESTS.burst);
        assert_eq!(take_all(&rate, "192.0.2.2", 0), REQUESTS.burst);
        assert_eq!(take_all(&rate, "192.0.2.1", 1000), 40);
        // A clock that goes back gives nothing.
        assert_eq!(take_all(&rate, "192.0.2.1", 0), 0);
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let rate = Rate::new(REQUESTS);
        assert_eq!(take_all(&rate, "2001:db8::1", 0), REQUESTS.burst);
        assert_eq!(take_all(&rate, "2001:db8::2", 0), 0);
        assert_eq!(take_all(&rate, "2001:db8:0:1::2", 0), REQUESTS.burst);
    }

    #[test]
    fn nobody_alone_fills_the_list_of_questions() {
        let rate = Rate::new(WRITINGS);
        assert_eq!(take_all(&rate, "192.0.2.1", 0), WRITINGS.burst);
        let peer = "192.0.2.1".parse().unwrap();
        assert_eq!(rate.take(peer, Timestamp(1000)), Err(599));
        assert_eq!(take_all(&rate, "192.0.2.1", 3_600_000), WRITINGS.burst);
    }

    #[test]
    fn memory_is_bounded() {
        let rate = Rate::new(REQUESTS);
        for n in 0..ADDRESSES_MAX as u32 + 10 {
            let _ = rate.take(IpAddr::V4(n.into()), Timestamp(0));
        }
        assert!(rate.buckets.lock().unwrap().len() <= ADDRESSES_MAX);
    }
}
