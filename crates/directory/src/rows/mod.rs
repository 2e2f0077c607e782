//! The directory in the store: the only place with its SQL. `facts` and `read` read, `write` carries
//! out changes. Everything runs inside a transaction of the caller's.

pub(crate) mod facts;
pub(crate) mod read;
pub(crate) mod write;

use crate::login::Pop3Delete;
use crate::resolution::Status;
use platform::params;
use platform::random::Random;
use platform::store::{StoreError, Tx};

/// The number that grows with every change.
pub(crate) fn revision(tx: &mut dyn Tx) -> Result<i64, StoreError> {
    tx.one(
        "SELECT value FROM directory_numbers WHERE name = 'revision'",
        params![],
        |row| row.int(0),
    )?
    .ok_or_else(|| damaged("directory_numbers", "has no revision"))
}

/// Counts one change; everybody who remembers something forgets it.
pub(crate) fn bump_revision(tx: &mut dyn Tx) -> Result<i64, StoreError> {
    tx.one(
        "UPDATE directory_numbers SET value = value + 1 WHERE name = 'revision' RETURNING value",
        params![],
        |row| row.int(0),
    )?
    .ok_or_else(|| damaged("directory_numbers", "has no revision"))
}

/// The installation's secret `name`, made of `candidate` where there is none yet.
pub(crate) fn secret(
    tx: &mut dyn Tx,
    name: &str,
    candidate: &[u8; 32],
) -> Result<[u8; 32], StoreError> {
    tx.execute(
        "INSERT INTO directory_secrets (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
        params![name, candidate.as_slice()],
    )?;
    tx.one(
        "SELECT value FROM directory_secrets WHERE name = ?1",
        params![name],
        |row| Ok(row.bytes(0)?.try_into().ok()),
    )?
    .flatten()
    .ok_or_else(|| damaged("directory_secrets", "has a value of the wrong size"))
}

/// Sixteen bytes of salt.
pub(crate) fn fresh_salt(random: &Random) -> Vec<u8> {
    let mut salt = vec![0; 16];
    random.fill(&mut salt);
    salt
}

/// A row that says what no row may say.
pub(crate) fn damaged(table: &'static str, what: &str) -> StoreError {
    StoreError::Schema(format!("the table {table} {what}; run `rohrpost verify`"))
}

pub(crate) fn status_from(number: i64) -> Result<Status, StoreError> {
    match number {
        0 => Ok(Status::Active),
        1 => Ok(Status::Suspended),
        other => Err(damaged(
            "directory_accounts",
            &format!("has a status {other}"),
        )),
    }
}

pub(crate) fn status_number(status: Status) -> i64 {
    match status {
        Status::Active => 0,
        Status::Suspended => 1,
    }
}

pub(crate) fn pop3_delete_from(number: i64) -> Result<Pop3Delete, StoreError> {
    match number {
        0 => Ok(Pop3Delete::Remove),
        1 => Ok(Pop3Delete::Trash),
        2 => Ok(Pop3Delete::Keep),
        other => Err(damaged(
            "directory_accounts",
            &format!("has a pop3_delete {other}"),
        )),
    }
}

pub(crate) fn pop3_delete_number(policy: Pop3Delete) -> i64 {
    match policy {
        Pop3Delete::Remove => 0,
        Pop3Delete::Trash => 1,
        Pop3Delete::Keep => 2,
    }
}
