//! Reading: which mailboxes there are, their counters, a view for a session that selects one, and
//! message rows in pages. Keeps no database handle between two calls.

use crate::error::Error;
use crate::flags::Keywords;
use crate::limits::{FLAG_ROWS_MAX, MAILBOXES_MAX, ROWS_MAX, SUBSCRIPTIONS_MAX};
use crate::model::{
    self, FlagRow, MailboxId, MailboxInfo, MessageRow, RecentClaim, STATUS_COLUMNS, SpecialUse,
    Status, Usage, View, flag_columns, message_columns, status_columns,
};
use crate::name::MailboxName;
use crate::service::Mailboxes;
use crate::uidset::UidSet;
use directory::AccountId;
use platform::params;
use platform::store::{Row, StoreError, Tx};
use std::collections::HashSet;

/// Some rows, and what is still to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// In ascending order of UID.
    pub rows: Vec<T>,
    /// The UIDs wanted that were not looked at yet; empty after the last page.
    pub rest: UidSet,
}

impl Mailboxes {
    /// All mailboxes of `account` in order of their names' bytes, at most `MAILBOXES_MAX`.
    pub async fn list(&self, account: AccountId) -> Result<Vec<MailboxInfo>, Error> {
        self.store.read(move |tx| list(tx, account)).await
    }

    /// The names `account` is subscribed to, whether such mailboxes exist or not.
    pub async fn subscriptions(&self, account: AccountId) -> Result<Vec<String>, Error> {
        let names = self
            .store
            .read(move |tx| subscriptions(tx, account))
            .await?;
        Ok(names)
    }

    /// The counters of a mailbox, from its row alone.
    ///
    /// # Errors
    /// `NoSuchMailbox`.
    pub async fn status(&self, account: AccountId, name: &MailboxName) -> Result<Status, Error> {
        let name = name.clone();
        self.store
            .read(move |tx| status_by_name(tx, account, &name))
            .await
    }

    /// The counters of a mailbox by its number; for sessions that have it selected.
    ///
    /// # Errors
    /// `NoSuchMailbox`, also where it was deleted.
    pub async fn status_of(&self, account: AccountId, mailbox: MailboxId) -> Result<Status, Error> {
        self.store
            .read(move |tx| status_by_id(tx, account, mailbox))
            .await
    }

    /// How many messages are \Recent for the next session that selects the mailbox. Not in
    /// `Status`, because it has to be counted; free where nothing arrived.
    pub async fn recent(&self, account: AccountId, status: Status) -> Result<u32, Error> {
        if status.recent_from >= status.uidnext {
            return Ok(0);
        }
        let recent =
            move |tx: &mut dyn Tx| count_from(tx, account, status.mailbox, status.recent_from);
        Ok(self.store.read(recent).await?)
    }

    /// What all mailboxes of `account` hold together.
    pub async fn usage(&self, account: AccountId) -> Result<Usage, Error> {
        Ok(self.store.read(move |tx| usage(tx, account)).await?)
    }

    /// What a session needs that selects the mailbox `name`. With `RecentClaim::Take` the \Recent
    /// messages belong to it from now on, which is written only where there are any.
    ///
    /// # Errors
    /// `NoSuchMailbox`.
    pub async fn open(
        &self,
        account: AccountId,
        name: &MailboxName,
        recent: RecentClaim,
    ) -> Result<View, Error> {
        let name = name.clone();
        let view = self.store.read(move |tx| view(tx, account, &name)).await?;
        if recent == RecentClaim::Take && view.recent > 0 {
            self.claim_recent(account, view.status.mailbox, view.status.uidnext)
                .await?;
        }
        Ok(view)
    }

    /// Says that a session was told about all messages below `uidnext`, so that they are \Recent
    /// for no other. Two sessions that come together may both be told (RFC 3501 §2.3.2 allows it).
    pub async fn claim_recent(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uidnext: u32,
    ) -> Result<(), Error> {
        let claim = move |tx: &mut dyn Tx| {
            tx.execute(
                "UPDATE mailboxes SET recent_from = ?3 \
                 WHERE account = ?1 AND mailbox = ?2 AND recent_from < ?3",
                params![account.0, mailbox.0, uidnext],
            )
            .map(drop)
        };
        Ok(self.store.write(claim).await?)
    }

    /// Rows of the messages `wanted` that are there, at most `limit` (and `ROWS_MAX`) of them. Ask
    /// again with `rest` until it is empty.
    pub async fn rows(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        wanted: UidSet,
        limit: usize,
    ) -> Result<Page<MessageRow>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            message_columns!(),
            " FROM messages WHERE account = ?1 AND mailbox = ?2 AND uid BETWEEN ?3 AND ?4 \
             ORDER BY uid LIMIT ?5"
        );
        let limit = limit.clamp(1, ROWS_MAX);
        let read = move |tx: &mut dyn Tx| {
            page(
                tx,
                SQL,
                account,
                mailbox,
                &wanted,
                limit,
                model::message_row,
                |row| row.uid,
            )
        };
        Ok(self.store.read(read).await?)
    }

    /// Only the flags of the messages `wanted`, at most `FLAG_ROWS_MAX` of them. Ask again with
    /// `rest` until it is empty.
    pub async fn flag_rows(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        wanted: UidSet,
    ) -> Result<Page<FlagRow>, Error> {
        let read = move |tx: &mut dyn Tx| {
            page(
                tx,
                FLAG_ROWS_SQL,
                account,
                mailbox,
                &wanted,
                FLAG_ROWS_MAX,
                model::flag_row,
                |row| row.uid,
            )
        };
        Ok(self.store.read(read).await?)
    }
}

const FLAG_ROWS_SQL: &str = concat!(
    "SELECT ",
    flag_columns!(),
    " FROM messages WHERE account = ?1 AND mailbox = ?2 AND uid BETWEEN ?3 AND ?4 \
     ORDER BY uid LIMIT ?5"
);

/// One page of `sql` (account, mailbox, first, last, limit) over the runs of `wanted`. A run
/// without rows counts as a row, so that a set of a million runs is no long read either.
#[allow(clippy::too_many_arguments, reason = "two callers, each one line")]
fn page<T>(
    tx: &mut dyn Tx,
    sql: &'static str,
    account: AccountId,
    mailbox: MailboxId,
    wanted: &UidSet,
    limit: usize,
    read: impl Fn(&dyn Row) -> Result<T, StoreError> + Copy,
    uid_of: impl Fn(&T) -> u32,
) -> Result<Page<T>, StoreError> {
    let mut rows = Vec::with_capacity(limit.min(wanted.len() as usize));
    for (probes, (first, last)) in wanted.runs().enumerate() {
        let room = limit - rows.len();
        if room == 0 || probes >= limit {
            return Ok(Page {
                rows,
                rest: wanted.above(first - 1),
            });
        }
        let before = rows.len();
        let bound = i64::try_from(room).unwrap_or(i64::MAX);
        tx.query(
            sql,
            params![account.0, mailbox.0, first, last, bound],
            &mut |row| {
                rows.push(read(row)?);
                Ok(std::ops::ControlFlow::Continue(()))
            },
        )?;
        if rows.len() - before == room {
            let rest = rows
                .last()
                .map_or_else(UidSet::new, |row| wanted.above(uid_of(row)));
            return Ok(Page { rows, rest });
        }
    }
    Ok(Page {
        rows,
        rest: UidSet::new(),
    })
}

fn list(tx: &mut dyn Tx, account: AccountId) -> Result<Vec<MailboxInfo>, Error> {
    let subscribed: HashSet<String> = subscriptions(tx, account)?.into_iter().collect();
    let rows = tx.all(
        concat!(
            "SELECT ",
            status_columns!(),
            ", name, special_use FROM mailboxes WHERE account = ?1 AND name IS NOT NULL \
             ORDER BY name LIMIT ?2"
        ),
        params![account.0, MAILBOXES_MAX as i64],
        |row| {
            let name = row.text(STATUS_COLUMNS)?.to_owned();
            let special_use = row.maybe_int(STATUS_COLUMNS + 1)?;
            Ok((model::status(row)?, name, special_use))
        },
    )?;
    rows.into_iter()
        .map(|(status, name, special_use)| {
            Ok(MailboxInfo {
                mailbox: status.mailbox,
                subscribed: subscribed.contains(&name),
                name: MailboxName::parse(&name)?,
                special_use: special_use.and_then(SpecialUse::from_code),
                status,
            })
        })
        .collect()
}

fn subscriptions(tx: &mut dyn Tx, account: AccountId) -> Result<Vec<String>, StoreError> {
    tx.all(
        "SELECT name FROM subscriptions WHERE account = ?1 ORDER BY name LIMIT ?2",
        params![account.0, SUBSCRIPTIONS_MAX as i64],
        |row| row.text(0).map(str::to_owned),
    )
}

pub(crate) fn status_by_name(
    tx: &mut dyn Tx,
    account: AccountId,
    name: &MailboxName,
) -> Result<Status, Error> {
    tx.one(
        concat!(
            "SELECT ",
            status_columns!(),
            " FROM mailboxes WHERE account = ?1 AND name = ?2"
        ),
        params![account.0, name.as_str()],
        model::status,
    )?
    .ok_or(Error::NoSuchMailbox)
}

pub(crate) fn status_by_id(
    tx: &mut dyn Tx,
    account: AccountId,
    mailbox: MailboxId,
) -> Result<Status, Error> {
    tx.one(
        concat!(
            "SELECT ",
            status_columns!(),
            " FROM mailboxes WHERE account = ?1 AND mailbox = ?2 AND name IS NOT NULL"
        ),
        params![account.0, mailbox.0],
        model::status,
    )?
    .ok_or(Error::NoSuchMailbox)
}

pub(crate) fn usage(tx: &mut dyn Tx, account: AccountId) -> Result<Usage, StoreError> {
    let usage = tx.one(
        "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT), \
         CAST(COALESCE(SUM(messages), 0) AS BIGINT) \
         FROM mailboxes WHERE account = ?1 AND name IS NOT NULL",
        params![account.0],
        |row| {
            Ok(Usage {
                bytes: model::natural(row, 0)?,
                messages: model::natural(row, 1)?,
            })
        },
    )?;
    Ok(usage.unwrap_or_default())
}

fn view(tx: &mut dyn Tx, account: AccountId, name: &MailboxName) -> Result<View, Error> {
    let status = status_by_name(tx, account, name)?;
    let mailbox = status.mailbox;
    let (keywords, special_use) = tx
        .one(
            "SELECT keywords, special_use FROM mailboxes WHERE account = ?1 AND mailbox = ?2",
            params![account.0, mailbox.0],
            |row| {
                let special_use = row.maybe_int(1)?.and_then(SpecialUse::from_code);
                Ok((Keywords::from_stored(row.maybe_text(0)?), special_use))
            },
        )?
        .ok_or(Error::NoSuchMailbox)?;
    let uids = uids(tx, account, status)?;
    Ok(View {
        recent: uids
            .intersection(&UidSet::range(status.recent_from, u32::MAX))
            .len(),
        uids,
        first_unseen: first_unseen(tx, account, status)?,
        status,
        keywords,
        special_use,
    })
}

/// The UIDs of a mailbox. Without a gap between the first and the last they need not be read.
pub(crate) fn uids(
    tx: &mut dyn Tx,
    account: AccountId,
    status: Status,
) -> Result<UidSet, StoreError> {
    let ends = tx.one(
        "SELECT (SELECT MIN(uid) FROM messages WHERE account = ?1 AND mailbox = ?2), \
         (SELECT MAX(uid) FROM messages WHERE account = ?1 AND mailbox = ?2)",
        params![account.0, status.mailbox.0],
        |row| match row.is_null(0)? {
            true => Ok(None),
            false => Ok(Some((model::small(row, 0)?, model::small(row, 1)?))),
        },
    )?;
    let Some((first, last)) = ends.flatten() else {
        return Ok(UidSet::new());
    };
    if last - first + 1 == status.messages {
        return Ok(UidSet::range(first, last));
    }
    uids_between(tx, account, status.mailbox, first, last)
}

pub(crate) fn uids_between(
    tx: &mut dyn Tx,
    account: AccountId,
    mailbox: MailboxId,
    first: u32,
    last: u32,
) -> Result<UidSet, StoreError> {
    let mut uids = UidSet::new();
    tx.query(
        "SELECT uid FROM messages WHERE account = ?1 AND mailbox = ?2 AND uid BETWEEN ?3 AND ?4 \
         ORDER BY uid",
        params![account.0, mailbox.0, first, last],
        &mut |row| {
            let uid = model::small(row, 0)?;
            uids.push(uid, uid);
            Ok(std::ops::ControlFlow::Continue(()))
        },
    )?;
    uids.shrink();
    Ok(uids)
}

fn first_unseen(
    tx: &mut dyn Tx,
    account: AccountId,
    status: Status,
) -> Result<Option<u32>, StoreError> {
    if status.unseen == 0 {
        return Ok(None);
    }
    // 1 is Flags::SEEN.
    tx.one(
        "SELECT uid FROM messages WHERE account = ?1 AND mailbox = ?2 AND (flags & 1) = 0 \
         ORDER BY uid LIMIT 1",
        params![account.0, status.mailbox.0],
        |row| model::small(row, 0),
    )
}

fn count_from(
    tx: &mut dyn Tx,
    account: AccountId,
    mailbox: MailboxId,
    first: u32,
) -> Result<u32, StoreError> {
    let count = tx.one(
        "SELECT COUNT(*) FROM messages WHERE account = ?1 AND mailbox = ?2 AND uid >= ?3",
        params![account.0, mailbox.0, first],
        |row| model::small(row, 0),
    )?;
    Ok(count.unwrap_or(0))
}
