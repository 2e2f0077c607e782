//! CLOSE (RFC 3501 §6.4.2): expunges without telling, and leaves the mailbox. After EXAMINE nothing is
//! expunged.

use super::{Outcome, unselect};
use crate::imap::reply::Reply;
use crate::imap::selected::Access;
use crate::imap::session::{Session, State};
use mailbox::ExpungeScope;

pub(super) async fn run(session: &mut Session) -> Outcome {
    let State::Selected(selected) = &session.state else {
        return Ok(super::out_of_order());
    };
    let (account, mailbox, access) = (selected.account(), selected.mailbox, selected.access);
    let mailboxes = session.wire.context.mailboxes.clone();
    unselect::leave(session).await;
    if access == Access::ReadOnly {
        return Ok(Reply::ok("Closed."));
    }
    match mailboxes
        .expunge(account, mailbox, ExpungeScope::Deleted)
        .await
    {
        Ok(_) => Ok(Reply::ok("Closed.")),
        Err(mailbox::Error::NoSuchMailbox) => Ok(Reply::ok("Closed; the mailbox is gone.")),
        Err(error) => Ok(Reply::from(error)),
    }
}
