//! INBOX as POP3 sees it: a snapshot that stays as it is while others change the mailbox
//! (RFC 1939 §3). Removal at QUIT is `expunge` with `ExpungeScope::Exactly`.

use crate::error::Error;
use crate::model::{self, INBOX};
use crate::read::status_by_id;
use crate::service::Mailboxes;
use directory::AccountId;
use platform::params;
use platform::store::Tx;

/// One message of a maildrop; its number is its position, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaildropMessage {
    /// Its UID in INBOX.
    pub uid: u32,
    /// Its bytes as a client sees them.
    pub size: u64,
}

/// A snapshot of INBOX.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Maildrop {
    /// UIDVALIDITY of INBOX.
    pub uidvalidity: u32,
    /// Its messages in order of their UIDs.
    pub messages: Vec<MaildropMessage>,
}

impl Maildrop {
    /// Sum of the sizes, for STAT.
    pub fn bytes(&self) -> u64 {
        self.messages.iter().map(|message| message.size).sum()
    }

    /// The unique id of a message (RFC 1939 §7): UIDVALIDITY and UID in hexadecimal. The same after
    /// restarts and restores, and never given to another message.
    pub fn uidl(&self, message: &MaildropMessage) -> String {
        format!("{:08x}{:08x}", self.uidvalidity, message.uid)
    }
}

impl Mailboxes {
    /// The maildrop of `account` as it is now: 16 bytes of memory per message.
    ///
    /// # Errors
    /// `NoSuchMailbox` where the account was removed.
    pub async fn maildrop(&self, account: AccountId) -> Result<Maildrop, Error> {
        let read = move |tx: &mut dyn Tx| {
            let uidvalidity = status_by_id(tx, account, INBOX)?.uidvalidity;
            let messages = tx.all(
                "SELECT uid, size FROM messages WHERE account = ?1 AND mailbox = ?2 ORDER BY uid",
                params![account.0, INBOX.0],
                |row| {
                    let (uid, size) = (model::small(row, 0)?, model::natural(row, 1)?);
                    Ok(MaildropMessage { uid, size })
                },
            )?;
            Ok(Maildrop {
                uidvalidity,
                messages,
            })
        };
        self.store.read(read).await
    }
}
