//! Addresses that mail is never sent to, so that a customer cannot reach our own network through us by an address
//! literal or a DNS entry, and no mail comes back to ourselves. What the operator names as a next hop is not held
//! against it. Asks the system only whether an address is one of this host.

use platform::net::{Network, is_own_address};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Networks that are nobody's on the Internet, with the bits of their prefix (RFC 6890): loopback, private,
/// link-local, carrier-grade NAT, documentation, benchmarks, reserved.
const SPECIAL_V4: [(Ipv4Addr, u8); 14] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];
/// What is everybody's in IPv6; everything else is special. 64:ff9b::/96 and 2002::/16 lie outside or lead to IPv4.
const GLOBAL_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
/// Within it: documentation, and IPv4 behind 6to4.
const SPECIAL_V6: [(Ipv6Addr, u8); 2] = [
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
];

/// Where mail must not go.
#[derive(Debug, Clone, Default)]
pub struct Forbidden {
    /// Whole networks.
    pub networks: Vec<Network>,
    /// Our own listeners; mail to them would go round in circles. One of `0.0.0.0` or `::` listens on every address
    /// of this host.
    pub listeners: Vec<SocketAddr>,
    /// What may be written instead of a domain.
    pub literals: Literals,
}

/// What addresses may be written instead of a name: in a recipient (`user@[192.0.2.1]`) or an MX record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Literals {
    /// Any: our own side writes them.
    #[default]
    Any,
    /// Only those of the Internet; no private ones (RFC 6890).
    Global,
}

/// How a host's addresses are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// From the DNS.
    ByName,
    /// It is written as one.
    Literally,
}

impl Forbidden {
    /// Those of `addresses` that mail may be sent to.
    pub(super) fn without(&self, addresses: &[SocketAddr], known: Known) -> Vec<SocketAddr> {
        let global_only = known == Known::Literally && self.literals == Literals::Global;
        let forbidden = |address: &SocketAddr| {
            let ip = address.ip().to_canonical();
            // RFC 6890: "this host" leads to ourselves, whatever the settings say.
            ip.is_unspecified()
                || ip.is_multicast()
                || self.networks.iter().any(|network| network.contains(ip))
                || (global_only && is_special(ip))
                || self.is_ours(ip, address.port())
        };
        let allowed = addresses.iter().filter(|address| !forbidden(address));
        allowed.copied().collect()
    }

    fn is_ours(&self, ip: IpAddr, port: u16) -> bool {
        let mut same_port = self.listeners.iter().filter(|own| own.port() == port);
        same_port.any(|own| {
            own.ip().to_canonical() == ip
                || (own.ip().is_unspecified()
                    && (own.is_ipv6() || ip.is_ipv4())
                    && is_own_address(ip))
        })
    }
}

fn is_special(ip: IpAddr) -> bool {
    let within = |network: IpAddr, bits| Network::new(network, bits).contains(ip);
    match ip {
        IpAddr::V4(_) => SPECIAL_V4
            .iter()
            .any(|(v4, bits)| within((*v4).into(), *bits)),
        IpAddr::V6(_) => {
            !within(GLOBAL_V6.0.into(), GLOBAL_V6.1)
                || SPECIAL_V6
                    .iter()
                    .any(|(v6, bits)| within((*v6).into(), *bits))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(forbidden: &Forbidden, address: &str, known: Known) -> bool {
        !forbidden
            .without(&[address.parse().unwrap()], known)
            .is_empty()
    }

    #[test]
    fn our_own_network_is_left_out() {
        let forbidden = Forbidden {
            networks: ["127.0.0.0/8", "::1/128", "169.254.0.0/16"]
                .map(|network| network.parse().unwrap())
                .to_vec(),
            listeners: vec!["192.0.2.1:25".parse().unwrap()],
            literals: Literals::Global,
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
            assert_eq!(
                allows(&forbidden, address, Known::ByName),
                allowed,
                "{address}"
            );
        }
    }

    #[test]
    fn what_is_written_as_an_address_is_one_of_the_internet() {
        let forbidden = Forbidden {
            literals: Literals::Global,
            ..Forbidden::default()
        };
        for (address, allowed) in [
            ("127.0.0.2:25", false),
            ("[::ffff:10.0.0.1]:25", false),
            ("10.1.2.3:25", false),
            ("172.31.0.1:25", false),
            ("172.32.0.1:25", true),
            ("192.168.1.1:25", false),
            ("100.64.0.1:25", false),
            ("[::1]:25", false),
            ("[fd00::1]:25", false),
            ("[fe80::1]:25", false),
            ("[64:ff9b::a00:1]:25", false),
            ("[2002:a00:1::]:25", false),
            ("[2a01:4f8::1]:25", true),
            ("9.9.9.9:25", true),
        ] {
            let literally = allows(&forbidden, address, Known::Literally);
            assert_eq!(literally, allowed, "{address}");
            assert!(allows(&forbidden, address, Known::ByName), "{address}");
            let any = allows(&Forbidden::default(), address, Known::Literally);
            assert!(any, "{address}");
        }
    }

    #[test]
    fn a_listener_on_every_address_is_met_on_each_of_them() {
        let of = |listener: &str| Forbidden {
            listeners: vec![listener.parse().unwrap()],
            ..Forbidden::default()
        };
        for (listener, address, allowed) in [
            ("0.0.0.0:25", "127.0.0.1:25", false),
            ("0.0.0.0:25", "127.0.0.1:26", true),
            // 198.51.100.0/24 is nobody's.
            ("0.0.0.0:25", "198.51.100.7:25", true),
            ("[::]:25", "127.0.0.1:25", false),
            ("[::]:25", "198.51.100.7:25", true),
        ] {
            let allows = allows(&of(listener), address, Known::ByName);
            assert_eq!(allows, allowed, "{listener} {address}");
        }
    }
}
