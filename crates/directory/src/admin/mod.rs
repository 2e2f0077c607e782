//! Changes to the directory, as the CLI and later the admin API make them. Each operation is one
//! transaction: it decides on what it reads there, carries the changes out, checks that nothing
//! leads in circles, and rolls back with a sentence for the operator if anything is wrong.

mod account;
mod alias;
mod app_password;
mod domain;
mod group;
mod password;
mod reach;
mod references;
mod state;

pub use account::{AccountView, NewAccount};
pub use alias::AliasView;
pub use app_password::{AppPasswordView, NewAppPassword};
pub use domain::{DomainView, NewDomain};
pub use group::GroupView;
pub use password::NewPassword;
pub use state::{Planned, Removals};

use crate::names::NameError;
use crate::resolution::{Resolution, resolve};
use crate::rows::facts::StoreFacts;
use crate::rows::write::{Hands, carry_out};
use crate::state::{Change, StateError};
use crate::{AccountId, AddressKey, Directory, DomainName};
use formats::address::Address;
use platform::clock::Timestamp;
use platform::store::{StoreError, Tx};
use std::sync::Arc;

/// What else happens, in the same transaction, when an account appears or goes, or a domain, alias or
/// group goes: the mailbox crate makes and removes mailboxes there, the policy crate removes settings. All of
/// them may be called again where the engine retries the transaction.
pub trait AccountHooks: Send + Sync {
    /// A new account.
    ///
    /// # Errors
    /// Those of the store; the account is not added then.
    fn added(&self, tx: &mut dyn Tx, account: AccountId) -> Result<(), StoreError>;
    /// An account goes with all it has.
    ///
    /// # Errors
    /// Those of the store; the account stays then.
    fn removed(&self, tx: &mut dyn Tx, account: AccountId) -> Result<(), StoreError>;
    /// A domain goes; its accounts are gone already.
    ///
    /// # Errors
    /// Those of the store; the domain stays then.
    fn domain_removed(&self, _tx: &mut dyn Tx, _domain: &DomainName) -> Result<(), StoreError> {
        Ok(())
    }
    /// An alias goes.
    ///
    /// # Errors
    /// Those of the store; the alias stays then.
    fn alias_removed(&self, _tx: &mut dyn Tx, _alias: &AddressKey) -> Result<(), StoreError> {
        Ok(())
    }
    /// Addresses may lead to an account that did not before: an alias, a target, a catch-all was set. `leads_there` says of
    /// an address whether it leads there now.
    ///
    /// # Errors
    /// Those of the store; nothing is changed then.
    fn reached(
        &self,
        _tx: &mut dyn Tx,
        _account: AccountId,
        _leads_there: &LeadsThere<'_>,
    ) -> Result<(), StoreError> {
        Ok(())
    }
    /// A group goes.
    ///
    /// # Errors
    /// Those of the store; the group stays then.
    fn group_removed(&self, _tx: &mut dyn Tx, _group: &str) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Whether an address leads to the account in question, as the transaction sees it.
pub type LeadsThere<'a> = dyn Fn(&mut dyn Tx, &Address) -> Result<bool, StoreError> + 'a;

/// Nothing else happens.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHooks;

impl AccountHooks for NoHooks {
    fn added(&self, _: &mut dyn Tx, _: AccountId) -> Result<(), StoreError> {
        Ok(())
    }
    fn removed(&self, _: &mut dyn Tx, _: AccountId) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Why an operation did nothing. The texts are for the operator.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// There is one already.
    #[error("{0}")]
    Exists(String),
    /// There is none.
    #[error("{0}")]
    Missing(String),
    /// Something else still needs it.
    #[error("{0}")]
    InUse(String),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<NameError> for AdminError {
    fn from(error: NameError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<StateError> for AdminError {
    fn from(error: StateError) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// What happens to that which still leads to, or lies in, something that is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dependents {
    /// The removal is refused and names them.
    Keep,
    /// They are removed too; aliases lose the target and go when it was the last.
    Remove,
}

/// Whether and how a value changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Setting<T> {
    /// It stays.
    #[default]
    Leave,
    /// It becomes nothing.
    Clear,
    /// It becomes this.
    To(T),
}

impl<T: Clone> Setting<T> {
    /// The new value where the old one was `old`.
    pub fn over(&self, old: Option<T>) -> Option<T> {
        match self {
            Self::Leave => old,
            Self::Clear => None,
            Self::To(value) => Some(value.clone()),
        }
    }
}

/// Makes changes. Cheap to clone.
#[derive(Clone)]
pub struct Admin {
    directory: Directory,
    hooks: Arc<dyn AccountHooks>,
}

impl Admin {
    /// Operations on `directory`; `hooks` run with every account added or removed.
    pub fn new(directory: Directory, hooks: Arc<dyn AccountHooks>) -> Self {
        Self { directory, hooks }
    }

    /// The directory it changes.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// One transaction: `decide` reads and says what shall change (it may run more than once), then
    /// that is done. Gives the changes.
    async fn change(
        &self,
        now: Timestamp,
        decide: impl FnMut(&mut dyn Tx) -> Result<Vec<Change>, AdminError> + Send + 'static,
    ) -> Result<Vec<Change>, AdminError> {
        let changed = self.change_with(now, decide, |_| Ok::<_, AdminError>(()));
        Ok(changed.await?.0)
    }

    /// The same, with what `beside` does after it in the same transaction.
    async fn change_with<T, E>(
        &self,
        now: Timestamp,
        mut decide: impl FnMut(&mut dyn Tx) -> Result<Vec<Change>, AdminError> + Send + 'static,
        mut beside: impl FnMut(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<(Vec<Change>, T), E>
    where
        T: Send + 'static,
        E: From<AdminError> + From<StoreError> + Send + 'static,
    {
        let hooks = self.hooks.clone();
        let random = self.directory.random().clone();
        let rules = self.directory.rules().clone();
        let changed = self
            .directory
            .store()
            .write(move |tx: &mut dyn Tx| {
                let changes = decide(tx)?;
                let hands = Hands {
                    hooks: &*hooks,
                    random: &random,
                    now,
                };
                carry_out(tx, &changes, &hands)?;
                references::check_changed(tx, &rules, &changes)?;
                reach::tell(tx, &rules, &changes, &*hooks)?;
                let told = beside(tx)?;
                Ok::<_, E>((changes, told))
            })
            .await?;
        // The change is made; a node that cannot read its revision now will within a second.
        if let Err(error) = self.directory.refresh().await {
            tracing::error!(%error, "refresh directory");
        }
        Ok(changed)
    }
}

/// Where `address` leads as the transaction sees it.
fn resolved(
    tx: &mut dyn Tx,
    rules: &crate::resolution::Rules,
    address: &Address,
) -> Result<Resolution, StoreError> {
    resolve(&mut StoreFacts::new(tx), rules, address)
}

#[cfg(test)]
mod tests;
