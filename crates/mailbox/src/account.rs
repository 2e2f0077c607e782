//! The mailboxes of an account as it comes and goes, inside the directory's transactions, and what
//! must happen after a backup was restored. Never looks at messages.

use crate::folders::insert_mailbox;
use crate::limits::{MODSEQ_RESTORE_GAP, UID_MAX, UID_RESTORE_GAP};
use crate::model::{INBOX, SpecialUse};
use crate::name::MailboxName;
use directory::AccountId;
use platform::clock::Timestamp;
use platform::params;
use platform::store::{StoreError, Tx};

/// Gives a new account INBOX and a mailbox per special use, all subscribed.
///
/// # Errors
/// `Exists` where the account has mailboxes already.
pub fn create_account_mailboxes(
    tx: &mut dyn Tx,
    account: AccountId,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO mailbox_accounts (account, next_mailbox, uidvalidity) VALUES (?1, ?2, 0)",
        params![account.0, INBOX.0],
    )?;
    let named = SpecialUse::ALL.map(|special| (special.name(), Some(special)));
    for (name, special) in std::iter::once((MailboxName::INBOX, None)).chain(named) {
        insert_mailbox(tx, account, name, special, now)?;
        subscribe(tx, account, name)?;
    }
    Ok(())
}

/// Takes all mailboxes of an account away at once. The rows of its messages go later, in batches
/// (`Mailboxes::sweep`); nobody can reach them from here on.
pub fn remove_account(tx: &mut dyn Tx, account: AccountId) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE mailboxes SET name = NULL, special_use = NULL WHERE account = ?1",
        params![account.0],
    )?;
    tx.execute(
        "DELETE FROM subscriptions WHERE account = ?1",
        params![account.0],
    )?;
    tx.execute(
        "DELETE FROM mailbox_accounts WHERE account = ?1",
        params![account.0],
    )?;
    Ok(())
}

/// To be called once after a backup was restored, before the server starts. Clients may have seen
/// messages and changes that came after the backup; UIDs and modification sequences jump past
/// anything they can have seen. UIDVALIDITY, and with it every cached message and POP3 UIDL, stays.
pub fn after_restore(tx: &mut dyn Tx) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE mailboxes SET highest_modseq = highest_modseq + ?1, \
         tombstones_from = highest_modseq + ?1, \
         uidnext = CASE WHEN uidnext + ?2 < ?3 THEN uidnext + ?2 ELSE ?3 END",
        params![MODSEQ_RESTORE_GAP, UID_RESTORE_GAP, UID_MAX],
    )
    .map(drop)
}

pub(crate) fn subscribe(tx: &mut dyn Tx, account: AccountId, name: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO subscriptions (account, name) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        params![account.0, name],
    )
    .map(drop)
}
