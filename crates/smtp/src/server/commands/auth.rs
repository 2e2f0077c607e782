//! AUTH (RFC 4954): frames SASL exchanges in 334 replies and base64; what is said in them and who may
//! come in is the login desk's business. Runs before TLS only where policy does not refuse that to everybody;
//! never logs what the client sent.

use super::super::rules;
use super::super::session::End;
use super::super::session::{Outcome, Session, Waiting};
use super::hello::offered_mechanisms;
use crate::grammar::{self, Auth, Command, Verb};
use crate::reply::{Intermediate, Permanent, Reply, Status, Success, Transient};
use admission::{Barred, Outcome as Login, Step, Unoffered};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use directory::LoginRuling;
use directory::sasl::Mechanism;
use platform::net::StreamError;

pub(super) async fn run(session: &mut Session, auth: Auth<'_>) -> Outcome {
    if session.login.is_some() {
        return Ok(Some(Reply::permanent(
            Permanent::BadSequence,
            Status::SEQUENCE,
            "You are logged in already.",
        )));
    }
    if let Err(barred) = session.context.desk.offer(&session.visit()) {
        note_unoffered(session, &auth).await;
        return Ok(Some(barred_reply(&barred)));
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
    if let Some(refusal) = rules::auth(session, mechanism) {
        return Ok(Some(refusal));
    }
    exchange(session, mechanism, initial.as_deref()).await
}

async fn exchange(session: &mut Session, mechanism: Mechanism, initial: Option<&[u8]>) -> Outcome {
    let mut now = session.context.clock.now();
    let mut exchange = session.context.desk.exchange(mechanism, &session.visit());
    let mut step = exchange.first(&session.visit(), initial, now).await;
    loop {
        let challenge = match step {
            Step::Challenge(challenge) => challenge,
            Step::Named => {
                if let Some(claimed) = exchange.claimed()
                    && let Some(refusal) = rules::named(session, mechanism, claimed)
                {
                    return Ok(Some(refusal));
                }
                step = exchange.admit(&session.visit(), now).await;
                continue;
            }
            Step::Malformed(why) => return Ok(Some(malformed(why))),
            Step::Done(outcome) => {
                let reply = finish(session, outcome);
                if session.login.is_some() {
                    rules::logged_in(session, mechanism);
                }
                return Ok(Some(reply));
            }
        };
        session.gather(&Reply::intermediate(
            Intermediate::Challenge,
            STANDARD.encode(challenge),
        ));
        let response = match read_response(session).await? {
            Ok(response) => response,
            Err(refused) => return Ok(Some(refused)),
        };
        now = session.context.clock.now();
        step = exchange.step(&session.visit(), &response, now).await;
    }
}

/// AUTH came before TLS and is refused without a look at what it carries; but if that was a password, others
/// may have read it, and whose it was is noted. `argument` is what followed the verb.
pub(super) async fn refused_before_tls(session: &Session, argument: &[u8]) {
    if session.connection.stream.tls().is_some() {
        return;
    }
    if let Ok(Command::Auth(auth)) = grammar::argument(Verb::Auth, argument) {
        note_unoffered(session, &auth).await;
    }
}

async fn note_unoffered(session: &Session, auth: &Auth<'_>) {
    let Some(mechanism) = Mechanism::parse(auth.mechanism) else {
        return;
    };
    let Some(Ok(initial)) = auth.initial.map(|text| STANDARD.decode(text)) else {
        return;
    };
    let attempt = Unoffered::Exchange(mechanism, &initial);
    let now = session.context.clock.now();
    let desk = &session.context.desk;
    desk.turned_away(&session.visit(), &attempt, now).await;
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

/// Carries out what the desk says.
fn finish(session: &mut Session, outcome: Login) -> Reply {
    let refused = match outcome {
        Login::LoggedIn { identity, notice } => {
            session.login = Some(identity);
            session.watch();
            let text = notice.map_or_else(|| "Welcome".to_owned(), |notice| notice.text);
            return Reply::success(Success::LoggedIn, Status::SECURITY, text);
        }
        Login::Refused(ruling @ LoginRuling::TryLater { .. }) => {
            return Reply::transient(Transient::NotAvailable, Status::SECURITY, ruling.text());
        }
        Login::Refused(ruling) => Reply::permanent(
            Permanent::BadCredentials,
            Status::CREDENTIALS,
            ruling.text(),
        ),
        Login::Barred(barred) => barred_reply(&barred),
    };
    session.counters.login_failures += 1;
    if session.counters.login_failures >= session.limits().login_failures_max {
        return Reply::transient(
            Transient::Closing,
            Status::SECURITY,
            "Too many failed logins. Check user name and password, then connect again.",
        );
    }
    refused
}

/// RFC 4954 §6: 530 where encryption is all that is missing.
fn barred_reply(barred: &Barred) -> Reply {
    let code = match barred.wants_encryption() {
        true => Permanent::FirstDoThis,
        false => Permanent::BadCredentials,
    };
    Reply::permanent(code, Status::SECURITY, barred.text().to_owned())
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
