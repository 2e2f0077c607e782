//! How long settings of 60,000 accounts and 8,000 domains take to be read, and to be looked up per message.
//! `cargo run --release -p policy --example lookups`; for people who change the snapshot.

use directory::AccountId;
use platform::clock::Clock;
use platform::params;
use platform::store::{Engine, Options, Store, StoreError, Tx};
use policy::{Policies, Sender};
use std::hint::black_box;
use std::time::Duration;

const ACCOUNTS: i64 = 60_000;
const DOMAINS: i64 = 8_000;
const LOOKUPS: u32 = 1_000_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = tempfile::tempdir()?;
    let options = Options {
        engine: Engine::Sqlite {
            path: files.path().join("policy.db"),
        },
        readers: 1,
        gather_max: Duration::ZERO,
        before_commit: None,
    };
    let store = Store::open(
        options,
        &[
            directory::SCHEMA,
            policy::SCHEMA,
            policy::CLIENTS_SCHEMA,
            policy::LEGACY_SCHEMA,
            policy::RULES_SCHEMA,
        ],
    )?;
    store.write(fill).await?;
    let begin = tokio::time::Instant::now();
    let policies = Policies::open(store, Clock::system()).await?;
    println!(
        "read {} settings in {:?}",
        ACCOUNTS + 3 * DOMAINS,
        begin.elapsed()
    );
    let now = Clock::system().now();
    let begin = tokio::time::Instant::now();
    for n in 0..LOOKUPS {
        let sender = Sender {
            account: Some(AccountId(i64::from(n) % (2 * ACCOUNTS))),
            domain: "d77.test",
            group: Some("private"),
        };
        let snapshot = policies.snapshot();
        black_box(snapshot.ownership(&sender, now));
        black_box(snapshot.outbound_tls(&sender, now));
        black_box(snapshot.destination(&sender, "mail.far.example"));
        black_box(snapshot.pool(&sender));
        black_box(snapshot.hold_back(&sender));
        black_box(snapshot.limits(&sender));
    }
    println!("six lookups for a message: {:?}", begin.elapsed() / LOOKUPS);
    Ok(())
}

fn fill(tx: &mut dyn Tx) -> Result<(), StoreError> {
    for account in 0..ACCOUNTS {
        put(tx, 3, &account.to_string(), "outbound-tls", "", "required")?;
    }
    for domain in 0..DOMAINS {
        let domain = format!("d{domain}.test");
        put(tx, 2, &domain, "sender-ownership", "", "enforce")?;
        put(tx, 2, &domain, "hold-back", "", "10")?;
        put(tx, 2, &domain, "destination", "partner.example", "secure")?;
    }
    Ok(())
}

fn put(
    tx: &mut dyn Tx,
    kind: i64,
    scope: &str,
    name: &str,
    item: &str,
    value: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO policy_settings (scope_kind, scope, name, item, value, changed_at, changed_by, \
         reason) VALUES (?1, ?2, ?3, ?4, ?5, 0, 'example', '')",
        params![kind, scope, name, item, value],
    )
    .map(drop)
}
