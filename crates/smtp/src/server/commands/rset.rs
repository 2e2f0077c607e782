//! RSET (RFC 5321 §4.1.1.5): forgets the transaction, nothing else.

use super::super::session::Session;
use crate::reply::{Reply, Status, Success};

pub(super) fn run(session: &mut Session) -> Reply {
    session.reset();
    Reply::success(Success::Ok, Status::OTHER, "Ok")
}
