//! SUBSCRIBE and UNSUBSCRIBE (RFC 3501 §6.3.6, §6.3.7): names, whether such mailboxes exist or not.

use super::Outcome;
use crate::imap::names;
use crate::imap::reply::Reply;
use crate::imap::wire::Wire;
use directory::AccountId;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// SUBSCRIBE
    Subscribe,
    /// UNSUBSCRIBE
    Unsubscribe,
}

pub(super) async fn run(
    wire: &mut Wire,
    account: AccountId,
    mailbox: &[u8],
    wish: Wish,
) -> Outcome {
    let name = match names::from_wire(mailbox) {
        Ok(name) => name,
        Err(reply) => return Ok(reply),
    };
    let mailboxes = &wire.context.mailboxes;
    let (done, text) = match wish {
        Wish::Subscribe => (mailboxes.subscribe(account, &name).await, "Subscribed."),
        Wish::Unsubscribe => (mailboxes.unsubscribe(account, &name).await, "Unsubscribed."),
    };
    Ok(match done {
        Ok(()) => Reply::ok(text),
        Err(error) => Reply::from(error),
    })
}
