//! Addresses that mail is never sent to, so that a customer cannot reach our own network through us by an address
//! literal or a DNS entry. What the operator names as a next hop is not held against it. Pure.

use platform::net::Network;
use std::net::SocketAddr;

/// Where mail must not go.
#[derive(Debug, Clone, Default)]
pub struct Forbidden {
    /// Whole networks.
    pub networks: Vec<Network>,
    /// Our own listeners; mail to them would go round in circles.
    pub listeners: Vec<SocketAddr>,
}

impl Forbidden {
    /// Those of `addresses` that mail may be sent to.
    pub(super) fn without(&self, addresses: &[SocketAddr]) -> Vec<SocketAddr> {
        let allowed = |address: &&SocketAddr| {
            let ip = address.ip().to_canonical();
            // RFC 6890: "this host" leads to ourselves, whatever the settings say.
            !ip.is_unspecified()
                && !ip.is_multicast()
                && !self.networks.iter().any(|network| network.contains(ip))
                && !self
                    .listeners
                    .contains(&SocketAddr::new(ip, address.port()))
        };
        addresses.iter().filter(allowed).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_network_is_left_out() {
        let forbidden = Forbidden {
            networks: ["127.0.0.0/8", "::1/128", "169.254.0.0/16"]
                .map(|network| network.parse().unwrap())
                .to_vec(),
            listeners: vec!["192.0.2.1:25".parse().unwrap()],
        };
        for (address, allowed) in [
            ("127.0.0.2:25", false),
            ("[::ffff:127.0.0.1]:25", false),
            ("[::1]:25", false),
            ("169.254.169.254:25", false),
            ("0.0.0.0:25", false),
            ("[::]:25", false),
            ("224.0.0.1:25", false),
            ("192.0.2.1:25", false),
            ("192.0.2.1:2525", true),
            ("192.0.2.2:25", true),
            ("[2001:db8::1]:25", true),
        ] {
            let address: SocketAddr = address.parse().unwrap();
            assert_eq!(
                !forbidden.without(&[address]).is_empty(),
                allowed,
                "{address}"
            );
        }
    }
}
