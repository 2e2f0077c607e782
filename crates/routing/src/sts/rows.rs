//! MTA-STS policies in the store: one row per domain. Statements only; `cache` calls them.

use super::plan::Kept;
use super::policy::{Mode, StsPolicy};
use platform::clock::Timestamp;
use platform::params;
use platform::store::{Row, StoreError, Tx};
use std::sync::Arc;
use std::time::Duration;

/// A row to be refreshed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stale {
    pub(super) domain: String,
    pub(super) kept: Kept,
}

pub(super) fn read(tx: &mut dyn Tx, domain: &str) -> Result<Option<Kept>, StoreError> {
    let kept = tx.one(
        "SELECT domain, id, mode, mx, max_age, expires_at FROM sts_policies WHERE domain = ?1",
        params![domain],
        stale,
    )?;
    Ok(kept.flatten().map(|stale| stale.kept))
}

/// Policies that hold, were fetched before `fetched_before`, not tried since `tried_before` and used
/// since `used_after`; the oldest `limit`.
pub(super) fn stale_ones(
    tx: &mut dyn Tx,
    now: Timestamp,
    fetched_before: Timestamp,
    tried_before: Timestamp,
    used_after: Timestamp,
    limit: i64,
) -> Result<Vec<Stale>, StoreError> {
    let rows = tx.all(
        "SELECT domain, id, mode, mx, max_age, expires_at FROM sts_policies \
         WHERE fetched_at < ?1 AND tried_at < ?2 AND used_at >= ?3 AND expires_at > ?4 \
         ORDER BY fetched_at, domain LIMIT ?5",
        params![fetched_before.0, tried_before.0, used_after.0, now.0, limit],
        stale,
    )?;
    Ok(rows.into_iter().flatten().collect())
}

/// `None` for a row that no version of this program could have meant; it is fetched anew.
fn stale(row: &dyn Row) -> Result<Option<Stale>, StoreError> {
    let Some(mode) = Mode::parse(row.text(2)?) else {
        return Ok(None);
    };
    let policy = StsPolicy {
        mode,
        mx: row.text(3)?.lines().map(str::to_owned).collect(),
        max_age: Duration::from_secs(u64::try_from(row.int(4)?).unwrap_or(0)),
    };
    Ok(Some(Stale {
        domain: row.text(0)?.to_owned(),
        kept: Kept {
            policy: Arc::new(policy),
            id: row.text(1)?.into(),
            expires_at: Timestamp(row.int(5)?),
        },
    }))
}

pub(super) fn write(
    tx: &mut dyn Tx,
    domain: &str,
    kept: &Kept,
    now: Timestamp,
) -> Result<(), StoreError> {
    let policy = &kept.policy;
    let max_age = i64::try_from(policy.max_age.as_secs()).unwrap_or(i64::MAX);
    let mx = policy.mx.join("\n");
    tx.execute(
        "INSERT INTO sts_policies \
         (domain, id, mode, mx, max_age, fetched_at, expires_at, tried_at, used_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?6, ?6) \
         ON CONFLICT (domain) DO UPDATE SET id = excluded.id, mode = excluded.mode, \
         mx = excluded.mx, max_age = excluded.max_age, fetched_at = excluded.fetched_at, \
         expires_at = excluded.expires_at, tried_at = excluded.tried_at",
        params![
            domain,
            &*kept.id,
            policy.mode.as_str(),
            &mx,
            max_age,
            now.0,
            kept.expires_at.0
        ],
    )?;
    Ok(())
}

pub(super) fn tried(tx: &mut dyn Tx, domain: &str, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE sts_policies SET tried_at = ?2 WHERE domain = ?1",
        params![domain, now.0],
    )?;
    Ok(())
}

pub(super) fn used(tx: &mut dyn Tx, domain: &str, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE sts_policies SET used_at = ?2 WHERE domain = ?1",
        params![domain, now.0],
    )?;
    Ok(())
}

/// Removes what ran out before `now`.
pub(super) fn forget_expired(tx: &mut dyn Tx, now: Timestamp) -> Result<u64, StoreError> {
    tx.execute(
        "DELETE FROM sts_policies WHERE expires_at < ?1",
        params![now.0],
    )
}
