//! What a message is made of: one streaming pass yields `Facts`, which answer ENVELOPE, BODYSTRUCTURE
//! and section requests later without reading the message again. Keeps no message bytes but the few
//! header values IMAP needs; decodes nothing; bounded in memory and linear in time on any input.

mod codec;
mod facts;
mod fields;
mod limits;
mod mime;
mod scanner;

pub use codec::FactsError;
pub use facts::{Disposition, Envelope, Facts, Marks, Part, PartKind};
pub use limits::{DEPTH_MAX, Limits};
pub use scanner::Scanner;

#[cfg(test)]
mod tests;
