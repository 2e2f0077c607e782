//! The emergency switch of the legacy hosts, and what was done with legacy access. Who is enrolled is in `customers`.

use super::author;
use crate::access::Right;
use crate::call::{Call, Json, List, NoBody, NoQuery};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use policy::legacy::{Enrolments, Past, Stop, Stopped};
use policy::{LegacyClear, OldVersions};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Lines of the history.
const HISTORY_USUAL: u32 = 100;
/// Lines at most.
const HISTORY_MAX: u32 = 10_000;

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let look = (Right::See, About::Installation);
    let operate = (Right::Change, About::Installation);
    const STOPS: &str = "/api/v1/legacy/stops";
    vec![
        Route::api(
            Method::GET,
            STOPS,
            look,
            "What stands switched off at the legacy hosts",
            stops,
        ),
        Route::api(
            Method::POST,
            STOPS,
            operate,
            "Switch old TLS or logins in clear off, at once",
            stop,
        ),
        Route::api(
            Method::POST,
            "/api/v1/legacy/resume",
            operate,
            "Take that back",
            resume,
        ),
        Route::api(
            Method::GET,
            "/api/v1/legacy/history",
            look,
            "Who did what with legacy access, newest first",
            history,
        ),
    ]
}

/// Something that stands switched off.
#[derive(Serialize, ToSchema)]
struct SwitchedOff {
    /// `tls-1.0`, `tls-1.1` or `cleartext`.
    what: String,
    since: String,
    by: String,
    reason: String,
}

impl From<Stop> for SwitchedOff {
    fn from(stop: Stop) -> Self {
        Self {
            what: stop.what,
            since: super::time(stop.since.0),
            by: stop.by,
            reason: stop.reason,
        }
    }
}

fn enrolments(call: &Call) -> Enrolments {
    Enrolments::new(call.services.store.clone())
}

async fn listed(call: &Call) -> Result<Vec<SwitchedOff>, Problem> {
    let stops = enrolments(call).stops().await?;
    Ok(stops.into_iter().map(SwitchedOff::from).collect())
}

async fn stops(call: Call, _: NoQuery, _: NoBody) -> Result<List<SwitchedOff>, Problem> {
    Ok(List(listed(&call).await?))
}

/// One thing that can be switched.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, ToSchema)]
enum Switch {
    /// TLS 1.0.
    #[serde(rename = "tls-1.0")]
    Tls10,
    /// TLS 1.1.
    #[serde(rename = "tls-1.1")]
    Tls11,
    /// Logins in clear.
    #[serde(rename = "cleartext")]
    Cleartext,
}

/// What is switched, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Switches {
    #[schema(min_items = 1, max_items = 3)]
    what: Vec<Switch>,
    /// Kept in the history.
    reason: String,
}

impl Switches {
    fn stopped(&self) -> Stopped {
        Stopped {
            versions: OldVersions {
                tls10: self.what.contains(&Switch::Tls10),
                tls11: self.what.contains(&Switch::Tls11),
            },
            clear: (self.what.contains(&Switch::Cleartext)).then_some(LegacyClear::Refused),
        }
    }
}

/// What came of it.
#[derive(Serialize, ToSchema)]
struct Switched {
    /// Enrolled accounts that get a notice.
    notices: u64,
    /// Everything that stands switched off now. The gateway is told at once.
    stops: Vec<SwitchedOff>,
}

async fn stop(call: Call, _: NoQuery, sent: Json<Switches>) -> Result<Json<Switched>, Problem> {
    call.note_before(&listed(&call).await?);
    let what = sent.0.stopped();
    let notices = enrolments(&call)
        .stop(what, author(&call, sent.0.reason))
        .await?;
    call.services.policies.refresh().await?;
    let stops = listed(&call).await?;
    call.note_after(&stops);
    Ok(Json(Switched { notices, stops }))
}

async fn resume(
    call: Call,
    _: NoQuery,
    sent: Json<Switches>,
) -> Result<List<SwitchedOff>, Problem> {
    call.note_before(&listed(&call).await?);
    let what = sent.0.stopped();
    enrolments(&call)
        .resume(what, author(&call, sent.0.reason))
        .await?;
    call.services.policies.refresh().await?;
    let stops = listed(&call).await?;
    call.note_after(&stops);
    Ok(List(stops))
}

/// How much of the history.
#[derive(Deserialize, IntoParams)]
struct Lines {
    /// At most so many; 100 where it is not said.
    #[param(minimum = 1, maximum = 10000)]
    limit: Option<u32>,
}

/// A line of the history.
#[derive(Serialize, ToSchema)]
struct LegacyPast {
    at: String,
    by: String,
    what: String,
    reason: String,
}

async fn history(call: Call, lines: Lines, _: NoBody) -> Result<List<LegacyPast>, Problem> {
    let limit = lines.limit.unwrap_or(HISTORY_USUAL).clamp(1, HISTORY_MAX);
    let past = enrolments(&call).history(limit).await?.into_iter();
    let shown = past.map(|past: Past| LegacyPast {
        at: super::time(past.at.0),
        by: past.by,
        what: past.what,
        reason: past.reason,
    });
    Ok(List(shown.collect()))
}
