//! Measures: how far each is, what a change would do and whom it would lock out, and the changes themselves. The same
//! operations as `rohrpost measure`; every change that tightens answers whom it stops.

use super::author;
use super::measures::{Preview, of_setting};
use super::policy::consent;
use crate::access::Right;
use crate::call::{Call, Json, List, NoBody, NoQuery};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use platform::clock::Timestamp;
use policy::admin::measures::{Exception, Place};
use policy::admin::typed::{self, Standing};
use policy::admin::{Admin, PolicyError, Wanted};
use policy::measure::{LocalTime, Zone};
use policy::setting::{Name, Value};
use policy::{Measure, Setting, Stage, nodes};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let look = (Right::See, About::Installation);
    let operate = (Right::Change, About::Installation);
    const ALL: &str = "/api/v1/measures";
    let change = |path, words| (Method::POST, path, operate, words);
    let (method, path, right, words) = change("/api/v1/measures/pause", "Hold a measure at once");
    let pause = Route::api(method, path, right, words, pause);
    let (method, path, right, words) =
        change("/api/v1/measures/resume", "Let its dates hold again");
    let resume = Route::api(method, path, right, words, resume);
    let (method, path, right, words) =
        change("/api/v1/measures/rollback", "Take its last change back");
    let rollback = Route::api(method, path, right, words, rollback);
    let (method, path, right, words) = change(
        "/api/v1/measures/except",
        "Make an exception with an owner and an end",
    );
    let except = Route::api(method, path, right, words, except);
    let (method, path, right, words) = change(
        "/api/v1/measures/unset",
        "Remove what is set, so that a wider scope holds",
    );
    let unset = Route::api(method, path, right, words, unset);
    let (method, path, right, words) = change(
        "/api/v1/measures/plan",
        "What setting a measure would do, and to whom",
    );
    let plan = Route::api(method, path, right, words, plan).not_audited();
    vec![
        Route::api(
            Method::GET,
            ALL,
            look,
            "Every measure that is set, how far it is, and whether all nodes know",
            list,
        ),
        Route::api(
            Method::GET,
            "/api/v1/measures/stages",
            look,
            "At which stage measures are for a scope",
            stages,
        ),
        Route::api(Method::PUT, ALL, operate, "Set a measure", set),
        plan,
        pause,
        resume,
        rollback,
        except,
        unset,
    ]
}

fn admin(call: &Call) -> Admin {
    Admin::new(call.services.store.clone())
}

/// A measure that is set.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SetMeasure {
    /// Such as `cleartext/imap`; `cleartext` alone is that of all services.
    pub measure: String,
    /// `installation`, `group NAME`, `domain NAME` or the address of an account.
    pub scope: String,
    /// As it is written.
    pub value: String,
    /// The stage it is at now.
    pub stage: String,
    /// When another one begins.
    pub next_change: Option<String>,
    /// When it ends, where it is an exception.
    pub until: Option<String>,
    /// Who answers for it, where it is an exception.
    pub owner: Option<String>,
    /// When it was set.
    pub changed: String,
    /// By whom.
    pub changed_by: String,
    /// Why.
    pub reason: String,
}

/// What a node holds.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Node {
    /// Its name.
    pub node: String,
    /// Which revision of what is set it holds.
    pub revision: i64,
    /// `current`, `behind` or `silent`.
    pub standing: String,
    /// Up to when it held what was set.
    pub current: String,
    /// When it was heard of.
    pub seen: String,
    /// Why it cannot follow.
    pub trouble: Option<String>,
}

/// All measures that are set.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SetMeasures {
    /// The time zone of the installation, in which dates are meant.
    pub zone: String,
    /// Each with its scope.
    pub measures: Vec<SetMeasure>,
    /// Settings of a newer version, in words.
    pub unreadable: Vec<String>,
    /// The newest revision of what is set.
    pub revision: i64,
    /// Every node that was heard of.
    pub nodes: Vec<Node>,
}

async fn list(call: Call, _: NoQuery, _: NoBody) -> Result<Json<SetMeasures>, Problem> {
    let (admin, now) = (admin(&call), call.now);
    let zone = admin.zone().await?;
    let (settings, unreadable) = admin.readable_settings().await?;
    let mut measures = Vec::new();
    for row in settings {
        let is_measure = row.name.is_measure() || row.name == Name::LegacyAccess;
        if is_measure && row.expires_at.is_none_or(|end| end > now) {
            let scope = admin.scope_text(&row.scope).await?;
            measures.push(set_measure(row, scope, &zone, now));
        }
    }
    let (revision, reports) = call.services.store.read(nodes::list).await?;
    let nodes = reports.into_iter().map(|report| Node {
        standing: report.standing(revision, now).word().to_owned(),
        node: report.node,
        revision: report.revision,
        current: super::time(report.current_at.0),
        seen: super::time(report.seen_at.0),
        trouble: report.trouble,
    });
    Ok(Json(SetMeasures {
        zone: zone.name().to_owned(),
        measures,
        unreadable,
        revision,
        nodes: nodes.collect(),
    }))
}

fn set_measure(row: Setting, scope: String, zone: &Zone, now: Timestamp) -> SetMeasure {
    let Standing { stage, next } = typed::standing(&row, zone, now);
    SetMeasure {
        measure: typed::called(row.name, &row.item),
        scope,
        value: row.value.to_string(),
        stage,
        next_change: next.map(|at| super::time(at.0)),
        until: row.expires_at.map(|at| super::time(at.0)),
        owner: row.owner,
        changed: super::time(row.changed_at.0),
        changed_by: row.changed_by,
        reason: row.reason,
    }
}

/// For whom, which.
#[derive(Deserialize, IntoParams)]
struct Which {
    /// `installation`, a group, a domain, an address.
    scope: Option<String>,
    /// Only this measure, such as `cleartext/imap`; `cleartext` is that of every service.
    measure: Option<String>,
}

/// A step of a schedule.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DatedStage {
    /// From when on; nothing: from the beginning.
    pub from: Option<String>,
    /// The same as it was written, in the installation's time zone.
    pub date: Option<String>,
    /// The stage.
    pub stage: String,
    /// Whether it has begun.
    pub begun: bool,
}

/// How far a measure is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StageOf {
    /// Such as `cleartext/imap`.
    pub measure: String,
    /// The stage it is at now.
    pub stage: String,
    /// Where it was set; nothing: it is the default.
    pub set_for: Option<String>,
    /// Its steps, the first one first.
    pub steps: Vec<DatedStage>,
}

async fn stages(call: Call, which: Which, _: NoBody) -> Result<List<StageOf>, Problem> {
    let (admin, now) = (admin(&call), call.now);
    let given = |text: Option<String>| text.filter(|text| !text.contains('\0'));
    let wanted = given(which.measure).map(|word| typed::measures(&word));
    let wanted = wanted.transpose()?;
    let scope = given(which.scope).unwrap_or_else(|| "installation".to_owned());
    let scope = admin.scope(&scope).await?;
    let found = admin
        .on_behalf_of(&scope, now, |snapshot, sender| {
            let asked = |measure: &Measure| {
                let wanted = wanted.as_ref();
                wanted.is_none_or(|wanted| wanted.contains(measure))
            };
            let each = Measure::built_in().filter(asked).map(|measure| {
                let stage = snapshot.stage(&measure, sender, now);
                let steps = snapshot.steps(&measure, sender, now).value;
                (measure, stage.value, stage.origin, steps)
            });
            each.collect::<Vec<_>>()
        })
        .await?;
    let mut shown = Vec::new();
    for (measure, stage, origin, steps) in found {
        let set_for = match steps.is_empty() {
            true => None,
            false => Some(admin.scope_text(&origin).await?),
        };
        let steps = steps.iter().map(|step| DatedStage {
            from: step.from.map(|at| super::time(at.0)),
            date: step.written.map(|date| date.to_string()),
            stage: step.stage.word().to_owned(),
            begun: step.from.is_none_or(|from| from <= now),
        });
        shown.push(StageOf {
            measure: measure.to_string(),
            stage: stage.word().to_owned(),
            set_for,
            steps: steps.collect(),
        });
    }
    Ok(List(shown))
}

/// What a measure shall be.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// `installation`, a group, a domain, an address.
    pub scope: String,
    /// `tls-version/SERVICE`, `cleartext/SERVICE` (without SERVICE: all), `sender-ownership`, `inbound-tls`,
    /// `outbound-tls`, `legacy-access`.
    pub measure: String,
    /// The stages with their dates, such as `observe; 2027-03-01 warn; 2027-03-05 enforce`.
    pub value: String,
    /// Kept in the history.
    pub reason: String,
    /// Who agreed to the consequences, where that is needed.
    pub consent_by: Option<String>,
    /// The version of the text that was agreed to; the newest where it is not said.
    pub consent_text: Option<String>,
    /// How many days back whom it stops is looked for; 30 where it is not said.
    #[schema(minimum = 1, maximum = 365)]
    pub days: Option<u32>,
}

/// What a change brings about.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Changed {
    /// Such as `cleartext/imap`; `cleartext` alone is that of all services.
    pub measure: String,
    /// `installation`, `group NAME`, `domain NAME` or the address of an account.
    pub scope: String,
    /// What is set now, or would be; nothing: nothing is.
    pub value: Option<String>,
    /// What held until now.
    pub before: Option<String>,
    /// When it ends, where it is an exception.
    pub until: Option<String>,
    /// The time zone of the installation, in which dates are meant.
    pub zone: String,
    /// What to look after.
    pub warnings: Vec<String>,
    /// Of a plan: that somebody has to agree first, and to what.
    pub consent: Option<String>,
    /// Whom it stops once it is enforced, per change it makes. Of a pause: once it is over; of an exception: once it
    /// has ended.
    pub impact: Vec<Preview>,
}

impl Changed {
    /// Nothing yet, for a place where `before` holds.
    async fn at(call: &Call, place: &Place, before: Option<Value>) -> Result<Self, Problem> {
        Ok(Self {
            measure: typed::called(place.name, &place.item),
            scope: admin(call).scope_text(&place.scope).await?,
            value: None,
            before: before.map(|value| value.to_string()),
            until: None,
            zone: admin(call).zone().await?.name().to_owned(),
            warnings: Vec::new(),
            consent: None,
            impact: Vec::new(),
        })
    }
}

async fn place(call: &Call, scope: &str, measure: &str) -> Result<Place, Problem> {
    let (name, item) = typed::name(measure)?;
    let scope = admin(call).scope(scope).await?;
    Ok(Place { scope, name, item })
}

/// Whom a value that is about to hold stops.
async fn stops(call: &Call, place: &Place, value: &Value) -> Result<Vec<Preview>, Problem> {
    let what = (place.name, place.item.as_str(), value);
    of_setting(call, &place.scope, what, None).await
}

/// What holds at a place, where it is a measure.
async fn holds(call: &Call, place: &Place) -> Result<Option<Value>, Problem> {
    Ok(match place.name {
        Name::LegacyAccess => None,
        _ => Some(admin(call).in_force(place.clone(), call.now).await?),
    })
}

/// Whom what holds around a place stops, where it is a measure.
async fn stops_around(call: &Call, place: &Place) -> Result<Vec<Preview>, Problem> {
    if place.name == Name::LegacyAccess {
        return Ok(Vec::new());
    }
    let around = admin(call).in_force_around(place.clone(), call.now).await?;
    stops(call, place, &around).await
}

async fn wished(call: &Call, wish: &Wish) -> Result<(Wanted, Changed), Problem> {
    let place = place(call, &wish.scope, &wish.measure).await?;
    let before = holds(call, &place).await?;
    let value = typed::value(place.name, &wish.value, before.as_ref())?;
    let mut changed = Changed::at(call, &place, before).await?;
    changed.value = Some(value.to_string());
    let what = (place.name, place.item.as_str(), &value);
    changed.impact = of_setting(call, &place.scope, what, wish.days).await?;
    let wanted = Wanted {
        scope: place.scope,
        name: place.name,
        item: place.item,
        value,
        expires_at: None,
        consent: consent(wish.consent_by.clone(), wish.consent_text.clone()),
        owner: None,
    };
    Ok((wanted, changed))
}

async fn plan(call: Call, _: NoQuery, sent: Json<Wish>) -> Result<Json<Changed>, Problem> {
    let (wanted, mut changed) = wished(&call, &sent.0).await?;
    match admin(&call).check(wanted, call.now).await {
        Ok(warnings) => changed.warnings = warnings,
        // A plan need not have been agreed to.
        Err(PolicyError::ConsentNeeded(why)) => changed.consent = Some(why),
        Err(error) => return Err(error.into()),
    }
    Ok(Json(changed))
}

/// Tells nodes, and the audit log.
async fn done(call: &Call, changed: Changed) -> Result<Json<Changed>, Problem> {
    call.services.policies.refresh().await?;
    call.note_before(&changed.before);
    call.note_after(&changed.value);
    Ok(Json(changed))
}

async fn set(call: Call, _: NoQuery, sent: Json<Wish>) -> Result<Json<Changed>, Problem> {
    let (wanted, mut changed) = wished(&call, &sent.0).await?;
    let why = author(&call, sent.0.reason);
    changed.warnings = admin(&call).set(wanted, why).await?;
    done(&call, changed).await
}

/// Which measure, whose, and why.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct At {
    /// As in `Wish`.
    pub scope: String,
    /// As in `Wish`.
    pub measure: String,
    /// Kept in the history.
    pub reason: String,
}

/// A stage that locks nobody out.
#[derive(Debug, Serialize, Deserialize, Default, Clone, Copy, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Milder {
    /// Nothing is looked at.
    Off,
    /// What would be refused is noted.
    #[default]
    Observe,
    /// Whom it concerns is told.
    Warn,
}

impl From<Milder> for Stage {
    fn from(milder: Milder) -> Self {
        match milder {
            Milder::Off => Self::Off,
            Milder::Observe => Self::Observe,
            Milder::Warn => Self::Warn,
        }
    }
}

/// Which measure is held, and where.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// As in `Wish`.
    pub scope: String,
    /// As in `Wish`.
    pub measure: String,
    /// `observe` where it is not said.
    #[serde(default)]
    pub stage: Milder,
    /// Kept in the history.
    pub reason: String,
}

async fn pause(call: Call, _: NoQuery, sent: Json<Pause>) -> Result<Json<Changed>, Problem> {
    let place = place(&call, &sent.0.scope, &sent.0.measure).await?;
    let before = holds(&call, &place).await?;
    let impact = match &before {
        Some(value) => stops(&call, &place, value).await?,
        None => Vec::new(),
    };
    let mut changed = Changed::at(&call, &place, before).await?;
    changed.impact = impact;
    let why = author(&call, sent.0.reason);
    let value = admin(&call).pause(place, sent.0.stage.into(), why).await?;
    changed.value = Some(value.to_string());
    done(&call, changed).await
}

async fn resume(call: Call, _: NoQuery, sent: Json<At>) -> Result<Json<Changed>, Problem> {
    let place = place(&call, &sent.0.scope, &sent.0.measure).await?;
    let before = holds(&call, &place).await?;
    let again = before.as_ref();
    let again = again.and_then(|held| held.with_schedule(|schedule| schedule.with_pause(None)));
    let mut changed = Changed::at(&call, &place, before).await?;
    if let Some(value) = &again {
        changed.impact = stops(&call, &place, value).await?;
    }
    let why = author(&call, sent.0.reason);
    let value = admin(&call).resume(place, why).await?;
    changed.value = Some(value.to_string());
    done(&call, changed).await
}

async fn rollback(call: Call, _: NoQuery, sent: Json<At>) -> Result<Json<Changed>, Problem> {
    let place = place(&call, &sent.0.scope, &sent.0.measure).await?;
    let admin = admin(&call);
    let impact = match admin.before_last_change(place.clone()).await? {
        Some(value) => stops(&call, &place, &value).await?,
        None => stops_around(&call, &place).await?,
    };
    let mut changed = Changed::at(&call, &place, None).await?;
    let restored = admin.rollback(place, author(&call, sent.0.reason)).await?;
    changed.value = restored.now;
    changed.before = restored.before;
    changed.warnings = restored.warnings;
    changed.impact = impact;
    done(&call, changed).await
}

/// An exception.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Except {
    /// A group, a domain, an address.
    pub scope: String,
    /// As in `Wish`.
    pub measure: String,
    /// The last day of it (`2027-05-30`), or a minute (`2027-05-30T12:00`), in the installation's time zone.
    pub until: String,
    /// Who answers for it, such as a person and a ticket.
    pub owner: String,
    /// The stage that holds for them instead; `observe` where it is not said.
    #[serde(default)]
    pub stage: Milder,
    /// Kept in the history.
    pub reason: String,
}

async fn except(call: Call, _: NoQuery, sent: Json<Except>) -> Result<Json<Changed>, Problem> {
    let place = place(&call, &sent.0.scope, &sent.0.measure).await?;
    let before = holds(&call, &place).await?;
    let until = sent.0.until.parse::<LocalTime>();
    let until = until.map_err(|error| Problem::invalid(error.to_string()))?;
    let until = admin(&call).zone().await?.end(until);
    let mut changed = Changed::at(&call, &place, before).await?;
    changed.until = Some(super::time(until.0));
    changed.impact = stops_around(&call, &place).await?;
    let exception = Exception {
        place,
        stage: sent.0.stage.into(),
        until,
        owner: sent.0.owner,
    };
    let why = author(&call, sent.0.reason);
    let (value, warnings) = admin(&call).except(exception, why).await?;
    changed.value = Some(value.to_string());
    changed.warnings = warnings;
    done(&call, changed).await
}

async fn unset(call: Call, _: NoQuery, sent: Json<At>) -> Result<Json<Changed>, Problem> {
    let place = place(&call, &sent.0.scope, &sent.0.measure).await?;
    let before = holds(&call, &place).await?;
    let mut changed = Changed::at(&call, &place, before).await?;
    changed.impact = stops_around(&call, &place).await?;
    let Place { scope, name, item } = place;
    let why = author(&call, sent.0.reason);
    admin(&call).unset(scope, name, item, why).await?;
    done(&call, changed).await
}
