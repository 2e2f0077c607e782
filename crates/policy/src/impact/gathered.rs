//! What a preview finds: the rows of connections and findings, each asked whether it would be refused once the
//! change is made, added up by account. What narrower settings and the legacy hosts say is asked of the gate itself.
//! Called by `preview` only; changes nothing.

use super::{Affected, Impact, NAMED_PER_ACCOUNT_MAX, Now, Question, Sum};
use crate::connections::{Outcome, is_recognised, tls_of, window};
use crate::gate::{self, Attempt, Ruling};
use crate::measure::{Door, Encryption, Measure, Service};
use crate::model::{Scope, Sender, Stage};
use directory::AccountId;
use platform::params;
use platform::store::{Row, StoreError, Tx};
use platform::tls::TlsVersion;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

/// What the seventh column of a row names.
#[derive(Clone, Copy)]
enum Named {
    Client,
    Detail,
}

/// How something came that a measure stops.
#[derive(Clone, Copy)]
enum Way {
    /// To a service, over this TLS version or in clear.
    Login(Service, Option<TlsVersion>),
    /// A finding says so.
    Found,
}

/// A program of an account's that came by the legacy hosts, where it may still come.
struct Moved {
    client: Arc<str>,
    last_day: i64,
}

/// What a question has found so far.
pub(super) struct Gathered<'a> {
    question: &'a Question<'a>,
    measure: Measure,
    accounts: HashMap<AccountId, Affected>,
    excepted: HashSet<AccountId>,
    /// Who came by the legacy hosts in the way the question is about.
    on_legacy: HashSet<AccountId>,
    names: HashSet<Arc<str>>,
}

impl<'a> Gathered<'a> {
    pub(super) fn new(question: &'a Question<'a>) -> Self {
        Self {
            question,
            measure: question.proposed.measure(),
            accounts: HashMap::new(),
            excepted: HashSet::new(),
            on_legacy: HashSet::new(),
            names: HashSet::new(),
        }
    }

    /// Takes connections of a service with a TLS version in `tls` (0: in clear).
    pub(super) fn connections(
        &mut self,
        tx: &mut dyn Tx,
        service: Service,
        tls: (i64, i64),
    ) -> Result<(), StoreError> {
        let moved = self.moved(tx, service, tls)?;
        let first_day = window(self.question.days, self.question.now);
        tx.query(
            "SELECT c.account, a.local, a.domain, COALESCE(a.group_name, d.group_name), c.seen, \
             c.last_day, c.client, c.outcome, c.tls \
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
                if let Some(programs) = moved.get(&AccountId(row.int(0)?))
                    && has_moved(programs, row.text(6)?, row.int(5)?)
                {
                    return Ok(ControlFlow::Continue(()));
                }
                let now = match row.text(7)? == Outcome::LoggedIn.word() {
                    true => Now::Works,
                    false => Now::Refused,
                };
                let way = Way::Login(service, tls_of(row.int(8)?));
                self.add(row, way, now, Named::Client)
            },
        )
    }

    /// Programs that came by the legacy hosts and may go on so. Notes whose came with a TLS version in `tls`.
    fn moved(
        &mut self,
        tx: &mut dyn Tx,
        service: Service,
        tls: (i64, i64),
    ) -> Result<HashMap<AccountId, Vec<Moved>>, StoreError> {
        let first_day = window(self.question.days, self.question.now);
        let mut moved: HashMap<AccountId, Vec<Moved>> = HashMap::new();
        tx.query(
            "SELECT c.account, a.domain, COALESCE(a.group_name, d.group_name), c.client, c.tls, \
             c.last_day \
             FROM policy_connections c JOIN directory_accounts a ON a.account = c.account \
             LEFT JOIN directory_domains d ON d.domain = a.domain \
             WHERE c.service = ?1 AND c.door = 'legacy' AND c.outcome = 'logged-in' \
             AND c.settled = 0 AND c.last_day >= ?2",
            params![service.word(), first_day],
            &mut |row| {
                let sender = Sender {
                    account: Some(AccountId(row.int(0)?)),
                    domain: row.text(1)?,
                    group: row.maybe_text(2)?,
                };
                let (number, account) = (row.int(4)?, AccountId(row.int(0)?));
                let goes_on = self.is_admitted(service, Door::Legacy, tls_of(number), &sender);
                if !goes_on || !self.is_asked_about(&sender) {
                    return Ok(ControlFlow::Continue(()));
                }
                if (tls.0..=tls.1).contains(&number) {
                    self.on_legacy.insert(account);
                }
                moved.entry(account).or_default().push(Moved {
                    client: self.name(row.text(3)?),
                    last_day: row.int(5)?,
                });
                Ok(ControlFlow::Continue(()))
            },
        )?;
        Ok(moved)
    }

    /// Takes findings of the measure.
    pub(super) fn found(&mut self, tx: &mut dyn Tx) -> Result<(), StoreError> {
        let first_day = window(self.question.days, self.question.now);
        let word = self.measure.to_string();
        tx.query(
            "SELECT f.account, a.local, a.domain, COALESCE(a.group_name, d.group_name), f.seen, \
             f.last_day, f.detail \
             FROM policy_findings f JOIN directory_accounts a ON a.account = f.account \
             LEFT JOIN directory_domains d ON d.domain = a.domain \
             WHERE f.measure = ?1 AND f.last_day >= ?2",
            params![&word, first_day],
            &mut |row| self.add(row, Way::Found, Now::Works, Named::Detail),
        )
    }

    /// Columns: account, local, domain, group, seen, last_day, what is named.
    fn add(
        &mut self,
        row: &dyn Row,
        way: Way,
        now: Now,
        named: Named,
    ) -> Result<ControlFlow<()>, StoreError> {
        let account = AccountId(row.int(0)?);
        let sender = Sender {
            account: Some(account),
            domain: row.text(2)?,
            group: row.maybe_text(3)?,
        };
        match self.concerns(&sender, way) {
            Concern::None => return Ok(ControlFlow::Continue(())),
            Concern::Excepted => {
                self.excepted.insert(account);
                return Ok(ControlFlow::Continue(()));
            }
            Concern::Yes => {}
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
        let domain = self.name(sender.domain);
        let mut affected = Affected {
            account,
            login: format!("{}@{domain}", row.text(1)?),
            domain,
            group: sender.group.map(|group| self.name(group)),
            clients: Vec::new(),
            details: Vec::new(),
            now,
            seen,
            last_day,
        };
        affected.names(named, name);
        self.accounts.insert(account, affected);
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

    fn concerns(&self, sender: &Sender<'_>, way: Way) -> Concern {
        if !self.is_asked_about(sender) {
            return Concern::None;
        }
        let question = self.question;
        let set = question.snapshot.stage(&self.measure, sender, question.now);
        if width(&set.origin) <= width(question.scope) {
            return Concern::Yes;
        }
        // Something narrower holds on. It may refuse as well, or an emergency switch may.
        let holds_off = match way {
            Way::Login(service, tls) => self.is_admitted(service, Door::Normal, tls, sender),
            Way::Found => set.value < Stage::Enforce,
        };
        match holds_off {
            true => Concern::Excepted,
            false => Concern::Yes,
        }
    }

    fn is_asked_about(&self, sender: &Sender<'_>) -> bool {
        match self.question.scope {
            Scope::Installation => true,
            Scope::Group(name) => sender.group == Some(name),
            Scope::Domain(name) => name.as_str() == sender.domain,
            Scope::Account(number) => sender.account == Some(*number),
        }
    }

    /// Whether a login like this gets in today.
    fn is_admitted(
        &self,
        service: Service,
        door: Door,
        tls: Option<TlsVersion>,
        sender: &Sender<'_>,
    ) -> bool {
        let snapshot = self.question.snapshot;
        let attempt = Attempt {
            service,
            door,
            tls,
            sender: Some(*sender),
            enrolled: sender
                .account
                .is_some_and(|account| snapshot.enrolled(account)),
            help: "",
            now: self.question.now,
        };
        matches!(gate::login(snapshot, &attempt), Ruling::Admit(_))
    }

    pub(super) fn summed_up(self, servers: Vec<super::Server>) -> Impact {
        let is_left_out = |account: &&AccountId| !self.accounts.contains_key(account);
        let excepted = self.excepted.iter().filter(is_left_out).count() as u64;
        let on_legacy = self.on_legacy.iter().filter(is_left_out).count() as u64;
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
            excepted,
            on_legacy,
        }
    }
}

/// Whether a program comes by the legacy hosts since. Programs nobody recognised may be two: only a later day tells that
/// one is the other's successor.
fn has_moved(moved: &[Moved], client: &str, last_day: i64) -> bool {
    moved.iter().any(
        |at_legacy| match is_recognised(client) && is_recognised(&at_legacy.client) {
            true => *at_legacy.client == *client && at_legacy.last_day >= last_day,
            false => at_legacy.last_day > last_day,
        },
    )
}

enum Concern {
    /// It is out of the scope of the question.
    None,
    /// Something narrower is set for it, which lets it through.
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
