//! Bytes and values of mail: addresses, header editing, message structure, texts of reports.
//! Pure: no I/O, no clock, no randomness. Everything else may use this crate; it uses nobody.

pub mod address;
