//! Changing flags (IMAP STORE). One call is one transaction over a bounded batch; neighbours that
//! get the same flags are written with one statement.

use crate::error::Error;
use crate::flags::{FlagChange, FlagOperation};
use crate::limits::BATCH_MESSAGES_MAX;
use crate::model::{self, FlagRow, MailboxId, flag_columns};
use crate::read::status_by_id;
use crate::service::Mailboxes;
use crate::tally::{Tally, count, learn_keywords};
use crate::uidset::UidSet;
use directory::AccountId;
use platform::params;
use platform::store::{StoreError, Tx};

/// What one batch did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFlags {
    /// The flags now of every message of the batch that is there and was not refused, changed or
    /// not.
    pub rows: Vec<StoredRow>,
    /// Messages that were left alone because they changed after `unchanged_since`.
    pub modified: UidSet,
    /// The modification sequence of this change; `None` where no flag changed.
    pub modseq: Option<i64>,
    /// What is still to do: call again with it until it is empty.
    pub rest: UidSet,
}

/// One message of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRow {
    /// Its flags now.
    pub now: FlagRow,
    /// The modification sequence of its change before this one. A session that does not know it yet
    /// has not heard of what another one did to the message.
    pub modseq_before: i64,
}

impl Mailboxes {
    /// Changes the flags of the first messages of `uids`, at most `BATCH_MESSAGES_MAX`. Messages
    /// that are gone are left out silently. With `unchanged_since` a message that changed later is
    /// left alone (RFC 7162 §3.1.3).
    ///
    /// # Errors
    /// `NoSuchMailbox`, `TooManyKeywords`; this batch changed nothing then.
    pub async fn store_flags(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: UidSet,
        change: FlagChange,
        unchanged_since: Option<i64>,
    ) -> Result<StoredFlags, Error> {
        let stored = self
            .store
            .write(move |tx| store(tx, account, mailbox, &uids, &change, unchanged_since))
            .await?;
        if stored.modseq.is_some() {
            self.announce(account);
        }
        Ok(stored)
    }
}

/// A message with its flags after the change.
struct Restated {
    row: StoredRow,
    changed: bool,
    /// Rises where messages that are not to change may lie between this one and the one before.
    run: usize,
}

fn store(
    tx: &mut dyn Tx,
    account: AccountId,
    mailbox: MailboxId,
    uids: &UidSet,
    change: &FlagChange,
    unchanged_since: Option<i64>,
) -> Result<StoredFlags, Error> {
    let (found, rest) = read_batch(tx, account, mailbox, uids)?;
    if found.is_empty() {
        status_by_id(tx, account, mailbox)?;
    }
    // What is only taken away need not be known.
    let keywords = match change.operation {
        FlagOperation::Add | FlagOperation::Replace if !found.is_empty() => {
            learn_keywords(tx, account, mailbox, &change.keywords)?
        }
        _ => change.keywords.clone(),
    };
    let change = FlagChange {
        keywords,
        ..*change
    };
    let mut batch = Vec::with_capacity(found.len());
    let mut modified = UidSet::new();
    let mut tally = Tally::default();
    let mut stretch = 0;
    for (run, row) in found {
        if unchanged_since.is_some_and(|limit| row.modseq > limit) {
            modified.push(row.uid, row.uid);
            stretch += 1;
            continue;
        }
        let (flags, keywords) = change.apply(row.flags, &row.keywords)?;
        let changed = flags != row.flags || keywords != row.keywords;
        tally.reflag(row.flags, flags);
        let modseq_before = row.modseq;
        let now = FlagRow {
            flags,
            keywords,
            ..row
        };
        batch.push(Restated {
            row: StoredRow { now, modseq_before },
            changed,
            run: run + stretch,
        });
    }
    let mut modseq = None;
    if batch.iter().any(|restated| restated.changed) {
        let new = count(tx, account, mailbox, tally)?;
        write_batch(tx, account, mailbox, &mut batch, new)?;
        modseq = Some(new);
    }
    let rows = batch.into_iter().map(|restated| restated.row).collect();
    Ok(StoredFlags {
        rows,
        modified,
        modseq,
        rest,
    })
}

/// Rows of the first messages of `uids`, each with the number of its run, and the UIDs left.
fn read_batch(
    tx: &mut dyn Tx,
    account: AccountId,
    mailbox: MailboxId,
    uids: &UidSet,
) -> Result<(Vec<(usize, FlagRow)>, UidSet), StoreError> {
    let mut found = Vec::new();
    for (run, (first, last)) in uids.runs().enumerate() {
        let room = BATCH_MESSAGES_MAX - found.len();
        // A run without rows counts too, so that a set of many runs is no long transaction.
        if room == 0 || run >= BATCH_MESSAGES_MAX {
            return Ok((found, uids.above(first - 1)));
        }
        let rows = tx.all(
            concat!(
                "SELECT ",
                flag_columns!(),
                " FROM messages WHERE account = ?1 AND mailbox = ?2 AND uid BETWEEN ?3 AND ?4 \
                 ORDER BY uid LIMIT ?5"
            ),
            params![account.0, mailbox.0, first, last, room as i64],
            model::flag_row,
        )?;
        let full = rows.len() == room;
        let end = rows.last().map_or(last, |row| row.uid);
        found.extend(rows.into_iter().map(|row| (run, row)));
        if full {
            return Ok((found, uids.above(end)));
        }
    }
    Ok((found, UidSet::new()))
}

fn write_batch(
    tx: &mut dyn Tx,
    account: AccountId,
    mailbox: MailboxId,
    batch: &mut [Restated],
    modseq: i64,
) -> Result<(), StoreError> {
    for same in batch.chunk_by_mut(|a, b| {
        a.run == b.run
            && a.changed == b.changed
            && a.row.now.flags == b.row.now.flags
            && a.row.now.keywords == b.row.now.keywords
    }) {
        let (Some(first), Some(last)) = (same.first(), same.last()) else {
            continue;
        };
        if !first.changed {
            continue;
        }
        tx.execute(
            "UPDATE messages SET flags = ?5, keywords = ?6, changed = ?7 \
             WHERE account = ?1 AND mailbox = ?2 AND uid BETWEEN ?3 AND ?4",
            params![
                account.0,
                mailbox.0,
                first.row.now.uid,
                last.row.now.uid,
                first.row.now.flags.bits(),
                first.row.now.keywords.stored(),
                modseq
            ],
        )?;
        same.iter_mut()
            .for_each(|restated| restated.row.now.modseq = modseq);
    }
    Ok(())
}
