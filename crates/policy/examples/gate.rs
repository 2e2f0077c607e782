//! What a ruling of the gate and the lookup of a stage cost, among the settings of 60,000 accounts and 8,000
//! domains. `cargo run --release -p policy --example gate`; for people who change gate or snapshot.

use directory::AccountId;
use platform::clock::{Clock, Timestamp};
use platform::params;
use platform::store::{Engine, Options, Store, StoreError, Tx};
use platform::tls::TlsVersion;
use policy::gate::{self, Attempt};
use policy::measure::{Door, Measure, Service};
use policy::{Policies, Sender};
use std::hint::black_box;
use std::time::Duration;

const ACCOUNTS: i64 = 60_000;
const DOMAINS: i64 = 8_000;
const ROUNDS: i64 = 1_000_000;

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
    let schemas = [
        directory::SCHEMA,
        policy::SCHEMA,
        policy::CLIENTS_SCHEMA,
        policy::CONNECTIONS_SCHEMA,
        policy::LEGACY_SCHEMA,
        policy::RULES_SCHEMA,
    ];
    let store = Store::open(options, &schemas)?;
    store.write(fill).await?;
    let begin = tokio::time::Instant::now();
    let policies = Policies::open(store, Clock::system()).await?;
    println!(
        "read {} settings in {:?}",
        ACCOUNTS + 2 * DOMAINS + 3,
        begin.elapsed()
    );
    let now = Clock::system().now();
    for (what, door, tls) in [
        ("normal door, TLS 1.3", Door::Normal, Some(TlsVersion::V1_3)),
        (
            "normal door, TLS 1.0, noted or refused",
            Door::Normal,
            Some(TlsVersion::V1_0),
        ),
        (
            "normal door, in clear, noted or refused",
            Door::Normal,
            None,
        ),
        ("legacy door, TLS 1.0", Door::Legacy, Some(TlsVersion::V1_0)),
    ] {
        let before = |n| gate::before_login(&policies.snapshot(), &attempt(n, door, tls, now));
        let login = |n| gate::login(&policies.snapshot(), &attempt(n, door, tls, now));
        println!(
            "{what}: {:.3} µs before a name, {:.3} µs for a name",
            micros(before),
            micros(login)
        );
    }
    let measures = [
        Measure::TlsVersion(Service::Imap),
        Measure::Cleartext(Service::Imap),
        Measure::SenderOwnership,
        Measure::OutboundTls,
    ];
    for measure in &measures {
        let stage = |n| policies.snapshot().stage(measure, &sender(n), now);
        println!("stage of {measure}: {:.3} µs", micros(stage));
    }
    Ok(())
}

fn sender(n: i64) -> Sender<'static> {
    Sender {
        account: Some(AccountId(n % (2 * ACCOUNTS))),
        domain: "d77.test",
        group: Some("private"),
    }
}

fn attempt(n: i64, door: Door, tls: Option<TlsVersion>, now: Timestamp) -> Attempt<'static> {
    Attempt {
        service: Service::Imap,
        door,
        tls,
        sender: Some(sender(n)),
        enrolled: n % 2 == 0,
        help: "https://mail.example.org/h/",
        now,
    }
}

fn micros<T>(ask: impl Fn(i64) -> T) -> f64 {
    let begin = tokio::time::Instant::now();
    for n in 0..ROUNDS {
        black_box(ask(n));
    }
    begin.elapsed().as_secs_f64() * 1e6 / ROUNDS as f64
}

fn fill(tx: &mut dyn Tx) -> Result<(), StoreError> {
    let open = "warn; 2099-03-05 enforce";
    put(
        tx,
        0,
        "",
        "cleartext",
        "*",
        "observe; 2020-01-01 warn; 2099-03-05 enforce",
    )?;
    put(
        tx,
        0,
        "",
        "tls-version",
        "*",
        "1.2 warn; 2099-03-05 enforce",
    )?;
    put(tx, 0, "", "legacy-access", "", "until 2099-05-30")?;
    for account in 0..ACCOUNTS {
        let value = if account % 2 == 0 { open } else { "enforce" };
        put(tx, 3, &account.to_string(), "cleartext", "imap", value)?;
    }
    for domain in 0..DOMAINS {
        let domain = format!("d{domain}.test");
        put(
            tx,
            2,
            &domain,
            "sender-ownership",
            "",
            "warn; 2099-03-05 enforce; canary=10%",
        )?;
        put(tx, 2, &domain, "outbound-tls", "", "required observe")?;
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
