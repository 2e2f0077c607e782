//! What an app password may be used for: a scanner's only sends, only as itself, only to some, so much an hour, from its
//! own network. Plain data with a text form, which the store, state files and the CLI share. Pure; login asks about
//! service and network, the SMTP session about the rest.

use crate::login::Protocol;
use crate::{AddressBlock, AddressKey, DomainName};
use formats::address::Address;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Entries of one list; a device has a handful.
const LIST_MAX: usize = 50;
/// Longest text form, in bytes.
const TEXT_BYTES_MAX: usize = 8 * 1024;

/// What an app password may be used for; the default is everything. Its text form is words such as
/// `send-only from=scanner@firma.test to=firma.test per-hour=20 per-day=100 network=192.0.2.0/24`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppLimits {
    /// Where it logs in.
    pub services: Services,
    /// Whom it may send as, beyond what the account may; empty for no further limit.
    pub senders: Vec<Party>,
    /// Whom it may send to; empty for everybody.
    pub recipients: Vec<Party>,
    /// Messages in an hour.
    pub per_hour: Option<u32>,
    /// Messages in a day (UTC).
    pub per_day: Option<u32>,
    /// Where it may log in from; empty for everywhere.
    pub networks: Vec<AddressBlock>,
}

/// Where an app password logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Services {
    /// Everywhere.
    #[default]
    All,
    /// To submission only: whoever takes it from a device cannot read mail with it.
    SendOnly,
}

/// One address, or all of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Party {
    /// This one.
    Address(AddressKey),
    /// Every address of it, not of domains below it.
    Domain(DomainName),
}

/// Why a login with the right app password is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outside {
    /// Its services.
    Services,
    /// Its networks.
    Networks,
}

impl AppLimits {
    /// Whether it may do everything.
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it may log in to `protocol` from `peer`.
    ///
    /// # Errors
    /// Which limit forbids it.
    pub fn login(&self, protocol: Protocol, peer: IpAddr) -> Result<(), Outside> {
        if self.services == Services::SendOnly && protocol != Protocol::Submission {
            return Err(Outside::Services);
        }
        let near = self.networks.is_empty() || self.networks.iter().any(|net| net.contains(peer));
        near.then_some(()).ok_or(Outside::Networks)
    }

    /// Whether it may send as `address`; `None` is the empty sender of notices, which says nothing of who sends.
    pub fn may_send_as(&self, address: Option<&Address>) -> bool {
        self.senders.is_empty() || address.is_none_or(|address| holds(&self.senders, address))
    }

    /// Whether it may send to `address`; `None` is the postmaster of this server.
    pub fn may_send_to(&self, address: Option<&Address>) -> bool {
        self.recipients.is_empty() || address.is_some_and(|a| holds(&self.recipients, a))
    }
}

fn holds(parties: &[Party], address: &Address) -> bool {
    AddressKey::of(address).is_some_and(|key| {
        parties.iter().any(|party| match party {
            Party::Address(allowed) => *allowed == key,
            Party::Domain(allowed) => allowed == key.domain(),
        })
    })
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Domain(domain) => domain.fmt(f),
        }
    }
}

impl FromStr for Party {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "\"{text}\" is neither an address nor a domain; give a@firma.test or firma.test"
            )
        };
        // Commas and blanks divide the words of the text form.
        if text.contains([',', ' ', '"', '\t']) {
            return Err(wrong());
        }
        if text.contains('@') {
            return AddressKey::parse(text)
                .map(Self::Address)
                .map_err(|_| wrong());
        }
        DomainName::parse(text)
            .map(Self::Domain)
            .map_err(|_| wrong())
    }
}

impl fmt::Display for AppLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        if self.services == Services::SendOnly {
            words.push("send-only".to_owned());
        }
        let mut list = |name, items: Vec<String>| {
            if !items.is_empty() {
                words.push(format!("{name}={}", items.join(",")));
            }
        };
        list("from", self.senders.iter().map(Party::to_string).collect());
        list("to", self.recipients.iter().map(Party::to_string).collect());
        list(
            "per-hour",
            self.per_hour.iter().map(u32::to_string).collect(),
        );
        list("per-day", self.per_day.iter().map(u32::to_string).collect());
        list(
            "network",
            self.networks.iter().map(AddressBlock::to_string).collect(),
        );
        f.write_str(&words.join(" "))
    }
}

impl FromStr for AppLimits {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(format!("limits have at most {TEXT_BYTES_MAX} bytes"));
        }
        let mut limits = Self::default();
        for word in text.split_ascii_whitespace() {
            match word.split_once('=') {
                None if word == "send-only" => limits.services = Services::SendOnly,
                Some(("from", items)) => limits.senders = list(items)?,
                Some(("to", items)) => limits.recipients = list(items)?,
                Some(("per-hour", number)) => limits.per_hour = Some(count(number)?),
                Some(("per-day", number)) => limits.per_day = Some(count(number)?),
                Some(("network", items)) => limits.networks = list(items)?,
                _ => {
                    return Err(format!(
                        "\"{word}\" is no limit of an app password; known are send-only, from=, to=, \
                         per-hour=, per-day= and network="
                    ));
                }
            }
        }
        Ok(limits)
    }
}

fn list<T: FromStr>(text: &str) -> Result<Vec<T>, String>
where
    T::Err: fmt::Display,
{
    let items = text
        .split(',')
        .map(|item| item.parse().map_err(|e: T::Err| e.to_string()));
    let items: Vec<T> = items.collect::<Result<_, _>>()?;
    if items.len() > LIST_MAX {
        return Err(format!(
            "an app password has at most {LIST_MAX} entries of one kind"
        ));
    }
    Ok(items)
}

fn count(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|number| (1..=1_000_000).contains(number))
        .ok_or_else(|| format!("\"{text}\" is no number of messages from 1 to 1000000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCANNER: &str = "send-only from=scanner@firma.test to=firma.test,max@elsewhere.test \
                           per-hour=20 per-day=100 network=192.0.2.0/24,2001:db8::/64";

    fn scanner() -> AppLimits {
        SCANNER.parse().unwrap()
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn limits_survive_their_text() {
        assert_eq!(scanner().to_string(), SCANNER);
        assert_eq!(AppLimits::default().to_string(), "");
        assert!("".parse::<AppLimits>().unwrap().is_unlimited());
        assert!(!scanner().is_unlimited());
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for wrong in [
            "sendonly",
            "from=",
            "from=a@",
            "to=a@b@",
            "per-hour=0",
            "per-day=-1",
            "network=10/8x",
            "until=2025",
        ] {
            assert!(wrong.parse::<AppLimits>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_send_only_password_opens_submission_from_its_network_and_nothing_else() {
        let (near, far) = (
            "192.0.2.9".parse().unwrap(),
            "198.51.100.1".parse().unwrap(),
        );
        assert_eq!(scanner().login(Protocol::Submission, near), Ok(()));
        assert_eq!(
            scanner().login(Protocol::Submission, far),
            Err(Outside::Networks)
        );
        for other in [
            Protocol::Imap,
            Protocol::Pop3,
            Protocol::ManageSieve,
            Protocol::Http,
        ] {
            assert_eq!(scanner().login(other, near), Err(Outside::Services));
            assert_eq!(AppLimits::default().login(other, far), Ok(()));
        }
    }

    #[test]
    fn it_sends_as_and_to_those_it_names() {
        let limits = scanner();
        assert!(limits.may_send_as(Some(&address("Scanner@FIRMA.test"))));
        assert!(limits.may_send_as(None));
        assert!(!limits.may_send_as(Some(&address("anna@firma.test"))));
        assert!(limits.may_send_to(Some(&address("anyone@firma.test"))));
        assert!(limits.may_send_to(Some(&address("max@elsewhere.test"))));
        assert!(!limits.may_send_to(Some(&address("moritz@elsewhere.test"))));
        assert!(!limits.may_send_to(Some(&address("anna@sub.firma.test"))));
        assert!(!limits.may_send_to(Some(&address("anna@[192.0.2.1]"))));
        assert!(!limits.may_send_to(None));
        assert!(AppLimits::default().may_send_to(None));
    }
}
