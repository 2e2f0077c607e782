//! What waits for other servers and why, and orders for it: hold, release, try now, send another way, return, call back.

use crate::access::Right;
use crate::call::{Call, Json, NoBody, NoQuery};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use platform::clock::Timestamp;
use platform::store::Tx;
use queue::TraceId;
use queue::list::{self, Filter, Row};
use queue::manage::{CancelError, Order};
use queue::why;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::{IntoParams, ToSchema};

/// Pages of recipients that one request changes; the rest is left to the next, so that none takes too long.
const PAGES_AT_ONCE: usize = 20;

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let (look, operate) = (
        (Right::See, About::Installation),
        (Right::Change, About::Installation),
    );
    vec![
        Route::api(
            Method::GET,
            "/api/v1/queue",
            look,
            "What waits for other servers",
            waiting,
        ),
        Route::api(
            Method::GET,
            "/api/v1/queue/summary",
            look,
            "What waits, in figures",
            summary,
        ),
        Route::api(
            Method::POST,
            "/api/v1/queue/orders",
            operate,
            "Hold, release, retry, reroute or return what waits",
            order,
        ),
        Route::api(
            Method::POST,
            "/api/v1/queue/{message}/cancel",
            operate,
            "Call a message back before anything of it left",
            cancel,
        ),
    ]
}

/// WhichWait recipients; several of these narrow it down.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema, IntoParams)]
pub struct WhichWait {
    /// Those of one message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The recipients' domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_domain: Option<String>,
    /// MAIL FROM, or `@domain` for everybody there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The customer group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Waiting for longer than this, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 0)]
    pub older_than_ms: Option<i64>,
    /// Where the page before ended, as `next` said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl WhichWait {
    fn filter(&self, now: Timestamp) -> Result<Filter, Problem> {
        let message = self.message.as_deref().map(id).transpose()?;
        let lower = |text: &Option<String>| text.as_deref().map(str::to_lowercase);
        Ok(Filter {
            message: message.map(|id| id.0),
            to_domain: lower(&self.to_domain),
            from: lower(&self.from),
            group: self.group.clone(),
            accepted_before: self.older_than_ms.map(|age| now.0.saturating_sub(age)),
        })
    }

    fn after(&self) -> Result<Option<(i64, i64)>, Problem> {
        let Some(text) = &self.after else {
            return Ok(None);
        };
        let parts = text.split_once('.');
        let read = parts.and_then(|(message, n)| Some((message.parse().ok()?, n.parse().ok()?)));
        read.map(Some)
            .ok_or_else(|| Problem::invalid("after is what next said."))
    }
}

fn id(text: &str) -> Result<TraceId, Problem> {
    text.parse()
        .map_err(|_| Problem::invalid(format!("{text} is no id of a message")))
}

/// A recipient that waits. Times in milliseconds are since 1970.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Waiting {
    /// The message, as `trace` takes it.
    pub message: String,
    /// MAIL FROM; empty for the null sender.
    pub sender: String,
    /// RCPT TO.
    pub recipient: String,
    /// Its domain; empty where the message stays here.
    pub domain: String,
    /// The customer group.
    pub group: Option<String>,
    /// MT-PRIORITY.
    pub priority: i64,
    /// When it was taken over.
    pub accepted: String,
    /// The same.
    pub accepted_ms: i64,
    /// Before which time it does not leave.
    pub release_ms: Option<i64>,
    /// Who holds it.
    pub held: Option<String>,
    /// The operator's way for it.
    pub route: Option<String>,
    /// Attempts so far.
    pub attempts: i64,
    /// When the schedule looks at it next.
    pub next_attempt: String,
    /// The same.
    pub next_attempt_ms: i64,
    /// Why the last attempt failed; empty before the first.
    pub last_reply: String,
    /// Size of the message.
    pub bytes: i64,
    /// Why it waits, as a word for programs.
    pub why: String,
    /// The same in a sentence.
    pub why_text: String,
    /// When it is tried next, where that is known.
    pub next_try_ms: Option<i64>,
}

/// A page of what waits.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WaitingPage {
    /// The recipients, oldest message first.
    pub items: Vec<Waiting>,
    /// For `after` of the next page; nothing at the end.
    pub next: Option<String>,
}

fn waits(row: Row, facts: why::Facts<'_>, now: Timestamp) -> Waiting {
    let why = why::why(&row, facts, now);
    Waiting {
        message: row.message.to_string(),
        sender: row.sender,
        recipient: row.recipient,
        domain: row.domain,
        group: row.group,
        priority: row.priority,
        accepted: super::time(row.accepted_at.0),
        accepted_ms: row.accepted_at.0,
        release_ms: row.release_at.map(|at| at.0),
        held: row.held,
        route: row.route,
        attempts: row.attempts,
        next_attempt: super::time(row.next_attempt_at.0),
        next_attempt_ms: row.next_attempt_at.0,
        last_reply: row.last_reply,
        bytes: row.bytes,
        why: why.word().to_owned(),
        why_text: why.sentence(|at| super::time(at.0)),
        next_try_ms: why.next_try().map(|at| at.0),
    }
}

async fn waiting(call: Call, which: WhichWait, _: NoBody) -> Result<Json<WaitingPage>, Problem> {
    let (filter, after) = (which.filter(call.now)?, which.after()?);
    let rows = call
        .services
        .store
        .read(move |tx: &mut dyn Tx| list::page(tx, &filter, after))
        .await?;
    let down = call.services.store.read(list::down).await?;
    let down: HashMap<&str, _> = down.iter().map(|down| (&*down.domain, down)).collect();
    let state = call.services.queue.state();
    let next = rows
        .last()
        .map(|row| format!("{}.{}", row.message.0, row.n));
    let items = rows.into_iter().map(|row| {
        let facts = why::Facts {
            down: down.get(&*row.destination()).copied(),
            state: state.as_ref(),
        };
        waits(row, facts, call.now)
    });
    let items = items.collect();
    Ok(Json(WaitingPage { items, next }))
}

/// How many recipients of something wait.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Waits {
    /// A customer group or a domain; nothing for those without.
    pub name: Option<String>,
    /// Recipients.
    pub recipients: i64,
}

/// What waits, in figures.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct QueueSummary {
    /// Messages.
    pub messages: i64,
    /// Recipients that wait.
    pub recipients: i64,
    /// Of those: held by somebody.
    pub held: i64,
    /// Due now.
    pub due: i64,
    /// When the oldest was taken over.
    pub oldest: Option<String>,
    /// By customer group, the most first.
    pub groups: Vec<Waits>,
    /// By domain, the most first; some, where there are many.
    pub domains: Vec<Waits>,
    /// Attempts that are being made; nothing where no node runs.
    pub under_way: Option<u64>,
}

async fn summary(call: Call, _: NoQuery, _: NoBody) -> Result<Json<QueueSummary>, Problem> {
    let now = call.now;
    let read = call.services.store.read(move |tx| list::summary(tx, now));
    let counted = read.await?;
    let share = |(name, recipients)| Waits { name, recipients };
    let of_domain = |(name, recipients): (String, i64)| Waits {
        name: (!name.is_empty()).then_some(name),
        recipients,
    };
    let state = call.services.queue.state();
    Ok(Json(QueueSummary {
        messages: counted.messages,
        recipients: counted.recipients,
        held: counted.held,
        due: counted.due,
        oldest: counted.oldest.map(|at| super::time(at.0)),
        groups: counted.groups.into_iter().map(share).collect(),
        domains: counted.domains.into_iter().map(of_domain).collect(),
        under_way: state.map(|state| state.under_way as u64),
    }))
}

/// What is done with what waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderWord {
    /// It is kept until it is released.
    Hold,
    /// A hold ends, and the time for undoing.
    Release,
    /// It is tried now.
    Retry,
    /// It goes to the server in `route`.
    Reroute,
    /// It is given up; senders get notices.
    Return,
}

/// An order for what a filter means.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Give {
    /// What.
    pub order: OrderWord,
    /// To which.
    #[serde(flatten)]
    pub which: WhichWait,
    /// Really to all that waits, where nothing narrows it down.
    #[serde(default)]
    pub all: bool,
    /// For `reroute`: a server as HOST:PORT, or `mx` for the usual way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
}

impl Give {
    fn order(&self) -> Result<Order, Problem> {
        Ok(match self.order {
            OrderWord::Hold => Order::Hold,
            OrderWord::Release => Order::Release,
            OrderWord::Retry => Order::Retry,
            OrderWord::Return => Order::Return,
            OrderWord::Reroute => Order::Reroute(route(self.route.as_deref().unwrap_or(""))?),
        })
    }
}

/// Checks `HOST:PORT`.
fn route(text: &str) -> Result<Option<String>, Problem> {
    if text == "mx" {
        return Ok(None);
    }
    let is_route = text.rsplit_once(':').is_some_and(|(host, port)| {
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
        !host.is_empty() && host.chars().all(is_host) && port.parse::<u16>().is_ok_and(|p| p > 0)
    });
    match is_route {
        true => Ok(Some(text.to_owned())),
        false => Err(Problem::invalid(format!(
            "{text} is no HOST:PORT, for example relay.example:25; \"mx\" is the usual way"
        ))),
    }
}

/// What was done.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct Given {
    /// Recipients that were changed.
    pub changed: u64,
    /// Recipients that are being tried at this moment.
    pub under_way: u64,
    /// Where there is more: for `after`, in the same order once again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

async fn order(call: Call, _: NoQuery, sent: Json<Give>) -> Result<Json<Given>, Problem> {
    let (order, filter) = (sent.0.order()?, sent.0.which.filter(call.now)?);
    if filter.is_all() && !sent.0.all {
        return Err(Problem::invalid(
            "Say which: message, to_domain, from, group, older_than_ms, or all.",
        ));
    }
    let (mut given, mut after) = (Given::default(), sent.0.which.after()?);
    for _ in 0..PAGES_AT_ONCE {
        let queue = &call.services.queue;
        let done = queue.order(&filter, &order, after, call.now).await?;
        given.changed += done.changed;
        given.under_way += done.under_way;
        after = done.next;
        if after.is_none() {
            break;
        }
    }
    given.next = after.map(|(message, n)| format!("{message}.{n}"));
    Ok(Json(given))
}

/// A message that was called back.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CalledBack {
    /// The message.
    pub message: String,
    /// MAIL FROM.
    pub sender: String,
    /// To whom it would have gone.
    pub recipients: Vec<String>,
}

async fn cancel(call: Call, _: NoQuery, _: NoBody) -> Result<Json<CalledBack>, Problem> {
    let id = id(call.param("message"))?;
    let cancelled = call.services.queue.cancel(id, call.now).await;
    let cancelled = cancelled.map_err(|error| match error {
        CancelError::NotWaiting => Problem::missing(error.to_string()),
        CancelError::Attempted | CancelError::UnderWay => Problem::conflict(error.to_string()),
        CancelError::Store(error) => error.into(),
    })?;
    Ok(Json(CalledBack {
        message: cancelled.message,
        sender: cancelled.sender,
        recipients: cancelled.recipients,
    }))
}
