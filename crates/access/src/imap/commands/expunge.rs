//! EXPUNGE (RFC 3501 §6.4.3) and UID EXPUNGE (RFC 4315 §2.1). What went, by whomever, is told by the
//! session after this and before the answer.

use super::Outcome;
use crate::imap::grammar::command::Numbering;
use crate::imap::grammar::set::Set;
use crate::imap::reply::Reply;
use crate::imap::selected::Selected;
use crate::imap::wire::Wire;
use mailbox::ExpungeScope;

pub(super) async fn run(wire: &mut Wire, selected: &mut Selected, set: Option<Set>) -> Outcome {
    if let Some(refusal) = selected.refuse_writing() {
        return Ok(refusal);
    }
    let scope = match set {
        None => ExpungeScope::Deleted,
        Some(set) => match selected.uids_of(&set, Numbering::Uid) {
            Ok(uids) => ExpungeScope::DeletedWithin(uids),
            Err(reply) => return Ok(reply),
        },
    };
    let mailboxes = &wire.context.mailboxes;
    Ok(
        match mailboxes
            .expunge(selected.account(), selected.mailbox, scope)
            .await
        {
            Ok(_) => Reply::ok("Expunged."),
            Err(error) => Reply::from(error),
        },
    )
}
