//! `rohrpost queue`: who waits, since when, why, and when it is tried next.

use crate::control::Request;
use crate::settings::Settings;
use clap::Args;
use formats::rfc3339;
use platform::store::StoreError;

#[derive(Args)]
pub(super) struct Options {
    /// Print JSON, an object per line and recipient.
    #[arg(long)]
    json: bool,
    /// Make the running node look through the queue at once instead of listing it. What is not
    /// due yet goes on waiting.
    #[arg(long)]
    run: bool,
}

pub(super) fn run(settings: &Settings, options: &Options) -> Result<(), String> {
    if options.run {
        return super::tell(settings, &Request::Queue);
    }
    let store = super::stores::open_store(settings)?;
    let mut after = None;
    loop {
        let page = super::block_on(store.read(move |tx| queue::list::page(tx, after)))?
            .map_err(|error: StoreError| error.to_string())?;
        for row in &page {
            print_row(row, options.json);
        }
        match page.last() {
            Some(last) => after = Some((last.message.0, last.n)),
            None => return Ok(()),
        }
    }
}

fn print_row(row: &queue::list::Row, json: bool) {
    if json {
        let line = serde_json::json!({
            "message": row.message.to_string(), "sender": row.sender, "recipient": row.recipient,
            "accepted_at": row.accepted_at.0, "attempts": row.attempts,
            "next_attempt_at": row.next_attempt_at.0, "last_reply": row.last_reply,
        });
        super::say(format_args!("{line}"));
        return;
    }
    super::say(format_args!(
        "{}  from <{}> to <{}>",
        row.message, row.sender, row.recipient
    ));
    super::say(format_args!(
        "    waiting since {}, tried {} times, next {}",
        rfc3339::format(row.accepted_at.0),
        row.attempts,
        rfc3339::format(row.next_attempt_at.0)
    ));
    if !row.last_reply.is_empty() {
        super::say(format_args!("    because: {}", row.last_reply));
    }
}
