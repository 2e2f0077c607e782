//! Accounts and their mailboxes come and go in one transaction: the directory's operations with
//! the mailbox crate hooked in.

use directory::admin::{AccountHooks, Admin};
use directory::{AccountId, Directory};
use platform::clock::Clock;
use platform::store::{StoreError, Tx};
use std::sync::Arc;

struct MailboxHooks {
    clock: Clock,
}

impl AccountHooks for MailboxHooks {
    fn added(&self, tx: &mut dyn Tx, account: AccountId) -> Result<(), StoreError> {
        mailbox::create_account_mailboxes(tx, account, self.clock.now())
    }

    fn removed(&self, tx: &mut dyn Tx, account: AccountId) -> Result<(), StoreError> {
        mailbox::remove_account(tx, account)
    }
}

/// Operations on a directory whose accounts have mailboxes.
pub(crate) fn admin(directory: Directory, clock: Clock) -> Admin {
    Admin::new(directory, Arc::new(MailboxHooks { clock }))
}
