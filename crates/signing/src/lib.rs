//! Signs what leaves: DKIM keys and signatures, ARC seals for forwards, SRS sender rewriting. Sends nothing.
//! `queue` asks `Signing` for the fields in front of an outgoing message; the CLI changes keys through `Keyring`.

mod arc;
pub mod canonical;
mod error;
mod field_choice;
#[doc(hidden)]
pub mod fuzz;
mod key;
pub mod keyring;
pub mod lifecycle;
mod message;
mod proof;
pub mod record;
mod rows;
mod schema;
mod secret;
mod selector;
mod service;
mod signature;
pub mod srs;
mod verify;

pub use error::SigningError;
pub use key::{Algorithm, RsaSize};
pub use keyring::Keyring;
pub use proof::{Claimed, Evidence, Proof};
pub use rows::KeyRow;
pub use schema::SCHEMA;
pub use secret::{InstallationSecret, SECRET_BYTES};
pub use selector::Naming;
pub use service::{ReceivedFrom, Signing, SigningParts};
