//! The table of commands: name, states it may come in, what it needs first; and the way from a line
//! to the file that carries it out. Check (this file) -> policy (`rulings/`) -> proceed (the verb's
//! own file), in this order for each verb.

mod auth;
mod bdat;
mod data;
mod hello;
mod help;
mod mail;
mod noop;
mod quit;
mod rcpt;
mod rset;
mod starttls;
mod vrfy;
mod xclient;

pub(super) use rcpt::directory_failed;

use super::extension::Extension;
use super::relay;
use super::session::{End, Outcome, Session, Xclient};
use super::settings::{LoginOffer, Role};
use super::state::Kind;
use crate::grammar::{self, Bad, Command, Verb};
use crate::reply::{Permanent, Reply, Status, Transient};

/// What must have happened on the connection before a command, on a submission listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// Nothing.
    Nothing,
    /// TLS (RFC 3207 §4: everything but EHLO, STARTTLS, NOOP, QUIT).
    Tls,
    /// TLS, and a login (RFC 6409 §4.3).
    Login,
}

/// Whether a command moves a message forward. What does not is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// It does.
    Forward,
    /// It does not.
    Idle,
}

/// One command.
struct Row {
    verb: Verb,
    states: &'static [Kind],
    /// The text of 503 in other states.
    out_of_order: &'static str,
    needs: Needs,
    effect: Effect,
}

const ANY: &[Kind] = &[
    Kind::Connected,
    Kind::Greeted,
    Kind::InMail,
    Kind::HasRecipients,
    Kind::InChunks,
];
const NO_TRANSACTION: &[Kind] = &[Kind::Connected, Kind::Greeted];

#[rustfmt::skip]
static TABLE: [Row; 15] = [
    Row { verb: Verb::Ehlo, states: ANY, out_of_order: "", needs: Needs::Nothing, effect: Effect::Idle },
    Row { verb: Verb::Helo, states: ANY, out_of_order: "", needs: Needs::Nothing, effect: Effect::Idle },
    Row { verb: Verb::StartTls, states: NO_TRANSACTION, needs: Needs::Nothing, effect: Effect::Idle,
          out_of_order: "STARTTLS cannot come inside a mail transaction; send RSET first." },
    Row { verb: Verb::Auth, states: &[Kind::Greeted], needs: Needs::Tls, effect: Effect::Forward,
          out_of_order: "AUTH comes after EHLO and outside a mail transaction." },
    Row { verb: Verb::Mail, states: &[Kind::Greeted], needs: Needs::Login, effect: Effect::Forward,
          out_of_order: "MAIL comes after EHLO, and once per transaction; send RSET to begin again." },
    Row { verb: Verb::Rcpt, states: &[Kind::InMail, Kind::HasRecipients], needs: Needs::Login, effect: Effect::Forward,
          out_of_order: "RCPT comes after MAIL and before the message." },
    // DATA with every recipient refused has an answer of its own, see `data`.
    Row { verb: Verb::Data, states: &[Kind::InMail, Kind::HasRecipients], needs: Needs::Login, effect: Effect::Forward,
          out_of_order: "DATA comes after MAIL and RCPT, and not after BDAT." },
    Row { verb: Verb::Bdat, states: &[Kind::InMail, Kind::HasRecipients, Kind::InChunks], needs: Needs::Login, effect: Effect::Forward,
          out_of_order: "BDAT comes after MAIL and RCPT; this chunk was ignored." },
    Row { verb: Verb::Rset, states: ANY, out_of_order: "", needs: Needs::Tls, effect: Effect::Idle },
    Row { verb: Verb::Noop, states: ANY, out_of_order: "", needs: Needs::Nothing, effect: Effect::Idle },
    Row { verb: Verb::Vrfy, states: ANY, out_of_order: "", needs: Needs::Tls, effect: Effect::Idle },
    Row { verb: Verb::Expn, states: ANY, out_of_order: "", needs: Needs::Tls, effect: Effect::Idle },
    Row { verb: Verb::Help, states: ANY, out_of_order: "", needs: Needs::Tls, effect: Effect::Idle },
    Row { verb: Verb::Quit, states: ANY, out_of_order: "", needs: Needs::Nothing, effect: Effect::Forward },
    Row { verb: Verb::Xclient, states: NO_TRANSACTION, needs: Needs::Nothing, effect: Effect::Idle,
          out_of_order: "XCLIENT cannot come inside a mail transaction." },
];

/// What is known about the connection when a command came.
#[derive(Debug, Clone, Copy)]
struct Facts {
    state: Kind,
    role: Role,
    in_tls: bool,
    logged_in: bool,
    login: LoginOffer,
    clear_login: ClearLogin,
    xclient: Xclient,
    /// Whether the extension that the command is belongs to those offered here.
    offered: Offered,
    /// Whether the client may hand mail in before TLS, without a login.
    relay: ClearRelay,
}

/// Whether the client is a relay source that needs no TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClearRelay {
    Yes,
    No,
}

/// Whether anybody may log in before TLS, and do then what a login is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClearLogin {
    /// Policy does not refuse it to everybody, yet.
    Open,
    /// It is refused, whoever asks.
    Closed,
}

/// Whether an extension is offered on this listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offered {
    Yes,
    No,
}

impl Facts {
    fn of(session: &Session, verb: Verb) -> Self {
        let extension = Extension::of_verb(verb);
        let in_tls = session.connection.stream.tls().is_some();
        let clear_login = match session.role {
            Role::Submission if !in_tls && session.context.desk.offer(&session.visit()).is_ok() => {
                ClearLogin::Open
            }
            _ => ClearLogin::Closed,
        };
        let relay = match clear_login == ClearLogin::Closed && relay::may_in_clear(session) {
            true => ClearRelay::Yes,
            false => ClearRelay::No,
        };
        Self {
            clear_login,
            relay,
            offered: match extension.is_none_or(|one| session.listener.offers(one)) {
                true => Offered::Yes,
                false => Offered::No,
            },
            state: session.state.kind(),
            role: session.role,
            in_tls,
            logged_in: session.login.is_some(),
            login: session.login_offer(),
            xclient: session.xclient,
        }
    }
}

/// Whether a command may come now: pure protocol, no policy. `Some` is the refusal.
fn check(verb: Verb, facts: Facts) -> Option<Reply> {
    let row = TABLE.iter().find(|row| row.verb == verb)?;
    let exists = match verb {
        Verb::Xclient => facts.xclient == Xclient::Permitted,
        Verb::Auth => facts.login != LoginOffer::Never,
        Verb::StartTls | Verb::Bdat => facts.offered == Offered::Yes,
        Verb::Expn => false,
        _ => true,
    };
    // Also where AUTH is offered on an mx: there no password is taken in clear.
    let needs_tls = facts.clear_login == ClearLogin::Closed
        && ((facts.role == Role::Submission
            && row.needs != Needs::Nothing
            && facts.relay == ClearRelay::No)
            || (verb == Verb::Auth && exists));
    // RFC 3207 §4, for the MX of domains that take mail over TLS only.
    if facts.role == Role::SecureMx && row.needs == Needs::Login && !facts.in_tls {
        return Some(Reply::permanent(
            Permanent::FirstDoThis,
            Status::SECURITY,
            "Must issue a STARTTLS command first",
        ));
    }
    if needs_tls && !facts.in_tls {
        // RFC 3207 §4; the same for right and wrong credentials (RFC 8314 §4.1).
        return Some(Reply::permanent(
            Permanent::FirstDoThis,
            Status::SECURITY,
            "Must issue a STARTTLS command first; in your mail program choose STARTTLS for this port, \
             or SSL/TLS for port 465",
        ));
    }
    if !exists {
        return Some(Reply::permanent(
            Permanent::NotImplemented,
            Status::SEQUENCE,
            "This command is not available here.",
        ));
    }
    if facts.role == Role::Submission && row.needs == Needs::Login && !facts.logged_in {
        return Some(Reply::permanent(
            Permanent::FirstDoThis,
            Status::SECURITY,
            "Authentication required. Switch on SMTP authentication in the mail program; user name \
             and password are those for reading mail.",
        ));
    }
    if !row.states.contains(&facts.state) {
        let text = match facts.state {
            Kind::Connected => "Send EHLO first.",
            _ => row.out_of_order,
        };
        return Some(Reply::permanent(
            Permanent::BadSequence,
            Status::SEQUENCE,
            text,
        ));
    }
    None
}

/// Carries out one line.
pub(super) async fn run(session: &mut Session, line: &[u8]) -> Outcome {
    let (verb, rest) = match grammar::verb(line) {
        Ok(split) => split,
        Err(bad) => return Ok(Some(bad_reply(bad))),
    };
    if let Some(closing) = count_idle(session, verb) {
        return Ok(Some(closing));
    }
    if verb == Verb::Mail {
        match Box::pin(relay::claim(session)).await {
            Ok(None) => {}
            Ok(refused) => return Ok(refused),
            Err(error) => return Ok(Some(rcpt::directory_failed(&error))),
        }
    }
    let refused = check(verb, Facts::of(session, verb));
    if let Some(reply) = &refused {
        tracing::info!(
            role = session.role.name(),
            command = ?verb,
            state = ?session.state.kind(),
            code = reply.code(),
            "smtp command out of order"
        );
        if verb == Verb::Auth {
            Box::pin(auth::refused_before_tls(session, rest)).await;
        }
        // The octets of a chunk follow its line whatever we think of it.
        if verb != Verb::Bdat {
            return Ok(refused);
        }
    }
    let command = match grammar::argument(verb, rest) {
        Ok(command) => command,
        // Where a chunk ends is unknown then, so nothing that follows could be understood.
        Err(_) if verb == Verb::Bdat => return Ok(Some(bdat::unreadable())),
        Err(bad) => return Ok(Some(bad_reply(bad))),
    };
    proceed(session, command, refused).await
}

async fn proceed(session: &mut Session, command: Command<'_>, refused: Option<Reply>) -> Outcome {
    match command {
        Command::Ehlo(name) => Ok(Some(hello::ehlo(session, name))),
        Command::Helo(name) => Ok(Some(hello::helo(session, name))),
        Command::Mail(path, parameters) => {
            Ok(Some(Box::pin(mail::run(session, path, &parameters)).await))
        }
        Command::Rcpt(path, parameters) => Box::pin(rcpt::run(session, path, &parameters)).await,
        Command::Data => data::run(session).await,
        Command::Bdat(chunk) => Box::pin(bdat::run(session, chunk, refused)).await,
        Command::Rset => Ok(Some(rset::run(session))),
        Command::Noop => Ok(Some(noop::run())),
        Command::Vrfy => Ok(Some(vrfy::run())),
        Command::Help => Ok(Some(help::run())),
        Command::Quit => Ok(Some(quit::run(session))),
        // Boxed, because an idle session pays for the largest of these futures.
        Command::StartTls => Box::pin(starttls::run(session)).await,
        Command::Auth(auth) => Box::pin(auth::run(session, auth)).await,
        Command::Xclient(attributes) => Ok(Some(xclient::run(session, &attributes))),
        // `check` refuses it everywhere.
        Command::Expn => Ok(Some(bad_reply(Bad::UnknownCommand))),
    }
}

/// Counts commands that do not move a message forward; 421 where there were too many.
fn count_idle(session: &mut Session, verb: Verb) -> Option<Reply> {
    let idle = TABLE
        .iter()
        .any(|row| row.verb == verb && row.effect == Effect::Idle);
    if !idle {
        return None;
    }
    session.counters.idle_commands += 1;
    (session.counters.idle_commands > session.limits().idle_commands_max).then(|| {
        Reply::transient(
            Transient::Closing,
            Status::SECURITY,
            "Too many commands without a message. Connect again when there is one to send.",
        )
    })
}

/// The reply to a line that is no command.
fn bad_reply(bad: Bad) -> Reply {
    let (code, status) = match bad {
        Bad::Http => {
            return Reply::transient(Transient::Closing, Status::SECURITY, bad.to_string());
        }
        Bad::UnknownCommand => (Permanent::Unrecognised, Status::SYNTAX),
        Bad::Argument(_) => (Permanent::BadArgument, Status::ARGUMENTS),
        Bad::Sender(_) => (Permanent::BadArgument, Status::BAD_SENDER_SYNTAX),
        Bad::Recipient(_) => (Permanent::BadArgument, Status::BAD_RECIPIENT_SYNTAX),
        Bad::UnknownParameter(_) => (Permanent::UnknownParameter, Status::ARGUMENTS),
    };
    Reply::permanent(code, status, bad.to_string())
}

/// Where a command finds a state that `check` should have refused.
fn out_of_order() -> Result<Option<Reply>, End> {
    Ok(Some(Reply::permanent(
        Permanent::BadSequence,
        Status::SEQUENCE,
        "Bad sequence of commands.",
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBMISSION: Facts = Facts {
        state: Kind::Greeted,
        role: Role::Submission,
        in_tls: false,
        logged_in: false,
        login: LoginOffer::AfterTls,
        xclient: Xclient::Hidden,
        offered: Offered::Yes,
        clear_login: ClearLogin::Closed,
        relay: ClearRelay::No,
    };

    fn code(verb: Verb, facts: Facts) -> u16 {
        check(verb, facts).map_or(0, |reply| reply.code())
    }

    #[test]
    fn every_verb_has_its_row() {
        for row in &TABLE {
            assert_eq!(
                TABLE.iter().filter(|other| other.verb == row.verb).count(),
                1
            );
            assert!(
                row.states.len() == 5 || !row.out_of_order.is_empty(),
                "{:?}",
                row.verb
            );
        }
    }

    #[test]
    fn submission_before_tls_allows_only_what_rfc_3207_lists() {
        for row in &TABLE {
            let allowed = matches!(
                row.verb,
                Verb::Ehlo | Verb::Helo | Verb::StartTls | Verb::Noop | Verb::Quit
            );
            for state in Kind::ALL {
                let code = code(
                    row.verb,
                    Facts {
                        state,
                        ..SUBMISSION
                    },
                );
                if row.verb != Verb::Xclient
                    && !(row.verb == Verb::StartTls && state != Kind::Greeted)
                {
                    assert_eq!(
                        code,
                        if allowed { 0 } else { 530 },
                        "{:?} {state:?}",
                        row.verb
                    );
                }
            }
        }
    }

    #[test]
    fn submission_without_login_takes_no_mail() {
        let facts = Facts {
            in_tls: true,
            ..SUBMISSION
        };
        for verb in [Verb::Mail, Verb::Rcpt, Verb::Data, Verb::Bdat] {
            assert_eq!(code(verb, facts), 530);
        }
        assert_eq!(code(Verb::Auth, facts), 0);
        assert_eq!(
            code(
                Verb::Mail,
                Facts {
                    logged_in: true,
                    ..facts
                }
            ),
            0
        );
    }

    #[test]
    fn an_mx_offers_no_login_and_asks_for_none() {
        let facts = Facts {
            role: Role::Mx,
            login: LoginOffer::Never,
            ..SUBMISSION
        };
        assert_eq!(code(Verb::Auth, facts), 502);
        assert_eq!(code(Verb::Mail, facts), 0);
        assert_eq!(
            code(
                Verb::Mail,
                Facts {
                    state: Kind::Connected,
                    ..facts
                }
            ),
            503
        );
        assert_eq!(
            code(
                Verb::Auth,
                Facts {
                    login: LoginOffer::AfterTls,
                    ..facts
                }
            ),
            530
        );
        assert_eq!(code(Verb::Xclient, facts), 502);
        assert_eq!(code(Verb::Expn, facts), 502);
    }

    #[test]
    fn a_securemx_takes_no_mail_before_tls() {
        let facts = Facts {
            role: Role::SecureMx,
            login: LoginOffer::Never,
            ..SUBMISSION
        };
        for verb in [Verb::Mail, Verb::Rcpt, Verb::Data, Verb::Bdat] {
            assert_eq!(code(verb, facts), 530, "{verb:?}");
        }
        for verb in [
            Verb::Ehlo,
            Verb::Noop,
            Verb::Rset,
            Verb::Quit,
            Verb::StartTls,
        ] {
            assert_eq!(code(verb, facts), 0, "{verb:?}");
        }
        let in_tls = Facts {
            in_tls: true,
            ..facts
        };
        assert_eq!(code(Verb::Mail, in_tls), 0);
    }

    #[test]
    fn the_order_of_a_transaction_is_kept() {
        let at = |state| Facts {
            state,
            role: Role::Mx,
            login: LoginOffer::Never,
            ..SUBMISSION
        };
        assert_eq!(code(Verb::Rcpt, at(Kind::Greeted)), 503);
        assert_eq!(code(Verb::Bdat, at(Kind::Greeted)), 503);
        assert_eq!(code(Verb::Mail, at(Kind::InMail)), 503);
        assert_eq!(code(Verb::Data, at(Kind::InChunks)), 503);
        assert_eq!(code(Verb::Rcpt, at(Kind::InChunks)), 503);
        assert_eq!(code(Verb::StartTls, at(Kind::InMail)), 503);
        assert_eq!(code(Verb::Rset, at(Kind::InChunks)), 0);
    }
}
