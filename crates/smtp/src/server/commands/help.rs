//! HELP (RFC 5321 §4.1.1.8): the list of commands.

use crate::reply::{Reply, Status, Success};

pub(super) fn run() -> Reply {
    Reply::success(
        Success::Help,
        Status::OTHER,
        "EHLO HELO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT\nSee RFC 5321. The \
         answer to EHLO lists what can be used on this connection.",
    )
}
