//! FETCH (RFC 3501 §6.4.5). Reads rows in pages and writes them as they come; a slow reader holds
//! neither rows nor a database handle while it is waited for. Nothing of a message is read unless an
//! item asks for it, and bodies are streamed in pieces. Each data item has its handler in `items`.

mod items;
mod section;

use super::Outcome;
use crate::imap::grammar::command::{Fetch, Numbering};
use crate::imap::grammar::fetch::{Item, Seen};
use crate::imap::limits;
use crate::imap::reply::{Code, Reply};
use crate::imap::selected::{Access, Selected};
use crate::imap::wire::{Condstore, Ended, Wire, push_modseq, push_number};
use items::Message;
use mailbox::{FlagChange, FlagOperation, Flags, Keywords, MessageRow, UidSet};

/// What has to be read to answer, from cheap to dear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    /// Nothing but UIDs and flags.
    Flags,
    /// Dates and sizes, and where the bytes are.
    Rows,
}

/// A FETCH worked out.
struct Plan {
    items: Vec<Item>,
    source: Source,
    /// Whether messages become \Seen (RFC 3501 §6.4.5).
    seen: Seen,
    /// Messages whose last change is not after this one are left out (RFC 7162 §3.1.4.1).
    changed_since: u64,
}

impl Plan {
    fn new(fetch: Fetch, access: Access) -> Self {
        let mut items = fetch.items;
        // RFC 3501 §6.4.8: the UID is part of every answer to a UID command.
        if fetch.numbering == Numbering::Uid && !items.contains(&Item::Uid) {
            items.insert(0, Item::Uid);
        }
        if fetch.changed_since.is_some() && !items.contains(&Item::ModSeq) {
            items.push(Item::ModSeq);
        }
        let cheap = |item: &Item| matches!(item, Item::Uid | Item::Flags | Item::ModSeq);
        let source = if items.iter().all(cheap) {
            Source::Flags
        } else {
            Source::Rows
        };
        let sets_seen = access == Access::ReadWrite
            && items
                .iter()
                .any(|item| matches!(item, Item::Section(section) if section.seen == Seen::Sets));
        let seen = if sets_seen { Seen::Sets } else { Seen::Peeks };
        Self {
            items,
            source,
            seen,
            changed_since: fetch.changed_since.unwrap_or(0),
        }
    }

    fn wants(&self, modseq: i64) -> bool {
        modseq.unsigned_abs() > self.changed_since
    }

    fn rows_max(&self) -> usize {
        match self.seen {
            Seen::Sets => limits::ROWS_SEEN_PAGE,
            Seen::Peeks => limits::ROWS_PAGE,
        }
    }
}

/// What could not be answered in full.
#[derive(Debug, Default)]
struct Missing {
    /// Messages that are expunged already.
    gone: bool,
    /// The answer to give for bytes that could not be read.
    fault: Option<Reply>,
}

pub(super) async fn run(wire: &mut Wire, selected: &mut Selected, fetch: Fetch) -> Outcome {
    let uids = match selected.uids_of(&fetch.set, fetch.numbering) {
        Ok(uids) => uids,
        Err(reply) => return Ok(reply),
    };
    let plan = Plan::new(fetch, selected.access);
    if plan.items.contains(&Item::ModSeq) {
        wire.condstore = Condstore::On;
    }
    let wanted = uids.len();
    let done = match plan.source {
        Source::Flags => flags_only(wire, selected, &plan, uids).await?,
        Source::Rows => rows(wire, selected, &plan, uids).await?,
    };
    let (told, mut missing) = match done {
        Ok(done) => done,
        Err(error) => return Ok(Reply::from(error)),
    };
    missing.gone = told < wanted;
    Ok(match missing {
        Missing {
            fault: Some(reply), ..
        } => reply,
        // RFC 5530 §3: the peer will be told which, as soon as it may be.
        Missing { gone: true, .. } => {
            Reply::ok_with(Code::ExpungeIssued, "Some of the messages are expunged.")
        }
        Missing { .. } => Reply::ok("That is all."),
    })
}

/// How many messages were told, and what was missing.
type Told = Result<(u32, Missing), mailbox::Error>;

/// The hot path: nothing but UIDs and flags, one scan.
async fn flags_only(
    wire: &mut Wire,
    selected: &mut Selected,
    plan: &Plan,
    uids: UidSet,
) -> Result<Told, Ended> {
    let mailboxes = wire.context.mailboxes.clone();
    let (account, mailbox) = (selected.account(), selected.mailbox);
    let mut rest = uids;
    let mut told = 0;
    while !rest.is_empty() {
        let page = match mailboxes.flag_rows(account, mailbox, rest).await {
            Ok(page) => page,
            Err(error) => return Ok(Err(error)),
        };
        rest = page.rest;
        for row in &page.rows {
            let Some(sequence) = selected.uids.sequence_of(row.uid) else {
                continue;
            };
            told += 1;
            if !plan.wants(row.modseq) {
                continue;
            }
            selected.tell_keywords(wire.out(), &row.keywords);
            let out = wire.out();
            open_line(out, sequence);
            for item in &plan.items {
                match item {
                    Item::Uid => items::uid(out, row.uid),
                    Item::ModSeq => push_modseq(out, row.modseq),
                    _ => selected.write_flags(out, row.uid, row.flags, &row.keywords),
                }
                out.push(b' ');
            }
            close_line(out);
            if wire.is_full() {
                wire.flush().await?;
            }
        }
    }
    Ok(Ok((told, Missing::default())))
}

/// Everything else.
async fn rows(
    wire: &mut Wire,
    selected: &mut Selected,
    plan: &Plan,
    uids: UidSet,
) -> Result<Told, Ended> {
    let mailboxes = wire.context.mailboxes.clone();
    let (account, mailbox) = (selected.account(), selected.mailbox);
    let mut rest = uids;
    let mut told = 0;
    let mut missing = Missing::default();
    while !rest.is_empty() {
        let page = mailboxes
            .rows(account, mailbox, rest, plan.rows_max())
            .await;
        let mut page = match page {
            Ok(page) => page,
            Err(error) => return Ok(Err(error)),
        };
        rest = page.rest;
        let there = page.rows.len();
        page.rows.retain(|row| plan.wants(row.modseq));
        // What is left out is there all the same.
        told += u32::try_from(there - page.rows.len()).unwrap_or(0);
        let mut newly_seen = UidSet::new();
        if plan.seen == Seen::Sets {
            newly_seen = match mark_seen(wire, selected, &mut page.rows).await {
                Ok(newly_seen) => newly_seen,
                Err(error) => return Ok(Err(error)),
            };
        }
        for row in &page.rows {
            let Some(sequence) = selected.uids.sequence_of(row.uid) else {
                continue;
            };
            told += 1;
            selected.tell_keywords(wire.out(), &row.keywords);
            let tell_flags = newly_seen.contains(row.uid) && !plan.items.contains(&Item::Flags);
            open_line(wire.out(), sequence);
            if newly_seen.contains(row.uid)
                && wire.condstore == Condstore::On
                && !plan.items.contains(&Item::ModSeq)
            {
                push_modseq(wire.out(), row.modseq);
                wire.out().push(b' ');
            }
            if tell_flags {
                selected.write_flags(wire.out(), row.uid, row.flags, &row.keywords);
                wire.out().push(b' ');
            }
            let mut message = Message::new(&mailboxes, row);
            for item in &plan.items {
                let written = message.write(wire, selected, item).await?;
                if let Err(error) = written {
                    missing.fault = Some(Reply::from(error));
                }
                wire.out().push(b' ');
            }
            close_line(wire.out());
            if wire.is_full() {
                wire.flush().await?;
            }
            // Other sessions on this thread go on while this one reads from the page cache.
            tokio::task::coop::consume_budget().await;
        }
    }
    Ok(Ok((told, missing)))
}

fn open_line(out: &mut Vec<u8>, sequence: u32) {
    out.extend_from_slice(b"* ");
    push_number(out, u64::from(sequence));
    out.extend_from_slice(b" FETCH (");
}

/// Takes the last space away and closes.
fn close_line(out: &mut Vec<u8>) {
    if out.last() == Some(&b' ') {
        out.pop();
    }
    out.extend_from_slice(b")\r\n");
}

/// Sets \Seen on the rows of a page in one transaction, and says on which it was not set before.
async fn mark_seen(
    wire: &Wire,
    selected: &mut Selected,
    rows: &mut [MessageRow],
) -> Result<UidSet, mailbox::Error> {
    let unseen: UidSet = rows
        .iter()
        .filter(|row| !row.flags.contains(Flags::SEEN))
        .map(|row| row.uid)
        .collect();
    if unseen.is_empty() {
        return Ok(unseen);
    }
    let change = FlagChange {
        operation: FlagOperation::Add,
        flags: Flags::SEEN,
        keywords: Keywords::default(),
    };
    let (account, mailbox) = (selected.account(), selected.mailbox);
    let mailboxes = &wire.context.mailboxes;
    let stored = mailboxes
        .store_flags(account, mailbox, unseen.clone(), change, None)
        .await?;
    if let Some(modseq) = stored.modseq {
        selected.told(modseq);
    }
    // What another session changed since the page was read is told here, or never: this session's
    // own modification sequence hides it from `announce`.
    for stored in stored.rows {
        if let Ok(at) = rows.binary_search_by_key(&stored.now.uid, |row| row.uid)
            && let Some(row) = rows.get_mut(at)
        {
            row.modseq = stored.now.modseq;
            row.flags = stored.now.flags;
            row.keywords = stored.now.keywords;
        }
    }
    Ok(unseen)
}
