//! AUTH (RFC 5034): a SASL exchange in base64 lines.

use super::super::limits::{SASL_LINE_BYTES_MAX, SKIP_BYTES_MAX};
use super::super::session::{Ended, Session, Then};
use super::{TLS_FIRST, pass};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use directory::Protocol;
use directory::sasl::{ChannelBindings, Exchange, Mechanism, Peer, PlusOffer, Step};
use platform::net::StreamError;

/// The mechanisms offered in this session, separated by spaces.
pub(super) fn offered(session: &Session) -> String {
    let names = [
        Mechanism::ScramSha256Plus,
        Mechanism::ScramSha256,
        Mechanism::Plain,
        Mechanism::Login,
    ];
    let plus = plus_offer(&bindings(session));
    let names = names
        .iter()
        .filter(|m| **m != Mechanism::ScramSha256Plus || plus == PlusOffer::Offered);
    names.map(|m| m.name()).collect::<Vec<_>>().join(" ")
}

pub(super) async fn run(
    session: &mut Session,
    mechanism: Option<&str>,
    initial: Option<&str>,
) -> Result<Then, Ended> {
    if session.connection.stream.tls().is_none() {
        session.refuse(TLS_FIRST);
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
    let initial = match initial.map(decode_initial).transpose() {
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
    let bindings = bindings(session);
    let peer = Peer {
        protocol: Protocol::Pop3,
        address: session.connection.stream.peer().ip(),
        plus: plus_offer(&bindings),
        bindings,
    };
    let mut exchange = Exchange::start(&session.context.directory, mechanism, peer);
    let mut step = exchange
        .first(initial.as_deref(), session.context.clock.now())
        .await;
    loop {
        match step {
            Step::Done(ruling) => return Ok(pass::conclude(session, ruling).await),
            Step::Named(_) => step = exchange.admit(session.context.clock.now()).await,
            Step::Malformed(text) => {
                session.refuse(text);
                return Ok(session.count_error());
            }
            Step::Challenge(challenge) => {
                let line = format!("+ {}\r\n", STANDARD.encode(challenge));
                session.connection.stream.write(line.as_bytes());
                let Some(answer) = read_answer(session).await? else {
                    return Ok(session.count_error());
                };
                step = exchange.step(&answer, session.context.clock.now()).await;
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

fn bindings(session: &Session) -> ChannelBindings {
    session
        .connection
        .stream
        .tls()
        .map_or_else(ChannelBindings::default, |facts| ChannelBindings {
            tls_exporter: facts.tls_exporter,
            tls_server_end_point: facts.server_end_point.as_deref().map(<[u8]>::to_vec),
        })
}

fn plus_offer(bindings: &ChannelBindings) -> PlusOffer {
    if bindings.tls_exporter.is_some() || bindings.tls_server_end_point.is_some() {
        PlusOffer::Offered
    } else {
        PlusOffer::NotOffered
    }
}
