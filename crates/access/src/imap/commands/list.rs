//! LIST (RFC 3501 §6.3.8) with RFC 5258, RFC 5819 and RFC 6154. Answers from one read of the account's
//! mailboxes, whose number is bounded.

use super::{Outcome, status};
use crate::imap::grammar::list::List;
use crate::imap::names;
use crate::imap::reply::{Code, Reply};
use crate::imap::wire::{Ended, Wire};
use directory::AccountId;
use mailbox::MailboxInfo;
use std::collections::BTreeMap;

/// What is known of one name.
#[derive(Debug, Default)]
struct Entry {
    /// The mailbox, unless the name is only a level above others or only subscribed.
    info: Option<MailboxInfo>,
    subscribed: bool,
    has_children: bool,
    /// A name below it is subscribed.
    subscribed_below: bool,
    /// A mailbox below it has a special use.
    special_below: bool,
}

pub(super) async fn run(wire: &mut Wire, account: AccountId, list: List) -> Outcome {
    let reference = names::text_from_wire(&list.reference);
    let patterns: Option<Vec<String>> = list
        .patterns
        .iter()
        .map(|pattern| names::text_from_wire(pattern))
        .collect();
    let (Some(reference), Some(patterns)) = (reference, patterns) else {
        return Ok(Reply::no(
            Code::Cannot,
            "The pattern is not valid modified UTF-7.",
        ));
    };
    if !list.extended && patterns.first().is_some_and(String::is_empty) {
        // RFC 3501 §6.3.8: an empty pattern asks for the separator and the root.
        wire.out()
            .extend_from_slice(b"* LIST (\\Noselect) \"/\" \"\"\r\n");
        return Ok(Reply::ok("That is all."));
    }
    let patterns: Vec<_> = patterns
        .iter()
        .map(|pattern| names::join(&reference, pattern))
        .collect();
    let entries = match entries(wire, account, &list).await {
        Ok(entries) => entries,
        Err(error) => return Ok(Reply::from(error)),
    };
    for (name, entry) in &entries {
        // Matching long names with long patterns takes a while; other sessions go on.
        tokio::task::coop::consume_budget().await;
        if !patterns.iter().any(|pattern| names::matches(pattern, name)) {
            continue;
        }
        if let Err(error) = tell(wire, account, &list, name, entry).await? {
            return Ok(Reply::from(error));
        }
        wire.relieve().await?;
    }
    Ok(Reply::ok("That is all."))
}

/// All names of the account with what LIST can be asked of them.
async fn entries(
    wire: &Wire,
    account: AccountId,
    list: &List,
) -> Result<BTreeMap<String, Entry>, mailbox::Error> {
    let mailboxes = &wire.context.mailboxes;
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    for info in mailboxes.list(account).await? {
        let special = info.special_use.is_some();
        let subscribed = info.subscribed;
        for parent in info.name.parents() {
            let above = entries.entry(parent.to_owned()).or_default();
            above.has_children = true;
            above.special_below |= special;
            above.subscribed_below |= subscribed;
        }
        let entry = entries.entry(info.name.as_str().to_owned()).or_default();
        entry.subscribed = subscribed;
        entry.info = Some(info);
    }
    if list.select_subscribed {
        for name in mailboxes.subscriptions(account).await? {
            for (at, _) in name.match_indices('/') {
                let parent = name.get(..at).unwrap_or_default();
                entries
                    .entry(parent.to_owned())
                    .or_default()
                    .subscribed_below = true;
            }
            entries.entry(name).or_default().subscribed = true;
        }
    }
    Ok(entries)
}

async fn tell(
    wire: &mut Wire,
    account: AccountId,
    list: &List,
    name: &str,
    entry: &Entry,
) -> Result<Result<(), mailbox::Error>, Ended> {
    let special = entry.info.as_ref().and_then(|info| info.special_use);
    let selected = (!list.select_subscribed || entry.subscribed)
        && (!list.select_special_use || special.is_some());
    let for_below = list.recursive_match
        && ((list.select_subscribed && entry.subscribed_below)
            || (list.select_special_use && entry.special_below));
    let filtered = list.select_subscribed || list.select_special_use;
    let only_a_level = entry.info.is_none() && !entry.has_children;
    if !selected && !for_below || (only_a_level && !filtered) {
        return Ok(Ok(()));
    }
    let out = wire.out();
    out.extend_from_slice(b"* LIST (");
    write_attributes(out, list, entry);
    out.extend_from_slice(b") \"/\" ");
    names::write(out, name);
    if for_below && list.select_subscribed {
        out.extend_from_slice(b" (\"CHILDINFO\" (\"SUBSCRIBED\"))");
    }
    out.extend_from_slice(b"\r\n");
    match &entry.info {
        Some(info) if !list.return_status.is_empty() && selected => {
            Ok(status::write(wire, account, name, info.status, &list.return_status).await)
        }
        _ => Ok(Ok(())),
    }
}

fn write_attributes(out: &mut Vec<u8>, list: &List, entry: &Entry) {
    let start = out.len();
    if entry.info.is_none() {
        // RFC 5258 §3.4: \NonExistent implies \Noselect, but some clients that ask for extended
        // answers look for \Noselect only.
        out.extend_from_slice(if list.extended {
            b"\\NonExistent \\Noselect "
        } else {
            b"\\Noselect "
        });
    }
    if entry.has_children {
        out.extend_from_slice(b"\\HasChildren ");
    } else if entry.info.is_some() {
        out.extend_from_slice(b"\\HasNoChildren ");
    }
    if list.return_subscribed && entry.subscribed {
        out.extend_from_slice(b"\\Subscribed ");
    }
    // RFC 6154 §2 allows the use in every LIST, and clients that never ask find it so.
    if let Some(special) = entry.info.as_ref().and_then(|info| info.special_use) {
        out.push(b'\\');
        out.extend_from_slice(special.name().as_bytes());
        out.push(b' ');
    }
    if out.len() > start {
        out.pop();
    }
}
