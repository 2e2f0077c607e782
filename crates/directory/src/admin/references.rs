//! What leads to what: needed before something is removed, and to refuse circles after a change.

use super::{AdminError, resolved};
use crate::resolution::{Resolution, Rules, exists};
use crate::rows::facts::{StoreFacts, maybe_address, stored_address};
use crate::rows::read;
use crate::state::{Change, Domain, canonical, target_problem};
use crate::{AddressKey, DomainName};
use formats::address::Address;
use platform::params;
use platform::store::{StoreError, Tx};

/// Aliases above a changed one that are looked at again; more cannot come from hand-made chains.
const ANCESTORS_MAX: usize = 10_000;

/// Everything that leads to an address or into a domain.
#[derive(Debug, Default)]
pub(super) struct References {
    /// Alias and the target it has.
    pub(super) targets: Vec<(AddressKey, Address)>,
    /// Domains whose contact or catch-all it is.
    pub(super) domains: Vec<(DomainName, Domain)>,
}

impl References {
    /// How many there are.
    pub(super) fn is_empty(&self) -> bool {
        self.targets.is_empty() && self.domains.is_empty()
    }

    /// For a refusal: the first few.
    pub(super) fn named(&self) -> String {
        let mut names: Vec<String> = self
            .targets
            .iter()
            .map(|(a, _)| format!("alias {a}"))
            .collect();
        names.extend(self.domains.iter().map(|(d, _)| format!("domain {d}")));
        names.dedup();
        let more = names.len().saturating_sub(5);
        names.truncate(5);
        let mut text = names.join(", ");
        if more > 0 {
            text.push_str(&format!(" and {more} more"));
        }
        text
    }
}

/// What is about to go: some addresses, and the aliases that lead nowhere without them.
pub(super) struct Going<'g> {
    pub(super) rules: &'g Rules,
    /// The addresses the operator removes, details included.
    pub(super) removed: &'g dyn Fn(&AddressKey) -> bool,
    /// Aliases that lost their last target.
    emptied: Vec<AddressKey>,
}

impl<'g> Going<'g> {
    pub(super) fn new(rules: &'g Rules, removed: &'g dyn Fn(&AddressKey) -> bool) -> Self {
        Self {
            rules,
            removed,
            emptied: Vec::new(),
        }
    }

    fn takes(&self, target: &Address) -> bool {
        let Some(key) = AddressKey::of(target) else {
            return false;
        };
        let base = self.rules.detail_separator.and_then(|separator| {
            let (base, _) = key.local().split_once(separator)?;
            Some(AddressKey::new(base, key.domain().clone()))
        });
        let is_gone = |key: &AddressKey| (self.removed)(key) || self.emptied.contains(key);
        is_gone(&key) || base.is_some_and(|base| is_gone(&base))
    }

    /// The changes after which nothing leads to what goes; `found` is what does now.
    pub(super) fn ended(
        mut self,
        tx: &mut dyn Tx,
        found: References,
    ) -> Result<Vec<Change>, StoreError> {
        let mut domains = found.domains;
        let mut looked_at: Vec<AddressKey> = Vec::new();
        let mut to_look_at: Vec<AddressKey> = found.targets.into_iter().map(|(a, _)| a).collect();
        while let Some(alias) = to_look_at.pop() {
            if (self.removed)(&alias) || self.emptied.contains(&alias) {
                continue;
            }
            if targets(tx, &alias)?.iter().all(|target| self.takes(target)) {
                // It goes too, so whatever leads to it must be looked at, perhaps again.
                let above = to_address(tx, self.rules, &alias)?;
                to_look_at.extend(above.targets.into_iter().map(|(parent, _)| parent));
                domains.extend(above.domains);
                self.emptied.push(alias.clone());
            }
            if !looked_at.contains(&alias) {
                looked_at.push(alias);
            }
        }
        self.changes(tx, looked_at, domains)
    }

    fn changes(
        self,
        tx: &mut dyn Tx,
        aliases: Vec<AddressKey>,
        mut domains: Vec<(DomainName, Domain)>,
    ) -> Result<Vec<Change>, StoreError> {
        let mut changes = Vec::new();
        for alias in aliases {
            if self.emptied.contains(&alias) {
                changes.push(Change::AliasRemoved { address: alias });
                continue;
            }
            let lost = targets(tx, &alias)?;
            changes.extend(lost.into_iter().filter(|t| self.takes(t)).map(|target| {
                Change::TargetRemoved {
                    address: alias.clone(),
                    target,
                }
            }));
        }
        domains.sort_by(|(a, _), (b, _)| a.cmp(b));
        domains.dedup_by(|(a, _), (b, _)| a == b);
        for (name, from) in domains {
            let mut to = from.clone();
            to.catch_all = to.catch_all.filter(|a| !self.takes(a));
            to.contact = to.contact.filter(|a| !self.takes(a));
            changes.push(Change::DomainChanged { name, from, to });
        }
        Ok(changes)
    }
}

/// Where an alias leads.
pub(super) fn targets(tx: &mut dyn Tx, alias: &AddressKey) -> Result<Vec<Address>, StoreError> {
    tx.all(
        "SELECT target FROM directory_targets WHERE domain = ?1 AND local = ?2 ORDER BY target",
        params![alias.domain().as_str(), alias.local()],
        |row| stored_address(row.text(0)?),
    )
}

/// Whether `target` is `address`, with or without a detail.
pub(super) fn is_target(rules: &Rules, target: &Address, address: &AddressKey) -> bool {
    let Some(key) = AddressKey::of(target) else {
        return false;
    };
    let base = rules
        .detail_separator
        .and_then(|separator| key.local().split_once(separator))
        .map(|(base, _)| base);
    key == *address || (key.domain() == address.domain() && base == Some(address.local()))
}

/// What leads to `address`, with or without a detail.
pub(super) fn to_address(
    tx: &mut dyn Tx,
    rules: &Rules,
    address: &AddressKey,
) -> Result<References, StoreError> {
    let exact = address.to_string();
    let mut found = aliases_between(tx, &exact, &format!("{exact}\u{1}"))?;
    if let Some(separator) = rules.detail_separator
        && let Some(next) = char::from_u32(u32::from(separator) + 1)
    {
        let local = address.local();
        let with_detail = aliases_between(
            tx,
            &format!("{local}{separator}"),
            &format!("{local}{next}"),
        )?;
        found.extend(with_detail);
    }
    found.retain(|(_, target)| is_target(rules, target, address));
    found.sort();
    found.dedup();
    let domains = domains_naming(tx, |named| is_target(rules, named, address))?;
    Ok(References {
        targets: found,
        domains,
    })
}

/// What leads into `domain` from other domains. Reads all targets; domains are removed rarely.
pub(super) fn into_domain(tx: &mut dyn Tx, domain: &DomainName) -> Result<References, StoreError> {
    let inside = |a: &Address| AddressKey::of(a).is_some_and(|key| key.domain() == domain);
    let mut targets = Vec::new();
    tx.query(
        "SELECT domain, local, target FROM directory_targets WHERE domain <> ?1",
        params![domain.as_str()],
        &mut |row| {
            let target = stored_address(row.text(2)?)?;
            if inside(&target) {
                targets.push((read::key(row, 0)?, target));
            }
            Ok(std::ops::ControlFlow::Continue(()))
        },
    )?;
    let mut domains = domains_naming(tx, inside)?;
    domains.retain(|(name, _)| name != domain);
    Ok(References { targets, domains })
}

fn aliases_between(
    tx: &mut dyn Tx,
    from: &str,
    until: &str,
) -> Result<Vec<(AddressKey, Address)>, StoreError> {
    tx.all(
        "SELECT domain, local, target FROM directory_targets WHERE target >= ?1 AND target < ?2",
        params![from, until],
        |row| Ok((read::key(row, 0)?, stored_address(row.text(2)?)?)),
    )
}

fn domains_naming(
    tx: &mut dyn Tx,
    is_named: impl Fn(&Address) -> bool,
) -> Result<Vec<(DomainName, Domain)>, StoreError> {
    let named = tx.all(
        "SELECT domain, catch_all, contact FROM directory_domains \
         WHERE catch_all IS NOT NULL OR contact IS NOT NULL ORDER BY domain",
        params![],
        |row| {
            let name = read::stored_domain(row.text(0)?)?;
            Ok((name, maybe_address(row, 1)?, maybe_address(row, 2)?))
        },
    )?;
    let mut found = Vec::new();
    for (name, catch_all, contact) in named {
        if catch_all.iter().chain(&contact).any(&is_named)
            && let Some(domain) = read::domain(tx, &name)?
        {
            found.push((name, domain));
        }
    }
    Ok(found)
}

/// `address` as it may be stored as a target.
pub(super) fn target(tx: &mut dyn Tx, address: &Address) -> Result<Address, AdminError> {
    let domain = AddressKey::of(address).map(|key| key.domain().clone());
    let hosted = match &domain {
        Some(domain) => read::domain(tx, domain)?.is_some(),
        None => false,
    };
    canonical(address, |_| hosted)
        .ok_or_else(|| AdminError::Invalid(format!("{address} is no address mail can be led to")))
}

/// Refuses changes after which something leads in a circle or to an address that does not exist.
pub(super) fn check_changed(
    tx: &mut dyn Tx,
    rules: &Rules,
    changes: &[Change],
) -> Result<(), AdminError> {
    for change in changes {
        match change {
            Change::AliasAdded { address, to } => {
                to.iter()
                    .try_for_each(|t| check_target(tx, rules, t, &format!("alias {address}")))?;
                check_chain(tx, rules, address)?;
            }
            Change::TargetAdded { address, target } => {
                check_target(tx, rules, target, &format!("alias {address}"))?;
                check_chain(tx, rules, address)?;
            }
            Change::DomainAdded { name, domain }
            | Change::DomainChanged {
                name, to: domain, ..
            } => {
                if let Some(to) = &domain.catch_all {
                    check_target(tx, rules, to, &format!("the catch-all of domain {name}"))?;
                }
                if let Some(to) = &domain.contact {
                    check_target(tx, rules, to, &format!("the contact of domain {name}"))?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_target(
    tx: &mut dyn Tx,
    rules: &Rules,
    target: &Address,
    who: &str,
) -> Result<(), AdminError> {
    let made = exists(&mut StoreFacts::new(tx), rules, target)?;
    let found = resolved(tx, rules, target)?;
    match target_problem(&found, made, target, who) {
        Some(problem) => Err(AdminError::Invalid(problem)),
        None => Ok(()),
    }
}

/// The changed alias and every alias above it must still end somewhere.
fn check_chain(tx: &mut dyn Tx, rules: &Rules, changed: &AddressKey) -> Result<(), AdminError> {
    let mut above = vec![changed.clone()];
    let mut next = 0;
    while let Some(alias) = above.get(next).cloned() {
        next += 1;
        let address = Address::parse(&alias.to_string())
            .map_err(|_| AdminError::Invalid(format!("{alias} is not an address")))?;
        if resolved(tx, rules, &address)? == Resolution::Loop {
            return Err(AdminError::Invalid(crate::state::loop_problem(&alias)));
        }
        for (parent, _) in to_address(tx, rules, &alias)?.targets {
            if !above.contains(&parent) && above.len() < ANCESTORS_MAX {
                above.push(parent);
            }
        }
    }
    Ok(())
}
