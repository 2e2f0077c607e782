//! The outside world behind small seams: time, randomness, files, sockets, the store.
//! The only crate that touches them; every other one takes what it needs as an argument.

pub mod clock;
pub mod dns;
pub mod files;
pub mod https;
pub mod net;
pub mod random;
pub mod segments;
pub mod signals;
pub mod spool;
pub mod store;
pub mod tls;
