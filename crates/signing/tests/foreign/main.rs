//! Signatures of ours before foreign verifiers: dkimpy and OpenDKIM read what `Signing` wrote, with key records from
//! a file instead of DNS. The messages are the awkward ones: empty bodies, blank lines at the end, runs of white
//! space, folded and repeated fields, 8-bit text, large headers, spools in files.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod arc;
mod corpus;
mod dkim;
mod leaks;
mod proof;
mod verifiers;

use platform::clock::{Clock, Timestamp};
use platform::dns::StaticResolver;
use platform::random::Random;
use platform::spool::{Spool, SpoolLimits};
use platform::store::{Engine, Options, Store};
use signing::keyring::{Begin, NewKeys};
use signing::{InstallationSecret, Signing, SigningParts};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A service with keys in a fresh store.
struct Desk {
    dir: tempfile::TempDir,
    dns: StaticResolver,
    clock: Clock,
    signing: Signing,
}

const HOST: &str = "mx.host.test";

impl Desk {
    /// With keys that sign for `domains`, published.
    async fn new(domains: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let dns = StaticResolver::new();
        // Verifiers compare t= with the real time.
        let clock = Clock::system();
        let signing = open(&dir.path().join("store.sqlite"), 7, &dns, &clock)
            .await
            .unwrap();
        for domain in domains {
            let new = NewKeys {
                begin: Begin::Now,
                ..NewKeys::default()
            };
            for key in signing.keyring().add(domain, new).await.unwrap() {
                dns.add_txt(&key.record().name(), &key.record().value());
            }
        }
        Self {
            dir,
            dns,
            clock,
            signing,
        }
    }

    fn spool(&self, message: &[u8], memory_bytes: usize) -> Spool {
        let mut spool = Spool::new(SpoolLimits {
            memory_bytes,
            dir: Arc::from(self.dir.path()),
        });
        for piece in message.chunks(1000) {
            spool.push(piece).unwrap();
        }
        spool
    }

    /// Name and value of every key record.
    async fn records(&self) -> Vec<(String, String)> {
        let keys = self.signing.keyring().list().await.unwrap();
        let record = |key: signing::KeyRow| (key.record().name(), key.record().value());
        keys.into_iter().map(record).collect()
    }
}

async fn open(
    store: &Path,
    secret: u64,
    dns: &StaticResolver,
    clock: &Clock,
) -> Result<Signing, signing::SigningError> {
    let options = Options {
        engine: Engine::Sqlite {
            path: store.to_owned(),
        },
        readers: 1,
        gather_max: Duration::ZERO,
        before_commit: None,
    };
    Signing::open(SigningParts {
        store: Store::open(options, &[signing::SCHEMA]).unwrap(),
        secret: InstallationSecret::generate(&Random::seeded(secret)),
        clock: clock.clone(),
        random: Random::from_os(),
        resolver: Arc::new(dns.clone()),
        host: HOST.to_owned(),
    })
    .await
}

/// A time that tests may move.
fn settable() -> Clock {
    Clock::settable(Timestamp::from_seconds(1_795_000_000))
}
