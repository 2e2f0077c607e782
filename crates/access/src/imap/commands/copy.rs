//! COPY (RFC 3501 §6.4.7): all messages or none. No body is copied. Answers with COPYUID (RFC 4315 §3).

use super::Outcome;
use crate::imap::grammar::command::Copy;
use crate::imap::names;
use crate::imap::reply::{Code, Reply};
use crate::imap::selected::Selected;
use crate::imap::wire::Wire;
use directory::AccountId;
use mailbox::{Copied, MailboxId};

pub(super) async fn run(wire: &mut Wire, selected: &mut Selected, copy: Copy) -> Outcome {
    let uids = match selected.uids_of(&copy.set, copy.numbering) {
        Ok(uids) => uids,
        Err(reply) => return Ok(reply),
    };
    let account = selected.account();
    let target = match target(wire, account, &copy.mailbox).await {
        Ok(target) => target,
        Err(reply) => return Ok(reply),
    };
    let mailboxes = &wire.context.mailboxes;
    let quota = wire.context.settings.quota;
    match mailboxes
        .copy(account, selected.mailbox, uids, target, quota)
        .await
    {
        Ok(copied) if copied.source.is_empty() => Ok(Reply::ok("There was nothing to copy.")),
        Ok(copied) => Ok(Reply::ok_with(copyuid(&copied), "Copied.")),
        Err(error) => Ok(Reply::from(error)),
    }
}

/// The mailbox messages are to go to. RFC 3501 §6.4.7: where it is missing, CREATE may help.
pub(super) async fn target(
    wire: &Wire,
    account: AccountId,
    mailbox: &[u8],
) -> Result<MailboxId, Reply> {
    let name = names::from_wire(mailbox)?;
    match wire.context.mailboxes.status(account, &name).await {
        Ok(status) => Ok(status.mailbox),
        Err(error) => {
            let reply = Reply::from(error);
            Err(if reply.has_code(&Code::Nonexistent) {
                reply.recoded(Code::TryCreate)
            } else {
                reply
            })
        }
    }
}

/// RFC 4315 §3.
pub(super) fn copyuid(copied: &Copied) -> Code {
    let Copied {
        uidvalidity,
        source,
        target,
    } = copied;
    Code::With(format!("COPYUID {uidvalidity} {source} {target}").into())
}
