//! Since when each hosted domain publishes what: the advisor counts the days of a stage by it. A chore looks once
//! a day and after each change; rows begin with the domain.

use super::record::{Record, Wish};
use platform::params;
use platform::store::{Component, Migration, StoreError, Tx};

/// The table.
pub const SCHEMA: Component = Component {
    name: "rollout-dmarc",
    migrations: &[Migration {
        number: 1,
        name: "since when a domain has its DMARC policy",
        // Days count from 1970-01-01. days_before: how long the policy before this one was seen.
        sql: "
CREATE TABLE dmarc_seen (
  domain {text} NOT NULL PRIMARY KEY,
  wish {text} NOT NULL,
  record {text} NOT NULL,
  since {int} NOT NULL,
  days_before {int} NOT NULL,
  looked {int} NOT NULL
) {clustered}",
    }],
};

/// What was seen of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its record; empty: it has none.
    pub record: String,
    /// The day since which it has this wish.
    pub since: i64,
    /// How many days it had the wish before.
    pub days_before: i64,
    /// The day of the last look.
    pub looked: i64,
}

/// The word for what a record asks.
fn wish(record: &str) -> &'static str {
    match Record::parse(record) {
        Ok(record) => record.wish().word(),
        Err(_) => "",
    }
}

/// What was seen of `domain`; `None`: nobody looked.
///
/// # Errors
/// Those of the store.
pub fn standing(tx: &mut dyn Tx, domain: &str) -> Result<Option<Standing>, StoreError> {
    tx.one(
        "SELECT record, since, days_before, looked FROM dmarc_seen WHERE domain = ?1",
        params![domain],
        |row| {
            Ok(Standing {
                record: row.text(0)?.to_owned(),
                since: row.int(1)?,
                days_before: row.int(2)?,
                looked: row.int(3)?,
            })
        },
    )
}

/// Notes what a look on `day` found; `record` empty: there is none. A stage begins anew where the wish is
/// another one; what else changed in the record does not matter.
///
/// # Errors
/// Those of the store.
pub fn note(tx: &mut dyn Tx, domain: &str, record: &str, day: i64) -> Result<(), StoreError> {
    let word = wish(record);
    let known = standing(tx, domain)?;
    let (since, days_before) = match &known {
        Some(known) if wish(&known.record) == word => (known.since, known.days_before),
        // Only a stricter wish follows from the time before; after a step back time counts anew.
        Some(known) if Wish::from_word(wish(&known.record)) < Wish::from_word(word) => {
            (day, day.saturating_sub(known.since).max(0))
        }
        _ => (day, 0),
    };
    tx.execute(
        "INSERT INTO dmarc_seen (domain, wish, record, since, days_before, looked) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (domain) DO UPDATE SET wish = excluded.wish, \
         record = excluded.record, since = excluded.since, days_before = excluded.days_before, \
         looked = excluded.looked",
        params![domain, word, record, since, days_before, day],
    )
    .map(drop)
}

/// Forgets a domain that goes.
///
/// # Errors
/// Those of the store.
pub fn remove_domain(tx: &mut dyn Tx, domain: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM dmarc_seen WHERE domain = ?1", params![domain])
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::store::{Engine, Options, Store};

    #[tokio::test]
    async fn a_stage_lasts_until_the_wish_changes() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            engine: Engine::Sqlite {
                path: dir.path().join("store.sqlite"),
            },
            readers: 1,
            gather_max: std::time::Duration::ZERO,
            before_commit: None,
        };
        let store = Store::open(options, &[SCHEMA]).unwrap();
        let looks = [
            ("", 100, (100, 0)),
            ("v=DMARC1; p=none", 110, (110, 10)),
            ("v=DMARC1; p=none; rua=mailto:d@rp.test", 120, (110, 10)),
            ("v=DMARC1; p=quarantine", 150, (150, 40)),
            ("v=DMARC1; p=none", 151, (151, 0)),
            ("v=DMARC1; p=quarantine", 190, (190, 39)),
        ];
        for (record, day, expected) in looks {
            let seen = store
                .write(move |tx: &mut dyn Tx| {
                    note(tx, "firma.test", record, day)?;
                    standing(tx, "firma.test")
                })
                .await
                .unwrap()
                .unwrap();
            assert_eq!((seen.since, seen.days_before), expected, "day {day}");
        }
    }
}
