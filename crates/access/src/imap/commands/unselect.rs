//! UNSELECT (RFC 3691): leaves the mailbox and expunges nothing.

use super::Outcome;
use crate::imap::reply::Reply;
use crate::imap::session::{Session, State};

pub(super) async fn run(session: &mut Session) -> Outcome {
    leave(session).await;
    Ok(Reply::ok("No mailbox is selected now."))
}

/// Back to the state after login.
pub(super) async fn leave(session: &mut Session) {
    if let State::Selected(selected) = &mut session.state {
        selected.leave(&session.wire).await;
        let identity = selected.identity.clone();
        session.become_state(State::Known(identity));
    }
}
