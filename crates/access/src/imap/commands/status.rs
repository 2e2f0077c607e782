//! STATUS (RFC 3501 §6.3.10, RFC 8438): counters of a mailbox, from one row.

use super::Outcome;
use crate::imap::grammar::command::StatusItem;
use crate::imap::names;
use crate::imap::reply::Reply;
use crate::imap::wire::{Condstore, Wire, push_number};
use directory::AccountId;
use mailbox::Status;

pub(super) async fn run(
    wire: &mut Wire,
    account: AccountId,
    mailbox: &[u8],
    items: &[StatusItem],
) -> Outcome {
    let name = match names::from_wire(mailbox) {
        Ok(name) => name,
        Err(reply) => return Ok(reply),
    };
    let status = match wire.context.mailboxes.status(account, &name).await {
        Ok(status) => status,
        Err(error) => return Ok(Reply::from(error)),
    };
    Ok(
        match write(wire, account, name.as_str(), status, items).await {
            Ok(()) => Reply::ok("That is all."),
            Err(error) => Reply::from(error),
        },
    )
}

/// Writes the STATUS line of one mailbox; LIST does so too (RFC 5819).
pub(super) async fn write(
    wire: &mut Wire,
    account: AccountId,
    name: &str,
    status: Status,
    items: &[StatusItem],
) -> Result<(), mailbox::Error> {
    let mut recent = 0;
    if items.contains(&StatusItem::Recent) {
        recent = wire.context.mailboxes.recent(account, status).await?;
    }
    if items.contains(&StatusItem::HighestModSeq) {
        wire.condstore = Condstore::On;
    }
    let append_bytes_max = wire.context.settings.append_bytes_max;
    let out = wire.out();
    out.extend_from_slice(b"* STATUS ");
    names::write(out, name);
    out.extend_from_slice(b" (");
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        let (word, number) = match item {
            StatusItem::Messages => ("MESSAGES", u64::from(status.messages)),
            StatusItem::Recent => ("RECENT", u64::from(recent)),
            StatusItem::UidNext => ("UIDNEXT", u64::from(status.uidnext)),
            StatusItem::UidValidity => ("UIDVALIDITY", u64::from(status.uidvalidity)),
            StatusItem::Unseen => ("UNSEEN", u64::from(status.unseen)),
            StatusItem::Size => ("SIZE", status.bytes),
            StatusItem::HighestModSeq => ("HIGHESTMODSEQ", status.highest_modseq.unsigned_abs()),
            StatusItem::AppendLimit => ("APPENDLIMIT", append_bytes_max),
        };
        out.extend_from_slice(word.as_bytes());
        out.push(b' ');
        push_number(out, number);
    }
    out.extend_from_slice(b")\r\n");
    Ok(())
}
