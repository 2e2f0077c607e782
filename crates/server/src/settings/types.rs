//! The types a setting can have: how they are written, read and bounded.

use formats::address::Address;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// A value as the file holds it, reduced to what settings can be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Raw {
    /// A quoted text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// true or false.
    Switch(bool),
    /// A list of quoted texts.
    List(Vec<String>),
    /// Anything else, by its TOML name.
    Other(&'static str),
}

/// A setting's type.
pub(crate) trait Value: Sized {
    /// In words, with unit.
    const KIND: &'static str;
    /// Reads it; the error says what was expected.
    fn read(raw: &Raw) -> Result<Self, String>;
    /// For types with limits: a number that orders values.
    fn order(&self) -> Option<u64> {
        None
    }
    /// Reads a limit as written in the settings table.
    fn limit(text: &str) -> Result<Self, String> {
        Self::read(&Raw::Text(text.to_owned()))
    }
}

fn expected<T>(what: &str) -> Result<T, String> {
    Err(format!("expected {what}"))
}

/// A whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count(pub usize);

impl Value for Count {
    const KIND: &'static str = "whole number";
    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Number(n) => usize::try_from(*n)
                .map(Self)
                .or_else(|_| expected("a number ≥ 0")),
            _ => expected("a whole number without quotes"),
        }
    }
    fn order(&self) -> Option<u64> {
        Some(self.0 as u64)
    }
    fn limit(text: &str) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .or_else(|_| expected("a whole number"))
    }
}

/// A size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bytes(pub u64);

impl Value for Bytes {
    const KIND: &'static str = "size (\"512 KiB\", \"50 MiB\", \"1 GiB\")";
    fn read(raw: &Raw) -> Result<Self, String> {
        let Raw::Text(text) = raw else {
            return expected("a size in quotes, such as \"50 MiB\"");
        };
        let units = [
            ("B", 1),
            ("KiB", 1 << 10),
            ("MiB", 1 << 20),
            ("GiB", 1 << 30),
        ];
        with_unit(text, &units)
            .map(Self)
            .ok_or_else(|| "expected a size such as \"50 MiB\"".into())
    }
    fn order(&self) -> Option<u64> {
        Some(self.0)
    }
}

/// A length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub Duration);

impl Value for Span {
    const KIND: &'static str = "time (\"2 ms\", \"30 s\", \"5 min\", \"4 h\", \"5 d\")";
    fn read(raw: &Raw) -> Result<Self, String> {
        let Raw::Text(text) = raw else {
            return expected("a time in quotes, such as \"5 min\"");
        };
        let units = [
            ("ms", 1),
            ("s", 1000),
            ("min", 60_000),
            ("h", 3_600_000),
            ("d", 86_400_000),
        ];
        with_unit(text, &units)
            .map(|ms| Self(Duration::from_millis(ms)))
            .ok_or_else(|| "expected a time such as \"5 min\"".into())
    }
    fn order(&self) -> Option<u64> {
        u64::try_from(self.0.as_millis()).ok()
    }
}

fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let unit = text[digits..].trim_start();
    let factor = units.iter().find(|(name, _)| *name == unit)?.1;
    text[..digits].parse::<u64>().ok()?.checked_mul(factor)
}

/// true or false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Switch(pub bool);

impl Value for Switch {
    const KIND: &'static str = "true or false";
    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Switch(on) => Ok(Self(*on)),
            _ => expected("true or false without quotes"),
        }
    }
}

/// A short text; may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(pub String);

impl Value for Name {
    const KIND: &'static str = "text";
    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Text(text) => Ok(Self(text.clone())),
            _ => expected("a text in quotes"),
        }
    }
}

/// Short texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Texts(pub Vec<String>);

impl Value for Texts {
    const KIND: &'static str = "list of texts ([\"business\", \"private\"])";
    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::List(items) => Ok(Self(items.clone())),
            _ => expected("a list of texts such as [\"business\"]"),
        }
    }
}

/// Ports that customers' programs connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CustomerPorts(pub Vec<discovery::Listening>);

impl Value for CustomerPorts {
    const KIND: &'static str = "list of ports ([\"imap tls 993\", \"smtp starttls 587\"])";
    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::List(items) => items
                .iter()
                .map(|item| item.parse())
                .collect::<Result<_, _>>()
                .map(Self),
            _ => expected("a list such as [\"imap tls 993\"]"),
        }
    }
}

/// A fully qualified host name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostName(pub String);

impl Value for HostName {
    const KIND: &'static str = "host name";
    fn read(raw: &Raw) -> Result<Self, String> {
        let good = |text: &str| {
            text.len() <= 253
                && text.split('.').all(|label| {
                    (1..=63).contains(&label.len())
                        && label
                            .bytes()
                            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
                })
        };
        match raw {
            Raw::Text(text) if good(text) => Ok(Self(text.to_ascii_lowercase())),
            _ => expected("a host name such as \"mail.example.org\""),
        }
    }
}

impl Value for PathBuf {
    const KIND: &'static str = "path";
    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Text(text) if !text.is_empty() => Ok(Self::from(text)),
            _ => expected("a path in quotes"),
        }
    }
}

/// A path, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MaybePath(pub Option<PathBuf>);

impl Value for MaybePath {
    const KIND: &'static str = "path or \"\"";
    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Text(text) => Ok(Self((!text.is_empty()).then(|| PathBuf::from(text)))),
            _ => expected("a path in quotes"),
        }
    }
}

/// A mail address, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MaybeAddress(pub(crate) Option<Address>);

impl Value for MaybeAddress {
    const KIND: &'static str = "mail address or \"\"";
    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Text(text) if text.is_empty() => Ok(Self(None)),
            Raw::Text(text) => match Address::parse(text) {
                Ok(address) => Ok(Self(Some(address))),
                Err(error) => Err(format!("{text} is no mail address: {error}")),
            },
            _ => expected("a mail address in quotes"),
        }
    }
}

/// A network: an address and how many of its leading bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    /// Any address of the network.
    pub address: IpAddr,
    /// Leading bits that count.
    pub prefix_bits: u8,
}

/// A list of networks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Networks(pub Vec<Network>);

impl Value for Networks {
    const KIND: &'static str = "list of addresses or networks ([\"10.0.0.0/8\", \"::1\"])";
    fn read(raw: &Raw) -> Result<Self, String> {
        let Raw::List(items) = raw else {
            return expected("a list such as [\"10.0.0.0/8\"]");
        };
        items
            .iter()
            .map(|item| network(item))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn network(text: &str) -> Result<Network, String> {
    let problem = || format!("{text} is no address or network; expected such as \"10.0.0.0/8\"");
    let (address, bits) = text
        .split_once('/')
        .map_or((text, None), |(a, b)| (a, Some(b)));
    let address: IpAddr = address.parse().map_err(|_| problem())?;
    let widest = if address.is_ipv4() { 32 } else { 128 };
    let prefix_bits = match bits {
        None => widest,
        Some(bits) => bits
            .parse()
            .ok()
            .filter(|b| *b <= widest)
            .ok_or_else(problem)?,
    };
    Ok(Network {
        address,
        prefix_bits,
    })
}

/// A list of socket addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Addresses(pub Vec<SocketAddr>);

impl Value for Addresses {
    const KIND: &'static str = "list of address:port ([\"127.0.0.1:53\"])";
    fn read(raw: &Raw) -> Result<Self, String> {
        let Raw::List(items) = raw else {
            return expected("a list such as [\"127.0.0.1:53\"]");
        };
        let one = |item: &String| {
            item.parse()
                .map_err(|_| format!("{item} is no address:port such as \"127.0.0.1:53\""))
        };
        items.iter().map(one).collect::<Result<_, _>>().map(Self)
    }
}

/// One of a few words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Choice<T>(pub T);

/// A type whose values are a few words.
pub(crate) trait Words: Sized + Copy + PartialEq + 'static {
    /// Each word and what it means.
    const WORDS: &'static [(&'static str, Self)];
    /// `one of "a", "b"`.
    const KIND: &'static str;

    /// As written in the file.
    fn word(self) -> &'static str {
        Self::WORDS
            .iter()
            .find(|(_, value)| *value == self)
            .map_or("", |(word, _)| word)
    }
}

impl<T: Words> Value for Choice<T> {
    const KIND: &'static str = T::KIND;
    fn read(raw: &Raw) -> Result<Self, String> {
        let word = match raw {
            Raw::Text(text) => T::WORDS.iter().find(|(word, _)| word == text),
            _ => None,
        };
        word.map(|(_, value)| Self(*value))
            .ok_or_else(|| format!("expected {}", T::KIND))
    }
}

/// `store.engine`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreEngine {
    /// The embedded one.
    Sqlite,
    /// A server.
    Postgresql,
}

impl Words for StoreEngine {
    const WORDS: &'static [(&'static str, Self)] =
        &[("sqlite", Self::Sqlite), ("postgresql", Self::Postgresql)];
    const KIND: &'static str = "\"sqlite\" or \"postgresql\"";
}

/// `notices.first_language`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoticeLanguage {
    /// German.
    German,
    /// English.
    English,
}

impl NoticeLanguage {
    /// The same for those who write texts.
    pub(crate) fn language(self) -> formats::language::Language {
        match self {
            Self::German => formats::language::Language::German,
            Self::English => formats::language::Language::English,
        }
    }
}

impl Words for NoticeLanguage {
    const WORDS: &'static [(&'static str, Self)] =
        &[("german", Self::German), ("english", Self::English)];
    const KIND: &'static str = "\"german\" or \"english\"";
}

/// `log.level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogLevel {
    /// Only what needs the operator.
    Error,
    /// And what may need them.
    Warn,
    /// And one line per message and login.
    Info,
    /// And every command.
    Debug,
}

impl Words for LogLevel {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
    ];
    const KIND: &'static str = "\"error\", \"warn\", \"info\" or \"debug\"";
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
