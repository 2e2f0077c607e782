//! Operations on aliases.

use super::references::{self, Going};
use super::{Admin, AdminError, Dependents, account, domain};
use crate::rows::read;
use crate::state::Change;
use crate::{AddressKey, DomainName};
use formats::address::Address;
use platform::clock::Timestamp;
use platform::params;
use platform::store::Tx;
use std::collections::BTreeSet;

/// An alias as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AliasView {
    /// The alias.
    pub address: String,
    /// Where it leads.
    pub to: Vec<String>,
}

impl Admin {
    /// Adds an alias, or targets to one that exists; gives what changed, in words.
    ///
    /// # Errors
    /// `Exists` (an account of that name), `Missing` (its domain), `Invalid` (no target, a target
    /// that does not exist, a circle).
    pub async fn add_alias(
        &self,
        address: &AddressKey,
        to: &[Address],
        now: Timestamp,
    ) -> Result<Vec<Change>, AdminError> {
        account::check_local(address)?;
        let (address, to) = (address.clone(), to.to_vec());
        self.change(now, move |tx| {
            domain::require(tx, address.domain())?;
            let wanted = targets(tx, &address, &to)?;
            let current: BTreeSet<Address> =
                references::targets(tx, &address)?.into_iter().collect();
            if current.is_empty() {
                account::refuse_taken(tx, &address)?;
                return Ok(vec![Change::AliasAdded {
                    address: address.clone(),
                    to: wanted,
                }]);
            }
            Ok(wanted
                .difference(&current)
                .map(|target| Change::TargetAdded {
                    address: address.clone(),
                    target: target.clone(),
                })
                .collect())
        })
        .await
    }

    /// Makes an existing alias lead to exactly these targets; gives what changed, in words.
    ///
    /// # Errors
    /// As `add_alias`; `Missing` where there is no such alias.
    pub async fn set_alias(
        &self,
        address: &AddressKey,
        to: &[Address],
        now: Timestamp,
    ) -> Result<Vec<Change>, AdminError> {
        let (address, to) = (address.clone(), to.to_vec());
        self.change(now, move |tx| {
            let current = require(tx, &address)?;
            let wanted = targets(tx, &address, &to)?;
            let added = wanted
                .difference(&current)
                .map(|target| Change::TargetAdded {
                    address: address.clone(),
                    target: target.clone(),
                });
            let removed = current
                .difference(&wanted)
                .map(|target| Change::TargetRemoved {
                    address: address.clone(),
                    target: target.clone(),
                });
            Ok(added.chain(removed).collect())
        })
        .await
    }

    /// Removes an alias.
    ///
    /// # Errors
    /// `Missing`; `InUse` where other aliases, contacts or catch-alls lead to it.
    pub async fn remove_alias(
        &self,
        address: &AddressKey,
        dependents: Dependents,
        now: Timestamp,
    ) -> Result<Vec<Change>, AdminError> {
        let address = address.clone();
        let rules = self.directory.rules().clone();
        self.change(now, move |tx| {
            require(tx, &address)?;
            let references = references::to_address(tx, &rules, &address)?;
            if dependents == Dependents::Keep && !references.is_empty() {
                return Err(AdminError::InUse(format!(
                    "{} still leads to {address}; change that first or use --with-aliases",
                    references.named()
                )));
            }
            let gone = |going: &AddressKey| *going == address;
            let mut changes = Going::new(&rules, &gone).ended(tx, references)?;
            changes.push(Change::AliasRemoved {
                address: address.clone(),
            });
            Ok(changes)
        })
        .await
    }

    /// The aliases of a domain, or all, by address.
    ///
    /// # Errors
    /// `Store`.
    pub async fn aliases(&self, domain: Option<&DomainName>) -> Result<Vec<AliasView>, AdminError> {
        let domain = domain.map(|d| d.as_str().to_owned());
        self.directory
            .store()
            .read(move |tx: &mut dyn Tx| {
                let keys = tx.all(
                    "SELECT domain, local FROM directory_addresses \
                     WHERE account IS NULL AND (domain = ?1 OR ?2 = 1) ORDER BY domain, local",
                    params![domain.as_deref().unwrap_or_default(), domain.is_none()],
                    |row| read::key(row, 0),
                )?;
                keys.iter().map(|key| view(tx, key)).collect()
            })
            .await
    }

    /// One alias.
    ///
    /// # Errors
    /// `Missing`, `Store`.
    pub async fn alias(&self, address: &AddressKey) -> Result<AliasView, AdminError> {
        let address = address.clone();
        self.directory
            .store()
            .read(move |tx: &mut dyn Tx| view(tx, &address))
            .await
    }
}

fn view(tx: &mut dyn Tx, address: &AddressKey) -> Result<AliasView, AdminError> {
    let to = require(tx, address)?;
    Ok(AliasView {
        address: address.to_string(),
        to: to.iter().map(ToString::to_string).collect(),
    })
}

fn require(tx: &mut dyn Tx, address: &AddressKey) -> Result<BTreeSet<Address>, AdminError> {
    let current: BTreeSet<Address> = references::targets(tx, address)?.into_iter().collect();
    if current.is_empty() {
        return Err(AdminError::Missing(format!(
            "alias {address} does not exist"
        )));
    }
    Ok(current)
}

fn targets(
    tx: &mut dyn Tx,
    address: &AddressKey,
    to: &[Address],
) -> Result<BTreeSet<Address>, AdminError> {
    if to.is_empty() {
        return Err(AdminError::Invalid(format!(
            "alias {address} needs at least one address it leads to"
        )));
    }
    to.iter()
        .map(|target| references::target(tx, target))
        .collect()
}
