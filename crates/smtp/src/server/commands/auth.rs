//! AUTH (RFC 4954): frames SASL exchanges in 334 replies and base64; what is said in them is the
//! directory's business. Never runs before TLS; never logs what the client sent.

use super::super::session::End;
use super::super::session::{Outcome, Session, Waiting};
use super::hello::offered_mechanisms;
use crate::grammar::Auth;
use crate::reply::{Intermediate, Permanent, Reply, Status, Success, Transient};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use directory::sasl::{ChannelBindings, Exchange, Mechanism, Peer, PlusOffer, Step};
use directory::{LoginRuling, Protocol};
use platform::net::StreamError;

pub(super) async fn run(session: &mut Session, auth: Auth<'_>) -> Outcome {
    if session.login.is_some() {
        return Ok(Some(Reply::permanent(
            Permanent::BadSequence,
            Status::SEQUENCE,
            "You are logged in already.",
        )));
    }
    let mechanism = Mechanism::parse(auth.mechanism)
        .filter(|wanted| offered_mechanisms(session).any(|offered| offered == *wanted));
    let Some(mechanism) = mechanism else {
        return Ok(Some(Reply::permanent(
            Permanent::ParameterNotImplemented,
            Status::ARGUMENTS,
            "This way of logging in is not offered; the answer to EHLO lists those that are.",
        )));
    };
    // RFC 4954 §4: "=" is an empty initial response.
    let initial = match auth.initial {
        None => None,
        Some("=") => Some(Vec::new()),
        Some(text) => match STANDARD.decode(text) {
            Ok(bytes) => Some(bytes),
            Err(_) => return Ok(Some(not_base64())),
        },
    };
    let mut exchange = Exchange::start(&session.context.directory, mechanism, peer(session));
    let mut step = exchange
        .first(initial.as_deref(), session.context.clock.now())
        .await;
    loop {
        let challenge = match step {
            Step::Challenge(challenge) => challenge,
            Step::Named(_) => {
                step = exchange.admit(session.context.clock.now()).await;
                continue;
            }
            Step::Malformed(why) => return Ok(Some(malformed(why))),
            Step::Done(ruling) => return Ok(Some(finish(session, ruling))),
        };
        session.gather(&Reply::intermediate(
            Intermediate::Challenge,
            STANDARD.encode(challenge),
        ));
        let response = match read_response(session).await? {
            Ok(response) => response,
            Err(refused) => return Ok(Some(refused)),
        };
        step = exchange.step(&response, session.context.clock.now()).await;
    }
}

/// One answer of the client, decoded; `Err` is the reply where it is none.
async fn read_response(session: &mut Session) -> Result<Result<Vec<u8>, Reply>, End> {
    let line_bytes_max = session.limits().auth_line_bytes_max;
    match session.read_line(line_bytes_max, Waiting::ForAuth).await {
        Ok(()) => {}
        Err(End::Stream(StreamError::LineTooLong { .. })) => {
            // RFC 4954 §4: a line over 12,288 octets fails the exchange.
            let deadline = session.deadline(session.limits().command_idle);
            session
                .connection
                .stream
                .discard_line(line_bytes_max * 16, deadline)
                .await?;
            return Ok(Err(Reply::permanent(
                Permanent::Unrecognised,
                Status::AUTH_LINE,
                "The line is too long for a login.",
            )));
        }
        Err(end) => return Err(end),
    }
    Ok(match session.line() {
        b"*" => Err(Reply::permanent(
            Permanent::BadArgument,
            Status::SECURITY,
            "The login was cancelled.",
        )),
        line => STANDARD.decode(line).map_err(|_| not_base64()),
    })
}

/// What SASL wants to know about the connection.
fn peer(session: &Session) -> Peer {
    let tls = session.connection.stream.tls();
    let plus = offered_mechanisms(session).any(|m| m == Mechanism::ScramSha256Plus);
    Peer {
        protocol: Protocol::Submission,
        address: session.connection.stream.peer().ip(),
        bindings: ChannelBindings {
            tls_exporter: tls.and_then(|tls| tls.tls_exporter),
            tls_server_end_point: tls
                .and_then(|tls| tls.server_end_point.as_ref())
                .map(|hash| hash.to_vec()),
        },
        plus: if plus {
            PlusOffer::Offered
        } else {
            PlusOffer::NotOffered
        },
    }
}

/// Carries out the directory's ruling.
fn finish(session: &mut Session, ruling: LoginRuling) -> Reply {
    let stream = &session.connection.stream;
    directory::login::record(
        &ruling,
        Protocol::Submission,
        stream.peer().ip(),
        stream.tls(),
    );
    let text = ruling.text();
    match ruling {
        LoginRuling::Accepted(identity) => {
            session.login = Some(identity);
            Reply::success(Success::LoggedIn, Status::SECURITY, text)
        }
        LoginRuling::Refused(_) => {
            session.counters.login_failures += 1;
            if session.counters.login_failures >= session.limits().login_failures_max {
                return Reply::transient(
                    Transient::Closing,
                    Status::SECURITY,
                    "Too many failed logins. Check user name and password, then connect again.",
                );
            }
            Reply::permanent(Permanent::BadCredentials, Status::CREDENTIALS, text)
        }
        LoginRuling::TryLater { .. } => {
            Reply::transient(Transient::NotAvailable, Status::SECURITY, text)
        }
    }
}

fn not_base64() -> Reply {
    Reply::permanent(
        Permanent::BadArgument,
        Status::SYNTAX,
        "The response is not base64.",
    )
}

fn malformed(why: &'static str) -> Reply {
    Reply::permanent(
        Permanent::BadArgument,
        Status::SYNTAX,
        format!("The response does not follow the mechanism: {why}."),
    )
}
