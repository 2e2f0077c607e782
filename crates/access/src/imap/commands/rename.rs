//! RENAME (RFC 3501 §6.3.5): a mailbox and everything below it. INBOX stays and its messages move.

use super::Outcome;
use crate::imap::names;
use crate::imap::reply::Reply;
use crate::imap::wire::Wire;
use directory::AccountId;

pub(super) async fn run(wire: &mut Wire, account: AccountId, from: &[u8], to: &[u8]) -> Outcome {
    let (from, to) = match (names::from_wire(from), names::from_wire(to)) {
        (Ok(from), Ok(to)) => (from, to),
        (Err(reply), _) | (_, Err(reply)) => return Ok(reply),
    };
    Ok(
        match wire.context.mailboxes.rename(account, &from, &to).await {
            Ok(()) => Reply::ok("Renamed."),
            Err(error) => Reply::from(error),
        },
    )
}
