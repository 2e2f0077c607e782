//! `rohrpost trace`: what happened to one message, oldest first.

use crate::settings::Settings;
use clap::Args;
use formats::rfc3339;
use queue::TraceId;

#[derive(Args)]
pub(super) struct Options {
    /// The 13 characters in the 250 reply ("Accepted as …"), after "id" in the Received line, and
    /// after trace= in the log.
    id: String,
    /// Print JSON, an object per line and event; times are milliseconds since 1970.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(settings: &Settings, options: &Options) -> Result<(), String> {
    let id: TraceId = options
        .id
        .parse()
        .map_err(|error| format!("{}: {error}", options.id))?;
    let store = super::stores::open_store(settings)?;
    let entries = super::block_on(store.read(move |tx| queue::trace::read(tx, id)))?
        .map_err(|error: platform::store::StoreError| error.to_string())?;
    if entries.is_empty() {
        return Err(format!("no message {id} in the last 7 days"));
    }
    for entry in entries {
        if options.json {
            let line = serde_json::json!({
                "at": entry.at.0, "event": entry.event, "detail": entry.detail,
            });
            super::say(format_args!("{line}"));
        } else {
            super::say(format_args!(
                "{}  {:<9} {}",
                rfc3339::format(entry.at.0),
                entry.event,
                entry.detail
            ));
        }
    }
    Ok(())
}
