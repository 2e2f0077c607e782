//! What only SQLite can do or suffer: copies of a running store, damaged pages, long readers.

use crate::cases::{purses, put};
use crate::{Ground, TABLES, run};
use platform::store::{Engine, StoreError};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

#[test]
fn a_copy_of_a_running_store_is_complete_and_sound() {
    run(async {
        let ground = Ground::sqlite();
        let store = ground.open();
        put(&store, 1, 1).await.unwrap();
        let copy = Ground::sqlite();
        let target = copy.sqlite_path().unwrap();
        store.snapshot_to(&target).unwrap();
        put(&store, 2, 2).await.unwrap();
        let refused = store.snapshot_to(&target).unwrap_err();
        assert!(refused.to_string().contains("exists"), "{refused}");
        let mode = std::fs::metadata(&target).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "others can read the copy");
        let copied = copy.open();
        assert_eq!(purses(&copied).await, [(1, 1)]);
        assert_eq!(copied.check().unwrap(), Vec::<String>::new());
        let nowhere = store.snapshot_to(&target.join("below"));
        assert!(matches!(nowhere, Err(StoreError::Engine(_))));
    });
}

#[test]
fn a_damaged_page_is_found() {
    run(async {
        let ground = Ground::sqlite();
        let Engine::Sqlite { path } = &ground.engine else {
            unreachable!()
        };
        let store = ground.open();
        for id in 0..2000 {
            store
                .write(move |tx| {
                    let sql = "INSERT INTO notes (id, body) VALUES (?1, ?2)";
                    let body = format!("note {id}");
                    tx.execute(sql, platform::params![id as i64, &body])
                })
                .await
                .unwrap();
        }
        drop(store);
        let mut bytes = std::fs::read(path).unwrap();
        let middle = bytes.len() / 2 / 4096 * 4096;
        bytes[middle..middle + 64].fill(0x5a);
        std::fs::write(path, bytes).unwrap();
        let store = ground.open();
        assert!(!store.check().unwrap().is_empty());
    });
}

#[test]
fn nobody_else_can_read_the_files() {
    run(async {
        let ground = Ground::sqlite();
        let store = ground.open();
        put(&store, 1, 1).await.unwrap();
        let path = ground.sqlite_path().unwrap();
        for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{:?}", entry.path());
        }
    });
}

/// As where the disk is full: the whole transaction is gone, not only what the statement did.
#[test]
fn what_sqlite_undoes_itself_hurts_no_other() {
    run(async {
        let ground = Ground::sqlite();
        let flushes = Arc::new(AtomicU32::new(0));
        let hook = flushes.clone();
        let count = Arc::new(move || {
            hook.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        let store = ground
            .open_with(&[TABLES], Duration::from_secs(5), Some(count))
            .unwrap();
        put(&store, 1, 1).await.unwrap();
        const UNDOES: &str = "INSERT OR ROLLBACK INTO purses (id, coins) VALUES (1, 9)";
        let alone = store.write(|tx| tx.execute(UNDOES, &[])).await;
        assert!(matches!(alone, Err(StoreError::Exists(_))), "{alone:?}");
        // Announced, so that all of it is one group.
        let announced = store.expect_write();
        let failing = store.write(|tx| tx.execute(UNDOES, &[]));
        let swallowing = store.write(|tx| {
            let _ = tx.execute(UNDOES, &[]);
            Ok::<_, StoreError>(())
        });
        let last =
            announced.write(|tx| tx.execute("INSERT INTO purses (id, coins) VALUES (3, 3)", &[]));
        let (first, failed, swallowed, last) =
            tokio::join!(put(&store, 2, 2), failing, swallowing, last);
        first.unwrap();
        last.unwrap();
        assert!(matches!(failed, Err(StoreError::Exists(_))), "{failed:?}");
        assert!(
            matches!(swallowed, Err(StoreError::Exists(_))),
            "{swallowed:?}"
        );
        assert_eq!(purses(&store).await, [(1, 1), (2, 2), (3, 3)]);
        assert_eq!(flushes.load(Ordering::SeqCst), 2, "not one group");
    });
}
