//! Bytes and values of mail: addresses, header editing, message structure, texts of reports.
//! Pure: no I/O, no clock, no randomness. Everything else may use this crate; it uses nobody.

pub mod address;
pub mod auto_reply;
pub mod csv;
pub mod date;
pub mod dmarc_report;
pub mod dsn;
pub mod header;
pub mod header_edit;
pub mod imap_text;
pub mod language;
pub mod message;
pub mod received;
pub mod rfc3339;
pub mod search;
pub mod section;
pub mod tls_report;
pub mod transfer;
pub mod utf7;
