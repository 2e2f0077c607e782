//! NAMESPACE (RFC 2342): one personal namespace without a prefix; no other users', no shared one.

use crate::imap::reply::Reply;
use crate::imap::wire::Wire;

pub(super) fn run(wire: &mut Wire) -> Reply {
    wire.out()
        .extend_from_slice(b"* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
    Reply::ok("That is all.")
}
