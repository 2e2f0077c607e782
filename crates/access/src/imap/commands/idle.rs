//! IDLE (RFC 2177): tells changes as they happen until the peer says DONE. Holds no buffer and no
//! database handle while nothing happens.

use super::Outcome;
use crate::imap::limits;
use crate::imap::reply::Reply;
use crate::imap::selected::Expunges;
use crate::imap::session::{Session, State};
use crate::imap::wire::Ended;
use admission::Barred;
use platform::net::Deadline;

/// What ended a wait.
enum Woken {
    /// The peer sent something or is gone.
    Peer,
    /// Something in the account may have changed.
    Change,
    /// The server wants to stop.
    Shutdown,
    /// Policy no longer lets in who came this way.
    Withdrawn(Barred),
}

pub(super) async fn run(session: &mut Session) -> Outcome {
    session
        .wire
        .out()
        .extend_from_slice(b"+ Idling; say DONE to go on.\r\n");
    // RFC 2177 §3: a client renews IDLE every 29 minutes, or is taken for gone.
    let deadline = Deadline::after(limits::AUTOLOGOUT);
    loop {
        session.announce(Expunges::Allowed).await?;
        if let State::Selected(selected) = &session.state
            && selected.is_deleted()
        {
            let text = "The selected mailbox was deleted; please connect again.";
            return Err(session.wire.bye(text).await);
        }
        session.wire.flush().await?;
        match wait(session, deadline).await? {
            Woken::Change => {}
            Woken::Peer => {
                if let Some(reply) = done(session, deadline).await? {
                    return Ok(reply);
                }
            }
            Woken::Withdrawn(barred) => return Err(session.wire.bye(barred.text()).await),
            Woken::Shutdown => {
                let text = "The server is restarting; please connect again.";
                return Err(session.wire.bye(text).await);
            }
        }
    }
}

async fn wait(session: &mut Session, deadline: Deadline) -> Result<Woken, Ended> {
    let Session { wire, state, .. } = session;
    let readable = wire.connection.stream.wait_readable(deadline);
    let State::Selected(selected) = state else {
        tokio::select! {
            readable = readable => readable?,
            () = wire.connection.shutdown.requested() => return Ok(Woken::Shutdown),
            barred = wire.standing.withdrawn() => return Ok(Woken::Withdrawn(barred)),
        }
        return Ok(Woken::Peer);
    };
    tokio::select! {
        readable = readable => { readable?; Ok(Woken::Peer) }
        () = selected.changed() => Ok(Woken::Change),
        () = wire.connection.shutdown.requested() => Ok(Woken::Shutdown),
        barred = wire.standing.withdrawn() => Ok(Woken::Withdrawn(barred)),
    }
}

/// Reads DONE; anything else ends IDLE too, with BAD.
async fn done(session: &mut Session, deadline: Deadline) -> Result<Option<Reply>, Ended> {
    const DONE_BYTES_MAX: usize = 64;
    let stream = &mut session.wire.connection.stream;
    let rest = deadline.or_earlier(Deadline::after(limits::COMMAND_REST));
    if stream.buffer().is_empty() {
        stream.fill(rest).await?;
    }
    let line = stream.read_line(DONE_BYTES_MAX, rest).await?;
    let text = stream
        .buffer()
        .get(..line.content_bytes)
        .unwrap_or_default();
    let is_done = text.eq_ignore_ascii_case(b"DONE");
    stream.consume(line.total_bytes);
    if !is_done {
        return Ok(Some(Reply::bad("IDLE ends with DONE.")));
    }
    session.announce(Expunges::Allowed).await?;
    Ok(Some(Reply::ok("Not idling any more.")))
}
