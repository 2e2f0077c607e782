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
    let options = Options {
        engine: Engine::Sqlite {
            path: dir.join("test.sqlite"),
        },
        readers: 1,
        gather_max: Duration::ZERO,
        before_commit: None,
    };
    Store::open(options, &[directory::SCHEMA, policy::SCHEMA, crate::SCHEMA]).unwrap()
}
