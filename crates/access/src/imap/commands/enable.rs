//! ENABLE (RFC 5161): switches on what changes the server's answers. That is CONDSTORE (RFC 7162 §3.1);
//! §3.1 of RFC 5161 has unknown names ignored.

use crate::imap::reply::Reply;
use crate::imap::wire::{Condstore, Wire};

pub(super) fn run(wire: &mut Wire, wanted: &[Box<str>]) -> Reply {
    if !wanted.iter().any(|name| &**name == "CONDSTORE") {
        wire.out().extend_from_slice(b"* ENABLED\r\n");
        return Reply::ok("Nothing of this needs to be enabled.");
    }
    wire.condstore = Condstore::On;
    wire.out().extend_from_slice(b"* ENABLED CONDSTORE\r\n");
    Reply::ok("Enabled.")
}
