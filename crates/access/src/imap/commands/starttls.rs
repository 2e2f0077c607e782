//! STARTTLS (RFC 3501 §6.2.1): everything said in clear is forgotten, pipelined bytes included.

use crate::imap::reply::Reply;
use crate::imap::session::{Session, State, Stranger};
use crate::imap::wire::Ended;
use platform::net::{Deadline, Event, StreamError};

pub(super) async fn run(session: &mut Session) -> Result<Option<Reply>, Ended> {
    if session.wire.connection.stream.tls().is_some() {
        return Ok(Some(Reply::bad("The connection is encrypted already.")));
    }
    let connection = &mut session.wire.connection;
    let tls = connection.tls.clone();
    Reply::ok("Begin TLS now.").write(connection.stream.output(), &session.wire.tag);
    let deadline = Deadline::after(connection.spec.handshake_timeout);
    let started = match connection.stream.start_tls(&tls, deadline).await {
        Ok(started) => started,
        Err(error) => {
            connection.report(&Event::of_handshake(&error));
            return Err(Ended::Stream(StreamError::Closed));
        }
    };
    if started.discarded_bytes > 0 {
        tracing::info!(
            target: "imap",
            peer = %session.wire.connection.stream.peer().ip(),
            bytes = started.discarded_bytes,
            "plaintext behind STARTTLS thrown away"
        );
    }
    session.become_state(State::Stranger(Stranger::new()));
    session.told = None;
    session.watch();
    Ok(None)
}
