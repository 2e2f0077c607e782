//! The way of a domain to a strict DMARC policy: where it stands, who sends with its name, how much passed, the next step,
//! the change of the record on a date, and taking it back.

use super::{day, time};
use crate::access::Right;
use crate::call::{Call, Created, Json, List, NoBody, NoQuery};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use directory::DomainName;
use policy::LocalTime;
use rollout::dmarc::advisor::{AdvisorError, Proposal, Wanted, owner};
use rollout::dmarc::record::{Record, Testing, Wish};
use rollout::zone_change::{Change, Hand, ZoneChangeError, diff};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let (see, change) = ((Right::See, About::Domain), (Right::Change, About::Domain));
    const CHANGES: &str = "/api/v1/domains/{domain}/dmarc/changes";
    vec![
        Route::api(
            Method::GET,
            "/api/v1/domains/{domain}/dmarc",
            see,
            "Where a domain stands, the next step, its first day, what stands in the way",
            status,
        ),
        Route::api(
            Method::GET,
            "/api/v1/domains/{domain}/dmarc/sources",
            see,
            "Where mail with its name came from, whose it is, what to do",
            sources,
        ),
        Route::api(
            Method::GET,
            "/api/v1/domains/{domain}/dmarc/rates",
            see,
            "How much passed at each receiver on each day",
            rates,
        ),
        Route::api(
            Method::POST,
            "/api/v1/domains/{domain}/dmarc/plan",
            change,
            "What a step would change, and what speaks against it; plans nothing",
            plan,
        )
        .not_audited(),
        Route::api(
            Method::GET,
            CHANGES,
            see,
            "Planned and past changes of its record, newest first",
            changes,
        ),
        Route::api(
            Method::POST,
            CHANGES,
            change,
            "Plan a step on a date",
            schedule,
        ),
        Route::api(
            Method::POST,
            "/api/v1/domains/{domain}/dmarc/rollback",
            change,
            "Take the newest change back",
            roll_back,
        ),
    ]
}

/// Where a domain stands.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DmarcStatus {
    /// The domain.
    pub domain: String,
    /// Its record as it is published; without one, there is none.
    pub record: Option<String>,
    /// `none`, `quarantine` or `reject`.
    pub policy: Option<String>,
    /// The day since which it has that policy, as far as was seen.
    pub since: Option<String>,
    /// Tags of the record that are no longer known (RFC 9989); they go with the next step.
    pub removed_tags: Vec<String>,
    /// The next stage; without one, the strictest is reached, or it should first go back.
    pub next: Option<String>,
    /// The first day for it as far as time alone is concerned.
    pub earliest: Option<String>,
    /// The stage to go back to, where mail of the domain's own fails.
    pub back_to: Option<String>,
    /// What must be mended or waited for first, in words.
    pub blockers: Vec<String>,
    /// The record after the step.
    pub record_after: Option<String>,
    /// Days of the last 30 for which reports came.
    pub report_days: usize,
    /// Of the mail from here that others saw, the share that passed, in thousandths.
    pub own_mail_passed_per_mille: Option<u64>,
}

/// A domain that is hosted here.
async fn hosted(call: &Call) -> Result<DomainName, Problem> {
    let domain = call.domain()?;
    call.services.accounts.domain(&domain).await?;
    Ok(domain)
}

async fn status(call: Call, _: NoQuery, _: NoBody) -> Result<Json<DmarcStatus>, Problem> {
    let domain = hosted(&call).await?;
    let known = call.services.advisor.know(&domain, call.now).await?;
    let advice = &known.advice;
    let word = |wish: Wish| wish.word().to_owned();
    let removed = known.record.as_ref().map(Record::removed_tags);
    let blockers = advice.blockers.iter();
    Ok(Json(DmarcStatus {
        domain: domain.to_string(),
        record: known.published.text.clone(),
        policy: advice.now.map(word),
        since: known.standing.as_ref().map(|standing| day(standing.since)),
        removed_tags: removed.into_iter().flatten().map(str::to_owned).collect(),
        next: advice.next.map(word),
        earliest: advice.earliest.map(day),
        back_to: advice.back_to.map(word),
        blockers: blockers.map(|b| b.words(call.language, day)).collect(),
        record_after: advice.record.as_ref().map(Record::to_string),
        report_days: known.figures.report_days,
        own_mail_passed_per_mille: known.figures.own_per_mille(),
    }))
}

/// An address that mail with the domain's name came from.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DmarcSource {
    /// The address.
    pub source: String,
    /// `our-pool`, `service`, `forwarder` or `unknown`.
    pub class: String,
    /// Messages of the last 14 days.
    pub messages: u64,
    /// Of them, those that did not prove to be the domain's.
    pub failed: u64,
    /// Domains of valid signatures.
    pub signers: Vec<String>,
    /// Domains SPF was asked for.
    pub envelopes: Vec<String>,
    /// What to do about it.
    pub advice: String,
}

async fn sources(call: Call, _: NoQuery, _: NoBody) -> Result<List<DmarcSource>, Problem> {
    let domain = hosted(&call).await?;
    let figures = call.services.advisor.figures(&domain, call.now).await?;
    let shown = figures.sources.into_iter().map(|source| DmarcSource {
        source: source.reported.source.to_string(),
        class: source.class.word().to_owned(),
        messages: source.reported.messages,
        failed: source.reported.failed(),
        advice: source.advice(domain.as_str(), call.language),
        signers: source.reported.signers,
        envelopes: source.reported.envelopes,
    });
    Ok(List(shown.collect()))
}

/// How much passed at one receiver on one day.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DmarcRate {
    /// The day (UTC).
    pub day: String,
    /// Who reported.
    pub reporter: String,
    /// Messages.
    pub messages: u64,
    /// Of them, those that passed DMARC.
    pub passed: u64,
}

async fn rates(call: Call, _: NoQuery, _: NoBody) -> Result<List<DmarcRate>, Problem> {
    let domain = hosted(&call).await?;
    let figures = call.services.advisor.figures(&domain, call.now).await?;
    let shown = figures.rates.into_iter().map(|rate| DmarcRate {
        day: day(rate.day),
        reporter: rate.reporter,
        messages: rate.messages,
        passed: rate.passed,
    });
    Ok(List(shown.collect()))
}

/// A stage of DMARC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DmarcStage {
    /// Only reports.
    None,
    /// Among the spam.
    Quarantine,
    /// Refused.
    Reject,
}

impl From<DmarcStage> for Wish {
    fn from(stage: DmarcStage) -> Self {
        match stage {
            DmarcStage::None => Self::None,
            DmarcStage::Quarantine => Self::Quarantine,
            DmarcStage::Reject => Self::Reject,
        }
    }
}

/// A step.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DmarcStep {
    /// The stage.
    pub to: DmarcStage,
    /// The local date, such as `2026-12-01` or `2026-12-01T06:00`, in the installation's time zone.
    pub on: String,
    /// As a trial (`t=y`): receivers act one stage milder.
    #[serde(default)]
    pub trial: bool,
    /// In spite of what the advisor says.
    #[serde(default)]
    pub anyway: bool,
    /// Kept with the change.
    #[serde(default)]
    pub reason: String,
}

/// What a step would be.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PlannedStep {
    /// Its number, once it is planned.
    pub change: Option<i64>,
    /// The record's name.
    pub record: String,
    /// When.
    pub at: String,
    /// When its time to live is lowered, where this server changes the zone; otherwise people do both.
    pub shorten_at: Option<String>,
    /// Whether this server changes the zone.
    pub by_server: bool,
    /// The record before and after, as lines of a zone file.
    pub diff: String,
    /// What the advisor holds against it, in words; empty: nothing.
    pub held_against: Vec<String>,
}

/// The step somebody wants.
async fn proposed(call: &Call, step: &DmarcStep) -> Result<Proposal, Problem> {
    let domain = hosted(call).await?;
    let on = step.on.parse::<LocalTime>();
    let wanted = Wanted {
        wish: step.to.into(),
        testing: match step.trial {
            true => Testing::Yes,
            false => Testing::No,
        },
        on: on.map_err(|error| Problem::invalid(error.to_string()))?,
    };
    let author = super::author(call, step.reason.clone());
    let why = (author.by, author.reason);
    let advisor = &call.services.advisor;
    Ok(advisor.propose(&domain, &wanted, why, call.now).await?)
}

fn planned(call: &Call, proposal: &Proposal, change: Option<i64>) -> PlannedStep {
    let held = proposal.held_against.iter();
    PlannedStep {
        change,
        record: proposal.new.owner.clone(),
        at: time(proposal.new.at.0),
        shorten_at: proposal.shorten_at().map(|at| time(at.0)),
        by_server: proposal.hand == Hand::Ours,
        diff: diff(&proposal.change()),
        held_against: held.map(|held| held.words(call.language, day)).collect(),
    }
}

async fn plan(call: Call, _: NoQuery, sent: Json<DmarcStep>) -> Result<Json<PlannedStep>, Problem> {
    let proposal = proposed(&call, &sent.0).await?;
    Ok(Json(planned(&call, &proposal, None)))
}

async fn schedule(
    call: Call,
    _: NoQuery,
    sent: Json<DmarcStep>,
) -> Result<Created<PlannedStep>, Problem> {
    let proposal = proposed(&call, &sent.0).await?;
    let mut step = planned(&call, &proposal, None);
    if !sent.0.anyway && !step.held_against.is_empty() {
        return Err(Problem::held_against(&step.held_against));
    }
    let planned = call.services.zone_changes.plan(proposal.new).await?;
    step.change = Some(planned);
    call.note_after(&step);
    Ok(Created(step))
}

/// A change of a record.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RecordChange {
    /// Its number.
    pub change: i64,
    /// The record's name.
    pub record: String,
    /// When.
    pub at: String,
    /// `planned`, `shortened`, `published`, `settled`, `rolled-back`, `cancelled` or `overtaken`.
    pub state: String,
    /// What was there; without it, nothing.
    pub before: Option<String>,
    /// What shall be there; without it, nothing.
    pub after: Option<String>,
    /// Before and after, as lines of a zone file.
    pub diff: String,
    /// Whether the zone is changed by this server; otherwise people do it.
    pub by_server: bool,
    /// What stands in the way; empty: nothing.
    pub trouble: String,
    /// Who planned it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// A change as the API shows it.
pub(super) fn shown(call: &Call, change: Change) -> RecordChange {
    RecordChange {
        diff: diff(&change),
        by_server: call.services.zone_changes.hand(&change.owner) == Hand::Ours,
        change: change.id,
        record: change.owner,
        at: time(change.at.0),
        state: change.state.word().to_owned(),
        before: change.before.text,
        after: change.after.text,
        trouble: change.trouble,
        by: change.by,
        reason: change.reason,
    }
}

/// The changes of the domain's DMARC record.
async fn listed(call: &Call) -> Result<Vec<Change>, Problem> {
    let domain = hosted(call).await?;
    let mut all = call.services.zone_changes.list(domain.as_str()).await?;
    let owner = owner(&domain);
    all.retain(|change| change.owner == owner);
    Ok(all)
}

async fn changes(call: Call, _: NoQuery, _: NoBody) -> Result<List<RecordChange>, Problem> {
    let all = listed(&call).await?.into_iter();
    Ok(List(all.map(|change| shown(&call, change)).collect()))
}

async fn roll_back(call: Call, _: NoQuery, _: NoBody) -> Result<Json<RecordChange>, Problem> {
    let all = listed(&call).await?.into_iter();
    let mut open = all.filter(|change| change.state.is_open() || change.state.is_published());
    let newest = open.next().ok_or_else(|| {
        Problem::conflict([
            "Es gibt keine Änderung, die zurückgenommen werden könnte.",
            "There is no change that could be taken back.",
        ])
    })?;
    let (domain, number) = (newest.domain.clone(), newest.id);
    call.note_before(&shown(&call, newest));
    let back = call
        .services
        .zone_changes
        .roll_back(&domain, number)
        .await?;
    let back = shown(&call, back);
    call.note_after(&back);
    Ok(Json(back))
}

impl From<ZoneChangeError> for Problem {
    fn from(error: ZoneChangeError) -> Self {
        match error {
            ZoneChangeError::Store(error) => error.into(),
            ZoneChangeError::Missing { .. } => Self::missing(error.to_string()),
            ZoneChangeError::Update(_) => Self::unreachable(error.to_string()),
            ZoneChangeError::UnderWay { .. }
            | ZoneChangeError::Over { .. }
            | ZoneChangeError::Meanwhile { .. } => Self::conflict(error.to_string()),
        }
    }
}

impl From<AdvisorError> for Problem {
    fn from(error: AdvisorError) -> Self {
        match error {
            AdvisorError::Dns(why) => Self::unreachable(why),
            AdvisorError::Record(..) => Self::conflict(error.to_string()),
            AdvisorError::Policy(error) => error.into(),
            AdvisorError::Change(error) => error.into(),
            AdvisorError::Store(error) => error.into(),
        }
    }
}
