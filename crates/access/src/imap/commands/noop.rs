//! NOOP (RFC 3501 §6.1.2): does nothing; what changed is told before its answer.

use crate::imap::reply::Reply;

pub(super) fn run() -> Reply {
    Reply::ok("Done.")
}
