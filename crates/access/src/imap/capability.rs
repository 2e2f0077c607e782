//! What we say we can, which is what we can (RFC 3501 §6.1.1). Pure; the one list of capabilities.

use super::wire::push_number;
use directory::sasl::Mechanism;

/// Whether STARTTLS is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartTls {
    /// The connection is in clear.
    Offered,
    /// It is encrypted.
    Done,
}

/// What depends on the connection and on policy.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Whether STARTTLS is there.
    pub starttls: StartTls,
    /// How one can log in; `None` where every login would be refused.
    pub login: Option<Vec<Mechanism>>,
}

/// Before login: what helps to log in, and what a client wants to know before it does.
const ALWAYS: &str = "IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE";

/// After login.
const KNOWN: &str = " NAMESPACE CHILDREN SPECIAL-USE CREATE-SPECIAL-USE LIST-EXTENDED LIST-STATUS \
                     STATUS=SIZE UIDPLUS UNSELECT MOVE MULTIAPPEND ESEARCH CONDSTORE";

/// Writes what there is before login, separated by spaces.
pub fn write_stranger(out: &mut Vec<u8>, offer: &Offer) {
    out.extend_from_slice(ALWAYS.as_bytes());
    if offer.starttls == StartTls::Offered {
        out.extend_from_slice(b" STARTTLS");
    }
    let mechanisms = offer.login.as_deref().unwrap_or_default();
    // The command LOGIN is PLAIN by another name.
    if !mechanisms.contains(&Mechanism::Plain) {
        out.extend_from_slice(b" LOGINDISABLED");
    }
    for mechanism in mechanisms {
        out.extend_from_slice(b" AUTH=");
        out.extend_from_slice(mechanism.name().as_bytes());
    }
}

/// Writes what there is after login. `append_bytes_max` is the largest message APPEND takes.
pub fn write_known(out: &mut Vec<u8>, append_bytes_max: u64) {
    out.extend_from_slice(ALWAYS.as_bytes());
    out.extend_from_slice(KNOWN.as_bytes());
    // RFC 7889 §3: one limit for all mailboxes.
    out.extend_from_slice(b" APPENDLIMIT=");
    push_number(out, append_bytes_max);
}
