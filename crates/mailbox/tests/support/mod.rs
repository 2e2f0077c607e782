//! What the tests of this crate share: a fresh node in a temporary directory and small helpers.
//! Never used outside tests.
#![allow(dead_code, reason = "each test file uses some of it")]

use directory::AccountId;
use mailbox::{
    DeliverInto, Delivered, Delivery, Error, FlagChange, FlagOperation, Flags, Keywords, MailboxId,
    MailboxName, Mailboxes, NewMessage, SCHEMA, create_account_mailboxes, deliver,
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
pub(crate) const ANNA: AccountId = AccountId(1);
/// The second one.
pub(crate) const BERND: AccountId = AccountId(2);
/// When every test begins.
pub(crate) const START: Timestamp = Timestamp(1_700_000_000_000);

/// Mail at rest in a directory.
pub(crate) struct Node {
    pub(crate) mailboxes: Mailboxes,
    pub(crate) store: Store,
    pub(crate) segments: Segments,
    pub(crate) clock: Clock,
    pub(crate) signals: Signals,
}

impl Node {
    /// Opens what is in `dir`, rows in SQLite.
    pub(crate) fn open(dir: &Path) -> Node {
        let path = dir.join("store.sqlite");
        Node::with(dir, Engine::Sqlite { path })
    }

    /// Opens what is in `dir`, rows in an engine of the test's choice.
    pub(crate) fn with(dir: &Path, engine: Engine) -> Node {
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
    pub(crate) async fn create_account(&self, account: AccountId) {
        self.store
            .write(move |tx| create_account_mailboxes(tx, account, START))
            .await
            .unwrap();
    }

    /// Delivers bytes that exist nowhere: for tests that read none.
    pub(crate) async fn deliver(
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
pub(crate) fn nowhere(number: i64) -> BodyRef {
    BodyRef {
        segment: 9,
        offset: number * 100,
        facts_bytes: 10,
        body_bytes: 50 + number % 7,
    }
}

/// A spool that holds `bytes`.
pub(crate) fn spool(dir: &Path, bytes: &[u8]) -> Spool {
    let limits = SpoolLimits {
        memory_bytes: 1 << 20,
        dir: dir.into(),
    };
    let mut spool = Spool::new(limits);
    spool.push(bytes).unwrap();
    spool
}

/// A mailbox name.
pub(crate) fn name(text: &str) -> MailboxName {
    MailboxName::parse(text).unwrap()
}

/// A fresh node with both accounts.
pub(crate) async fn node() -> (tempfile::TempDir, Node) {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open(dir.path());
    node.create_account(ANNA).await;
    node.create_account(BERND).await;
    (dir, node)
}

/// Messages whose bytes exist nowhere.
pub(crate) fn new_messages(count: usize) -> Vec<NewMessage> {
    (0..count)
        .map(|number| NewMessage {
            body: nowhere(number as i64),
            flags: Flags::NONE,
            keywords: Keywords::default(),
            internal_date: START,
        })
        .collect()
}

/// Appends `count` of them to a mailbox of Anna's.
pub(crate) async fn fill(node: &Node, mailbox: MailboxId, count: usize) {
    for _ in 0..count / 1_000 {
        node.mailboxes
            .append(ANNA, mailbox, new_messages(1_000), None)
            .await
            .unwrap();
    }
    node.mailboxes
        .append(ANNA, mailbox, new_messages(count % 1_000), None)
        .await
        .unwrap();
}

/// A change of \Seen.
pub(crate) fn seen(operation: FlagOperation) -> FlagChange {
    FlagChange {
        operation,
        flags: Flags::SEEN,
        keywords: Keywords::default(),
    }
}

/// The number of a mailbox of Anna's.
pub(crate) async fn at(node: &Node, text: &str) -> MailboxId {
    node.mailboxes
        .status(ANNA, &name(text))
        .await
        .unwrap()
        .mailbox
}
