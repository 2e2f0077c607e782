//! Every POP3 command: name, state it is allowed in, function. A command is a file.
//!
//! | command                     | state                      |
//! |-----------------------------|----------------------------|
//! | CAPA NOOP QUIT              | both                       |
//! | STLS USER PASS AUTH UTF8    | before login               |
//! | STAT LIST UIDL RETR TOP DELE RSET | after login          |

mod auth;
mod capa;
mod dele;
mod list;
mod pass;
mod quit;
mod retr;
mod stat;
mod stls;
mod user;

use super::grammar::Command;
use super::session::{Ended, Session, State, Then, Transaction};
use admission::Barred;
use directory::sasl::Mechanism;
use platform::net::Door;

/// What a client before TLS is told (RFC 3206 §4, RFC 8314 §4.1). The same whatever it sent.
const TLS_FIRST: &str = "[SYS/PERM] logging in needs encryption: set your mail program \
     to STARTTLS (command STLS) on this port, or to SSL/TLS on port 995";

pub(super) async fn run(session: &mut Session, command: Command) -> Result<Then, Ended> {
    let before_login = matches!(session.state, State::Authorization { .. });
    match command {
        Command::Capa => capa::run(session),
        Command::Noop => session.ok(""),
        Command::Quit => return quit::run(session).await,
        Command::Stls if before_login => return stls::run(session).await,
        Command::User(name) if before_login => user::run(session, name).await,
        Command::Pass(password) if before_login => return pass::run(session, &password).await,
        Command::Auth { mechanism, initial } if before_login => {
            return auth::run(session, mechanism.as_deref(), initial.as_deref()).await;
        }
        // Names and passwords are UTF-8 anyway; messages are sent as they are (RFC 6856 §2).
        Command::Utf8 if before_login => match session.connection.stream.tls() {
            Some(_) => session.ok("UTF-8 it is"),
            // RFC 6856 §2.1: STLS must not follow UTF8.
            None => session.refuse(TLS_FIRST),
        },
        Command::Stls
        | Command::User(_)
        | Command::Pass(_)
        | Command::Auth { .. }
        | Command::Utf8 => {
            session.refuse("you are logged in already");
            return Ok(session.count_error());
        }
        Command::Stat => return with_maildrop(session, stat::run),
        Command::Rset => return with_maildrop(session, dele::reset),
        Command::Dele(message) => {
            return with_maildrop(session, |transaction| dele::run(transaction, message));
        }
        Command::List(message) => return list::run(session, list::Column::Size, message).await,
        Command::Uidl(message) => return list::run(session, list::Column::Uidl, message).await,
        Command::Retr(message) => return retr::run(session, message, retr::Amount::All).await,
        Command::Top { message, lines } => {
            return retr::run(session, message, retr::Amount::BodyLines(lines)).await;
        }
    }
    Ok(Then::GoOn)
}

/// Answers a login where none is offered.
fn no_login(session: &mut Session, barred: &Barred) {
    let connection = &session.connection;
    if connection.stream.tls().is_some() || connection.door == Door::Legacy {
        session.refuse(&barred_text(barred));
    } else {
        session.refuse(TLS_FIRST);
    }
}

/// RFC 3206 §4: nothing the client sends again helps.
fn barred_text(barred: &Barred) -> String {
    format!("[SYS/PERM] {}", barred.text())
}

/// USER and PASS are PLAIN by another name.
fn password_is_offered(session: &Session) -> bool {
    session.context.mechanisms.contains(&Mechanism::Plain)
}

/// Runs a command that needs an open maildrop and answers with one line.
fn with_maildrop(
    session: &mut Session,
    run: impl FnOnce(&mut Transaction) -> Result<String, String>,
) -> Result<Then, Ended> {
    let State::Transaction(transaction) = &mut session.state else {
        return Ok(log_in_first(session));
    };
    match run(transaction) {
        Ok(text) => session.ok(&text),
        Err(text) => {
            session.refuse(&text);
            return Ok(session.count_error());
        }
    }
    Ok(Then::GoOn)
}

/// Answers a command that needs a login.
fn log_in_first(session: &mut Session) -> Then {
    session.refuse("log in first");
    session.count_error()
}

impl Transaction {
    /// The index of message number `message`, where it is there and not marked.
    fn index(&self, message: u32) -> Result<usize, String> {
        let missing = || format!("there is no message {message}");
        let index = (message as usize).checked_sub(1).ok_or_else(missing)?;
        if index >= self.maildrop.messages.len() {
            return Err(missing());
        }
        if self.marked.contains(&index) {
            return Err(format!(
                "message {message} is marked for removal; RSET takes that back"
            ));
        }
        Ok(index)
    }

    /// Number and size of the messages that are not marked.
    fn totals(&self) -> (usize, u64) {
        let messages = &self.maildrop.messages;
        let all: u64 = messages.iter().map(|message| message.size).sum();
        let gone: u64 = self
            .marked
            .iter()
            .filter_map(|i| messages.get(*i))
            .map(|message| message.size)
            .sum();
        (messages.len() - self.marked.len(), all - gone)
    }
}
