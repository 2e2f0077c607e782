//! LOGIN (RFC 3501 §6.2.3). Where no login is offered what was sent is not looked at; only whose it was is
//! noted. Who may come in is the login desk's business.

use super::Outcome;
use crate::imap::capability;
use crate::imap::limits;
use crate::imap::reply::{Code, Reply, Status};
use crate::imap::session::{Session, State};
use admission::{Notice, Outcome as Login, Repeated, Unoffered};
use directory::Identity;
use directory::sasl::Mechanism;
use std::sync::Arc;

pub(super) async fn run(session: &mut Session, user: Vec<u8>, password: Vec<u8>) -> Outcome {
    let context = session.wire.context.clone();
    let now = context.clock.now();
    // A name that is no UTF-8 belongs to nobody; it is refused like any other unknown name.
    let user = String::from_utf8_lossy(&user);
    if let Err(barred) = session.offer() {
        let attempt = Unoffered::Password(&user);
        let desk = &context.desk;
        desk.turned_away(&session.visit(), &attempt, now).await;
        return Ok(session.no_login(&barred));
    }
    // LOGIN is PLAIN by another name.
    if !context.settings.mechanisms.contains(&Mechanism::Plain) {
        return Ok(Reply::no(
            Code::Cannot,
            "Please use AUTHENTICATE with one of the mechanisms that CAPABILITY lists.",
        ));
    }
    let outcome = context
        .desk
        .login(&session.visit(), &user, &password, now)
        .await;
    carry_out(session, outcome).await
}

/// Lets the peer in or not; also the end of AUTHENTICATE.
pub(super) async fn carry_out(session: &mut Session, outcome: Login) -> Outcome {
    let reply = match outcome {
        Login::LoggedIn { identity, notice } => return Ok(welcome(session, identity, notice)),
        Login::Refused(ruling) => Reply::from(&ruling),
        Login::Barred(barred) => Reply::from(&barred),
    };
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
fn welcome(session: &mut Session, identity: Identity, notice: Option<Box<Notice>>) -> Reply {
    session.become_state(State::Known(Arc::new(identity)));
    session.watch();
    if let Some(notice) = notice {
        // RFC 3501 §7.1: people see an ALERT, so one a day is enough.
        let code: &[u8] = match notice.repeated {
            Repeated::FirstToday => b"* OK [ALERT] ",
            Repeated::ToldToday => b"* OK ",
        };
        let out = session.wire.out();
        out.extend_from_slice(code);
        out.extend_from_slice(notice.text.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    let mut code = b"CAPABILITY ".to_vec();
    let append_bytes_max = session.wire.context.settings.append_bytes_max;
    capability::write_known(&mut code, append_bytes_max);
    let code = String::from_utf8_lossy(&code).into_owned();
    Reply::ok_with(Code::With(code.into()), "Welcome.")
}
