//! AUTHENTICATE (RFC 3501 §6.2.2) with an initial response (RFC 4959). Frames base64; what is said inside
//! is `directory::sasl`'s. Before TLS no mechanism is begun.

use super::{Outcome, login};
use crate::imap::reply::{Code, Reply};
use crate::imap::session::{Session, privacy_required};
use crate::imap::{capability, limits};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use directory::Protocol;
use directory::sasl::{ChannelBindings, Exchange, Mechanism, Peer, PlusOffer, Step};
use platform::net::Deadline;

pub(super) async fn run(
    session: &mut Session,
    mechanism: &str,
    initial: Option<Vec<u8>>,
) -> Outcome {
    let capability::Tls::On(plus) = session.tls_state() else {
        return Ok(privacy_required());
    };
    let Some(mechanism) = Mechanism::parse(mechanism) else {
        return Ok(Reply::no(
            Code::Cannot,
            "Please use PLAIN, LOGIN, SCRAM-SHA-256 or SCRAM-SHA-256-PLUS.",
        ));
    };
    // RFC 4959 §3: "=" is an initial response without a byte.
    let initial = match initial.as_deref() {
        None => None,
        Some(b"=") => Some(Vec::new()),
        Some(base64) => match STANDARD.decode(base64) {
            Ok(bytes) => Some(bytes),
            Err(_) => return Ok(not_base64()),
        },
    };
    let context = session.wire.context.clone();
    let mut exchange = Exchange::start(&context.directory, mechanism, peer(session, plus));
    let mut step = exchange
        .first(initial.as_deref(), context.clock.now())
        .await;
    loop {
        match step {
            Step::Done(ruling) => return login::carry_out(session, ruling).await,
            Step::Malformed(text) => return Ok(Reply::bad(text)),
            Step::Named(_) => step = exchange.admit(context.clock.now()).await,
            Step::Challenge(challenge) => {
                session
                    .wire
                    .invite(STANDARD.encode(challenge).as_bytes())
                    .await?;
                match answer(session).await? {
                    Answer::Bytes(bytes) => {
                        step = exchange.step(&bytes, context.clock.now()).await;
                    }
                    Answer::Cancelled => return Ok(Reply::bad("Cancelled, as you wished.")),
                    Answer::NotBase64 => return Ok(not_base64()),
                }
            }
        }
    }
}

fn not_base64() -> Reply {
    Reply::bad("The response is not base64.")
}

enum Answer {
    Bytes(Vec<u8>),
    Cancelled,
    NotBase64,
}

/// The peer's line after a challenge; `*` alone gives up (RFC 3501 §6.2.2).
async fn answer(session: &mut Session) -> Result<Answer, crate::imap::wire::Ended> {
    let deadline = Deadline::after(limits::STRANGER_IDLE);
    let stream = &mut session.wire.connection.stream;
    let line = stream
        .read_line(limits::STRANGER_COMMAND_BYTES_MAX, deadline)
        .await?;
    let text = stream
        .buffer()
        .get(..line.content_bytes)
        .unwrap_or_default();
    let answer = match text {
        b"*" => Answer::Cancelled,
        base64 => STANDARD
            .decode(base64)
            .map_or(Answer::NotBase64, Answer::Bytes),
    };
    stream.consume(line.total_bytes);
    Ok(answer)
}

fn peer(session: &Session, plus: PlusOffer) -> Peer {
    let stream = &session.wire.connection.stream;
    let bindings = stream
        .tls()
        .map_or_else(ChannelBindings::default, |tls| ChannelBindings {
            tls_exporter: tls.tls_exporter,
            tls_server_end_point: tls.server_end_point.as_deref().map(<[u8]>::to_vec),
        });
    Peer {
        protocol: Protocol::Imap,
        address: stream.peer().ip(),
        bindings,
        plus,
    }
}
