//! Accounts and their mailboxes come and go in one transaction: the directory's operations with
//! the mailbox crate hooked in. What goes, account, alias, domain or group, takes its policy along, so that
//! whoever comes back under the name meets no old settings. What becomes an account's own address is no finding any more.

use directory::admin::{AccountHooks, Admin, LeadsThere};
use directory::{AccountId, AddressKey, Directory, DomainName};
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
        https::remove_account(tx, account)?;
        policy::remove_account(tx, account)?;
        rollout::remove_account(tx, account)?;
        mailbox::remove_account(tx, account)
    }

    fn domain_removed(&self, tx: &mut dyn Tx, domain: &DomainName) -> Result<(), StoreError> {
        https::remove_domain(tx, domain)?;
        policy::remove_domain(tx, domain)?;
        rollout::remove_domain(tx, domain)?;
        rollout::dmarc::seen::remove_domain(tx, domain.as_str())?;
        rollout::zone_change::remove_domain(tx, domain.as_str())
    }

    fn alias_removed(&self, tx: &mut dyn Tx, alias: &AddressKey) -> Result<(), StoreError> {
        policy::remove_address(tx, alias)
    }

    fn reached(
        &self,
        tx: &mut dyn Tx,
        account: AccountId,
        leads_there: &LeadsThere<'_>,
    ) -> Result<(), StoreError> {
        policy::findings::settle_owned(tx, account, leads_there)
    }

    fn group_removed(&self, tx: &mut dyn Tx, group: &str) -> Result<(), StoreError> {
        policy::remove_group(tx, group)
    }
}

/// Operations on a directory whose accounts have mailboxes.
pub(crate) fn admin(directory: Directory, clock: Clock) -> Admin {
    Admin::new(directory, Arc::new(MailboxHooks { clock }))
}
