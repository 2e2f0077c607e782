//! What rules that are not enforced yet would have done to mail of other servers: counted by rule and sender domain,
//! in memory, written by a chore. Holds no address of anybody. Findings of accounts are `findings`'.

use platform::clock::Timestamp;
use platform::params;
use platform::store::{Store, StoreError, Tx};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// Counts that wait in memory; while there are so many, new ones are dropped.
const WAITING_MAX: usize = 20_000;
/// Sender domains kept per rule: who sends from a new domain each time must not fill the store.
const DOMAINS_PER_RULE_MAX: i64 = 2_000;
/// Longest domain that is kept, in bytes.
const DOMAIN_BYTES_MAX: usize = 255;
const DAY_MS: i64 = 24 * 3600 * 1000;

/// What a rule would have done to mail of one sender domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFinding {
    /// The rule.
    pub rule: String,
    /// The sender's domain; empty for the null sender and before MAIL.
    pub domain: String,
    /// How often.
    pub seen: u64,
    /// First day, in days since 1970.
    pub first_day: i64,
    /// Last day, in days since 1970.
    pub last_day: i64,
}

/// Collects them. Cheap to clone; all clones share one memory.
#[derive(Clone)]
pub struct ServerFindings {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    waiting: Mutex<Waiting>,
}

/// Rule and sender domain; how often, first and last day.
type Waiting = HashMap<(Box<str>, Box<str>), (i64, i64, i64)>;

impl ServerFindings {
    /// Findings that end up in `store`.
    pub fn new(store: Store) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                waiting: Mutex::default(),
            }),
        }
    }

    /// Notes one. Costs no store access.
    pub fn note(&self, rule: &str, domain: &str, now: Timestamp) {
        let domain = domain.get(..DOMAIN_BYTES_MAX).unwrap_or(domain);
        self.add((rule.into(), domain.into()), 1, now.0.div_euclid(DAY_MS));
    }

    fn add(&self, key: (Box<str>, Box<str>), seen: i64, day: i64) {
        let mut waiting = self.waiting();
        if waiting.len() >= WAITING_MAX && !waiting.contains_key(&key) {
            return;
        }
        let (count, first, last) = waiting.entry(key).or_insert((0, day, day));
        *count += seen;
        *first = day.min(*first);
        *last = day.max(*last);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        let held = self.inner.waiting.lock();
        held.unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Writes what waits. Called by a chore and before a node stops.
    ///
    /// # Errors
    /// Those of the store; what was not written goes on waiting.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let taken: Vec<_> = self.waiting().drain().collect();
        if taken.is_empty() {
            return Ok(());
        }
        let rows = Arc::new(taken);
        let batch = rows.clone();
        let written = self
            .inner
            .store
            .write(move |tx: &mut dyn Tx| {
                batch
                    .iter()
                    .try_for_each(|((rule, domain), tally)| write(tx, rule, domain, *tally))
            })
            .await;
        if written.is_err() {
            for (key, (seen, first, last)) in rows.iter() {
                self.add(key.clone(), *seen, *first);
                self.add(key.clone(), 0, *last);
            }
        }
        written
    }
}

fn write(
    tx: &mut dyn Tx,
    rule: &str,
    domain: &str,
    (seen, first, last): (i64, i64, i64),
) -> Result<(), StoreError> {
    let known = tx.execute(
        "UPDATE policy_rule_servers SET seen = seen + ?3, \
         first_day = CASE WHEN first_day < ?4 THEN first_day ELSE ?4 END, \
         last_day = CASE WHEN last_day > ?5 THEN last_day ELSE ?5 END \
         WHERE rule = ?1 AND domain = ?2",
        params![rule, domain, seen, first, last],
    )?;
    if known > 0 {
        return Ok(());
    }
    tx.execute(
        "INSERT INTO policy_rule_servers (rule, domain, seen, first_day, last_day) \
         SELECT ?1, ?2, ?3, ?4, ?5 \
         WHERE (SELECT COUNT(*) FROM policy_rule_servers WHERE rule = ?1) < ?6",
        params![rule, domain, seen, first, last, DOMAINS_PER_RULE_MAX],
    )
    .map(drop)
}

/// What was noted, the most frequent first; `rule` limits it to one. At most `rows_max`.
///
/// # Errors
/// Those of the store.
pub fn list(
    tx: &mut dyn Tx,
    rule: Option<&str>,
    rows_max: i64,
) -> Result<Vec<ServerFinding>, StoreError> {
    tx.all(
        "SELECT rule, domain, seen, first_day, last_day FROM policy_rule_servers \
         WHERE (?1 = '' OR rule = ?1) ORDER BY rule, seen DESC, domain LIMIT ?2",
        params![rule.unwrap_or_default(), rows_max],
        |row| {
            Ok(ServerFinding {
                rule: row.text(0)?.to_owned(),
                domain: row.text(1)?.to_owned(),
                seen: u64::try_from(row.int(2)?).unwrap_or(0),
                first_day: row.int(3)?,
                last_day: row.int(4)?,
            })
        },
    )
}

/// Forgets what was last seen before that day.
///
/// # Errors
/// Those of the store.
pub fn forget_before(tx: &mut dyn Tx, day: i64) -> Result<u64, StoreError> {
    tx.execute(
        "DELETE FROM policy_rule_servers WHERE last_day < ?1",
        params![day],
    )
}
