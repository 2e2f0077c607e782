//! Lists what waits and tells why. Changes nothing.

use super::{Desk, Options, said};
use crate::cli::{block_on, say};
use formats::rfc3339;
use platform::clock::Timestamp;
use queue::TraceId;
use queue::list::{self, Filter, Row, Summary};
use queue::schedule::Down;
use queue::why::{self, Why};
use std::collections::HashMap;

/// Recipients listed where nothing is said.
const LIST_DEFAULT: usize = 100;

pub(super) fn list(desk: &Desk<'_>, options: &Options) -> Result<(), String> {
    let filter = desk.filter(&options.which);
    let limit = match (options.limit, options.json) {
        (Some(limit), _) => limit,
        (None, true) => usize::MAX,
        (None, false) => LIST_DEFAULT,
    };
    if !options.json {
        let now = desk.now();
        let summary = block_on(desk.store.read(move |tx| list::summary(tx, now)))?.map_err(said)?;
        if summary.recipients == 0 {
            return Ok(());
        }
        tell_summary(desk, &summary);
    }
    let shown = rows(desk, &filter, limit, options.json)?;
    if !options.json && shown == limit {
        say(format_args!(
            "\nThere may be more; --limit lists more, --to-domain, --from, --group and \
             --older-than fewer."
        ));
    }
    Ok(())
}

pub(super) fn one(desk: &Desk<'_>, id: TraceId, json: bool) -> Result<(), String> {
    let filter = Filter {
        message: Some(id.0),
        ..Filter::default()
    };
    if rows(desk, &filter, usize::MAX, json)? == 0 {
        return Err(format!(
            "no recipient of {id} waits; `rohrpost trace {id}` tells what became of it"
        ));
    }
    Ok(())
}

/// Prints rows in pages; gives how many.
fn rows(desk: &Desk<'_>, filter: &Filter, limit: usize, json: bool) -> Result<usize, String> {
    let down: Vec<Down> = block_on(desk.store.read(list::down))?.map_err(said)?;
    let down: HashMap<&str, &Down> = down.iter().map(|down| (&*down.domain, down)).collect();
    let (mut after, mut shown) = (None, 0);
    while shown < limit {
        let wanted = filter.clone();
        let page = block_on(desk.store.read(move |tx| list::page(tx, &wanted, after)))?;
        let page = page.map_err(said)?;
        for row in page.iter().take(limit - shown) {
            let facts = why::Facts {
                down: down.get(&*row.destination()).copied(),
                state: desk.running.as_ref().map(|running| &running.state),
            };
            let why = why::why(row, facts, desk.now());
            match json {
                true => print_json(row, &why),
                false => print(row, &why),
            }
            shown += 1;
        }
        match page.last() {
            Some(last) => after = Some((last.message.0, last.n)),
            None => break,
        }
    }
    Ok(shown)
}

fn tell_summary(desk: &Desk<'_>, summary: &Summary) {
    let many = |n: i64, what: &str| match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    };
    let oldest = summary.oldest.map_or(String::new(), |at| {
        format!(", the oldest since {}", time(at))
    });
    say(format_args!(
        "{} for {} {}{oldest}; {} due, {} held.",
        many(summary.messages, "message"),
        many(summary.recipients, "recipient"),
        if summary.messages == 1 {
            "waits"
        } else {
            "wait"
        },
        summary.due,
        summary.held,
    ));
    match &desk.running {
        Some(running) => say(format_args!(
            "The node has {} under way.",
            many(
                i64::try_from(running.state.under_way).unwrap_or(0),
                "attempt"
            )
        )),
        None => say(format_args!("No node runs here; nothing is tried.")),
    }
    if summary.groups.iter().any(|(group, _)| group.is_some()) {
        let groups = summary.groups.iter();
        let groups: Vec<_> = groups
            .map(|(group, waiting)| {
                format!("{} {waiting}", group.as_deref().unwrap_or("without one"))
            })
            .collect();
        say(format_args!("By group: {}.", groups.join(", ")));
    }
    let domains: Vec<_> = (summary.domains.iter())
        .map(|(domain, waiting)| {
            let domain = if domain.is_empty() { "here" } else { domain };
            format!("{domain} {waiting}")
        })
        .collect();
    say(format_args!("By domain: {}.\n", domains.join(", ")));
}

fn time(at: Timestamp) -> String {
    rfc3339::format(at.0)
}

fn print(row: &Row, why: &Why) {
    let why = why.sentence(time);
    let group = row.group.as_deref();
    say(format_args!(
        "{}  from <{}> to <{}>{}",
        row.message,
        row.sender,
        row.recipient,
        group.map_or(String::new(), |group| format!(" (group {group})"))
    ));
    say(format_args!(
        "    since {}, {} bytes, {}: {why}",
        time(row.accepted_at),
        row.bytes,
        match row.attempts {
            0 => "not tried yet".to_owned(),
            1 => "tried once".to_owned(),
            times => format!("tried {times} times"),
        },
    ));
    // A destination that is down is told with its reply, which most often is this one.
    if !row.last_reply.is_empty() && !why.ends_with(&*row.last_reply) {
        say(format_args!("    last reply: {}", row.last_reply));
    }
}

fn print_json(row: &Row, why: &Why) {
    let line = serde_json::json!({
        "message": row.message.to_string(), "sender": row.sender, "recipient": row.recipient,
        "domain": row.domain, "group": row.group, "priority": row.priority,
        "accepted_at": row.accepted_at.0, "release_at": row.release_at.map(|at| at.0),
        "held": row.held, "route": row.route, "bytes": row.bytes, "attempts": row.attempts,
        "next_attempt_at": row.next_attempt_at.0, "last_reply": row.last_reply,
        "why": why.word(), "why_text": why.sentence(time),
        "next_try_at": why.next_try().map(|at| at.0),
    });
    say(format_args!("{line}"));
}
