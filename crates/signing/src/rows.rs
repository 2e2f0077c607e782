//! Keys in the store: the only place with SQL about them. Everything runs inside a transaction of the caller's.

use crate::key::Algorithm;
use crate::lifecycle::{KeyState, Publication};
use platform::clock::Timestamp;
use platform::params;
use platform::store::{Row, StoreError, Tx};
use std::time::Duration;

/// A key as the store knows it, without its private half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// The signing domain.
    pub domain: String,
    /// Unique within the domain, for ever: a selector is never given to another key.
    pub selector: String,
    /// How it signs.
    pub algorithm: Algorithm,
    /// Where it is in its life.
    pub state: KeyState,
    /// What `p=` of its record holds, decoded.
    pub public_key: Vec<u8>,
    /// When it was made.
    pub created: Timestamp,
    /// Since when its record is seen without a break, and its TTL.
    pub seen: Option<(Timestamp, Duration)>,
    /// When it began to sign.
    pub activated: Option<Timestamp>,
    /// When it stopped.
    pub retired: Option<Timestamp>,
    /// When DNS was last asked.
    pub checked: Option<Timestamp>,
    /// What DNS said.
    pub publication: Publication,
}

/// A private key as it is stored.
pub(crate) struct SealedKey {
    pub(crate) selector: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) sealed: Option<Vec<u8>>,
}

macro_rules! select_keys {
    ($where:literal) => {
        concat!(
            "SELECT domain, selector, algorithm, state, public_key, created, seen, seen_ttl, \
             activated, retired, checked, publication, finding FROM signing_keys ",
            $where
        )
    };
}

fn damaged(what: &str) -> StoreError {
    StoreError::Schema(format!(
        "the table signing_keys has {what}; run `rohrpost verify`"
    ))
}

fn read(row: &dyn Row) -> Result<KeyRow, StoreError> {
    let time = |column| Ok::<_, StoreError>(row.maybe_int(column)?.map(Timestamp));
    let ttl = row.maybe_int(7)?.and_then(|ttl| u64::try_from(ttl).ok());
    Ok(KeyRow {
        domain: row.text(0)?.to_owned(),
        selector: row.text(1)?.to_owned(),
        algorithm: algorithm(row.int(2)?)?,
        state: KeyState::from_number(row.int(3)?).ok_or_else(|| damaged("an unknown state"))?,
        public_key: row.bytes(4)?.to_vec(),
        created: Timestamp(row.int(5)?),
        seen: time(6)?.zip(ttl.map(Duration::from_secs)),
        activated: time(8)?,
        retired: time(9)?,
        checked: time(10)?,
        publication: Publication::from_row(row.int(11)?, row.text(12)?),
    })
}

fn algorithm(number: i64) -> Result<Algorithm, StoreError> {
    Algorithm::from_number(number).ok_or_else(|| damaged("an unknown algorithm"))
}

/// The number that grows with every change.
pub(crate) fn revision(tx: &mut dyn Tx) -> Result<i64, StoreError> {
    let found = tx.one(
        "SELECT value FROM signing_numbers WHERE name = 'revision'",
        params![],
        |row| row.int(0),
    )?;
    found.ok_or_else(|| StoreError::Schema("the table signing_numbers has no revision".into()))
}

/// Counts one change; everybody who remembers keys forgets them.
pub(crate) fn bump(tx: &mut dyn Tx) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE signing_numbers SET value = value + 1 WHERE name = 'revision'",
        params![],
    )?;
    Ok(())
}

/// The mark of the secret the store belongs to; `candidate` where it has none yet.
pub(crate) fn secret_mark(tx: &mut dyn Tx, candidate: &[u8]) -> Result<Vec<u8>, StoreError> {
    tx.execute(
        "INSERT INTO signing_marks (name, value) VALUES ('secret', ?1) ON CONFLICT (name) DO NOTHING",
        params![candidate],
    )?;
    let found = tx.one(
        "SELECT value FROM signing_marks WHERE name = 'secret'",
        params![],
        |row| Ok(row.bytes(0)?.to_vec()),
    )?;
    Ok(found.unwrap_or_default())
}

/// The keys of `domain` that sign, with their private halves, RSA first.
pub(crate) fn active(tx: &mut dyn Tx, domain: &str) -> Result<Vec<SealedKey>, StoreError> {
    tx.all(
        "SELECT selector, algorithm, sealed FROM signing_keys WHERE domain = ?1 AND state = 2 \
         ORDER BY algorithm, activated DESC, selector",
        params![domain],
        |row| {
            Ok(SealedKey {
                selector: row.text(0)?.to_owned(),
                algorithm: algorithm(row.int(1)?)?,
                sealed: if row.is_null(2)? {
                    None
                } else {
                    Some(row.bytes(2)?.to_vec())
                },
            })
        },
    )
}

/// All keys of `domain`.
pub(crate) fn of_domain(tx: &mut dyn Tx, domain: &str) -> Result<Vec<KeyRow>, StoreError> {
    tx.all(
        select_keys!("WHERE domain = ?1 ORDER BY created, selector"),
        params![domain],
        read,
    )
}

/// Up to `count` keys after (`domain`, `selector`).
pub(crate) fn page(
    tx: &mut dyn Tx,
    after: (&str, &str),
    count: i64,
) -> Result<Vec<KeyRow>, StoreError> {
    tx.all(
        select_keys!(
            "WHERE domain > ?1 OR (domain = ?1 AND selector > ?2) ORDER BY domain, selector LIMIT ?3"
        ),
        params![after.0, after.1, count],
        read,
    )
}

/// Up to `count` domains with a key that is due for a look: a waiting one not checked since `waiting_before`, one
/// that signs not checked since `active_before`, one that retired at or before `retired_before`.
pub(crate) fn due(
    tx: &mut dyn Tx,
    waiting_before: Timestamp,
    active_before: Timestamp,
    retired_before: Timestamp,
    count: i64,
) -> Result<Vec<String>, StoreError> {
    tx.all(
        "SELECT DISTINCT domain FROM signing_keys WHERE \
         (state IN (0, 1) AND (checked IS NULL OR checked <= ?1)) \
         OR (state = 2 AND (checked IS NULL OR checked <= ?2)) \
         OR (state = 3 AND retired <= ?3) ORDER BY domain LIMIT ?4",
        params![waiting_before.0, active_before.0, retired_before.0, count],
        |row| Ok(row.text(0)?.to_owned()),
    )
}

/// Adds a key with its sealed private half.
pub(crate) fn insert(tx: &mut dyn Tx, key: &KeyRow, sealed: &[u8]) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO signing_keys (domain, selector, algorithm, state, sealed, public_key, created, \
         activated, publication, finding) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, '')",
        params![
            &key.domain,
            &key.selector,
            key.algorithm.number(),
            key.state.number(),
            sealed,
            &key.public_key,
            key.created.0,
            key.activated.map(|at| at.0),
        ],
    )?;
    bump(tx)
}

/// Writes back state, times and what DNS showed. Revoking destroys the private half.
pub(crate) fn update(tx: &mut dyn Tx, key: &KeyRow) -> Result<(), StoreError> {
    let ttl = key
        .seen
        .map(|(_, ttl)| i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX));
    tx.execute(
        "UPDATE signing_keys SET state = ?3, seen = ?4, seen_ttl = ?5, activated = ?6, retired = ?7, \
         checked = ?8, publication = ?9, finding = ?10 WHERE domain = ?1 AND selector = ?2",
        params![
            &key.domain,
            &key.selector,
            key.state.number(),
            key.seen.map(|(at, _)| at.0),
            ttl,
            key.activated.map(|at| at.0),
            key.retired.map(|at| at.0),
            key.checked.map(|at| at.0),
            key.publication.number(),
            key.publication.text(),
        ],
    )?;
    if key.state == KeyState::Revoked {
        tx.execute(
            "UPDATE signing_keys SET sealed = NULL WHERE domain = ?1 AND selector = ?2",
            params![&key.domain, &key.selector],
        )?;
    }
    Ok(())
}

/// Removes a key for good.
pub(crate) fn remove(tx: &mut dyn Tx, domain: &str, selector: &str) -> Result<u64, StoreError> {
    let removed = tx.execute(
        "DELETE FROM signing_keys WHERE domain = ?1 AND selector = ?2",
        params![domain, selector],
    )?;
    bump(tx)?;
    Ok(removed)
}

/// Forgets every key and which secret they were sealed with.
pub(crate) fn forget_all(tx: &mut dyn Tx) -> Result<u64, StoreError> {
    let removed = tx.execute("DELETE FROM signing_keys", params![])?;
    tx.execute("DELETE FROM signing_marks WHERE name = 'secret'", params![])?;
    bump(tx)?;
    Ok(removed)
}
