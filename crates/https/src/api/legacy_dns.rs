//! The names of the legacy hosts in the DNS: what is there, and taking it out on a date, once legacy access is over
//! (S1-17). A change is planned, carried out and taken back as those of DMARC records are.

use super::dmarc::{PlannedStep, RecordChange, shown};
use super::{day, time};
use crate::access::Right;
use crate::call::{Call, Created, Json, List, NoBody, NoQuery};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use platform::clock::Timestamp;
use platform::dns::update::{RecordKind, ZoneRecord};
use policy::LocalTime;
use rollout::zone_change::{
    Change, Hand, NewChange, State, ZoneChangeError, diff, look, shorten_at,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let look = (Right::See, About::Installation);
    let operate = (Right::Change, About::Installation);
    vec![
        Route::api(
            Method::GET,
            "/api/v1/legacy/dns",
            look,
            "The records of the legacy names, whether they may go, and changes of them",
            status,
        ),
        Route::api(
            Method::POST,
            "/api/v1/legacy/dns/plan",
            operate,
            "What taking the names out would change; plans nothing",
            plan,
        )
        .not_audited(),
        Route::api(
            Method::POST,
            "/api/v1/legacy/dns/changes",
            operate,
            "Take the names out of the DNS on a date",
            schedule,
        ),
        Route::api(
            Method::POST,
            "/api/v1/legacy/dns/rollback",
            operate,
            "Take that back: the records stay, or come again",
            roll_back,
        ),
    ]
}

/// Records of a legacy name.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LegacyName {
    /// The name.
    pub name: String,
    /// Its lines in a zone file; none: it has no addresses.
    pub lines: Vec<String>,
    /// Why it is not known; empty: it is.
    pub trouble: String,
}

/// The legacy names in the DNS.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LegacyNames {
    /// The last day of legacy access; without one, it was never set.
    pub last_day: Option<String>,
    /// Whether the records may go: legacy access is over, or was never set.
    pub may_go: bool,
    /// Each name.
    pub names: Vec<LegacyName>,
    /// Planned and past changes of their records, newest first.
    pub changes: Vec<RecordChange>,
}

async fn status(call: Call, _: NoQuery, _: NoBody) -> Result<Json<LegacyNames>, Problem> {
    let policy = call.services.policies.snapshot();
    let end = policy.legacy_end();
    let mut names = Vec::new();
    for name in &call.services.legacy.names {
        let found = look::addresses(&*call.services.resolver, name).await;
        let (lines, trouble) = match &found {
            Ok(records) => (records.iter().flat_map(|r| lines(name, r)).collect(), ""),
            Err(why) => (Vec::new(), why.as_str()),
        };
        names.push(LegacyName {
            name: name.clone(),
            lines,
            trouble: trouble.to_owned(),
        });
    }
    let changes = listed(&call).await?.into_iter();
    Ok(Json(LegacyNames {
        // The moment it ends is the beginning of the day after.
        last_day: end.map(|end| day(policy.day(Timestamp(end.0 - 1)))),
        may_go: end.is_none_or(|end| end <= call.now),
        names,
        changes: changes.map(|change| shown(&call, change)).collect(),
    }))
}

/// A record as lines of a zone file.
fn lines(name: &str, record: &ZoneRecord) -> Vec<String> {
    let (ttl, kind) = (record.ttl_seconds, record.kind.word());
    let addresses = record.text.iter().flat_map(|text| text.split(' '));
    let line = |address: &str| format!("{name}. {ttl} IN {kind} {address}");
    addresses.map(line).collect()
}

/// The changes of all legacy names, newest first.
async fn listed(call: &Call) -> Result<Vec<Change>, Problem> {
    let mut all = Vec::new();
    for name in &call.services.legacy.names {
        let of_name = call.services.zone_changes.list(name).await?;
        all.extend(of_name.into_iter().filter(|change| change.owner == *name));
    }
    all.sort_by_key(|change| std::cmp::Reverse(change.at));
    Ok(all)
}

/// When the names go.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NamesGo {
    /// The local date, such as `2026-12-01` or `2026-12-01T06:00`, in the installation's time zone; now where it is not
    /// said. Not before legacy access is over.
    pub on: Option<String>,
    /// Kept with the change.
    #[serde(default)]
    pub reason: String,
}

/// What would change for each record that is there.
async fn proposed(call: &Call, go: &NamesGo) -> Result<Vec<NewChange>, Problem> {
    let policy = call.services.policies.snapshot();
    let on = go.on.as_deref().map(str::parse::<LocalTime>).transpose();
    let on = on.map_err(|error| Problem::invalid(error.to_string()))?;
    let at = on.map_or(call.now, |on| policy.zone().beginning(on));
    if let Some(end) = policy.legacy_end().filter(|end| at < *end) {
        let last = day(policy.day(Timestamp(end.0 - 1)));
        return Err(Problem::conflict([
            format!("Der Legacy-Zugang gilt noch bis {last}; bis dahin bleiben die Namen im DNS."),
            format!("legacy access lasts until {last}; the names stay in the DNS until then"),
        ]));
    }
    let author = super::author(call, go.reason.clone());
    let mut new = Vec::new();
    for name in &call.services.legacy.names {
        for kind in [RecordKind::A, RecordKind::Aaaa] {
            let held = call.services.zone_changes.held(name, kind, "").await;
            let before = held.map_err(Problem::unreachable)?;
            if before.text.is_none() {
                continue;
            }
            new.push(NewChange {
                domain: name.clone(),
                owner: name.clone(),
                after: before.gone(),
                before,
                at,
                by: author.by.clone(),
                reason: author.reason.clone(),
            });
        }
    }
    match new.is_empty() {
        false => Ok(new),
        true => Err(Problem::conflict([
            "Die Namen haben im DNS keine Adressen; es ist nichts herauszunehmen.",
            "the names have no addresses in the DNS; there is nothing to take out",
        ])),
    }
}

/// A change that is planned, or could be.
fn step(call: &Call, new: &NewChange, change: Option<i64>) -> PlannedStep {
    let hand = call.services.zone_changes.hand(&new.owner);
    let would = Change {
        id: 0,
        domain: new.domain.clone(),
        owner: new.owner.clone(),
        before: new.before.clone(),
        after: new.after.clone(),
        at: new.at,
        state: State::Planned,
        trouble: String::new(),
        by: String::new(),
        reason: String::new(),
    };
    PlannedStep {
        change,
        record: new.owner.clone(),
        at: time(new.at.0),
        shorten_at: (hand == Hand::Ours).then(|| time(shorten_at(&would).0)),
        by_server: hand == Hand::Ours,
        diff: diff(&would),
        held_against: Vec::new(),
    }
}

async fn plan(call: Call, _: NoQuery, sent: Json<NamesGo>) -> Result<List<PlannedStep>, Problem> {
    let new = proposed(&call, &sent.0).await?;
    Ok(List(new.iter().map(|new| step(&call, new, None)).collect()))
}

/// What was planned.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NamesGoing {
    /// A change for each name and kind of address.
    pub changes: Vec<PlannedStep>,
}

async fn schedule(
    call: Call,
    _: NoQuery,
    sent: Json<NamesGo>,
) -> Result<Created<NamesGoing>, Problem> {
    let mut changes = Vec::new();
    let new = proposed(&call, &sent.0).await?;
    // All of them or none.
    if let Some(open) = listed(&call).await?.into_iter().find(|c| c.state.is_open()) {
        let under_way = ZoneChangeError::UnderWay {
            owner: open.owner,
            domain: open.domain,
            id: open.id,
        };
        return Err(under_way.into());
    }
    for new in new {
        let planned = call.services.zone_changes.plan(new.clone()).await?;
        changes.push(step(&call, &new, Some(planned)));
    }
    let going = NamesGoing { changes };
    call.note_after(&going);
    Ok(Created(going))
}

async fn roll_back(call: Call, _: NoQuery, _: NoBody) -> Result<List<RecordChange>, Problem> {
    let mut seen = Vec::new();
    let mut newest = listed(&call).await?;
    newest.sort_by_key(|change| std::cmp::Reverse(change.id));
    // Of each name and kind the newest: what was taken back before stays so.
    newest.retain(|change| {
        let which = (change.owner.clone(), change.before.kind.word());
        let is_first = !seen.contains(&which);
        seen.push(which);
        is_first && (change.state.is_open() || change.state.is_published())
    });
    if newest.is_empty() {
        return Err(Problem::conflict([
            "Es gibt keine Änderung, die zurückgenommen werden könnte.",
            "There is no change that could be taken back.",
        ]));
    }
    let mut back = Vec::new();
    for change in newest {
        let changes = &call.services.zone_changes;
        let changed = changes.roll_back(&change.domain, change.id).await?;
        back.push(shown(&call, changed));
    }
    call.note_after(&back);
    Ok(List(back))
}
