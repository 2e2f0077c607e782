//! PASS (RFC 1939 §7): the login with name and password, and what follows every login: the
//! maildrop is locked and its snapshot taken.

use super::super::limits::LOGINS_FAILED_MAX;
use super::super::session::{Ended, Session, State, Then, Transaction};
use super::TLS_FIRST;
use directory::{Identity, Login, LoginRuling, Protocol};
use std::collections::BTreeSet;

pub(super) async fn run(session: &mut Session, password: &[u8]) -> Result<Then, Ended> {
    if session.connection.stream.tls().is_none() {
        session.refuse(TLS_FIRST);
        return Ok(Then::GoOn);
    }
    let State::Authorization { user } = &mut session.state else {
        return Ok(Then::GoOn);
    };
    let Some(user) = user.take() else {
        session.refuse("USER comes first");
        return Ok(session.count_error());
    };
    let login = Login {
        user: &user,
        password,
        protocol: Protocol::Pop3,
        peer: session.connection.stream.peer().ip(),
        now: session.context.clock.now(),
    };
    let ruling = session.context.directory.login(login).await;
    Ok(conclude(session, ruling).await)
}

/// Answers a login, by whatever means it came about.
pub(super) async fn conclude(session: &mut Session, ruling: LoginRuling) -> Then {
    let stream = &session.connection.stream;
    directory::login::record(&ruling, Protocol::Pop3, stream.peer().ip(), stream.tls());
    match ruling {
        LoginRuling::Accepted(identity) => return open(session, identity).await,
        LoginRuling::Refused(_) => session.refuse(&format!("[AUTH] {}", ruling.text())),
        LoginRuling::TryLater { .. } => session.refuse(&format!("[SYS/TEMP] {}", ruling.text())),
    }
    session.logins_failed += 1;
    if session.logins_failed >= LOGINS_FAILED_MAX {
        Then::End
    } else {
        Then::GoOn
    }
}

async fn open(session: &mut Session, identity: Identity) -> Then {
    let Some(lock) = session.context.locks.take(identity.account) else {
        session.refuse(
            "[IN-USE] another program has this maildrop open; wait until it is done, or use IMAP",
        );
        return Then::GoOn;
    };
    match session.context.mailboxes.maildrop(identity.account).await {
        Ok(maildrop) => {
            let text = format!("{} messages", maildrop.messages.len());
            session.state = State::Transaction(Box::new(Transaction {
                identity,
                maildrop,
                marked: BTreeSet::new(),
                _lock: lock,
            }));
            session.ok(&text);
        }
        Err(error) => {
            tracing::error!(%error, "pop3.maildrop_failed");
            session.refuse("[SYS/TEMP] the maildrop cannot be opened right now; try again later");
        }
    }
    Then::GoOn
}
