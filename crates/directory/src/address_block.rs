//! A block of IP addresses (`192.0.2.0/24`, `2001:db8::/64`): parsed, compared, printed. Pure.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A block of addresses; IPv4 inside IPv6 (`::ffff:192.0.2.1`) counts as IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressBlock {
    /// The lowest address; bits past the prefix are zero.
    first: IpAddr,
    prefix_bits: u8,
}

/// A text that is no address block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a block of IP addresses; examples are 192.0.2.0/24 and 2001:db8::/32")]
pub struct AddressBlockError(String);

impl AddressBlock {
    /// The block of `prefix_bits` bits that holds `address`; more bits than the address has mean
    /// all of them.
    pub fn around(address: IpAddr, prefix_bits: u8) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let prefix_bits = prefix_bits.min(32);
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(prefix_bits))
                    .unwrap_or(0);
                Self {
                    first: IpAddr::V4((u32::from(v4) & mask).into()),
                    prefix_bits,
                }
            }
            IpAddr::V6(v6) => {
                let prefix_bits = prefix_bits.min(128);
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(prefix_bits))
                    .unwrap_or(0);
                Self {
                    first: IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask)),
                    prefix_bits,
                }
            }
        }
    }

    /// Whether `address` lies in the block.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4()
            && Self::around(address, self.prefix_bits).first == self.first
    }
}

impl FromStr for AddressBlock {
    type Err = AddressBlockError;

    fn from_str(text: &str) -> Result<Self, AddressBlockError> {
        let refuse = || AddressBlockError(text.chars().take(80).collect());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| refuse())?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => bits_max,
            Some(bits) => bits.parse().map_err(|_| refuse())?,
        };
        if bits > bits_max {
            return Err(refuse());
        }
        Ok(Self::around(address, bits))
    }
}

impl fmt::Display for AddressBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_holds_its_addresses_and_no_others() {
        for (block, address, inside) in [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.0/24", "::ffff:192.0.2.7", true),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("2001:db8::/64", "2001:db8::ffff", true),
            ("2001:db8::/64", "2001:db8:0:1::", false),
            ("::/0", "2001:db8::", true),
            ("192.0.2.9", "192.0.2.9", true),
            ("192.0.2.9", "192.0.2.8", false),
        ] {
            let parsed: AddressBlock = block.parse().unwrap();
            assert_eq!(
                parsed.contains(address.parse().unwrap()),
                inside,
                "{block} {address}"
            );
        }
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for text in [
            "",
            "x",
            "192.0.2.0/33",
            "2001:db8::/129",
            "192.0.2.0/",
            "192.0.2.0/-1",
        ] {
            assert!(text.parse::<AddressBlock>().is_err(), "{text}");
        }
    }
}
