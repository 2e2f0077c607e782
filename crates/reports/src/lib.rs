//! Reports about TLS and authentication: counts TLS sessions and sends what domains ask to be told
//! (TLS-RPT, RFC 8460), and reads TLS-RPT and DMARC aggregate reports about our own domains into
//! figures. Decides nothing about mail; the node runs `Reporter` and `Inbox`, the CLI reads `figures`.

pub mod compose;
pub mod counts;
pub mod destination;
pub mod figures;
pub mod inbox;
mod outgoing;
pub mod reporter;
mod schema;
pub mod unpack;

pub use counts::TlsCounts;
pub use inbox::{Inbox, InboxParts};
pub use reporter::{Reporter, ReporterParts, ReporterSettings};
pub use schema::SCHEMA;

/// Milliseconds of a day.
pub(crate) const DAY_MS: i64 = 24 * 3600 * 1000;

/// The UTC day of a time, counted from 1970-01-01.
pub(crate) fn day_of(unix_ms: i64) -> i64 {
    unix_ms.div_euclid(DAY_MS)
}
