//! The words of tightening: measures (what is asked of customers and servers), the services they are asked at,
//! and how a connection came. Plain data; `schedule` says when a measure holds, `timeline` since when.

mod schedule;
mod timeline;

pub use schedule::{LocalTime, STEPS_MAX, Schedule, Step};
pub use timeline::{DatedStep, Timeline, Zone};

pub use platform::net::Door;
use platform::net::Role;
use std::fmt;

/// Longest name of a rule, in bytes.
pub const RULE_NAME_BYTES_MAX: usize = 64;

/// What customers and servers connect to, as far as measures tell services apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// SMTP for other servers.
    Mx,
    /// SMTP for customers (RFC 6409).
    Submission,
    /// IMAP.
    Imap,
    /// POP3.
    Pop3,
    /// ManageSieve (RFC 5804).
    ManageSieve,
    /// HTTP: pages, the API, web mail.
    Http,
    /// Our own connections to other servers.
    Relay,
}

impl Service {
    /// Every service.
    pub const ALL: [Self; 7] = [
        Self::Mx,
        Self::Submission,
        Self::Imap,
        Self::Pop3,
        Self::ManageSieve,
        Self::Http,
        Self::Relay,
    ];

    /// The word on the command line, in files and in the store.
    pub fn word(self) -> &'static str {
        match self {
            Self::Mx => "mx",
            Self::Submission => "submission",
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::ManageSieve => "managesieve",
            Self::Http => "http",
            Self::Relay => "relay",
        }
    }

    /// The service with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.word() == word)
    }

    /// Whether customers log in here by a protocol that could be spoken in clear.
    pub fn takes_clear_logins(self) -> bool {
        matches!(
            self,
            Self::Submission | Self::Imap | Self::Pop3 | Self::ManageSieve
        )
    }

    /// Whether TLS below 1.2 can be spoken here at all: the legacy gateway does it, and speaks for these only.
    pub fn takes_old_tls(self) -> bool {
        matches!(self, Self::Submission | Self::Imap | Self::Pop3)
    }

    /// What a listener of this role serves.
    pub fn of(role: Role) -> Self {
        match role {
            Role::Mx | Role::SecureMx => Self::Mx,
            Role::Submission => Self::Submission,
            Role::Imap => Self::Imap,
            Role::Pop3 => Self::Pop3,
            Role::ManageSieve => Self::ManageSieve,
            Role::Http => Self::Http,
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encryption {
    /// Not at all.
    Clear,
    /// TLS that began in the middle (STARTTLS, STLS).
    StartTls,
    /// TLS from the first byte (RFC 8314 §3).
    ImplicitTls,
}

impl Encryption {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::Clear, Self::StartTls, Self::ImplicitTls];

    /// The word on the command line, in files and in the store.
    pub fn word(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::StartTls => "starttls",
            Self::ImplicitTls => "tls",
        }
    }

    /// The way with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.word() == word)
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What is tightened in stages, and what findings are about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// The lowest TLS version of a service.
    TlsVersion(Service),
    /// No login in clear at a service; the measure is that clear text ends.
    Cleartext(Service),
    /// Accounts send only as addresses that are theirs; a finding's detail is the sender that was used.
    SenderOwnership,
    /// Mail for a domain is taken over TLS only.
    InboundTls,
    /// Mail of a sender leaves over TLS only.
    OutboundTls,
    /// Mail from outside says it is from an address here and nobody answers for that; a finding's detail is the server
    /// that brought it.
    SpoofedSender,
    /// A rule of the operator's, by its name.
    Rule(Box<str>),
}

impl Measure {
    /// Every measure but rules, which have the names operators give them.
    pub fn built_in() -> impl Iterator<Item = Self> {
        let services = Service::ALL.into_iter();
        services
            .clone()
            .map(Self::TlsVersion)
            .chain(services.map(Self::Cleartext))
            .chain([Self::SenderOwnership, Self::InboundTls, Self::OutboundTls])
            .chain([Self::SpoofedSender])
    }

    /// The measure with this word, as `Display` writes it: `tls-version/imap`, `sender-ownership`,
    /// `rule/NAME`.
    pub fn from_word(word: &str) -> Option<Self> {
        let (kind, item) = match word.split_once('/') {
            Some((kind, item)) => (kind, Some(item)),
            None => (word, None),
        };
        match (kind, item) {
            ("tls-version", Some(item)) => Service::from_word(item).map(Self::TlsVersion),
            ("cleartext", Some(item)) => Service::from_word(item).map(Self::Cleartext),
            ("sender-ownership", None) => Some(Self::SenderOwnership),
            ("inbound-tls", None) => Some(Self::InboundTls),
            ("outbound-tls", None) => Some(Self::OutboundTls),
            ("spoofed-sender", None) => Some(Self::SpoofedSender),
            ("rule", Some(name))
                if (1..=RULE_NAME_BYTES_MAX).contains(&name.len())
                    && !name.chars().any(char::is_control) =>
            {
                Some(Self::Rule(name.into()))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TlsVersion(service) => write!(f, "tls-version/{service}"),
            Self::Cleartext(service) => write!(f, "cleartext/{service}"),
            Self::SenderOwnership => f.write_str("sender-ownership"),
            Self::InboundTls => f.write_str("inbound-tls"),
            Self::OutboundTls => f.write_str("outbound-tls"),
            Self::SpoofedSender => f.write_str("spoofed-sender"),
            Self::Rule(name) => write!(f, "rule/{name}"),
        }
    }
}

#[cfg(test)]
mod tests;
