//! Relay sources: servers that hand mail in without a login, such as a web server whose PHP sends by mail(). Each
//! speaks for one account: its senders, its limits and its domain's signature are that account's. Pure; `smtp` asks.

use directory::AccountId;
use platform::net::Network;
use std::fmt;
use std::net::IpAddr;

/// Networks of one source.
const NETWORKS_MAX: usize = 32;
/// Nobody's web servers fill more: what is wider is a mistake that would let strangers in.
const V4_PREFIX_BITS_MIN: u8 = 16;
/// The same of IPv6.
const V6_PREFIX_BITS_MIN: u8 = 32;

/// Whether a source may hand mail in without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InClear {
    /// It must start TLS.
    Refused,
    /// Its network is the provider's own.
    Allowed,
}

/// Where a source is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelaySource {
    /// Its addresses.
    pub networks: Vec<Network>,
    /// Whether it must use TLS.
    pub clear: InClear,
}

impl RelaySource {
    /// Reads networks, and `cleartext` where it may come without TLS.
    ///
    /// # Errors
    /// A sentence for whoever wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut networks, mut clear) = (Vec::new(), InClear::Refused);
        let words = text.split(|c: char| c == ',' || c.is_whitespace());
        for word in words.filter(|word| !word.is_empty()) {
            if word == "cleartext" {
                clear = InClear::Allowed;
                continue;
            }
            let network: Network = word.parse().map_err(|why| {
                format!("\"{word}\" is no network ({why}); write 192.0.2.7 or 2001:db8:1::/64")
            })?;
            let least = match network.address() {
                IpAddr::V4(_) => V4_PREFIX_BITS_MIN,
                IpAddr::V6(_) => V6_PREFIX_BITS_MIN,
            };
            if network.prefix_bits() < least {
                return Err(format!(
                    "{network} is too wide for a relay source, which sends without a password; name the servers \
                     themselves, at most a /{least}"
                ));
            }
            if !networks.contains(&network) {
                networks.push(network);
            }
        }
        match networks.len() {
            0 => Err("a relay source has at least one network, such as 192.0.2.7".to_owned()),
            1..=NETWORKS_MAX => Ok(Self { networks, clear }),
            _ => Err(format!(
                "a relay source has at most {NETWORKS_MAX} networks"
            )),
        }
    }

    /// A network of this one that shares addresses with one of `other`.
    pub fn overlap(&self, other: &Self) -> Option<Network> {
        let shares = |one: &Network| {
            let touches =
                |two: &Network| one.contains(two.address()) || two.contains(one.address());
            other.networks.iter().any(touches)
        };
        self.networks.iter().copied().find(|one| shares(one))
    }
}

impl fmt::Display for RelaySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, network) in self.networks.iter().enumerate() {
            write!(f, "{}{network}", if n > 0 { " " } else { "" })?;
        }
        match self.clear {
            InClear::Allowed => f.write_str(" cleartext"),
            InClear::Refused => Ok(()),
        }
    }
}

/// A source as sessions look it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relaying {
    /// Its name.
    pub name: Box<str>,
    /// Whom it speaks for.
    pub account: AccountId,
    /// Where it is.
    pub source: RelaySource,
}

/// The source that `client` is; the narrowest network that holds it decides.
pub(crate) fn find(all: &[Relaying], client: IpAddr) -> Option<&Relaying> {
    let holding = all.iter().filter_map(|one| {
        let holds = |network: &&Network| network.contains(client);
        let bits = one.source.networks.iter().filter(holds);
        Some((bits.map(Network::prefix_bits).max()?, one))
    });
    holding.max_by_key(|(bits, _)| *bits).map(|(_, one)| one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_too_wide_is_refused() {
        let source = RelaySource::parse("192.0.2.0/28, 2001:db8:1::/64 cleartext").unwrap();
        assert_eq!(source.clear, InClear::Allowed);
        assert_eq!(RelaySource::parse(&source.to_string()).unwrap(), source);
        for wrong in [
            "",
            "cleartext",
            "0.0.0.0/0",
            "10.0.0.0/8",
            "::/0",
            "web.firma.test",
        ] {
            assert!(RelaySource::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_narrowest_network_decides_and_overlaps_are_seen() {
        let of = |account, text| Relaying {
            name: "web".into(),
            account: AccountId(account),
            source: RelaySource::parse(text).unwrap(),
        };
        let all = [
            of(1, "192.0.2.0/24"),
            of(2, "192.0.2.7"),
            of(3, "2001:db8::/48"),
        ];
        let whose = |client: &str| Some(find(&all, client.parse().unwrap())?.account.0);
        assert_eq!(whose("192.0.2.7"), Some(2));
        assert_eq!(whose("::ffff:192.0.2.8"), Some(1));
        assert_eq!(whose("2001:db8::5"), Some(3));
        assert_eq!(whose("198.51.100.1"), None);
        let shared = all[0].source.overlap(&all[1].source);
        assert_eq!(shared, Some("192.0.2.0/24".parse().unwrap()));
        assert_eq!(all[1].source.overlap(&all[2].source), None);
    }
}
