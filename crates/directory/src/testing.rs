//! What the tests of several modules need: a store in a temporary directory, cheap hashes, a peer.
//! Never part of the program.

use crate::admin::{Admin, AdminError, NewAccount, NewDomain, NewPassword, NoHooks};
use crate::settings::{Hashing, Settings};
use crate::{AccountId, AddressKey, Directory, DomainName, SCHEMA};
use formats::address::Address;
use platform::clock::Timestamp;
use platform::random::Random;
use platform::store::{Engine, Options, Store};
use std::sync::Arc;
use std::time::Duration;

/// The least the libraries take, so that a hundred logins are a moment.
pub(crate) const CHEAP: Hashing = Hashing {
    memory_kib: 8,
    passes: 1,
    lanes: 1,
    scram_iterations: 4096,
};

pub(crate) const NOON: Timestamp = Timestamp(1_800_000_000_000);

pub(crate) struct Fixture {
    pub(crate) admin: Admin,
    pub(crate) directory: Directory,
    /// Another node on the same store.
    pub(crate) elsewhere: Directory,
    /// Holds the store; goes with the fixture.
    pub(crate) _files: tempfile::TempDir,
}

pub(crate) fn key(text: &str) -> AddressKey {
    AddressKey::parse(text).unwrap()
}

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

pub(crate) fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

pub(crate) fn store(files: &tempfile::TempDir) -> Store {
    let options = Options {
        engine: Engine::Sqlite {
            path: files.path().join("test.db"),
        },
        readers: 2,
        gather_max: Duration::ZERO,
        before_commit: None,
    };
    Store::open(options, &[SCHEMA]).unwrap()
}

impl Fixture {
    /// `firma.test` and `verein.test` without accounts.
    pub(crate) async fn new(settings: Settings) -> Self {
        let files = tempfile::tempdir().unwrap();
        let store = store(&files);
        let directory = Directory::open(store.clone(), settings.clone(), Random::seeded(1))
            .await
            .unwrap();
        let elsewhere = Directory::open(store, settings, Random::seeded(2))
            .await
            .unwrap();
        let admin = Admin::new(directory.clone(), Arc::new(NoHooks));
        for domain in ["firma.test", "verein.test"] {
            admin
                .add_domain(&name(domain), &NewDomain::default(), NOON)
                .await
                .unwrap();
        }
        Self {
            admin,
            directory,
            elsewhere,
            _files: files,
        }
    }

    pub(crate) async fn cheap() -> Self {
        Self::new(Settings {
            hashing: CHEAP,
            hash_workers: 2,
            ..Settings::default()
        })
        .await
    }

    pub(crate) async fn account(&self, login: &str, password: &str) -> AccountId {
        self.try_account(login, password).await.unwrap()
    }

    pub(crate) async fn try_account(
        &self,
        login: &str,
        password: &str,
    ) -> Result<AccountId, AdminError> {
        let password = NewPassword::clear(password);
        self.admin
            .add_account(&key(login), &NewAccount::default(), &password, NOON)
            .await
    }
}
