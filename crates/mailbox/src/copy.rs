//! COPY and MOVE between mailboxes of one account. No body is copied: the new rows refer to the same
//! bytes. COPY is one transaction; MOVE goes in batches, each of which is all or nothing.

use crate::error::Error;
use crate::expunge::{FIND_ANY_SQL, Found, find};
use crate::flags::Keywords;
use crate::limits::COPY_MESSAGES_MAX;
use crate::model::{MailboxId, Quota, Usage};
use crate::read::{status_by_id, usage};
use crate::service::Mailboxes;
use crate::tally::{Reserved, Tally, count, learn_keywords, remove_rows, reserve};
use crate::uidset::UidSet;
use directory::AccountId;
use platform::params;
use platform::store::Tx;

/// Where messages went, for COPYUID (RFC 4315 §3). Both sets are as long and in the same order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// UIDVALIDITY of the target.
    pub uidvalidity: u32,
    /// UIDs in the source; those that were gone already are left out.
    pub source: UidSet,
    /// UIDs in the target.
    pub target: UidSet,
}

impl Mailboxes {
    /// Copies messages with their flags, keywords and dates, all or none.
    ///
    /// # Errors
    /// `NoSuchMailbox` where either is missing, `TooManyMessages`, `TooManyKeywords`, `OverQuota`,
    /// `UidsExhausted`.
    pub async fn copy(
        &self,
        account: AccountId,
        from: MailboxId,
        uids: UidSet,
        to: MailboxId,
        quota: Option<Quota>,
    ) -> Result<Copied, Error> {
        let run = move |tx: &mut dyn Tx| copy_all(tx, account, from, &uids, to, quota);
        let copied = self.store.write(run).await?;
        if !copied.source.is_empty() {
            self.announce(account);
        }
        Ok(copied)
    }

    /// Moves messages (RFC 6851). A message is never in both mailboxes and never in neither.
    ///
    /// # Errors
    /// As `copy`. Where a later batch fails, earlier ones have moved; `changes` tells.
    pub async fn move_messages(
        &self,
        account: AccountId,
        from: MailboxId,
        uids: UidSet,
        to: MailboxId,
    ) -> Result<Copied, Error> {
        let status = self.store.read(move |tx| {
            // Messages that a move within one mailbox makes are not moved again.
            let source = status_by_id(tx, account, from)?;
            status_by_id(tx, account, to).map(|target| (source.uidnext, target.uidvalidity))
        });
        let (uidnext, uidvalidity) = status.await?;
        let mut moved = Copied {
            uidvalidity,
            source: UidSet::new(),
            target: UidSet::new(),
        };
        let mut rest = uids.intersection(&UidSet::range(1, uidnext - 1));
        while !rest.is_empty() {
            let wanted = rest;
            let run = move |tx: &mut dyn Tx| move_batch(tx, account, from, &wanted, to);
            let (batch, left) = self.store.write(run).await?;
            rest = left;
            if !batch.source.is_empty() {
                moved.source = moved.source.union(&batch.source);
                moved.target = moved.target.union(&batch.target);
                self.announce(account);
            }
        }
        Ok(moved)
    }
}

fn copy_all(
    tx: &mut dyn Tx,
    account: AccountId,
    from: MailboxId,
    uids: &UidSet,
    to: MailboxId,
    quota: Option<Quota>,
) -> Result<Copied, Error> {
    status_by_id(tx, account, from)?;
    let target = status_by_id(tx, account, to)?;
    let mut all = Found {
        uids: UidSet::new(),
        tally: Tally::default(),
        keywords: Keywords::default(),
        rest: uids.clone(),
    };
    while !all.rest.is_empty() {
        let found = find(tx, account, from, &all.rest, FIND_ANY_SQL)?;
        all = Found {
            uids: all.uids.union(&found.uids),
            tally: all.tally.plus(found.tally),
            keywords: all.keywords.union(&found.keywords),
            rest: found.rest,
        };
        if all.uids.len() as usize > COPY_MESSAGES_MAX {
            return Err(Error::TooManyMessages(COPY_MESSAGES_MAX));
        }
    }
    if all.uids.is_empty() {
        return Ok(Copied {
            uidvalidity: target.uidvalidity,
            source: all.uids,
            target: UidSet::new(),
        });
    }
    check_quota(tx, account, all.tally, quota)?;
    let reserved = copy_rows(tx, account, from, &all, to)?;
    Ok(copied(all.uids, reserved))
}

fn move_batch(
    tx: &mut dyn Tx,
    account: AccountId,
    from: MailboxId,
    wanted: &UidSet,
    to: MailboxId,
) -> Result<(Copied, UidSet), Error> {
    let found = find(tx, account, from, wanted, FIND_ANY_SQL)?;
    if found.uids.is_empty() {
        status_by_id(tx, account, from)?;
        let uidvalidity = status_by_id(tx, account, to)?.uidvalidity;
        let nothing = Copied {
            uidvalidity,
            source: found.uids,
            target: UidSet::new(),
        };
        return Ok((nothing, found.rest));
    }
    let reserved = copy_rows(tx, account, from, &found, to)?;
    let modseq = count(tx, account, from, found.tally.negated())?;
    remove_rows(tx, account, from, &found.uids, modseq)?;
    Ok((copied(found.uids, reserved), found.rest))
}

fn copied(source: UidSet, reserved: Reserved) -> Copied {
    // `reserve` checked that the numbers fit into 32 bits.
    let first = reserved.first_uid as u32;
    let target = UidSet::range(first, first + (source.len() - 1));
    Copied {
        uidvalidity: reserved.uidvalidity,
        source,
        target,
    }
}

pub(crate) fn check_quota(
    tx: &mut dyn Tx,
    account: AccountId,
    more: Tally,
    quota: Option<Quota>,
) -> Result<(), Error> {
    let Some(quota) = quota else {
        return Ok(());
    };
    let more = Usage {
        bytes: u64::try_from(more.bytes).unwrap_or(0),
        messages: u64::try_from(more.messages).unwrap_or(0),
    };
    if usage(tx, account)?.has_room(more, quota) {
        Ok(())
    } else {
        Err(Error::OverQuota)
    }
}

/// New rows in `to` for the rows `found`. Their keywords keep the spelling of `from`, which does
/// not matter, because keywords are compared without case.
fn copy_rows(
    tx: &mut dyn Tx,
    account: AccountId,
    from: MailboxId,
    found: &Found,
    to: MailboxId,
) -> Result<Reserved, Error> {
    let reserved = reserve(tx, account, to, found.tally)?;
    learn_keywords(tx, account, to, &found.keywords)?;
    let source = &found.uids;
    let mut made = 0;
    for (first, last) in source.runs() {
        made += tx.execute(
            "INSERT INTO messages (account, mailbox, uid, flags, modseq, keywords, size, \
             internal_date, segment, segment_offset, facts_bytes, body_bytes, trace, prefix) \
             SELECT account, CAST(?5 AS BIGINT), \
             CAST(?6 AS BIGINT) + ROW_NUMBER() OVER (ORDER BY uid), flags, CAST(?7 AS BIGINT), \
             keywords, size, internal_date, segment, segment_offset, facts_bytes, body_bytes, \
             trace, prefix FROM messages \
             WHERE account = ?1 AND mailbox = ?2 AND uid BETWEEN ?3 AND ?4",
            params![
                account.0,
                from.0,
                first,
                last,
                to.0,
                reserved.first_uid - 1 + i64::try_from(made).unwrap_or(i64::MAX),
                reserved.modseq
            ],
        )?;
    }
    if made != u64::from(source.len()) {
        return Err(Error::Damaged(format!(
            "{} messages were to be copied, {made} were",
            source.len()
        )));
    }
    Ok(reserved)
}
