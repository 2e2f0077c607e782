//! What a change means for the counters of a mailbox row, and the statements that apply it.
//! Used by everything that writes messages, so that rows and counters never part.

use crate::error::Error;
use crate::flags::{Flags, Keywords};
use crate::limits::{TOMBSTONES_MAX, UID_MAX};
use crate::model::MailboxId;
use crate::uidset::UidSet;
use directory::AccountId;
use platform::params;
use platform::store::{StoreError, Tx};
use std::ops::ControlFlow;

/// Changes of the counters; negative where messages go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) messages: i64,
    pub(crate) unseen: i64,
    pub(crate) deleted: i64,
    pub(crate) bytes: i64,
}

impl Tally {
    /// One message more, with these flags and this size.
    pub(crate) fn add(&mut self, flags: Flags, size: i64) {
        self.messages += 1;
        self.bytes = self.bytes.saturating_add(size);
        self.flag(flags, 1);
    }

    /// A message that has `after` instead of `before`.
    pub(crate) fn reflag(&mut self, before: Flags, after: Flags) {
        self.flag(before, -1);
        self.flag(after, 1);
    }

    fn flag(&mut self, flags: Flags, by: i64) {
        self.unseen += if flags.contains(Flags::SEEN) { 0 } else { by };
        self.deleted += if flags.contains(Flags::DELETED) {
            by
        } else {
            0
        };
    }

    /// Both changes together.
    pub(crate) fn plus(self, other: Tally) -> Tally {
        Tally {
            messages: self.messages + other.messages,
            unseen: self.unseen + other.unseen,
            deleted: self.deleted + other.deleted,
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    /// The same messages going instead of coming.
    pub(crate) fn negated(self) -> Tally {
        Tally {
            messages: -self.messages,
            unseen: -self.unseen,
            deleted: -self.deleted,
            bytes: -self.bytes,
        }
    }
}

/// Where new messages go: their first UID and their modification sequence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reserved {
    pub(crate) uidvalidity: u32,
    pub(crate) first_uid: i64,
    pub(crate) modseq: i64,
}

/// Takes UIDs for the messages of `tally` and counts them.
pub(crate) fn reserve(
    tx: &mut dyn Tx,
    account: AccountId,
    mailbox: MailboxId,
    tally: Tally,
) -> Result<Reserved, Error> {
    let reserved = tx
        .one(
            "UPDATE mailboxes SET uidnext = uidnext + ?3, highest_modseq = highest_modseq + 1, \
             messages = messages + ?3, unseen = unseen + ?4, deleted = deleted + ?5, \
             bytes = bytes + ?6 \
             WHERE account = ?1 AND mailbox = ?2 AND name IS NOT NULL \
             RETURNING uidnext, highest_modseq, uidvalidity",
            params![
                account.0,
                mailbox.0,
                tally.messages,
                tally.unseen,
                tally.deleted,
                tally.bytes
            ],
            |row| {
                Ok(Reserved {
                    first_uid: row.int(0)? - tally.messages,
                    modseq: row.int(1)?,
                    uidvalidity: crate::model::small(row, 2)?,
                })
            },
        )?
        .ok_or(Error::NoSuchMailbox)?;
    // UIDNEXT itself must fit into 32 bits too, so the last number is never given out.
    if reserved.first_uid + tally.messages > UID_MAX {
        return Err(Error::UidsExhausted);
    }
    Ok(reserved)
}

/// Counts a change of messages that are there; gives its modification sequence.
pub(crate) fn count(
    tx: &mut dyn Tx,
    account: AccountId,
    mailbox: MailboxId,
    tally: Tally,
) -> Result<i64, Error> {
    tx.one(
        "UPDATE mailboxes SET highest_modseq = highest_modseq + 1, messages = messages + ?3, \
         unseen = unseen + ?4, deleted = deleted + ?5, bytes = bytes + ?6 \
         WHERE account = ?1 AND mailbox = ?2 AND name IS NOT NULL RETURNING highest_modseq",
        params![
            account.0,
            mailbox.0,
            tally.messages,
            tally.unseen,
            tally.deleted,
            tally.bytes
        ],
        |row| row.int(0),
    )?
    .ok_or(Error::NoSuchMailbox)
}

/// `wanted` as the mailbox spells them; those it does not know yet are written into its row, where
/// they stay until the row is full of keywords that no message has any more.
///
/// # Errors
/// `TooManyKeywords` where its messages would have more than `KEYWORDS_MAX`, `NoSuchMailbox`.
pub(crate) fn learn_keywords(
    tx: &mut dyn Tx,
    account: AccountId,
    mailbox: MailboxId,
    wanted: &Keywords,
) -> Result<Keywords, Error> {
    if wanted.is_empty() {
        return Ok(Keywords::default());
    }
    let before = tx
        .one(
            "SELECT keywords FROM mailboxes \
             WHERE account = ?1 AND mailbox = ?2 AND name IS NOT NULL",
            params![account.0, mailbox.0],
            |row| Ok(Keywords::from_stored(row.maybe_text(0)?)),
        )?
        .ok_or(Error::NoSuchMailbox)?;
    let mut known = before.clone();
    let spelled = match wanted.enter_into(&mut known) {
        Err(Error::TooManyKeywords) => {
            known = keywords_in_use(tx, account, mailbox)?;
            wanted.enter_into(&mut known)?
        }
        other => other?,
    };
    if known != before {
        tx.execute(
            "UPDATE mailboxes SET keywords = ?3 WHERE account = ?1 AND mailbox = ?2",
            params![account.0, mailbox.0, known.stored()],
        )?;
    }
    Ok(spelled)
}

fn keywords_in_use(
    tx: &mut dyn Tx,
    account: AccountId,
    mailbox: MailboxId,
) -> Result<Keywords, StoreError> {
    let mut used = Keywords::default();
    tx.query(
        "SELECT DISTINCT keywords FROM messages \
         WHERE account = ?1 AND mailbox = ?2 AND keywords IS NOT NULL",
        params![account.0, mailbox.0],
        &mut |row| {
            used = used.union(&Keywords::from_stored(row.maybe_text(0)?));
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(used)
}

/// Removes the rows `uids` and remembers that they were there. Counters are the caller's.
pub(crate) fn remove_rows(
    tx: &mut dyn Tx,
    account: AccountId,
    mailbox: MailboxId,
    uids: &UidSet,
    modseq: i64,
) -> Result<(), Error> {
    let mut gone = 0;
    for (first, last) in uids.runs() {
        gone += tx.execute(
            "DELETE FROM messages \
             WHERE account = ?1 AND mailbox = ?2 AND uid BETWEEN ?3 AND ?4",
            params![account.0, mailbox.0, first, last],
        )?;
        tx.execute(
            "INSERT INTO expunged (account, mailbox, modseq, first_uid, last_uid) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![account.0, mailbox.0, modseq, first, last],
        )?;
    }
    if gone != u64::from(uids.len()) {
        return Err(Error::Damaged(format!(
            "{} messages of mailbox {} of account {} were to go, {gone} went",
            uids.len(),
            mailbox.0,
            account.0
        )));
    }
    let runs = i64::try_from(uids.runs().len()).unwrap_or(i64::MAX);
    let remembered = tx
        .one(
            "UPDATE mailboxes SET tombstones = tombstones + ?3 \
             WHERE account = ?1 AND mailbox = ?2 RETURNING tombstones",
            params![account.0, mailbox.0, runs],
            |row| row.int(0),
        )?
        .ok_or(Error::NoSuchMailbox)?;
    if remembered > TOMBSTONES_MAX {
        forget_older_half(tx, account, mailbox)?;
    }
    Ok(())
}

/// Whole modification sequences are forgotten, so that what is left is complete.
fn forget_older_half(
    tx: &mut dyn Tx,
    account: AccountId,
    mailbox: MailboxId,
) -> Result<(), StoreError> {
    let cut = tx.one(
        "SELECT modseq FROM expunged WHERE account = ?1 AND mailbox = ?2 \
         ORDER BY modseq DESC LIMIT 1 OFFSET ?3",
        params![account.0, mailbox.0, TOMBSTONES_MAX / 2],
        |row| row.int(0),
    )?;
    let Some(cut) = cut else {
        return Ok(());
    };
    let forgotten = tx.execute(
        "DELETE FROM expunged WHERE account = ?1 AND mailbox = ?2 AND modseq <= ?3",
        params![account.0, mailbox.0, cut],
    )?;
    tx.execute(
        "UPDATE mailboxes SET tombstones = tombstones - ?3, tombstones_from = ?4 \
         WHERE account = ?1 AND mailbox = ?2",
        params![
            account.0,
            mailbox.0,
            i64::try_from(forgotten).unwrap_or(i64::MAX),
            cut
        ],
    )
    .map(drop)
}
