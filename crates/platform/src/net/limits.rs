//! How many connections may be open at a time: in total, per listener and per client address. Counting only; what a
//! refused client is told is the listener's matter.

use crate::net::Network;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The numbers. Read when the server starts.
#[derive(Debug, Clone)]
pub struct LimitSettings {
    /// Open connections of all listeners together.
    pub connections_max: usize,
    /// Open connections of one listener.
    pub listener_connections_max: usize,
    /// Open connections of one client: an IPv4 address, or an IPv6 /64, which is what one customer has.
    pub address_connections_max: usize,
    /// Clients that the limit per address does not apply to: our own proxies, web mail, monitoring.
    pub address_exempt: Vec<Network>,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            connections_max: 40_000,
            listener_connections_max: 20_000,
            address_connections_max: 100,
            address_exempt: Vec::new(),
        }
    }
}

/// Which limit a connection would have exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitReached {
    /// `connections_max`.
    #[error("the server has as many connections as it may have (connections_max = {0})")]
    Total(usize),
    /// `listener_connections_max`.
    #[error(
        "this listener has as many connections as it may have (listener_connections_max = {0})"
    )]
    Listener(usize),
    /// `address_connections_max`.
    #[error("this address has as many connections as it may have (address_connections_max = {0})")]
    Address(usize),
}

/// Counts open connections. Share it behind an `Arc` between all listeners.
#[derive(Debug)]
pub struct ConnectionLimits {
    settings: LimitSettings,
    counts: Mutex<Counts>,
    listeners: AtomicUsize,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    listeners: HashMap<usize, usize>,
    addresses: HashMap<AddressKey, usize>,
}

/// What counts as one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum AddressKey {
    V4(u32),
    V6(u64),
}

impl AddressKey {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4.into()),
            IpAddr::V6(v6) => Self::V6((u128::from(v6) >> 64) as u64),
        }
    }
}

/// One counted connection; dropping it gives the place back.
#[derive(Debug)]
pub struct Permit {
    limits: Arc<ConnectionLimits>,
    listener: usize,
    address: Option<AddressKey>,
}

impl ConnectionLimits {
    /// Nothing counted yet.
    pub fn new(settings: LimitSettings) -> Arc<Self> {
        Arc::new(Self {
            settings,
            counts: Mutex::default(),
            listeners: AtomicUsize::new(0),
        })
    }

    /// A number for a listener, to count its connections under.
    pub fn register_listener(&self) -> usize {
        self.listeners.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts a connection of `address` on the listener numbered `listener`, or says which limit stands against it.
    pub fn admit(
        self: &Arc<Self>,
        listener: usize,
        address: IpAddr,
    ) -> Result<Permit, LimitReached> {
        let settings = &self.settings;
        let exempt = settings
            .address_exempt
            .iter()
            .any(|network| network.contains(address));
        let address = (!exempt).then(|| AddressKey::of(address));
        let mut counts = self.lock();
        if counts.total >= settings.connections_max {
            return Err(LimitReached::Total(settings.connections_max));
        }
        let on_listener = counts.listeners.get(&listener).copied().unwrap_or(0);
        if on_listener >= settings.listener_connections_max {
            return Err(LimitReached::Listener(settings.listener_connections_max));
        }
        if let Some(key) = address {
            let of_address = counts.addresses.entry(key).or_default();
            if *of_address >= settings.address_connections_max {
                return Err(LimitReached::Address(settings.address_connections_max));
            }
            *of_address += 1;
        }
        counts.total += 1;
        *counts.listeners.entry(listener).or_default() += 1;
        drop(counts);
        Ok(Permit {
            limits: Arc::clone(self),
            listener,
            address,
        })
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.limits.lock();
        counts.total = counts.total.saturating_sub(1);
        if let Some(count) = counts.listeners.get_mut(&self.listener) {
            *count = count.saturating_sub(1);
        }
        if let Some(key) = self.address
            && let Some(count) = counts.addresses.get_mut(&key)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.addresses.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(total: usize, listener: usize, address: usize) -> Arc<ConnectionLimits> {
        ConnectionLimits::new(LimitSettings {
            connections_max: total,
            listener_connections_max: listener,
            address_connections_max: address,
            address_exempt: vec!["192.0.2.99".parse().unwrap()],
        })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_limit_holds_and_places_come_back() {
        let limits = limits(4, 3, 2);
        let first = limits.admit(0, ip("192.0.2.1")).unwrap();
        let _second = limits.admit(0, ip("192.0.2.1")).unwrap();
        assert_eq!(
            limits.admit(0, ip("192.0.2.1")).unwrap_err(),
            LimitReached::Address(2)
        );
        let _third = limits.admit(0, ip("192.0.2.99")).unwrap();
        assert_eq!(
            limits.admit(0, ip("192.0.2.2")).unwrap_err(),
            LimitReached::Listener(3)
        );
        let _fourth = limits.admit(1, ip("192.0.2.99")).unwrap();
        assert_eq!(
            limits.admit(1, ip("192.0.2.2")).unwrap_err(),
            LimitReached::Total(4)
        );
        drop(first);
        assert_eq!(limits.open(), 3);
        let _again = limits.admit(0, ip("192.0.2.1")).unwrap();
    }

    #[test]
    fn one_ipv6_customer_is_one_client_and_exempt_ones_are_not_counted() {
        let limits = limits(100, 100, 1);
        let _one = limits.admit(0, ip("2001:db8:0:1::1")).unwrap();
        assert!(limits.admit(0, ip("2001:db8:0:1:ffff::2")).is_err());
        let _other = limits.admit(0, ip("2001:db8:0:2::1")).unwrap();
        let _exempt: Vec<_> = (0..5)
            .map(|_| limits.admit(0, ip("192.0.2.99")).unwrap())
            .collect();
    }
}
