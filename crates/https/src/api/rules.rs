//! The provider's own rules: the set that holds, its versions, a new version with what the linter says to it, and
//! changes of single rules. The operator's page saves by the same functions.

use super::author;
use crate::access::Right;
use crate::call::{Call, Json, List, NoBody, NoQuery};
use crate::problem::Problem;
use crate::route::{About, Route};
use ::policy::admin::PolicyError;
use ::policy::rules::store::{self, Change};
use ::policy::rules::{Place, Rule, RuleSet, lint};
use axum::http::Method;
use platform::store::Tx;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// Versions that are listed.
const VERSIONS_MAX: i64 = 500;

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let look = (Right::See, About::Installation);
    let operate = (Right::Change, About::Installation);
    const RULES: &str = "/api/v1/rules";
    // A rule can have any name: those of single rules have a place of their own.
    const NAMED: &str = "/api/v1/rules/named/{rule}";
    let versions = "/api/v1/rules/versions";
    let check = "/api/v1/rules/plan";
    let schedule = "/api/v1/rules/named/{rule}/schedule";
    let place = "/api/v1/rules/named/{rule}/place";
    vec![
        Route::api(Method::GET, RULES, look, "The rules that hold", current),
        Route::api(Method::PUT, RULES, operate, "Make these the rules", put),
        Route::api(Method::POST, RULES, operate, "Add a rule", add),
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
        Route::api(Method::GET, NAMED, look, "One rule", one),
        Route::api(Method::PUT, NAMED, operate, "Change a rule", change),
        Route::api(Method::DELETE, NAMED, operate, "Remove a rule", remove),
        Route::api(
            Method::PUT,
            schedule,
            operate,
            "From when on a rule acts",
            set_schedule,
        ),
        Route::api(
            Method::PUT,
            place,
            operate,
            "Move a rule to another place in the order",
            set_place,
        ),
    ]
}

/// Rules.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Rules {
    /// Their version; 0 where none were ever set.
    pub version: i64,
    /// In order, as `rohrpost rules` takes them.
    #[schema(value_type = Object)]
    pub rules: Value,
}

async fn current(call: Call, _: NoQuery, _: NoBody) -> Result<Json<Rules>, Problem> {
    let (version, set) = held(&call).await?;
    Ok(Json(Rules::of(version, &set)?))
}

/// The rules that hold, and their version.
pub(crate) async fn held(call: &Call) -> Result<(i64, RuleSet), Problem> {
    Ok(call.services.store.read(store::current).await?)
}

impl Rules {
    fn of(version: i64, set: &RuleSet) -> Result<Self, Problem> {
        let rules = serde_json::to_value(set).map_err(|error| Problem::fault(&error))?;
        Ok(Self { version, rules })
    }
}

/// A new set of rules.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRules {
    /// As `GET` tells them.
    #[schema(value_type = Object)]
    pub rules: Value,
    /// The version that was seen; where another holds by now, nothing is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub based_on: Option<i64>,
    /// Kept with the version.
    pub reason: String,
}

/// What came of it, or would.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Judged {
    /// The version that holds.
    pub version: i64,
    /// What differs from the rules that held before.
    pub changes: Vec<Differs>,
    /// What the linter says of the new set.
    pub remarks: Vec<Remark>,
}

/// How a rule differs between two sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Differs {
    /// `added`, `removed`, `changed` or `moved`.
    pub how: String,
    /// Its name.
    pub rule: String,
}

/// What differs between two sets.
pub(super) fn differences(before: &RuleSet, after: &RuleSet) -> Vec<Differs> {
    let changes = store::diff(before, after).into_iter();
    let told = changes.map(|change| match change {
        Change::Added(rule) => ("added", rule),
        Change::Removed(rule) => ("removed", rule),
        Change::Changed(rule) => ("changed", rule),
        Change::Moved(rule) => ("moved", rule),
    });
    told.map(|(how, rule)| Differs {
        how: how.to_owned(),
        rule,
    })
    .collect()
}

/// What is likely to be a mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Remark {
    /// In which rule.
    pub rule: String,
    /// What, as a word: `shadowed`, `never-holds`, `no-text` ...
    pub problem: String,
    /// What, as a sentence.
    pub text: String,
}

/// A set as it was sent.
pub(crate) fn read(rules: &Value) -> Result<RuleSet, Problem> {
    RuleSet::from_json(&rules.to_string()).map_err(Problem::invalid)
}

/// What the linter says to a set.
pub(crate) async fn remarks(call: &Call, set: &RuleSet) -> Result<Vec<Remark>, Problem> {
    let snapshot = call.services.policies.snapshot();
    let existing = call
        .services
        .store
        .read(move |tx: &mut dyn Tx| store::existing(tx, &snapshot))
        .await?;
    let said = lint(set, &existing).into_iter().map(|remark| Remark {
        text: remark.in_words(call.language),
        problem: remark.problem.word().to_owned(),
        rule: remark.rule,
    });
    Ok(said.collect())
}

/// Makes `after` the rules that hold, unless others than `before` do by now.
pub(crate) async fn save(
    call: &Call,
    (version, before): (i64, RuleSet),
    after: RuleSet,
    reason: String,
) -> Result<Judged, Problem> {
    let changes = differences(&before, &after);
    let remarks = remarks(call, &after).await?;
    let author = author(call, reason);
    let version = call
        .services
        .store
        .write(move |tx: &mut dyn Tx| store::put(tx, &after, Some(version), &author))
        .await?;
    call.services.policies.refresh().await?;
    Ok(Judged {
        version,
        changes,
        remarks,
    })
}

async fn plan(call: Call, _: NoQuery, sent: Json<NewRules>) -> Result<Json<Judged>, Problem> {
    let after = read(&sent.0.rules)?;
    let (version, before) = held(&call).await?;
    Ok(Json(Judged {
        version,
        changes: differences(&before, &after),
        remarks: remarks(&call, &after).await?,
    }))
}

async fn put(call: Call, _: NoQuery, sent: Json<NewRules>) -> Result<Json<Judged>, Problem> {
    let after = read(&sent.0.rules)?;
    let (version, before) = held(&call).await?;
    call.expect(&Rules::of(version, &before)?)?;
    let based_on = sent.0.based_on.unwrap_or(version);
    let judged = save(&call, (based_on, before), after, sent.0.reason);
    Ok(Json(judged.await?))
}

/// One more rule.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRule {
    /// As it stands among those `GET /api/v1/rules` tells.
    #[schema(value_type = Object)]
    pub rule: Value,
    /// Its place in the order, counted from 1; the last where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    pub place: Option<usize>,
    /// Kept with the version.
    pub reason: String,
}

/// A rule as it was sent; it is checked with the set.
fn one_of(rule: Value) -> Result<Rule, Problem> {
    serde_json::from_value(rule).map_err(|error| Problem::invalid(error.to_string()))
}

async fn add(call: Call, _: NoQuery, sent: Json<NewRule>) -> Result<Json<Judged>, Problem> {
    let sent = sent.0;
    let (version, before) = held(&call).await?;
    call.expect(&Rules::of(version, &before)?)?;
    let after = before.with(one_of(sent.rule)?, Place::of(sent.place))?;
    let judged = save(&call, (version, before), after, sent.reason);
    Ok(Json(judged.await?))
}

/// One rule.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OneRule {
    /// Its place in the order, counted from 1.
    pub place: usize,
    /// As it stands among those `GET /api/v1/rules` tells.
    #[schema(value_type = Object)]
    pub rule: Value,
}

fn shown(set: &RuleSet, name: &str) -> Result<OneRule, Problem> {
    let mut rules = set.rules().iter().enumerate();
    let (place, rule) = rules.find(|(_, rule)| rule.name == name).ok_or_else(|| {
        let missing =
            format!("there is no rule {name}; `rohrpost rules list` shows those that exist");
        Problem::from(PolicyError::Missing(missing))
    })?;
    Ok(OneRule {
        place: place + 1,
        rule: serde_json::to_value(rule).map_err(|error| Problem::fault(&error))?,
    })
}

async fn one(call: Call, _: NoQuery, _: NoBody) -> Result<Json<OneRule>, Problem> {
    let (_, set) = held(&call).await?;
    Ok(Json(shown(&set, call.param("rule"))?))
}

/// Changes the rule the path names, if it still is what the caller saw.
async fn with_one(
    call: &Call,
    reason: String,
    change: impl FnOnce(&RuleSet, &str) -> Result<RuleSet, Problem>,
) -> Result<Json<Judged>, Problem> {
    let name = call.param("rule");
    let (version, before) = held(call).await?;
    call.expect(&shown(&before, name)?)?;
    let after = change(&before, name)?;
    Ok(Json(save(call, (version, before), after, reason).await?))
}

/// A rule that takes the place of another.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangedRule {
    /// The whole rule; it may have another name.
    #[schema(value_type = Object)]
    pub rule: Value,
    /// Kept with the version.
    pub reason: String,
}

async fn change(call: Call, _: NoQuery, sent: Json<ChangedRule>) -> Result<Json<Judged>, Problem> {
    let rule = one_of(sent.0.rule)?;
    with_one(&call, sent.0.reason, |set, name| {
        Ok(set.with_changed(name, rule)?)
    })
    .await
}

/// Why.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
pub struct Because {
    /// Kept with the version.
    #[serde(default)]
    pub reason: String,
}

async fn remove(call: Call, why: Because, _: NoBody) -> Result<Json<Judged>, Problem> {
    with_one(&call, why.reason, |set, name| Ok(set.without(name)?)).await
}

/// From when on a rule acts.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSchedule {
    /// Such as `observe; 2027-01-15 warn; 2027-02-01 enforce`.
    pub schedule: String,
    /// Kept with the version.
    pub reason: String,
}

async fn set_schedule(
    call: Call,
    _: NoQuery,
    sent: Json<NewSchedule>,
) -> Result<Json<Judged>, Problem> {
    let schedule = sent.0.schedule.parse().map_err(Problem::invalid)?;
    with_one(&call, sent.0.reason, |set, name| {
        Ok(set.with_schedule(name, schedule)?)
    })
    .await
}

/// Where a rule shall stand.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPlace {
    /// Counted from 1, among all rules.
    #[schema(minimum = 1, maximum = 1000)]
    pub place: usize,
    /// Kept with the version.
    pub reason: String,
}

async fn set_place(call: Call, _: NoQuery, sent: Json<NewPlace>) -> Result<Json<Judged>, Problem> {
    let place = Place::At(sent.0.place);
    with_one(&call, sent.0.reason, |set, name| {
        Ok(set.with_moved(name, place)?)
    })
    .await
}

/// A version of the rules.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RulesVersion {
    /// Its number.
    pub version: i64,
    /// When it was made.
    pub changed: String,
    /// By whom.
    pub changed_by: String,
    /// Why.
    pub reason: String,
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
