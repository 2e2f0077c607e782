//! The records by which mail programs find the servers of a domain's addresses. Changes nothing.

use crate::access::Right;
use crate::call::{Call, List, NoBody, NoQuery};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    vec![Route::api(
        Method::GET,
        "/api/v1/domains/{domain}/dns/discovery",
        (Right::See, About::Domain),
        "The records by which mail programs find a domain's servers",
        records,
    )]
}

/// A record to be published.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DiscoveryRecord {
    /// Its name.
    pub name: String,
    /// `SRV` or `CNAME`.
    pub kind: String,
    /// As a zone file has it.
    pub value: String,
    /// The whole line of a zone file.
    pub line: String,
}

async fn records(call: Call, _: NoQuery, _: NoBody) -> Result<List<DiscoveryRecord>, Problem> {
    let domain = call.domain()?;
    call.services.accounts.domain(&domain).await?;
    let voice = call.services.rollouts.voice().await?;
    let records = call.services.connecting.records(&voice, &domain);
    let shown = records.into_iter().map(|record| DiscoveryRecord {
        line: record.line(),
        name: record.name,
        kind: record.kind.to_owned(),
        value: record.value,
    });
    Ok(List(shown.collect()))
}
