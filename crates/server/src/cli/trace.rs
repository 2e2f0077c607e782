//! `rohrpost trace`: the story of a message, in sentences, found by its name, an address or a
//! Message-ID. Who looks is recorded before anything is shown (S3-30).

use crate::settings::{Settings, Span, Value};
use clap::{Args, ValueEnum};
use formats::language::Language;
use formats::rfc3339;
use platform::clock::{Clock, Timestamp};
use platform::store::{Store, StoreError};
use queue::TraceId;
use queue::trace::{self, Entry, Origin, Query, View};
use std::time::Duration;

/// Views listed at once.
const VIEWS_MAX: i64 = 10_000;

#[derive(Args)]
pub(super) struct Options {
    /// What to look for: the 13 characters in the 250 reply ("Accepted as …") and after "id" in
    /// the Received line; or an address; or a Message-ID.
    #[arg(required_unless_present = "views")]
    text: Option<String>,
    /// How far back to look for an address or a Message-ID, for example "2 h" or "3 d". All that
    /// is kept when not given.
    #[arg(long, value_parser = span)]
    since: Option<Duration>,
    /// Most stories to tell; the newest are told.
    #[arg(long, default_value_t = 10)]
    limit: usize,
    /// The language of the sentences.
    #[arg(long, value_enum, default_value_t = Spoken::En)]
    lang: Spoken,
    /// Print JSON, an object per line and event; times are milliseconds since 1970.
    #[arg(long)]
    json: bool,
    /// List who looked at which story instead.
    #[arg(long, conflicts_with_all = ["text", "lang"])]
    views: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Spoken {
    De,
    En,
}

impl Spoken {
    fn language(self) -> Language {
        match self {
            Self::De => Language::German,
            Self::En => Language::English,
        }
    }
}

fn span(text: &str) -> Result<Duration, String> {
    let raw = crate::settings::Raw::Text(text.to_owned());
    Span::read(&raw).map(|span| span.0)
}

/// A story with what the store knows beside its lines.
struct Story {
    id: TraceId,
    entries: Vec<Entry>,
    origin: Origin,
}

pub(super) fn run(settings: &Settings, options: &Options) -> Result<(), String> {
    let store = super::stores::open_store(settings)?;
    super::block_on(async {
        let Some(text) = &options.text else {
            return views(&store, options).await;
        };
        let ids = ids(&store, options, text).await?;
        let stories = read(&store, &ids).await?;
        if stories.is_empty() {
            return Err(format!("no message {text} among the stories that are kept"));
        }
        record(&store, &stories).await?;
        for story in &stories {
            print(story, options);
        }
        if !options.json && ids.len() == options.limit && text.contains('@') {
            super::say(format_args!(
                "\n{}",
                match options.lang {
                    Spoken::De =>
                        "Es kann weitere geben; --limit erzählt mehr, --since blickt weniger weit zurück.",
                    Spoken::En =>
                        "There may be more; --limit tells more of them, --since looks less far back.",
                }
            ));
        }
        Ok(())
    })?
}

/// So long ago.
fn back(span: Duration) -> Timestamp {
    let ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Timestamp(Clock::system().now().0.saturating_sub(ms))
}

async fn ids(store: &Store, options: &Options, text: &str) -> Result<Vec<TraceId>, String> {
    if let Ok(id) = text.parse::<TraceId>() {
        return Ok(vec![id]);
    }
    if !text.contains('@') {
        return Err(format!(
            "{text} is no trace id (13 characters, for example 01hq3w8k2m4p0), no address and no Message-ID"
        ));
    }
    let since = options
        .since
        .map_or(TraceId(0), |since| TraceId::first_at(back(since)));
    let query = Query {
        text: text.to_owned(),
        since,
        limit: options.limit,
    };
    trace::find(store, &query).await.map_err(said)
}

async fn read(store: &Store, ids: &[TraceId]) -> Result<Vec<Story>, String> {
    let mut stories = Vec::new();
    for &id in ids {
        let story = store
            .read(move |tx| {
                let entries = trace::read(tx, id)?;
                let origin = trace::origin(tx, id, entries.first())?;
                Ok(Story {
                    id,
                    entries,
                    origin,
                })
            })
            .await
            .map_err(said)?;
        if !story.entries.is_empty() {
            stories.push(story);
        }
    }
    Ok(stories)
}

async fn record(store: &Store, stories: &[Story]) -> Result<(), String> {
    let (at, viewer) = (Clock::system().now(), viewer());
    let views: Vec<_> = stories
        .iter()
        .map(|story| View {
            at,
            trace: story.id,
            viewer: viewer.clone(),
        })
        .collect();
    store
        .write(move |tx| {
            views
                .iter()
                .try_for_each(|view| trace::record_view(tx, view))
        })
        .await
        .map_err(|error| {
            format!(
                "that you looked could not be recorded, so nothing is shown: {}",
                said(error)
            )
        })
}

/// The user of the operating system who asks, with the number, which cannot be made up.
fn viewer() -> String {
    let id = rustix::process::getuid().as_raw();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then_some(name)
    });
    format!("{} (uid {id})", name.unwrap_or("?"))
}

fn print(story: &Story, options: &Options) {
    if options.json {
        return print_json(story);
    }
    let language = options.lang.language();
    super::say(format_args!(
        "{}",
        match language {
            Language::German => format!("Nachricht {} (Zeiten in UTC)", story.id),
            Language::English => format!("Message {} (times in UTC)", story.id),
        }
    ));
    for sentence in trace::tell(&story.entries, &story.origin, language) {
        super::say(format_args!("  {}  {}", sentence.time, sentence.text));
    }
}

fn print_json(story: &Story) {
    for (n, entry) in story.entries.iter().enumerate() {
        let detail = serde_json::from_str(&entry.detail)
            .unwrap_or_else(|_| serde_json::Value::String(entry.detail.clone()));
        let mut line = serde_json::json!({
            "trace": story.id.to_string(), "at": entry.at.0, "event": entry.event, "detail": detail,
        });
        if n == 0 {
            line["origin"] = match &story.origin {
                Origin::Known { client, hello } => {
                    serde_json::json!({ "client": client, "hello": hello })
                }
                Origin::Expired => "expired".into(),
                Origin::None => serde_json::Value::Null,
            };
        }
        super::say(format_args!("{line}"));
    }
}

async fn views(store: &Store, options: &Options) -> Result<(), String> {
    let since = options.since.map_or(Timestamp(0), back);
    let views = store
        .read(move |tx| trace::views(tx, since, VIEWS_MAX))
        .await
        .map_err(said)?;
    for view in views {
        let at = rfc3339::format(view.at.0);
        if options.json {
            let line = serde_json::json!({
                "at": view.at.0, "trace": view.trace.to_string(), "viewer": view.viewer,
            });
            super::say(format_args!("{line}"));
        } else {
            super::say(format_args!("{at}  {}  {}", view.trace, view.viewer));
        }
    }
    Ok(())
}

fn said(error: StoreError) -> String {
    error.to_string()
}
