//! Operations on groups.

use super::{Admin, AdminError};
use crate::state::{Change, Group, label_problem};
use platform::clock::Timestamp;
use platform::params;
use platform::store::{StoreError, Tx};

/// A group as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct GroupView {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// Domains in it.
    pub domains: i64,
    /// Accounts with it as their own group.
    pub accounts: i64,
}

impl Admin {
    /// Adds a group.
    ///
    /// # Errors
    /// `Exists`, `Invalid` (a name that cannot be one), `Store`.
    pub async fn add_group(
        &self,
        name: &str,
        description: &str,
        now: Timestamp,
    ) -> Result<(), AdminError> {
        let (name, description) = (name.to_owned(), description.to_owned());
        if let Some(problem) = label_problem(&name, "group") {
            return Err(AdminError::Invalid(problem));
        }
        self.change(now, move |tx| {
            if exists(tx, &name)? {
                return Err(AdminError::Exists(format!("group {name} exists already")));
            }
            let group = Group {
                description: description.clone(),
            };
            Ok(vec![Change::GroupAdded {
                name: name.clone(),
                group,
            }])
        })
        .await
        .map(drop)
    }

    /// Changes a group's description.
    ///
    /// # Errors
    /// `Missing`, `Store`.
    pub async fn set_group(
        &self,
        name: &str,
        description: &str,
        now: Timestamp,
    ) -> Result<(), AdminError> {
        let (name, description) = (name.to_owned(), description.to_owned());
        self.change(now, move |tx| {
            require(tx, &name)?;
            let to = Group {
                description: description.clone(),
            };
            Ok(vec![Change::GroupChanged {
                name: name.clone(),
                to,
            }])
        })
        .await
        .map(drop)
    }

    /// Removes a group nothing is in.
    ///
    /// # Errors
    /// `Missing`, `InUse`, `Store`.
    pub async fn remove_group(&self, name: &str, now: Timestamp) -> Result<(), AdminError> {
        let name = name.to_owned();
        self.change(now, move |tx| {
            require(tx, &name)?;
            let (domains, accounts) = members(tx, &name)?;
            if domains + accounts > 0 {
                return Err(AdminError::InUse(format!(
                    "group {name} still has {domains} domains and {accounts} accounts; give them another group first"
                )));
            }
            Ok(vec![Change::GroupRemoved { name: name.clone() }])
        })
        .await
        .map(drop)
    }

    /// All groups by name.
    ///
    /// # Errors
    /// `Store`.
    pub async fn groups(&self) -> Result<Vec<GroupView>, AdminError> {
        self.directory
            .store()
            .read(|tx: &mut dyn Tx| {
                let rows = tx.all(
                    "SELECT name, description FROM directory_groups ORDER BY name",
                    params![],
                    |row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned())),
                )?;
                rows.into_iter()
                    .map(|(name, description)| {
                        let (domains, accounts) = members(tx, &name)?;
                        Ok(GroupView {
                            name,
                            description,
                            domains,
                            accounts,
                        })
                    })
                    .collect()
            })
            .await
    }

    /// One group.
    ///
    /// # Errors
    /// `Missing`, `Store`.
    pub async fn group(&self, name: &str) -> Result<GroupView, AdminError> {
        let all = self.groups().await?;
        all.into_iter()
            .find(|group| group.name == name)
            .ok_or_else(|| missing(name))
    }
}

fn missing(name: &str) -> AdminError {
    AdminError::Missing(format!(
        "group {name} does not exist; `rohrpost group list` shows those that do"
    ))
}

pub(super) fn exists(tx: &mut dyn Tx, name: &str) -> Result<bool, StoreError> {
    let found = tx.one(
        "SELECT 1 FROM directory_groups WHERE name = ?1",
        params![name],
        |row| row.int(0),
    )?;
    Ok(found.is_some())
}

pub(super) fn require(tx: &mut dyn Tx, name: &str) -> Result<(), AdminError> {
    if exists(tx, name)? {
        Ok(())
    } else {
        Err(missing(name))
    }
}

fn members(tx: &mut dyn Tx, name: &str) -> Result<(i64, i64), StoreError> {
    let domains = tx.one(
        "SELECT COUNT(*) FROM directory_domains WHERE group_name = ?1",
        params![name],
        |row| row.int(0),
    )?;
    let accounts = tx.one(
        "SELECT COUNT(*) FROM directory_accounts WHERE group_name = ?1",
        params![name],
        |row| row.int(0),
    )?;
    Ok((domains.unwrap_or(0), accounts.unwrap_or(0)))
}
