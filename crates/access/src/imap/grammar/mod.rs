//! The grammar of IMAP4rev1 (RFC 3501 §9) with the extensions we offer, over bytes.
//! Pure: no sockets, no clock, no names of accounts or mailboxes that exist. The session feeds it what
//! has arrived; fuzz targets and tests call the same functions.
//!
//! `Assembler::step` says whether a command is complete. Literals of APPEND are never part of what
//! it collects: it hands over the head of the command and the session streams the literal itself.

pub mod append;
pub mod command;
pub mod cursor;
pub mod date;
pub mod feed;
pub mod fetch;
pub mod frame;
pub mod list;
pub mod search;
pub mod set;

pub use command::{Command, Request};
pub use frame::{Assembler, Bounds, Outcome, Sync, Then};

/// What was wrong with a command, for the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// A full sentence: what was read and what was expected.
    pub text: &'static str,
}

impl Fault {
    /// A fault with its sentence.
    pub const fn new(text: &'static str) -> Self {
        Self { text }
    }
}

/// The result of every parser in here.
pub type Parsed<T> = Result<T, Fault>;

#[cfg(test)]
pub(super) mod tests;
