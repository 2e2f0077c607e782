//! What a secure login settles: sightings of old TLS, of clear text and of failed handshakes that are mended and
//! count in no preview, letter or status any more. Called where a login is written.

use super::rows::{is_recognised, tls_number};
use super::{Manner, Outcome};
use directory::AccountId;
use platform::params;
use platform::store::{StoreError, Tx};

/// A secure login settles what the same program did worse at that service before. Programs nobody
/// recognised may be two: theirs is settled only by a login on a later day.
pub(super) fn settle(
    tx: &mut dyn Tx,
    account: AccountId,
    manner: &Manner,
    today: i64,
) -> Result<(), StoreError> {
    let until = match is_recognised(&manner.client) {
        true => today,
        false => today - 1,
    };
    tx.execute(
        "UPDATE policy_connections SET settled = 1 WHERE account = ?1 AND service = ?2 \
         AND client = ?3 AND settled = 0 AND last_day <= ?4 AND (tls < ?5 OR outcome <> ?6)",
        params![
            account.0,
            manner.service.word(),
            &*manner.client,
            until,
            tls_number(manner.tls),
            Outcome::LoggedIn.word(),
        ],
    )
    .map(drop)?;
    settle_nameless(tx, account, manner)
}

/// Handshakes that failed before a program could say its name are settled by the first secure login of a program
/// that never came securely before they ended: it is the one that was mended. One that always did is another.
fn settle_nameless(tx: &mut dyn Tx, account: AccountId, manner: &Manner) -> Result<(), StoreError> {
    let secure_since = tx.one(
        "SELECT MIN(first_day) FROM policy_connections WHERE account = ?1 AND service = ?2 \
         AND client = ?3 AND outcome = ?4 AND tls >= ?5",
        params![
            account.0,
            manner.service.word(),
            &*manner.client,
            Outcome::LoggedIn.word(),
            tls_number(manner.tls),
        ],
        |row| row.maybe_int(0),
    )?;
    let Some(since) = secure_since.flatten() else {
        return Ok(());
    };
    tx.execute(
        "UPDATE policy_connections SET settled = 1 WHERE account = ?1 AND service = ?2 \
         AND client = ?3 AND settled = 0 AND last_day <= ?4 AND (outcome = ?5 OR outcome = ?6)",
        params![
            account.0,
            manner.service.word(),
            crate::clients::UNKNOWN,
            since,
            Outcome::HandshakeFailed.word(),
            Outcome::WrongMode.word(),
        ],
    )
    .map(drop)
}
