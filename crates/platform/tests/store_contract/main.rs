//! What every engine of the store must keep, run on real engines: SQLite in a temporary directory
//! and a private PostgreSQL cluster. A new engine joins by a `Ground` of its own.

#![allow(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

mod cases;
mod postgresql;
mod property;
mod sqlite;

use harness::postgres::Cluster;
use platform::store::{BeforeCommit, Component, Engine, Migration, Options, Store, StoreError};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// The tables the cases work on.
pub(crate) const TABLES: Component = Component {
    name: "contract",
    migrations: &[Migration {
        number: 1,
        name: "tables of the contract",
        sql: "CREATE TABLE purses (id {int} NOT NULL, coins {int} NOT NULL, PRIMARY KEY (id)) {clustered}; \
              CREATE TABLE notes (id {int} NOT NULL PRIMARY KEY, body {text} NOT NULL UNIQUE); \
              CREATE TABLE kinds (id {int} NOT NULL, number {int}, words {text}, raw {bytes}, \
              PRIMARY KEY (id)) {clustered}",
    }],
};

/// One empty database of one engine.
pub(crate) struct Ground {
    pub(crate) engine: Engine,
    _directory: Option<TempDir>,
}

impl Ground {
    pub(crate) fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            engine: Engine::Sqlite {
                path: directory.path().join("store.sqlite"),
            },
            _directory: Some(directory),
        }
    }

    pub(crate) fn postgres(cluster: &Cluster) -> Self {
        Self {
            engine: Engine::Postgres {
                url: cluster.database(),
                connections: 3,
            },
            _directory: None,
        }
    }

    pub(crate) fn sqlite_path(&self) -> Option<PathBuf> {
        match &self.engine {
            Engine::Sqlite { path } => Some(path.clone()),
            Engine::Postgres { .. } => None,
        }
    }

    pub(crate) fn open_with(
        &self,
        components: &[Component],
        gather_max: Duration,
        before_commit: Option<BeforeCommit>,
    ) -> Result<Store, StoreError> {
        let options = Options {
            engine: self.engine.clone(),
            readers: 2,
            gather_max,
            before_commit,
        };
        Store::open(options, components)
    }

    pub(crate) fn open(&self) -> Store {
        self.open_with(&[TABLES], Duration::from_millis(2), None)
            .unwrap()
    }

    pub(crate) fn open_before_commit(
        &self,
        hook: impl Fn() -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Store {
        self.open_with(&[TABLES], Duration::from_millis(2), Some(Arc::new(hook)))
            .unwrap()
    }
}

/// Runs a case as a program runs: several threads, the store closed at the end.
pub(crate) fn run(case: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(case);
}
