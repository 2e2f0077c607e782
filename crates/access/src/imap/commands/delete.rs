//! DELETE (RFC 3501 §6.3.4): the mailbox goes with its messages; mailboxes below it stay.

use super::Outcome;
use crate::imap::names;
use crate::imap::reply::Reply;
use crate::imap::wire::Wire;
use directory::AccountId;

pub(super) async fn run(wire: &mut Wire, account: AccountId, mailbox: &[u8]) -> Outcome {
    let name = match names::from_wire(mailbox) {
        Ok(name) => name,
        Err(reply) => return Ok(reply),
    };
    Ok(match wire.context.mailboxes.delete(account, &name).await {
        Ok(()) => Reply::ok("Deleted."),
        Err(error) => Reply::from(error),
    })
}
