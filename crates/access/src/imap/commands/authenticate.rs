//! AUTHENTICATE (RFC 3501 §6.2.2) with an initial response (RFC 4959). Frames base64; what is said inside
//! and who may come in is the login desk's business. Where no login is offered no mechanism is begun.

use super::{Outcome, login};
use crate::imap::limits;
use crate::imap::reply::{Code, Reply};
use crate::imap::session::Session;
use admission::{Step, Unoffered};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use directory::sasl::Mechanism;
use platform::net::Deadline;

pub(super) async fn run(
    session: &mut Session,
    mechanism: &str,
    initial: Option<Vec<u8>>,
) -> Outcome {
    let mechanism = Mechanism::parse(mechanism);
    // RFC 4959 §3: "=" is an initial response without a byte.
    let initial = match initial.as_deref() {
        None => Ok(None),
        Some(b"=") => Ok(Some(Vec::new())),
        Some(base64) => STANDARD.decode(base64).map(Some),
    };
    if let Err(barred) = session.offer() {
        if let (Some(mechanism), Ok(Some(initial))) = (mechanism, &initial) {
            note_unoffered(session, mechanism, initial).await;
        }
        return Ok(session.no_login(&barred));
    }
    let Some(mechanism) = mechanism.filter(|wanted| offers(session, *wanted)) else {
        let offered = session.capabilities().login.unwrap_or_default();
        let names: Vec<_> = offered.into_iter().map(Mechanism::name).collect();
        let text = format!("Please use one of these: {}.", names.join(", "));
        return Ok(Reply::no(Code::Cannot, text));
    };
    let Ok(initial) = initial else {
        return Ok(not_base64());
    };
    exchange(session, mechanism, initial.as_deref()).await
}

/// Of a client that wants -PLUS where nothing can be bound the exchange itself says what is wrong.
fn offers(session: &Session, mechanism: Mechanism) -> bool {
    let mechanisms = &session.wire.context.settings.mechanisms;
    mechanisms.contains(&mechanism)
}

async fn note_unoffered(session: &Session, mechanism: Mechanism, initial: &[u8]) {
    let context = &session.wire.context;
    let attempt = Unoffered::Exchange(mechanism, initial);
    let now = context.clock.now();
    let desk = &context.desk;
    desk.turned_away(&session.visit(), &attempt, now).await;
}

async fn exchange(session: &mut Session, mechanism: Mechanism, initial: Option<&[u8]>) -> Outcome {
    let context = session.wire.context.clone();
    let mut exchange = context.desk.exchange(mechanism, &session.visit());
    let mut now = context.clock.now();
    let mut step = exchange.first(&session.visit(), initial, now).await;
    loop {
        match step {
            Step::Done(outcome) => return login::carry_out(session, outcome).await,
            Step::Malformed(text) => return Ok(Reply::bad(text)),
            Step::Named => step = exchange.admit(&session.visit(), now).await,
            Step::Challenge(challenge) => {
                session
                    .wire
                    .invite(STANDARD.encode(challenge).as_bytes())
                    .await?;
                match answer(session).await? {
                    Answer::Bytes(bytes) => {
                        now = context.clock.now();
                        step = exchange.step(&session.visit(), &bytes, now).await;
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
