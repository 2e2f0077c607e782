//! AUTH (RFC 5034): a SASL exchange in base64 lines. Who may come in is the login desk's business.

use super::super::limits::{SASL_LINE_BYTES_MAX, SKIP_BYTES_MAX};
use super::super::session::{Ended, Session, Then};
use super::{no_login, pass};
use admission::{Step, Unoffered};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use directory::sasl::Mechanism;
use platform::net::StreamError;

/// The mechanisms offered in this session, separated by spaces.
pub(super) fn offered(session: &Session) -> String {
    let context = &session.context;
    let mechanisms = context
        .desk
        .mechanisms(&session.visit(), &context.mechanisms);
    mechanisms
        .map(Mechanism::name)
        .collect::<Vec<_>>()
        .join(" ")
}

pub(super) async fn run(
    session: &mut Session,
    mechanism: Option<&str>,
    initial: Option<&str>,
) -> Result<Then, Ended> {
    let initial = initial.map(decode_initial).transpose();
    if let Err(barred) = session.offer() {
        if let (Some(name), Ok(Some(initial))) = (mechanism, &initial)
            && let Some(mechanism) = Mechanism::parse(name)
        {
            let attempt = Unoffered::Exchange(mechanism, initial);
            let (desk, now) = (&session.context.desk, session.context.clock.now());
            desk.turned_away(&session.visit(), &attempt, now).await;
        }
        no_login(session, &barred);
        return Ok(Then::GoOn);
    }
    let Some(name) = mechanism else {
        let lines = offered(session).replace(' ', "\r\n");
        session.ok(&format!("mechanisms follow\r\n{lines}\r\n."));
        return Ok(Then::GoOn);
    };
    let offered = offered(session);
    let known = Mechanism::parse(name).filter(|m| offered.split(' ').any(|o| o == m.name()));
    let Some(mechanism) = known else {
        session.refuse(&format!("unknown mechanism; there are {offered}"));
        return Ok(session.count_error());
    };
    let initial = match initial {
        Ok(initial) => initial,
        Err(text) => {
            session.refuse(text);
            return Ok(session.count_error());
        }
    };
    exchange(session, mechanism, initial).await
}

async fn exchange(
    session: &mut Session,
    mechanism: Mechanism,
    initial: Option<Vec<u8>>,
) -> Result<Then, Ended> {
    let mut now = session.context.clock.now();
    let mut exchange = session.context.desk.exchange(mechanism, &session.visit());
    let mut step = exchange
        .first(&session.visit(), initial.as_deref(), now)
        .await;
    loop {
        match step {
            Step::Done(outcome) => return Ok(pass::conclude(session, outcome).await),
            Step::Malformed(text) => {
                session.refuse(text);
                return Ok(session.count_error());
            }
            Step::Named => step = exchange.admit(&session.visit(), now).await,
            Step::Challenge(challenge) => {
                let line = format!("+ {}\r\n", STANDARD.encode(challenge));
                session.connection.stream.write(line.as_bytes());
                let Some(answer) = read_answer(session).await? else {
                    return Ok(session.count_error());
                };
                now = session.context.clock.now();
                step = exchange.step(&session.visit(), &answer, now).await;
            }
        }
    }
}

/// The client's next line, decoded; `None` where it was answered with a refusal.
async fn read_answer(session: &mut Session) -> Result<Option<Vec<u8>>, Ended> {
    let deadline = session.deadline();
    session.connection.stream.flush(deadline).await?;
    let line = match session
        .connection
        .stream
        .read_line(SASL_LINE_BYTES_MAX, deadline)
        .await
    {
        Ok(line) => line,
        Err(StreamError::LineTooLong { .. }) => {
            session
                .connection
                .stream
                .discard_line(SKIP_BYTES_MAX, deadline)
                .await?;
            session.refuse("the line is too long");
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let bytes = session
        .connection
        .stream
        .buffer()
        .get(..line.content_bytes)
        .unwrap_or_default();
    let decoded = if bytes == b"*" {
        Err("cancelled")
    } else {
        decode(bytes)
    };
    session.connection.stream.consume(line.total_bytes);
    match decoded {
        Ok(answer) => Ok(Some(answer)),
        Err(text) => {
            session.refuse(text);
            Ok(None)
        }
    }
}

fn decode(bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
    STANDARD.decode(bytes).map_err(|_| "the line is not base64")
}

/// RFC 5034 §4: a lone `=` is an empty initial response.
fn decode_initial(text: &str) -> Result<Vec<u8>, &'static str> {
    if text == "=" {
        Ok(Vec::new())
    } else {
        decode(text.as_bytes())
    }
}
