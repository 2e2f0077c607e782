//! MOVE (RFC 6851). A message is never in both mailboxes and never in neither. COPYUID comes untagged,
//! before the EXPUNGE lines, which the session writes after this.

use super::{Outcome, copy};
use crate::imap::grammar::command::Copy;
use crate::imap::reply::Reply;
use crate::imap::selected::Selected;
use crate::imap::wire::Wire;

pub(super) async fn run(wire: &mut Wire, selected: &mut Selected, arguments: Copy) -> Outcome {
    if let Some(refusal) = selected.refuse_writing() {
        return Ok(refusal);
    }
    let uids = match selected.uids_of(&arguments.set, arguments.numbering) {
        Ok(uids) => uids,
        Err(reply) => return Ok(reply),
    };
    let account = selected.account();
    let target = match copy::target(wire, account, &arguments.mailbox).await {
        Ok(target) => target,
        Err(reply) => return Ok(reply),
    };
    let mailboxes = wire.context.mailboxes.clone();
    match mailboxes
        .move_messages(account, selected.mailbox, uids, target)
        .await
    {
        Ok(moved) if moved.source.is_empty() => Ok(Reply::ok("There was nothing to move.")),
        Ok(moved) => {
            let told = Reply::ok_with(copy::copyuid(&moved), "Moved.");
            told.write(wire.out(), "*");
            Ok(Reply::ok("Moved."))
        }
        Err(error) => Ok(Reply::from(error)),
    }
}
