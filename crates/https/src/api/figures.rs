//! What others report about a hosted domain, counted: DMARC and TLS-RPT. Changes nothing.

use crate::access::Right;
use crate::call::{Call, Json, NoBody};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use platform::store::{StoreError, Tx};
use reports::figures::{self, Kind, Received};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Days that are looked back where nothing is said.
const DAYS_USUAL: u32 = 30;
/// Days at most.
const DAYS_MAX: u32 = 3650;
/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let see = (Right::See, About::Domain);
    vec![
        Route::api(
            Method::GET,
            "/api/v1/domains/{domain}/reports/dmarc",
            see,
            "What receivers report about mail from a domain",
            dmarc,
        ),
        Route::api(
            Method::GET,
            "/api/v1/domains/{domain}/reports/tls",
            see,
            "What senders report about TLS to a domain's servers",
            tls,
        ),
    ]
}

/// How far back.
#[derive(Deserialize, IntoParams)]
struct Back {
    /// So many UTC days, today included; 30 where it is not said.
    #[param(minimum = 1, maximum = 3650)]
    days: Option<u32>,
}

/// The domain of the path, which must be hosted here, and the first day.
async fn about(call: &Call, back: &Back) -> Result<(String, i64), Problem> {
    let domain = call.domain()?;
    call.services.accounts.domain(&domain).await?;
    let days = back.days.unwrap_or(DAYS_USUAL).clamp(1, DAYS_MAX);
    let first = call.now.0.div_euclid(DAY_MS) - i64::from(days - 1);
    Ok((domain.to_string(), first))
}

/// What one receiver reported of one source on a day.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DmarcFigure {
    /// The UTC day.
    pub day: String,
    /// Who reported.
    pub reporter: String,
    /// The address the mail came from.
    pub source: String,
    /// `none`, `quarantine` or `reject`.
    pub disposition: String,
    /// `pass` or `fail`.
    pub dkim: String,
    /// `pass` or `fail`.
    pub spf: String,
    /// How many.
    pub messages: i64,
}

/// DMARC figures.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DmarcFigures {
    /// Reports that came.
    pub reports: i64,
    /// Those whose sender was proved by DKIM.
    pub proven: i64,
    /// The figures.
    pub lines: Vec<DmarcFigure>,
}

async fn dmarc(call: Call, back: Back, _: NoBody) -> Result<Json<DmarcFigures>, Problem> {
    let (domain, first) = about(&call, &back).await?;
    let read = call.services.store.read(move |tx: &mut dyn Tx| {
        let received = figures::received(tx, Kind::Dmarc, &domain, first)?;
        Ok::<_, StoreError>((received, figures::dmarc(tx, &domain, first)?))
    });
    let (Received { reports, proven }, lines) = read.await?;
    let lines = lines.into_iter().map(|line| DmarcFigure {
        day: super::day(line.day),
        reporter: line.reporter,
        source: line.source,
        disposition: line.disposition,
        dkim: line.dkim,
        spf: line.spf,
        messages: line.messages,
    });
    Ok(Json(DmarcFigures {
        reports,
        proven,
        lines: lines.collect(),
    }))
}

/// What one sender reported of sessions with a host on a day.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TlsFigure {
    /// The UTC day.
    pub day: String,
    /// Who reported.
    pub reporter: String,
    /// The kind of policy the sessions were held to.
    pub policy: String,
    /// What failed; empty: nothing.
    pub result: String,
    /// Our host.
    pub host: String,
    /// How many.
    pub sessions: i64,
}

/// TLS figures.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TlsFigures {
    /// Reports that came.
    pub reports: i64,
    /// Those whose sender was proved by DKIM.
    pub proven: i64,
    /// The figures.
    pub lines: Vec<TlsFigure>,
}

async fn tls(call: Call, back: Back, _: NoBody) -> Result<Json<TlsFigures>, Problem> {
    let (domain, first) = about(&call, &back).await?;
    let read = call.services.store.read(move |tx: &mut dyn Tx| {
        let received = figures::received(tx, Kind::Tls, &domain, first)?;
        Ok::<_, StoreError>((received, figures::tls(tx, &domain, first)?))
    });
    let (Received { reports, proven }, lines) = read.await?;
    let lines = lines.into_iter().map(|line| TlsFigure {
        day: super::day(line.day),
        reporter: line.reporter,
        policy: line.policy,
        result: line.result,
        host: line.host,
        sessions: line.sessions,
    });
    Ok(Json(TlsFigures {
        reports,
        proven,
        lines: lines.collect(),
    }))
}
