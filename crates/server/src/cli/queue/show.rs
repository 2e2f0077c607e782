//! Lists what waits and tells why. Changes nothing.

use super::Options;
use crate::cli::admin_api::{AdminApi, path};
use crate::cli::say;
use formats::rfc3339;
use https::api::waiting::{QueueSummary, Waiting, WaitingPage, WhichWait as Which};
use queue::TraceId;

/// Recipients listed where nothing is said.
const LIST_DEFAULT: usize = 100;

pub(super) async fn list(api: &AdminApi, options: &Options) -> Result<(), String> {
    let limit = match (options.limit, options.json) {
        (Some(limit), _) => limit,
        (None, true) => usize::MAX,
        (None, false) => LIST_DEFAULT,
    };
    if !options.json {
        let summary: QueueSummary = api.get(&path(&["queue", "summary"], &[])).await?;
        if summary.recipients == 0 {
            return Ok(());
        }
        tell_summary(&summary);
    }
    let shown = rows(api, options.which.wanted(), limit, options.json).await?;
    if !options.json && shown == limit {
        say(format_args!(
            "\nThere may be more; --limit lists more, --to-domain, --from, --group and \
             --older-than fewer."
        ));
    }
    Ok(())
}

pub(super) async fn one(api: &AdminApi, id: TraceId, json: bool) -> Result<(), String> {
    let which = Which {
        message: Some(id.to_string()),
        ..Which::default()
    };
    if rows(api, which, usize::MAX, json).await? == 0 {
        return Err(format!(
            "no recipient of {id} waits; `rohrpost trace {id}` tells what became of it"
        ));
    }
    Ok(())
}

/// Prints rows in pages; gives how many.
async fn rows(api: &AdminApi, mut which: Which, limit: usize, json: bool) -> Result<usize, String> {
    let mut shown = 0;
    while shown < limit {
        let page: WaitingPage = api.get(&place(&which)).await?;
        for row in page.items.iter().take(limit - shown) {
            match json {
                true => print_json(row),
                false => print(row),
            }
            shown += 1;
        }
        match page.next {
            Some(next) => which.after = Some(next),
            None => break,
        }
    }
    Ok(shown)
}

fn place(which: &Which) -> String {
    let age = which.older_than_ms.map(|age| age.to_string());
    let asked = [
        ("message", which.message.as_deref()),
        ("to_domain", which.to_domain.as_deref()),
        ("from", which.from.as_deref()),
        ("group", which.group.as_deref()),
        ("older_than_ms", age.as_deref()),
        ("after", which.after.as_deref()),
    ];
    let asked = asked
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    path(&["queue"], &asked.collect::<Vec<_>>())
}

fn tell_summary(summary: &QueueSummary) {
    let many = |n: i64, what: &str| match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    };
    let oldest = summary.oldest.as_ref();
    say(format_args!(
        "{} for {} {}{}; {} due, {} held.",
        many(summary.messages, "message"),
        many(summary.recipients, "recipient"),
        if summary.messages == 1 {
            "waits"
        } else {
            "wait"
        },
        oldest.map_or(String::new(), |at| format!(", the oldest since {at}")),
        summary.due,
        summary.held,
    ));
    match summary.under_way {
        Some(attempts) => say(format_args!(
            "The node has {} under way.",
            many(i64::try_from(attempts).unwrap_or(0), "attempt")
        )),
        None => say(format_args!("No node runs here; nothing is tried.")),
    }
    if summary.groups.iter().any(|share| share.name.is_some()) {
        let groups = summary.groups.iter().map(|share| {
            let name = share.name.as_deref().unwrap_or("without one");
            format!("{name} {}", share.recipients)
        });
        let groups: Vec<_> = groups.collect();
        say(format_args!("By group: {}.", groups.join(", ")));
    }
    let domains = summary.domains.iter().map(|share| {
        let name = share.name.as_deref().unwrap_or("here");
        format!("{name} {}", share.recipients)
    });
    let domains: Vec<_> = domains.collect();
    say(format_args!("By domain: {}.\n", domains.join(", ")));
}

fn print(row: &Waiting) {
    let group = row.group.as_deref();
    say(format_args!(
        "{}  from <{}> to <{}>{}",
        row.message,
        row.sender,
        row.recipient,
        group.map_or(String::new(), |group| format!(" (group {group})"))
    ));
    say(format_args!(
        "    since {}, {} bytes, {}: {}",
        rfc3339::format(row.accepted_ms),
        row.bytes,
        match row.attempts {
            0 => "not tried yet".to_owned(),
            1 => "tried once".to_owned(),
            times => format!("tried {times} times"),
        },
        row.why_text
    ));
    // A destination that is down is told with its reply, which most often is this one.
    if !row.last_reply.is_empty() && !row.why_text.ends_with(&*row.last_reply) {
        say(format_args!("    last reply: {}", row.last_reply));
    }
}

fn print_json(row: &Waiting) {
    let line = serde_json::json!({
        "message": row.message, "sender": row.sender, "recipient": row.recipient,
        "domain": row.domain, "group": row.group, "priority": row.priority,
        "accepted_at": row.accepted_ms, "release_at": row.release_ms,
        "held": row.held, "route": row.route, "bytes": row.bytes, "attempts": row.attempts,
        "next_attempt_at": row.next_attempt_ms, "last_reply": row.last_reply,
        "why": row.why, "why_text": row.why_text, "next_try_at": row.next_try_ms,
    });
    say(format_args!("{line}"));
}
