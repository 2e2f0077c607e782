//! The queue over real stores, with a transport that plays what other servers say.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod relaying;
mod support;
mod waiting;
