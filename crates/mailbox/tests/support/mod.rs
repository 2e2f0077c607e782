//! What the tests of this crate share: a fresh node in a temporary directory and small helpers.
//! Never used outside tests.
#![allow(dead_code, reason = "each test file uses some of it")]

use directory::AccountId;
use mailbox::{
    DeliverInto, Delivered, Delivery, Error, Flags, MailboxName, Mailboxes, SCHEMA,
    create_account_mailboxes, deliver,
};
use platform::clock::{Clock, Timestamp};
use platform::files::RealFiles;
use platform::random::Random;
use platform::segments::{BodyRef, SegmentOptions, Segments};
use platform::signals::Signals;
use platform::spool::{Spool, SpoolLimits};
use platform::store::{Engine, Options, Store};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The first account of every test.
pub const ANNA: AccountId = AccountId(1);
/// The second one.
pub const BERND: AccountId = AccountId(2);
/// When every test begins.
pub const START: Timestamp = Timestamp(1_700_000_000_000);

/// Mail at rest in a directory.
pub struct Node {
    pub mailboxes: Mailboxes,
    pub store: Store,
    pub segments: Segments,
    pub clock: Clock,
    pub signals: Signals,
}

impl Node {
    /// Opens what is in `dir`, rows in SQLite.
    pub fn open(dir: &Path) -> Node {
        let path = dir.join("store.sqlite");
        Node::with(dir, Engine::Sqlite { path })
    }

    /// Opens what is in `dir`, rows in an engine of the test's choice.
    pub fn with(dir: &Path, engine: Engine) -> Node {
        let clock = Clock::settable(START);
        let options = SegmentOptions::new(clock.clone(), Random::seeded(1));
        let (segments, _) =
            Segments::open(&dir.join("segments"), options, Arc::new(RealFiles)).unwrap();
        let options = Options {
            engine,
            readers: 2,
            gather_max: Duration::ZERO,
            before_commit: Some(segments.before_commit()),
        };
        let store = Store::open(options, &[SCHEMA]).unwrap();
        let signals = Signals::default();
        let mailboxes = Mailboxes::new(
            store.clone(),
            segments.clone(),
            signals.clone(),
            clock.clone(),
        );
        Node {
            mailboxes,
            store,
            segments,
            clock,
            signals,
        }
    }

    /// Gives `account` its mailboxes.
    pub async fn create_account(&self, account: AccountId) {
        self.store
            .write(move |tx| create_account_mailboxes(tx, account, START))
            .await
            .unwrap();
    }

    /// Delivers bytes that exist nowhere: for tests that read none.
    pub async fn deliver(
        &self,
        account: AccountId,
        into: DeliverInto,
        body: BodyRef,
        flags: Flags,
    ) -> Result<Delivered, Error> {
        let delivered = self
            .store
            .write(move |tx| {
                let delivery = Delivery {
                    account,
                    mailbox: into,
                    body,
                    prefix: "Delivered-To: x@firma.test\r\n",
                    flags,
                    internal_date: START,
                    trace: 7,
                };
                deliver(tx, &delivery)
            })
            .await;
        self.mailboxes.announce(account);
        delivered
    }
}

/// A body reference that points nowhere; different for different `number`.
pub fn nowhere(number: i64) -> BodyRef {
    BodyRef {
        segment: 9,
        offset: number * 100,
        facts_bytes: 10,
        body_bytes: 50 + number % 7,
    }
}

/// A spool that holds `bytes`.
pub fn spool(dir: &Path, bytes: &[u8]) -> Spool {
    let limits = SpoolLimits {
        memory_bytes: 1 << 20,
        dir: dir.into(),
    };
    let mut spool = Spool::new(limits);
    spool.push(bytes).unwrap();
    spool
}

/// A mailbox name.
pub fn name(text: &str) -> MailboxName {
    MailboxName::parse(text).unwrap()
}
