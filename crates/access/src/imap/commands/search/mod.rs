//! SEARCH (RFC 3501 §6.4.4, RFC 4731). Keys that a row answers are asked first; only messages for which
//! that decides nothing have their facts and bytes read, in pieces, with pauses for other sessions.

mod leaf;
mod test;

use super::Outcome;
use crate::imap::grammar::command::Numbering;
use crate::imap::grammar::search::{Returns, Search};
use crate::imap::limits;
use crate::imap::reply::{Code, Reply};
use crate::imap::selected::Selected;
use crate::imap::wire::{Condstore, Ended, Wire, push_number};
use leaf::Letter;
use mailbox::{MessageRow, UidSet};
use test::{Answer, Needs, RowView, Test};

pub(super) async fn run(wire: &mut Wire, selected: &mut Selected, search: Search) -> Outcome {
    let known = ["US-ASCII", "UTF-8"];
    if search
        .charset
        .as_deref()
        .is_some_and(|charset| !known.contains(&charset))
    {
        return Ok(Reply::no(Code::BadCharset, "Please search in UTF-8."));
    }
    let test = match Test::new(&search.keys, selected) {
        Ok(test) => test,
        Err(reply) => return Ok(reply),
    };
    if test.asks_modseq() {
        wire.condstore = Condstore::On;
    }
    let found = match test.needs() {
        Needs::Nothing => by_uids(selected, &test).await,
        Needs::Flags => match by_flags(wire, selected, &test).await {
            Ok(found) => found,
            Err(error) => return Ok(Reply::from(error)),
        },
        Needs::Rows => match by_rows(wire, selected, &test).await {
            Ok(found) => found,
            Err(error) => return Ok(Reply::from(error)),
        },
    };
    let modseq = test.asks_modseq().then(|| found.modseq(search.returns));
    answer(wire, selected, &search, &found.uids, modseq).await?;
    Ok(Reply::ok("That is all."))
}

/// What was found, and the modification sequences of the first, the last and the last changed of them.
#[derive(Debug, Default)]
struct Found {
    uids: UidSet,
    first: i64,
    last: i64,
    highest: i64,
}

impl Found {
    /// Adds a message; they come in ascending order.
    fn push(&mut self, uid: u32, modseq: i64) {
        if self.uids.is_empty() {
            self.first = modseq;
        }
        self.last = modseq;
        self.highest = self.highest.max(modseq);
        self.uids.push(uid, uid);
    }

    /// RFC 4731 §3.2: the highest of the messages the answer tells.
    fn modseq(&self, returns: Option<Returns>) -> i64 {
        match returns {
            Some(Returns {
                all: false,
                count: false,
                min,
                max,
            }) => {
                let first = if min { self.first } else { 0 };
                let last = if max { self.last } else { 0 };
                first.max(last)
            }
            _ => self.highest,
        }
    }
}

/// Numbers alone decide, such as in `NOT 2` or `OLD`.
async fn by_uids(selected: &Selected, test: &Test) -> Found {
    let mut found = Found::default();
    for uid in test.among().iter() {
        if test.ask(&RowView::of_uid(selected, uid), &[]) == Answer::Yes {
            found.push(uid, 0);
        }
        tokio::task::coop::consume_budget().await;
    }
    found
}

/// One scan over flags; messages that are expunged already are not found.
async fn by_flags(wire: &Wire, selected: &Selected, test: &Test) -> Result<Found, mailbox::Error> {
    let mailboxes = &wire.context.mailboxes;
    let mut rest = test.among().clone();
    let mut found = Found::default();
    while !rest.is_empty() {
        let page = mailboxes
            .flag_rows(selected.account(), selected.mailbox, rest)
            .await?;
        rest = page.rest;
        for row in &page.rows {
            if test.ask(&RowView::of_flags(selected, row), &[]) == Answer::Yes {
                found.push(row.uid, row.modseq);
            }
        }
        tokio::task::yield_now().await;
    }
    Ok(found)
}

async fn by_rows(wire: &Wire, selected: &Selected, test: &Test) -> Result<Found, mailbox::Error> {
    let mailboxes = &wire.context.mailboxes;
    let mut rest = test.among().clone();
    let mut found = Found::default();
    while !rest.is_empty() {
        let (account, mailbox) = (selected.account(), selected.mailbox);
        let page = mailboxes
            .rows(account, mailbox, rest, limits::ROWS_PAGE)
            .await?;
        rest = page.rest;
        for row in &page.rows {
            if holds(wire, selected, test, row).await? {
                found.push(row.uid, row.modseq);
            }
        }
        tokio::task::yield_now().await;
    }
    Ok(found)
}

/// Asks the row, and as long as that is not enough, one leaf after the other.
async fn holds(
    wire: &Wire,
    selected: &Selected,
    test: &Test,
    row: &MessageRow,
) -> Result<bool, mailbox::Error> {
    let view = RowView::of(selected, row);
    let mut known = vec![None; test.leaves().len()];
    let mut letter = Letter::new(wire.context.mailboxes.content(row));
    loop {
        let index = match test.ask(&view, &known) {
            Answer::Yes => return Ok(true),
            Answer::No => return Ok(false),
            Answer::Needs(index) => index,
        };
        let Some(leaf) = test.leaves().get(index) else {
            return Ok(false);
        };
        let holds = letter.holds(leaf).await?;
        if let Some(place) = known.get_mut(index) {
            *place = Some(holds);
        }
        tokio::task::coop::consume_budget().await;
    }
}

async fn answer(
    wire: &mut Wire,
    selected: &Selected,
    search: &Search,
    found: &UidSet,
    modseq: Option<i64>,
) -> Result<(), Ended> {
    // RFC 7162 §3.1.6, §3.1.10: with nothing found there is nothing to tell.
    let modseq = modseq.filter(|_| !found.is_empty());
    match search.returns {
        None => {
            plain(wire, selected, search.numbering, found).await?;
            let out = wire.out();
            if let Some(modseq) = modseq {
                out.extend_from_slice(b" (MODSEQ ");
                push_number(out, modseq.unsigned_abs());
                out.push(b')');
            }
        }
        Some(returns) => {
            extended(wire, selected, search.numbering, found, returns);
            let out = wire.out();
            if let Some(modseq) = modseq {
                out.extend_from_slice(b" MODSEQ ");
                push_number(out, modseq.unsigned_abs());
            }
        }
    }
    wire.out().extend_from_slice(b"\r\n");
    Ok(())
}

/// RFC 3501 §7.2.5.
async fn plain(
    wire: &mut Wire,
    selected: &Selected,
    numbering: Numbering,
    found: &UidSet,
) -> Result<(), Ended> {
    wire.out().extend_from_slice(b"* SEARCH");
    for uid in found.iter() {
        let Some(number) = number(selected, numbering, uid) else {
            continue;
        };
        wire.out().push(b' ');
        push_number(wire.out(), u64::from(number));
        if wire.is_full() {
            wire.flush().await?;
        }
    }
    Ok(())
}

fn number(selected: &Selected, numbering: Numbering, uid: u32) -> Option<u32> {
    match numbering {
        Numbering::Uid => Some(uid),
        Numbering::Sequence => selected.uids.sequence_of(uid),
    }
}

/// RFC 4731 §3.1, RFC 4466 §2.6.2.
fn extended(
    wire: &mut Wire,
    selected: &Selected,
    numbering: Numbering,
    found: &UidSet,
    returns: Returns,
) {
    let tag = wire.tag.clone();
    let out = wire.out();
    out.extend_from_slice(b"* ESEARCH (TAG \"");
    out.extend_from_slice(tag.as_bytes());
    out.extend_from_slice(b"\")");
    if numbering == Numbering::Uid {
        out.extend_from_slice(b" UID");
    }
    let mut tell = |wanted: bool, name: &str, uid: Option<u32>| {
        if let Some(number) = uid
            .filter(|_| wanted)
            .and_then(|uid| number(selected, numbering, uid))
        {
            out.extend_from_slice(name.as_bytes());
            push_number(out, u64::from(number));
        }
    };
    tell(returns.min, " MIN ", found.first());
    tell(returns.max, " MAX ", found.last());
    if returns.count {
        out.extend_from_slice(b" COUNT ");
        push_number(out, u64::from(found.len()));
    }
    if returns.all && !found.is_empty() {
        let set = selected.numbers(found, numbering).to_string();
        out.extend_from_slice(b" ALL ");
        out.extend_from_slice(set.as_bytes());
    }
}
