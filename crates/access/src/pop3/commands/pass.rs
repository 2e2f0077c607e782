//! PASS (RFC 1939 §7): the login with name and password, and what follows every login: the
//! maildrop is locked and its snapshot taken. Where no login is offered the password is not looked at.

use super::super::limits::LOGINS_FAILED_MAX;
use super::super::session::{Ended, Session, State, Then, Transaction};
use super::{barred_text, no_login, password_is_offered};
use admission::{Outcome, Unoffered};
use directory::{Identity, LoginRuling};
use std::collections::BTreeSet;

pub(super) async fn run(session: &mut Session, password: &[u8]) -> Result<Then, Ended> {
    let State::Authorization { user } = &mut session.state else {
        return Ok(Then::GoOn);
    };
    let user = user.take();
    let context = session.context.clone();
    let now = context.clock.now();
    if let Err(barred) = session.offer() {
        if let Some(user) = &user {
            let attempt = Unoffered::Password(user);
            let desk = &context.desk;
            desk.turned_away(&session.visit(), &attempt, now).await;
        }
        no_login(session, &barred);
        return Ok(Then::GoOn);
    }
    let Some(user) = user.filter(|_| password_is_offered(session)) else {
        session.refuse("USER comes first");
        return Ok(session.count_error());
    };
    let outcome = context
        .desk
        .login(&session.visit(), &user, password, now)
        .await;
    Ok(conclude(session, outcome).await)
}

/// Answers a login, by whatever means it came about.
pub(super) async fn conclude(session: &mut Session, outcome: Outcome) -> Then {
    match outcome {
        Outcome::LoggedIn { identity, notice } => {
            let notice = notice.map(|notice| notice.text);
            return open(session, identity, notice.as_deref()).await;
        }
        Outcome::Refused(ruling @ LoginRuling::TryLater { .. }) => {
            session.refuse(&format!("[SYS/TEMP] {}", ruling.text()));
        }
        Outcome::Refused(ruling) => session.refuse(&format!("[AUTH] {}", ruling.text())),
        Outcome::Barred(barred) => session.refuse(&barred_text(&barred)),
    }
    session.logins_failed += 1;
    if session.logins_failed >= LOGINS_FAILED_MAX {
        Then::End
    } else {
        Then::GoOn
    }
}

async fn open(session: &mut Session, identity: Identity, notice: Option<&str>) -> Then {
    let Some(lock) = session.context.locks.take(identity.account) else {
        session.refuse(
            "[IN-USE] another program has this maildrop open; wait until it is done, or use IMAP",
        );
        return Then::GoOn;
    };
    match session.context.mailboxes.maildrop(identity.account).await {
        Ok(maildrop) => {
            let count = maildrop.messages.len();
            let text = match notice {
                Some(notice) => format!("{count} messages. {notice}"),
                None => format!("{count} messages"),
            };
            session.state = State::Transaction(Box::new(Transaction {
                identity,
                maildrop,
                marked: BTreeSet::new(),
                _lock: lock,
            }));
            session.watch();
            session.ok(&text);
        }
        Err(error) => {
            tracing::error!(%error, "pop3.maildrop_failed");
            session.refuse("[SYS/TEMP] the maildrop cannot be opened right now; try again later");
        }
    }
    Then::GoOn
}
