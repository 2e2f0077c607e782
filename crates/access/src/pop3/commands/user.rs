//! USER (RFC 1939 §7): a name, kept for PASS. Answered alike for every name.

use super::super::session::{Session, State};
use super::TLS_FIRST;

pub(super) fn run(session: &mut Session, name: String) {
    if session.connection.stream.tls().is_none() {
        session.refuse(TLS_FIRST);
        return;
    }
    session.state = State::Authorization { user: Some(name) };
    session.ok("now the password");
}
