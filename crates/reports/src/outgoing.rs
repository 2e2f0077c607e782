//! The rows of reports on their way out: counted sessions become a report per destination in one
//! transaction, so that a restart makes none twice; a report is marked before it is handed over, so
//! that a crash rather loses one than sends one again.

use crate::compose::Counted;
use platform::params;
use platform::store::{StoreError, Tx};

/// Kinds of sessions in one report.
const COUNTED_MAX: i64 = 5000;

/// How far a report is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It is to be handed over.
    Waits,
    /// It was, or is being just now.
    HandedOver,
    /// Its destination did not take it in time.
    GivenUp,
}

impl State {
    fn code(self) -> i64 {
        match self {
            Self::Waits => 0,
            Self::HandedOver => 1,
            Self::GivenUp => 2,
        }
    }
}

/// A report that is due.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) day: i64,
    pub(crate) domain: String,
    pub(crate) place: i64,
    pub(crate) destination: String,
    pub(crate) document: Vec<u8>,
    pub(crate) attempts: i64,
    pub(crate) made_at: i64,
}

/// Days before `today` with domains that were not asked yet, after the place `after`.
pub(crate) fn counted(
    tx: &mut dyn Tx,
    today: i64,
    after: &(i64, String),
    limit: i64,
) -> Result<Vec<(i64, String)>, StoreError> {
    tx.all(
        "SELECT DISTINCT day, domain FROM report_tls_sessions \
         WHERE day < ?1 AND (day, domain) > (?2, ?3) ORDER BY day, domain LIMIT ?4",
        params![today, after.0, &after.1, limit],
        |row| Ok((row.int(0)?, row.text(1)?.to_owned())),
    )
}

/// What was counted of a domain on a day.
pub(crate) fn sessions(
    tx: &mut dyn Tx,
    day: i64,
    domain: &str,
) -> Result<Vec<Counted>, StoreError> {
    let rows = tx.all(
        "SELECT policy, failure, sessions FROM report_tls_sessions \
         WHERE day = ?1 AND domain = ?2 ORDER BY sessions DESC, kind LIMIT ?3",
        params![day, domain, COUNTED_MAX],
        |row| {
            let policy = serde_json::from_str(row.text(0)?).ok();
            let failure = row.text(1)?;
            Ok(policy.map(|policy| Counted {
                policy,
                failure: serde_json::from_str(failure).ok(),
                sessions: row.int(2).ok().and_then(|n| n.try_into().ok()).unwrap_or(0),
            }))
        },
    )?;
    Ok(rows.into_iter().flatten().collect())
}

/// Forgets what was counted, and keeps the report made of it for each destination. A second report
/// about the same day, from sessions written late, is not made.
pub(crate) fn make(
    tx: &mut dyn Tx,
    day: i64,
    domain: &str,
    reports: &[(String, Vec<u8>)],
    now: i64,
) -> Result<(), StoreError> {
    for (place, (destination, document)) in (0_i64..).zip(reports) {
        tx.execute(
            "INSERT INTO report_outgoing (day, domain, place, destination, document, state, \
             attempts, made_at, next_at) VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, ?6, ?6) \
             ON CONFLICT DO NOTHING",
            params![day, domain, place, destination, document, now],
        )?;
    }
    tx.execute(
        "DELETE FROM report_tls_sessions WHERE day = ?1 AND domain = ?2",
        params![day, domain],
    )
    .map(drop)
}

/// Reports to be handed over now.
pub(crate) fn due(tx: &mut dyn Tx, now: i64, limit: i64) -> Result<Vec<Outgoing>, StoreError> {
    tx.all(
        "SELECT day, domain, place, destination, document, attempts, made_at \
         FROM report_outgoing WHERE state = 0 AND next_at <= ?1 ORDER BY next_at LIMIT ?2",
        params![now, limit],
        |row| {
            Ok(Outgoing {
                day: row.int(0)?,
                domain: row.text(1)?.to_owned(),
                place: row.int(2)?,
                destination: row.text(3)?.to_owned(),
                document: row.bytes(4)?.to_vec(),
                attempts: row.int(5)?,
                made_at: row.int(6)?,
            })
        },
    )
}

/// Notes how far a report is, and when it is tried next.
pub(crate) fn mark(
    tx: &mut dyn Tx,
    report: &Outgoing,
    state: State,
    next_at: i64,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE report_outgoing SET state = ?4, attempts = ?5, next_at = ?6 \
         WHERE day = ?1 AND domain = ?2 AND place = ?3",
        params![
            report.day,
            &report.domain,
            report.place,
            state.code(),
            report.attempts + 1,
            next_at
        ],
    )
    .map(drop)
}

/// Removes reports that ended and were made before `before`.
pub(crate) fn forget(tx: &mut dyn Tx, before: i64) -> Result<u64, StoreError> {
    tx.execute(
        "DELETE FROM report_outgoing WHERE state <> 0 AND made_at < ?1",
        params![before],
    )
}
