//! "If this were enforced today": which accounts, domains, mail programs and servers would no longer get
//! through, from what was seen in the last days. Names everybody, changes nothing. The CLI, the API and
//! rollouts ask before a change that can break mail.

mod change;
mod sheet;
#[cfg(test)]
mod tests;
mod trend;

pub use change::changes;
pub use trend::{Day, record, standing, today, trend};

use crate::connections::{Outcome, tls_number, window};
use crate::measure::{Encryption, Measure, Service};
use crate::model::{Scope, Sender};
use crate::rules::servers;
use crate::snapshot::Snapshot;
use directory::{AccountId, DomainName};
use platform::clock::Timestamp;
use platform::params;
use platform::store::{Row, StoreError, Tx};
use platform::tls::TlsVersion;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::ops::ControlFlow;
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
    /// Whom it is for. Who has an exception below that scope keeps it.
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
    /// Accounts that do the same and have an exception.
    pub excepted: u64,
    /// Accounts that do the same at the legacy hosts only, where it is allowed until its end.
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
            connections(tx, *service, (1, below), &mut gathered)?;
        }
        Proposed::Cleartext(service) => connections(tx, *service, (0, 0), &mut gathered)?,
        Proposed::SenderOwnership | Proposed::Rule(_) => found(tx, &mut gathered)?,
        Proposed::InboundTls(_) | Proposed::OutboundTls(_) => {}
    }
    Ok(gathered.summed_up(servers))
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

/// Connections of a service with a TLS version in `tls` (0: in clear).
fn connections(
    tx: &mut dyn Tx,
    service: Service,
    tls: (i64, i64),
    gathered: &mut Gathered<'_>,
) -> Result<(), StoreError> {
    let first_day = window(gathered.question.days, gathered.question.now);
    let on_legacy = last_on_legacy(tx, service, tls, first_day)?;
    tx.query(
        "SELECT c.account, a.local, a.domain, COALESCE(a.group_name, d.group_name), c.seen, \
         c.last_day, c.client, c.outcome \
         FROM policy_connections c JOIN directory_accounts a ON a.account = c.account \
         LEFT JOIN directory_domains d ON d.domain = a.domain \
         WHERE c.service = ?1 AND c.door = 'normal' AND c.tls BETWEEN ?2 AND ?3 \
         AND (c.tls > 0 OR c.encryption = ?4) AND c.believed = 1 AND c.settled = 0 \
         AND c.last_day >= ?5 AND c.outcome <> 'wrong-password' AND c.outcome <> 'wrong-mode'",
        params![
            service.word(),
            tls.0,
            tls.1,
            Encryption::Clear.word(),
            first_day
        ],
        &mut |row| {
            let now = match row.text(7)? == Outcome::LoggedIn.word() {
                true => Now::Works,
                false => Now::Refused,
            };
            gathered.add(row, now, Named::Client)
        },
    )?;
    gathered.leave_out(&on_legacy);
    Ok(())
}

/// Accounts that came by the legacy hosts like this, with the last day they did.
fn last_on_legacy(
    tx: &mut dyn Tx,
    service: Service,
    tls: (i64, i64),
    first_day: i64,
) -> Result<HashMap<AccountId, i64>, StoreError> {
    let rows = tx.all(
        "SELECT account, MAX(last_day) FROM policy_connections \
         WHERE service = ?1 AND door = 'legacy' AND tls BETWEEN ?2 AND ?3 \
         AND (tls > 0 OR encryption = ?4) AND outcome = 'logged-in' AND last_day >= ?5 \
         GROUP BY account",
        params![
            service.word(),
            tls.0,
            tls.1,
            Encryption::Clear.word(),
            first_day
        ],
        |row| Ok((AccountId(row.int(0)?), row.int(1)?)),
    )?;
    Ok(rows.into_iter().collect())
}

/// Findings of the measure.
fn found(tx: &mut dyn Tx, gathered: &mut Gathered<'_>) -> Result<(), StoreError> {
    let first_day = window(gathered.question.days, gathered.question.now);
    tx.query(
        "SELECT f.account, a.local, a.domain, COALESCE(a.group_name, d.group_name), f.seen, \
         f.last_day, f.detail \
         FROM policy_findings f JOIN directory_accounts a ON a.account = f.account \
         LEFT JOIN directory_domains d ON d.domain = a.domain \
         WHERE f.measure = ?1 AND f.last_day >= ?2",
        params![&gathered.measure.to_string(), first_day],
        &mut |row| gathered.add(row, Now::Works, Named::Detail),
    )
}

/// What the seventh column of a row names.
#[derive(Clone, Copy)]
enum Named {
    Client,
    Detail,
}

/// What a question has found so far.
struct Gathered<'a> {
    question: &'a Question<'a>,
    measure: Measure,
    accounts: HashMap<AccountId, Affected>,
    excepted: HashSet<AccountId>,
    on_legacy: u64,
    names: HashSet<Arc<str>>,
}

impl<'a> Gathered<'a> {
    fn new(question: &'a Question<'a>) -> Self {
        Self {
            question,
            measure: question.proposed.measure(),
            accounts: HashMap::new(),
            excepted: HashSet::new(),
            on_legacy: 0,
            names: HashSet::new(),
        }
    }

    /// Columns: account, local, domain, group, seen, last_day, what is named.
    fn add(
        &mut self,
        row: &dyn Row,
        now: Now,
        named: Named,
    ) -> Result<ControlFlow<()>, StoreError> {
        let account = AccountId(row.int(0)?);
        if self.excepted.contains(&account) {
            return Ok(ControlFlow::Continue(()));
        }
        let name = self.name(row.text(6)?);
        let (seen, last_day) = (u64::try_from(row.int(4)?).unwrap_or(0), row.int(5)?);
        if let Some(known) = self.accounts.get_mut(&account) {
            known.seen = known.seen.saturating_add(seen);
            known.last_day = known.last_day.max(last_day);
            known.now = known.now.min(now);
            known.names(named, name);
            return Ok(ControlFlow::Continue(()));
        }
        let domain = self.name(row.text(2)?);
        let group = row.maybe_text(3)?.map(|group| self.name(group));
        match self.concerns(account, &domain, group.as_deref()) {
            Concern::None => {}
            Concern::Excepted => {
                self.excepted.insert(account);
            }
            Concern::Yes => {
                let mut affected = Affected {
                    account,
                    login: format!("{}@{domain}", row.text(1)?),
                    domain,
                    group,
                    clients: Vec::new(),
                    details: Vec::new(),
                    now,
                    seen,
                    last_day,
                };
                affected.names(named, name);
                self.accounts.insert(account, affected);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Domains, groups and programs are few: each is kept once.
    fn name(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.names.get(text) {
            return known.clone();
        }
        let name: Arc<str> = text.into();
        self.names.insert(name.clone());
        name
    }

    fn concerns(&self, account: AccountId, domain: &str, group: Option<&str>) -> Concern {
        let within = match self.question.scope {
            Scope::Installation => true,
            Scope::Group(name) => group == Some(name),
            Scope::Domain(name) => name.as_str() == domain,
            Scope::Account(number) => *number == account,
        };
        if !within {
            return Concern::None;
        }
        let sender = Sender {
            account: Some(account),
            domain,
            group,
        };
        let set = self
            .question
            .snapshot
            .stage(&self.measure, &sender, self.question.now);
        match width(&set.origin) > width(self.question.scope) {
            true => Concern::Excepted,
            false => Concern::Yes,
        }
    }

    /// Who uses the legacy hosts since it was last seen at the normal ones is not affected.
    fn leave_out(&mut self, on_legacy: &HashMap<AccountId, i64>) {
        self.accounts.retain(|account, affected| {
            let last = on_legacy.get(account);
            !(last.is_some_and(|last| *last >= affected.last_day)
                && self.question.snapshot.enrolled(*account))
        });
        let only_there = |account: &&AccountId| !self.accounts.contains_key(account);
        self.on_legacy = on_legacy.keys().filter(only_there).count() as u64;
    }

    fn summed_up(self, servers: Vec<Server>) -> Impact {
        let mut accounts: Vec<Affected> = self.accounts.into_values().collect();
        accounts.sort_unstable_by(|a, b| (&a.domain, &a.login).cmp(&(&b.domain, &b.login)));
        let each = accounts.iter();
        Impact {
            proposed: self.question.proposed.clone(),
            days: self.question.days,
            domains: sums(each.clone().map(|affected| &affected.domain)),
            groups: sums(each.clone().filter_map(|affected| affected.group.as_ref())),
            clients: sums(each.flat_map(|affected| &affected.clients)),
            accounts,
            servers,
            excepted: self.excepted.len() as u64,
            on_legacy: self.on_legacy,
        }
    }
}

enum Concern {
    /// It is out of the scope of the question.
    None,
    /// Something narrower is set for it.
    Excepted,
    Yes,
}

impl Affected {
    fn names(&mut self, named: Named, name: Arc<str>) {
        let names = match named {
            Named::Client => &mut self.clients,
            Named::Detail => &mut self.details,
        };
        if names.len() < NAMED_PER_ACCOUNT_MAX && !names.contains(&name) {
            names.push(name);
        }
    }
}

/// How narrow a scope is.
fn width(scope: &Scope) -> u8 {
    match scope {
        Scope::Installation => 0,
        Scope::Group(_) => 1,
        Scope::Domain(_) => 2,
        Scope::Account(_) => 3,
    }
}

fn sums<'n>(names: impl Iterator<Item = &'n Arc<str>>) -> Vec<Sum> {
    let mut counted: BTreeMap<&Arc<str>, u64> = BTreeMap::new();
    for name in names {
        *counted.entry(name).or_default() += 1;
    }
    let mut sums: Vec<Sum> = counted
        .into_iter()
        .map(|(name, accounts)| Sum {
            name: name.clone(),
            accounts,
        })
        .collect();
    sums.sort_by_key(|sum| std::cmp::Reverse(sum.accounts));
    sums
}
