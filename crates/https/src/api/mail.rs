//! Mail in motion: what waits and why, orders for it, the story of a message; and the public parts of DKIM keys.

use crate::access::Right;
use crate::call::{Call, Json, List, NoBody, NoQuery};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use platform::clock::Timestamp;
use platform::store::{StoreError, Tx};
use queue::TraceId;
use queue::list::{self, Filter, Row};
use queue::manage::Order;
use queue::trace::{self, Query, View};
use queue::why;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Stories in one answer.
const STORIES_MAX: usize = 20;

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let (look, operate) = (
        (Right::See, About::Installation),
        (Right::Change, About::Installation),
    );
    let see = (Right::See, About::Domain);
    vec![
        Route::api(
            Method::GET,
            "/api/v1/queue",
            look,
            "What waits for other servers",
            waiting,
        ),
        Route::api(
            Method::POST,
            "/api/v1/queue/orders",
            operate,
            "Hold, release, retry, reroute or return what waits",
            order,
        ),
        Route::api(
            Method::GET,
            "/api/v1/trace",
            look,
            "The story of a message; that you looked is recorded",
            story,
        ),
        Route::api(
            Method::GET,
            "/api/v1/domains/{domain}/dkim",
            see,
            "The DKIM keys of a domain: their records",
            dkim,
        ),
    ]
}

/// Which recipients.
#[derive(Deserialize, IntoParams)]
struct Which {
    /// The recipients' domain.
    to_domain: Option<String>,
    /// MAIL FROM, or `@domain` for everybody there.
    from: Option<String>,
    /// Where the page before ended.
    after: Option<String>,
}

/// A recipient that waits.
#[derive(Serialize, ToSchema)]
struct Waiting {
    /// The message, as `trace` takes it.
    message: String,
    sender: String,
    recipient: String,
    accepted: String,
    next_attempt: String,
    attempts: i64,
    /// Who holds it.
    held: Option<String>,
    last_reply: String,
    bytes: i64,
    /// Why it waits, as a word for programs.
    why: &'static str,
    /// The same in a sentence.
    why_text: String,
}

/// A page of what waits.
#[derive(Serialize, ToSchema)]
struct WaitingPage {
    items: Vec<Waiting>,
    /// For `after` of the next page; nothing at the end.
    next: Option<String>,
}

fn waits(row: Row, facts: why::Facts<'_>, now: Timestamp) -> Waiting {
    let why = why::why(&row, facts, now);
    Waiting {
        message: row.message.to_string(),
        sender: row.sender,
        recipient: row.recipient,
        accepted: super::time(row.accepted_at.0),
        next_attempt: super::time(row.next_attempt_at.0),
        attempts: row.attempts,
        held: row.held,
        last_reply: row.last_reply,
        bytes: row.bytes,
        why: why.word(),
        why_text: why.sentence(|at| super::time(at.0)),
    }
}

fn no_nul(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.contains('\0'))
}

fn after(text: &str) -> Result<(i64, i64), Problem> {
    let parts = text.split_once('.');
    let read = parts.and_then(|(message, n)| Some((message.parse().ok()?, n.parse().ok()?)));
    read.ok_or_else(|| Problem::invalid("after is what next said."))
}

async fn waiting(call: Call, which: Which, _: NoBody) -> Result<Json<WaitingPage>, Problem> {
    let filter = Filter {
        to_domain: no_nul(which.to_domain),
        from: no_nul(which.from),
        ..Filter::default()
    };
    let after = which.after.as_deref().map(after).transpose()?;
    let rows = call
        .services
        .store
        .read(move |tx: &mut dyn Tx| list::page(tx, &filter, after))
        .await?;
    let down = call.services.store.read(list::down).await?;
    let state = call.services.queue.state();
    let next = rows
        .last()
        .map(|row| format!("{}.{}", row.message.0, row.n));
    let items = rows.into_iter().map(|row| {
        let destination = row.destination();
        let facts = why::Facts {
            down: down.iter().find(|down| *down.domain == *destination),
            state: state.as_ref(),
        };
        waits(row, facts, call.now)
    });
    let items = items.collect();
    Ok(Json(WaitingPage { items, next }))
}

/// What is done with what waits.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum OrderWord {
    Hold,
    Release,
    Retry,
    Return,
}

/// An order for what a filter means.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Give {
    order: OrderWord,
    /// One message.
    message: Option<String>,
    /// The recipients' domain.
    to_domain: Option<String>,
    /// MAIL FROM, or `@domain`.
    from: Option<String>,
}

/// What was done.
#[derive(Serialize, ToSchema)]
struct Given {
    /// Recipients that were changed.
    changed: u64,
    /// Recipients that are being tried at this moment.
    under_way: u64,
}

async fn order(call: Call, _: NoQuery, sent: Json<Give>) -> Result<Json<Given>, Problem> {
    let message = sent
        .0
        .message
        .as_deref()
        .map(str::parse::<TraceId>)
        .transpose();
    let filter = Filter {
        message: message
            .map_err(|_| Problem::invalid("message is no id of a message"))?
            .map(|id| id.0),
        to_domain: sent.0.to_domain,
        from: sent.0.from,
        ..Filter::default()
    };
    if filter.is_all() {
        return Err(Problem::invalid(
            "Say which: message, to_domain or from; an order for everything is given by the CLI.",
        ));
    }
    let order = match sent.0.order {
        OrderWord::Hold => Order::Hold,
        OrderWord::Release => Order::Release,
        OrderWord::Retry => Order::Retry,
        OrderWord::Return => Order::Return,
    };
    let mut given = Given {
        changed: 0,
        under_way: 0,
    };
    let mut after = None;
    loop {
        let queue = &call.services.queue;
        let done = queue.order(&filter, &order, after, call.now).await?;
        given.changed += done.changed;
        given.under_way += done.under_way;
        after = done.next;
        if after.is_none() {
            return Ok(Json(given));
        }
    }
}

/// Which message.
#[derive(Deserialize, IntoParams)]
struct Message {
    /// An id, an address, or a Message-ID.
    text: String,
}

/// A sentence of a story.
#[derive(Serialize, ToSchema)]
struct Sentence {
    time: String,
    text: String,
}

/// The story of a message.
#[derive(Serialize, ToSchema)]
struct Story {
    message: String,
    sentences: Vec<Sentence>,
}

async fn story(call: Call, message: Message, _: NoBody) -> Result<List<Story>, Problem> {
    let store = &call.services.store;
    if message.text.contains('\0') {
        return Err(Problem::not_here());
    }
    let ids = match message.text.parse::<TraceId>() {
        Ok(id) => vec![id],
        Err(_) => {
            let query = Query {
                text: message.text,
                since: TraceId(0),
                limit: STORIES_MAX,
            };
            trace::find(store, &query).await?
        }
    };
    let (viewer, at, viewed) = (call.who(), call.now, ids.clone());
    store
        .write(move |tx: &mut dyn Tx| {
            viewed.iter().try_for_each(|trace| {
                let view = View {
                    at,
                    trace: *trace,
                    viewer: viewer.clone(),
                };
                trace::record_view(tx, &view)
            })
        })
        .await?;
    let mut stories = Vec::new();
    for id in ids {
        let (entries, origin) = store
            .read(move |tx: &mut dyn Tx| {
                let entries = trace::read(tx, id)?;
                let origin = trace::origin(tx, id, entries.first())?;
                Ok::<_, StoreError>((entries, origin))
            })
            .await?;
        if entries.is_empty() {
            continue;
        }
        let told = trace::tell(&entries, &origin, call.language).into_iter();
        let sentences = told.map(|sentence| Sentence {
            time: sentence.time,
            text: sentence.text,
        });
        stories.push(Story {
            message: id.to_string(),
            sentences: sentences.collect(),
        });
    }
    Ok(List(stories))
}

/// A DKIM key. The private part is nowhere in the API.
#[derive(Serialize, ToSchema)]
struct Key {
    selector: String,
    /// The name of its DNS record.
    name: String,
    /// What the record says.
    value: String,
    created: String,
    /// Since when it signs.
    activated: Option<String>,
    retired: Option<String>,
}

async fn dkim(call: Call, _: NoQuery, _: NoBody) -> Result<List<Key>, Problem> {
    let domain = call.domain()?;
    call.services.accounts.domain(&domain).await?;
    let keys = call
        .services
        .signing
        .keyring()
        .of_domain(domain.as_str())
        .await;
    let keys = keys.map_err(|error| Problem::fault(&error))?.into_iter();
    let shown = keys.map(|key| {
        let record = key.record();
        Key {
            selector: key.selector.clone(),
            name: record.name(),
            value: record.value(),
            created: super::time(key.created.0),
            activated: key.activated.map(|at| super::time(at.0)),
            retired: key.retired.map(|at| super::time(at.0)),
        }
    });
    Ok(List(shown.collect()))
}
