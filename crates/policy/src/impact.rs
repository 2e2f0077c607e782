//! "If this were enforced today": which accounts, domains, mail programs and servers would no longer get
//! through, from what was seen in the last days. Names everybody, changes nothing. The CLI, the API and
//! rollouts ask before a change that can break mail.

mod change;
mod gathered;
#[cfg(test)]
mod reality;
mod sheet;
#[cfg(test)]
mod tests;
mod trend;

pub use change::changes;
pub use trend::{Day, record, standing, today, trend};

use crate::connections::{tls_number, window};
use crate::findings;
use crate::measure::{Measure, Service};
use crate::model::Scope;
use crate::rows::domains_of;
use crate::rules::servers;
use crate::snapshot::Snapshot;
use directory::{AccountId, DomainName};
use gathered::Gathered;
use platform::clock::Timestamp;
use platform::store::{StoreError, Tx};
use platform::tls::TlsVersion;
use std::fmt;
use std::sync::Arc;

/// Different mail programs or senders that are named for one account; the others are only counted.
pub const NAMED_PER_ACCOUNT_MAX: usize = 8;

/// Domains of other servers that are named for one rule.
const SERVERS_MAX: i64 = 10_000;

/// A change that can break mail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Proposed {
    /// A service demands this version or a newer one.
    TlsVersion {
        /// Which.
        service: Service,
        /// 1.2 or 1.3.
        lowest: TlsVersion,
    },
    /// A service takes no login in clear.
    Cleartext(Service),
    /// Accounts send only as addresses that are theirs.
    SenderOwnership,
    /// Mail for a domain is taken over TLS only.
    InboundTls(DomainName),
    /// Mail of a domain leaves over TLS only.
    OutboundTls(DomainName),
    /// Mail from outside with senders of hosted domains is taken only where somebody answers for it.
    SpoofedSender,
    /// A rule of the operator's is enforced.
    Rule(Box<str>),
}

impl Proposed {
    /// The measure it is about.
    pub fn measure(&self) -> Measure {
        match self {
            Self::TlsVersion { service, .. } => Measure::TlsVersion(*service),
            Self::Cleartext(service) => Measure::Cleartext(*service),
            Self::SenderOwnership => Measure::SenderOwnership,
            Self::InboundTls(_) => Measure::InboundTls,
            Self::OutboundTls(_) => Measure::OutboundTls,
            Self::SpoofedSender => Measure::SpoofedSender,
            Self::Rule(name) => Measure::Rule(name.clone()),
        }
    }

    /// The change with this word, as `Display` writes it; `tls-version/imap` alone means 1.2.
    pub fn from_word(word: &str) -> Option<Self> {
        if let Some(name) = word.strip_prefix("inbound-tls/") {
            return DomainName::parse(name).ok().map(Self::InboundTls);
        }
        if let Some(name) = word.strip_prefix("outbound-tls/") {
            return DomainName::parse(name).ok().map(Self::OutboundTls);
        }
        let (word, lowest) = match word.rsplit_once('=') {
            Some((start, version)) if start.starts_with("tls-version/") => match version {
                "1.2" => (start, TlsVersion::V1_2),
                "1.3" => (start, TlsVersion::V1_3),
                _ => return None,
            },
            _ => (word, TlsVersion::V1_2),
        };
        match Measure::from_word(word)? {
            Measure::TlsVersion(service) => Some(Self::TlsVersion { service, lowest }),
            Measure::Cleartext(service) => Some(Self::Cleartext(service)),
            Measure::SenderOwnership => Some(Self::SenderOwnership),
            Measure::SpoofedSender => Some(Self::SpoofedSender),
            Measure::Rule(name) => Some(Self::Rule(name)),
            Measure::InboundTls | Measure::OutboundTls => None,
        }
    }
}

impl fmt::Display for Proposed {
    /// `tls-version/imap=1.3`, `cleartext/pop3`, `inbound-tls/firma.example`, `rule/NAME`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TlsVersion { service, lowest } => {
                let version = match lowest {
                    TlsVersion::V1_3 => "1.3",
                    _ => "1.2",
                };
                write!(f, "tls-version/{service}={version}")
            }
            Self::InboundTls(domain) => write!(f, "inbound-tls/{domain}"),
            Self::OutboundTls(domain) => write!(f, "outbound-tls/{domain}"),
            other => other.measure().fmt(f),
        }
    }
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The change.
    pub proposed: &'a Proposed,
    /// Whom it is for. Who has an exception below that scope keeps it; where that refuses as well, it is named.
    pub scope: &'a Scope,
    /// What was seen in so many days counts; today is one.
    pub days: u32,
    /// What holds now.
    pub snapshot: &'a Snapshot,
    /// When now is.
    pub now: Timestamp,
}

/// An account that would no longer get through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affected {
    /// Who.
    pub account: AccountId,
    /// Its address.
    pub login: String,
    /// Its domain.
    pub domain: Arc<str>,
    /// Its group, or its domain's.
    pub group: Option<Arc<str>>,
    /// Keys of the mail programs concerned, at most `NAMED_PER_ACCOUNT_MAX`; an empty one where nothing is
    /// known.
    pub clients: Vec<Arc<str>>,
    /// What a finding says of it, such as the senders that were used; at most `NAMED_PER_ACCOUNT_MAX`.
    pub details: Vec<Arc<str>>,
    /// Whether it is refused already.
    pub now: Now,
    /// How often since it was seen first.
    pub seen: u64,
    /// Last day, in days since 1970 (UTC).
    pub last_day: i64,
}

/// What happens to an affected account today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Now {
    /// It gets through.
    Works,
    /// It was seen only as it was refused.
    Refused,
}

/// A domain of other servers that mail could no longer be exchanged with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The hosted domain; empty where it is about all of them.
    pub ours: String,
    /// The domain on the other side.
    pub domain: String,
    /// Messages that would have been stopped.
    pub stopped: u64,
    /// Messages that would have got through.
    pub passing: u64,
    /// Last day with a message of the former, in days since 1970 (UTC).
    pub last_day: i64,
}

/// How many accounts share something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// What they share: a domain, a group, a mail program's key.
    pub name: Arc<str>,
    /// How many.
    pub accounts: u64,
}

/// Who would no longer get through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impact {
    /// By which change.
    pub proposed: Proposed,
    /// Seen in so many days.
    pub days: u32,
    /// Every account, by domain and name.
    pub accounts: Vec<Affected>,
    /// Accounts of theirs per domain, most first.
    pub domains: Vec<Sum>,
    /// The same per group; accounts without group are not in it.
    pub groups: Vec<Sum>,
    /// The same per mail program; an account with two is in it twice.
    pub clients: Vec<Sum>,
    /// Domains of other servers.
    pub servers: Vec<Server>,
    /// Accounts that do the same and have an exception that lets them.
    pub excepted: u64,
    /// Accounts that do the same at the legacy hosts only, as long as it is allowed there.
    pub on_legacy: u64,
}

impl Impact {
    /// Accounts that get through today and would not any more.
    pub fn locked_out(&self) -> usize {
        let works = |affected: &&Affected| affected.now == Now::Works;
        self.accounts.iter().filter(works).count()
    }

    /// Whether nobody is affected as far as is known.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.servers.is_empty()
    }
}

/// Who would no longer get through. `servers` are the domains that were seen in clear, which `routing`
/// counts; they are taken as they are.
///
/// # Errors
/// Those of the store.
pub fn preview(
    tx: &mut dyn Tx,
    question: &Question<'_>,
    mut servers: Vec<Server>,
) -> Result<Impact, StoreError> {
    // Whose mail it is for was not noted: of other servers only the whole can be told.
    if let (Proposed::Rule(name), Scope::Installation) = (question.proposed, question.scope) {
        let first_day = window(question.days, question.now);
        servers.extend(by_rule(tx, name, first_day)?);
    }
    if *question.proposed == Proposed::SpoofedSender {
        servers.extend(in_our_name(tx, question)?);
    }
    let mut gathered = Gathered::new(question);
    if let Proposed::Rule(name) = question.proposed
        && let Some(rule) = question.snapshot.rules().set().named(name)
        && !rule.can_break()
    {
        // It was noted where it would have acted, but it stops nobody.
        return Ok(gathered.summed_up(Vec::new()));
    }
    match question.proposed {
        Proposed::TlsVersion { service, lowest } => {
            let below = tls_number(Some(*lowest)) - 1;
            gathered.connections(tx, *service, (1, below))?;
        }
        Proposed::Cleartext(service) => gathered.connections(tx, *service, (0, 0))?,
        Proposed::SenderOwnership | Proposed::SpoofedSender | Proposed::Rule(_) => {
            gathered.found(tx)?;
        }
        Proposed::InboundTls(_) | Proposed::OutboundTls(_) => {}
    }
    Ok(gathered.summed_up(servers))
}

/// Servers that brought mail in the name of hosted domains which nobody answered for.
fn in_our_name(tx: &mut dyn Tx, question: &Question<'_>) -> Result<Vec<Server>, StoreError> {
    let first_day = window(question.days, question.now);
    let measure = Measure::SpoofedSender;
    match question.scope {
        Scope::Installation => findings::servers::list(tx, &measure, None, first_day),
        Scope::Domain(name) => findings::servers::list(tx, &measure, Some(name), first_day),
        Scope::Group(_) => {
            let mut found = findings::servers::list(tx, &measure, None, first_day)?;
            let domains = domains_of(tx, question.scope)?;
            found.retain(|server| domains.contains(&server.ours));
            Ok(found)
        }
        // Who wrote in whose name is a finding of the account.
        Scope::Account(_) => Ok(Vec::new()),
    }
}

/// Domains of other servers whose mail a rule that is not enforced would have stopped.
fn by_rule(tx: &mut dyn Tx, rule: &str, first_day: i64) -> Result<Vec<Server>, StoreError> {
    let seen = servers::list(tx, Some(rule), SERVERS_MAX)?;
    let recent = seen.into_iter().filter(|one| one.last_day >= first_day);
    Ok(recent
        .map(|one| Server {
            ours: String::new(),
            domain: one.domain,
            stopped: one.seen,
            passing: 0,
            last_day: one.last_day,
        })
        .collect())
}
