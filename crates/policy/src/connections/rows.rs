//! Connections in the store: written by the chore, read by pages, previews and the CLI. Here it is found out
//! whose a failure was, and what a good login settles.

use super::settle;
use super::waiting::{Part, Row as Added};
use super::{
    Belief, CLAIMED_PER_ACCOUNT_MAX, Connection, DAY_MS, Manner, ORIGINS_KEPT,
    ORIGINS_PER_ACCOUNT_MAX, Outcome, PROVED_PER_ACCOUNT_MAX, STRANGERS_PER_DAY_MAX, day,
};
use crate::measure::{Door, Encryption, Service};
use crate::{exposed, regression};
use directory::AccountId;
use platform::clock::Timestamp;
use platform::params;
use platform::store::{Row, StoreError, Tx};
use platform::tls::TlsVersion;
use std::net::IpAddr;
use std::time::Duration;

/// Writes what waited.
pub(super) fn put(tx: &mut dyn Tx, part: &Part) -> Result<(), StoreError> {
    match part {
        Part::Origin {
            address,
            account,
            at,
        } => put_origin(tx, *address, *account, *at),
        Part::Named { account, row } => put_named(tx, *account, row),
        Part::Stranger(row) => match only_account_from(tx, row)? {
            Some(account) => put_named(tx, account, row),
            None => put_stranger(tx, row),
        },
        Part::Mistaken {
            account, manner, ..
        } => take_back(tx, *account, manner),
    }
}

/// One login of this manner was another; a row of which nothing is left goes.
fn take_back(tx: &mut dyn Tx, account: AccountId, manner: &Manner) -> Result<(), StoreError> {
    for sql in [
        "UPDATE policy_connections SET seen = seen - 1 WHERE account = ?1 AND service = ?2 \
         AND client = ?3 AND port = ?4 AND encryption = ?5 AND door = ?6 AND tls = ?7 \
         AND cipher = ?8 AND outcome = ?9",
        "DELETE FROM policy_connections WHERE account = ?1 AND service = ?2 \
         AND client = ?3 AND port = ?4 AND encryption = ?5 AND door = ?6 AND tls = ?7 \
         AND cipher = ?8 AND outcome = ?9 AND seen < 1",
    ] {
        tx.execute(
            sql,
            params![
                account.0,
                manner.service.word(),
                &*manner.client,
                i64::from(manner.port),
                manner.encryption.word(),
                manner.door.word(),
                tls_number(manner.tls),
                &*manner.cipher,
                manner.outcome.word(),
            ],
        )?;
    }
    Ok(())
}

fn put_origin(
    tx: &mut dyn Tx,
    address: IpAddr,
    account: AccountId,
    at: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO policy_origins (address, account, last_at) SELECT ?1, ?2, ?3 \
         WHERE EXISTS (SELECT 1 FROM directory_accounts WHERE account = ?2) \
         ON CONFLICT (address, account) DO UPDATE SET last_at = excluded.last_at",
        params![&octets(address), account.0, at.0],
    )?;
    tx.execute(
        "DELETE FROM policy_origins WHERE account = ?1 AND last_at < \
         (SELECT last_at FROM policy_origins WHERE account = ?1 \
          ORDER BY last_at DESC LIMIT 1 OFFSET ?2)",
        params![account.0, ORIGINS_PER_ACCOUNT_MAX as i64 - 1],
    )
    .map(drop)
}

/// The account that came from the row's address in the last seven days, where it is the only one.
fn only_account_from(tx: &mut dyn Tx, row: &Added) -> Result<Option<AccountId>, StoreError> {
    let Some(peer) = row.peer else {
        return Ok(None);
    };
    let accounts = tx.all(
        "SELECT account FROM policy_origins WHERE address = ?1 AND last_at >= ?2 LIMIT 2",
        params![&octets(peer), origins_since(row.last_day)],
        |row| row.int(0),
    )?;
    match accounts[..] {
        [one] => Ok(Some(AccountId(one))),
        _ => Ok(None),
    }
}

fn put_named(tx: &mut dyn Tx, account: AccountId, added: &Added) -> Result<(), StoreError> {
    let manner = &added.manner;
    let before = known(tx, account, manner)?;
    let belief = match manner.outcome {
        Outcome::LoggedIn => Belief::Proved,
        _ => belief(tx, account, added)?,
    };
    let is_new_today = before.is_none_or(|(_, last_day)| last_day < added.last_day);
    if is_new_today && belief == Belief::Proved && manner.is_insecure() {
        regression::look(tx, account, manner, added.last_day)?;
    }
    match before {
        Some(_) => add(tx, account, added, belief)?,
        None => insert(tx, account, added, belief)?,
    }
    if manner.is_secure_login() {
        settle::settle(tx, account, manner, added.last_day)?;
    }
    let in_clear = manner.encryption == Encryption::Clear;
    if manner.outcome == Outcome::PasswordInClear
        || (in_clear && manner.outcome == Outcome::LoggedIn)
    {
        exposed::note(
            tx,
            account,
            manner.service,
            belief,
            added.seen,
            added.last_day,
        )?;
    }
    Ok(())
}

/// What is known of this row: whether it is believed, and its last day.
fn known(
    tx: &mut dyn Tx,
    account: AccountId,
    manner: &Manner,
) -> Result<Option<(Belief, i64)>, StoreError> {
    tx.one(
        "SELECT believed, last_day FROM policy_connections WHERE account = ?1 AND service = ?2 \
         AND client = ?3 AND port = ?4 AND encryption = ?5 AND door = ?6 AND tls = ?7 \
         AND cipher = ?8 AND outcome = ?9",
        params![
            account.0,
            manner.service.word(),
            &*manner.client,
            i64::from(manner.port),
            manner.encryption.word(),
            manner.door.word(),
            tls_number(manner.tls),
            &*manner.cipher,
            manner.outcome.word(),
        ],
        |row| Ok((belief_of(row.int(0)?), row.int(1)?)),
    )
}

/// Whether a failure was the account's own: it logged in from there lately, or just so before and was not seen to do
/// better since. Anybody can name an account, and any program, too; without this a stranger could have letters sent to
/// it. Whoever comes back from holidays is known by what it did before.
fn belief(tx: &mut dyn Tx, account: AccountId, added: &Added) -> Result<Belief, StoreError> {
    if let Some(peer) = added.peer {
        let (first, last) = network(peer);
        let came = tx.one(
            "SELECT 1 FROM policy_origins WHERE account = ?1 AND address >= ?2 AND address <= ?3 \
             AND last_at >= ?4 LIMIT 1",
            params![account.0, &first, &last, origins_since(added.last_day)],
            |row| row.int(0),
        )?;
        if came.is_some() {
            return Ok(Belief::Proved);
        }
    }
    let manner = &added.manner;
    if !is_recognised(&manner.client) {
        return Ok(Belief::Claimed);
    }
    let did = tx.one(
        "SELECT 1 FROM policy_connections WHERE account = ?1 AND service = ?2 AND client = ?3 \
         AND encryption = ?4 AND tls = ?5 AND outcome = ?6 AND settled = 0 LIMIT 1",
        params![
            account.0,
            manner.service.word(),
            &*manner.client,
            manner.encryption.word(),
            tls_number(manner.tls),
            Outcome::LoggedIn.word(),
        ],
        |row| row.int(0),
    )?;
    Ok(did.map_or(Belief::Claimed, |_| Belief::Proved))
}

/// Adds to a row. What strangers do in an account's name makes nothing that the account did itself more recent.
fn add(
    tx: &mut dyn Tx,
    account: AccountId,
    added: &Added,
    belief: Belief,
) -> Result<(), StoreError> {
    let manner = &added.manner;
    tx.execute(
        "UPDATE policy_connections SET seen = seen + ?10, \
         settled = CASE WHEN believed > ?11 THEN settled ELSE 0 END, \
         believed = CASE WHEN believed > ?11 THEN believed ELSE ?11 END, \
         first_day = CASE WHEN first_day < ?12 THEN first_day ELSE ?12 END, \
         last_day = CASE WHEN believed > ?11 OR last_day > ?13 THEN last_day ELSE ?13 END \
         WHERE account = ?1 AND service = ?2 AND client = ?3 AND port = ?4 AND encryption = ?5 \
         AND door = ?6 AND tls = ?7 AND cipher = ?8 AND outcome = ?9",
        params![
            account.0,
            manner.service.word(),
            &*manner.client,
            i64::from(manner.port),
            manner.encryption.word(),
            manner.door.word(),
            tls_number(manner.tls),
            &*manner.cipher,
            manner.outcome.word(),
            whole(added.seen),
            belief_number(belief),
            added.first_day,
            added.last_day,
        ],
    )
    .map(drop)
}

fn insert(
    tx: &mut dyn Tx,
    account: AccountId,
    added: &Added,
    belief: Belief,
) -> Result<(), StoreError> {
    let rows_max = match belief {
        Belief::Proved => PROVED_PER_ACCOUNT_MAX,
        Belief::Claimed => CLAIMED_PER_ACCOUNT_MAX,
    } as i64;
    let manner = &added.manner;
    // The oldest go for the new one, unless they are of the same day: then the new one is the one too many.
    tx.execute(
        "DELETE FROM policy_connections WHERE account = ?1 AND believed = ?2 AND last_day < ?4 \
         AND last_day = (SELECT MIN(last_day) FROM policy_connections \
                         WHERE account = ?1 AND believed = ?2) \
         AND (SELECT COUNT(*) FROM policy_connections WHERE account = ?1 AND believed = ?2) >= ?3",
        params![account.0, belief_number(belief), rows_max, added.last_day],
    )?;
    // An account that was removed meanwhile gets no row: nobody would ever remove it again.
    tx.execute(
        "INSERT INTO policy_connections (account, service, client, port, encryption, door, tls, \
         cipher, outcome, seen, believed, settled, first_day, last_day) \
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 0, ?12, ?13 \
         WHERE EXISTS (SELECT 1 FROM directory_accounts WHERE account = ?1) \
         AND (SELECT COUNT(*) FROM policy_connections WHERE account = ?1 AND believed = ?11) < ?14",
        params![
            account.0,
            manner.service.word(),
            &*manner.client,
            i64::from(manner.port),
            manner.encryption.word(),
            manner.door.word(),
            tls_number(manner.tls),
            &*manner.cipher,
            manner.outcome.word(),
            whole(added.seen),
            belief_number(belief),
            added.first_day,
            added.last_day,
            rows_max,
        ],
    )
    .map(drop)
}

fn put_stranger(tx: &mut dyn Tx, added: &Added) -> Result<(), StoreError> {
    let manner = &added.manner;
    let count = |tx: &mut dyn Tx, client: &str| {
        tx.execute(
            "UPDATE policy_strangers SET seen = seen + ?7 WHERE day = ?1 AND service = ?2 \
             AND outcome = ?3 AND encryption = ?4 AND tls = ?5 AND client = ?6",
            params![
                added.last_day,
                manner.service.word(),
                manner.outcome.word(),
                manner.encryption.word(),
                tls_number(manner.tls),
                client,
                whole(added.seen),
            ],
        )
    };
    if count(tx, &manner.client)? > 0 {
        return Ok(());
    }
    let rows = tx.one(
        "SELECT COUNT(*) FROM policy_strangers WHERE day = ?1",
        params![added.last_day],
        |row| row.int(0),
    )?;
    let is_full = rows.is_some_and(|rows| rows >= STRANGERS_PER_DAY_MAX as i64);
    let client = if is_full { "" } else { &*manner.client };
    if is_full && count(tx, client)? > 0 {
        return Ok(());
    }
    tx.execute(
        "INSERT INTO policy_strangers (day, service, outcome, encryption, tls, client, seen) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            added.last_day,
            manner.service.word(),
            manner.outcome.word(),
            manner.encryption.word(),
            tls_number(manner.tls),
            client,
            whole(added.seen),
        ],
    )
    .map(drop)
}

/// How an account connected, latest first; at most `PROVED_PER_ACCOUNT_MAX + CLAIMED_PER_ACCOUNT_MAX`.
///
/// # Errors
/// Those of the store.
pub fn list(tx: &mut dyn Tx, account: AccountId) -> Result<Vec<Connection>, StoreError> {
    let rows = tx.all(
        "SELECT account, service, client, port, encryption, door, tls, cipher, outcome, believed, \
         settled, seen, first_day, last_day FROM policy_connections WHERE account = ?1 \
         ORDER BY last_day DESC, service, client, port, encryption, door, tls DESC, cipher, outcome",
        params![account.0],
        |row| connection(row),
    )?;
    Ok(rows.into_iter().flatten().collect())
}

/// Every account's insecure connections that were seen on `first_day` (days since 1970, UTC) or later, with the
/// account's address, by domain and name; at most `rows_max`.
///
/// # Errors
/// Those of the store.
pub fn insecure(
    tx: &mut dyn Tx,
    first_day: i64,
    rows_max: u32,
) -> Result<Vec<(String, Connection)>, StoreError> {
    let rows = tx.all(
        "SELECT c.account, c.service, c.client, c.port, c.encryption, c.door, c.tls, c.cipher, \
         c.outcome, c.believed, c.settled, c.seen, c.first_day, c.last_day, a.local, a.domain \
         FROM policy_connections c JOIN directory_accounts a ON a.account = c.account \
         WHERE c.last_day >= ?1 AND c.tls < 12 AND (c.tls > 0 OR c.encryption = ?2) \
         ORDER BY a.domain, a.local, c.last_day DESC, c.service, c.client, c.port LIMIT ?3",
        params![first_day, Encryption::Clear.word(), rows_max],
        |row| {
            let login = format!("{}@{}", row.text(14)?, row.text(15)?);
            Ok(connection(row)?.map(|connection| (login, connection)))
        },
    )?;
    Ok(rows.into_iter().flatten().collect())
}

/// The fourteen columns of a connection, as `list` names them. `None`: of a newer version; not ours to show.
pub(crate) fn connection(row: &dyn Row) -> Result<Option<Connection>, StoreError> {
    let Some(manner) = manner(row, 1)? else {
        return Ok(None);
    };
    Ok(Some(Connection {
        account: AccountId(row.int(0)?),
        manner,
        belief: belief_of(row.int(9)?),
        settled: row.int(10)? != 0,
        seen: u64::try_from(row.int(11)?).unwrap_or(0),
        first_day: row.int(12)?,
        last_day: row.int(13)?,
    }))
}

/// Eight columns from `first` on: service, client, port, encryption, door, tls, cipher, outcome.
pub(crate) fn manner(row: &dyn Row, first: usize) -> Result<Option<Manner>, StoreError> {
    let (Some(service), Some(encryption), Some(door), Some(outcome)) = (
        Service::from_word(row.text(first)?),
        Encryption::from_word(row.text(first + 3)?),
        Door::from_word(row.text(first + 4)?),
        Outcome::from_word(row.text(first + 7)?),
    ) else {
        return Ok(None);
    };
    Ok(Some(Manner {
        service,
        client: row.text(first + 1)?.into(),
        port: u16::try_from(row.int(first + 2)?).unwrap_or(0),
        encryption,
        door,
        tls: tls_of(row.int(first + 5)?),
        cipher: row.text(first + 6)?.into(),
        outcome,
    }))
}

/// Failures of a day that nobody could be named for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    /// Which day, in days since 1970 (UTC).
    pub day: i64,
    /// What was spoken.
    pub service: Service,
    /// What failed.
    pub outcome: Outcome,
    /// How it was encrypted, or should have been.
    pub encryption: Encryption,
    /// The highest version that was offered; `None` where that is not known.
    pub tls: Option<TlsVersion>,
    /// The key of the mail program; empty where nothing is known or the day had too many.
    pub client: String,
    /// How often.
    pub seen: u64,
}

/// Failures that nobody could be named for since `first_day` (days since 1970, UTC), most frequent first; at
/// most `rows_max`.
///
/// # Errors
/// Those of the store.
pub fn strangers(
    tx: &mut dyn Tx,
    first_day: i64,
    rows_max: u32,
) -> Result<Vec<Stranger>, StoreError> {
    let rows = tx.all(
        "SELECT day, service, outcome, encryption, tls, client, seen FROM policy_strangers \
         WHERE day >= ?1 ORDER BY seen DESC, day DESC, service, client, outcome, encryption, tls \
         LIMIT ?2",
        params![first_day, rows_max],
        |row| {
            let (Some(service), Some(outcome), Some(encryption)) = (
                Service::from_word(row.text(1)?),
                Outcome::from_word(row.text(2)?),
                Encryption::from_word(row.text(3)?),
            ) else {
                return Ok(None);
            };
            Ok(Some(Stranger {
                day: row.int(0)?,
                service,
                outcome,
                encryption,
                tls: tls_of(row.int(4)?),
                client: row.text(5)?.to_owned(),
                seen: u64::try_from(row.int(6)?).unwrap_or(0),
            }))
        },
    )?;
    Ok(rows.into_iter().flatten().collect())
}

/// The greatest number of an account that has connections.
pub(super) fn last_account(tx: &mut dyn Tx) -> Result<i64, StoreError> {
    let last = tx.one(
        "SELECT COALESCE(MAX(account), 0) FROM policy_connections",
        params![],
        |row| row.int(0),
    )?;
    Ok(last.unwrap_or(0))
}

/// Removes old rows of the accounts from `first` on, below `end`.
pub(super) fn forget_connections(
    tx: &mut dyn Tx,
    first: i64,
    end: i64,
    before: i64,
) -> Result<u64, StoreError> {
    tx.execute(
        "DELETE FROM policy_connections WHERE account >= ?1 AND account < ?2 AND last_day < ?3",
        params![first, end, before],
    )
}

/// Removes old rows of the small tables, and addresses after seven days.
pub(super) fn forget_rest(tx: &mut dyn Tx, before: i64, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM policy_origins WHERE last_at < ?1",
        params![now.0.saturating_sub(milliseconds(ORIGINS_KEPT))],
    )?;
    for sql in [
        "DELETE FROM policy_strangers WHERE day < ?1",
        "DELETE FROM policy_regressions WHERE day < ?1",
        "DELETE FROM policy_trend WHERE day < ?1",
    ] {
        tx.execute(sql, params![before])?;
    }
    Ok(())
}

/// Forgets what is known about an account that goes.
///
/// # Errors
/// Those of the store.
pub(crate) fn remove_account(tx: &mut dyn Tx, account: AccountId) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM policy_connections WHERE account = ?1",
        "DELETE FROM policy_origins WHERE account = ?1",
        "DELETE FROM policy_exposed WHERE account = ?1",
        "DELETE FROM policy_regressions WHERE account = ?1",
    ] {
        tx.execute(sql, params![account.0])?;
    }
    Ok(())
}

/// The first day that is kept.
pub(super) fn first_kept(kept: Duration, now: Timestamp) -> i64 {
    day(Timestamp(now.0.saturating_sub(milliseconds(kept))))
}

/// Since when an address proves something to what happened on `last_day`.
fn origins_since(last_day: i64) -> i64 {
    (last_day + 1).saturating_mul(DAY_MS) - milliseconds(ORIGINS_KEPT)
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Whether a client's key says which program it is.
pub(crate) fn is_recognised(client: &str) -> bool {
    !client.is_empty() && client != crate::clients::UNKNOWN
}

/// The first and the last address of where a customer is: that address, of IPv6 the network of 64 bits, within which
/// devices change theirs daily (RFC 8981).
fn network(address: IpAddr) -> (Vec<u8>, Vec<u8>) {
    let (mut first, mut last) = (octets(address), octets(address));
    first.iter_mut().skip(8).for_each(|byte| *byte = 0);
    last.iter_mut().skip(8).for_each(|byte| *byte = 0xff);
    (first, last)
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(crate) fn belief_number(belief: Belief) -> i64 {
    match belief {
        Belief::Claimed => 0,
        Belief::Proved => 1,
    }
}

pub(crate) fn belief_of(number: i64) -> Belief {
    match number {
        1 => Belief::Proved,
        _ => Belief::Claimed,
    }
}

pub(crate) fn tls_number(version: Option<TlsVersion>) -> i64 {
    match version {
        None => 0,
        Some(TlsVersion::V1_0) => 10,
        Some(TlsVersion::V1_1) => 11,
        Some(TlsVersion::V1_2) => 12,
        Some(TlsVersion::V1_3) => 13,
    }
}

pub(crate) fn tls_of(number: i64) -> Option<TlsVersion> {
    match number {
        10 => Some(TlsVersion::V1_0),
        11 => Some(TlsVersion::V1_1),
        12 => Some(TlsVersion::V1_2),
        13 => Some(TlsVersion::V1_3),
        _ => None,
    }
}
