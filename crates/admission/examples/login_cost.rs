//! What the desk adds to a login: the same remembered login asked of the directory alone and of the desk, with
//! nothing noticed and with a measure that observes. `cargo run --release -p admission --example login_cost`.
//! Never part of a release.

use admission::{Desk, DeskParts, Outcome, Told, Visit};
use directory::admin::{AccountHooks, Admin, NewAccount, NewDomain, NewPassword};
use directory::{AccountId, AddressKey, Directory, DomainName, Login, LoginRuling, Protocol};
use platform::clock::Clock;
use platform::random::Random;
use platform::store::{Engine, Options, Store, StoreError, Tx};
use policy::admin::{Author, Wanted};
use policy::setting::{Name, Value};
use policy::{Connections, Door, Encryption, Findings, Policies, Service};
use std::error::Error;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const LOGINS: u32 = 100_000;
const USER: &str = "anna@firma.test";
const PASSWORD: &[u8] = b"demo-password";

struct NoHooks;

impl AccountHooks for NoHooks {
    fn added(&self, _: &mut dyn Tx, _: AccountId) -> Result<(), StoreError> {
        Ok(())
    }
    fn removed(&self, _: &mut dyn Tx, _: AccountId) -> Result<(), StoreError> {
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let clock = Clock::system();
    let (store, directory) = open(dir.path(), &clock).await?;
    let policies = Policies::open(store.clone(), clock.clone()).await?;
    let desk = Desk::new(DeskParts {
        directory: directory.clone(),
        policies: policies.clone(),
        connections: Connections::new(store.clone()),
        findings: Findings::new(store.clone()),
        clock: clock.clone(),
        host_name: "mail.rp.test".into(),
    });
    let told = Told {
        hello: Told::value(b"pc.test"),
        ..Told::default()
    };
    let visit = Visit {
        service: Service::Submission,
        port: 587,
        encryption: Encryption::Clear,
        door: Door::Normal,
        tls: None,
        peer: IpAddr::from([192, 0, 2, 7]),
        told: Some(&told),
    };
    // The hash is paid once.
    alone(&directory, &visit, &clock, 1).await;
    println!(
        "directory alone:      {:>6} ns",
        alone(&directory, &visit, &clock, LOGINS).await
    );
    for value in ["off; 2099-01-01 enforce", "observe; 2099-01-01 enforce"] {
        set(&store, &policies, value, &clock).await?;
        let cost = by_desk(&desk, &visit, &clock).await;
        println!("desk, cleartext {value}: {cost:>6} ns");
    }
    Ok(())
}

async fn alone(directory: &Directory, visit: &Visit<'_>, clock: &Clock, logins: u32) -> u128 {
    let begin = Instant::now();
    for _ in 0..logins {
        let login = Login {
            user: USER,
            password: PASSWORD,
            protocol: Protocol::Submission,
            peer: visit.peer,
            now: clock.now(),
        };
        let ruling = directory.login(login).await;
        assert!(matches!(ruling, LoginRuling::Accepted(_)));
    }
    begin.elapsed().as_nanos() / u128::from(logins)
}

async fn by_desk(desk: &Desk, visit: &Visit<'_>, clock: &Clock) -> u128 {
    let begin = Instant::now();
    for _ in 0..LOGINS {
        let outcome = desk.login(visit, USER, PASSWORD, clock.now()).await;
        assert!(matches!(outcome, Outcome::LoggedIn { .. }));
    }
    begin.elapsed().as_nanos() / u128::from(LOGINS)
}

async fn set(
    store: &Store,
    policies: &Policies,
    value: &str,
    clock: &Clock,
) -> Result<(), Box<dyn Error>> {
    let admin = policy::admin::Admin::new(store.clone());
    let wanted = Wanted {
        scope: admin.scope("installation").await?,
        name: Name::Cleartext,
        item: "submission".to_owned(),
        value: Value::parse(Name::Cleartext, value)?,
        expires_at: None,
        consent: None,
        owner: None,
    };
    let author = Author {
        by: "example".into(),
        reason: "a measurement".into(),
        now: clock.now(),
    };
    admin.set(wanted, author).await?;
    policies.refresh().await?;
    Ok(())
}

async fn open(dir: &Path, clock: &Clock) -> Result<(Store, Directory), Box<dyn Error>> {
    let options = Options {
        engine: Engine::Sqlite {
            path: dir.join("store.sqlite"),
        },
        readers: 2,
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
    let settings = directory::Settings::default();
    let directory = Directory::open(store.clone(), settings, Random::from_os()).await?;
    let admin = Admin::new(directory.clone(), Arc::new(NoHooks));
    let domain = DomainName::parse("firma.test")?;
    let now = clock.now();
    admin
        .add_domain(&domain, &NewDomain::default(), now)
        .await?;
    let login = AddressKey::parse(USER)?;
    let password = NewPassword::clear(std::str::from_utf8(PASSWORD)?);
    admin
        .add_account(&login, &NewAccount::default(), &password, now)
        .await?;
    Ok((store, directory))
}
