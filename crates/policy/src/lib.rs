//! What a provider decides about sending and receiving: scoped settings, stages, findings, identities, and the
//! pure rulings over them. Carries nothing out; `smtp`, `routing` and `queue` ask it.

pub mod findings;
mod handle;
pub mod model;
pub mod ownership;
mod schema;
mod snapshot;

pub use findings::{Findings, Measure};
pub use handle::Policies;
pub use model::{
    Class, DaneMode, Decided, Delay, DestinationRule, Direction, InboundTls, Language, Limits,
    OutboundTls, Pool, Scope, SendAs, Sender, Stage, TlsLevel,
};
pub use schema::SCHEMA;
pub use snapshot::Snapshot;
