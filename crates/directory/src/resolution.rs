//! Where mail for an address goes. A pure decision: facts come in through `Facts`, which is the
//! store in the server and a model in plans and tests; nothing is changed and no time passes.

use crate::limits::{ALIAS_DEPTH_MAX, FAN_OUT_MAX};
use crate::{AccountId, AddressKey, DomainName};
use formats::address::Address;

/// Where mail for one address goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// Deliver to these accounts and forward to these foreign addresses; never both empty. Each
    /// account and each address stands here once.
    Local {
        /// Accounts here.
        deliveries: Vec<Delivery>,
        /// Addresses elsewhere.
        forwards: Vec<Address>,
    },
    /// The domain is not hosted here; mail for it is relay mail.
    NoSuchDomain,
    /// The domain is hosted here, the address does not exist (550 5.1.1).
    NoSuchAddress,
    /// The address exists, but every account it leads to, or its domain, is suspended (5.2.1).
    Suspended,
    /// The address leads to itself, or further than `limits` allow (5.4.6); the operator must mend
    /// it. It cannot be made by the directory's own means.
    Loop,
    /// postmaster@ or abuse@ of a hosted domain, and there is no account at all to give it to:
    /// a temporary failure (RFC 5321 §4.5.1 forbids a permanent one).
    NoPostmaster,
}

/// One account that gets the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Who gets it.
    pub account: AccountId,
    /// The address as the sender wrote it, for Delivered-To.
    pub address: Address,
    /// What stood behind the separator (`list` in `anna+list@`), as it was written; RFC 5233.
    pub detail: Option<Box<str>>,
}

/// What the directory says about a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainFacts {
    /// Suspended domains refuse mail and logins.
    pub status: Status,
    /// Where mail for addresses that do not exist goes.
    pub catch_all: Option<Address>,
    /// Who answers for the domain: gets postmaster@ and abuse@ where those do not exist.
    pub contact: Option<Address>,
}

/// Whether an account or a domain is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub enum Status {
    /// In use.
    #[default]
    Active,
    /// Closed for now: no mail, no login; nothing is removed.
    Suspended,
}

/// What an address that exists is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// The address of an account.
    Account {
        /// Whose.
        account: AccountId,
        /// Whether it may get mail.
        status: Status,
    },
    /// An alias.
    Alias {
        /// Where it leads, here or elsewhere.
        to: Vec<Address>,
    },
}

/// Where the decision gets its facts.
pub trait Facts {
    /// How asking can fail.
    type Error;
    /// A hosted domain; `None` for all others.
    fn domain(&mut self, domain: &DomainName) -> Result<Option<DomainFacts>, Self::Error>;
    /// The account or alias with exactly this address.
    fn entry(&mut self, address: &AddressKey) -> Result<Option<Entry>, Self::Error>;
    /// The first account that was created, of those in use.
    fn first_account(&mut self) -> Result<Option<AccountId>, Self::Error>;
}

/// The part of the settings that matters for addresses.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// See `Settings::detail_separator`.
    pub detail_separator: Option<char>,
    /// See `Settings::postmaster`.
    pub postmaster: Option<AddressKey>,
}

/// Where mail for `address` goes.
///
/// # Errors
/// Only those of `facts`.
pub fn resolve<F: Facts>(
    facts: &mut F,
    rules: &Rules,
    address: &Address,
) -> Result<Resolution, F::Error> {
    let Some(key) = AddressKey::of(address) else {
        return Ok(Resolution::NoSuchDomain);
    };
    let Some(domain) = facts.domain(key.domain())? else {
        return Ok(Resolution::NoSuchDomain);
    };
    if is_role(key.local(), rules) {
        return resolve_role(facts, rules, address, &key, domain.contact);
    }
    Walk::new(facts, rules, address).outcome(address)
}

/// Where mail for `address` goes by what was made for it: as `resolve`, but a role address that leads
/// nowhere by itself or by the domain's contact has no such address. Who gets that mail as a last
/// resort may not send as every postmaster@ here.
///
/// # Errors
/// Only those of `facts`.
pub fn resolve_assigned<F: Facts>(
    facts: &mut F,
    rules: &Rules,
    address: &Address,
) -> Result<Resolution, F::Error> {
    match AddressKey::of(address) {
        Some(key) if is_role(key.local(), rules) => match facts.domain(key.domain())? {
            None => Ok(Resolution::NoSuchDomain),
            Some(domain) => {
                let assigned = assigned_role(facts, rules, address, &key, domain.contact)?;
                Ok(assigned.unwrap_or(Resolution::NoSuchAddress))
            }
        },
        _ => resolve(facts, rules, address),
    }
}

/// Whether `address` may be a target: it is elsewhere, was made as an account or alias, or is a role
/// address. What only a catch-all gets does not count, or taking the catch-all away would leave
/// aliases that lead nowhere.
///
/// # Errors
/// Only those of `facts`.
pub fn exists<F: Facts>(facts: &mut F, rules: &Rules, address: &Address) -> Result<bool, F::Error> {
    let Some(key) = AddressKey::of(address) else {
        return Ok(false);
    };
    if facts.domain(key.domain())?.is_none() || is_role(key.local(), rules) {
        return Ok(true);
    }
    if facts.entry(&key)?.is_some() {
        return Ok(true);
    }
    match without_detail(rules, address, &key) {
        Some((base, _)) => Ok(facts.entry(&base)?.is_some()),
        None => Ok(false),
    }
}

/// Where mail for postmaster without a domain, or for a role address that leads nowhere, goes: the
/// provider's postmaster, else the first account.
///
/// # Errors
/// Only those of `facts`.
pub fn resolve_postmaster<F: Facts>(
    facts: &mut F,
    rules: &Rules,
    written: &Address,
) -> Result<Resolution, F::Error> {
    if let Some(provider) = provider_address(rules)
        && let found @ Resolution::Local { .. } =
            Walk::new(facts, rules, written).outcome(&provider)?
    {
        return Ok(found);
    }
    Ok(match facts.first_account()? {
        None => Resolution::NoPostmaster,
        Some(account) => Resolution::Local {
            deliveries: vec![Delivery {
                account,
                address: written.clone(),
                detail: None,
            }],
            forwards: Vec::new(),
        },
    })
}

/// `anna+list@` is `anna@` with the detail `list`, as written.
fn without_detail<'a>(
    rules: &Rules,
    address: &'a Address,
    key: &AddressKey,
) -> Option<(AddressKey, &'a str)> {
    let (base, detail) = address.local().split_once(rules.detail_separator?)?;
    (!base.is_empty()).then(|| (AddressKey::new(base, key.domain().clone()), detail))
}

fn provider_address(rules: &Rules) -> Option<Address> {
    let text = rules.postmaster.as_ref()?.to_string();
    Address::parse(&text).ok()
}

/// RFC 2142 §4 and §5; RFC 5321 §4.5.1: "postmaster" must be supported by every domain.
fn is_role(local: &str, rules: &Rules) -> bool {
    let name = match rules.detail_separator {
        Some(separator) => local.split(separator).next().unwrap_or(local),
        None => local,
    };
    matches!(name, "postmaster" | "abuse")
}

/// The address itself if somebody made it, else the domain's contact, else the provider.
fn resolve_role<F: Facts>(
    facts: &mut F,
    rules: &Rules,
    address: &Address,
    key: &AddressKey,
    contact: Option<Address>,
) -> Result<Resolution, F::Error> {
    match assigned_role(facts, rules, address, key, contact)? {
        Some(found) => Ok(found),
        None => resolve_postmaster(facts, rules, address),
    }
}

/// The address itself if somebody made it, else the domain's contact.
fn assigned_role<F: Facts>(
    facts: &mut F,
    rules: &Rules,
    address: &Address,
    key: &AddressKey,
    contact: Option<Address>,
) -> Result<Option<Resolution>, F::Error> {
    if let found @ Resolution::Local { .. } = Walk::new(facts, rules, address).made(address, key)? {
        return Ok(Some(found));
    }
    if let Some(contact) = contact
        && let found @ Resolution::Local { .. } =
            Walk::new(facts, rules, address).outcome(&contact)?
    {
        return Ok(Some(found));
    }
    Ok(None)
}

/// How a walk through aliases ends early.
enum Stop<E> {
    Loop,
    Facts(E),
}

impl<E> From<E> for Stop<E> {
    fn from(error: E) -> Self {
        Self::Facts(error)
    }
}

/// Whether an address that names no account or alias may lead to the domain's catch-all.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CatchAll {
    Followed,
    Ignored,
}

struct Walk<'w, F> {
    facts: &'w mut F,
    rules: &'w Rules,
    written: &'w Address,
    /// The aliases and catch-alls between the written address and here.
    path: Vec<Node>,
    /// Aliases walked to their end: a second way to them finds nothing new.
    done: Vec<Node>,
    deliveries: Vec<Delivery>,
    forwards: Vec<Address>,
    /// Addresses looked at, which bounds the work whatever the tables say.
    visits: usize,
    suspended: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Alias(AddressKey),
    CatchAll(DomainName),
    Role(DomainName),
}

impl<'w, F: Facts> Walk<'w, F> {
    fn new(facts: &'w mut F, rules: &'w Rules, written: &'w Address) -> Self {
        Self {
            facts,
            rules,
            written,
            path: Vec::new(),
            done: Vec::new(),
            deliveries: Vec::new(),
            forwards: Vec::new(),
            visits: 0,
            suspended: false,
        }
    }

    /// Walks from `start`, catch-alls included.
    fn outcome(mut self, start: &Address) -> Result<Resolution, F::Error> {
        let walked = self.visit(start, None);
        self.ended(walked)
    }

    /// Walks from `start` only if it was made as an account or alias.
    fn made(mut self, start: &Address, key: &AddressKey) -> Result<Resolution, F::Error> {
        let walked = self.visit_local(start, key, None, CatchAll::Ignored);
        self.ended(walked)
    }

    fn ended(self, walked: Result<(), Stop<F::Error>>) -> Result<Resolution, F::Error> {
        match walked {
            Err(Stop::Facts(error)) => Err(error),
            Err(Stop::Loop) => Ok(Resolution::Loop),
            Ok(()) if !self.deliveries.is_empty() || !self.forwards.is_empty() => {
                Ok(Resolution::Local {
                    deliveries: self.deliveries,
                    forwards: self.forwards,
                })
            }
            Ok(()) if self.suspended => Ok(Resolution::Suspended),
            Ok(()) => Ok(Resolution::NoSuchAddress),
        }
    }

    /// `detail` is what the nearest address before this one carried.
    fn visit(&mut self, address: &Address, detail: Option<&str>) -> Result<(), Stop<F::Error>> {
        self.visits += 1;
        if self.visits > 2 * FAN_OUT_MAX {
            return Err(Stop::Loop);
        }
        let key = AddressKey::of(address);
        match key {
            Some(key) if self.facts.domain(key.domain())?.is_some() => {
                self.visit_local(address, &key, detail, CatchAll::Followed)
            }
            _ => self.forward(address),
        }
    }

    fn visit_local(
        &mut self,
        address: &Address,
        key: &AddressKey,
        detail: Option<&str>,
        catch_all: CatchAll,
    ) -> Result<(), Stop<F::Error>> {
        let Some(domain) = self.facts.domain(key.domain())? else {
            return Ok(());
        };
        if domain.status == Status::Suspended {
            self.suspended = true;
            return Ok(());
        }
        if let Some(entry) = self.facts.entry(key)? {
            return self.follow(entry, key, detail);
        }
        if let Some((base, own_detail)) = without_detail(self.rules, address, key)
            && let Some(entry) = self.facts.entry(&base)?
        {
            return self.follow(entry, &base, Some(own_detail).filter(|d| !d.is_empty()));
        }
        if catch_all == CatchAll::Ignored {
            return Ok(());
        }
        if is_role(key.local(), self.rules) {
            return self.role(key, domain.contact, detail);
        }
        match domain.catch_all {
            Some(target) => {
                let node = Node::CatchAll(key.domain().clone());
                self.through(node, |walk| walk.visit(&target, detail))
            }
            None => Ok(()),
        }
    }

    /// An alias that leads to postmaster@ or abuse@ ends where mail for those does.
    fn role(
        &mut self,
        key: &AddressKey,
        contact: Option<Address>,
        detail: Option<&str>,
    ) -> Result<(), Stop<F::Error>> {
        let provider = provider_address(self.rules);
        self.through(Node::Role(key.domain().clone()), |walk| {
            for target in contact.into_iter().chain(provider) {
                let before = walk.deliveries.len() + walk.forwards.len();
                walk.visit(&target, detail)?;
                if walk.deliveries.len() + walk.forwards.len() > before {
                    return Ok(());
                }
            }
            match walk.facts.first_account()? {
                Some(account) => walk.deliver(account, detail),
                None => Ok(()),
            }
        })
    }

    fn follow(
        &mut self,
        entry: Entry,
        key: &AddressKey,
        detail: Option<&str>,
    ) -> Result<(), Stop<F::Error>> {
        match entry {
            Entry::Account {
                status: Status::Suspended,
                ..
            } => {
                self.suspended = true;
                Ok(())
            }
            Entry::Account { account, .. } => self.deliver(account, detail),
            Entry::Alias { to } => self.through(Node::Alias(key.clone()), |walk| {
                to.iter().try_for_each(|target| walk.visit(target, detail))
            }),
        }
    }

    fn through(
        &mut self,
        node: Node,
        walk_on: impl FnOnce(&mut Self) -> Result<(), Stop<F::Error>>,
    ) -> Result<(), Stop<F::Error>> {
        if self.path.contains(&node) || self.path.len() >= ALIAS_DEPTH_MAX {
            return Err(Stop::Loop);
        }
        if self.done.contains(&node) {
            return Ok(());
        }
        self.path.push(node);
        walk_on(self)?;
        self.done.extend(self.path.pop());
        Ok(())
    }

    fn deliver(&mut self, account: AccountId, detail: Option<&str>) -> Result<(), Stop<F::Error>> {
        if self.deliveries.iter().all(|known| known.account != account) {
            self.room_for_one_more()?;
            self.deliveries.push(Delivery {
                account,
                address: self.written.clone(),
                detail: detail.map(Box::from),
            });
        }
        Ok(())
    }

    fn forward(&mut self, address: &Address) -> Result<(), Stop<F::Error>> {
        if !self.forwards.contains(address) {
            self.room_for_one_more()?;
            self.forwards.push(address.clone());
        }
        Ok(())
    }

    fn room_for_one_more(&self) -> Result<(), Stop<F::Error>> {
        if self.deliveries.len() + self.forwards.len() >= FAN_OUT_MAX {
            return Err(Stop::Loop);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
