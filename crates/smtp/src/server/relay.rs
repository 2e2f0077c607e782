//! Relay sources: servers that hand mail in at the submission port without a login, such as a web server. Where a
//! client is one, its messages are those of the account it speaks for. `policy` says who is one; asked at MAIL.

use super::session::Session;
use super::settings::Role;
use crate::reply::{Permanent, Reply, Status};
use directory::{Credential, Identity};
use platform::store::StoreError;
use policy::relay_source::InClear;

/// Before MAIL of somebody who did not log in: from here on the session is that of the account, where the client is a
/// relay source. Asked again at each MAIL, so that a source that was taken away ends at once. `Some` is a refusal.
///
/// # Errors
/// Those of the store.
pub(super) async fn claim(session: &mut Session) -> Result<Option<Reply>, StoreError> {
    let logged_in = session.login.is_some() && !is_relayed(session);
    if session.role != Role::Submission || logged_in {
        return Ok(None);
    }
    let policy = session.context.policies.snapshot();
    let client = session.connection.stream.peer().ip();
    let Some(source) = policy.relay_source(client) else {
        session.login = None;
        return Ok(None);
    };
    let in_tls = session.connection.stream.tls().is_some();
    if !in_tls && source.source.clear == InClear::Refused {
        session.login = None;
        return Ok(None);
    }
    let (directory, first) = (&session.context.directory, session.login.is_none());
    let identity = directory.speaking_for(source.account, &source.name).await?;
    let Some(identity) = identity else {
        session.login = None;
        return Ok(None);
    };
    // In clear the source itself says that it may.
    if first && in_tls {
        let desk = &session.context.desk;
        if let Err(barred) = desk.relayed(&session.visit(), &identity, session.context.clock.now())
        {
            return Ok(Some(Reply::permanent(
                Permanent::FirstDoThis,
                Status::SECURITY,
                barred.text().to_owned(),
            )));
        }
    }
    session.login = Some(identity);
    Ok(None)
}

/// Whether this client may hand mail in without TLS.
pub(super) fn may_in_clear(session: &Session) -> bool {
    if session.role != Role::Submission || session.connection.stream.tls().is_some() {
        return false;
    }
    let policy = session.context.policies.snapshot();
    let client = session.connection.stream.peer().ip();
    let source = policy.relay_source(client);
    source.is_some_and(|source| source.source.clear == InClear::Allowed)
}

/// The relay source of an identity; `None` for somebody who logged in.
pub(super) fn source(login: &Identity) -> Option<&str> {
    match &login.credential {
        Credential::RelaySource { name } => Some(name),
        _ => None,
    }
}

/// Whether the session is that of a relay source.
pub(super) fn is_relayed(session: &Session) -> bool {
    session.login.as_ref().and_then(source).is_some()
}
