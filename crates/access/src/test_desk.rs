//! A login desk with its policies over a store, and what it noted, for the test rigs of IMAP and POP3.
//! Tests only.

use admission::{Desk, DeskParts};
use directory::{AccountId, Directory};
use platform::clock::Clock;
use platform::store::{Component, Store, StoreError};
use policy::admin::{Admin, Author, Wanted};
use policy::connections::{self, Connection, Manner};
use policy::setting::{Name, Value};
use policy::{Connections, Findings, LocalTime, Policies, Zone};

/// The tables of a store that has one.
pub(crate) const SCHEMAS: &[Component] = &[
    directory::SCHEMA,
    mailbox::SCHEMA,
    policy::SCHEMA,
    policy::CLIENTS_SCHEMA,
    policy::CONNECTIONS_SCHEMA,
    policy::LEGACY_SCHEMA,
    policy::RULES_SCHEMA,
];

/// A desk and what stands behind it.
pub(crate) struct TestDesk {
    pub(crate) desk: Desk,
    pub(crate) connections: Connections,
    policies: Policies,
    findings: Findings,
    store: Store,
    clock: Clock,
}

impl TestDesk {
    pub(crate) async fn open(store: &Store, directory: &Directory, clock: &Clock) -> Self {
        let policies = Policies::open(store.clone(), clock.clone()).await.unwrap();
        let connections = Connections::new(store.clone());
        let findings = Findings::new(store.clone());
        let desk = Desk::new(DeskParts {
            directory: directory.clone(),
            policies: policies.clone(),
            connections: connections.clone(),
            findings: findings.clone(),
            clock: clock.clone(),
            host_name: "mail.rp.test".into(),
        });
        Self {
            desk,
            connections,
            policies,
            findings,
            store: store.clone(),
            clock: clock.clone(),
        }
    }

    /// Makes one setting of policy, such as `installation cleartext imap observe`; `-` for no item.
    pub(crate) async fn set(&self, setting: &str) {
        let mut words = setting.splitn(4, ' ');
        let mut word = || words.next().unwrap_or_default();
        let admin = Admin::new(self.store.clone());
        let scope = admin.scope(word()).await.unwrap();
        let name = Name::from_word(word()).unwrap();
        let item = word().trim_matches('-').to_owned();
        let wanted = Wanted {
            scope,
            name,
            item,
            value: Value::parse(name, word()).unwrap(),
            expires_at: None,
            consent: None,
            owner: None,
        };
        let author = Author {
            by: "test".into(),
            reason: "a test".into(),
            now: self.clock.now(),
        };
        admin.set(wanted, author).await.unwrap();
        self.policies.refresh().await.unwrap();
    }

    /// Does what a transcript says: `SET scope name item value`, `TIME 2025-03-04T23:59` (in Berlin).
    /// False where it is for others.
    pub(crate) async fn happen(&self, line: &str) -> bool {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "SET" => self.set(rest).await,
            "TIME" => {
                let local: LocalTime = rest.parse().unwrap();
                assert!(self.clock.set(Zone::default().beginning(local)));
            }
            _ => return false,
        }
        true
    }

    /// What a transcript asks about an account: `SEEN outcome encryption` how often, `FOUND measure` how
    /// often, `EXPOSED` whether. The line as it should be; `None` where it is for others.
    pub(crate) async fn told(&self, line: &str, account: AccountId) -> Option<String> {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["SEEN", outcome, encryption, _] => {
                let seen = self.seen(account).await;
                let fits = |manner: &Manner| {
                    manner.outcome.word() == outcome && manner.encryption.word() == encryption
                };
                let rows = seen.iter().filter(|row| fits(&row.manner));
                let times: u64 = rows.map(|row| row.seen).sum();
                Some(format!("SEEN {outcome} {encryption} {times}"))
            }
            ["FOUND", measure, _] => {
                let found = self.found().await;
                let of = found.iter().filter(|(word, _, _)| word == measure);
                let times: u64 = of.map(|(_, _, seen)| *seen).sum();
                Some(format!("FOUND {measure} {times}"))
            }
            ["EXPOSED", _] => match self.is_exposed(account).await {
                true => Some("EXPOSED yes".into()),
                false => Some("EXPOSED no".into()),
            },
            _ => None,
        }
    }

    /// How an account connected.
    pub(crate) async fn seen(&self, account: AccountId) -> Vec<Connection> {
        self.connections.flush().await.unwrap();
        let list = self.store.read(move |tx| connections::list(tx, account));
        list.await.map_err(|error: StoreError| error).unwrap()
    }

    /// What measures found: measure, detail, how often.
    pub(crate) async fn found(&self) -> Vec<(String, String, u64)> {
        self.findings.flush().await.unwrap();
        let list = self.store.read(|tx| policy::findings::list(tx, None, 100));
        let found = list.await.map_err(|error: StoreError| error).unwrap();
        found
            .into_iter()
            .map(|(_, found)| (found.measure.to_string(), found.detail, found.seen))
            .collect()
    }

    /// Whether the account's password came in clear.
    pub(crate) async fn is_exposed(&self, account: AccountId) -> bool {
        self.connections.flush().await.unwrap();
        let exposed = self.store.read(move |tx| policy::exposed::of(tx, account));
        let exposed = exposed.await.map_err(|error: StoreError| error).unwrap();
        exposed.is_some()
    }
}
