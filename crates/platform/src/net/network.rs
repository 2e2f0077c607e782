//! A range of IP addresses, written `192.0.2.0/24`, `2001:db8::/32` or as a single address.
//! Pure; used for proxy allow-lists and limit exemptions.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A network: an address and how many of its leading bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

/// Why a text is not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a network; write an address such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"
)]
pub struct NetworkParseError {
    text: String,
}

impl Network {
    /// The network of `prefix_bits` (cut to the family's 32 or 128) that holds `address`.
    pub fn new(address: IpAddr, prefix_bits: u8) -> Self {
        let address = address.to_canonical();
        let prefix_bits = prefix_bits.min(family_bits(address));
        Self {
            address: mask(address, prefix_bits),
            prefix_bits,
        }
    }

    /// Exactly one address.
    pub fn single(address: IpAddr) -> Self {
        Self::new(address, 128)
    }

    /// The lowest address in it.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits count.
    pub fn prefix_bits(&self) -> u8 {
        self.prefix_bits
    }

    /// Whether `address` lies inside. An IPv4-mapped IPv6 address counts as the IPv4 address it carries.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4()
            && mask(address, self.prefix_bits) == self.address
    }
}

fn family_bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn mask(address: IpAddr, prefix_bits: u8) -> IpAddr {
    let prefix_bits = u32::from(prefix_bits);
    match address {
        IpAddr::V4(v4) => {
            let kept = u32::MAX.checked_shl(32 - prefix_bits.min(32)).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & kept).into())
        }
        IpAddr::V6(v6) => {
            let kept = u128::MAX
                .checked_shl(128 - prefix_bits.min(128))
                .unwrap_or(0);
            IpAddr::V6((u128::from(v6) & kept).into())
        }
    }
}

impl FromStr for Network {
    type Err = NetworkParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NetworkParseError {
            text: text.to_owned(),
        };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| wrong())?;
        let prefix_bits = match prefix {
            Some(prefix) => prefix.trim().parse().map_err(|_| wrong())?,
            None => family_bits(address),
        };
        if prefix_bits > family_bits(address) {
            return Err(wrong());
        }
        Ok(Self::new(address, prefix_bits))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix_bits == family_bits(self.address) {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.prefix_bits)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        let network: Network = network.parse().unwrap();
        network.contains(address.parse().unwrap())
    }

    #[test]
    fn contains_what_shares_the_prefix() {
        assert!(holds("192.0.2.0/24", "192.0.2.255"));
        assert!(!holds("192.0.2.0/24", "192.0.3.0"));
        assert!(holds("0.0.0.0/0", "203.0.113.9"));
        assert!(!holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("2001:db8::/33", "2001:db8:7fff::1"));
        assert!(!holds("2001:db8::/33", "2001:db8:8000::1"));
        assert!(holds("192.0.2.7", "::ffff:192.0.2.7"));
    }

    #[test]
    fn refuses_what_is_no_network() {
        for text in [
            "",
            "mail.example",
            "192.0.2.0/33",
            "192.0.2.0/-1",
            "2001:db8::/129",
            "1.2.3/8",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        assert_eq!(
            "192.0.2.9/24".parse::<Network>().unwrap().to_string(),
            "192.0.2.0/24"
        );
    }
}
