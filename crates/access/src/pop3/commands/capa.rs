//! CAPA (RFC 2449 §5): what this session offers now.

use super::super::session::{Session, State};

pub(super) fn run(session: &mut Session) {
    let encrypted = session.connection.stream.tls().is_some();
    let login = session.offer().is_ok();
    let before_login = matches!(session.state, State::Authorization { .. });
    // RFC 2449 §6.7: EXPIRE NEVER says that nothing is removed that the client did not remove.
    let mut text = String::from(
        "Capability list follows\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n\
         EXPIRE NEVER\r\nUTF8 USER\r\n",
    );
    // RFC 2449 §5: what is announced before login is announced after it too.
    if login {
        if super::password_is_offered(session) {
            text.push_str("USER\r\n");
        }
        text.push_str("SASL ");
        text.push_str(&super::auth::offered(session));
        text.push_str("\r\n");
    }
    if before_login && !encrypted {
        text.push_str("STLS\r\n");
    }
    text.push_str("IMPLEMENTATION Rohrpost\r\n.");
    session.ok(&text);
}
