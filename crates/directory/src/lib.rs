//! Domains, accounts, addresses, groups, credentials and login: who is here and where mail for an
//! address goes. Holds no mail. `smtp`, `access` and `queue` ask `Directory`; the CLI and later the
//! admin API change things through `admin::Admin`; both read one truth, the store.

pub mod address_block;
pub mod admin;
mod cache;
mod handle;
pub mod limits;
pub mod login;
pub mod names;
pub mod password;
pub mod resolution;
mod rows;
pub mod sasl;
mod schema;
pub mod scram;
pub mod settings;
pub mod state;
#[cfg(test)]
mod testing;

pub use address_block::AddressBlock;
pub use handle::{Directory, Hosting};
pub use login::{Claimed, Credential, Identity, Login, LoginRuling, Pop3Delete, Protocol, Refusal};
pub use names::{AccountId, AddressKey, DomainName, NameError};
pub use resolution::{Delivery, Resolution};
pub use schema::SCHEMA;
pub use settings::Settings;
