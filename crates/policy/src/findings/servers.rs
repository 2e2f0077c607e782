//! What a measure found of mail that other servers brought: by measure, hosted domain and who brought it, in memory,
//! written with the findings of accounts. Holds no IP address and no address of anybody.

use crate::impact::Server;
use crate::measure::Measure;
use directory::DomainName;
use platform::clock::Timestamp;
use platform::params;
use platform::store::{Store, StoreError, Tx};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// Counts that wait in memory; while there are so many, new ones are dropped.
const WAITING_MAX: usize = 20_000;
/// Servers kept per measure and hosted domain: who comes from a new name each time must not fill the store.
const SERVERS_PER_DOMAIN_MAX: i64 = 1_000;
/// Servers named in a preview.
const LISTED_MAX: i64 = 10_000;
/// Rows written in one transaction.
const WRITTEN_AT_ONCE: usize = 500;
const DAY_MS: i64 = 24 * 3600 * 1000;

/// Measure, hosted domain, who brought it.
type Key = (Measure, Box<str>, Box<str>);
/// How often, first and last day.
type Tally = (i64, i64, i64);

/// Collects them.
#[derive(Default)]
pub(super) struct Servers {
    waiting: Mutex<HashMap<Key, Tally>>,
}

impl Servers {
    pub(super) fn note(&self, measure: Measure, ours: &str, theirs: &str, now: Timestamp) {
        let day = now.0.div_euclid(DAY_MS);
        self.add((measure, ours.into(), theirs.into()), (1, day, day));
    }

    fn add(&self, key: Key, (seen, first, last): Tally) {
        let mut waiting = self.waiting();
        if waiting.len() >= WAITING_MAX && !waiting.contains_key(&key) {
            return;
        }
        let known = waiting.entry(key).or_insert((0, first, last));
        *known = (
            known.0.saturating_add(seen),
            known.1.min(first),
            known.2.max(last),
        );
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Key, Tally>> {
        let held = self.waiting.lock();
        held.unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Writes what waits; what could not be written goes on waiting.
    pub(super) async fn flush(&self, store: &Store) -> Result<(), StoreError> {
        let mut rest: Vec<(Key, Tally)> = self.waiting().drain().collect();
        while !rest.is_empty() {
            let batch = Arc::new(rest.split_off(rest.len().saturating_sub(WRITTEN_AT_ONCE)));
            let rows = batch.clone();
            let written = store
                .write(move |tx: &mut dyn Tx| {
                    rows.iter()
                        .try_for_each(|(key, tally)| write(tx, key, *tally))
                })
                .await;
            if let Err(error) = written {
                for (key, tally) in batch.iter().chain(&rest) {
                    self.add(key.clone(), *tally);
                }
                return Err(error);
            }
        }
        Ok(())
    }
}

fn write(
    tx: &mut dyn Tx,
    (measure, ours, theirs): &Key,
    (seen, first, last): Tally,
) -> Result<(), StoreError> {
    let word = measure.to_string();
    let known = tx.execute(
        "UPDATE policy_finding_servers SET seen = seen + ?4, \
         first_day = CASE WHEN first_day < ?5 THEN first_day ELSE ?5 END, \
         last_day = CASE WHEN last_day > ?6 THEN last_day ELSE ?6 END \
         WHERE measure = ?1 AND ours = ?2 AND theirs = ?3",
        params![&word, &**ours, &**theirs, seen, first, last],
    )?;
    if known > 0 {
        return Ok(());
    }
    // A domain that was removed meanwhile gets no row: nobody would ever remove it again.
    tx.execute(
        "INSERT INTO policy_finding_servers (measure, ours, theirs, seen, first_day, last_day) \
         SELECT ?1, ?2, ?3, ?4, ?5, ?6 \
         WHERE EXISTS (SELECT 1 FROM directory_domains WHERE domain = ?2) \
         AND (SELECT COUNT(*) FROM policy_finding_servers WHERE measure = ?1 AND ours = ?2) < ?7",
        params![
            &word,
            &**ours,
            &**theirs,
            seen,
            first,
            last,
            SERVERS_PER_DOMAIN_MAX
        ],
    )
    .map(drop)
}

/// What a measure found on `first_day` (days since 1970, UTC) or later, most frequent first. `ours` limits it to one
/// hosted domain.
///
/// # Errors
/// Those of the store.
pub fn list(
    tx: &mut dyn Tx,
    measure: &Measure,
    ours: Option<&DomainName>,
    first_day: i64,
) -> Result<Vec<Server>, StoreError> {
    let ours = ours.map_or("", DomainName::as_str);
    tx.all(
        "SELECT ours, theirs, seen, last_day FROM policy_finding_servers \
         WHERE measure = ?1 AND (?2 = '' OR ours = ?2) AND last_day >= ?3 \
         ORDER BY seen DESC, ours, theirs LIMIT ?4",
        params![&measure.to_string(), ours, first_day, LISTED_MAX],
        |row| {
            Ok(Server {
                ours: row.text(0)?.to_owned(),
                domain: row.text(1)?.to_owned(),
                stopped: u64::try_from(row.int(2)?).unwrap_or(0),
                passing: 0,
                last_day: row.int(3)?,
            })
        },
    )
}

/// Forgets what was last seen before `day`.
pub(super) fn forget(tx: &mut dyn Tx, day: i64) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM policy_finding_servers WHERE last_day < ?1",
        params![day],
    )
    .map(drop)
}

/// Forgets what is known about a domain that goes.
///
/// # Errors
/// Those of the store.
pub(crate) fn remove_domain(tx: &mut dyn Tx, domain: &DomainName) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM policy_finding_servers WHERE ours = ?1",
        params![domain.as_str()],
    )
    .map(drop)
}
