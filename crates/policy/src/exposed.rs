//! Passwords that came in clear, even where the login was refused: others may have read them (RFC 8314
//! §4.1). The flag goes when the account's credentials change. Written with connections; pages, letters and
//! the CLI read.

use crate::connections::{Belief, belief_number, belief_of};
use crate::measure::Service;
use directory::AccountId;
use platform::params;
use platform::store::{Row, StoreError, Tx};

/// An account's password came in clear, and is still the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposed {
    /// Whose.
    pub account: AccountId,
    /// Where it came last.
    pub service: Service,
    /// Whether it was the account itself, or perhaps only somebody who named it.
    pub belief: Belief,
    /// How often.
    pub seen: u64,
    /// First day, in days since 1970 (UTC).
    pub first_day: i64,
    /// Last day, in days since 1970 (UTC).
    pub last_day: i64,
}

/// A password of `account` came in clear.
pub(crate) fn note(
    tx: &mut dyn Tx,
    account: AccountId,
    service: Service,
    belief: Belief,
    seen: u64,
    day: i64,
) -> Result<(), StoreError> {
    // Where the credentials were changed since the row was written, everything begins anew.
    tx.execute(
        "INSERT INTO policy_exposed (account, service, credential_revision, believed, seen, \
         first_day, last_day) \
         SELECT account, ?2, credential_revision, ?3, ?4, ?5, ?5 FROM directory_accounts \
         WHERE account = ?1 \
         ON CONFLICT (account) DO UPDATE SET service = excluded.service, \
         believed = CASE WHEN policy_exposed.credential_revision = excluded.credential_revision \
                         AND policy_exposed.believed > excluded.believed \
                         THEN policy_exposed.believed ELSE excluded.believed END, \
         seen = CASE WHEN policy_exposed.credential_revision = excluded.credential_revision \
                     THEN policy_exposed.seen + excluded.seen ELSE excluded.seen END, \
         first_day = CASE WHEN policy_exposed.credential_revision = excluded.credential_revision \
                          THEN policy_exposed.first_day ELSE excluded.first_day END, \
         last_day = excluded.last_day, credential_revision = excluded.credential_revision",
        params![
            account.0,
            service.word(),
            belief_number(belief),
            i64::try_from(seen).unwrap_or(i64::MAX),
            day
        ],
    )
    .map(drop)
}

/// Whether the password this account has now came in clear.
///
/// # Errors
/// Those of the store.
pub fn of(tx: &mut dyn Tx, account: AccountId) -> Result<Option<Exposed>, StoreError> {
    let found = tx.one(
        "SELECT e.account, e.service, e.believed, e.seen, e.first_day, e.last_day \
         FROM policy_exposed e JOIN directory_accounts a ON a.account = e.account \
         AND a.credential_revision = e.credential_revision WHERE e.account = ?1",
        params![account.0],
        exposed,
    )?;
    Ok(found.flatten())
}

/// Every account whose password of now came in clear, with its address, by domain and name; at most
/// `rows_max`.
///
/// # Errors
/// Those of the store.
pub fn list(tx: &mut dyn Tx, rows_max: u32) -> Result<Vec<(String, Exposed)>, StoreError> {
    let rows = tx.all(
        "SELECT e.account, e.service, e.believed, e.seen, e.first_day, e.last_day, a.local, a.domain \
         FROM policy_exposed e JOIN directory_accounts a ON a.account = e.account \
         AND a.credential_revision = e.credential_revision \
         ORDER BY a.domain, a.local LIMIT ?1",
        params![rows_max],
        |row| {
            let login = format!("{}@{}", row.text(6)?, row.text(7)?);
            Ok(exposed(row)?.map(|exposed| (login, exposed)))
        },
    )?;
    Ok(rows.into_iter().flatten().collect())
}

fn exposed(row: &dyn Row) -> Result<Option<Exposed>, StoreError> {
    let Some(service) = Service::from_word(row.text(1)?) else {
        return Ok(None);
    };
    Ok(Some(Exposed {
        account: AccountId(row.int(0)?),
        service,
        belief: belief_of(row.int(2)?),
        seen: u64::try_from(row.int(3)?).unwrap_or(0),
        first_day: row.int(4)?,
        last_day: row.int(5)?,
    }))
}
