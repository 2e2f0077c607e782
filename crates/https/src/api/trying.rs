//! Rules tried out: on a described session, and on what was recorded in the last days; an older version looked at,
//! compared, and made to hold again.

use super::rules::{Differs, Judged, differences, held, read, save};
use crate::access::Right;
use crate::call::{Call, Json, List, NoBody, NoQuery};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use directory::AddressKey;
use formats::language::Language;
use platform::clock::Timestamp;
use platform::store::{StoreError, Tx};
use policy::rules::record::{self, DAYS_KEPT};
use policy::rules::replay::{Replay, Report, Stages};
use policy::rules::store;
use policy::rules::{Case, Compiled, Decision, Effect, Point, RuleSet, explain};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let look = (Right::See, About::Installation);
    let operate = (Right::Change, About::Installation);
    const VERSION: &str = "/api/v1/rules/versions/{version}";
    vec![
        Route::api(
            Method::POST,
            "/api/v1/rules/test",
            operate,
            "Which rule would decide about a session, and why",
            test,
        )
        .not_audited(),
        Route::api(
            Method::POST,
            "/api/v1/rules/replay",
            operate,
            "What changed rules would have done in the last days",
            replay,
        )
        .not_audited(),
        Route::api(
            Method::GET,
            VERSION,
            look,
            "An older version of the rules",
            version,
        ),
        Route::api(
            Method::GET,
            "/api/v1/rules/versions/{version}/diff",
            look,
            "What changed between it and another version",
            diff,
        ),
        Route::api(
            Method::POST,
            "/api/v1/rules/versions/{version}/restore",
            operate,
            "Make an older version hold again",
            restore,
        ),
    ]
}

/// A session, and perhaps rules that do not hold yet.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Try {
    /// `client`, `service`, `tls`, `hello`, `account`, `sender`, `recipients`, `size`, `headers` … as
    /// `rohrpost rules test --session` takes them. What is left out is not there.
    #[schema(value_type = Object)]
    pub session: Value,
    /// Rules as `GET /api/v1/rules` tells them; those that hold where they are left out.
    #[schema(value_type = Option<Object>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Value>,
    /// Only this point, such as `rcpt`; all that rules are asked at where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// What rules do at one point.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AtPoint {
    /// Such as `rcpt`.
    pub point: String,
    /// The rule that decides, if one does.
    pub decided_by: Option<String>,
    /// What it does, in words.
    pub decision: Option<String>,
    /// What other rules do beside it, in words, by name.
    pub also: Vec<String>,
    /// Rules that would act once they are enforced.
    pub would_act: Vec<WouldAct>,
    /// Why, in words, rule by rule.
    pub why: Vec<String>,
}

/// A rule that holds and is not enforced yet.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WouldAct {
    /// Its name.
    pub rule: String,
    /// How far it is: `observe` or `warn`.
    pub stage: String,
}

async fn set_of(call: &Call, rules: Option<&Value>) -> Result<(i64, RuleSet), Problem> {
    match rules {
        Some(rules) => Ok((0, read(rules)?)),
        None => Ok(call.services.store.read(store::current).await?),
    }
}

fn points(at: Option<&str>) -> Result<Vec<Point>, Problem> {
    match at {
        None => Ok(Point::ALL.to_vec()),
        Some(word) => Point::from_word(word)
            .map(|point| vec![point])
            .ok_or_else(|| {
                let words = Point::ALL.map(|point| point.word()).join(", ");
                Problem::invalid(format!("There is no point {word:?}; there are {words}."))
            }),
    }
}

async fn test(call: Call, _: NoQuery, sent: Json<Try>) -> Result<List<AtPoint>, Problem> {
    let points = points(sent.0.at.as_deref())?;
    let (version, set) = set_of(&call, sent.0.rules.as_ref()).await?;
    let case: Case = serde_json::from_value(sent.0.session)
        .map_err(|error| Problem::invalid(error.to_string()))?;
    let mut case = look_up(&call, case).await?;
    let zone = call.services.policies.snapshot().zone().clone();
    let compiled = Compiled::new(Arc::new(set), &zone, version);
    let mut told = Vec::new();
    for point in points {
        if !compiled.asks_at(point) && sent.0.at.is_none() {
            continue;
        }
        let (one, ends, tags) = case.prepare(0).at(point, |facts| {
            let (decision, explained) = explain(&compiled, point, facts, call.now);
            let asked = explained.iter();
            let asked = asked.filter(|one| one.effect != Effect::NotAsked);
            let why = asked.map(|one| one.in_words(call.language)).collect();
            let ruling = decision.ruling;
            let ends = ruling.is_some_and(|acting| acting.action.word() != "accept");
            let tags: Vec<Box<str>> = decision.tags().map(Box::from).collect();
            let told = at_point(point, &decision, why, call.language);
            (told, ends, tags)
        });
        // Rules of later points see them, as in a session.
        case.tags.extend(tags);
        told.push(one);
        if ends {
            break;
        }
    }
    Ok(List(told))
}

fn at_point(
    point: Point,
    decision: &Decision<'_>,
    why: Vec<String>,
    language: Language,
) -> AtPoint {
    let ruling = decision.ruling;
    let also = decision.actions.iter();
    let noted = decision.noted.iter();
    AtPoint {
        point: point.word().to_owned(),
        decided_by: ruling.map(|acting| acting.rule.name.clone()),
        decision: ruling.map(|acting| acting.action.in_words(language)),
        also: also
            .map(|acting| {
                let what = acting.action.in_words(language);
                format!("{}: {what}", acting.rule.name)
            })
            .collect(),
        would_act: noted
            .map(|noted| WouldAct {
                rule: noted.rule.name.clone(),
                stage: noted.stage.to_string(),
            })
            .collect(),
        why,
    }
}

/// Groups of accounts and recipients here, where the description does not say them.
async fn look_up(call: &Call, mut case: Case) -> Result<Case, Problem> {
    if case.service.is_none() {
        let service = match case.account {
            Some(_) => "submission",
            None => "mx",
        };
        case.service = Some(service.to_owned());
    }
    let read = call.services.store.read(move |tx: &mut dyn Tx| {
        let mut case = case.clone();
        for recipient in &mut case.recipients {
            if let (None, Ok(key)) = (&recipient.group, AddressKey::parse(&recipient.address)) {
                recipient.group = store::domain_group(tx, key.domain())?;
            }
        }
        let account = case.account.as_deref().map(AddressKey::parse);
        if let Some(Ok(key)) = account
            && let Some((number, group)) = store::account(tx, &key)?
        {
            case.account_number = Some(number.0);
            case.account_group = case.account_group.take().or(group);
        }
        Ok::<_, StoreError>(case)
    });
    Ok(read.await?)
}

/// Rules to be replayed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayOf {
    /// Rules as `GET /api/v1/rules` tells them.
    #[schema(value_type = Object)]
    pub rules: Value,
    /// How many days back; 7, which is all that is kept, where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 7)]
    pub days: Option<u8>,
    /// Whether every rule counts as if it were enforced.
    #[serde(default)]
    pub enforced: bool,
}

/// Whom the rules would have treated otherwise.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Otherwise {
    /// `new refusal`, `no longer refused`, `changed` or `cannot be told`.
    pub difference: String,
    /// The account, or the sender's domain; empty for neither.
    pub who: String,
    /// Domains the mail was for.
    pub to: String,
    /// By which rule.
    pub rule: String,
    /// At which point.
    pub at: String,
    /// How often.
    pub count: u64,
}

/// How often something is different.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Total {
    /// As in the rows.
    pub difference: String,
    /// Of all logins, recipients and messages.
    pub count: u64,
}

/// What a replay found.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Replayed {
    /// Logins, recipients and messages.
    pub looked_at: u64,
    /// Of each kind of difference, all together.
    pub totals: Vec<Total>,
    /// Each by whom it is about.
    pub rows: Vec<Otherwise>,
    /// Rows that are left out, because there were too many.
    pub left_out: u64,
}

impl From<Report> for Replayed {
    fn from(report: Report) -> Self {
        let rows = report.rows.into_iter().map(|(whom, count)| Otherwise {
            difference: whom.difference.word().to_owned(),
            who: whom.who,
            to: whom.to,
            rule: whom.rule,
            at: whom.point.to_owned(),
            count,
        });
        let totals = report.totals.into_iter().map(|(difference, count)| Total {
            difference: difference.word().to_owned(),
            count,
        });
        Self {
            looked_at: report.looked_at,
            totals: totals.collect(),
            rows: rows.collect(),
            left_out: report.left_out,
        }
    }
}

async fn replay(call: Call, _: NoQuery, sent: Json<ReplayOf>) -> Result<Json<Replayed>, Problem> {
    let changed = read(&sent.0.rules)?;
    let stages = match sent.0.enforced {
        true => Stages::AllEnforced,
        false => Stages::AsTheyAre,
    };
    let days = sent.0.days.map_or(DAYS_KEPT, i64::from);
    Ok(Json(replayed(&call, changed, stages, days).await?))
}

/// What `changed` would have done in the last days, compared with the rules that hold.
pub(crate) async fn replayed(
    call: &Call,
    changed: RuleSet,
    stages: Stages,
    days: i64,
) -> Result<Replayed, Problem> {
    let (_, present) = call.services.store.read(store::current).await?;
    let zone = call.services.policies.snapshot().zone().clone();
    let back = days.clamp(1, DAYS_KEPT) * DAY_MS;
    let from = Timestamp(call.now.0.saturating_sub(back));
    let (dir, now) = (call.services.facts_dir.clone(), call.now);
    // Files of a week are read: not on a thread that serves others.
    let looked = tokio::task::spawn_blocking(move || {
        let mut replay = Replay::new(&present, &changed, stages, &zone, now);
        record::read(&dir, from, |one| replay.look(one)).map(|()| replay.finish())
    });
    let looked = looked.await.map_err(|error| Problem::fault(&error))?;
    Ok(looked.map_err(|error| Problem::fault(&error))?.into())
}

/// A version of the rules with its rules.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OldRules {
    /// Its number.
    pub version: i64,
    /// As `GET /api/v1/rules` tells them.
    #[schema(value_type = Object)]
    pub rules: Value,
}

/// Version 0 is no rules.
async fn of_number(call: &Call, number: i64) -> Result<RuleSet, Problem> {
    if number == 0 {
        return Ok(RuleSet::default());
    }
    let read = call
        .services
        .store
        .read(move |tx: &mut dyn Tx| store::version(tx, number));
    let found = read.await?.map(|(_, set)| set);
    found.ok_or_else(|| Problem::missing("There is no such version of the rules."))
}

async fn asked(call: &Call) -> Result<(i64, RuleSet), Problem> {
    let number = call.param("version").parse();
    let number: i64 = number.map_err(|_| Problem::not_here())?;
    Ok((number, of_number(call, number).await?))
}

async fn version(call: Call, _: NoQuery, _: NoBody) -> Result<Json<OldRules>, Problem> {
    let (version, set) = asked(&call).await?;
    let rules = serde_json::from_str(&set.to_json()).map_err(|error| Problem::fault(&error))?;
    Ok(Json(OldRules { version, rules }))
}

/// With which version.
#[derive(Deserialize, IntoParams)]
struct Other {
    /// The newer version; the one that holds where it is not said.
    #[param(minimum = 0)]
    to: Option<i64>,
}

async fn diff(call: Call, other: Other, _: NoBody) -> Result<List<Differs>, Problem> {
    let (_, before) = asked(&call).await?;
    let after = match other.to {
        Some(number) => of_number(&call, number).await?,
        None => call.services.store.read(store::current).await?.1,
    };
    Ok(List(differences(&before, &after)))
}

/// Why.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// Kept with the new version.
    pub reason: String,
}

async fn restore(call: Call, _: NoQuery, sent: Json<Restore>) -> Result<Json<Judged>, Problem> {
    let (_, set) = asked(&call).await?;
    let (version, before) = held(&call).await?;
    call.note_before(&version);
    let judged = save(&call, (version, before), set, sent.0.reason).await?;
    call.note_after(&judged);
    Ok(Json(judged))
}
