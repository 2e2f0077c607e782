//! NOOP (RFC 5321 §4.1.1.9): does nothing; an argument is ignored.

use crate::reply::{Reply, Status, Success};

pub(super) fn run() -> Reply {
    Reply::success(Success::Ok, Status::OTHER, "Ok")
}
