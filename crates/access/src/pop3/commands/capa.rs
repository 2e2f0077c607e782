//! CAPA (RFC 2449 §5): what this session offers now.

use super::super::session::{Session, State};

pub(super) fn run(session: &mut Session) {
    let encrypted = session.connection.stream.tls().is_some();
    let before_login = matches!(session.state, State::Authorization { .. });
    let mut text = String::from(
        "Capability list follows\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n\
         UTF8 USER\r\n",
    );
    if before_login && encrypted {
        text.push_str("USER\r\nSASL ");
        text.push_str(&super::auth::offered(session));
        text.push_str("\r\n");
    }
    if before_login && !encrypted {
        text.push_str("STLS\r\n");
    }
    text.push_str("IMPLEMENTATION Rohrpost\r\n.");
    session.ok(&text);
}
