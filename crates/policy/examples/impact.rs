//! How long previews over 100,000 accounts take, and what noting a login costs.
//! `cargo run --release -p policy --example impact`; for people who change connections or previews.

use directory::AccountId;
use platform::clock::{Clock, Timestamp};
use platform::params;
use platform::store::{Engine, Options, Store, StoreError, Tx};
use platform::tls::TlsVersion;
use policy::connections::{Connections, Contact, Outcome, Seen};
use policy::impact::{self, Proposed, Question};
use policy::{Door, Encryption, Policies, Scope, Service, samples};
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Duration;

const ACCOUNTS: i64 = 100_000;
const DOMAINS: i64 = 8_000;
const DAY_MS: i64 = 24 * 3600 * 1000;
const NOTES: u32 = 1_000_000;
/// Runs of each preview; the slowest is told.
const RUNS: usize = 5;

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
    let now = Clock::system().now();
    store.write(fill_directory).await?;
    let begin = tokio::time::Instant::now();
    let rows = fill_connections(&store, now).await?;
    let each = begin.elapsed() / rows;
    println!("{rows} rows written, {each:?} each");

    let policies = Policies::open(store.clone(), Clock::system()).await?;
    for word in [
        "tls-version/imap=1.2",
        "tls-version/imap=1.3",
        "cleartext/imap",
        "sender-ownership",
    ] {
        tell(&store, &policies, word, now).await?;
    }
    let begin = tokio::time::Instant::now();
    let totals = store.read(move |tx| samples::totals(tx, now)).await?;
    println!("posture of everybody {totals:?}: {:?}", begin.elapsed());
    let begin = tokio::time::Instant::now();
    let sample = store
        .read(move |tx| samples::sample(tx, 50, 7, now))
        .await?;
    let taken = sample.accounts.len();
    println!("a sample of {taken}: {:?}", begin.elapsed());

    let connections = Connections::new(store);
    let begin = tokio::time::Instant::now();
    for n in 0..NOTES {
        connections.note(&login(i64::from(n) % 10_000, 0, now));
    }
    println!("noting a login: {:?}", begin.elapsed() / NOTES);
    Ok(())
}

async fn tell(
    store: &Store,
    policies: &Policies,
    word: &'static str,
    now: Timestamp,
) -> Result<(), Box<dyn std::error::Error>> {
    let proposed = Proposed::from_word(word).ok_or("no such change")?;
    let mut slowest = Duration::ZERO;
    let mut told = String::new();
    for _ in 0..RUNS {
        let (asked, snapshot) = (proposed.clone(), policies.snapshot());
        let begin = tokio::time::Instant::now();
        let found = store
            .read(move |tx| {
                let question = Question {
                    proposed: &asked,
                    scope: &Scope::Installation,
                    days: 30,
                    snapshot: &snapshot,
                    now,
                };
                impact::preview(tx, &question, Vec::new())
            })
            .await?;
        slowest = slowest.max(begin.elapsed());
        told = format!(
            "{} accounts in {} domains",
            found.accounts.len(),
            found.domains.len()
        );
        black_box(found.csv());
    }
    println!("{word}: {told}, slowest of {RUNS}: {slowest:?}");
    Ok(())
}

fn fill_directory(tx: &mut dyn Tx) -> Result<(), StoreError> {
    for n in 0..DOMAINS {
        tx.execute(
            "INSERT INTO directory_domains (domain, status, group_name, created) \
             VALUES (?1, 0, 'private', 0)",
            params![&format!("d{n}.test")],
        )?;
    }
    for account in 0..ACCOUNTS {
        tx.execute(
            "INSERT INTO directory_accounts (account, domain, local, status, pop3_delete, created, \
             scram_salt, scram_iterations, credential_revision) \
             VALUES (?1, ?2, ?3, 0, 0, 0, ?4, 0, 1)",
            params![
                account,
                &format!("d{}.test", account % DOMAINS),
                &format!("n{account}"),
                &[0_u8][..]
            ],
        )?;
        if account % 5 == 0 {
            tx.execute(
                "INSERT INTO policy_findings (account, measure, detail, seen, first_day, last_day) \
                 VALUES (?1, 'sender-ownership', 'other@gmx.example', 4, 20000, 99999)",
                params![account],
            )?;
        }
    }
    Ok(())
}

/// Three programs an account, on each of thirty days; every tenth account is old at one of them.
async fn fill_connections(store: &Store, now: Timestamp) -> Result<u32, StoreError> {
    let connections = Connections::new(store.clone());
    let mut rows = 0;
    for day in [29, 15, 0] {
        for account in 0..ACCOUNTS {
            for program in 0..3 {
                let at = Timestamp(now.0 - day * DAY_MS);
                connections.note(&login(account, program, at));
                rows += 1;
            }
            if account % 10_000 == 9_999 {
                connections.flush().await?;
            }
        }
    }
    connections.flush().await?;
    Ok(rows)
}

fn login(account: i64, program: u16, now: Timestamp) -> Seen<'static> {
    let (service, port) = match program {
        2 => (Service::Submission, 587),
        _ => (Service::Imap, 143),
    };
    let (encryption, tls) = match account % 20 {
        0 if program == 0 => (Encryption::StartTls, Some((TlsVersion::V1_0, "OLD"))),
        10 if program == 1 => (Encryption::Clear, None),
        n if n % 2 == 0 => (Encryption::StartTls, Some((TlsVersion::V1_2, "GOOD"))),
        _ => (Encryption::StartTls, Some((TlsVersion::V1_3, "BEST"))),
    };
    let address = u32::try_from(account).unwrap_or(0);
    Seen {
        account: AccountId(account),
        contact: Contact {
            service,
            port,
            encryption,
            door: Door::Normal,
            tls,
            client: match program {
                0 => "outlook/2010/windows",
                1 => "thunderbird/140/windows",
                _ => "apple-mail/-/ios",
            },
            outcome: Outcome::LoggedIn,
            peer: Ipv4Addr::from(0x0a00_0000 + address).into(),
            now,
        },
    }
}
