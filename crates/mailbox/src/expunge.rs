//! Removing messages for good: EXPUNGE, UID EXPUNGE, and what POP3 removes at QUIT. In batches, each
//! its own transaction; the bytes go later, with the compaction of segments.

use crate::error::Error;
use crate::flags::{Flags, Keywords};
use crate::limits::BATCH_MESSAGES_MAX;
use crate::model::{self, MailboxId};
use crate::service::Mailboxes;
use crate::tally::{Tally, count, remove_rows};
use crate::uidset::UidSet;
use directory::AccountId;
use platform::params;
use platform::store::{StoreError, Tx};

/// Which messages go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpungeScope {
    /// All with \Deleted (RFC 3501 §6.4.3).
    Deleted,
    /// Those of these that have \Deleted (RFC 4315 §2.1).
    DeletedWithin(UidSet),
    /// These, whatever their flags (POP3).
    Exactly(UidSet),
}

/// What went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpungedUids {
    /// The messages that went.
    pub uids: UidSet,
    /// The modification sequence of the last of them; `None` where none went.
    pub modseq: Option<i64>,
}

impl Mailboxes {
    /// Removes messages. Those that are gone already are left out silently.
    ///
    /// # Errors
    /// `NoSuchMailbox`. Where the store fails midway, earlier batches are gone; `changes` tells.
    pub async fn expunge(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        scope: ExpungeScope,
    ) -> Result<ExpungedUids, Error> {
        let mut gone = ExpungedUids {
            uids: UidSet::new(),
            modseq: None,
        };
        let (mut rest, need_deleted) = match scope {
            ExpungeScope::Deleted => (UidSet::range(1, u32::MAX), true),
            ExpungeScope::DeletedWithin(uids) => (uids, true),
            ExpungeScope::Exactly(uids) => (uids, false),
        };
        if need_deleted && self.status_of(account, mailbox).await?.deleted == 0 {
            return Ok(gone);
        }
        while !rest.is_empty() {
            let wanted = rest;
            let batch = self
                .store
                .write(move |tx| {
                    if need_deleted {
                        expunge(tx, account, mailbox, &wanted, DELETED_SQL)
                    } else {
                        expunge(tx, account, mailbox, &wanted, ANY_SQL)
                    }
                })
                .await?;
            rest = batch.rest;
            if let Some(modseq) = batch.modseq {
                gone.uids = gone.uids.union(&batch.uids);
                gone.modseq = Some(modseq);
                self.announce(account);
            }
        }
        Ok(gone)
    }
}

// 8 is Flags::DELETED.
const DELETED_SQL: &str = "SELECT uid, flags, size, keywords FROM messages \
     WHERE account = ?1 AND mailbox = ?2 AND uid BETWEEN ?3 AND ?4 AND (flags & 8) <> 0 \
     ORDER BY uid LIMIT ?5";
const ANY_SQL: &str = "SELECT uid, flags, size, keywords FROM messages \
     WHERE account = ?1 AND mailbox = ?2 AND uid BETWEEN ?3 AND ?4 ORDER BY uid LIMIT ?5";

struct Batch {
    uids: UidSet,
    modseq: Option<i64>,
    rest: UidSet,
}

fn expunge(
    tx: &mut dyn Tx,
    account: AccountId,
    mailbox: MailboxId,
    wanted: &UidSet,
    sql: &'static str,
) -> Result<Batch, Error> {
    let Found {
        uids, tally, rest, ..
    } = find(tx, account, mailbox, wanted, sql)?;
    if uids.is_empty() {
        return Ok(Batch {
            uids,
            modseq: None,
            rest,
        });
    }
    let modseq = count(tx, account, mailbox, tally.negated())?;
    remove_rows(tx, account, mailbox, &uids, modseq)?;
    Ok(Batch {
        uids,
        modseq: Some(modseq),
        rest,
    })
}

/// Messages about to go or to be copied.
pub(crate) struct Found {
    pub(crate) uids: UidSet,
    pub(crate) tally: Tally,
    /// Every keyword of theirs.
    pub(crate) keywords: Keywords,
    /// What was not looked at yet.
    pub(crate) rest: UidSet,
}

/// The first messages of `wanted` that `sql` finds.
pub(crate) fn find(
    tx: &mut dyn Tx,
    account: AccountId,
    mailbox: MailboxId,
    wanted: &UidSet,
    sql: &'static str,
) -> Result<Found, StoreError> {
    let mut found = Found {
        uids: UidSet::new(),
        tally: Tally::default(),
        keywords: Keywords::default(),
        rest: UidSet::new(),
    };
    for (probes, (first, last)) in wanted.runs().enumerate() {
        let room = BATCH_MESSAGES_MAX - found.uids.len() as usize;
        if room == 0 || probes >= BATCH_MESSAGES_MAX {
            found.rest = wanted.above(first - 1);
            return Ok(found);
        }
        let mut rows = 0;
        tx.query(
            sql,
            params![account.0, mailbox.0, first, last, room as i64],
            &mut |row| {
                let uid = model::small(row, 0)?;
                found.uids.push(uid, uid);
                found.tally.add(Flags::from_bits(row.int(1)?), row.int(2)?);
                if let Some(keywords) = row.maybe_text(3)? {
                    let keywords = Keywords::from_stored(Some(keywords));
                    found.keywords = found.keywords.union(&keywords);
                }
                rows += 1;
                Ok(std::ops::ControlFlow::Continue(()))
            },
        )?;
        if rows == room {
            let last = found.uids.last().unwrap_or(last);
            found.rest = wanted.above(last);
            return Ok(found);
        }
    }
    Ok(found)
}

pub(crate) const FIND_ANY_SQL: &str = ANY_SQL;
