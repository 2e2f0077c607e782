//! Operations on domains.

use super::references::{self, Going};
use super::{Admin, AdminError, Dependents, Setting, group};
use crate::resolution::Status;
use crate::rows::read;
use crate::state::{Change, Domain};
use crate::{AddressKey, DomainName};
use formats::address::Address;
use platform::clock::Timestamp;
use platform::params;
use platform::store::{StoreError, Tx};

/// A domain as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DomainView {
    /// As A-labels.
    pub name: String,
    /// As people read it.
    pub unicode: String,
    /// `active` or `suspended`.
    pub status: &'static str,
    /// Its group.
    pub group: Option<String>,
    /// Where mail for addresses that do not exist goes.
    pub catch_all: Option<String>,
    /// Who answers for it.
    pub contact: Option<String>,
    /// How many accounts it has.
    pub accounts: i64,
    /// How many aliases it has.
    pub aliases: i64,
    /// Seconds since 1970.
    pub created: i64,
}

/// A domain to be added, or what to change about one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewDomain {
    /// Its status; `None` leaves it.
    pub status: Option<Status>,
    /// Its group.
    pub group: Setting<String>,
    /// Its catch-all.
    pub catch_all: Setting<Address>,
    /// Its contact.
    pub contact: Setting<Address>,
}

impl NewDomain {
    fn over(&self, tx: &mut dyn Tx, old: Domain) -> Result<Domain, AdminError> {
        if let Setting::To(name) = &self.group {
            group::require(tx, name)?;
        }
        let mut target = |setting: &Setting<Address>, old| match setting.over(old) {
            Some(address) => references::target(tx, &address).map(Some),
            None => Ok(None),
        };
        Ok(Domain {
            status: self.status.unwrap_or(old.status),
            group: self.group.over(old.group),
            catch_all: target(&self.catch_all, old.catch_all)?,
            contact: target(&self.contact, old.contact)?,
        })
    }
}

impl Admin {
    /// Adds a domain.
    ///
    /// # Errors
    /// `Exists`, `Missing` (its group), `Invalid` (a catch-all or contact that leads nowhere).
    pub async fn add_domain(
        &self,
        name: &DomainName,
        new: &NewDomain,
        now: Timestamp,
    ) -> Result<(), AdminError> {
        let (name, new) = (name.clone(), new.clone());
        self.change(now, move |tx| {
            if read::domain(tx, &name)?.is_some() {
                return Err(AdminError::Exists(format!("domain {name} exists already")));
            }
            let references = references::into_domain(tx, &name)?;
            if !references.is_empty() {
                return Err(AdminError::InUse(format!(
                    "{} leads into {name}, which was elsewhere until now; change that first, or \
                     add the domain with its accounts by `rohrpost apply`",
                    references.named()
                )));
            }
            let domain = new.over(tx, Domain::default())?;
            Ok(vec![Change::DomainAdded {
                name: name.clone(),
                domain,
            }])
        })
        .await
        .map(drop)
    }

    /// Changes a domain; gives what changed, in words.
    ///
    /// # Errors
    /// As `add_domain`.
    pub async fn set_domain(
        &self,
        name: &DomainName,
        new: &NewDomain,
        now: Timestamp,
    ) -> Result<Vec<Change>, AdminError> {
        let (name, new) = (name.clone(), new.clone());
        self.change(now, move |tx| {
            let from = require(tx, &name)?;
            let to = new.over(tx, from.clone())?;
            if from == to {
                return Ok(Vec::new());
            }
            Ok(vec![Change::DomainChanged {
                name: name.clone(),
                from,
                to,
            }])
        })
        .await
    }

    /// Removes a domain; with `Dependents::Remove` also its accounts with all their mail, its
    /// aliases, and what leads into it.
    ///
    /// # Errors
    /// `Missing`; `InUse` where it has accounts or aliases, or something leads into it.
    pub async fn remove_domain(
        &self,
        name: &DomainName,
        dependents: Dependents,
        now: Timestamp,
    ) -> Result<Vec<Change>, AdminError> {
        let name = name.clone();
        let rules = self.directory.rules().clone();
        self.change(now, move |tx| {
            require(tx, &name)?;
            let addresses = addresses(tx, &name)?;
            let references = references::into_domain(tx, &name)?;
            if dependents == Dependents::Keep {
                refuse_if_used(&name, &addresses, &references)?;
            }
            let inside = |address: &AddressKey| *address.domain() == name;
            let mut changes = Going::new(&rules, &inside).ended(tx, references)?;
            changes.extend(addresses.into_iter().map(|(address, kind)| match kind {
                Kind::Account => Change::AccountRemoved { login: address },
                Kind::Alias => Change::AliasRemoved { address },
            }));
            changes.push(Change::DomainRemoved { name: name.clone() });
            Ok(changes)
        })
        .await
    }

    /// All domains by name.
    ///
    /// # Errors
    /// `Store`.
    pub async fn domains(&self) -> Result<Vec<DomainView>, AdminError> {
        let views = self.directory.store().read(|tx: &mut dyn Tx| {
            let names = tx.all(
                "SELECT domain FROM directory_domains ORDER BY domain",
                params![],
                |row| read::stored_domain(row.text(0)?),
            )?;
            names
                .iter()
                .map(|name| view(tx, name))
                .collect::<Result<Vec<_>, AdminError>>()
        });
        Ok(views.await?.into_iter().flatten().collect())
    }

    /// One domain.
    ///
    /// # Errors
    /// `Missing`, `Store`.
    pub async fn domain(&self, name: &DomainName) -> Result<DomainView, AdminError> {
        let wanted = name.clone();
        let found = self
            .directory
            .store()
            .read(move |tx: &mut dyn Tx| view(tx, &wanted))
            .await?;
        found.ok_or_else(|| missing(name))
    }
}

enum Kind {
    Account,
    Alias,
}

fn missing(name: &DomainName) -> AdminError {
    AdminError::Missing(format!(
        "domain {name} does not exist; `rohrpost domain list` shows those that do"
    ))
}

pub(super) fn require(tx: &mut dyn Tx, name: &DomainName) -> Result<Domain, AdminError> {
    read::domain(tx, name)?.ok_or_else(|| missing(name))
}

fn addresses(tx: &mut dyn Tx, name: &DomainName) -> Result<Vec<(AddressKey, Kind)>, StoreError> {
    tx.all(
        "SELECT domain, local, account FROM directory_addresses WHERE domain = ?1 ORDER BY local",
        params![name.as_str()],
        |row| {
            let kind = if row.is_null(2)? {
                Kind::Alias
            } else {
                Kind::Account
            };
            Ok((read::key(row, 0)?, kind))
        },
    )
}

fn refuse_if_used(
    name: &DomainName,
    addresses: &[(AddressKey, Kind)],
    references: &references::References,
) -> Result<(), AdminError> {
    let accounts = addresses
        .iter()
        .filter(|(_, kind)| matches!(kind, Kind::Account))
        .count();
    let aliases = addresses.len() - accounts;
    if accounts > 0 {
        return Err(AdminError::InUse(format!(
            "domain {name} still has {accounts} accounts; remove them first or use --with-accounts, which destroys their mail"
        )));
    }
    if aliases > 0 {
        return Err(AdminError::InUse(format!(
            "domain {name} still has {aliases} aliases; remove them first or use --with-accounts"
        )));
    }
    if !references.is_empty() {
        return Err(AdminError::InUse(format!(
            "{} still leads into domain {name}; change that first or use --with-accounts",
            references.named()
        )));
    }
    Ok(())
}

fn view(tx: &mut dyn Tx, name: &DomainName) -> Result<Option<DomainView>, AdminError> {
    let Some(domain) = read::domain(tx, name)? else {
        return Ok(None);
    };
    let counts = tx.one(
        "SELECT d.created, \
         (SELECT COUNT(*) FROM directory_addresses a WHERE a.domain = d.domain AND a.account IS NOT NULL), \
         (SELECT COUNT(*) FROM directory_addresses a WHERE a.domain = d.domain AND a.account IS NULL) \
         FROM directory_domains d WHERE d.domain = ?1",
        params![name.as_str()],
        |row| Ok((row.int(0)?, row.int(1)?, row.int(2)?)),
    )?;
    let (created, accounts, aliases) = counts.unwrap_or_default();
    Ok(Some(DomainView {
        name: name.to_string(),
        unicode: name.to_unicode(),
        status: domain.status.word(),
        group: domain.group,
        catch_all: domain.catch_all.map(|a| a.to_string()),
        contact: domain.contact.map(|a| a.to_string()),
        accounts,
        aliases,
        created: Timestamp(created).seconds(),
    }))
}
