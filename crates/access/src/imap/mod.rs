//! IMAP4rev1 (RFC 3501).

pub mod grammar;
pub mod limits;
