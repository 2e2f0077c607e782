//! VRFY (RFC 5321 §4.1.1.6, §7.3): never tells whether an address exists; RCPT does, for those who
//! have mail for it.

use crate::reply::{Reply, Status, Success};

pub(super) fn run() -> Reply {
    Reply::success(
        Success::CannotVerify,
        Status::OTHER,
        "Addresses are not verified here; send a message to find out.",
    )
}
