//! `rohrpost trace`: the story of a message, in sentences, found by its name, an address or a
//! Message-ID. Who looks is recorded behind the API before anything is shown (S3-30).

use super::admin_api::{AdminApi, path};
use crate::settings::{Settings, Span, Value};
use clap::{Args, ValueEnum};
use formats::rfc3339;
use https::api::stories::{CameFrom, Look, Story};
use queue::TraceId;
use std::time::Duration;

/// Stories that are told at once.
const LIMIT_MAX: usize = 1000;

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
    fn tag(self) -> &'static str {
        match self {
            Self::De => "de",
            Self::En => "en",
        }
    }
}

fn span(text: &str) -> Result<Duration, String> {
    let raw = crate::settings::Raw::Text(text.to_owned());
    Span::read(&raw).map(|span| span.0)
}

pub(super) fn run(settings: &Settings, options: &Options) -> Result<(), String> {
    super::block_on(async {
        let api = AdminApi::open(settings).await?;
        let Some(text) = &options.text else {
            return views(&api, options).await;
        };
        tell(&api, options, text).await
    })?
}

async fn tell(api: &AdminApi, options: &Options, text: &str) -> Result<(), String> {
    if text.parse::<TraceId>().is_err() && !text.contains('@') {
        return Err(format!(
            "{text} is no trace id (13 characters, for example 01hq3w8k2m4p0), no address and no Message-ID"
        ));
    }
    let limit = options.limit.clamp(1, LIMIT_MAX).to_string();
    let since = since_ms(options);
    let mut asked = vec![
        ("text", text),
        ("limit", &limit),
        ("lang", options.lang.tag()),
    ];
    asked.extend(since.as_deref().map(|ms| ("since_ms", ms)));
    let stories: Vec<Story> = api.get(&path(&["trace"], &asked)).await?;
    if stories.is_empty() {
        return Err(format!("no message {text} among the stories that are kept"));
    }
    for story in &stories {
        print(story, options);
    }
    if !options.json && stories.len() == options.limit && text.contains('@') {
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
}

fn since_ms(options: &Options) -> Option<String> {
    let since = options.since?;
    Some(since.as_millis().min(i64::MAX as u128).to_string())
}

fn print(story: &Story, options: &Options) {
    if options.json {
        return print_json(story);
    }
    super::say(format_args!(
        "{}",
        match options.lang {
            Spoken::De => format!("Nachricht {} (Zeiten in UTC)", story.message),
            Spoken::En => format!("Message {} (times in UTC)", story.message),
        }
    ));
    for sentence in &story.sentences {
        super::say(format_args!("  {}  {}", sentence.time, sentence.text));
    }
}

fn print_json(story: &Story) {
    for (n, happened) in story.happened.iter().enumerate() {
        let mut line = serde_json::json!({
            "trace": story.message, "at": happened.at_ms, "event": happened.event,
            "detail": happened.detail,
        });
        if n == 0 {
            line["origin"] = match &story.origin {
                CameFrom::Client { address, hello } => {
                    serde_json::json!({ "client": address, "hello": hello })
                }
                CameFrom::Expired => "expired".into(),
                CameFrom::Here => serde_json::Value::Null,
            };
        }
        super::say(format_args!("{line}"));
    }
}

async fn views(api: &AdminApi, options: &Options) -> Result<(), String> {
    let since = since_ms(options);
    let asked: Vec<_> = since
        .as_deref()
        .map(|ms| ("since_ms", ms))
        .into_iter()
        .collect();
    let looks: Vec<Look> = api.get(&path(&["trace", "views"], &asked)).await?;
    for look in looks {
        if options.json {
            let line = serde_json::json!({
                "at": look.at_ms, "trace": look.message, "viewer": look.viewer,
            });
            super::say(format_args!("{line}"));
        } else {
            let at = rfc3339::format(look.at_ms);
            super::say(format_args!("{at}  {}  {}", look.message, look.viewer));
        }
    }
    Ok(())
}
