//! ENABLE (RFC 5161): switches on what changes the server's answers. Nothing of that kind is offered
//! yet, and §3.1 has unknown names ignored.

use crate::imap::reply::Reply;
use crate::imap::wire::Wire;

pub(super) fn run(wire: &mut Wire, _wanted: &[Box<str>]) -> Reply {
    // Later: CONDSTORE and QRESYNC (RFC 7162).
    wire.out().extend_from_slice(b"* ENABLED\r\n");
    Reply::ok("Nothing of this needs to be enabled.")
}
