//! CHECK (RFC 3501 §6.4.1): everything is durable when it is acknowledged, so there is nothing to do.

use crate::imap::reply::Reply;

pub(super) fn run() -> Reply {
    Reply::ok("Everything is stored.")
}
