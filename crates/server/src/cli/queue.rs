//! `rohrpost queue`: who waits, why, and when it is tried next; and orders for what waits. All of it over the admin
//! API: a running node knows what is being sent just now.

mod change;
mod show;

use super::admin_api::AdminApi;
use crate::control::Request;
use crate::settings::{Settings, Span, Value};
use clap::{Args, Subcommand};
use queue::TraceId;
use std::time::Duration;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Options {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    which: Which,
    /// Print JSON, an object per line and recipient.
    #[arg(long)]
    json: bool,
    /// Most recipients to list; all with --json where nothing is said.
    #[arg(long)]
    limit: Option<usize>,
    /// Make the running node look through the queue at once instead of listing it. What is not
    /// due yet goes on waiting.
    #[arg(long)]
    run: bool,
}

/// Which of the waiting recipients; several options narrow it down.
#[derive(Args, Clone)]
struct Which {
    /// Recipients in this domain.
    #[arg(long, value_name = "DOMAIN")]
    to_domain: Option<String>,
    /// Mail from this address, or from @DOMAIN.
    #[arg(long, value_name = "ADDRESS")]
    from: Option<String>,
    /// Mail of this customer group.
    #[arg(long)]
    group: Option<String>,
    /// Mail that has waited longer than this, for example "2 h".
    #[arg(long, value_name = "TIME", value_parser = span)]
    older_than: Option<Duration>,
}

/// Messages by their ids, or what the filters mean.
#[derive(Args, Clone)]
struct Chosen {
    /// Messages: the 13 characters in the first column of `rohrpost queue`.
    ids: Vec<TraceId>,
    #[command(flatten)]
    which: Which,
    /// All that waits.
    #[arg(long, conflicts_with_all = ["ids", "to_domain", "from", "group", "older_than"])]
    all: bool,
}

#[derive(Subcommand)]
enum What {
    /// Tells everything about one waiting message.
    Show {
        /// The message.
        id: TraceId,
        /// Print JSON, an object per line and recipient.
        #[arg(long)]
        json: bool,
    },
    /// Keeps mail until it is released. What is being sent at this moment is not stopped.
    ///
    /// Example: rohrpost queue hold --from @firma.example
    Hold(Chosen),
    /// Ends a hold, and the time for undoing: it leaves now.
    Release(Chosen),
    /// Tries mail now, and its destinations too, however often they failed.
    Retry(Chosen),
    /// Sends mail to another server than its recipients' domain says.
    ///
    /// Example: rohrpost queue reroute --to-domain kunde.example --to relay.kunde.example:25
    Reroute {
        #[command(flatten)]
        chosen: Chosen,
        /// That server, as HOST:PORT; "mx" goes back to the usual way.
        #[arg(long)]
        to: String,
    },
    /// Gives mail up; its senders get notices.
    Bounce(Chosen),
    /// Calls a message back before anything of it left. Nobody gets a notice.
    ///
    /// Exact: with exit code 0 nothing of it was sent and nothing will be. Otherwise nothing was
    /// changed.
    Cancel {
        /// The message.
        id: TraceId,
    },
}

fn span(text: &str) -> Result<Duration, String> {
    let raw = crate::settings::Raw::Text(text.to_owned());
    Span::read(&raw).map(|span| span.0)
}

pub(super) fn run(settings: &Settings, options: &Options) -> Result<(), String> {
    if options.run {
        return super::tell(settings, &Request::Queue);
    }
    super::block_on(async {
        let api = AdminApi::open(settings).await?;
        match &options.what {
            None => show::list(&api, options).await,
            Some(What::Show { id, json }) => show::one(&api, *id, *json).await,
            Some(what) => change::run(&api, what).await,
        }
    })?
}

impl Which {
    fn wanted(&self) -> https::api::waiting::WhichWait {
        let ms = |age: Duration| i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        https::api::waiting::WhichWait {
            to_domain: self.to_domain.clone(),
            from: self.from.clone(),
            group: self.group.clone(),
            older_than_ms: self.older_than.map(ms),
            ..Default::default()
        }
    }
}
