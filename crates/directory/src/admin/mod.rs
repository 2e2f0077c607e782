//! Changes to the directory.

use crate::AccountId;
use platform::store::{StoreError, Tx};

/// What else happens, in the same transaction, when an account appears or goes: the mailbox crate
/// makes and removes its mailboxes there. `added` and `removed` may be called again where the
/// engine retries the transaction.
pub trait AccountHooks: Send + Sync {
    /// A new account.
    fn added(&self, tx: &mut dyn Tx, account: AccountId) -> Result<(), StoreError>;
    /// An account goes with all it has.
    fn removed(&self, tx: &mut dyn Tx, account: AccountId) -> Result<(), StoreError>;
}

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
