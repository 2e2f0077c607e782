//! Mail in motion: accepting a message (the one durable transaction), its trace, and relaying what
//! is for other servers, with retries and a bounce at the end.
//!
//! Knows no protocol: sessions hand over an `Accept`, the worker hands an `Attempt` to whoever
//! implements `Transport`. Local delivery has no queue: it happens inside the accept transaction.

pub mod accept;
pub mod bounce;
pub mod dispatch;
pub mod envelope;
mod front;
pub mod list;
pub mod manage;
pub mod relay;
pub mod retry;
pub mod schedule;
mod schema;
pub mod trace;
pub mod verify;
pub mod why;
mod work;
pub mod xtext;

pub use accept::{Accept, AcceptError, Queue};
pub use dispatch::{Dispatch, Folder, Hold, Origin, RequireTls, TlsRequiredNo};
pub use envelope::{DeliverTo, DsnOptions, Notify, Recipient, Return, ReversePath};
pub use schema::SCHEMA;
pub use trace::{TraceId, TraceIds};
