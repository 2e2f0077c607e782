//! The store as facts of resolution.

use super::{damaged, status_from};
use crate::resolution::{DomainFacts, Entry, Facts};
use crate::{AccountId, AddressKey, DomainName, Hosting};
use formats::address::Address;
use platform::params;
use platform::store::{Row, StoreError, Tx};
use std::sync::Arc;

/// Whether `domain` is hosted here, and for which group.
pub(crate) fn hosting(tx: &mut dyn Tx, domain: &DomainName) -> Result<Hosting, StoreError> {
    let found = tx.one(
        "SELECT group_name FROM directory_domains WHERE domain = ?1",
        params![domain.as_str()],
        |row| Ok(row.maybe_text(0)?.map(Arc::from)),
    )?;
    Ok(found.map_or(Hosting::Elsewhere, Hosting::Here))
}

/// Reads facts within a transaction; remembers domains, which one walk asks for again and again.
pub(crate) struct StoreFacts<'t, 'x> {
    tx: &'t mut (dyn Tx + 'x),
    domains: Vec<(DomainName, Option<DomainFacts>)>,
}

impl<'t, 'x> StoreFacts<'t, 'x> {
    pub(crate) fn new(tx: &'t mut (dyn Tx + 'x)) -> Self {
        Self {
            tx,
            domains: Vec::new(),
        }
    }
}

impl Facts for StoreFacts<'_, '_> {
    type Error = StoreError;

    fn domain(&mut self, domain: &DomainName) -> Result<Option<DomainFacts>, StoreError> {
        if let Some((_, facts)) = self.domains.iter().find(|(name, _)| name == domain) {
            return Ok(facts.clone());
        }
        let facts = self.tx.one(
            "SELECT status, catch_all, contact FROM directory_domains WHERE domain = ?1",
            params![domain.as_str()],
            |row| {
                Ok(DomainFacts {
                    status: status_from(row.int(0)?)?,
                    catch_all: maybe_address(row, 1)?,
                    contact: maybe_address(row, 2)?,
                })
            },
        )?;
        self.domains.push((domain.clone(), facts.clone()));
        Ok(facts)
    }

    fn entry(&mut self, address: &AddressKey) -> Result<Option<Entry>, StoreError> {
        let key = params![address.domain().as_str(), address.local()];
        let found = self.tx.one(
            "SELECT a.account, o.status FROM directory_addresses a \
             LEFT JOIN directory_accounts o ON o.account = a.account \
             WHERE a.domain = ?1 AND a.local = ?2",
            key,
            |row| Ok((row.maybe_int(0)?, row.maybe_int(1)?)),
        )?;
        Ok(match found {
            None => None,
            Some((Some(account), Some(status))) => Some(Entry::Account {
                account: AccountId(account),
                status: status_from(status)?,
            }),
            Some((Some(account), None)) => {
                return Err(damaged(
                    "directory_addresses",
                    &format!("names the account {account}, which does not exist"),
                ));
            }
            Some((None, _)) => Some(Entry::Alias {
                to: self.tx.all(
                    "SELECT target FROM directory_targets WHERE domain = ?1 AND local = ?2 \
                     ORDER BY target",
                    key,
                    |row| stored_address(row.text(0)?),
                )?,
            }),
        })
    }

    fn first_account(&mut self) -> Result<Option<AccountId>, StoreError> {
        self.tx.one(
            "SELECT a.account FROM directory_accounts a \
             JOIN directory_domains d ON d.domain = a.domain \
             WHERE a.status = 0 AND d.status = 0 ORDER BY a.account LIMIT 1",
            params![],
            |row| row.int(0).map(AccountId),
        )
    }
}

/// The address in `column`, `None` for NULL.
pub(crate) fn maybe_address(row: &dyn Row, column: usize) -> Result<Option<Address>, StoreError> {
    row.maybe_text(column)?.map(stored_address).transpose()
}

/// An address as the store holds it.
pub(crate) fn stored_address(text: &str) -> Result<Address, StoreError> {
    Address::parse(text).map_err(|_| {
        damaged(
            "directory_targets",
            &format!("holds \"{text}\", which is no address"),
        )
    })
}
