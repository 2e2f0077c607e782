//! Puts one message into one mailbox, inside the transaction of a caller (`queue`'s accept).
//! Two statements; the bytes are in a segment already and are not touched.

use crate::error::Error;
use crate::flags::Flags;
use crate::limits::PREFIX_BYTES_MAX;
use crate::model::{INBOX, MailboxId, SpecialUse};
use crate::tally::{Tally, reserve};
use directory::AccountId;
use platform::clock::Timestamp;
use platform::params;
use platform::segments::BodyRef;
use platform::store::{StoreError, Tx};

/// Which mailbox of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliverInto {
    /// Where mail arrives.
    Inbox,
    /// The mailbox with this use; INBOX where there is none.
    SpecialUse(SpecialUse),
    /// This one; INBOX where it was deleted.
    Mailbox(MailboxId),
}

/// One message for one account.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// Whose it is.
    pub account: AccountId,
    /// Where it goes.
    pub mailbox: DeliverInto,
    /// Where its bytes are.
    pub body: BodyRef,
    /// Header lines in front of the body that only this account sees, each ending in CRLF; at most
    /// `PREFIX_BYTES_MAX` bytes, no NUL. Empty for none.
    pub prefix: &'a str,
    /// Its flags at the start.
    pub flags: Flags,
    /// When it arrived.
    pub internal_date: Timestamp,
    /// The story of how it came here; 0 for none.
    pub trace: i64,
}

/// Where a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// The mailbox it is in.
    pub mailbox: MailboxId,
    /// Its UID there.
    pub uid: u32,
    /// The modification sequence of its arrival.
    pub modseq: i64,
}

/// Delivers one message. The caller calls `Mailboxes::announce` after its commit.
///
/// # Errors
/// `NoSuchMailbox` where the account has been removed, `UidsExhausted`, `Damaged` where the prefix
/// is too long; the caller's transaction must not commit then.
pub fn deliver(tx: &mut dyn Tx, delivery: &Delivery<'_>) -> Result<Delivered, Error> {
    if delivery.prefix.len() > PREFIX_BYTES_MAX {
        return Err(Error::Damaged(format!(
            "the lines in front of a message are longer than {PREFIX_BYTES_MAX} bytes"
        )));
    }
    let Delivery { account, .. } = *delivery;
    match find(tx, account, delivery.mailbox)? {
        INBOX => put(tx, INBOX, delivery),
        mailbox => match put(tx, mailbox, delivery) {
            Err(Error::NoSuchMailbox) => put(tx, INBOX, delivery),
            other => other,
        },
    }
}

fn find(tx: &mut dyn Tx, account: AccountId, wanted: DeliverInto) -> Result<MailboxId, StoreError> {
    match wanted {
        DeliverInto::Inbox => Ok(INBOX),
        DeliverInto::Mailbox(mailbox) => Ok(mailbox),
        DeliverInto::SpecialUse(special) => Ok(tx
            .one(
                "SELECT mailbox FROM mailboxes \
                 WHERE account = ?1 AND special_use = ?2 AND name IS NOT NULL",
                params![account.0, special.code()],
                |row| row.int(0),
            )?
            .map_or(INBOX, MailboxId)),
    }
}

fn put(tx: &mut dyn Tx, mailbox: MailboxId, delivery: &Delivery<'_>) -> Result<Delivered, Error> {
    let size = delivery.body.body_bytes + delivery.prefix.len() as i64;
    let mut tally = Tally::default();
    tally.add(delivery.flags, size);
    let reserved = reserve(tx, delivery.account, mailbox, tally)?;
    tx.execute(
        "INSERT INTO messages (account, mailbox, uid, flags, modseq, size, internal_date, \
         segment, segment_offset, facts_bytes, body_bytes, trace, prefix) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        params![
            delivery.account.0,
            mailbox.0,
            reserved.first_uid,
            delivery.flags.bits(),
            reserved.modseq,
            size,
            delivery.internal_date.0,
            delivery.body.segment,
            delivery.body.offset,
            delivery.body.facts_bytes,
            delivery.body.body_bytes,
            (delivery.trace != 0).then_some(delivery.trace),
            (!delivery.prefix.is_empty()).then_some(delivery.prefix),
        ],
    )?;
    Ok(Delivered {
        mailbox,
        // `reserve` checked the range.
        uid: reserved.first_uid as u32,
        modseq: reserved.modseq,
    })
}
