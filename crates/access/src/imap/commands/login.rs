//! LOGIN (RFC 3501 §6.2.3). Before TLS what was sent is not even looked at.

use super::{Outcome, When};
use crate::imap::capability;
use crate::imap::limits;
use crate::imap::reply::{Code, Reply, Status};
use crate::imap::session::{Session, State, privacy_required};
use directory::{Identity, Login, LoginRuling, Protocol};
use std::sync::Arc;

pub(super) async fn run(session: &mut Session, user: Vec<u8>, password: Vec<u8>) -> Outcome {
    if session.tls_state() == capability::Tls::Off {
        return Ok(privacy_required());
    }
    let context = session.wire.context.clone();
    // A name that is no UTF-8 belongs to nobody; it is refused like any other unknown name.
    let user = String::from_utf8_lossy(&user);
    let ruling = context
        .directory
        .login(Login {
            user: &user,
            password: &password,
            protocol: Protocol::Imap,
            peer: session.wire.connection.stream.peer().ip(),
            now: context.clock.now(),
        })
        .await;
    carry_out(session, ruling).await
}

/// Lets the peer in or not; also the end of AUTHENTICATE.
pub(super) async fn carry_out(session: &mut Session, ruling: LoginRuling) -> Outcome {
    let stream = &session.wire.connection.stream;
    directory::login::record(&ruling, Protocol::Imap, stream.peer().ip(), stream.tls());
    let reply = Reply::from(&ruling);
    if let LoginRuling::Accepted(identity) = ruling {
        return Ok(welcome(session, identity));
    }
    let State::Stranger(stranger) = &mut session.state else {
        return Ok(reply);
    };
    stranger.failures += 1;
    let often = stranger.failures >= limits::LOGIN_FAILURES_MAX;
    if often && reply.status() == Status::No {
        let tag = session.wire.tag.clone();
        reply.write(session.wire.out(), &tag);
        return Err(session.wire.bye("Too many refused logins; goodbye.").await);
    }
    Ok(reply)
}

/// RFC 3501 §6.2.2 and §7.2.1: what is possible now is told at once, which saves a round trip.
fn welcome(session: &mut Session, identity: Identity) -> Reply {
    session.become_state(State::Known(Arc::new(identity)));
    let mut code = b"CAPABILITY ".to_vec();
    let append_bytes_max = session.wire.context.settings.append_bytes_max;
    capability::write(
        &mut code,
        When::Known,
        session.tls_state(),
        append_bytes_max,
    );
    let code = String::from_utf8_lossy(&code).into_owned();
    Reply::ok_with(Code::With(code.into()), "Welcome.")
}
