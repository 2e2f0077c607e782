//! The words of policy: who is asked about (`Sender`), where a value was set (`Scope`), and the values
//! that are more than a number. Plain data; `setting` reads and writes their text, `snapshot` finds them.

use crate::measure::{LocalTime, Schedule};
use directory::{AccountId, AddressKey, DomainName};
pub use formats::language::Language;
use platform::clock::Timestamp;
use platform::tls::TlsVersion;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

/// Where a value is set. Ordered from the widest to the narrowest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everybody here.
    Installation,
    /// A group of customers, by name.
    Group(String),
    /// A hosted domain.
    Domain(DomainName),
    /// An account, by the number that is never given again.
    Account(AccountId),
}

impl fmt::Display for Scope {
    /// For logs; the CLI shows an account's address instead of its number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Installation => f.write_str("installation"),
            Self::Group(name) => write!(f, "group {name}"),
            Self::Domain(name) => write!(f, "domain {name}"),
            Self::Account(number) => write!(f, "account {number}"),
        }
    }
}

/// On whose behalf something is sent; what policy is looked up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender<'a> {
    /// The account that submitted it; `None` for a forward and for our own notices.
    pub account: Option<AccountId>,
    /// The sender's domain as A-labels in lower case; empty for the null sender.
    pub domain: &'a str,
    /// The account's group, or its domain's.
    pub group: Option<&'a str>,
}

/// A value and where it was set. The scope is shared, so that a lookup allocates nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided<T> {
    /// What holds.
    pub value: T,
    /// Where it was set; the installation for a default.
    pub origin: Arc<Scope>,
}

/// How far a measure has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Nothing is looked at.
    Off,
    /// Nothing is refused; what would have been is a finding.
    Observe,
    /// As `Observe`, and whom it concerns is told.
    Warn,
    /// It holds.
    Enforce,
}

impl Stage {
    /// Every stage, the mildest first.
    pub const ALL: [Self; 4] = [Self::Off, Self::Observe, Self::Warn, Self::Enforce];

    /// The word on the command line, in files and in logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Observe => "observe",
            Self::Warn => "warn",
            Self::Enforce => "enforce",
        }
    }

    /// The stage with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.word() == word)
    }

    /// The next milder one.
    #[must_use]
    pub fn before(self) -> Self {
        match self {
            Self::Off | Self::Observe => Self::Off,
            Self::Warn => Self::Observe,
            Self::Enforce => Self::Warn,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The sender's own demand on transport to other servers. Ordered: the greater is the stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutboundTls {
    /// No demand: TLS where it is offered.
    Off,
    /// TLS 1.2 or newer with forward secrecy and AEAD, or no delivery.
    Required,
    /// As `Required`, and the receiving server proves its name (DANE, MTA-STS or a certificate).
    Authenticated,
}

/// A domain whose mail is taken over TLS only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InboundTls {
    /// What a server without TLS is told at RCPT; `None` for the built-in text.
    pub text: Option<String>,
    /// From when on it is refused.
    pub schedule: Schedule,
}

/// The lowest TLS version of a service, and since when it is demanded. A version below 1.2 is always refused
/// while `version` is 1.3, whatever the schedule says of 1.3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LowestTls {
    /// 1.2 or 1.3.
    pub version: TlsVersion,
    /// The stages of refusing what is lower.
    pub schedule: Schedule,
}

/// A sender's demand on transport, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundDemand {
    /// What is demanded.
    pub level: OutboundTls,
    /// The stages of that.
    pub schedule: Schedule,
}

/// TLS versions below 1.2 (RFC 8996) that the legacy hosts speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OldVersions {
    /// TLS 1.0.
    pub tls10: bool,
    /// TLS 1.1.
    pub tls11: bool,
}

/// Clear text at the legacy hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LegacyClear {
    /// No.
    #[default]
    Refused,
    /// Yes.
    Allowed,
}

/// Legacy access as it is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegacyAccess {
    /// There is none.
    Off,
    /// The domain forbids it to its accounts.
    Forbidden,
    /// Enrolled accounts have it until a date.
    Until {
        /// The last day, or the minute it ends.
        until: LocalTime,
        /// TLS versions below 1.2 that are spoken there.
        versions: OldVersions,
        /// Whether it may be in clear.
        clear: LegacyClear,
    },
}

/// Legacy access as it holds for somebody at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Legacy {
    /// There is none, or it is over.
    Off,
    /// The domain forbids it.
    Forbidden,
    /// Whoever is enrolled has it.
    Until {
        /// When it is over.
        end: Timestamp,
        /// TLS versions below 1.2 that are spoken there.
        versions: OldVersions,
        /// Whether it may be in clear.
        clear: LegacyClear,
    },
}

/// What transport to one destination must be like; the words of Postfix's `smtp_tls_policy_maps`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsLevel {
    /// TLS where it is offered.
    May,
    /// TLS, whoever the server is.
    Encrypt,
    /// DANE where there are usable TLSA records, `Encrypt` where the records are unusable, otherwise
    /// `May` (RFC 7672).
    Dane,
    /// DANE, or no delivery.
    DaneOnly,
    /// A certificate for the MX host's name.
    Verify,
    /// A certificate for the destination domain (or the names the rule gives).
    Secure,
    /// A certificate with one of these fingerprints.
    Fingerprint,
}

/// How mail for one destination domain travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationRule {
    /// What TLS must prove.
    pub level: TlsLevel,
    /// Lowest version.
    pub version_min: TlsVersion,
    /// Names the certificate may have; empty for the usual ones. `.example.net` fits every host below.
    pub names: Vec<String>,
    /// SHA-256 of the certificates that may be shown.
    pub fingerprints: Vec<[u8; 32]>,
    /// Host (its MX is looked up), or `[host]`, `[192.0.2.1]` (as they are), each with an optional
    /// `:port`; instead of the destination's MX.
    pub next_hop: Option<String>,
    /// Lifts the sender's own `OutboundTls` for this destination down to `level`: only where a sender
    /// domain or account said so for itself. Without it a rule never weakens that demand.
    pub exception: bool,
    /// Its level comes from a rule of the operator's: it stands beside what the other side publishes and never
    /// replaces it, and mail leaves encrypted also where `Dane` alone would not ask for it.
    pub by_rule: bool,
    /// From when on it no longer holds. Lookups never give a rule past its end (within a second).
    pub expires_at: Option<Timestamp>,
    /// Where it was set.
    pub origin: Arc<Scope>,
}

/// Source addresses and the name they greet with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// Source addresses for IPv4; empty: the system's choice.
    pub v4: Vec<Ipv4Addr>,
    /// Source addresses for IPv6; empty: the system's choice.
    pub v6: Vec<Ipv6Addr>,
    /// The name after EHLO; `None`: the node's own.
    pub hello: Option<String>,
}

/// What a group of customers is to the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    /// Share of the attempts where several groups wait; 1 to 1000.
    pub weight: u32,
    /// Order within a share, -9 to 9 (as MT-PRIORITY, RFC 6710); the higher first.
    pub priority: i8,
    /// When its mail may leave; `Snapshot::release_at` reckons with it.
    pub delay: Delay,
}

impl Default for Class {
    fn default() -> Self {
        Self {
            weight: 10,
            priority: 0,
            delay: Delay::None,
        }
    }
}

/// When mail of a group may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delay {
    /// At once.
    #[default]
    None,
    /// So long after it was accepted.
    For(Duration),
    /// Only between two times of the day, in the installation's time zone; the first may be the later
    /// one (22:00-06:00). Minutes after midnight, 0 to 1439, never equal.
    Window {
        /// The window opens.
        from_minute: u16,
        /// The window closes.
        to_minute: u16,
    },
}

/// What DANE does to outgoing mail (RFC 7672).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DaneMode {
    /// It decides.
    Enforce,
    /// It is checked and reported, and stops nothing.
    Audit,
    /// TLSA records are not looked up.
    Off,
}

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From other servers to us.
    Inbound,
    /// From our customers, to whomever.
    Outbound,
}

/// How much may be sent. `None`: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Messages in an hour.
    pub messages_per_hour: Option<u32>,
    /// Recipients in a day.
    pub recipients_per_day: Option<u32>,
    /// Recipients in a day that were not written to in the 30 days before.
    pub new_recipients_per_day: Option<u32>,
    /// Recipients of one message.
    pub recipients_per_message: Option<u32>,
}

impl Limits {
    /// Whether it limits nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Whom an account may send as beside its own addresses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SendAs {
    /// This address: elsewhere with proof of control, or granted by the operator.
    Address(AddressKey),
    /// Every address of this domain (`*@domain`), granted by the operator.
    AnyAt(DomainName),
}

impl fmt::Display for SendAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::AnyAt(domain) => write!(f, "*@{domain}"),
        }
    }
}
