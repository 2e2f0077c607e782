//! Operators' own entries in the store: added, removed, read. The only place with their SQL. Each change counts as a
//! change of policy, so that every node reads the catalogue again within a second.

use super::Entry;
use super::entry;
use crate::admin::Author;
use platform::params;
use platform::store::{Component, Migration, StoreError, Tx};

/// Own entries an operator may have.
pub const ENTRIES_MAX: usize = 500;

/// The table of operators' entries. The key is the entry's identifier; the body is TOML with this one entry.
pub const SCHEMA: Component = Component {
    name: "policy-clients",
    migrations: &[Migration {
        number: 1,
        name: "operators' entries of the catalogue of clients",
        sql: "
CREATE TABLE policy_client_entries (
    client {text} NOT NULL PRIMARY KEY,
    body {text} NOT NULL,
    changed_at {int} NOT NULL,
    changed_by {text} NOT NULL,
    reason {text} NOT NULL
) {clustered}",
    }],
};

/// The operator's entries by identifier. One that this version cannot read is left out and told in the log.
///
/// # Errors
/// Those of the store.
pub fn all(tx: &mut dyn Tx) -> Result<Vec<Entry>, StoreError> {
    let bodies = tx.all(
        "SELECT body FROM policy_client_entries ORDER BY client",
        params![],
        |row| row.text(0).map(str::to_owned),
    )?;
    let read = bodies.iter().filter_map(|body| match entry::parse(body) {
        Ok(entries) => Some(entries),
        Err(problem) => {
            tracing::warn!(problem, "an entry of the catalogue cannot be read");
            None
        }
    });
    Ok(read.flatten().collect())
}

/// Writes entries; those with the same identifier are replaced.
///
/// # Errors
/// Those of the store.
pub fn put(tx: &mut dyn Tx, entries: &[Entry], author: &Author) -> Result<(), StoreError> {
    for entry in entries {
        let body = entry::write(std::iter::once(entry));
        tx.execute(
            "INSERT INTO policy_client_entries (client, body, changed_at, changed_by, reason) \
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (client) DO UPDATE SET body = excluded.body, \
             changed_at = excluded.changed_at, changed_by = excluded.changed_by, \
             reason = excluded.reason",
            params![
                entry.id.as_ref(),
                &body,
                author.now.0,
                &author.by,
                &author.reason
            ],
        )?;
    }
    crate::rows::bump_revision(tx)
}

/// Removes an entry; says whether there was one.
///
/// # Errors
/// Those of the store.
pub fn remove(tx: &mut dyn Tx, id: &str) -> Result<bool, StoreError> {
    let gone = tx.execute(
        "DELETE FROM policy_client_entries WHERE client = ?1",
        params![id],
    )?;
    crate::rows::bump_revision(tx)?;
    Ok(gone > 0)
}
