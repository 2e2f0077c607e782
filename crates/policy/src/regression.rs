//! The regression alarm: an account that was secure for a week connects insecurely again, after a change of
//! machine perhaps. One row per account, at most one a week. Found while connections are written; the
//! notices of the same day read it.

use crate::connections::{Manner, Outcome, manner};
use crate::measure::Door;
use directory::AccountId;
use platform::clock::Timestamp;
use platform::params;
use platform::store::{StoreError, Tx};

/// So long an account must have been secure, and so long nothing is said again, in days.
pub const QUIET_DAYS: i64 = 7;
/// Secure logins that are longer ago than this, in days, do not show how the account connects.
const LATELY_DAYS: i64 = 60;

/// An account that was secure and is not any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regression {
    /// Who.
    pub account: AccountId,
    /// Its address.
    pub login: String,
    /// The day, in days since 1970 (UTC).
    pub day: i64,
    /// What it did.
    pub manner: Manner,
}

/// Called with what an account does insecurely on a day for the first time, before the row is written.
pub(crate) fn look(
    tx: &mut dyn Tx,
    account: AccountId,
    did: &Manner,
    today: i64,
) -> Result<(), StoreError> {
    // Who enrolled for the legacy hosts was asked and has agreed.
    if did.door == Door::Legacy && did.outcome == Outcome::LoggedIn {
        return Ok(());
    }
    let before = tx.one(
        "SELECT COALESCE(MIN(CASE WHEN outcome = ?2 AND tls >= 12 THEN first_day END), ?4), \
         COALESCE(MAX(CASE WHEN outcome = ?2 AND tls >= 12 THEN last_day END), 0), \
         COALESCE(MAX(CASE WHEN tls = 10 OR tls = 11 OR (tls = 0 AND encryption = ?3) \
                           THEN last_day END), 0) \
         FROM policy_connections WHERE account = ?1 AND believed = 1",
        params![
            account.0,
            Outcome::LoggedIn.word(),
            crate::measure::Encryption::Clear.word(),
            today,
        ],
        |row| Ok((row.int(0)?, row.int(1)?, row.int(2)?)),
    )?;
    let Some((secure_since, secure_until, insecure_until)) = before else {
        return Ok(());
    };
    let was_secure = secure_since <= today - QUIET_DAYS
        && secure_until >= today - LATELY_DAYS
        && insecure_until <= today - QUIET_DAYS;
    if !was_secure {
        return Ok(());
    }
    tx.execute(
        "INSERT INTO policy_regressions (account, day, service, client, port, encryption, door, tls, \
         cipher, outcome, noticed_at) \
         SELECT account, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, NULL FROM directory_accounts \
         WHERE account = ?1 \
         ON CONFLICT (account) DO UPDATE SET day = excluded.day, service = excluded.service, \
         client = excluded.client, port = excluded.port, encryption = excluded.encryption, \
         door = excluded.door, tls = excluded.tls, cipher = excluded.cipher, \
         outcome = excluded.outcome, noticed_at = NULL \
         WHERE policy_regressions.day <= ?11",
        params![
            account.0,
            today,
            did.service.word(),
            &*did.client,
            i64::from(did.port),
            did.encryption.word(),
            did.door.word(),
            crate::connections::tls_number(did.tls),
            &*did.cipher,
            did.outcome.word(),
            today - QUIET_DAYS,
        ],
    )
    .map(drop)
}

/// Regressions nobody was told of yet, of `first_day` (days since 1970, UTC) or later; at most `rows_max`.
///
/// # Errors
/// Those of the store.
pub fn untold(
    tx: &mut dyn Tx,
    first_day: i64,
    rows_max: u32,
) -> Result<Vec<Regression>, StoreError> {
    let rows = tx.all(
        "SELECT r.account, a.local, a.domain, r.day, r.service, r.client, r.port, r.encryption, \
         r.door, r.tls, r.cipher, r.outcome \
         FROM policy_regressions r JOIN directory_accounts a ON a.account = r.account \
         WHERE r.noticed_at IS NULL AND r.day >= ?1 ORDER BY r.account LIMIT ?2",
        params![first_day, rows_max],
        |row| {
            let Some(manner) = manner(row, 4)? else {
                return Ok(None);
            };
            Ok(Some(Regression {
                account: AccountId(row.int(0)?),
                login: format!("{}@{}", row.text(1)?, row.text(2)?),
                day: row.int(3)?,
                manner,
            }))
        },
    )?;
    Ok(rows.into_iter().flatten().collect())
}

/// The account, or who looks after its domain, was told. Part of the transaction that sends the notice.
///
/// # Errors
/// Those of the store.
pub fn told(tx: &mut dyn Tx, account: AccountId, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE policy_regressions SET noticed_at = ?2 WHERE account = ?1 AND noticed_at IS NULL",
        params![account.0, now.0],
    )
    .map(drop)
}
