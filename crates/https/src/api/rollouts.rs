//! Rollouts: made and changed as documents, planned with whom they concern, started, paused, taken back; their letters;
//! and the questions their readers asked.

use super::author;
use super::measures::Preview;
use crate::access::Right;
use crate::call::{Call, Created, Done, Json, List, NoBody, NoQuery};
use crate::problem::Problem;
use crate::questions::{self, Decision};
use crate::route::{About, Route};
use axum::http::Method;
use platform::store::Tx;
use rollout::{Kept, Rollout, ledger};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Letters that are listed.
const LETTERS_MAX: i64 = 10_000;

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let (look, operate) = (
        (Right::See, About::Installation),
        (Right::Change, About::Installation),
    );
    let assist = (Right::Assist, About::Installation);
    const ALL: &str = "/api/v1/rollouts";
    const ONE: &str = "/api/v1/rollouts/{rollout}";
    const QUESTION: &str = "/api/v1/rollouts/{rollout}/questions/{question}";
    vec![
        Route::api(Method::GET, ALL, look, "All rollouts, newest first", list),
        Route::api(
            Method::POST,
            ALL,
            operate,
            "Keep a new rollout as a draft",
            create,
        ),
        Route::api(Method::GET, ONE, look, "A rollout", one),
        Route::api(Method::PUT, ONE, operate, "Change a rollout", update),
        Route::api(
            Method::DELETE,
            ONE,
            operate,
            "Remove a rollout nobody has seen",
            remove,
        ),
        Route::api(
            Method::GET,
            "/api/v1/rollouts/{rollout}/plan",
            look,
            "What starting it would set, and whom it concerns",
            plan,
        ),
        Route::api(
            Method::POST,
            "/api/v1/rollouts/{rollout}/state",
            operate,
            "Announce, start, pause, resume, end or take back",
            set_state,
        ),
        Route::api(
            Method::GET,
            "/api/v1/rollouts/{rollout}/letters",
            look,
            "Its letters and what became of them",
            letters,
        ),
        Route::api(
            Method::GET,
            "/api/v1/rollouts/{rollout}/questions",
            look,
            "What readers asked",
            asked,
        ),
        Route::api(
            Method::PUT,
            QUESTION,
            assist,
            "Show or decline a question",
            decide,
        ),
    ]
}

/// A rollout as it is kept.
#[derive(Serialize, ToSchema)]
struct Shown {
    slug: String,
    /// `draft`, `announced`, `running`, `paused`, `done` or `rolled-back`.
    state: &'static str,
    created: String,
    changed: String,
    /// The document as it was written.
    #[schema(value_type = Object)]
    document: Value,
}

impl Shown {
    fn of(kept: &Kept) -> Result<Self, Problem> {
        Ok(Self {
            slug: kept.rollout.slug.clone(),
            state: kept.state.word(),
            created: super::time(kept.created_at.0),
            changed: super::time(kept.changed_at.0),
            document: serde_json::to_value(&kept.rollout).map_err(|e| Problem::fault(&e))?,
        })
    }
}

/// A rollout to be kept, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Write {
    /// Slug, title, reason, as_of, audience, rounds, legacy, texts, steps, evidence.
    #[schema(value_type = Object)]
    document: Value,
    /// Kept in the history.
    reason: String,
}

/// What should be known.
#[derive(Serialize, ToSchema)]
struct Warnings {
    warnings: Vec<String>,
}

fn read(document: Value) -> Result<Rollout, Problem> {
    serde_json::from_value(document).map_err(|error| Problem::invalid(error.to_string()))
}

async fn list(call: Call, _: NoQuery, _: NoBody) -> Result<List<Shown>, Problem> {
    let all = call.services.rollouts.list().await?;
    let shown: Result<Vec<_>, _> = all.iter().map(Shown::of).collect();
    Ok(List(shown?))
}

async fn one(call: Call, _: NoQuery, _: NoBody) -> Result<Json<Shown>, Problem> {
    let kept = call.services.rollouts.get(call.param("rollout")).await?;
    Ok(Json(Shown::of(&kept)?))
}

async fn create(call: Call, _: NoQuery, sent: Json<Write>) -> Result<Created<Warnings>, Problem> {
    let rollout = read(sent.0.document)?;
    let author = author(&call, sent.0.reason);
    let warnings = call.services.rollouts.create(rollout, author).await?;
    Ok(Created(Warnings { warnings }))
}

async fn update(call: Call, _: NoQuery, sent: Json<Write>) -> Result<Json<Warnings>, Problem> {
    let rollouts = &call.services.rollouts;
    let before = rollouts.get(call.param("rollout")).await?;
    call.expect(&Shown::of(&before)?)?;
    let rollout = read(sent.0.document)?;
    if rollout.slug != before.rollout.slug {
        return Err(Problem::invalid("The slug of a rollout does not change."));
    }
    let warnings = rollouts
        .update(rollout, author(&call, sent.0.reason))
        .await?;
    Ok(Json(Warnings { warnings }))
}

async fn remove(call: Call, _: NoQuery, _: NoBody) -> Result<Done, Problem> {
    let rollouts = &call.services.rollouts;
    call.expect(&Shown::of(&rollouts.get(call.param("rollout")).await?)?)?;
    rollouts.remove(call.param("rollout")).await?;
    Ok(Done)
}

/// A setting that a rollout makes.
#[derive(Serialize, ToSchema)]
struct Sets {
    scope: String,
    name: String,
    item: String,
    value: String,
}

/// What starting a rollout would do.
#[derive(Serialize, ToSchema)]
struct Planned {
    settings: Vec<Sets>,
    /// Whom it concerns, per measure.
    impact: Vec<Preview>,
    warnings: Vec<String>,
}

async fn plan(call: Call, _: NoQuery, _: NoBody) -> Result<Json<Planned>, Problem> {
    call.services.connections.flush().await?;
    let plan = call
        .services
        .rollouts
        .plan(call.param("rollout"), call.now)
        .await?;
    let settings = plan.settings.into_iter().map(|setting| Sets {
        scope: setting.scope.to_string(),
        name: setting.target.to_string(),
        item: setting.item,
        value: setting.value.to_string(),
    });
    let catalogue = call.services.policies.catalogue();
    let impact = plan.impacts.into_iter();
    Ok(Json(Planned {
        settings: settings.collect(),
        impact: impact.map(|one| Preview::of(one, &catalogue)).collect(),
        warnings: plan.warnings,
    }))
}

/// What is done with a rollout.
#[derive(Deserialize, Clone, Copy, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Action {
    /// Its page becomes public.
    Announce,
    /// Its schedules are set and its rounds begin.
    Start,
    /// Its schedules hold at observe.
    Pause,
    /// Its dates hold again.
    Resume,
    /// It is over; what it set stays.
    End,
    /// What it set is taken back.
    RollBack,
}

/// What to do, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Do {
    action: Action,
    /// Kept in the history.
    reason: String,
}

async fn set_state(call: Call, _: NoQuery, sent: Json<Do>) -> Result<Json<Shown>, Problem> {
    let (rollouts, slug) = (&call.services.rollouts, call.param("rollout"));
    call.expect(&Shown::of(&rollouts.get(slug).await?)?)?;
    let author = author(&call, sent.0.reason);
    match sent.0.action {
        Action::Announce => rollouts.announce(slug, author).await?,
        Action::End => rollouts.end(slug, author).await?,
        Action::Start => drop(rollouts.start(slug, author).await?),
        Action::Pause => drop(rollouts.pause(slug, author).await?),
        Action::Resume => drop(rollouts.resume(slug, author).await?),
        Action::RollBack => drop(rollouts.roll_back(slug, author).await?),
    }
    call.services.policies.refresh().await?;
    let shown = Shown::of(&rollouts.get(slug).await?)?;
    call.note_after(&shown);
    Ok(Json(shown))
}

/// A letter.
#[derive(Serialize, ToSchema)]
struct Letter {
    round: i64,
    kind: &'static str,
    address: String,
    domain: String,
    written: String,
    status: &'static str,
    since: String,
    /// The last reply, or why.
    reply: String,
}

async fn letters(call: Call, _: NoQuery, _: NoBody) -> Result<List<Letter>, Problem> {
    let slug = call
        .services
        .rollouts
        .get(call.param("rollout"))
        .await?
        .rollout
        .slug;
    let entries = call
        .services
        .store
        .read(move |tx: &mut dyn Tx| ledger::list(tx, &slug, LETTERS_MAX))
        .await?;
    let letters = entries.into_iter().map(|entry| Letter {
        round: entry.key.round,
        kind: entry.key.kind.word(),
        address: entry.address,
        domain: entry.domain,
        written: super::time(entry.written_at.0),
        status: entry.status.word(),
        since: super::time(entry.status_at.0),
        reply: entry.reply,
    });
    Ok(List(letters.collect()))
}

/// What a reader asked.
#[derive(Serialize, ToSchema)]
struct Question {
    question: i64,
    page: String,
    asked: String,
    name: String,
    /// For the answer; never published.
    address: String,
    text: String,
    /// `waiting`, `shown` or `declined`.
    state: String,
    answer: Option<String>,
}

async fn asked(call: Call, _: NoQuery, _: NoBody) -> Result<List<Question>, Problem> {
    let slug = call
        .services
        .rollouts
        .get(call.param("rollout"))
        .await?
        .rollout
        .slug;
    let found = call
        .services
        .store
        .read(move |tx: &mut dyn Tx| questions::of_page(tx, &slug))
        .await?;
    let shown = found.into_iter().map(|question| Question {
        question: question.question,
        page: question.page,
        asked: super::time(question.asked_at),
        name: question.name,
        address: question.address,
        text: question.text,
        state: question.state,
        answer: question.answer,
    });
    Ok(List(shown.collect()))
}

/// What becomes of a question.
#[derive(Deserialize, Clone, Copy, ToSchema)]
#[serde(rename_all = "lowercase")]
enum DecisionWord {
    /// It appears, with the answer if there is one.
    Show,
    /// It does not.
    Decline,
}

/// A decision.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Decide {
    decision: DecisionWord,
    /// Appears with the question.
    #[schema(max_length = 2000)]
    answer: Option<String>,
}

async fn decide(call: Call, _: NoQuery, sent: Json<Decide>) -> Result<Done, Problem> {
    let page = call
        .services
        .rollouts
        .get(call.param("rollout"))
        .await?
        .rollout
        .slug;
    let number: i64 = call
        .param("question")
        .parse()
        .map_err(|_| Problem::not_here())?;
    let decision = match sent.0.decision {
        DecisionWord::Show => Decision::Show,
        DecisionWord::Decline => Decision::Decline,
    };
    let answer = questions::checked_answer(sent.0.answer)?;
    let (by, now) = (call.who(), call.now);
    let found = call
        .services
        .store
        .write(move |tx: &mut dyn Tx| {
            questions::decide(tx, (&page, number), decision, answer.as_deref(), (&by, now))
        })
        .await?;
    match found {
        true => Ok(Done),
        false => Err(Problem::missing("There is no such question.")),
    }
}
