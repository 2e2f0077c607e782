//! What a provider decides about sending and receiving: scoped settings, stages, findings, identities, and the
//! pure rulings over them. Carries nothing out; `smtp`, `routing` and `queue` ask it.

pub mod admin;
pub mod clients;
pub mod connections;
pub mod dns_check;
pub mod exposed;
pub mod findings;
pub mod gate;
pub mod groups;
mod handle;
pub mod identities;
pub mod impact;
pub mod legacy;
mod local_time;
pub mod measure;
pub mod model;
pub mod nodes;
pub mod ownership;
pub mod regression;
pub mod relay_source;
mod rows;
pub mod rules;
pub mod samples;
mod schema;
pub mod setting;
mod snapshot;
pub mod spf;
pub mod spoofed;
#[cfg(test)]
mod testing;
pub mod usage;

pub use clients::rows::SCHEMA as CLIENTS_SCHEMA;
pub use connections::{Connections, SCHEMA as CONNECTIONS_SCHEMA};
pub use findings::Findings;
pub use handle::Policies;
pub use legacy::SCHEMA as LEGACY_SCHEMA;
pub use measure::{
    DatedStep, Door, Encryption, LocalTime, Measure, Schedule, Service, Step, Timeline, Zone,
};
pub use model::{
    Class, DaneMode, Decided, Delay, DestinationRule, Direction, InboundTls, Language, Legacy,
    LegacyAccess, LegacyClear, Limits, LowestTls, OldVersions, OutboundDemand, OutboundTls, Pool,
    Scope, SendAs, Sender, Stage, TlsLevel,
};
pub use rows::{
    Past, Setting, domains_of, remove_account, remove_address, remove_domain, remove_group,
};
pub use rules::SCHEMA as RULES_SCHEMA;
pub use schema::SCHEMA;
pub use snapshot::{Snapshot, own_help_url};
pub use spoofed::{Spoofed, SpoofedDemand};
pub use usage::Usage;
