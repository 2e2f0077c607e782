//! What a measure saw: this account, this measure, this detail, how often, first and last day. Collected in
//! memory, written by a chore. Never holds an IP address. The rim notes, the CLI and letters read.

pub mod servers;
#[cfg(test)]
mod servers_tests;

pub use crate::measure::Measure;
use crate::model::SendAs;
use directory::{AccountId, AddressKey};
use formats::address::Address;
use platform::clock::Timestamp;
use platform::params;
use platform::store::{Store, StoreError, Tx};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Longest detail that is kept, in bytes; what is longer is cut.
pub const DETAIL_BYTES_MAX: usize = 320;
/// Findings that wait in memory for the chore; while there are so many, new ones are only counted as lost.
pub const WAITING_MAX: usize = 50_000;
/// Different details of one measure that are kept per account; a sender who uses a new address with
/// every message must not fill the store.
pub const DETAILS_PER_ACCOUNT_MAX: usize = 200;
/// Findings written in one transaction.
const WRITTEN_AT_ONCE: usize = 500;
/// Accounts whose old findings are removed in one transaction.
const FORGOTTEN_AT_ONCE: i64 = 5_000;
/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// What was found, added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// By what.
    pub measure: Measure,
    /// About whom.
    pub account: AccountId,
    /// What exactly, such as the sender that was used.
    pub detail: String,
    /// How often.
    pub seen: u64,
    /// First day, in days since 1970.
    pub first_day: i64,
    /// Last day, in days since 1970.
    pub last_day: i64,
}

/// Collects findings. Cheap to clone; all clones share one memory.
#[derive(Clone)]
pub struct Findings {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    waiting: Mutex<Waiting>,
    servers: servers::Servers,
}

#[derive(Default)]
struct Waiting {
    found: HashMap<AccountId, HashMap<(Measure, Box<str>), Tally>>,
    kept: usize,
    lost: u64,
}

#[derive(Debug, Clone, Copy)]
struct Tally {
    seen: u64,
    first_day: i64,
    last_day: i64,
}

impl Tally {
    fn once(day: i64) -> Self {
        Self {
            seen: 1,
            first_day: day,
            last_day: day,
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            seen: self.seen.saturating_add(other.seen),
            first_day: self.first_day.min(other.first_day),
            last_day: self.last_day.max(other.last_day),
        }
    }
}

impl Findings {
    /// Findings that end up in `store`.
    pub fn new(store: Store) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                waiting: Mutex::default(),
                servers: servers::Servers::default(),
            }),
        }
    }

    /// Notes one finding. `detail` must not hold an IP address. Costs no store access.
    pub fn note(&self, measure: Measure, account: AccountId, detail: &str, now: Timestamp) {
        let tally = Tally::once(now.0.div_euclid(DAY_MS));
        self.waiting().add(account, measure, cut(detail), tally);
    }

    /// Notes that mail which `theirs` brought in the name of the hosted domain `ours` does not meet a measure. Neither
    /// may hold an IP address. Costs no store access.
    pub fn note_server(&self, measure: Measure, ours: &str, theirs: &str, now: Timestamp) {
        self.inner.servers.note(measure, ours, cut(theirs), now);
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
        self.inner.servers.flush(&self.inner.store).await?;
        let (mut found, lost) = self.waiting().take();
        if lost > 0 {
            tracing::warn!(lost, "findings.lost_for_want_of_memory");
        }
        while !found.is_empty() {
            let rest = found.split_off(found.len().min(WRITTEN_AT_ONCE));
            let batch = Arc::new(std::mem::replace(&mut found, rest));
            let rows = batch.clone();
            let written = self
                .inner
                .store
                .write(move |tx: &mut dyn Tx| rows.iter().try_for_each(|row| add(tx, row)))
                .await;
            if let Err(error) = written {
                let mut waiting = self.waiting();
                for row in batch.iter().chain(&found) {
                    let tally = Tally {
                        seen: row.seen,
                        first_day: row.first_day,
                        last_day: row.last_day,
                    };
                    waiting.add(row.account, row.measure.clone(), &row.detail, tally);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Removes findings whose last day is more than `kept` ago. For a chore, now and then.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn forget(&self, kept: Duration, now: Timestamp) -> Result<(), StoreError> {
        let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        let before = now.0.saturating_sub(kept).div_euclid(DAY_MS);
        let store = &self.inner.store;
        // In steps: nobody else can write meanwhile.
        let last = store.read(last_account).await?;
        let mut first = 0;
        while first <= last {
            let end = first + FORGOTTEN_AT_ONCE;
            store
                .write(move |tx: &mut dyn Tx| {
                    tx.execute(
                        "DELETE FROM policy_findings \
                         WHERE account >= ?1 AND account < ?2 AND last_day < ?3",
                        params![first, end, before],
                    )
                })
                .await?;
            first = end;
        }
        store
            .write(move |tx: &mut dyn Tx| servers::forget(tx, before))
            .await
    }
}

/// The greatest number of an account that has findings.
fn last_account(tx: &mut dyn Tx) -> Result<i64, StoreError> {
    let last = tx.one(
        "SELECT COALESCE(MAX(account), 0) FROM policy_findings",
        params![],
        |row| row.int(0),
    )?;
    Ok(last.unwrap_or(0))
}

impl Waiting {
    fn add(&mut self, account: AccountId, measure: Measure, detail: &str, tally: Tally) {
        let of_account = self.found.entry(account).or_default();
        let key = (measure, Box::from(detail));
        if let Some(known) = of_account.get_mut(&key) {
            *known = known.and(tally);
        } else if self.kept >= WAITING_MAX || of_account.len() >= DETAILS_PER_ACCOUNT_MAX {
            self.lost = self.lost.saturating_add(tally.seen);
        } else {
            of_account.insert(key, tally);
            self.kept += 1;
        }
    }

    /// What waits, and how many could not be kept.
    fn take(&mut self) -> (Vec<Finding>, u64) {
        let taken = std::mem::take(self);
        let rows = taken.found.into_iter().flat_map(|(account, details)| {
            details
                .into_iter()
                .map(move |((measure, detail), tally)| Finding {
                    measure,
                    account,
                    detail: detail.into(),
                    seen: tally.seen,
                    first_day: tally.first_day,
                    last_day: tally.last_day,
                })
        });
        (rows.collect(), taken.lost)
    }
}

/// At most `DETAIL_BYTES_MAX` bytes of `detail`, without what the store cannot hold.
fn cut(detail: &str) -> &str {
    let end = detail.find('\0').unwrap_or(detail.len());
    let mut end = end.min(DETAIL_BYTES_MAX);
    while !detail.is_char_boundary(end) {
        end -= 1;
    }
    detail.get(..end).unwrap_or_default()
}

/// Adds to the row of a finding, or makes it where the account has room and still exists.
fn add(tx: &mut dyn Tx, found: &Finding) -> Result<(), StoreError> {
    let seen = i64::try_from(found.seen).unwrap_or(i64::MAX);
    let word = found.measure.to_string();
    let word = word.as_str();
    let known = tx.execute(
        "UPDATE policy_findings SET seen = seen + ?4, \
         first_day = CASE WHEN first_day < ?5 THEN first_day ELSE ?5 END, \
         last_day = CASE WHEN last_day > ?6 THEN last_day ELSE ?6 END \
         WHERE account = ?1 AND measure = ?2 AND detail = ?3",
        params![
            found.account.0,
            word,
            &found.detail,
            seen,
            found.first_day,
            found.last_day
        ],
    )?;
    if known > 0 {
        return Ok(());
    }
    // An account that was removed meanwhile gets no row: nobody would ever remove it again.
    tx.execute(
        "INSERT INTO policy_findings (account, measure, detail, seen, first_day, last_day) \
         SELECT ?1, ?2, ?3, ?4, ?5, ?6 \
         WHERE EXISTS (SELECT 1 FROM directory_accounts WHERE account = ?1) \
         AND (SELECT COUNT(*) FROM policy_findings WHERE account = ?1 AND measure = ?2) < ?7",
        params![
            found.account.0,
            word,
            &found.detail,
            seen,
            found.first_day,
            found.last_day,
            DETAILS_PER_ACCOUNT_MAX as i64
        ],
    )
    .map(drop)
}

/// Findings with the addresses of their accounts, most frequent first within an account. `measure`
/// limits them to one. At most `rows_max`.
///
/// # Errors
/// Those of the store.
pub fn list(
    tx: &mut dyn Tx,
    measure: Option<&Measure>,
    rows_max: i64,
) -> Result<Vec<(String, Finding)>, StoreError> {
    let word = measure.map_or_else(String::new, |measure| measure.to_string());
    let rows = tx.all(
        "SELECT a.local, a.domain, f.measure, f.account, f.detail, f.seen, f.first_day, f.last_day \
         FROM policy_findings f JOIN directory_accounts a ON a.account = f.account \
         WHERE (?1 = '' OR f.measure = ?1) \
         ORDER BY a.domain, a.local, f.measure, f.seen DESC, f.detail LIMIT ?2",
        params![&word, rows_max],
        |row| {
            let login = format!("{}@{}", row.text(0)?, row.text(1)?);
            let Some(measure) = Measure::from_word(row.text(2)?) else {
                // Of a newer version; not ours to show.
                return Ok(None);
            };
            Ok(Some((
                login,
                Finding {
                    measure,
                    account: AccountId(row.int(3)?),
                    detail: row.text(4)?.to_owned(),
                    seen: u64::try_from(row.int(5)?).unwrap_or(0),
                    first_day: row.int(6)?,
                    last_day: row.int(7)?,
                },
            )))
        },
    )?;
    Ok(rows.into_iter().flatten().collect())
}

/// What a measure found about one account on `first_day` (days since 1970, UTC) or later, most frequent first; at
/// most `DETAILS_PER_ACCOUNT_MAX`.
///
/// # Errors
/// Those of the store.
pub fn of(
    tx: &mut dyn Tx,
    account: AccountId,
    measure: &Measure,
    first_day: i64,
) -> Result<Vec<Finding>, StoreError> {
    tx.all(
        "SELECT detail, seen, first_day, last_day FROM policy_findings \
         WHERE account = ?1 AND measure = ?2 AND last_day >= ?3 ORDER BY seen DESC, detail",
        params![account.0, &measure.to_string(), first_day],
        |row| {
            Ok(Finding {
                measure: measure.clone(),
                account,
                detail: row.text(0)?.to_owned(),
                seen: u64::try_from(row.int(1)?).unwrap_or(0),
                first_day: row.int(2)?,
                last_day: row.int(3)?,
            })
        },
    )
}

/// Forgets that an account used senders which are its own from now on: nobody writes letters about them.
///
/// # Errors
/// Those of the store.
pub(crate) fn settle_sender(
    tx: &mut dyn Tx,
    account: AccountId,
    now_own: &SendAs,
) -> Result<(), StoreError> {
    for found in of(tx, account, &Measure::SenderOwnership, 0)? {
        let used = AddressKey::parse(&found.detail);
        let is_own = used.is_ok_and(|used| match now_own {
            SendAs::Address(address) => used == *address,
            SendAs::AnyAt(domain) => used.domain() == domain,
        });
        if is_own {
            forget_one(tx, &found)?;
        }
    }
    Ok(())
}

/// The same for addresses that lead to the account since an alias or a catch-all was set; `leads_there` asks the
/// directory. Part of the transaction that sets it.
///
/// # Errors
/// Those of the store.
pub fn settle_owned(
    tx: &mut dyn Tx,
    account: AccountId,
    leads_there: &dyn Fn(&mut dyn Tx, &Address) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    for found in of(tx, account, &Measure::SenderOwnership, 0)? {
        // Not every detail is an address: some say what was wrong with the header.
        if let Ok(used) = Address::parse(&found.detail)
            && leads_there(tx, &used)?
        {
            forget_one(tx, &found)?;
        }
    }
    Ok(())
}

fn forget_one(tx: &mut dyn Tx, found: &Finding) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM policy_findings WHERE account = ?1 AND measure = ?2 AND detail = ?3",
        params![found.account.0, &found.measure.to_string(), &found.detail],
    )
    .map(drop)
}

/// Forgets what is known about an account that goes.
///
/// # Errors
/// Those of the store.
pub(crate) fn remove_account(tx: &mut dyn Tx, account: AccountId) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM policy_findings WHERE account = ?1",
        params![account.0],
    )
    .map(drop)
}

#[cfg(test)]
mod tests;
