//! Planned and past changes of a domain's DMARC record, and taking the newest back.

use crate::access::Right;
use crate::call::{Call, Json, List, NoBody, NoQuery};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use rollout::zone_change::{Change, Hand, ZoneChangeError, diff};
use serde::Serialize;
use utoipa::ToSchema;

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let (see, operate) = (
        (Right::See, About::Domain),
        (Right::Change, About::Installation),
    );
    vec![
        Route::api(
            Method::GET,
            "/api/v1/domains/{domain}/dmarc/changes",
            see,
            "Planned and past changes of its records, newest first",
            changes,
        ),
        Route::api(
            Method::POST,
            "/api/v1/domains/{domain}/dmarc/rollback",
            operate,
            "Take the newest change back",
            roll_back,
        ),
    ]
}

/// A change of a record.
#[derive(Serialize, ToSchema)]
struct RecordChange {
    change: i64,
    /// The record's name.
    record: String,
    at: String,
    state: &'static str,
    before: Option<String>,
    after: Option<String>,
    /// Before and after, line by line.
    diff: String,
    /// Whether the zone is changed by this server; otherwise people do it.
    by_server: bool,
    /// What stands in the way; empty: nothing.
    trouble: String,
    by: String,
    reason: String,
}

fn shown(call: &Call, change: Change) -> RecordChange {
    RecordChange {
        diff: diff(&change),
        by_server: call.services.zone_changes.hand(&change.owner) == Hand::Ours,
        change: change.id,
        record: change.owner,
        at: super::time(change.at.0),
        state: change.state.word(),
        before: change.before.text,
        after: change.after.text,
        trouble: change.trouble,
        by: change.by,
        reason: change.reason,
    }
}

async fn listed(call: &Call) -> Result<Vec<Change>, Problem> {
    let domain = call.domain()?;
    call.services.accounts.domain(&domain).await?;
    Ok(call.services.zone_changes.list(domain.as_str()).await?)
}

async fn changes(call: Call, _: NoQuery, _: NoBody) -> Result<List<RecordChange>, Problem> {
    let all = listed(&call).await?.into_iter();
    Ok(List(all.map(|change| shown(&call, change)).collect()))
}

async fn roll_back(call: Call, _: NoQuery, _: NoBody) -> Result<Json<RecordChange>, Problem> {
    let all = listed(&call).await?.into_iter();
    let mut open = all.filter(|change| change.state.is_open() || change.state.is_published());
    let newest = open
        .next()
        .ok_or_else(|| Problem::conflict("There is no change that could be taken back."))?;
    let (domain, number) = (newest.domain.clone(), newest.id);
    call.note_before(&shown(&call, newest));
    let back = call.services.zone_changes.roll_back(&domain, number).await;
    let back = back.map_err(|error| match error {
        ZoneChangeError::Store(error) => error.into(),
        other => Problem::conflict(other.to_string()),
    })?;
    let back = shown(&call, back);
    call.note_after(&back);
    Ok(Json(back))
}
