//! CAPABILITY (RFC 3501 §6.1.1): what this server can, in this state.

use crate::imap::capability;
use crate::imap::reply::Reply;
use crate::imap::session::Session;

pub(super) fn run(session: &mut Session) -> Reply {
    let mut line = b"* CAPABILITY ".to_vec();
    match session.state.identity() {
        Some(_) => {
            let append_bytes_max = session.wire.context.settings.append_bytes_max;
            capability::write_known(&mut line, append_bytes_max);
        }
        None => capability::write_stranger(&mut line, &session.capabilities()),
    }
    line.extend_from_slice(b"\r\n");
    session.wire.out().append(&mut line);
    Reply::ok("That is all.")
}
