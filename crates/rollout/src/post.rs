//! The seam to whoever carries letters: the server's queue in a running node, a list in tests. Says what a
//! letter is and what became of it; sends nothing itself.

use formats::language::Language;
use platform::clock::Timestamp;
use std::future::Future;
use std::pin::Pin;

/// Names one letter for good: handing the same name over twice sends one letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub i64);

/// Which kind of mail a letter is, which decides about its fields and its pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// About the reader's own account: `Auto-Submitted`, no unsubscribing.
    Notice,
    /// To everybody of an audience: `List-Unsubscribe`, the pool of mass mail.
    Newsletter,
}

/// Where one click ends the newsletter (RFC 8058 §3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsubscribe {
    /// `https`, with an opaque token and no name of an account.
    pub url: String,
}

/// A letter ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its name.
    pub token: Token,
    /// The sender's address, as configured; `None`: postmaster of the host.
    pub from: Option<String>,
    /// What stands beside that address; empty for nothing.
    pub from_name: String,
    /// The reader's address.
    pub to: String,
    /// Subject, one line.
    pub subject: String,
    /// Text, lines ending with LF.
    pub text: String,
    /// The language the text begins with.
    pub language: Language,
    /// What kind of mail it is.
    pub stream: Stream,
    /// Of the newsletter only.
    pub unsubscribe: Option<Unsubscribe>,
    /// The customer group whose pool and share it uses; `None` for the installation's.
    pub group: Option<String>,
}

/// A letter was taken over, durably.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posted {
    /// When, by the node's clock; of the first time where it was handed over twice.
    pub at: Timestamp,
}

/// Why a letter was not taken over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// It never will be.
    #[error("{0}")]
    Impossible(String),
    /// It may be later.
    #[error("{0}")]
    Later(String),
}

/// What became of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It waits, or is tried again; the last reply.
    Queued(String),
    /// It lies in a mailbox here.
    Delivered,
    /// Another server took it over; its reply.
    Relayed(String),
    /// It did not arrive; why.
    Failed(String),
}

/// A future of a post.
pub type Carried<'a, T> = Pin<Box<dyn Future<Output = Result<T, PostError>> + Send + 'a>>;

/// Carries letters.
pub trait Post: Send + Sync {
    /// A name that was never given before.
    fn token(&self) -> Token;

    /// Takes a letter over; durable when it returns. A token that was taken over before changes nothing.
    fn send<'a>(&'a self, letter: Letter) -> Carried<'a, Posted>;

    /// What became of a letter and when; `None` where it was never taken over, or nobody knows any more.
    fn fate<'a>(&'a self, token: Token) -> Carried<'a, Option<(Fate, Timestamp)>>;
}
