//! Operators' own entries in the store: added, removed, read. The only place with their SQL. Each change counts as a
//! change of policy, so that every node reads the catalogue again within a second.

use super::Entry;
use super::entry;
use crate::admin::{Author, PolicyError, checked_author};
use platform::params;
use platform::store::{Component, Migration, Store, StoreError, Tx};
use std::collections::BTreeMap;
use std::sync::Arc;

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

/// Adds entries; those with the same identifier are replaced.
///
/// # Errors
/// Where the author says not who or why, or there would be more than `ENTRIES_MAX`.
pub async fn add(store: &Store, entries: Vec<Entry>, author: Author) -> Result<(), PolicyError> {
    checked_author(&author)?;
    store
        .write(move |tx: &mut dyn Tx| {
            let mut wanted = by_id(all(tx)?);
            wanted.extend(by_id(entries.clone()));
            replace(tx, &wanted, &author).map(drop)
        })
        .await
}

/// Removes an entry; says whether there was one.
///
/// # Errors
/// Where the author says not who or why.
pub async fn take_away(store: &Store, id: &str, author: Author) -> Result<bool, PolicyError> {
    checked_author(&author)?;
    let id = id.to_owned();
    store
        .write(move |tx: &mut dyn Tx| {
            let mut wanted = by_id(all(tx)?);
            let gone = wanted.remove(id.as_str()).is_some();
            replace(tx, &wanted, &author)?;
            Ok(gone)
        })
        .await
}

/// Entries by their identifier, as a state file wants them.
pub fn by_id(entries: Vec<Entry>) -> BTreeMap<Arc<str>, Entry> {
    let keyed = entries.into_iter().map(|entry| (entry.id.clone(), entry));
    keyed.collect()
}

/// What making the operator's entries `wanted` would change, a sentence each.
pub fn plan(
    current: &BTreeMap<Arc<str>, Entry>,
    wanted: &BTreeMap<Arc<str>, Entry>,
) -> Vec<String> {
    let gone = current.keys().filter(|id| !wanted.contains_key(*id));
    let gone = gone.map(|id| format!("the catalogue's entry {id} is removed"));
    let put = wanted
        .iter()
        .filter_map(|(id, entry)| match current.get(id) {
            None => Some(format!("the catalogue gets the entry {id}")),
            Some(known) if known != entry => Some(format!("the catalogue's entry {id} changes")),
            Some(_) => None,
        });
    gone.chain(put).collect()
}

/// Makes the operator's entries exactly `wanted`, inside a transaction of the caller's; says what that changed.
///
/// # Errors
/// Where there are more than `ENTRIES_MAX`, and those of the store.
pub fn replace(
    tx: &mut dyn Tx,
    wanted: &BTreeMap<Arc<str>, Entry>,
    author: &Author,
) -> Result<Vec<String>, PolicyError> {
    if wanted.len() > ENTRIES_MAX {
        return Err(PolicyError::Invalid(format!(
            "the catalogue takes at most {ENTRIES_MAX} entries of your own"
        )));
    }
    let current = by_id(all(tx)?);
    let changes = plan(&current, wanted);
    if changes.is_empty() {
        return Ok(changes);
    }
    for id in current.keys().filter(|id| !wanted.contains_key(*id)) {
        tx.execute(
            "DELETE FROM policy_client_entries WHERE client = ?1",
            params![id.as_ref()],
        )?;
    }
    for (id, entry) in wanted {
        if current.get(id) != Some(entry) {
            put(tx, entry, author)?;
        }
    }
    crate::rows::bump_revision(tx)?;
    Ok(changes)
}

fn put(tx: &mut dyn Tx, entry: &Entry, author: &Author) -> Result<(), StoreError> {
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
    )
    .map(drop)
}
