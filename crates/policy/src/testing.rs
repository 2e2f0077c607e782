//! What the tests of several modules need: a store with a small directory. Never part of the program.

use crate::admin::{Admin, Author, Wanted};
use crate::model::Scope;
use crate::setting::{Name, Value};
use crate::{Policies, SCHEMA};
use directory::admin::{NewAccount, NewDomain, NewPassword, NoHooks, Setting};
use directory::settings::Hashing;
use directory::{AccountId, AddressKey, Directory, DomainName};
use platform::clock::{Clock, Timestamp};
use platform::random::Random;
use platform::store::{Engine, Options, Store};
use std::sync::Arc;
use std::time::Duration;

pub(crate) const NOON: Timestamp = Timestamp(1_800_000_000_000);

pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) admin: Admin,
    pub(crate) directory: directory::admin::Admin,
    pub(crate) anna: AccountId,
    pub(crate) _files: tempfile::TempDir,
}

pub(crate) fn domain(text: &str) -> Scope {
    Scope::Domain(DomainName::parse(text).unwrap())
}

pub(crate) fn key(text: &str) -> AddressKey {
    AddressKey::parse(text).unwrap()
}

pub(crate) fn author() -> Author {
    Author {
        by: "tester".into(),
        reason: "to see".into(),
        now: NOON,
    }
}

pub(crate) fn wanted(scope: Scope, name: Name, value: &str) -> Wanted {
    Wanted {
        scope,
        name,
        item: String::new(),
        value: Value::parse(name, value).unwrap(),
        expires_at: None,
        consent: None,
        owner: None,
    }
}

impl Fixture {
    /// `firma.test` in the group `business`, with the account anna.
    pub(crate) async fn new() -> Self {
        let files = tempfile::tempdir().unwrap();
        let path = files.path().join("test.db");
        Self::on(Engine::Sqlite { path }, files).await
    }

    /// Runs `test` on a store in a new PostgreSQL cluster.
    pub(crate) fn on_postgresql<T: Future<Output = ()>>(test: impl FnOnce(Self) -> T) {
        let cluster = harness::postgres::Cluster::start();
        let engine = Engine::Postgres {
            url: cluster.database(),
            connections: 1,
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let files = tempfile::tempdir().unwrap();
            test(Self::on(engine, files).await).await;
        });
    }

    async fn on(engine: Engine, files: tempfile::TempDir) -> Self {
        let options = Options {
            engine,
            readers: 2,
            gather_max: Duration::ZERO,
            before_commit: None,
        };
        let store = Store::open(
            options,
            &[
                directory::SCHEMA,
                SCHEMA,
                crate::CLIENTS_SCHEMA,
                crate::CONNECTIONS_SCHEMA,
                crate::LEGACY_SCHEMA,
                crate::RULES_SCHEMA,
            ],
        )
        .unwrap();
        let settings = directory::Settings {
            hashing: Hashing {
                memory_kib: 8,
                passes: 1,
                lanes: 1,
                scram_iterations: 4096,
            },
            ..directory::Settings::default()
        };
        let directory = Directory::open(store.clone(), settings, Random::seeded(1))
            .await
            .unwrap();
        let directory = directory::admin::Admin::new(directory, Arc::new(NoHooks));
        directory.add_group("business", "", NOON).await.unwrap();
        let new = NewDomain {
            group: Setting::To("business".into()),
            ..NewDomain::default()
        };
        let firma = DomainName::parse("firma.test").unwrap();
        directory.add_domain(&firma, &new, NOON).await.unwrap();
        let anna = directory
            .add_account(
                &key("anna@firma.test"),
                &NewAccount::default(),
                &NewPassword::None,
                NOON,
            )
            .await
            .unwrap();
        Self {
            admin: Admin::new(store.clone()),
            store,
            clock: Clock::settable(NOON),
            directory,
            anna,
            _files: files,
        }
    }

    pub(crate) async fn policies(&self) -> Policies {
        Policies::open(self.store.clone(), self.clock.clone())
            .await
            .unwrap()
    }

    pub(crate) async fn set(&self, scope: Scope, name: Name, value: &str) {
        self.admin
            .set(wanted(scope, name, value), author())
            .await
            .unwrap();
    }

    pub(crate) async fn set_item(&self, scope: Scope, name: Name, item: &str, value: &str) {
        let mut wanted = wanted(scope, name, value);
        wanted.item = item.to_owned();
        self.admin.set(wanted, author()).await.unwrap();
    }
}
