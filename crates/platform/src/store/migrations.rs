//! Numbered schema changes. Each crate that owns tables gives a `Component`; before anything runs,
//! what is recorded in the store is compared with what this program knows.
//!
//! Type table (left: what migrations write; SQLite; PostgreSQL):
//!   {int}        BIGINT-sized INTEGER    BIGINT
//!   {text}       TEXT                    TEXT COLLATE "C"
//!   {bytes}      BLOB                    BYTEA
//!   {clustered}  WITHOUT ROWID           (nothing)

use super::StoreError;

/// One schema change. Once released it never changes; a later one mends it.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// From 1, without gaps within the component.
    pub number: u32,
    /// What it does, in a few words.
    pub name: &'static str,
    /// Statements separated by `;`, written with the type table above.
    pub sql: &'static str,
}

/// The tables of one crate.
#[derive(Debug, Clone, Copy)]
pub struct Component {
    /// The crate's name.
    pub name: &'static str,
    /// All its migrations, oldest first.
    pub migrations: &'static [Migration],
}

/// How an engine writes the types of the table above.
pub(super) struct Dialect {
    pub(super) int: &'static str,
    pub(super) text: &'static str,
    pub(super) bytes: &'static str,
    pub(super) clustered: &'static str,
}

impl Dialect {
    /// `sql` in this engine's words.
    pub(super) fn translate(&self, sql: &str) -> String {
        sql.replace("{int}", self.int)
            .replace("{text}", self.text)
            .replace("{bytes}", self.bytes)
            .replace("{clustered}", self.clustered)
    }
}

/// What the store remembers of a migration that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Applied {
    pub(super) component: String,
    pub(super) number: u32,
    pub(super) checksum: String,
}

/// Identifies a migration's text, so that a changed one is noticed.
pub(super) fn checksum(migration: &Migration) -> String {
    blake3::hash(migration.sql.as_bytes()).to_hex()[..32].to_owned()
}

/// Which migrations are still to run, oldest first per component.
///
/// # Errors
/// Where the store was written by a newer program, a migration was changed after it ran, or the
/// numbers have a gap.
pub(super) fn plan(
    components: &[Component],
    applied: &[Applied],
) -> Result<Vec<(&'static str, &'static Migration)>, StoreError> {
    let mut due = Vec::new();
    for component in components {
        let done: Vec<_> = applied
            .iter()
            .filter(|a| a.component == component.name)
            .collect();
        for (index, migration) in component.migrations.iter().enumerate() {
            if migration.number as usize != index + 1 {
                return Err(StoreError::Schema(format!(
                    "migrations of {} are not numbered 1, 2, 3 …: found {} at place {}",
                    component.name,
                    migration.number,
                    index + 1
                )));
            }
            match done.iter().find(|a| a.number == migration.number) {
                None => due.push((component.name, migration)),
                Some(a) if a.checksum == checksum(migration) => {}
                Some(_) => {
                    return Err(StoreError::Schema(format!(
                        "migration {} {} ({}) was changed after it ran on this data; use the \
                         program version that wrote the data, or restore a backup",
                        component.name, migration.number, migration.name
                    )));
                }
            }
        }
        if let Some(newer) = done
            .iter()
            .find(|a| a.number as usize > component.migrations.len())
        {
            return Err(StoreError::Schema(format!(
                "this data was written by a newer Rohrpost (migration {} {}); install that version \
                 or restore a backup taken before the upgrade",
                component.name, newer.number
            )));
        }
    }
    Ok(due)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Migration = Migration {
        number: 1,
        name: "first",
        sql: "CREATE TABLE a(x {int})",
    };
    const SECOND: Migration = Migration {
        number: 2,
        name: "second",
        sql: "CREATE TABLE b(x {int})",
    };

    fn applied(migration: &Migration) -> Applied {
        Applied {
            component: "c".into(),
            number: migration.number,
            checksum: checksum(migration),
        }
    }

    #[test]
    fn only_what_has_not_run_is_due() {
        let component = Component {
            name: "c",
            migrations: &[FIRST, SECOND],
        };
        let due = plan(&[component], &[applied(&FIRST)]).unwrap();
        assert_eq!(due.iter().map(|d| d.1.number).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_changed_migration_stops_the_start() {
        let component = Component {
            name: "c",
            migrations: &[FIRST],
        };
        let mut changed = applied(&FIRST);
        changed.checksum = "other".into();
        let error = plan(&[component], &[changed]).unwrap_err().to_string();
        assert!(error.contains("was changed after it ran"), "{error}");
    }

    #[test]
    fn data_of_a_newer_program_is_not_touched() {
        let component = Component {
            name: "c",
            migrations: &[FIRST],
        };
        let error = plan(&[component], &[applied(&FIRST), applied(&SECOND)]).unwrap_err();
        assert!(error.to_string().contains("newer Rohrpost"), "{error}");
    }
}
