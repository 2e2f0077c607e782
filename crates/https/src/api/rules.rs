//! The provider's own rules: the set that holds, its versions, and a new version with what the linter says to it.

use crate::access::Right;
use crate::call::{Call, Json, List, NoBody, NoQuery};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use platform::store::Tx;
use policy::admin::Author;
use policy::rules::{RuleSet, lint, store};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Versions that are listed.
const VERSIONS_MAX: i64 = 500;

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let look = (Right::See, About::Installation);
    let operate = (Right::Change, About::Installation);
    const RULES: &str = "/api/v1/rules";
    let versions = "/api/v1/rules/versions";
    let check = "/api/v1/rules/plan";
    vec![
        Route::api(Method::GET, RULES, look, "The rules that hold", current),
        Route::api(Method::PUT, RULES, operate, "Make these the rules", put),
        Route::api(
            Method::POST,
            check,
            operate,
            "What the linter says to rules",
            plan,
        )
        .not_audited(),
        Route::api(
            Method::GET,
            versions,
            look,
            "The versions of the rules",
            list,
        ),
    ]
}

/// Rules.
#[derive(Serialize, ToSchema)]
struct Rules {
    /// Their version; 0 where none were ever set.
    version: i64,
    /// In order, as `rohrpost rules` takes them.
    #[schema(value_type = Object)]
    rules: Value,
}

async fn current(call: Call, _: NoQuery, _: NoBody) -> Result<Json<Rules>, Problem> {
    Ok(Json(held(&call).await?))
}

async fn held(call: &Call) -> Result<Rules, Problem> {
    let (version, set) = call.services.store.read(store::current).await?;
    let rules = serde_json::from_str(&set.to_json()).map_err(|error| Problem::fault(&error))?;
    Ok(Rules { version, rules })
}

/// A new set of rules.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRules {
    /// As `GET` tells them.
    #[schema(value_type = Object)]
    rules: Value,
    /// The version that was seen; where another holds by now, nothing is done.
    based_on: Option<i64>,
    /// Kept with the version.
    reason: String,
}

/// What came of it.
#[derive(Serialize, ToSchema)]
struct Judged {
    /// The version that holds.
    version: i64,
    /// What the linter says.
    remarks: Vec<String>,
}

fn read(rules: &Value) -> Result<RuleSet, Problem> {
    RuleSet::from_json(&rules.to_string()).map_err(Problem::invalid)
}

async fn remarks(call: &Call, set: &RuleSet) -> Result<Vec<String>, Problem> {
    let snapshot = call.services.policies.snapshot();
    let existing = call
        .services
        .store
        .read(move |tx: &mut dyn Tx| store::existing(tx, &snapshot))
        .await?;
    let said = lint(set, &existing).into_iter();
    Ok(said.map(|remark| remark.in_words(call.language)).collect())
}

async fn plan(call: Call, _: NoQuery, sent: Json<NewRules>) -> Result<Json<Judged>, Problem> {
    let set = read(&sent.0.rules)?;
    Ok(Json(Judged {
        version: held(&call).await?.version,
        remarks: remarks(&call, &set).await?,
    }))
}

async fn put(call: Call, _: NoQuery, sent: Json<NewRules>) -> Result<Json<Judged>, Problem> {
    let set = read(&sent.0.rules)?;
    call.expect(&held(&call).await?)?;
    let remarks = remarks(&call, &set).await?;
    let author = Author {
        by: call.who(),
        reason: sent.0.reason,
        now: call.now,
    };
    let based_on = sent.0.based_on;
    let version = call
        .services
        .store
        .write(move |tx: &mut dyn Tx| store::put(tx, &set, based_on, &author))
        .await?;
    call.services.policies.refresh().await?;
    Ok(Json(Judged { version, remarks }))
}

/// A version of the rules.
#[derive(Serialize, ToSchema)]
struct RulesVersion {
    version: i64,
    changed: String,
    changed_by: String,
    reason: String,
}

async fn list(call: Call, _: NoQuery, _: NoBody) -> Result<List<RulesVersion>, Problem> {
    let read = call
        .services
        .store
        .read(|tx: &mut dyn Tx| store::versions(tx, VERSIONS_MAX));
    let versions = read.await?.into_iter().map(|version| RulesVersion {
        version: version.number,
        changed: super::time(version.changed_at.0),
        changed_by: version.changed_by,
        reason: version.reason,
    });
    Ok(List(versions.collect()))
}
