//! What the tests of this crate share: an empty store in a folder that goes with it.

use platform::store::{Engine, Options, Store};
use std::time::Duration;

/// A store with the tables of this crate. Its folder stays until the test program ends.
pub(crate) fn store() -> Store {
    let dir = tempfile::tempdir().unwrap().keep();
    open(&dir)
}

/// The store in `dir`, as a restart would find it.
pub(crate) fn open(dir: &std::path::Path) -> Store {
    open_engine(Engine::Sqlite {
        path: dir.join("test.sqlite"),
    })
}

/// Runs `test` on a store in a new PostgreSQL cluster.
pub(crate) fn on_postgresql<T: Future<Output = ()>>(test: impl FnOnce(Store) -> T) {
    let cluster = harness::postgres::Cluster::start();
    let store = open_engine(Engine::Postgres {
        url: cluster.database(),
        connections: 1,
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(test(store));
}

fn open_engine(engine: Engine) -> Store {
    let options = Options {
        engine,
        readers: 1,
        gather_max: Duration::ZERO,
        before_commit: None,
    };
    Store::open(
        options,
        &[
            directory::SCHEMA,
            policy::SCHEMA,
            policy::CLIENTS_SCHEMA,
            policy::CONNECTIONS_SCHEMA,
            policy::LEGACY_SCHEMA,
            policy::RULES_SCHEMA,
            crate::SCHEMA,
        ],
    )
    .unwrap()
}
