//! Identities without a secret: for servers that speak for an account because of where they are. Who such a server is,
//! `policy` says; here it is only looked whether the account may be used at all.

use super::account::LoginAccount;
use super::{Credential, Identity};
use crate::{AccountId, AddressKey, Directory};
use platform::params;
use platform::store::{StoreError, Tx};
use std::sync::Arc;

impl Directory {
    /// The identity under which the relay source `source` hands mail in; `None` where the account does not exist or is
    /// suspended. Costs a read of the store.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn speaking_for(
        &self,
        account: AccountId,
        source: &str,
    ) -> Result<Option<Identity>, StoreError> {
        let found = self
            .store()
            .read(move |tx: &mut dyn Tx| {
                let login = tx.one(
                    "SELECT local, domain FROM directory_accounts WHERE account = ?1",
                    params![account.0],
                    |row| Ok(format!("{}@{}", row.text(0)?, row.text(1)?)),
                )?;
                match login.and_then(|login| AddressKey::parse(&login).ok()) {
                    Some(login) => LoginAccount::read(tx, &login),
                    None => Ok(None),
                }
            })
            .await?;
        let source: Arc<str> = source.into();
        Ok(found
            .filter(|found| !found.shut)
            .map(|found| found.identity(Credential::RelaySource { name: source })))
    }
}
