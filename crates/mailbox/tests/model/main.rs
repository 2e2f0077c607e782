//! Random operations of two accounts against a model that is too simple to be wrong: maps in memory.
//! Rows, counters, sequence maps and `changes` must agree with it after every step.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod check;
mod operations;
#[path = "../support/mod.rs"]
mod support;
mod world;

use operations::{Op, op};
use platform::store::Engine;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use support::Node;
use world::World;

fn agrees(open: impl Fn(&std::path::Path) -> Node, ops: &[Op]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    runtime.block_on(async {
        let mut world = World::new(open(dir.path())).await;
        for (step, op) in ops.iter().enumerate() {
            world.run(op).await;
            if step % 8 == 0 {
                world.check().await;
            }
        }
        world.check().await;
    });
}

fn check_many(cases: u32, open: impl Fn(&std::path::Path) -> Node) {
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let many = prop::collection::vec(op(), 1..120);
    let outcome = TestRunner::new(config).run(&many, |ops| {
        agrees(&open, &ops);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn everything_agrees_with_the_model() {
    check_many(64, Node::open);
}

#[test]
fn everything_agrees_with_the_model_on_postgresql() {
    let cluster = harness::postgres::Cluster::start();
    check_many(8, |dir| {
        Node::with(
            dir,
            Engine::Postgres {
                url: cluster.database(),
                connections: 2,
            },
        )
    });
}
