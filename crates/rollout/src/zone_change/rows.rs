//! The table of planned record changes. Rows begin with the domain, so that they go with it.

use super::{Change, State};
use platform::clock::Timestamp;
use platform::dns::update::{RecordKind, ZoneRecord};
use platform::params;
use platform::store::{Component, Migration, Row, StoreError, Tx};

/// The table.
pub const SCHEMA: Component = Component {
    name: "rollout-zones",
    migrations: &[
        Migration {
            number: 1,
            name: "changes of records on a date",
            // Texts that are NULL: no record. Times are milliseconds, times to live seconds.
            sql: "
CREATE TABLE zone_changes (
  domain {text} NOT NULL,
  id {int} NOT NULL,
  owner {text} NOT NULL,
  before_text {text},
  before_ttl {int} NOT NULL,
  after_text {text},
  after_ttl {int} NOT NULL,
  at {int} NOT NULL,
  state {text} NOT NULL,
  trouble {text} NOT NULL,
  changed_by {text} NOT NULL,
  reason {text} NOT NULL,
  PRIMARY KEY (domain, id)
) {clustered}",
        },
        Migration {
            number: 2,
            name: "changes of addresses, too",
            sql: "ALTER TABLE zone_changes ADD COLUMN kind {text} NOT NULL DEFAULT 'TXT'",
        },
    ],
};

/// Longest note on what went wrong, in bytes.
const TROUBLE_BYTES_MAX: usize = 500;

fn read(row: &dyn Row) -> Result<Option<Change>, StoreError> {
    let Some(state) = State::from_word(row.text(8)?) else {
        // Of a newer version; not ours to carry out.
        return Ok(None);
    };
    let Some(kind) = RecordKind::from_word(row.text(12)?) else {
        return Ok(None);
    };
    let record = |text: Option<&str>, ttl: i64| ZoneRecord {
        kind,
        text: text.map(str::to_owned),
        ttl_seconds: u32::try_from(ttl).unwrap_or(u32::MAX),
    };
    Ok(Some(Change {
        domain: row.text(0)?.to_owned(),
        id: row.int(1)?,
        owner: row.text(2)?.to_owned(),
        before: record(row.maybe_text(3)?, row.int(4)?),
        after: record(row.maybe_text(5)?, row.int(6)?),
        at: Timestamp(row.int(7)?),
        state,
        trouble: row.text(9)?.to_owned(),
        by: row.text(10)?.to_owned(),
        reason: row.text(11)?.to_owned(),
    }))
}

/// Changes, the newest first within a domain; `domain` empty: of all.
pub(super) fn list(tx: &mut dyn Tx, domain: &str) -> Result<Vec<Change>, StoreError> {
    let rows = tx.all(
        "SELECT domain, id, owner, before_text, before_ttl, after_text, after_ttl, at, state, \
         trouble, changed_by, reason, kind FROM zone_changes WHERE (?1 = '' OR domain = ?1) \
         ORDER BY domain, id DESC",
        params![domain],
        |row| read(row),
    )?;
    Ok(rows.into_iter().flatten().collect())
}

/// Changes of all domains with something still to come.
pub(super) fn open(tx: &mut dyn Tx) -> Result<Vec<Change>, StoreError> {
    let rows = tx.all(
        "SELECT domain, id, owner, before_text, before_ttl, after_text, after_ttl, at, state, \
         trouble, changed_by, reason, kind FROM zone_changes \
         WHERE state = 'planned' OR state = 'shortened' OR state = 'published' \
         ORDER BY domain, id DESC",
        &[],
        |row| read(row),
    )?;
    Ok(rows.into_iter().flatten().collect())
}

/// Writes a new change and gives it its number.
pub(super) fn add(tx: &mut dyn Tx, change: &Change) -> Result<i64, StoreError> {
    let last = tx.one(
        "SELECT COALESCE(MAX(id), 0) FROM zone_changes WHERE domain = ?1",
        params![&change.domain],
        |row| row.int(0),
    )?;
    let id = last.unwrap_or(0) + 1;
    tx.execute(
        "INSERT INTO zone_changes (domain, id, owner, before_text, before_ttl, after_text, \
         after_ttl, at, state, trouble, changed_by, reason, kind) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, '', ?10, ?11, ?12)",
        params![
            &change.domain,
            id,
            &change.owner,
            change.before.text.as_deref(),
            i64::from(change.before.ttl_seconds),
            change.after.text.as_deref(),
            i64::from(change.after.ttl_seconds),
            change.at.0,
            change.state.word(),
            &change.by,
            &change.reason,
            change.before.kind.word()
        ],
    )?;
    Ok(id)
}

/// Notes how far a change has come; `false`: somebody else did meanwhile, or it is gone.
pub(super) fn advance(
    tx: &mut dyn Tx,
    change: &Change,
    state: State,
    trouble: &str,
) -> Result<bool, StoreError> {
    let mut end = trouble.len().min(TROUBLE_BYTES_MAX);
    while !trouble.is_char_boundary(end) {
        end -= 1;
    }
    let trouble = trouble.get(..end).unwrap_or_default().replace('\0', "");
    let noted = tx.execute(
        "UPDATE zone_changes SET state = ?4, trouble = ?5 \
         WHERE domain = ?1 AND id = ?2 AND state = ?3",
        params![
            &change.domain,
            change.id,
            change.state.word(),
            state.word(),
            &trouble
        ],
    )?;
    Ok(noted > 0)
}

/// Forgets the changes of a domain that goes.
pub(super) fn remove_domain(tx: &mut dyn Tx, domain: &str) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM zone_changes WHERE domain = ?1",
        params![domain],
    )
    .map(drop)
}
