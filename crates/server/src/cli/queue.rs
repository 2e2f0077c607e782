//! `rohrpost queue`: who waits, why, and when it is tried next; and orders for what waits. Reads the
//! store itself. Changes go through a running node, which knows what is being sent just now.

mod change;
mod show;

use crate::control::{self, QueueState, Request};
use crate::settings::{Settings, Span, Value};
use clap::{Args, Subcommand};
use platform::clock::{Clock, Timestamp};
use platform::store::{Store, StoreError};
use queue::TraceId;
use queue::list::Filter;
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
    let desk = Desk::open(settings)?;
    match &options.what {
        None => show::list(&desk, options),
        Some(What::Show { id, json }) => show::one(&desk, *id, *json),
        Some(what) => change::run(&desk, what),
    }
}

/// What every subcommand works with.
struct Desk<'a> {
    settings: &'a Settings,
    store: Store,
    /// What the running node does; `None` where none runs.
    running: Option<QueueState>,
}

impl<'a> Desk<'a> {
    fn open(settings: &'a Settings) -> Result<Self, String> {
        let store = super::stores::open_store(settings)?;
        let running = match control::ask(&settings.data_dir, &Request::QueueState) {
            Ok(Some(answer)) if answer.ok => serde_json::from_str(&answer.text).ok(),
            Ok(Some(answer)) => return Err(answer.text),
            Ok(None) => None,
            Err(error) => return Err(format!("the node does not answer: {error}")),
        };
        Ok(Self {
            settings,
            store,
            running,
        })
    }

    /// The node's time, which a demo may have moved.
    fn now(&self) -> Timestamp {
        let told = self.running.as_ref().map(|state| Timestamp(state.now_ms));
        told.unwrap_or_else(|| Clock::system().now())
    }

    fn filter(&self, which: &Which) -> Filter {
        let before = which.older_than.map(|age| {
            let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            self.now().0.saturating_sub(age)
        });
        Filter {
            message: None,
            to_domain: which.to_domain.as_deref().map(str::to_lowercase),
            from: which.from.as_deref().map(str::to_lowercase),
            group: which.group.clone(),
            accepted_before: before,
        }
    }
}

fn said(error: StoreError) -> String {
    error.to_string()
}
