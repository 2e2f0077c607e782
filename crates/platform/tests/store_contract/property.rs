//! Random concurrent transactions keep the sum of all purses; what was acknowledged is there after
//! a reopen and what was refused is not.

use crate::cases::purses;
use crate::{Ground, run};
use platform::params;
use platform::store::{Store, StoreError, Tx};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeMap;

const PURSES: i64 = 4;
const COINS: i64 = 100;

#[derive(Debug, Clone, Copy)]
enum End {
    Keep,
    Refuse,
    Panic,
    DuplicateKey,
}

#[derive(Debug, Clone)]
struct Step {
    from: i64,
    to: i64,
    coins: i64,
    end: End,
    announced: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop_oneof![
        6 => Just(End::Keep),
        1 => Just(End::Refuse),
        1 => Just(End::Panic),
        1 => Just(End::DuplicateKey),
    ];
    (0..PURSES, 0..PURSES, 1..60i64, end, any::<bool>()).prop_map(
        |(from, to, coins, end, announced)| Step {
            from,
            to,
            coins,
            end,
            announced,
        },
    )
}

/// Moves coins and leaves a note of it; refuses where the purse has too little.
fn transfer(tx: &mut dyn Tx, note: i64, step: &Step) -> Result<(), StoreError> {
    let read = "SELECT coins FROM purses WHERE id = ?1";
    let has = tx.one(read, params![step.from], |row| row.int(0))?;
    let sql = "INSERT INTO notes (id, body) VALUES (?1, ?2)";
    tx.execute(sql, params![note, &format!("{step:?} {note}")])?;
    if has.unwrap_or(0) < step.coins {
        return Err(StoreError::Engine("too few coins".into()));
    }
    let add = "UPDATE purses SET coins = coins + ?2 WHERE id = ?1";
    tx.execute(add, params![step.from, -step.coins])?;
    match step.end {
        End::Keep => {}
        End::Refuse => return Err(StoreError::Engine("refused on purpose".into())),
        End::Panic => std::panic::resume_unwind(Box::new("on purpose, without a message")),
        End::DuplicateKey => {
            tx.execute("INSERT INTO purses (id, coins) VALUES (0, 0)", &[])?;
        }
    }
    tx.execute(add, params![step.to, step.coins]).map(drop)
}

/// Runs the steps of each session one after another, the sessions side by side. Gives, by note,
/// the coins' way and whether it was acknowledged.
async fn play(store: &Store, sessions: Vec<Vec<Step>>) -> BTreeMap<i64, (Step, bool)> {
    let mut running = Vec::new();
    for (session, steps) in sessions.into_iter().enumerate() {
        let store = store.clone();
        running.push(tokio::spawn(async move {
            let mut told = Vec::new();
            for (number, step) in steps.into_iter().enumerate() {
                let note = (session * 1000 + number) as i64;
                let own = step.clone();
                let run = move |tx: &mut dyn Tx| transfer(tx, note, &own);
                let answer = if step.announced {
                    store.expect_write().write(run).await
                } else {
                    store.write(run).await
                };
                assert!(!matches!(
                    answer,
                    Err(StoreError::Uncertain(_) | StoreError::Contention)
                ));
                told.push((note, (step, answer.is_ok())));
            }
            told
        }));
    }
    let mut all = BTreeMap::new();
    for task in running {
        all.extend(task.await.unwrap());
    }
    all
}

async fn holds(ground: &Ground, sessions: Vec<Vec<Step>>) {
    let store = ground.open();
    store
        .write(|tx| {
            for id in 0..PURSES {
                let sql = "INSERT INTO purses (id, coins) VALUES (?1, ?2)";
                tx.execute(sql, params![id, COINS])?;
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    let told = play(&store, sessions).await;
    drop(store);
    let store = ground.open();
    let mut expected: BTreeMap<i64, i64> = (0..PURSES).map(|id| (id, COINS)).collect();
    for (step, acknowledged) in told.values() {
        if *acknowledged {
            assert!(matches!(step.end, End::Keep), "{step:?} was acknowledged");
            *expected.entry(step.from).or_default() -= step.coins;
            *expected.entry(step.to).or_default() += step.coins;
        }
    }
    let there = purses(&store).await;
    assert_eq!(there, expected.into_iter().collect::<Vec<_>>());
    assert!(there.iter().all(|purse| purse.1 >= 0), "{there:?}");
    let read = "SELECT id FROM notes ORDER BY id";
    let notes = store
        .read(move |tx| tx.all(read, &[], |row| row.int(0)))
        .await
        .unwrap();
    let acknowledged: Vec<_> = told.iter().filter(|t| t.1.1).map(|t| *t.0).collect();
    assert_eq!(notes, acknowledged);
}

fn check(cases: u32, ground: impl Fn() -> Ground) {
    let sessions = prop::collection::vec(prop::collection::vec(step(), 1..8), 1..8);
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 50,
        ..Config::default()
    });
    runner
        .run(&sessions, |sessions| {
            run(holds(&ground(), sessions));
            Ok(())
        })
        .unwrap();
}

#[test]
fn random_transactions_on_sqlite() {
    check(60, Ground::sqlite);
}

#[test]
fn random_transactions_on_postgresql() {
    let cluster = harness::postgres::Cluster::start();
    check(25, || Ground::postgres(&cluster));
}
