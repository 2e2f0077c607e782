//! What happened in a mailbox since a session last looked. One row read where nothing did;
//! bounded otherwise: `more` says that the same question with the new watermark goes on.

use crate::error::Error;
use crate::limits::{CHANGED_ROWS_MAX, NEW_UIDS_MAX};
use crate::model::{self, FlagRow, MailboxId, Status, Watermark, flag_columns};
use crate::read::{status_by_id, uids};
use crate::service::Mailboxes;
use crate::uidset::UidSet;
use directory::AccountId;
use platform::params;
use platform::store::{StoreError, Tx};

/// Which messages went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expunged {
    /// These, among them perhaps some the session never saw.
    Uids(UidSet),
    /// Everything that is not in this set: the session was away for longer than expunged messages
    /// are remembered.
    AllBut(UidSet),
}

/// What happened since a watermark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// Which messages went.
    pub expunged: Expunged,
    /// New flags of messages the session knew, in the order of the changes.
    pub flags: Vec<FlagRow>,
    /// Messages that came.
    pub arrived: UidSet,
    /// What the session has seen once it took all this in.
    pub watermark: Watermark,
    /// Messages from this UID on are \Recent for whoever claims them (`claim_recent`).
    pub recent_from: u32,
    /// Whether there is more; ask again with `watermark`.
    pub more: bool,
}

impl Changes {
    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.flags.is_empty()
            && self.arrived.is_empty()
            && matches!(&self.expunged, Expunged::Uids(uids) if uids.is_empty())
    }

    /// The messages among `known` that went.
    pub fn gone_from(&self, known: &UidSet) -> UidSet {
        match &self.expunged {
            Expunged::Uids(uids) => known.intersection(uids),
            Expunged::AllBut(present) => known.difference(present),
        }
    }
}

impl Mailboxes {
    /// What happened in `mailbox` since the session saw `since`.
    ///
    /// # Errors
    /// `NoSuchMailbox` where it was deleted.
    pub async fn changes(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        since: Watermark,
    ) -> Result<Changes, Error> {
        self.store
            .read(move |tx| changes(tx, account, mailbox, since))
            .await
    }
}

fn changes(
    tx: &mut dyn Tx,
    account: AccountId,
    mailbox: MailboxId,
    since: Watermark,
) -> Result<Changes, Error> {
    let status = status_by_id(tx, account, mailbox)?;
    if status.watermark() == since {
        return Ok(Changes {
            expunged: Expunged::Uids(UidSet::new()),
            flags: Vec::new(),
            arrived: UidSet::new(),
            watermark: since,
            recent_from: status.recent_from,
            more: false,
        });
    }
    let (arrived, uidnext) = arrived(tx, account, status, since)?;
    let (flags, modseq) = flags(tx, account, status, since)?;
    let watermark = Watermark { uidnext, modseq };
    Ok(Changes {
        expunged: expunged(tx, account, status, since, modseq)?,
        flags,
        arrived,
        watermark,
        recent_from: status.recent_from,
        more: watermark != status.watermark(),
    })
}

/// New UIDs, and up to where they were looked for.
fn arrived(
    tx: &mut dyn Tx,
    account: AccountId,
    status: Status,
    since: Watermark,
) -> Result<(UidSet, u32), StoreError> {
    let mut arrived = UidSet::new();
    if since.uidnext >= status.uidnext {
        return Ok((arrived, status.uidnext));
    }
    tx.query(
        "SELECT uid FROM messages WHERE account = ?1 AND mailbox = ?2 AND uid >= ?3 \
         ORDER BY uid LIMIT ?4",
        params![
            account.0,
            status.mailbox.0,
            since.uidnext,
            NEW_UIDS_MAX as i64
        ],
        &mut |row| {
            let uid = model::small(row, 0)?;
            arrived.push(uid, uid);
            Ok(std::ops::ControlFlow::Continue(()))
        },
    )?;
    let all = (arrived.len() as usize) < NEW_UIDS_MAX;
    let seen_to = arrived
        .last()
        .map_or(status.uidnext, |last| last.saturating_add(1));
    Ok((arrived, if all { status.uidnext } else { seen_to }))
}

/// Changed flags of messages the session knew, and the modification sequence they are complete to.
fn flags(
    tx: &mut dyn Tx,
    account: AccountId,
    status: Status,
    since: Watermark,
) -> Result<(Vec<FlagRow>, i64), StoreError> {
    let mut rows = tx.all(
        concat!(
            "SELECT ",
            flag_columns!(),
            " FROM messages WHERE account = ?1 AND mailbox = ?2 AND changed > ?3 AND uid < ?4 \
             ORDER BY changed, uid LIMIT ?5"
        ),
        params![
            account.0,
            status.mailbox.0,
            since.modseq,
            since.uidnext,
            CHANGED_ROWS_MAX as i64
        ],
        model::flag_row,
    )?;
    if rows.len() < CHANGED_ROWS_MAX {
        return Ok((rows, status.highest_modseq));
    }
    // The last transaction may not be here in full; it comes with the next answer.
    let last = rows.last().map_or(0, |row| row.modseq);
    let whole = rows.partition_point(|row| row.modseq < last);
    rows.truncate(whole);
    Ok((rows, last - 1))
}

fn expunged(
    tx: &mut dyn Tx,
    account: AccountId,
    status: Status,
    since: Watermark,
    to_modseq: i64,
) -> Result<Expunged, StoreError> {
    let remembered_from = tx.one(
        "SELECT tombstones_from FROM mailboxes WHERE account = ?1 AND mailbox = ?2",
        params![account.0, status.mailbox.0],
        |row| row.int(0),
    )?;
    if since.modseq < remembered_from.unwrap_or(i64::MAX) {
        return uids(tx, account, status).map(Expunged::AllBut);
    }
    let runs = tx.all(
        "SELECT first_uid, last_uid FROM expunged \
         WHERE account = ?1 AND mailbox = ?2 AND modseq > ?3 AND modseq <= ?4",
        params![account.0, status.mailbox.0, since.modseq, to_modseq],
        |row| Ok((model::small(row, 0)?, model::small(row, 1)?)),
    )?;
    Ok(Expunged::Uids(UidSet::from_ranges(runs)))
}
