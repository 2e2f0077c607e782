//! STLS (RFC 2595 §4): TLS from here on; what was said before is forgotten.

use super::super::session::{Ended, Session, State, Then};
use platform::net::Deadline;

pub(super) async fn run(session: &mut Session) -> Result<Then, Ended> {
    if session.connection.stream.tls().is_some() {
        session.refuse("TLS is active already");
        return Ok(session.count_error());
    }
    session.ok("begin TLS");
    let tls = session.connection.tls.clone();
    let deadline = Deadline::after(session.context.handshake_time_max);
    let started = session
        .connection
        .stream
        .start_tls(&tls, deadline)
        .await
        .map_err(|error| Ended::Handshake(Box::new(error)))?;
    if started.discarded_bytes > 0 {
        tracing::warn!(
            bytes = started.discarded_bytes,
            "pop3.plaintext_after_stls_discarded"
        );
    }
    session.state = State::Authorization { user: None };
    session.watch();
    Ok(Then::GoOn)
}
