//! Stories of messages, in sentences and as what happened, and who looked at them. That somebody looks is recorded
//! before anything is told (S3-30).

use crate::access::Right;
use crate::call::{Call, List, NoBody};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use platform::clock::Timestamp;
use platform::store::{StoreError, Tx};
use queue::TraceId;
use queue::trace::{self, Entry, Query, View};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// Stories in one answer, where nothing is said.
const STORIES_USUAL: usize = 20;
/// Stories in one answer.
const STORIES_MAX: usize = 1000;
/// Looks in one answer.
const VIEWS_MAX: i64 = 10_000;

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let look = (Right::See, About::Installation);
    vec![
        Route::api(
            Method::GET,
            "/api/v1/trace",
            look,
            "The story of a message; that you looked is recorded",
            stories,
        ),
        Route::api(
            Method::GET,
            "/api/v1/trace/views",
            look,
            "Who looked at which story",
            views,
        ),
    ]
}

/// Which message.
#[derive(Deserialize, IntoParams)]
struct Message {
    /// An id, an address, or a Message-ID.
    text: String,
    /// How far back to look for an address or a Message-ID, in milliseconds.
    #[param(minimum = 0)]
    since_ms: Option<i64>,
    /// At most so many stories, the newest; 20 where it is not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// A sentence of a story.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Sentence {
    /// When.
    pub time: String,
    /// What.
    pub text: String,
}

/// Something that happened to a message.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Happened {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// `accepted`, `relayed`, `deferred` …
    pub event: String,
    /// The facts.
    #[schema(value_type = Object)]
    pub detail: Value,
}

/// Where a message came from.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CameFrom {
    /// From a client.
    Client {
        /// Its address.
        address: String,
        /// What it called itself.
        hello: String,
    },
    /// That is not kept any more.
    Expired,
    /// It is a message of our own.
    Here,
}

impl From<trace::Origin> for CameFrom {
    fn from(origin: trace::Origin) -> Self {
        match origin {
            trace::Origin::Known { client, hello } => Self::Client {
                address: client,
                hello,
            },
            trace::Origin::Expired => Self::Expired,
            trace::Origin::None => Self::Here,
        }
    }
}

/// The story of a message.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Story {
    /// Its id.
    pub message: String,
    /// The story, for people.
    pub sentences: Vec<Sentence>,
    /// The same for programs.
    pub happened: Vec<Happened>,
    /// Where it came from.
    pub origin: CameFrom,
}

/// So long ago.
fn back(now: Timestamp, ms: i64) -> Timestamp {
    Timestamp(now.0.saturating_sub(ms.max(0)))
}

async fn ids(call: &Call, message: Message) -> Result<Vec<TraceId>, Problem> {
    if let Ok(id) = message.text.parse::<TraceId>() {
        return Ok(vec![id]);
    }
    let since = message.since_ms.map(|ms| back(call.now, ms));
    let limit = message.limit.map_or(STORIES_USUAL, |limit| limit as usize);
    let query = Query {
        text: message.text,
        since: since.map_or(TraceId(0), TraceId::first_at),
        limit: limit.clamp(1, STORIES_MAX),
    };
    Ok(trace::find(&call.services.store, &query).await?)
}

async fn stories(call: Call, message: Message, _: NoBody) -> Result<List<Story>, Problem> {
    let store = &call.services.store;
    let mut found = Vec::new();
    for id in ids(&call, message).await? {
        let (entries, origin) = store
            .read(move |tx: &mut dyn Tx| {
                let entries = trace::read(tx, id)?;
                let origin = trace::origin(tx, id, entries.first())?;
                Ok::<_, StoreError>((entries, origin))
            })
            .await?;
        if !entries.is_empty() {
            found.push((id, entries, origin));
        }
    }
    let (viewer, at) = (call.who(), call.now);
    let seen: Vec<TraceId> = found.iter().map(|(id, ..)| *id).collect();
    store
        .write(move |tx: &mut dyn Tx| {
            seen.iter().try_for_each(|trace| {
                let view = View {
                    at,
                    trace: *trace,
                    viewer: viewer.clone(),
                };
                trace::record_view(tx, &view)
            })
        })
        .await?;
    let told = found.into_iter().map(|(id, entries, origin)| {
        let told = trace::tell(&entries, &origin, call.language).into_iter();
        let sentences = told.map(|sentence| Sentence {
            time: sentence.time,
            text: sentence.text,
        });
        Story {
            message: id.to_string(),
            sentences: sentences.collect(),
            happened: entries.into_iter().map(happened).collect(),
            origin: origin.into(),
        }
    });
    Ok(List(told.collect()))
}

fn happened(entry: Entry) -> Happened {
    // Rows of older releases hold no JSON.
    let detail = serde_json::from_str(&entry.detail);
    Happened {
        at_ms: entry.at.0,
        event: entry.event,
        detail: detail.unwrap_or(Value::String(entry.detail)),
    }
}

/// Since when.
#[derive(Deserialize, IntoParams)]
struct Since {
    /// How far back, in milliseconds; everything that is kept where it is not said.
    #[param(minimum = 0)]
    since_ms: Option<i64>,
}

/// Somebody looked at a story.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Look {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// At which.
    pub message: String,
    /// Who.
    pub viewer: String,
}

async fn views(call: Call, since: Since, _: NoBody) -> Result<List<Look>, Problem> {
    let since = since.since_ms.map_or(Timestamp(0), |ms| back(call.now, ms));
    let read = call
        .services
        .store
        .read(move |tx| trace::views(tx, since, VIEWS_MAX));
    let looks = read.await?.into_iter().map(|view| Look {
        at_ms: view.at.0,
        message: view.trace.to_string(),
        viewer: view.viewer,
    });
    Ok(List(looks.collect()))
}
