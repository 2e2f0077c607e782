//! COPY and MOVE between mailboxes of one account. No body is copied: the new rows refer to the same
//! bytes. COPY is one transaction; MOVE goes in batches, each of which is all or nothing.

use crate::error::Error;
use crate::expunge::{FIND_ANY_SQL, find};
use crate::flags::Keywords;
use crate::limits::COPY_MESSAGES_MAX;
use crate::model::{MailboxId, Quota, Usage};
use crate::read::{status_by_id, usage};
use crate::service::Mailboxes;
use crate::tally::{Reserved, Tally, count, keywords, learn_keywords, remove_rows, reserve};
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
    let mut source = UidSet::new();
    let mut tally = Tally::default();
    let mut rest = uids.clone();
    while !rest.is_empty() {
        let (found, counted, left) = find(tx, account, from, &rest, FIND_ANY_SQL)?;
        source = source.union(&found);
        tally.messages += counted.messages;
        tally.unseen += counted.unseen;
        tally.deleted += counted.deleted;
        tally.bytes = tally.bytes.saturating_add(counted.bytes);
        rest = left;
        if source.len() as usize > COPY_MESSAGES_MAX {
            return Err(Error::TooManyMessages(COPY_MESSAGES_MAX));
        }
    }
    if source.is_empty() {
        let target_uids = UidSet::new();
        return Ok(Copied {
            uidvalidity: target.uidvalidity,
            source,
            target: target_uids,
        });
    }
    check_quota(tx, account, tally, quota)?;
    let reserved = copy_rows(tx, account, from, &source, to, tally)?;
    Ok(copied(source, reserved))
}

fn move_batch(
    tx: &mut dyn Tx,
    account: AccountId,
    from: MailboxId,
    wanted: &UidSet,
    to: MailboxId,
) -> Result<(Copied, UidSet), Error> {
    let (source, tally, rest) = find(tx, account, from, wanted, FIND_ANY_SQL)?;
    if source.is_empty() {
        status_by_id(tx, account, from)?;
        let uidvalidity = status_by_id(tx, account, to)?.uidvalidity;
        return Ok((
            Copied {
                uidvalidity,
                source,
                target: UidSet::new(),
            },
            rest,
        ));
    }
    let reserved = copy_rows(tx, account, from, &source, to, tally)?;
    let modseq = count(tx, account, from, tally.negated())?;
    remove_rows(tx, account, from, &source, modseq)?;
    Ok((copied(source, reserved), rest))
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

/// New rows in `to` for the rows `source`, which are there.
fn copy_rows(
    tx: &mut dyn Tx,
    account: AccountId,
    from: MailboxId,
    source: &UidSet,
    to: MailboxId,
    tally: Tally,
) -> Result<Reserved, Error> {
    let reserved = reserve(tx, account, to, tally)?;
    if from != to {
        copy_keywords(tx, account, from, to)?;
    }
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

/// The target learns what the source knows; spelling differences do not matter, because keywords
/// are compared without case.
fn copy_keywords(
    tx: &mut dyn Tx,
    account: AccountId,
    from: MailboxId,
    to: MailboxId,
) -> Result<(), Error> {
    let source = keywords(tx, account, from)?;
    if source.is_empty() {
        return Ok(());
    }
    let before: Keywords = keywords(tx, account, to)?;
    let mut known = before.clone();
    source.enter_into(&mut known)?;
    Ok(learn_keywords(tx, account, to, &before, &known)?)
}
