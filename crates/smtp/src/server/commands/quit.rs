//! QUIT (RFC 5321 §4.1.1.10): answers and closes; an open transaction is dropped.

use super::super::session::Session;
use crate::reply::{Reply, Status, Success};

pub(super) fn run(session: &Session) -> Reply {
    let host_name = session.host_name();
    Reply::success(
        Success::Closing,
        Status::OTHER,
        format!("{host_name} closes the connection"),
    )
}
