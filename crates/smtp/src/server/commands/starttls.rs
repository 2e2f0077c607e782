//! STARTTLS (RFC 3207): answers in clear, throws away whatever came in clear behind the command, does
//! the handshake, and forgets everything the client said before it.

use super::super::session::{End, Outcome, Session};
use super::super::state::State;
use crate::reply::{Permanent, Reply, Status, Success};
use std::time::Duration;

/// Two round trips and the work of a slow machine.
const HANDSHAKE: Duration = Duration::from_secs(60);

pub(super) async fn run(session: &mut Session) -> Outcome {
    if session.connection.stream.tls().is_some() {
        return Ok(Some(Reply::permanent(
            Permanent::BadSequence,
            Status::SEQUENCE,
            "TLS is active already.",
        )));
    }
    let tls = session.connection.tls.clone();
    session.gather(&Reply::success(
        Success::Ready,
        Status::OTHER,
        "Ready to start TLS",
    ));
    let deadline = session.deadline(HANDSHAKE);
    let started = session
        .connection
        .stream
        .start_tls(&tls, deadline)
        .await
        .map_err(|error| End::Tls(Box::new(error)))?;
    if started.discarded_bytes > 0 {
        tracing::warn!(
            role = session.role.name(),
            discarded_bytes = started.discarded_bytes,
            "smtp plaintext after STARTTLS was thrown away"
        );
    }
    // RFC 3207 §4.2: all knowledge from before is discarded.
    session.login = None;
    session.told = None;
    session.enter(State::Connected);
    session.watch();
    Ok(None)
}
