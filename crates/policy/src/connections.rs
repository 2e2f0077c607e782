//! How accounts connect: service, port, encryption, door, TLS, mail program, what came of it, how often,
//! first and last day. Collected in memory, written by a chore; no row of an account holds an address.
//! Addresses are kept apart for at most seven days, only to tell whose failed handshake it was. Sessions
//! note, and status pages, previews and the CLI read.

mod live;
mod rows;
mod schema;
mod settle;
mod status;
#[cfg(test)]
mod tests;
mod waiting;

pub use live::{Event, Live};
pub use rows::{Stranger, insecure, list, strangers};
pub(crate) use rows::{
    belief_number, belief_of, connection, is_recognised, manner, remove_account, tls_number, tls_of,
};
pub use schema::SCHEMA;
pub use status::{ActionNeeded, Demanded, Device, STATUS_DAYS, Status, status};

use crate::measure::{Door, Encryption, Service};
use directory::AccountId;
use platform::clock::Timestamp;
use platform::store::{Store, StoreError, Tx};
use platform::tls::TlsVersion;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use waiting::Waiting;

/// Longest key of a mail program that is kept, in bytes; what is longer is cut.
pub const CLIENT_BYTES_MAX: usize = 128;
/// Longest name of a cipher suite that is kept, in bytes; what is longer is cut.
pub const CIPHER_BYTES_MAX: usize = 64;
/// Rows of one account that are kept for what it surely did; the oldest goes for a new one.
pub const PROVED_PER_ACCOUNT_MAX: usize = 200;
/// Rows of one account that are kept for what anybody may have done who knows its name.
pub const CLAIMED_PER_ACCOUNT_MAX: usize = 50;
/// Addresses that are remembered per account; the oldest goes for a new one.
pub const ORIGINS_PER_ACCOUNT_MAX: usize = 256;
/// How long it is remembered where an account came from.
pub const ORIGINS_KEPT: Duration = Duration::from_secs(7 * DAY_SECONDS);
/// Connections that wait in memory for the chore; while there are so many, new ones are counted as lost.
pub const WAITING_MAX: usize = 50_000;
/// Different connections of one account that wait in memory for the chore.
pub const WAITING_PER_ACCOUNT_MAX: usize = 64;
/// Different mail programs per day among failures without account; the rest is counted together.
pub const STRANGERS_PER_DAY_MAX: usize = 2_000;
/// Rows written in one transaction.
const WRITTEN_AT_ONCE: usize = 500;
/// Accounts whose old rows are removed in one transaction.
const FORGOTTEN_AT_ONCE: i64 = 5_000;

const DAY_SECONDS: u64 = 24 * 3600;
const DAY_MS: i64 = 24 * 3600 * 1000;

/// What came of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The password was right.
    LoggedIn,
    /// A measure refused the login before the password was looked at.
    Refused,
    /// The password was wrong.
    WrongPassword,
    /// A password came in clear where that is refused; nobody looked whether it was right.
    PasswordInClear,
    /// There was no TLS handshake.
    HandshakeFailed,
    /// TLS where none is spoken yet, or the other way round: the wrong connection security for the port.
    WrongMode,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 6] = [
        Self::LoggedIn,
        Self::Refused,
        Self::WrongPassword,
        Self::PasswordInClear,
        Self::HandshakeFailed,
        Self::WrongMode,
    ];

    /// The word in the store, in CSV and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::LoggedIn => "logged-in",
            Self::Refused => "refused",
            Self::WrongPassword => "wrong-password",
            Self::PasswordInClear => "password-in-clear",
            Self::HandshakeFailed => "handshake-failed",
            Self::WrongMode => "wrong-mode",
        }
    }

    /// The outcome with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.word() == word)
    }
}

/// A connection in which an account was named.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Who was named.
    pub account: AccountId,
    /// How it came and what became of it.
    pub contact: Contact<'a>,
}

/// A connection, whoever it was.
#[derive(Debug, Clone, Copy)]
pub struct Contact<'a> {
    /// What was spoken.
    pub service: Service,
    /// Our port.
    pub port: u16,
    /// How it was encrypted.
    pub encryption: Encryption,
    /// By which door it came.
    pub door: Door,
    /// The TLS session's version and suite (its IANA name). Of a failed handshake: the highest version the
    /// client offered, where that is known, and an empty suite.
    pub tls: Option<(TlsVersion, &'a str)>,
    /// The key of the mail program (`clients::Recognised::key`); empty where nothing is known.
    pub client: &'a str,
    /// What came of it.
    pub outcome: Outcome,
    /// Where it came from. Only to find out whose it was; kept for seven days at most.
    pub peer: IpAddr,
    /// When.
    pub now: Timestamp,
}

/// How a connection was made and what came of it: what rows of an account differ in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Manner {
    /// What was spoken.
    pub service: Service,
    /// Our port.
    pub port: u16,
    /// How it was encrypted.
    pub encryption: Encryption,
    /// By which door it came.
    pub door: Door,
    /// TLS version; `None` without TLS and where it is not known.
    pub tls: Option<TlsVersion>,
    /// TLS suite; empty without TLS.
    pub cipher: Box<str>,
    /// The key of the mail program; empty where nothing is known.
    pub client: Box<str>,
    /// What came of it.
    pub outcome: Outcome,
}

impl Manner {
    /// Whether others could have read along: in clear, or with a TLS version that is no longer safe.
    pub fn is_insecure(&self) -> bool {
        match self.tls {
            Some(version) => version < TlsVersion::V1_2,
            None => self.encryption == Encryption::Clear,
        }
    }

    /// Whether it was a login nobody could read along.
    pub fn is_secure_login(&self) -> bool {
        self.outcome == Outcome::LoggedIn && !self.is_insecure()
    }
}

/// Whether an account itself did something, or only somebody who knows its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Belief {
    /// The account was named by whoever came; nothing else speaks for it.
    Claimed,
    /// The password was right, or the account had logged in from there in the last seven days,
    /// or in just this way before and in no better one since.
    Proved,
}

/// One row: how an account connected, added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Who.
    pub account: AccountId,
    /// How.
    pub manner: Manner,
    /// Whether it was the account itself.
    pub belief: Belief,
    /// Whether the same mail program has logged in securely at the same service since.
    pub settled: bool,
    /// How often since the first day.
    pub seen: u64,
    /// First day, in days since 1970 (UTC).
    pub first_day: i64,
    /// Last day, in days since 1970 (UTC).
    pub last_day: i64,
}

/// Collects connections. Cheap to clone; all clones share one memory.
#[derive(Clone)]
pub struct Connections {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    waiting: Mutex<Waiting>,
}

impl Connections {
    /// Connections that end up in `store`.
    pub fn new(store: Store) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                waiting: Mutex::default(),
            }),
        }
    }

    /// Notes a connection in which an account was named. Costs no store access.
    pub fn note(&self, seen: &Seen<'_>) {
        self.waiting().note(seen);
    }

    /// The mail program said after its login who it is: the login noted as `before` counts as `after` instead.
    /// Costs no store access.
    pub fn recognised(&self, before: &Seen<'_>, after: &Seen<'_>) {
        let mut waiting = self.waiting();
        waiting.take_back(before);
        waiting.note(after);
    }

    /// Notes a failure before anybody was named (`HandshakeFailed`, `WrongMode`). It becomes a row of an
    /// account where exactly one logged in from that address in the last seven days; otherwise it is only
    /// counted. Costs no store access.
    pub fn note_stranger(&self, contact: &Contact<'_>) {
        self.waiting().note_stranger(contact);
    }

    /// What an account does from now on, as it happens on this node; for a page that turns green. What a
    /// reader is too slow for is skipped.
    pub fn watch(&self, account: AccountId) -> Live {
        self.waiting().watch(account)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        let held = self.inner.waiting.lock();
        held.unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Writes what waits. Called by a chore and before a node stops.
    ///
    /// # Errors
    /// Those of the store; what was not written goes on waiting.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let (mut left, lost) = self.waiting().take();
        if lost > 0 {
            tracing::warn!(lost, "connections.lost_for_want_of_memory");
        }
        while !left.is_empty() {
            let rest = left.split_off(left.len().min(WRITTEN_AT_ONCE));
            let batch = Arc::new(std::mem::replace(&mut left, rest));
            let parts = batch.clone();
            let written = self
                .inner
                .store
                .write(move |tx: &mut dyn Tx| parts.iter().try_for_each(|part| rows::put(tx, part)))
                .await;
            if let Err(error) = written {
                let mut waiting = self.waiting();
                for part in batch.iter().cloned().chain(left) {
                    waiting.put_back(part);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Removes rows whose last day is more than `kept` ago, and addresses after seven days. For a chore,
    /// now and then.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn forget(&self, kept: Duration, now: Timestamp) -> Result<(), StoreError> {
        let store = &self.inner.store;
        let before = rows::first_kept(kept, now);
        store
            .write(move |tx: &mut dyn Tx| rows::forget_rest(tx, before, now))
            .await?;
        // In steps: nobody else can write meanwhile.
        let last = store.read(rows::last_account).await?;
        let mut first = 0;
        while first <= last {
            let end = first + FORGOTTEN_AT_ONCE;
            store
                .write(move |tx: &mut dyn Tx| rows::forget_connections(tx, first, end, before))
                .await?;
            first = end;
        }
        Ok(())
    }
}

/// The day of `at`, counted from 1970-01-01 (UTC).
pub(crate) fn day(at: Timestamp) -> i64 {
    at.0.div_euclid(DAY_MS)
}

/// The first day of a window of `days` that ends today.
pub(crate) fn window(days: u32, now: Timestamp) -> i64 {
    day(now) - i64::from(days.max(1)) + 1
}
