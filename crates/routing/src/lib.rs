//! Where a message goes and how securely: MX routes, DANE, MTA-STS, the TLS duty of one hop. Opens no SMTP
//! connection; the SMTP client asks `Router` before each attempt and tells `Seen` and the TLS reports' observer
//! what came of it.

mod destination;
pub mod duty;
mod host;
pub mod idn;
mod mx;
mod router;
mod schema;
pub mod seen;
pub mod sts;
#[cfg(test)]
mod testing;
pub mod tlsrpt;

pub use duty::{AppliedPolicy, Cause, Demander, Duty, Floor, RequireTls, TlsRequiredNo, Unusable};
pub use router::{
    Explained, ExplainedHost, Hop, Refusal, Request, Route, Router, RouterParts, RouterSettings,
};
pub use schema::SCHEMA;
