//! Creating, renaming, deleting and subscribing mailboxes. Each is one transaction; what could take
//! long (the messages of a deleted mailbox, those of a renamed INBOX) follows in batches.

use crate::account::subscribe;
use crate::error::{Error, NameProblem};
use crate::limits::{BATCH_MESSAGES_MAX, MAILBOXES_MAX, SUBSCRIPTIONS_MAX, UID_MAX};
use crate::model::{INBOX, MailboxId, SpecialUse};
use crate::name::MailboxName;
use crate::read::status_by_name;
use crate::service::Mailboxes;
use crate::uidset::UidSet;
use directory::AccountId;
use platform::clock::Timestamp;
use platform::params;
use platform::store::{StoreError, Tx};

/// Whether there is more to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swept {
    /// Rows were removed; there may be more.
    Some,
    /// Nothing is left to remove.
    Nothing,
}

impl Mailboxes {
    /// Creates a mailbox, and the ones above it where they are missing (RFC 3501 §6.3.3).
    ///
    /// # Errors
    /// `AlreadyExists`, `TooManyMailboxes`, `SpecialUseTaken`, `NoSuchMailbox` where the account
    /// was removed.
    pub async fn create(
        &self,
        account: AccountId,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Result<MailboxId, Error> {
        let (name, now) = (name.clone(), self.clock.now());
        self.write(account, move |tx| {
            let names = names(tx, account)?;
            check_special_use(tx, account, special_use)?;
            create(tx, account, &names, &name, special_use, now)
        })
        .await
    }

    /// Renames a mailbox and everything below it. INBOX stays and its messages move to a new
    /// mailbox `to`, while what lies below INBOX stays too (RFC 3501 §6.3.5).
    ///
    /// # Errors
    /// `NoSuchMailbox`, `AlreadyExists`, `NameInvalid` where it would lie inside itself or a name
    /// below would become too long, `TooManyMailboxes`.
    pub async fn rename(
        &self,
        account: AccountId,
        from: &MailboxName,
        to: &MailboxName,
    ) -> Result<(), Error> {
        if from.is_inbox() {
            return self.rename_inbox(account, to).await;
        }
        let (from, to, now) = (from.clone(), to.clone(), self.clock.now());
        self.write(account, move |tx| rename(tx, account, &from, &to, now))
            .await
    }

    /// The messages follow in batches: after a crash in between some are here and some there,
    /// none is lost and none is doubled.
    async fn rename_inbox(&self, account: AccountId, to: &MailboxName) -> Result<(), Error> {
        let target = self.create(account, to, None).await?;
        let status = self.status_of(account, INBOX).await?;
        let all = UidSet::range(1, status.uidnext - 1);
        self.move_messages(account, INBOX, all, target)
            .await
            .map(drop)
    }

    /// Deletes a mailbox with its messages. Mailboxes below it stay (RFC 3501 §6.3.4), and so does
    /// a subscription to its name (§6.3.9).
    ///
    /// # Errors
    /// `NoSuchMailbox`, `InboxStays`.
    pub async fn delete(&self, account: AccountId, name: &MailboxName) -> Result<(), Error> {
        if name.is_inbox() {
            return Err(Error::InboxStays);
        }
        let name = name.clone();
        let mailbox = self
            .write(account, move |tx| {
                let mailbox = status_by_name(tx, account, &name)?.mailbox;
                tx.execute(
                    "UPDATE mailboxes SET name = NULL, special_use = NULL \
                     WHERE account = ?1 AND mailbox = ?2",
                    params![account.0, mailbox.0],
                )?;
                Ok(mailbox)
            })
            .await?;
        while self
            .store
            .write(move |tx| sweep_batch(tx, account, mailbox))
            .await?
            == Swept::Some
        {}
        Ok(())
    }

    /// Removes a batch of messages of deleted mailboxes and removed accounts. The server calls it
    /// at its start and now and then, until nothing is left.
    pub async fn sweep(&self) -> Result<Swept, Error> {
        let swept = self.store.write(|tx| {
            let doomed = tx.one(
                "SELECT account, mailbox FROM mailboxes WHERE name IS NULL \
                 ORDER BY account, mailbox LIMIT 1",
                &[],
                |row| Ok((AccountId(row.int(0)?), MailboxId(row.int(1)?))),
            )?;
            let Some((account, mailbox)) = doomed else {
                return Ok(Swept::Nothing);
            };
            sweep_batch(tx, account, mailbox).map(|_| Swept::Some)
        });
        Ok(swept.await.map_err(|error: StoreError| error)?)
    }

    /// Subscribes to a name, whether such a mailbox exists or not (RFC 3501 §6.3.6).
    ///
    /// # Errors
    /// `TooManySubscriptions`.
    pub async fn subscribe(&self, account: AccountId, name: &MailboxName) -> Result<(), Error> {
        let name = name.clone();
        let run = move |tx: &mut dyn Tx| {
            let there = tx.one(
                "SELECT COUNT(*) FROM subscriptions WHERE account = ?1",
                params![account.0],
                |row| row.int(0),
            )?;
            if there.unwrap_or(0) >= SUBSCRIPTIONS_MAX as i64 {
                return Err(Error::TooManySubscriptions);
            }
            Ok(subscribe(tx, account, name.as_str())?)
        };
        self.store.write(run).await
    }

    /// Ends a subscription. Nothing happens where there is none.
    pub async fn unsubscribe(&self, account: AccountId, name: &MailboxName) -> Result<(), Error> {
        let name = name.clone();
        let run = move |tx: &mut dyn Tx| {
            tx.execute(
                "DELETE FROM subscriptions WHERE account = ?1 AND name = ?2",
                params![account.0, name.as_str()],
            )
        };
        self.store.write(run).await.map(drop).map_err(Error::Store)
    }
}

/// Inserts the row of a mailbox whose name is known to be free.
pub(crate) fn insert_mailbox(
    tx: &mut dyn Tx,
    account: AccountId,
    name: &str,
    special_use: Option<SpecialUse>,
    now: Timestamp,
) -> Result<Option<MailboxId>, StoreError> {
    // Seconds since 1970 rise past everything given out before a restored backup; the counter
    // keeps two mailboxes of one second apart; the account's number, which only rises, keeps an
    // account apart from one of the same name that was removed in the same second.
    let floor = now.seconds().saturating_add(account.0).clamp(1, UID_MAX);
    let given = tx.one(
        "UPDATE mailbox_accounts SET next_mailbox = next_mailbox + 1, \
         uidvalidity = CASE WHEN uidvalidity >= ?2 THEN uidvalidity + 1 ELSE ?2 END \
         WHERE account = ?1 RETURNING next_mailbox - 1, uidvalidity",
        params![account.0, floor],
        |row| Ok((row.int(0)?, row.int(1)?)),
    )?;
    let Some((mailbox, uidvalidity)) = given else {
        return Ok(None);
    };
    tx.execute(
        "INSERT INTO mailboxes (account, mailbox, name, uidvalidity, uidnext, highest_modseq, \
         messages, unseen, deleted, bytes, recent_from, tombstones, tombstones_from, special_use, \
         created) VALUES (?1, ?2, ?3, ?4, 1, 1, 0, 0, 0, 0, 1, 0, 0, ?5, ?6)",
        params![
            account.0,
            mailbox,
            name,
            uidvalidity,
            special_use.map(SpecialUse::code),
            now.0
        ],
    )?;
    Ok(Some(MailboxId(mailbox)))
}

/// Names of an account with their numbers.
type Names = Vec<(String, MailboxId)>;

fn names(tx: &mut dyn Tx, account: AccountId) -> Result<Names, StoreError> {
    tx.all(
        "SELECT name, mailbox FROM mailboxes WHERE account = ?1 AND name IS NOT NULL",
        params![account.0],
        |row| Ok((row.text(0)?.to_owned(), MailboxId(row.int(1)?))),
    )
}

fn is_taken(names: &Names, name: &str) -> bool {
    names.iter().any(|(taken, _)| taken == name)
}

fn check_special_use(
    tx: &mut dyn Tx,
    account: AccountId,
    special_use: Option<SpecialUse>,
) -> Result<(), Error> {
    let Some(special) = special_use else {
        return Ok(());
    };
    let taken = tx.one(
        "SELECT mailbox FROM mailboxes WHERE account = ?1 AND special_use = ?2",
        params![account.0, special.code()],
        |row| row.int(0),
    )?;
    taken.map_or(Ok(()), |_| Err(Error::SpecialUseTaken(special)))
}

fn create(
    tx: &mut dyn Tx,
    account: AccountId,
    names: &Names,
    name: &MailboxName,
    special_use: Option<SpecialUse>,
    now: Timestamp,
) -> Result<MailboxId, Error> {
    if is_taken(names, name.as_str()) {
        return Err(Error::AlreadyExists);
    }
    create_parents(tx, account, names, name, now)?;
    insert_mailbox(tx, account, name.as_str(), special_use, now)?.ok_or(Error::NoSuchMailbox)
}

/// Creates what is missing above `name`, which itself is about to come.
fn create_parents(
    tx: &mut dyn Tx,
    account: AccountId,
    names: &Names,
    name: &MailboxName,
    now: Timestamp,
) -> Result<(), Error> {
    let missing: Vec<&str> = name
        .parents()
        .filter(|parent| !is_taken(names, parent))
        .collect();
    if names.len() + missing.len() + 1 > MAILBOXES_MAX {
        return Err(Error::TooManyMailboxes);
    }
    for parent in missing {
        insert_mailbox(tx, account, parent, None, now)?.ok_or(Error::NoSuchMailbox)?;
    }
    Ok(())
}

fn rename(
    tx: &mut dyn Tx,
    account: AccountId,
    from: &MailboxName,
    to: &MailboxName,
    now: Timestamp,
) -> Result<(), Error> {
    let names = names(tx, account)?;
    // A level whose own mailbox was deleted can be renamed with what lies below it.
    let is_above = |(name, _): &(String, _)| {
        let rest = name.strip_prefix(from.as_str());
        rest.is_some_and(|rest| rest.starts_with('/'))
    };
    if !is_taken(&names, from.as_str()) && !names.iter().any(is_above) {
        return Err(Error::NoSuchMailbox);
    }
    if is_taken(&names, to.as_str()) {
        return Err(Error::AlreadyExists);
    }
    if to.below(from).is_some() {
        return Err(Error::NameInvalid(NameProblem::InsideItself));
    }
    create_parents(tx, account, &names, to, now)?;
    for (name, mailbox) in &names {
        let new = match MailboxName::parse(name)?.below(from) {
            Some(rest) => MailboxName::parse(&format!("{to}/{rest}"))?,
            None if name == from.as_str() => to.clone(),
            None => continue,
        };
        if is_taken(&names, new.as_str()) {
            return Err(Error::AlreadyExists);
        }
        tx.execute(
            "UPDATE mailboxes SET name = ?3 WHERE account = ?1 AND mailbox = ?2",
            params![account.0, mailbox.0, new.as_str()],
        )?;
    }
    Ok(())
}

/// One batch of a mailbox that has lost its name; its row goes with the last one.
fn sweep_batch(
    tx: &mut dyn Tx,
    account: AccountId,
    mailbox: MailboxId,
) -> Result<Swept, StoreError> {
    let cut = tx.one(
        "SELECT uid FROM messages WHERE account = ?1 AND mailbox = ?2 ORDER BY uid LIMIT 1 OFFSET ?3",
        params![account.0, mailbox.0, BATCH_MESSAGES_MAX as i64 - 1],
        |row| row.int(0),
    )?;
    tx.execute(
        "DELETE FROM messages WHERE account = ?1 AND mailbox = ?2 AND uid <= ?3",
        params![account.0, mailbox.0, cut.unwrap_or(i64::MAX)],
    )?;
    if cut.is_some() {
        return Ok(Swept::Some);
    }
    tx.execute(
        "DELETE FROM expunged WHERE account = ?1 AND mailbox = ?2",
        params![account.0, mailbox.0],
    )?;
    tx.execute(
        "DELETE FROM mailboxes WHERE account = ?1 AND mailbox = ?2 AND name IS NULL",
        params![account.0, mailbox.0],
    )?;
    Ok(Swept::Nothing)
}
