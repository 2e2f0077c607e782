//! Checking and mending: which bodies rows refer to, whether counters agree with rows, and new
//! places for bodies after compaction. Called by `rohrpost verify` and by the compaction of segments;
//! reads in bounded pages, so that a check of everything holds nobody up.

use crate::error::Error;
use crate::flags::Flags;
use crate::limits::ROWS_MAX;
use crate::model::{self, MailboxId};
use crate::service::Mailboxes;
use crate::tally::Tally;
use directory::AccountId;
use platform::params;
use platform::segments::BodyRef;
use platform::store::{StoreError, Tx};
use std::ops::ControlFlow;

/// One message row and the body it refers to. Pages are in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Whose message it is.
    pub account: AccountId,
    /// In which mailbox.
    pub mailbox: MailboxId,
    /// Its UID.
    pub uid: u32,
    /// Where its bytes are.
    pub body: BodyRef,
}

/// A mailbox whose counters were compared with its rows, and what is wrong, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recount {
    /// The last mailbox of this step; ask for the one after it. `None` after the last.
    pub next: Option<(AccountId, MailboxId)>,
    /// What is wrong, in words; empty where all is well.
    pub faults: Vec<String>,
}

impl Mailboxes {
    /// The references after `after` (`None`: from the start) in order of account, mailbox and UID,
    /// at most `ROWS_MAX`. Fewer than that: these were the last. Rows of deleted mailboxes that were
    /// not swept yet are among them.
    pub async fn references(&self, after: Option<Reference>) -> Result<Vec<Reference>, Error> {
        let (account, mailbox, uid) = after.map_or((i64::MIN, i64::MIN, i64::MIN), |r| {
            (r.account.0, r.mailbox.0, i64::from(r.uid))
        });
        let read = move |tx: &mut dyn Tx| {
            tx.all(
                "SELECT account, mailbox, uid, segment, segment_offset, facts_bytes, body_bytes \
                 FROM messages WHERE (account, mailbox, uid) > (?1, ?2, ?3) \
                 ORDER BY account, mailbox, uid LIMIT ?4",
                params![account, mailbox, uid, ROWS_MAX as i64],
                reference,
            )
        };
        Ok(self.store.read(read).await?)
    }

    /// The references into `segment` at `from_offset` or later in order of offset, at most
    /// `ROWS_MAX` and then all others of the last offset. Empty: there are no more.
    pub async fn references_into(
        &self,
        segment: i64,
        from_offset: i64,
    ) -> Result<Vec<Reference>, Error> {
        let read = move |tx: &mut dyn Tx| references_into(tx, segment, from_offset);
        Ok(self.store.read(read).await?)
    }

    /// Compares the counters of the mailbox after `after` (`None`: the first) with its rows.
    pub async fn recount(&self, after: Option<(AccountId, MailboxId)>) -> Result<Recount, Error> {
        let (account, mailbox) = after.map_or((i64::MIN, i64::MIN), |(a, m)| (a.0, m.0));
        Ok(self
            .store
            .read(move |tx| recount(tx, account, mailbox))
            .await?)
    }

    /// Accounts with messages in a mailbox that does not exist, in words; at most a hundred.
    pub async fn orphans(&self) -> Result<Vec<String>, Error> {
        let read = |tx: &mut dyn Tx| {
            tx.all(
                "SELECT m.account, m.mailbox, COUNT(*) FROM messages m \
                 LEFT JOIN mailboxes b ON b.account = m.account AND b.mailbox = m.mailbox \
                 WHERE b.account IS NULL GROUP BY m.account, m.mailbox LIMIT 100",
                &[],
                |row| {
                    Ok(format!(
                        "account {} has {} messages in mailbox {}, which does not exist",
                        row.int(0)?,
                        row.int(2)?,
                        row.int(1)?
                    ))
                },
            )
        };
        Ok(self.store.read(read).await?)
    }
}

/// Makes every row that refers to the body `old` refer to `new`; gives how many did. Called by
/// compaction, in the transaction that retires the old place.
pub fn retarget(tx: &mut dyn Tx, old: BodyRef, new: BodyRef) -> Result<u64, StoreError> {
    tx.execute(
        "UPDATE messages SET segment = ?3, segment_offset = ?4, facts_bytes = ?5 \
         WHERE segment = ?1 AND segment_offset = ?2",
        params![
            old.segment,
            old.offset,
            new.segment,
            new.offset,
            new.facts_bytes
        ],
    )
}

fn reference(row: &dyn platform::store::Row) -> Result<Reference, StoreError> {
    Ok(Reference {
        account: AccountId(row.int(0)?),
        mailbox: MailboxId(row.int(1)?),
        uid: model::small(row, 2)?,
        body: model::body_ref(row, 3)?,
    })
}

fn references_into(
    tx: &mut dyn Tx,
    segment: i64,
    from_offset: i64,
) -> Result<Vec<Reference>, StoreError> {
    const BY_BODY: &str = "SELECT account, mailbox, uid, segment, segment_offset, facts_bytes, \
         body_bytes FROM messages WHERE segment = ?1 AND segment_offset >= ?2 \
         ORDER BY segment_offset LIMIT ?3";
    const SAME_BODY: &str = "SELECT account, mailbox, uid, segment, segment_offset, facts_bytes, \
         body_bytes FROM messages WHERE segment = ?1 AND segment_offset = ?2";
    let mut found = tx.all(
        BY_BODY,
        params![segment, from_offset, ROWS_MAX as i64],
        reference,
    )?;
    if found.len() == ROWS_MAX
        && let Some(last) = found.last().map(|reference| reference.body.offset)
    {
        // A body with many recipients must not be torn apart by a page's end.
        found.retain(|reference| reference.body.offset != last);
        found.extend(tx.all(SAME_BODY, params![segment, last], reference)?);
    }
    Ok(found)
}

/// The last body that rows refer to in each of the newest `segments_max` segments: what the store
/// knows to be durable when the segments are opened.
pub fn newest_bodies(tx: &mut dyn Tx, segments_max: usize) -> Result<Vec<BodyRef>, StoreError> {
    let mut newest = Vec::new();
    let mut before = i64::MAX;
    while newest.len() < segments_max {
        let found = tx.one(
            "SELECT segment, segment_offset, facts_bytes, body_bytes FROM messages \
             WHERE segment < ?1 ORDER BY segment DESC, segment_offset DESC LIMIT 1",
            params![before],
            |row| {
                Ok(BodyRef {
                    segment: row.int(0)?,
                    offset: row.int(1)?,
                    facts_bytes: row.int(2)?,
                    body_bytes: row.int(3)?,
                })
            },
        )?;
        let Some(body) = found else { break };
        before = body.segment;
        newest.push(body);
    }
    Ok(newest)
}

fn recount(tx: &mut dyn Tx, account: i64, mailbox: i64) -> Result<Recount, StoreError> {
    let row = tx.one(
        "SELECT account, mailbox, messages, unseen, deleted, bytes, uidnext, highest_modseq, \
         name FROM mailboxes WHERE (account, mailbox) > (?1, ?2) \
         ORDER BY account, mailbox LIMIT 1",
        params![account, mailbox],
        |row| {
            let says = Tally {
                messages: row.int(2)?,
                unseen: row.int(3)?,
                deleted: row.int(4)?,
                bytes: row.int(5)?,
            };
            let deleted = row.is_null(8)?;
            Ok((
                row.int(0)?,
                row.int(1)?,
                says,
                row.int(6)?,
                row.int(7)?,
                deleted,
            ))
        },
    )?;
    let Some((account, mailbox, says, uidnext, highest_modseq, deleted)) = row else {
        return Ok(Recount {
            next: None,
            faults: Vec::new(),
        });
    };
    let mut faults = Vec::new();
    if !deleted {
        let (there, last_uid, last_modseq) = count_rows(tx, account, mailbox)?;
        let place = format!("mailbox {mailbox} of account {account}");
        let mut compare = |says: i64, is: i64, what: &str| {
            if says != is {
                faults.push(format!("{place} says {says} {what}, {is} are there"));
            }
        };
        compare(says.messages, there.messages, "messages");
        compare(says.unseen, there.unseen, "unseen messages");
        compare(says.deleted, there.deleted, "messages marked as deleted");
        compare(says.bytes, there.bytes, "bytes");
        if last_uid >= uidnext {
            faults.push(format!(
                "{place} says its next UID is {uidnext}, but {last_uid} is there"
            ));
        }
        if last_modseq > highest_modseq {
            faults.push(format!(
                "{place} says its last change is {highest_modseq}, but {last_modseq} is there"
            ));
        }
    }
    Ok(Recount {
        next: Some((AccountId(account), MailboxId(mailbox))),
        faults,
    })
}

/// What the rows of a mailbox count, their highest UID and their highest modification sequence.
fn count_rows(
    tx: &mut dyn Tx,
    account: i64,
    mailbox: i64,
) -> Result<(Tally, i64, i64), StoreError> {
    let mut there = Tally::default();
    let (mut last_uid, mut last_modseq) = (0, 0);
    tx.query(
        "SELECT uid, flags, size, modseq, changed FROM messages \
         WHERE account = ?1 AND mailbox = ?2",
        params![account, mailbox],
        &mut |row| {
            there.add(Flags::from_bits(row.int(1)?), row.int(2)?);
            last_uid = last_uid.max(row.int(0)?);
            last_modseq = last_modseq
                .max(row.int(3)?)
                .max(row.maybe_int(4)?.unwrap_or(0));
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok((there, last_uid, last_modseq))
}
