//! STORE (RFC 3501 §6.4.6): changes flags, in batches that make nobody wait long.

use super::Outcome;
use crate::imap::grammar::command::{Change, Echo, Flag, Numbering, Store};
use crate::imap::reply::{Code, Reply};
use crate::imap::selected::Selected;
use crate::imap::wire::{Condstore, Ended, Wire, push_modseq, push_number};
use mailbox::{FlagChange, FlagOperation, FlagRow, Flags, Keywords, StoredRow, UidSet};

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
    if store.unchanged_since.is_some() {
        wire.condstore = Condstore::On;
    }
    let unchanged_since = store
        .unchanged_since
        .and_then(|limit| limit.try_into().ok());
    let mut modified = UidSet::new();
    let (account, mailbox) = (selected.account(), selected.mailbox);
    let mailboxes = wire.context.mailboxes.clone();
    while !rest.is_empty() {
        let stored = mailboxes
            .store_flags(account, mailbox, rest, change.clone(), unchanged_since)
            .await;
        let stored = match stored {
            Ok(stored) => stored,
            Err(error) => return Ok(Reply::from(error)),
        };
        rest = stored.rest;
        modified = modified.union(&stored.modified);
        tell(wire, selected, &store, &stored.rows).await?;
        if let Some(modseq) = stored.modseq {
            selected.told(modseq);
        }
    }
    if modified.is_empty() {
        return Ok(Reply::ok("Stored."));
    }
    let numbers = selected.numbers(&modified, store.numbering);
    let code = Code::With(format!("MODIFIED {numbers}").into());
    Ok(Reply::ok_with(
        code,
        "Some messages have changed meanwhile.",
    ))
}

/// Writes the lines of one batch.
async fn tell(
    wire: &mut Wire,
    selected: &mut Selected,
    store: &Store,
    rows: &[StoredRow],
) -> Result<(), Ended> {
    for row in rows {
        selected.tell_keywords(wire.out(), &row.now.keywords);
        // RFC 3501 §6.4.6: what others did to the message meanwhile is told in spite of .SILENT.
        let echo = match selected.knows(row.modseq_before) {
            true => store.echo,
            false => Echo::Told,
        };
        let condstore = wire.condstore;
        if echo == Echo::Told || condstore == Condstore::On {
            let line = Line {
                row: &row.now,
                numbering: store.numbering,
                echo,
                condstore,
            };
            line.write(wire.out(), selected);
        }
        if wire.is_full() {
            wire.flush().await?;
        }
    }
    Ok(())
}

/// What a peer is told of one message.
struct Line<'a> {
    row: &'a FlagRow,
    numbering: Numbering,
    echo: Echo,
    condstore: Condstore,
}

impl Line<'_> {
    fn write(&self, out: &mut Vec<u8>, selected: &Selected) {
        let row = self.row;
        let Some(sequence) = selected.uids.sequence_of(row.uid) else {
            return;
        };
        out.extend_from_slice(b"* ");
        push_number(out, u64::from(sequence));
        out.extend_from_slice(b" FETCH (");
        if self.numbering == Numbering::Uid {
            // RFC 3501 §6.4.8: the UID is part of every answer to a UID command.
            out.extend_from_slice(b"UID ");
            push_number(out, u64::from(row.uid));
            out.push(b' ');
        }
        // RFC 7162 §3.1.3: the modification sequence is told in spite of .SILENT.
        if self.condstore == Condstore::On {
            push_modseq(out, row.modseq);
        }
        if self.echo == Echo::Told {
            if self.condstore == Condstore::On {
                out.push(b' ');
            }
            selected.write_flags(out, row.uid, row.flags, &row.keywords);
        }
        out.extend_from_slice(b")\r\n");
    }
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
