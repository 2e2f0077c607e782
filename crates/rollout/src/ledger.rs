//! Letters in the store: one row for each (rollout, round, kind, recipient), so that nobody gets one twice; its
//! name, and what became of it. Parts of transactions; the chore and the CLI call them.

use crate::compose::Kind;
use crate::facts::Facts;
use directory::AccountId;
use platform::clock::Timestamp;
use platform::params;
use platform::store::{Row as Columns, StoreError, Tx};
use std::collections::HashMap;

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// What became of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// It is to be sent.
    Written,
    /// The queue has it.
    Queued,
    /// It lies in a mailbox here.
    Delivered,
    /// Another server took it over.
    Relayed,
    /// It did not arrive.
    Failed,
    /// It was no longer needed when it would have been sent.
    Dropped,
    /// Nobody knows any more.
    Unknown,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::Written,
        Self::Queued,
        Self::Delivered,
        Self::Relayed,
        Self::Failed,
        Self::Dropped,
        Self::Unknown,
    ];

    /// The word in the store and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Queued => "queued",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
            Self::Unknown => "unknown",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.word() == word)
    }
}

/// Where a letter belongs: its key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The rollout; empty for what belongs to none.
    pub slug: String,
    /// The round, or the day of what is in none.
    pub round: i64,
    /// What for.
    pub kind: Kind,
    /// An account's number, or a domain.
    pub recipient: String,
}

/// A letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it belongs.
    pub key: Key,
    /// The account it is about; `None` for a digest.
    pub account: Option<AccountId>,
    /// The domain of that account, or of the digest.
    pub domain: String,
    /// Where it goes.
    pub address: String,
    /// Its name in the queue; 0 before it has one.
    pub token: i64,
    /// What it is about.
    pub facts: Facts,
    /// When it was written.
    pub written_at: Timestamp,
    /// When it is sent, or looked after.
    pub due_at: Timestamp,
    /// What became of it.
    pub status: Status,
    /// Since when.
    pub status_at: Timestamp,
    /// The last reply, or why.
    pub reply: String,
}

impl Entry {
    /// A letter to an account.
    pub(crate) fn to_account(
        key: (&str, i64, Kind),
        account: AccountId,
        login: &str,
        facts: Facts,
        now: Timestamp,
    ) -> Self {
        let (slug, round, kind) = key;
        let domain = login.rsplit_once('@').map_or("", |(_, domain)| domain);
        Self {
            key: Key {
                slug: slug.to_owned(),
                round,
                kind,
                recipient: account.0.to_string(),
            },
            account: Some(account),
            domain: domain.to_owned(),
            address: login.to_owned(),
            token: 0,
            facts,
            written_at: now,
            due_at: now,
            status: Status::Written,
            status_at: now,
            reply: String::new(),
        }
    }
}

/// Writes a letter down; `false` where it is there already, or its account is gone.
pub(crate) fn put(tx: &mut dyn Tx, entry: &Entry) -> Result<bool, StoreError> {
    let facts = serde_json::to_string(&entry.facts).unwrap_or_default();
    let written = tx.execute(
        "INSERT INTO rollout_letters (slug, round, kind, recipient, account, domain, address, token, \
         facts, written_at, due_at, status, status_at, reply) \
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14 \
         WHERE ?15 = 1 OR EXISTS (SELECT 1 FROM directory_accounts WHERE account = ?5) \
         ON CONFLICT (slug, round, kind, recipient) DO NOTHING",
        params![
            &entry.key.slug,
            entry.key.round,
            entry.key.kind.word(),
            &entry.key.recipient,
            entry.account.map(|account| account.0),
            &entry.domain,
            &entry.address,
            entry.token,
            &facts,
            entry.written_at.0,
            entry.due_at.0,
            entry.status.word(),
            entry.status_at.0,
            &entry.reply,
            entry.account.is_none()
        ],
    )?;
    Ok(written > 0)
}

/// Letters of one status that are due, oldest first.
pub(crate) fn due(
    tx: &mut dyn Tx,
    status: Status,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Entry>, StoreError> {
    let rows = tx.all(
        "SELECT slug, round, kind, recipient, account, domain, address, token, facts, written_at, \
         due_at, status, status_at, reply FROM rollout_letters \
         WHERE status = ?1 AND due_at <= ?2 ORDER BY due_at, slug, round, kind, recipient LIMIT ?3",
        params![status.word(), now.0, limit],
        |row| entry(row),
    )?;
    Ok(rows.into_iter().flatten().collect())
}

/// The letters of a rollout, by round and address; of all where `slug` is empty. At most `rows_max`.
///
/// # Errors
/// Those of the store.
pub fn list(tx: &mut dyn Tx, slug: &str, rows_max: i64) -> Result<Vec<Entry>, StoreError> {
    let rows = tx.all(
        "SELECT slug, round, kind, recipient, account, domain, address, token, facts, written_at, \
         due_at, status, status_at, reply FROM rollout_letters \
         WHERE ?1 = '' OR slug = ?1 ORDER BY slug, round, kind, domain, address LIMIT ?2",
        params![slug, rows_max],
        |row| entry(row),
    )?;
    Ok(rows.into_iter().flatten().collect())
}

/// The letters about an account, latest first. At most `rows_max`.
///
/// # Errors
/// Those of the store.
pub fn of_account(
    tx: &mut dyn Tx,
    account: AccountId,
    rows_max: i64,
) -> Result<Vec<Entry>, StoreError> {
    let rows = tx.all(
        "SELECT slug, round, kind, recipient, account, domain, address, token, facts, written_at, \
         due_at, status, status_at, reply FROM rollout_letters \
         WHERE account = ?1 ORDER BY written_at DESC, slug, kind LIMIT ?2",
        params![account.0, rows_max],
        |row| entry(row),
    )?;
    Ok(rows.into_iter().flatten().collect())
}

/// `None`: of a newer version; not ours to send.
fn entry(row: &dyn Columns) -> Result<Option<Entry>, StoreError> {
    let (Some(kind), Some(status)) = (
        Kind::from_word(row.text(2)?),
        Status::from_word(row.text(11)?),
    ) else {
        return Ok(None);
    };
    Ok(Some(Entry {
        key: Key {
            slug: row.text(0)?.to_owned(),
            round: row.int(1)?,
            kind,
            recipient: row.text(3)?.to_owned(),
        },
        account: row.maybe_int(4)?.map(AccountId),
        domain: row.text(5)?.to_owned(),
        address: row.text(6)?.to_owned(),
        token: row.int(7)?,
        facts: serde_json::from_str(row.text(8)?).unwrap_or_default(),
        written_at: Timestamp(row.int(9)?),
        due_at: Timestamp(row.int(10)?),
        status,
        status_at: Timestamp(row.int(12)?),
        reply: row.text(13)?.to_owned(),
    }))
}

/// Takes a letter for handing over: gives it its name, for good, and makes it due again at `until` only, should
/// nothing be heard of it. `false`: it is no longer as it was read, because another node has taken it.
pub(crate) fn claim(
    tx: &mut dyn Tx,
    read: &Entry,
    token: i64,
    until: Timestamp,
) -> Result<bool, StoreError> {
    let key = &read.key;
    let taken = tx.execute(
        "UPDATE rollout_letters SET token = ?5, due_at = ?6 \
         WHERE slug = ?1 AND round = ?2 AND kind = ?3 AND recipient = ?4 \
         AND status = 'written' AND token = ?7 AND due_at = ?8",
        params![
            &key.slug,
            key.round,
            key.kind.word(),
            &key.recipient,
            token,
            until.0,
            read.token,
            read.due_at.0
        ],
    )?;
    Ok(taken > 0)
}

/// What became of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) key: Key,
    pub(crate) status: Status,
    pub(crate) at: Timestamp,
    pub(crate) reply: String,
    pub(crate) due_at: Timestamp,
}

/// Notes what became of a letter. What it was about goes with it: nobody writes it again.
pub(crate) fn mark(tx: &mut dyn Tx, change: &Change) -> Result<(), StoreError> {
    let key = &change.key;
    tx.execute(
        "UPDATE rollout_letters SET status = ?5, status_at = ?6, reply = ?7, due_at = ?8, \
         facts = CASE WHEN ?5 = 'written' THEN facts ELSE '{}' END \
         WHERE slug = ?1 AND round = ?2 AND kind = ?3 AND recipient = ?4",
        params![
            &key.slug,
            key.round,
            key.kind.word(),
            &key.recipient,
            change.status.word(),
            change.at.0,
            &change.reply,
            change.due_at.0
        ],
    )
    .map(drop)
}

/// When an account got, or is to get, its latest letter that counts for the week. One that waited counts from
/// when it left, not from when it was written.
pub(crate) fn latest(tx: &mut dyn Tx, account: AccountId) -> Result<Option<Timestamp>, StoreError> {
    let latest = tx.one(
        "SELECT MAX(CASE WHEN status = 'written' THEN due_at \
                         WHEN status = 'failed' OR status = 'unknown' THEN written_at \
                         WHEN status_at > written_at THEN status_at ELSE written_at END) \
         FROM rollout_letters WHERE account = ?1 AND status <> 'dropped' \
         AND (kind = 'round' OR kind = 'nudge' OR kind = 'thanks' OR kind = 'regression' \
              OR kind = 'legacy-reminder')",
        params![account.0],
        |row| row.maybe_int(0),
    )?;
    Ok(latest.flatten().map(Timestamp))
}

/// Takes unsent letters of an account and rollout back, because one of `round` takes their place. A letter of
/// that round stays: a round that was cut off, or is written by two nodes, comes by here twice.
pub(crate) fn supersede(
    tx: &mut dyn Tx,
    slug: &str,
    account: AccountId,
    round: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE rollout_letters SET status = 'dropped', status_at = ?3, facts = '{}', \
         reply = 'a newer one goes out' \
         WHERE slug = ?1 AND account = ?2 AND status = 'written' AND token = 0 \
         AND ((kind = 'round' AND round <> ?4) OR kind = 'nudge')",
        params![slug, account.0, now.0, round],
    )
    .map(drop)
}

/// The accounts that got a letter of a rollout and no thanks, and when the first one was written. A letter that waits, or
/// could not be sent, is none they got.
pub(crate) fn unthanked(
    tx: &mut dyn Tx,
    slug: &str,
) -> Result<Vec<(AccountId, String, Timestamp)>, StoreError> {
    tx.all(
        "SELECT l.account, MIN(l.written_at), a.local, a.domain FROM rollout_letters l \
         JOIN directory_accounts a ON a.account = l.account \
         WHERE l.slug = ?1 AND (l.kind = 'round' OR l.kind = 'nudge') AND l.status <> 'dropped' \
         AND l.status <> 'written' AND l.status <> 'failed' \
         AND NOT EXISTS (SELECT 1 FROM rollout_letters t WHERE t.slug = ?1 AND t.kind = 'thanks' \
                         AND t.account = l.account) \
         GROUP BY l.account, a.local, a.domain ORDER BY l.account",
        params![slug],
        |row| {
            Ok((
                AccountId(row.int(0)?),
                format!("{}@{}", row.text(2)?, row.text(3)?),
                Timestamp(row.int(1)?),
            ))
        },
    )
}

/// When each account got its latest letter of a rollout that asks it to change something, in days since 1970. A
/// letter that waits, or could not be sent, is none it got.
pub(crate) fn told(tx: &mut dyn Tx, slug: &str) -> Result<HashMap<AccountId, i64>, StoreError> {
    let rows = tx.all(
        "SELECT account, MAX(status_at) FROM rollout_letters \
         WHERE slug = ?1 AND account IS NOT NULL AND (kind = 'round' OR kind = 'nudge') \
         AND status <> 'dropped' AND status <> 'written' AND status <> 'failed' GROUP BY account",
        params![slug],
        |row| Ok((AccountId(row.int(0)?), row.int(1)?.div_euclid(DAY_MS))),
    )?;
    Ok(rows.into_iter().collect())
}

/// The rounds of a rollout that are done with.
pub(crate) fn rounds(tx: &mut dyn Tx, slug: &str) -> Result<Vec<i64>, StoreError> {
    tx.all(
        "SELECT round FROM rollout_rounds WHERE slug = ?1 ORDER BY round",
        params![slug],
        |row| row.int(0),
    )
}

pub(crate) fn end_round(
    tx: &mut dyn Tx,
    slug: &str,
    round: i64,
    letters: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO rollout_rounds (slug, round, written_at, letters) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (slug, round) DO NOTHING",
        params![slug, round, now.0, letters],
    )
    .map(drop)
}

/// How often a status occurs among the letters of a rollout.
///
/// # Errors
/// Those of the store.
pub fn counts(tx: &mut dyn Tx, slug: &str) -> Result<Vec<(i64, String, String, i64)>, StoreError> {
    tx.all(
        "SELECT round, kind, status, COUNT(*) FROM rollout_letters WHERE slug = ?1 \
         GROUP BY round, kind, status ORDER BY round, kind, status",
        params![slug],
        |row| {
            Ok((
                row.int(0)?,
                row.text(1)?.to_owned(),
                row.text(2)?.to_owned(),
                row.int(3)?,
            ))
        },
    )
}
