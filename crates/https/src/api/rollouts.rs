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
use rollout::plan::Setting;
use rollout::{Kept, Rollout, TakenBack};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

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
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct KeptRollout {
    /// Its name.
    pub slug: String,
    /// `draft`, `announced`, `running`, `paused`, `done` or `rolled-back`.
    pub state: String,
    /// When it was made.
    pub created: String,
    /// When it was changed last.
    pub changed: String,
    /// The document as it was written.
    #[schema(value_type = Object)]
    pub document: Value,
}

impl KeptRollout {
    fn of(kept: &Kept) -> Result<Self, Problem> {
        Ok(Self {
            slug: kept.rollout.slug.clone(),
            state: kept.state.word().to_owned(),
            created: super::time(kept.created_at.0),
            changed: super::time(kept.changed_at.0),
            document: serde_json::to_value(&kept.rollout).map_err(|e| Problem::fault(&e))?,
        })
    }

    /// The document as a value.
    ///
    /// # Errors
    /// Where another version wrote what this one cannot read.
    pub fn rollout(&self) -> Result<Rollout, serde_json::Error> {
        serde_json::from_value(self.document.clone())
    }
}

/// A rollout to be kept, and why.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteRollout {
    /// Slug, title, reason, as_of, audience, rounds, legacy, texts, steps, evidence.
    #[schema(value_type = Object)]
    pub document: Value,
    /// Kept in the history.
    pub reason: String,
}

/// What should be known.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Warnings {
    /// A sentence each.
    pub warnings: Vec<String>,
}

fn read(document: Value) -> Result<Rollout, Problem> {
    serde_json::from_value(document).map_err(|error| Problem::invalid(error.to_string()))
}

async fn list(call: Call, _: NoQuery, _: NoBody) -> Result<List<KeptRollout>, Problem> {
    let all = call.services.rollouts.list().await?;
    let shown: Result<Vec<_>, _> = all.iter().map(KeptRollout::of).collect();
    Ok(List(shown?))
}

async fn one(call: Call, _: NoQuery, _: NoBody) -> Result<Json<KeptRollout>, Problem> {
    let kept = call.services.rollouts.get(call.param("rollout")).await?;
    Ok(Json(KeptRollout::of(&kept)?))
}

async fn create(
    call: Call,
    _: NoQuery,
    sent: Json<WriteRollout>,
) -> Result<Created<Warnings>, Problem> {
    let rollout = read(sent.0.document)?;
    let author = author(&call, sent.0.reason);
    let warnings = call.services.rollouts.create(rollout, author).await?;
    Ok(Created(Warnings { warnings }))
}

async fn update(
    call: Call,
    _: NoQuery,
    sent: Json<WriteRollout>,
) -> Result<Json<Warnings>, Problem> {
    let rollouts = &call.services.rollouts;
    let before = rollouts.get(call.param("rollout")).await?;
    call.expect(&KeptRollout::of(&before)?)?;
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
    call.expect(&KeptRollout::of(
        &rollouts.get(call.param("rollout")).await?,
    )?)?;
    rollouts.remove(call.param("rollout")).await?;
    Ok(Done)
}

/// A setting that a rollout makes.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RolloutSets {
    /// Where.
    pub scope: String,
    /// What.
    pub name: String,
    /// Which of several; mostly empty.
    pub item: String,
    /// What it becomes.
    pub value: String,
    /// What is set exactly there now.
    pub before: Option<String>,
}

/// What starting a rollout would do.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PlannedRollout {
    /// All it sets.
    pub settings: Vec<RolloutSets>,
    /// Whom it concerns, per measure.
    pub impact: Vec<Preview>,
    /// What should be known.
    pub warnings: Vec<String>,
}

async fn plan(call: Call, _: NoQuery, _: NoBody) -> Result<Json<PlannedRollout>, Problem> {
    super::letters::keep(&call).await?;
    let plan = call
        .services
        .rollouts
        .plan(call.param("rollout"), call.now)
        .await?;
    let settings = plan.settings.into_iter().map(|setting| RolloutSets {
        scope: setting.scope.to_string(),
        name: setting.target.to_string(),
        item: setting.item,
        value: setting.value.to_string(),
        before: setting.before,
    });
    let catalogue = call.services.policies.catalogue();
    let impact = plan.impacts.into_iter();
    Ok(Json(PlannedRollout {
        settings: settings.collect(),
        impact: impact.map(|one| Preview::of(one, &catalogue)).collect(),
        warnings: plan.warnings,
    }))
}

/// What is done with a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RolloutAction {
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
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SteerRollout {
    /// What.
    pub action: RolloutAction,
    /// Kept in the history.
    pub reason: String,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SteeredRollout {
    /// As it is now.
    #[serde(flatten)]
    pub rollout: KeptRollout,
    /// Its public page.
    pub page: String,
    /// Settings that were made, held, let go or taken back.
    pub settings: Vec<String>,
    /// Settings of its that somebody changed since; they stay as they are.
    pub left: Vec<String>,
}

async fn set_state(
    call: Call,
    _: NoQuery,
    sent: Json<SteerRollout>,
) -> Result<Json<SteeredRollout>, Problem> {
    let (rollouts, slug) = (&call.services.rollouts, call.param("rollout"));
    call.expect(&KeptRollout::of(&rollouts.get(slug).await?)?)?;
    let author = author(&call, sent.0.reason);
    let mut done = TakenBack::default();
    match sent.0.action {
        RolloutAction::Announce => rollouts.announce(slug, author).await?,
        RolloutAction::End => rollouts.end(slug, author).await?,
        RolloutAction::Start => {
            let set = rollouts.start(slug, author).await?.into_iter();
            done.restored = set.map(|one| told(&one)).collect();
        }
        RolloutAction::Pause => done = rollouts.pause(slug, author).await?,
        RolloutAction::Resume => done = rollouts.resume(slug, author).await?,
        RolloutAction::RollBack => done = rollouts.roll_back(slug, author).await?,
    }
    call.services.policies.refresh().await?;
    let steered = SteeredRollout {
        rollout: KeptRollout::of(&rollouts.get(slug).await?)?,
        page: rollout::announce::page(&rollouts.voice().await?, slug),
        settings: done.restored,
        left: done.left,
    };
    call.note_after(&steered);
    Ok(Json(steered))
}

/// A setting that was made.
fn told(set: &Setting) -> String {
    let what = format!("{} {}", set.target, set.item);
    format!("{}: {}", set.scope, what.trim_end())
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
