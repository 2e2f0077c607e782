//! The cases of the contract. Each gets an empty database and knows nothing of the engine.

use crate::{Ground, TABLES};
use platform::params;
use platform::store::{Component, Migration, Store, StoreError};
use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Names every case for both engines: a test each on SQLite, one run of all on PostgreSQL.
macro_rules! contract {
    ($($case:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[test]
            fn $case() {
                crate::run(async { super::$case(&crate::Ground::sqlite()).await });
            })*
        }

        /// One cluster for all, because starting one takes longer than any case.
        #[test]
        fn on_postgresql() {
            let cluster = harness::postgres::Cluster::start();
            $(
                println!("case {}", stringify!($case));
                crate::run(async { $case(&crate::Ground::postgres(&cluster)).await });
            )*
        }
    };
}

contract! {
    concurrent_updates_are_not_lost,
    decisions_on_what_others_change_do_not_both_hold,
    one_failing_closure_hurts_no_other,
    a_key_that_is_there_is_told_from_other_failures,
    a_swallowed_failure_still_rolls_back,
    a_panic_rolls_back_and_the_store_goes_on,
    a_read_sees_one_snapshot,
    a_read_cannot_write,
    what_was_acknowledged_is_visible_to_everybody,
    a_failed_flush_fails_the_group_and_leaves_nothing,
    a_panicking_flush_is_a_failed_flush,
    the_flush_comes_before_the_commit,
    an_announced_writer_shares_the_commit,
    newer_and_changed_schemas_are_refused,
    a_failing_migration_leaves_nothing,
    values_come_back_as_they_went_in,
    wrong_types_are_errors,
    text_sorts_by_bytes,
    upserts_and_returning,
    large_bytes,
    a_reopened_store_has_what_was_acknowledged,
    closing_finishes_what_waits,
    dropped_futures_block_nobody,
    more_writers_than_the_line_holds,
    a_closure_may_drop_the_last_handle,
    a_healthy_store_has_no_findings,
}

const SOON: Duration = Duration::from_secs(20);
const MOMENT: Duration = Duration::from_millis(200);

pub(crate) async fn put(store: &Store, id: i64, coins: i64) -> Result<(), StoreError> {
    store
        .write(move |tx| {
            tx.execute(
                "INSERT INTO purses (id, coins) VALUES (?1, ?2)",
                params![id, coins],
            )
            .map(drop)
        })
        .await
}

pub(crate) async fn purses(store: &Store) -> Vec<(i64, i64)> {
    store
        .read(|tx| {
            tx.all("SELECT id, coins FROM purses ORDER BY id", &[], |row| {
                Ok((row.int(0)?, row.int(1)?))
            })
        })
        .await
        .unwrap()
}

fn coins(tx: &mut dyn platform::store::Tx, id: i64) -> Result<i64, StoreError> {
    Ok(tx
        .one(
            "SELECT coins FROM purses WHERE id = ?1",
            params![id],
            |row| row.int(0),
        )?
        .unwrap_or(0))
}

fn set_coins(tx: &mut dyn platform::store::Tx, id: i64, coins: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE purses SET coins = ?2 WHERE id = ?1",
        params![id, coins],
    )
    .map(drop)
}

async fn concurrent_updates_are_not_lost(ground: &Ground) {
    let store = ground.open();
    put(&store, 1, 0).await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    store
                        .write(|tx| {
                            let before = coins(tx, 1)?;
                            set_coins(tx, 1, before + 1)
                        })
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(purses(&store).await, [(1, 80)]);
}

/// Write skew: both look at both purses, each takes from its own only while the sum allows it.
async fn decisions_on_what_others_change_do_not_both_hold(ground: &Ground) {
    let store = ground.open_with(&[TABLES], Duration::ZERO, None).unwrap();
    put(&store, 1, 1).await.unwrap();
    put(&store, 2, 1).await.unwrap();
    let (met, meeting) = mpsc::channel();
    let meeting = std::sync::Mutex::new(meeting);
    let started = Arc::new(AtomicBool::new(false));
    let first = {
        let (store, started) = (store.clone(), started.clone());
        tokio::spawn(async move {
            store
                .write(move |tx| {
                    let sum = coins(tx, 1)? + coins(tx, 2)?;
                    if !started.swap(true, Ordering::SeqCst) {
                        // Where two transactions can be open at once, they are from here on.
                        let _ = meeting.lock().unwrap().recv_timeout(MOMENT);
                    }
                    if sum >= 2 {
                        set_coins(tx, 1, 0)
                    } else {
                        Ok(())
                    }
                })
                .await
        })
    };
    while !started.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    let second = store
        .write(move |tx| {
            let sum = coins(tx, 1)? + coins(tx, 2)?;
            let done = if sum >= 2 {
                set_coins(tx, 2, 0)
            } else {
                Ok(())
            };
            let _ = met.send(());
            done
        })
        .await;
    first.await.unwrap().unwrap();
    second.unwrap();
    let sum: i64 = purses(&store).await.iter().map(|purse| purse.1).sum();
    assert_eq!(sum, 1);
}

async fn one_failing_closure_hurts_no_other(ground: &Ground) {
    let store = ground.open();
    let bad = store.write(|tx| {
        tx.execute("INSERT INTO purses (id, coins) VALUES (9, 9)", &[])?;
        Err::<(), _>(StoreError::Engine("the closure's own".into()))
    });
    let (a, b, c, bad) = tokio::join!(put(&store, 1, 1), put(&store, 1, 2), put(&store, 2, 2), bad);
    assert!(a.is_ok() ^ b.is_ok(), "{a:?} {b:?}");
    c.unwrap();
    assert!(matches!(bad, Err(StoreError::Engine(text)) if text == "the closure's own"));
    let ids: Vec<_> = purses(&store).await.iter().map(|purse| purse.0).collect();
    assert_eq!(ids, [1, 2]);
}

async fn a_key_that_is_there_is_told_from_other_failures(ground: &Ground) {
    let store = ground.open();
    put(&store, 1, 1).await.unwrap();
    assert!(matches!(
        put(&store, 1, 1).await,
        Err(StoreError::Exists(_))
    ));
    let insert = |id: i64, body: Option<&'static str>| {
        store.write(move |tx| {
            tx.execute(
                "INSERT INTO notes (id, body) VALUES (?1, ?2)",
                params![id, body],
            )
        })
    };
    insert(1, Some("x")).await.unwrap();
    assert!(matches!(
        insert(2, Some("x")).await,
        Err(StoreError::Exists(_))
    ));
    assert!(matches!(insert(3, None).await, Err(StoreError::Engine(_))));
    let nonsense = store.write(|tx| tx.execute("INSERT INTO nowhere (id) VALUES (1)", &[]));
    assert!(matches!(nonsense.await, Err(StoreError::Engine(_))));
}

async fn a_swallowed_failure_still_rolls_back(ground: &Ground) {
    let store = ground.open();
    put(&store, 1, 1).await.unwrap();
    let swallowed = store.write(|tx| {
        tx.execute("INSERT INTO purses (id, coins) VALUES (2, 2)", &[])?;
        let _ = tx.execute("INSERT INTO purses (id, coins) VALUES (1, 1)", &[]);
        let later = tx.execute("INSERT INTO purses (id, coins) VALUES (3, 3)", &[]);
        assert!(matches!(later, Err(StoreError::Exists(_))), "{later:?}");
        Ok::<(), StoreError>(())
    });
    let (swallowed, other) = tokio::join!(swallowed, put(&store, 4, 4));
    assert!(
        matches!(swallowed, Err(StoreError::Exists(_))),
        "{swallowed:?}"
    );
    other.unwrap();
    assert_eq!(purses(&store).await, [(1, 1), (4, 4)]);
}

async fn a_panic_rolls_back_and_the_store_goes_on(ground: &Ground) {
    let store = ground.open();
    let panics = store.write(|tx| -> Result<(), StoreError> {
        tx.execute("INSERT INTO purses (id, coins) VALUES (9, 9)", &[])?;
        panic!("a fault in a closure, on purpose")
    });
    let (panicked, kept) = tokio::join!(panics, put(&store, 1, 1));
    assert!(matches!(panicked, Err(StoreError::Panicked)));
    kept.unwrap();
    let reads = store
        .read(|_| -> Result<(), StoreError> { panic!("a fault in a read, on purpose") })
        .await;
    assert!(matches!(reads, Err(StoreError::Panicked)));
    assert_eq!(purses(&store).await, [(1, 1)]);
}

async fn a_read_sees_one_snapshot(ground: &Ground) {
    let store = ground.open();
    put(&store, 1, 1).await.unwrap();
    let (begun, begins) = mpsc::channel();
    let (written, writes) = mpsc::channel();
    let writes = std::sync::Mutex::new(writes);
    let reader = store.clone();
    let reads = tokio::spawn(async move {
        reader
            .read(move |tx| {
                let count = "SELECT count(*) FROM purses";
                let before = tx.one(count, &[], |row| row.int(0))?;
                let _ = begun.send(());
                writes.lock().unwrap().recv_timeout(SOON).unwrap();
                let after = tx.one(count, &[], |row| row.int(0))?;
                Ok::<_, StoreError>((before, after))
            })
            .await
    });
    tokio::task::spawn_blocking(move || begins.recv_timeout(SOON))
        .await
        .unwrap()
        .unwrap();
    put(&store, 2, 2).await.unwrap();
    written.send(()).unwrap();
    assert_eq!(reads.await.unwrap().unwrap(), (Some(1), Some(1)));
    assert_eq!(purses(&store).await.len(), 2);
}

async fn a_read_cannot_write(ground: &Ground) {
    let store = ground.open();
    let refused = store
        .read(|tx| tx.execute("INSERT INTO purses (id, coins) VALUES (1, 1)", &[]))
        .await;
    assert!(matches!(refused, Err(StoreError::Engine(_))), "{refused:?}");
    assert_eq!(purses(&store).await, []);
}

async fn what_was_acknowledged_is_visible_to_everybody(ground: &Ground) {
    let store = ground.open();
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                for number in 0..10 {
                    let id = task * 100 + number;
                    put(&store, id, id).await.unwrap();
                    let seen = store.read(move |tx| coins(tx, id)).await.unwrap();
                    assert_eq!(seen, id, "a read after the answer");
                    let seen = store.write(move |tx| coins(tx, id)).await.unwrap();
                    assert_eq!(seen, id, "a write after the answer");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn a_failed_flush_fails_the_group_and_leaves_nothing(ground: &Ground) {
    let broken = Arc::new(AtomicBool::new(false));
    let hook = broken.clone();
    let store = ground.open_before_commit(move || {
        if hook.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is full"));
        }
        Ok(())
    });
    put(&store, 1, 1).await.unwrap();
    broken.store(true, Ordering::SeqCst);
    let (a, b, c) = tokio::join!(put(&store, 2, 2), put(&store, 3, 3), put(&store, 1, 1));
    assert!(matches!(a, Err(StoreError::Flush(_))), "{a:?}");
    assert!(matches!(b, Err(StoreError::Flush(_))), "{b:?}");
    assert!(matches!(c, Err(StoreError::Exists(_))), "{c:?}");
    assert_eq!(purses(&store).await, [(1, 1)]);
    broken.store(false, Ordering::SeqCst);
    put(&store, 2, 2).await.unwrap();
    assert_eq!(purses(&store).await, [(1, 1), (2, 2)]);
}

async fn a_panicking_flush_is_a_failed_flush(ground: &Ground) {
    let calls = Arc::new(AtomicU32::new(0));
    let hook = calls.clone();
    let store = ground.open_before_commit(move || {
        assert!(
            hook.fetch_add(1, Ordering::SeqCst) > 0,
            "a fault, on purpose"
        );
        Ok(())
    });
    assert!(matches!(put(&store, 1, 1).await, Err(StoreError::Flush(_))));
    put(&store, 2, 2).await.unwrap();
    assert_eq!(purses(&store).await, [(2, 2)]);
}

async fn the_flush_comes_before_the_commit(ground: &Ground) {
    let flushed = Arc::new(AtomicBool::new(false));
    let hook = flushed.clone();
    let (asked, ask) = mpsc::sync_channel::<()>(0);
    let (looked, look) = mpsc::sync_channel::<()>(0);
    let look = std::sync::Mutex::new(look);
    let store = ground.open_before_commit(move || {
        asked.send(()).map_err(io::Error::other)?;
        look.lock()
            .unwrap()
            .recv_timeout(SOON)
            .map_err(io::Error::other)?;
        hook.store(true, Ordering::SeqCst);
        Ok(())
    });
    let writer = store.clone();
    let write = tokio::spawn(async move { put(&writer, 1, 1).await });
    tokio::task::spawn_blocking(move || ask.recv_timeout(SOON).map(|()| ask))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        purses(&store).await,
        [],
        "rows were visible before the flush"
    );
    looked.send(()).unwrap();
    write.await.unwrap().unwrap();
    assert!(flushed.load(Ordering::SeqCst));
    assert_eq!(purses(&store).await, [(1, 1)]);
}

async fn an_announced_writer_shares_the_commit(ground: &Ground) {
    let commits = Arc::new(AtomicU32::new(0));
    let hook = commits.clone();
    let count = Arc::new(move || {
        hook.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let store = ground
        .open_with(&[TABLES], Duration::from_secs(5), Some(count))
        .unwrap();
    let announced = store.expect_write();
    let writer = store.clone();
    let first = tokio::spawn(async move { put(&writer, 1, 1).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(commits.load(Ordering::SeqCst), 0, "the commit did not wait");
    announced
        .write(|tx| tx.execute("INSERT INTO purses (id, coins) VALUES (2, 2)", &[]))
        .await
        .unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(commits.load(Ordering::SeqCst), 1);
    drop(store.expect_write());
    let begin = tokio::time::Instant::now();
    put(&store, 3, 3).await.unwrap();
    assert!(
        begin.elapsed() < Duration::from_secs(4),
        "a taken back announcement was waited for"
    );
}

async fn newer_and_changed_schemas_are_refused(ground: &Ground) {
    const NEWER: Component = Component {
        name: "contract",
        migrations: &[
            TABLES.migrations[0],
            Migration {
                number: 2,
                name: "more",
                sql: "CREATE TABLE more (id {int} NOT NULL PRIMARY KEY)",
            },
        ],
    };
    const CHANGED: Component = Component {
        name: "contract",
        migrations: &[
            Migration {
                number: 1,
                name: "tables of the contract",
                sql: "CREATE TABLE other (id {int} NOT NULL PRIMARY KEY)",
            },
            NEWER.migrations[1],
        ],
    };
    let open = |component: Component| ground.open_with(&[component], Duration::ZERO, None);
    put(&open(TABLES).unwrap(), 1, 1).await.unwrap();
    assert_eq!(purses(&open(NEWER).unwrap()).await, [(1, 1)]);
    let refused = open(TABLES).err().unwrap().to_string();
    assert!(refused.contains("newer Rohrpost"), "{refused}");
    let refused = open(CHANGED).err().unwrap().to_string();
    assert!(refused.contains("was changed after it ran"), "{refused}");
    assert_eq!(purses(&open(NEWER).unwrap()).await, [(1, 1)]);
}

async fn a_failing_migration_leaves_nothing(ground: &Ground) {
    const BROKEN: Component = Component {
        name: "contract",
        migrations: &[
            TABLES.migrations[0],
            Migration {
                number: 2,
                name: "broken",
                sql: "CREATE TABLE half (id {int} NOT NULL PRIMARY KEY); CREATE TABLE half (id {int})",
            },
        ],
    };
    let refused = ground
        .open_with(&[BROKEN], Duration::ZERO, None)
        .err()
        .unwrap();
    assert!(
        refused
            .to_string()
            .contains("migration contract 2 (broken)"),
        "{refused}"
    );
    let store = ground.open();
    assert_eq!(purses(&store).await, []);
    let half = store.read(|tx| tx.one("SELECT count(*) FROM half", &[], |row| row.int(0)));
    assert!(half.await.is_err());
}

type Kinds = (Option<i64>, Option<String>, Option<Vec<u8>>);

async fn round_trip(store: &Store, given: Kinds) -> Kinds {
    store
        .write(move |tx| {
            tx.execute("DELETE FROM kinds", &[])?;
            tx.execute(
                "INSERT INTO kinds (id, number, words, raw) VALUES (1, ?1, ?2, ?3)",
                params![given.0, given.1.as_deref(), given.2.as_deref()],
            )
        })
        .await
        .unwrap();
    let read = "SELECT number, words, raw FROM kinds";
    store
        .read(move |tx| {
            tx.one(read, &[], |row| {
                let raw = if row.is_null(2)? {
                    None
                } else {
                    Some(row.bytes(2)?.to_vec())
                };
                Ok((
                    row.maybe_int(0)?,
                    row.maybe_text(1)?.map(str::to_owned),
                    raw,
                ))
            })
        })
        .await
        .unwrap()
        .unwrap()
}

async fn values_come_back_as_they_went_in(ground: &Ground) {
    let store = ground.open();
    let all_bytes: Vec<u8> = (0..=255).collect();
    let given: Vec<Kinds> = vec![
        (None, None, None),
        (Some(i64::MIN), Some(String::new()), Some(Vec::new())),
        (
            Some(i64::MAX),
            Some("Grüße, 世界 \u{10ffff} '\"\\ ?1 $1\r\n\u{1}".into()),
            Some(all_bytes),
        ),
        (Some(0), None, Some(vec![0; 3])),
    ];
    for kinds in given {
        assert_eq!(round_trip(&store, kinds.clone()).await, kinds);
    }
    let odd = store
        .read(|tx| {
            let sql = "SELECT count(*) > 0, sum(number), max(id), CASE WHEN ?1 = words THEN 1 END FROM kinds GROUP BY words";
            tx.one(sql, params!["x"], |row| {
                Ok((row.int(0)?, row.int(1)?, row.int(2)?, row.maybe_int(3)?))
            })
        })
        .await;
    assert_eq!(odd.unwrap(), Some((1, 0, 1, None)));
}

async fn wrong_types_are_errors(ground: &Ground) {
    let store = ground.open();
    round_trip(&store, (Some(1), Some("x".into()), None)).await;
    let read = "SELECT number, words, raw FROM kinds";
    let outcomes = store
        .read(move |tx| {
            tx.one(read, &[], |row| {
                Ok([
                    row.text(0).is_err(),
                    row.int(1).is_err(),
                    row.bytes(1).is_err(),
                    matches!(row.bytes(2), Err(StoreError::Type { found, .. }) if found.to_uppercase() == "NULL"),
                    row.int(3).is_err(),
                ])
            })
        })
        .await;
    assert_eq!(outcomes.unwrap(), Some([true; 5]));
    let insert = "INSERT INTO kinds (id, words) VALUES (2, ?1)";
    let nul = store
        .write(move |tx| tx.execute(insert, params!["a\0b"]))
        .await;
    assert!(matches!(nul, Err(StoreError::Type { .. })), "{nul:?}");
    let insert = "INSERT INTO kinds (id, number) VALUES (2, ?1)";
    let text = store
        .write(move |tx| tx.execute(insert, params!["x"]))
        .await;
    assert!(text.is_err(), "text went into an integer column");
}

async fn text_sorts_by_bytes(ground: &Ground) {
    let store = ground.open();
    let sorted = ["", "B", "a", "ab", "a\u{10ffff}", "ä"];
    store
        .write(move |tx| {
            for (id, body) in sorted.iter().rev().enumerate() {
                let sql = "INSERT INTO notes (id, body) VALUES (?1, ?2)";
                tx.execute(sql, params![id as i64, *body])?;
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    let read = "SELECT body FROM notes ORDER BY body";
    let bodies = store
        .read(move |tx| tx.all(read, &[], |row| row.text(0).map(str::to_owned)))
        .await;
    assert_eq!(bodies.unwrap(), sorted);
}

async fn upserts_and_returning(ground: &Ground) {
    let store = ground.open();
    let upsert = "INSERT INTO purses (id, coins) VALUES (?1, ?2) \
                  ON CONFLICT (id) DO UPDATE SET coins = purses.coins + excluded.coins RETURNING coins";
    let coins = store
        .write(move |tx| {
            tx.one(upsert, params![1i64, 5i64], |row| row.int(0))?;
            tx.one(upsert, params![1i64, 6i64], |row| row.int(0))
        })
        .await;
    assert_eq!(coins.unwrap(), Some(11));
    let nothing = "INSERT INTO purses (id, coins) VALUES (?1, 0) ON CONFLICT DO NOTHING";
    let counts = store
        .write(move |tx| {
            Ok::<_, StoreError>((
                tx.execute(nothing, params![1i64])?,
                tx.execute(nothing, params![2i64])?,
                tx.execute("DELETE FROM purses WHERE id >= ?1", params![1i64])?,
            ))
        })
        .await;
    assert_eq!(counts.unwrap(), (0, 1, 2));
    let seen = store
        .write(|tx| {
            let mut seen = Vec::new();
            let sql = "INSERT INTO purses (id, coins) VALUES (1, 1), (2, 2), (3, 3) RETURNING id";
            tx.query(sql, &[], &mut |row| {
                seen.push(row.int(0)?);
                Ok(ControlFlow::Break(()))
            })?;
            Ok::<_, StoreError>(seen)
        })
        .await;
    assert_eq!(seen.unwrap().len(), 1);
    assert_eq!(purses(&store).await.len(), 3, "Break undid rows");
}

async fn large_bytes(ground: &Ground) {
    let store = ground.open();
    let raw: Vec<u8> = (0..8 << 20)
        .map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let given = (Some(1), Some("ä".repeat(1 << 20)), Some(raw));
    assert!(round_trip(&store, given.clone()).await == given);
}

async fn a_reopened_store_has_what_was_acknowledged(ground: &Ground) {
    for round in 0..4 {
        let store = ground.open();
        assert_eq!(purses(&store).await.len(), round as usize);
        put(&store, round, round).await.unwrap();
    }
}

async fn closing_finishes_what_waits(ground: &Ground) {
    let store = ground.open();
    let tasks: Vec<_> = (0..50)
        .map(|id| {
            let store = store.clone();
            tokio::spawn(async move { put(&store, id, id).await })
        })
        .collect();
    drop(store);
    let mut acknowledged = 0;
    for task in tasks {
        acknowledged += usize::from(task.await.unwrap().is_ok());
    }
    assert_eq!(acknowledged, 50);
    assert_eq!(purses(&ground.open()).await.len(), 50);
}

async fn dropped_futures_block_nobody(ground: &Ground) {
    let store = ground.open();
    for id in 0..20 {
        let write = put(&store, id, id);
        let _ = tokio::time::timeout(Duration::ZERO, write).await;
        let read = store.read(|tx| coins(tx, 1));
        let _ = tokio::time::timeout(Duration::ZERO, read).await;
    }
    put(&store, 100, 100).await.unwrap();
    drop(store);
    let rows = purses(&ground.open()).await;
    assert_eq!(rows.last(), Some(&(100, 100)));
    assert!(rows.iter().all(|(id, coins)| id == coins));
}

async fn more_writers_than_the_line_holds(ground: &Ground) {
    let store = ground.open();
    let tasks: Vec<_> = (0..6000)
        .map(|id| {
            let store = store.clone();
            tokio::spawn(async move { put(&store, id, id).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(purses(&store).await.len(), 6000);
}

async fn a_closure_may_drop_the_last_handle(ground: &Ground) {
    let store = ground.open();
    let (held, inner) = (store.clone(), store.clone());
    let write = tokio::spawn(async move {
        inner
            .write(move |tx| {
                let _ = &held;
                tx.execute("INSERT INTO purses (id, coins) VALUES (1, 1)", &[])
            })
            .await
    });
    drop(store);
    write.await.unwrap().unwrap();
    assert_eq!(purses(&ground.open()).await, [(1, 1)]);
}

async fn a_healthy_store_has_no_findings(ground: &Ground) {
    let store = ground.open();
    round_trip(&store, (Some(1), Some("x".into()), Some(vec![7; 100_000]))).await;
    put(&store, 1, 1).await.unwrap();
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}
