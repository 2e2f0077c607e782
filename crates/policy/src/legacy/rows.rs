//! Legacy access in the store. Everything runs inside a transaction of the caller's.

use super::{Enrolment, Notice, NoticeKind, Past, Stop, Stopped};
use crate::admin::Author;
use crate::measure::Door;
use crate::model::LegacyClear;
use directory::AccountId;
use platform::clock::Timestamp;
use platform::params;
use platform::store::{Component, Migration, StoreError, Tx};

pub(super) const TLS10: &str = "tls-1.0";
pub(super) const TLS11: &str = "tls-1.1";
pub(super) const CLEARTEXT: &str = "cleartext";

/// What `Store::open` is given for legacy access.
pub const SCHEMA: Component = Component {
    name: "policy-legacy",
    migrations: &[Migration {
        number: 1,
        name: "who may use the legacy hosts, what is switched off there, whom to tell",
        // Times are milliseconds since 1970. legacy_ends: end dates whose passing was acted on.
        sql: "
CREATE TABLE legacy_enrolments (
    account {int} NOT NULL PRIMARY KEY,
    since {int} NOT NULL,
    until {int},
    enrolled_by {text} NOT NULL,
    reason {text} NOT NULL
) {clustered};
CREATE TABLE legacy_stops (
    what {text} NOT NULL PRIMARY KEY,
    since {int} NOT NULL,
    stopped_by {text} NOT NULL,
    reason {text} NOT NULL
) {clustered};
CREATE TABLE legacy_history (
    line {int} NOT NULL PRIMARY KEY,
    account {int},
    changed_at {int} NOT NULL,
    changed_by {text} NOT NULL,
    what {text} NOT NULL,
    reason {text} NOT NULL
) {clustered};
CREATE TABLE legacy_notices (
    account {int} NOT NULL,
    kind {text} NOT NULL,
    detail {text} NOT NULL,
    since {int} NOT NULL,
    PRIMARY KEY (account, kind)
) {clustered};
CREATE TABLE legacy_ends (
    ended_at {int} NOT NULL PRIMARY KEY
) {clustered}",
    }],
};

/// Every account that was enrolled, and until when where it has an end of its own.
pub(crate) fn enrolled(tx: &mut dyn Tx) -> Result<Vec<(AccountId, Option<Timestamp>)>, StoreError> {
    tx.all(
        "SELECT account, until FROM legacy_enrolments",
        params![],
        |row| Ok((AccountId(row.int(0)?), row.maybe_int(1)?.map(Timestamp))),
    )
}

/// What stands switched off.
pub(crate) fn stopped(tx: &mut dyn Tx) -> Result<Stopped, StoreError> {
    let words = tx.all("SELECT what FROM legacy_stops", params![], |row| {
        Ok(row.text(0)?.to_owned())
    })?;
    let mut stopped = Stopped::default();
    for word in words {
        match word.as_str() {
            TLS10 => stopped.versions.tls10 = true,
            TLS11 => stopped.versions.tls11 = true,
            CLEARTEXT => stopped.clear = Some(LegacyClear::Refused),
            // Of a newer version; not ours to read.
            _ => {}
        }
    }
    Ok(stopped)
}

pub(super) fn enrol(
    tx: &mut dyn Tx,
    account: AccountId,
    until: Option<Timestamp>,
    author: &Author,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO legacy_enrolments (account, since, until, enrolled_by, reason) \
         VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (account) DO UPDATE SET since = CASE WHEN legacy_enrolments.until <= ?2 \
         THEN ?2 ELSE legacy_enrolments.since END, until = excluded.until, \
         enrolled_by = excluded.enrolled_by, reason = excluded.reason",
        params![
            account.0,
            author.now.0,
            until.map(|until| until.0),
            &author.by,
            &author.reason
        ],
    )
    .map(drop)
}

pub(super) fn withdraw(tx: &mut dyn Tx, account: AccountId) -> Result<bool, StoreError> {
    let removed = tx.execute(
        "DELETE FROM legacy_enrolments WHERE account = ?1",
        params![account.0],
    )?;
    Ok(removed > 0)
}

/// The domains of everybody who is enrolled.
pub(super) fn domains(tx: &mut dyn Tx) -> Result<Vec<String>, StoreError> {
    tx.all(
        "SELECT DISTINCT a.domain FROM legacy_enrolments e \
         JOIN directory_accounts a ON a.account = e.account ORDER BY a.domain",
        params![],
        |row| Ok(row.text(0)?.to_owned()),
    )
}

/// Ends every enrolment of a domain; gives how many.
pub(super) fn end_domain(tx: &mut dyn Tx, domain: &str) -> Result<u64, StoreError> {
    tx.execute(
        "DELETE FROM legacy_enrolments WHERE account IN \
         (SELECT account FROM directory_accounts WHERE domain = ?1)",
        params![domain],
    )
}

pub(super) fn list(tx: &mut dyn Tx, rows_max: u32) -> Result<Vec<Enrolment>, StoreError> {
    tx.all(
        "SELECT e.account, a.local, a.domain, e.since, e.until, e.enrolled_by, e.reason, \
         (SELECT MAX(c.last_day) FROM policy_connections c WHERE c.account = e.account \
          AND c.door = ?2 AND c.outcome = ?3) \
         FROM legacy_enrolments e JOIN directory_accounts a ON a.account = e.account \
         ORDER BY a.domain, a.local LIMIT ?1",
        params![
            rows_max,
            Door::Legacy.word(),
            crate::connections::Outcome::LoggedIn.word()
        ],
        |row| {
            Ok(Enrolment {
                account: AccountId(row.int(0)?),
                login: format!("{}@{}", row.text(1)?, row.text(2)?),
                since: Timestamp(row.int(3)?),
                until: row.maybe_int(4)?.map(Timestamp),
                by: row.text(5)?.to_owned(),
                reason: row.text(6)?.to_owned(),
                last_used_day: row.maybe_int(7)?,
            })
        },
    )
}

pub(super) fn stop(tx: &mut dyn Tx, what: &str, author: &Author) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO legacy_stops (what, since, stopped_by, reason) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (what) DO NOTHING",
        params![what, author.now.0, &author.by, &author.reason],
    )
    .map(drop)
}

pub(super) fn resume(tx: &mut dyn Tx, what: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM legacy_stops WHERE what = ?1", params![what])
        .map(drop)
}

pub(super) fn stops(tx: &mut dyn Tx) -> Result<Vec<Stop>, StoreError> {
    tx.all(
        "SELECT what, since, stopped_by, reason FROM legacy_stops ORDER BY what",
        params![],
        |row| {
            Ok(Stop {
                what: row.text(0)?.to_owned(),
                since: Timestamp(row.int(1)?),
                by: row.text(2)?.to_owned(),
                reason: row.text(3)?.to_owned(),
            })
        },
    )
}

/// Adds a line to the history. Lines about an account go with it.
pub(super) fn remember(
    tx: &mut dyn Tx,
    account: Option<AccountId>,
    what: &str,
    author: &Author,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO legacy_history (line, account, changed_at, changed_by, what, reason) \
         SELECT COALESCE(MAX(line), 0) + 1, ?1, ?2, ?3, ?4, ?5 FROM legacy_history",
        params![
            account.map(|account| account.0),
            author.now.0,
            &author.by,
            what,
            &author.reason
        ],
    )
    .map(drop)
}

pub(super) fn history(tx: &mut dyn Tx, lines_max: u32) -> Result<Vec<Past>, StoreError> {
    tx.all(
        "SELECT changed_at, changed_by, what, reason FROM legacy_history ORDER BY line DESC LIMIT ?1",
        params![lines_max],
        |row| {
            Ok(Past {
                at: Timestamp(row.int(0)?),
                by: row.text(1)?.to_owned(),
                what: row.text(2)?.to_owned(),
                reason: row.text(3)?.to_owned(),
            })
        },
    )
}

/// Notes that the end `at` has passed; `false` where that was noted before.
pub(super) fn begin_end(tx: &mut dyn Tx, at: Timestamp) -> Result<bool, StoreError> {
    let noted = tx.execute(
        "INSERT INTO legacy_ends (ended_at) VALUES (?1) ON CONFLICT (ended_at) DO NOTHING",
        params![at.0],
    )?;
    Ok(noted > 0)
}

/// Asks for a notice; one of the same kind that waits is replaced.
pub(super) fn notify(
    tx: &mut dyn Tx,
    account: AccountId,
    kind: NoticeKind,
    detail: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO legacy_notices (account, kind, detail, since) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (account, kind) DO UPDATE SET detail = excluded.detail, since = excluded.since",
        params![account.0, kind.word(), detail, now.0],
    )
    .map(drop)
}

/// The same for everybody who is enrolled; gives how many.
pub(super) fn notify_all(
    tx: &mut dyn Tx,
    kind: NoticeKind,
    detail: &str,
    now: Timestamp,
) -> Result<u64, StoreError> {
    tx.execute(
        "INSERT INTO legacy_notices (account, kind, detail, since) \
         SELECT account, ?1, ?2, ?3 FROM legacy_enrolments WHERE TRUE \
         ON CONFLICT (account, kind) DO UPDATE SET detail = excluded.detail, since = excluded.since",
        params![kind.word(), detail, now.0],
    )
}

/// Notices that wait, the oldest first, at most `rows_max`.
///
/// # Errors
/// Those of the store.
pub fn notices(tx: &mut dyn Tx, rows_max: u32) -> Result<Vec<Notice>, StoreError> {
    let rows = tx.all(
        "SELECT account, kind, detail, since FROM legacy_notices ORDER BY since, account, kind LIMIT ?1",
        params![rows_max],
        |row| {
            let Some(kind) = NoticeKind::from_word(row.text(1)?) else {
                return Ok(None);
            };
            Ok(Some(Notice {
                account: AccountId(row.int(0)?),
                kind,
                detail: row.text(2)?.to_owned(),
                since: Timestamp(row.int(3)?),
            }))
        },
    )?;
    Ok(rows.into_iter().flatten().collect())
}

/// Takes notices off that were sent, or that nobody needs; those that were asked for anew meanwhile stay.
///
/// # Errors
/// Those of the store.
pub fn forget_notices(tx: &mut dyn Tx, done: &[Notice]) -> Result<(), StoreError> {
    for notice in done {
        tx.execute(
            "DELETE FROM legacy_notices WHERE account = ?1 AND kind = ?2 AND since = ?3",
            params![notice.account.0, notice.kind.word(), notice.since.0],
        )?;
    }
    Ok(())
}

/// Forgets an account that goes.
pub(crate) fn remove_account(tx: &mut dyn Tx, account: AccountId) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM legacy_enrolments WHERE account = ?1",
        "DELETE FROM legacy_notices WHERE account = ?1",
        "DELETE FROM legacy_history WHERE account = ?1",
    ] {
        tx.execute(sql, params![account.0])?;
    }
    Ok(())
}
