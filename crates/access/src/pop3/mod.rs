//! POP3 (RFC 1939): a maildrop locked as a snapshot at login, fetched, and emptied at QUIT.
//! Nothing is removed without QUIT. `serve` runs one connection; it stores nothing of its own.

mod commands;
pub mod grammar;
pub mod limits;
mod lock;
mod session;

pub use lock::MaildropLocks;
pub use session::{Pop3Context, serve};

#[cfg(test)]
mod tests;
