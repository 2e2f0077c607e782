//! What we say we can, which is what we can (RFC 3501 §6.1.1). Pure; the one list of capabilities.

use super::commands::When;
use super::wire::push_number;
use directory::sasl::PlusOffer;

/// Whether the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// It is, and a login can or cannot be bound to it (RFC 5802 §6).
    On(PlusOffer),
    /// It is not; STARTTLS is there.
    Off,
}

/// Before login: what helps to log in, and what a client wants to know before it does.
const ALWAYS: &str = "IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE";

/// After login.
const KNOWN: &str = " NAMESPACE CHILDREN SPECIAL-USE CREATE-SPECIAL-USE LIST-EXTENDED LIST-STATUS \
                     STATUS=SIZE UIDPLUS UNSELECT MOVE MULTIAPPEND ESEARCH CONDSTORE";

const LOGIN: &str = " AUTH=PLAIN AUTH=LOGIN AUTH=SCRAM-SHA-256";

/// Writes the capabilities, separated by spaces. `append_bytes_max` is the largest message APPEND takes.
pub fn write(out: &mut Vec<u8>, when: When, tls: Tls, append_bytes_max: u64) {
    out.extend_from_slice(ALWAYS.as_bytes());
    if when != When::Stranger {
        out.extend_from_slice(KNOWN.as_bytes());
        // RFC 7889 §3: one limit for all mailboxes.
        out.extend_from_slice(b" APPENDLIMIT=");
        push_number(out, append_bytes_max);
        return;
    }
    match tls {
        Tls::On(plus) => {
            out.extend_from_slice(LOGIN.as_bytes());
            if plus == PlusOffer::Offered {
                out.extend_from_slice(b" AUTH=SCRAM-SHA-256-PLUS");
            }
        }
        Tls::Off => out.extend_from_slice(b" STARTTLS LOGINDISABLED"),
    }
}
