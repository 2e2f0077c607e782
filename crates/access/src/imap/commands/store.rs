//! STORE (RFC 3501 §6.4.6): changes flags, in batches that make nobody wait long.

use super::Outcome;
use crate::imap::grammar::command::{Change, Echo, Flag, Numbering, Store};
use crate::imap::reply::Reply;
use crate::imap::selected::Selected;
use crate::imap::wire::{Wire, push_number};
use mailbox::{FlagChange, FlagOperation, FlagRow, Flags, Keywords};

pub(super) async fn run(wire: &mut Wire, selected: &mut Selected, store: Store) -> Outcome {
    if let Some(refusal) = selected.refuse_writing() {
        return Ok(refusal);
    }
    let mut rest = match selected.uids_of(&store.set, store.numbering) {
        Ok(uids) => uids,
        Err(reply) => return Ok(reply),
    };
    let (flags, keywords) = match split_flags(&store.flags) {
        Ok(split) => split,
        Err(error) => return Ok(Reply::from(error)),
    };
    let change = FlagChange {
        operation: match store.change {
            Change::Add => FlagOperation::Add,
            Change::Remove => FlagOperation::Remove,
            Change::Replace => FlagOperation::Replace,
        },
        flags,
        keywords,
    };
    let (account, mailbox) = (selected.account(), selected.mailbox);
    let mailboxes = wire.context.mailboxes.clone();
    while !rest.is_empty() {
        let stored = mailboxes
            .store_flags(account, mailbox, rest, change.clone(), None)
            .await;
        let stored = match stored {
            Ok(stored) => stored,
            Err(error) => return Ok(Reply::from(error)),
        };
        rest = stored.rest;
        for row in &stored.rows {
            selected.tell_keywords(wire.out(), &row.now.keywords);
            // RFC 3501 §6.4.6: what others did to the message meanwhile is told in spite of .SILENT.
            if store.echo == Echo::Told || !selected.knows(row.modseq_before) {
                write_row(wire.out(), selected, &row.now, store.numbering);
            }
            if wire.is_full() {
                wire.flush().await?;
            }
        }
        if let Some(modseq) = stored.modseq {
            selected.told(modseq);
        }
    }
    Ok(Reply::ok("Stored."))
}

fn write_row(out: &mut Vec<u8>, selected: &Selected, row: &FlagRow, numbering: Numbering) {
    let Some(sequence) = selected.uids.sequence_of(row.uid) else {
        return;
    };
    out.extend_from_slice(b"* ");
    push_number(out, u64::from(sequence));
    out.extend_from_slice(b" FETCH (");
    if numbering == Numbering::Uid {
        // RFC 3501 §6.4.8: the UID is part of every answer to a UID command.
        out.extend_from_slice(b"UID ");
        push_number(out, u64::from(row.uid));
        out.push(b' ');
    }
    selected.write_flags(out, row.uid, row.flags, &row.keywords);
    out.extend_from_slice(b")\r\n");
}

/// System flags and keywords of a flag list; APPEND has one too.
pub(super) fn split_flags(list: &[Flag]) -> Result<(Flags, Keywords), mailbox::Error> {
    let mut flags = Flags::NONE;
    let mut keywords = Vec::new();
    for flag in list {
        flags |= match flag {
            Flag::Seen => Flags::SEEN,
            Flag::Answered => Flags::ANSWERED,
            Flag::Flagged => Flags::FLAGGED,
            Flag::Deleted => Flags::DELETED,
            Flag::Draft => Flags::DRAFT,
            Flag::Keyword(keyword) => {
                keywords.push(&**keyword);
                Flags::NONE
            }
        };
    }
    Ok((flags, Keywords::new(keywords)?))
}
