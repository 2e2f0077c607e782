//! CAPABILITY (RFC 3501 §6.1.1): what this server can, in this state.

use super::When;
use crate::imap::capability;
use crate::imap::reply::Reply;
use crate::imap::session::Session;

pub(super) fn run(session: &mut Session) -> Reply {
    let when = match session.state.identity() {
        Some(_) => When::Known,
        None => When::Stranger,
    };
    let tls = session.tls_state();
    let append_bytes_max = session.wire.context.settings.append_bytes_max;
    let out = session.wire.out();
    out.extend_from_slice(b"* CAPABILITY ");
    capability::write(out, when, tls, append_bytes_max);
    out.extend_from_slice(b"\r\n");
    Reply::ok("That is all.")
}
