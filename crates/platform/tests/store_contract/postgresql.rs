//! What only a server can do: go away, end connections, lose conflicts, refuse to be copied.

use crate::cases::{purses, put};
use crate::{Ground, run};
use harness::postgres::Cluster;
use platform::params;
use platform::store::{Engine, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const END_OTHERS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                          WHERE application_name = 'rohrpost'";

#[test]
fn servers_that_go_away_and_come_back() {
    let cluster = Arc::new(Cluster::start());
    run(waiting_jobs_survive_a_restart(&cluster));
    run(a_connection_lost_in_a_closure_runs_it_again(&cluster));
    run(a_lost_answer_to_commit_is_uncertain(&cluster));
    run(endless_conflicts_end_as_contention(&cluster));
    run(one_row_wanted_by_all(&cluster));
    run(nodes_that_start_together_migrate_once(&cluster));
    run(copies_are_refused_with_a_hint(&cluster));
    run(indexes_are_checked_with_amcheck(&cluster));
}

async fn waiting_jobs_survive_a_restart(cluster: &Arc<Cluster>) {
    let store = Ground::postgres(cluster).open();
    put(&store, 1, 1).await.unwrap();
    purses(&store).await;
    cluster.halt();
    let writer = store.clone();
    let write = tokio::spawn(async move { put(&writer, 2, 2).await });
    let reader = store.clone();
    let read = tokio::spawn(async move { purses(&reader).await.len() });
    tokio::time::sleep(Duration::from_millis(300)).await;
    cluster.begin();
    write.await.unwrap().unwrap();
    assert!(read.await.unwrap() >= 1);
    assert_eq!(purses(&store).await, [(1, 1), (2, 2)]);
}

async fn a_connection_lost_in_a_closure_runs_it_again(cluster: &Arc<Cluster>) {
    let store = Ground::postgres(cluster).open();
    let runs = Arc::new(AtomicU32::new(0));
    let (counted, ender) = (runs.clone(), cluster.clone());
    store
        .write(move |tx| {
            tx.execute("INSERT INTO purses (id, coins) VALUES (1, 1)", &[])?;
            if counted.fetch_add(1, Ordering::SeqCst) == 0 {
                ender.sql("postgres", END_OTHERS);
            }
            tx.execute("INSERT INTO purses (id, coins) VALUES (2, 2)", &[])
        })
        .await
        .unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    assert_eq!(purses(&store).await, [(1, 1), (2, 2)]);
}

async fn a_lost_answer_to_commit_is_uncertain(cluster: &Arc<Cluster>) {
    let ground = Ground::postgres(cluster);
    let calls = Arc::new(AtomicU32::new(0));
    let (counted, ender) = (calls.clone(), cluster.clone());
    let store = ground.open_before_commit(move || {
        if counted.fetch_add(1, Ordering::SeqCst) == 0 {
            ender.sql("postgres", END_OTHERS);
        }
        Ok(())
    });
    let lost = put(&store, 1, 1).await;
    assert!(matches!(lost, Err(StoreError::Uncertain(_))), "{lost:?}");
    assert_eq!(calls.load(Ordering::SeqCst), 1, "it was tried again");
    put(&store, 2, 2).await.unwrap();
    assert_eq!(purses(&store).await, [(2, 2)]);
}

async fn endless_conflicts_end_as_contention(cluster: &Arc<Cluster>) {
    let ground = Ground::postgres(cluster);
    let Engine::Postgres { url, .. } = &ground.engine else {
        unreachable!()
    };
    let database = url.rsplit_once("dbname=").unwrap().1.to_owned();
    let store = ground.open();
    put(&store, 1, 1).await.unwrap();
    let (runs, other) = (Arc::new(AtomicU32::new(0)), cluster.clone());
    let counted = runs.clone();
    let lost = store
        .write(move |tx| {
            counted.fetch_add(1, Ordering::SeqCst);
            let coins = tx.one("SELECT coins FROM purses WHERE id = 1", &[], |row| {
                row.int(0)
            })?;
            other.sql(&database, "UPDATE purses SET coins = coins + 1");
            let sql = "UPDATE purses SET coins = ?1 WHERE id = 1";
            tx.execute(sql, params![coins])
        })
        .await;
    assert!(matches!(lost, Err(StoreError::Contention)), "{lost:?}");
    let runs = runs.load(Ordering::SeqCst);
    assert!((5..=20).contains(&runs), "{runs} tries");
    assert_eq!(purses(&store).await, [(1, 1 + i64::from(runs))]);
}

/// Conflicts that cannot be avoided must still end well for everybody.
async fn one_row_wanted_by_all(cluster: &Arc<Cluster>) {
    let ground = Ground::postgres(cluster);
    let stores = [ground.open(), ground.open()];
    put(&stores[0], 1, 0).await.unwrap();
    let tasks: Vec<_> = (0..60)
        .map(|task| {
            let store = stores[task % 2].clone();
            tokio::spawn(async move {
                store
                    .write(|tx| tx.execute("UPDATE purses SET coins = coins + 1 WHERE id = 1", &[]))
                    .await
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(purses(&stores[0]).await, [(1, 60)]);
}

async fn nodes_that_start_together_migrate_once(cluster: &Arc<Cluster>) {
    let ground = Arc::new(Ground::postgres(cluster));
    let nodes: Vec<_> = (0..4)
        .map(|_| {
            let ground = ground.clone();
            tokio::task::spawn_blocking(move || ground.open())
        })
        .collect();
    for (id, node) in nodes.into_iter().enumerate() {
        let id = id as i64;
        put(&node.await.unwrap(), id, id).await.unwrap();
    }
    assert_eq!(purses(&ground.open()).await.len(), 4);
}

async fn copies_are_refused_with_a_hint(cluster: &Arc<Cluster>) {
    let store = Ground::postgres(cluster).open();
    let refused = store.snapshot_to(std::path::Path::new("copy")).unwrap_err();
    assert!(refused.to_string().contains("pg_dump"), "{refused}");
}

async fn indexes_are_checked_with_amcheck(cluster: &Arc<Cluster>) {
    let ground = Ground::postgres(cluster);
    let Engine::Postgres { url, .. } = &ground.engine else {
        unreachable!()
    };
    let database = url.rsplit_once("dbname=").unwrap().1;
    let store = ground.open();
    put(&store, 1, 1).await.unwrap();
    cluster.sql(database, "CREATE EXTENSION amcheck");
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
    // An index that lost an entry: the row's truth and the index's differ.
    let damage = "SET allow_system_table_mods = on; UPDATE pg_index SET indisready = false, indisvalid = false WHERE indexrelid = 'purses_pkey'::regclass";
    cluster.sql(database, damage);
    cluster.sql(database, "INSERT INTO purses VALUES (2, 2)");
    let mend = "SET allow_system_table_mods = on; UPDATE pg_index SET indisready = true, indisvalid = true WHERE indexrelid = 'purses_pkey'::regclass";
    cluster.sql(database, mend);
    let found = store.check().unwrap();
    assert!(
        found.iter().any(|text| text.contains("purses_pkey")),
        "{found:?}"
    );
}
