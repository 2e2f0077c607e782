//! Signs what leaves: DKIM keys and signatures, ARC seals for forwards, SRS sender rewriting. Sends nothing.
//! `queue` asks `Signing` for the fields in front of an outgoing message; the CLI changes keys through `Keyring`.

mod error;
mod key;
mod schema;
mod secret;
mod service;
pub mod srs;

pub use error::SigningError;
pub use key::{Algorithm, RsaSize};
pub use schema::SCHEMA;
pub use secret::{InstallationSecret, SECRET_BYTES};
pub use service::{ReceivedFrom, Signing, SigningParts};
