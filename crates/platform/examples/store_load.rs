//! Measures the store under the load of deliveries: producers that each write small rows into
//! clustered tables and wait for the answer. Prints transactions per second, CPU per transaction,
//! latency, bytes written and flushes per transaction (the latter of the whole machine).
//!
//! `cargo run --release -p platform --example store_load -- DIRECTORY|POSTGRES-URL [PRODUCERS] [TRANSACTIONS] [CONNECTIONS]`

use platform::params;
use platform::store::{Component, Engine, Migration, Options, Store, StoreError};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

const ACCOUNTS: i64 = 1000;

const TABLES: Component = Component {
    name: "load",
    migrations: &[Migration {
        number: 1,
        name: "tables like a mailbox's",
        sql: "CREATE TABLE mailboxes (account {int} NOT NULL, mailbox {int} NOT NULL, \
              uid_next {int} NOT NULL, modseq {int} NOT NULL, PRIMARY KEY (account, mailbox)) {clustered}; \
              CREATE TABLE messages (account {int} NOT NULL, mailbox {int} NOT NULL, uid {int} NOT NULL, \
              segment {int} NOT NULL, place {int} NOT NULL, bytes {int} NOT NULL, flags {int} NOT NULL, \
              prefix {text} NOT NULL, PRIMARY KEY (account, mailbox, uid)) {clustered}; \
              CREATE TABLE changes (account {int} NOT NULL, modseq {int} NOT NULL, mailbox {int} NOT NULL, \
              uid {int} NOT NULL, PRIMARY KEY (account, modseq)) {clustered}; \
              CREATE TABLE bodies (account {int} NOT NULL, body {int} NOT NULL, holders {int} NOT NULL, \
              digest {bytes} NOT NULL, PRIMARY KEY (account, body)) {clustered}; \
              CREATE TABLE traces (account {int} NOT NULL, trace {int} NOT NULL, words {text} NOT NULL, \
              PRIMARY KEY (account, trace)) {clustered}",
    }],
};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let place = arguments
        .next()
        .expect("a directory or the address of a server");
    let mut number = |default: u64| {
        arguments
            .next()
            .map_or(default, |text| text.parse().expect("a number"))
    };
    let (producers, transactions, connections) = (number(16), number(50_000), number(1));
    let engine = if std::path::Path::new(&place).is_dir() {
        Engine::Sqlite {
            path: std::path::Path::new(&place).join("load.sqlite"),
        }
    } else {
        Engine::Postgres {
            url: place,
            connections: connections as usize,
        }
    };
    let flushes = Arc::new(AtomicU64::new(0));
    let counted = flushes.clone();
    let options = Options {
        engine,
        readers: 2,
        gather_max: Duration::from_millis(2),
        before_commit: Some(Arc::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })),
    };
    let store = Store::open(options, &[TABLES]).expect("the store opens");
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(load(store, producers, transactions, &flushes));
}

async fn load(store: Store, producers: u64, transactions: u64, commits: &AtomicU64) {
    store
        .write(|tx| {
            for account in 0..ACCOUNTS {
                let sql = "INSERT INTO mailboxes (account, mailbox, uid_next, modseq) \
                           VALUES (?1, 1, 1, 1) ON CONFLICT DO NOTHING";
                tx.execute(sql, params![account])?;
            }
            Ok::<_, StoreError>(())
        })
        .await
        .expect("accounts");
    let (cpu, disk) = (cpu_ticks(), disk());
    let begin = Instant::now();
    let latencies = Arc::new(Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..producers)
        .map(|producer| {
            let (store, latencies) = (store.clone(), latencies.clone());
            tokio::spawn(async move {
                let mut own = Vec::new();
                for number in 0..transactions / producers {
                    let account = (producer + number * producers) as i64 * 7919 % ACCOUNTS;
                    let start = Instant::now();
                    let announced = store.expect_write();
                    tokio::task::yield_now().await;
                    announced
                        .write(move |tx| deliver(tx, account))
                        .await
                        .expect("a delivery");
                    own.push(start.elapsed());
                }
                latencies.lock().expect("latencies").extend(own);
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a producer");
    }
    let seconds = begin.elapsed().as_secs_f64();
    drop(store);
    let mut latencies = std::mem::take(&mut *latencies.lock().expect("latencies"));
    latencies.sort();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    let count = latencies.len() as f64;
    let (now_disk, commits) = (self::disk(), commits.load(Ordering::Relaxed));
    println!(
        "{:.0} tx/s  {:.1} us CPU/tx  p50 {:?}  p99 {:?}  max {:?}",
        count / seconds,
        (cpu_ticks() - cpu) as f64 * 10_000.0 / count,
        at(0.5),
        at(0.99),
        at(1.0)
    );
    println!(
        "{:.3} commits/tx  {:.3} flushes/tx  {:.0} bytes written/tx",
        commits as f64 / count,
        (now_disk.0 - disk.0) as f64 / count,
        (now_disk.1 - disk.1) as f64 / count
    );
}

fn deliver(tx: &mut dyn platform::store::Tx, account: i64) -> Result<(), StoreError> {
    let take = "UPDATE mailboxes SET uid_next = uid_next + 1, modseq = modseq + 1 \
                WHERE account = ?1 AND mailbox = 1 RETURNING uid_next, modseq";
    let numbers = tx.one(take, params![account], |row| Ok((row.int(0)?, row.int(1)?)))?;
    let (uid, modseq) = numbers.ok_or(StoreError::Closed)?;
    let digest = [uid as u8; 32];
    tx.execute(
        "INSERT INTO messages (account, mailbox, uid, segment, place, bytes, flags, prefix) \
         VALUES (?1, 1, ?2, 17, ?3, 4321, 0, ?4)",
        params![
            account,
            uid,
            uid * 4321,
            "Delivered-To: anna@firma.test\r\n"
        ],
    )?;
    tx.execute(
        "INSERT INTO changes (account, modseq, mailbox, uid) VALUES (?1, ?2, 1, ?3)",
        params![account, modseq, uid],
    )?;
    tx.execute(
        "INSERT INTO bodies (account, body, holders, digest) VALUES (?1, ?2, 1, ?3)",
        params![account, uid, &digest[..]],
    )?;
    tx.execute(
        "INSERT INTO traces (account, trace, words) VALUES (?1, ?2, ?3)",
        params![
            account,
            uid,
            "accepted from mx.example.net, TLS 1.3, to anna@firma.test"
        ],
    )?;
    Ok(())
}

/// User and system time of this process in hundredths of a second (a server's is not in it).
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |split| split.1);
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks =
        |index: usize| -> u64 { fields.get(index).and_then(|f| f.parse().ok()).unwrap_or(0) };
    ticks(11) + ticks(12)
}

/// Flushes of all whole disks, and bytes this process gave to disks (a server's are not in it).
fn disk() -> (u64, u64) {
    let stats = std::fs::read_to_string("/proc/diskstats").unwrap_or_default();
    let mut flushes = 0;
    for line in stats.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let whole = fields
            .get(2)
            .is_some_and(|name| std::path::Path::new("/sys/block").join(name).exists());
        let number: u64 = fields.get(18).and_then(|f| f.parse().ok()).unwrap_or(0);
        flushes += if whole { number } else { 0 };
    }
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let written = io
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok());
    (flushes, written.unwrap_or(0))
}
