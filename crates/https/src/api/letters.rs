//! What belongs to rollouts beside their documents: how the provider speaks, every text in every form, whom they
//! concern today, rounds and their letters, and their history.

use super::author;
use super::measures::Preview;
use crate::access::Right;
use crate::answer;
use crate::call::{Call, Json, List, NoBody, NoQuery};
use crate::language::Language;
use crate::posture::client_words;
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use policy::Sender;
use policy::impact::Impact;
use rollout::ledger::Entry;
use rollout::preview::Variant;
use rollout::voice::{Address, Gender, Word};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Letters that are listed at most, and where nothing else is asked for.
const LETTERS_MAX: i64 = 1_000_000;
const LETTERS_USUAL: u32 = 10_000;

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let look = (Right::See, About::Installation);
    let operate = (Right::Change, About::Installation);
    const WORD: &str = "/api/v1/voice/{word}";
    let mut routes = vec![
        Route::api(
            Method::GET,
            "/api/v1/voice",
            look,
            "How the provider speaks in all texts",
            voice,
        ),
        Route::api(Method::PUT, WORD, operate, "Say one thing differently", say),
        Route::api(Method::DELETE, WORD, operate, "Say it as by itself", unsay),
    ];
    routes.extend(of_rollouts());
    routes
}

fn of_rollouts() -> Vec<Route> {
    let look = (Right::See, About::Installation);
    let operate = (Right::Change, About::Installation);
    vec![
        Route::api(
            Method::GET,
            "/api/v1/rollouts/{rollout}/preview",
            look,
            "Its texts in every form, as readers would get them",
            preview,
        ),
        Route::api(
            Method::GET,
            "/api/v1/rollouts/{rollout}/impact",
            look,
            "Whom it concerns today, per measure",
            impact,
        ),
        Route::page(
            Method::GET,
            "/api/v1/rollouts/{rollout}/impact.csv",
            look,
            sheet,
        ),
        Route::api(
            Method::GET,
            "/api/v1/letters",
            look,
            "Letters of all rollouts, and what became of them",
            all_letters,
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
            "/api/v1/rollouts/{rollout}/rounds",
            look,
            "When its rounds are, and how many letters there are",
            rounds,
        ),
        Route::api(
            Method::GET,
            "/api/v1/rollouts/{rollout}/contacts",
            look,
            "Whom it concerns, and who answers for their domain",
            contacts,
        ),
        Route::api(
            Method::POST,
            "/api/v1/rollouts/{rollout}/rounds",
            operate,
            "Write a round of letters now",
            round,
        ),
        Route::api(
            Method::GET,
            "/api/v1/rollouts/{rollout}/history",
            look,
            "Who did what with it",
            history,
        ),
    ]
}

/// A word about the provider.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Said {
    /// Its name.
    pub word: String,
    /// What is said now.
    pub value: String,
    /// What it takes.
    pub syntax: String,
    /// What it is.
    pub meaning: String,
}

async fn voice(call: Call, _: NoQuery, _: NoBody) -> Result<List<Said>, Problem> {
    let voice = call.services.rollouts.voice().await?;
    let all = Word::ALL.iter();
    let said = all.map(|(word, name, syntax, meaning)| Said {
        word: (*name).to_owned(),
        value: voice.said(*word).to_owned(),
        syntax: (*syntax).to_owned(),
        meaning: (*meaning).to_owned(),
    });
    Ok(List(said.collect()))
}

/// What is said, and why.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Say {
    /// What.
    pub value: String,
    /// Kept in the history.
    pub reason: String,
}

/// What is said now.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SaidNow {
    /// What.
    pub value: String,
}

async fn change(call: &Call, value: Option<&str>, reason: String) -> Result<SaidNow, Problem> {
    let word = Word::from_word(call.param("word")).ok_or_else(Problem::not_here)?;
    let rollouts = &call.services.rollouts;
    let before = rollouts.voice().await?.said(word).to_owned();
    call.expect(&SaidNow { value: before })?;
    rollouts.say(word, value, author(call, reason)).await?;
    let value = rollouts.voice().await?.said(word).to_owned();
    let now = SaidNow { value };
    call.note_after(&now);
    Ok(now)
}

async fn say(call: Call, _: NoQuery, sent: Json<Say>) -> Result<Json<SaidNow>, Problem> {
    let said = change(&call, Some(&sent.0.value), sent.0.reason).await?;
    Ok(Json(said))
}

/// Why.
#[derive(Deserialize, IntoParams)]
struct Why {
    /// Kept in the history.
    #[serde(default)]
    reason: String,
}

async fn unsay(call: Call, why: Why, _: NoBody) -> Result<Json<SaidNow>, Problem> {
    Ok(Json(change(&call, None, why.reason).await?))
}

/// Which texts.
#[derive(Deserialize, IntoParams)]
struct Which {
    /// `de` or `en`.
    language: Option<String>,
    /// `sie` or `du`.
    address: Option<String>,
    /// `pair` or `colon`.
    gender: Option<String>,
    /// `page`, or a kind of letter: `newsletter`, `round`, `thanks`, `digest`, `nudge`.
    what: Option<String>,
    /// How the keys of mail programs begin.
    client: Option<String>,
}

impl Which {
    /// # Errors
    /// Where a word is none of those there are.
    fn check(&self) -> Result<(), Problem> {
        let known = |given: &Option<String>, words: &[&str]| match given.as_deref() {
            Some(given) if !words.contains(&given) => Err(Problem::invalid(format!(
                "\"{given}\" is none of {}",
                words.join(", ")
            ))),
            _ => Ok(()),
        };
        known(&self.language, &["de", "en"])?;
        known(&self.address, &Address::ALL.map(Address::word))?;
        known(&self.gender, &Gender::ALL.map(Gender::word))
    }

    fn wants(&self, variant: &Variant) -> bool {
        let is = |wanted: &Option<String>, word: &str| wanted.as_deref().is_none_or(|w| w == word);
        let client = self.client.as_deref();
        is(&self.language, tag(variant.form.language))
            && is(&self.address, variant.form.address.word())
            && is(&self.gender, variant.form.gender.word())
            && is(&self.what, variant.what)
            && client.is_none_or(|client| variant.client.starts_with(client))
    }
}

fn tag(language: Language) -> &'static str {
    match language {
        Language::German => "de",
        Language::English => "en",
    }
}

/// Texts of a rollout.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TextsOf {
    /// How many there are in all; none of them has anything left unfilled.
    pub all: usize,
    /// Those that were asked for.
    pub texts: Vec<TextOf>,
}

/// One text in one form.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TextOf {
    /// `page` or the kind of letter.
    pub what: String,
    /// `de` or `en`.
    pub language: String,
    /// `sie` or `du`.
    pub address: String,
    /// `pair` or `colon`.
    pub gender: String,
    /// The program's key; empty where it does not matter.
    pub client: String,
    /// The line above it.
    pub subject: String,
    /// The text.
    pub text: String,
}

async fn preview(call: Call, which: Which, _: NoBody) -> Result<Json<TextsOf>, Problem> {
    which.check()?;
    let rollouts = &call.services.rollouts;
    let variants = rollouts.preview(call.param("rollout")).await?;
    let all = variants.len();
    let shown = variants.into_iter().filter(|variant| which.wants(variant));
    let texts = shown.map(|variant| TextOf {
        what: variant.what.to_owned(),
        language: tag(variant.form.language).to_owned(),
        address: variant.form.address.word().to_owned(),
        gender: variant.form.gender.word().to_owned(),
        client: variant.client,
        subject: variant.subject,
        text: variant.text,
    });
    let texts = texts.collect();
    Ok(Json(TextsOf { all, texts }))
}

/// What sessions saw until now counts.
pub(super) async fn keep(call: &Call) -> Result<(), Problem> {
    Ok(call.services.keep().await?)
}

async fn impact(call: Call, _: NoQuery, _: NoBody) -> Result<List<Preview>, Problem> {
    keep(&call).await?;
    let rollouts = &call.services.rollouts;
    let impacts = rollouts.impact(call.param("rollout"), call.now).await?;
    let catalogue = call.services.policies.catalogue();
    let shown = impacts.into_iter();
    Ok(List(
        shown.map(|one| Preview::of(one, &catalogue)).collect(),
    ))
}

async fn sheet(call: Call) -> Result<Response, Problem> {
    keep(&call).await?;
    let rollouts = &call.services.rollouts;
    let impacts = rollouts.impact(call.param("rollout"), call.now).await?;
    let text: String = impacts.iter().map(Impact::csv).collect();
    let kind = "text/csv; charset=utf-8";
    Ok(answer::with_body(StatusCode::OK, kind, text))
}

/// Somebody it concerns.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Concerned {
    /// The address.
    pub account: String,
    /// Its domain.
    pub domain: String,
    /// Its group.
    pub group: Option<String>,
    /// Who answers for the domain.
    pub domain_contact: Option<String>,
    /// Measures and programs.
    pub seen: Vec<String>,
}

async fn contacts(call: Call, _: NoQuery, _: NoBody) -> Result<List<Concerned>, Problem> {
    keep(&call).await?;
    let rollouts = &call.services.rollouts;
    let concerned = rollouts.concerned(call.param("rollout"), call.now).await?;
    let contacts = rollouts.domain_contacts().await?;
    let policies = &call.services.policies;
    let (catalogue, policy) = (policies.catalogue(), policies.snapshot());
    let shown = concerned.iter().map(|one| {
        // As its owner reads it in letters.
        let set = policy.language(&Sender {
            account: Some(one.account),
            domain: &one.domain,
            group: one.group.as_deref(),
        });
        let language = set.unwrap_or(call.services.first_language);
        let each = one.seen.iter().map(|seen| {
            let client = client_words(&catalogue, &seen.client, language);
            format!("{}: {client}", seen.measure)
        });
        let mut seen: Vec<String> = each.collect();
        seen.sort();
        seen.dedup();
        Concerned {
            account: one.login.to_string(),
            domain: one.domain.to_string(),
            group: one.group.as_deref().map(str::to_owned),
            domain_contact: contacts.get(one.domain.as_ref()).cloned(),
            seen,
        }
    });
    Ok(List(shown.collect()))
}

/// Which letters.
#[derive(Deserialize, IntoParams)]
struct WhichLetters {
    /// Only of this round.
    round: Option<i64>,
    /// At most so many; 10000 where it is not said.
    #[param(minimum = 1, maximum = 1000000)]
    limit: Option<u32>,
}

/// A letter.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Letter {
    /// Its rollout; empty for letters of legacy access, which belong to none.
    pub rollout: String,
    /// Its round.
    pub round: i64,
    /// What it says.
    pub kind: String,
    /// To whom.
    pub address: String,
    /// The domain concerned.
    pub domain: String,
    /// When it was written.
    pub written: String,
    /// When it goes out.
    pub due: String,
    /// What became of it.
    pub status: String,
    /// Since when.
    pub since: String,
    /// The message's name for `trace`; empty until it is handed over.
    pub message: String,
    /// The last reply, or why.
    pub reply: String,
}

impl From<Entry> for Letter {
    fn from(entry: Entry) -> Self {
        let message = match entry.token {
            0 => String::new(),
            token => queue::TraceId(token).to_string(),
        };
        Self {
            rollout: entry.key.slug,
            round: entry.key.round,
            kind: entry.key.kind.word().to_owned(),
            address: entry.address,
            domain: entry.domain,
            written: super::time(entry.written_at.0),
            due: super::time(entry.due_at.0),
            status: entry.status.word().to_owned(),
            since: super::time(entry.status_at.0),
            message,
            reply: entry.reply,
        }
    }
}

async fn of(call: &Call, slug: Option<&str>, which: WhichLetters) -> Result<Vec<Letter>, Problem> {
    let limit = i64::from(which.limit.unwrap_or(LETTERS_USUAL)).clamp(1, LETTERS_MAX);
    // Those of one round are chosen among all.
    let read = match which.round {
        None => limit,
        Some(_) => LETTERS_MAX,
    };
    let entries = call
        .services
        .rollouts
        .letters(slug, read)
        .await?
        .into_iter();
    let of_round = |entry: &Entry| which.round.is_none_or(|round| entry.key.round == round);
    let asked = entries.filter(of_round).map(Letter::from);
    Ok(asked.take(usize::try_from(limit).unwrap_or(0)).collect())
}

async fn all_letters(call: Call, which: WhichLetters, _: NoBody) -> Result<List<Letter>, Problem> {
    Ok(List(of(&call, None, which).await?))
}

async fn letters(call: Call, which: WhichLetters, _: NoBody) -> Result<List<Letter>, Problem> {
    let slug = call.param("rollout");
    Ok(List(of(&call, Some(slug), which).await?))
}

/// When a round is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PlannedRound {
    /// Its number; 0 is the newsletter.
    pub round: i64,
    /// When.
    pub at: String,
}

/// How many letters have come so far.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LetterCount {
    /// Of which round.
    pub round: i64,
    /// What they say.
    pub kind: String,
    /// What became of them.
    pub status: String,
    /// How many.
    pub letters: i64,
}

/// The rounds of a rollout.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RoundsOf {
    /// Those that are planned.
    pub planned: Vec<PlannedRound>,
    /// The letters there are.
    pub letters: Vec<LetterCount>,
}

async fn rounds(call: Call, _: NoQuery, _: NoBody) -> Result<Json<RoundsOf>, Problem> {
    let rollouts = &call.services.rollouts;
    let kept = rollouts.get(call.param("rollout")).await?;
    let zone = call.services.policies.snapshot().zone().clone();
    let planned = rollout::rounds::planned(&kept.rollout, &zone).into_iter();
    let planned = planned.map(|round| PlannedRound {
        round: round.number,
        at: super::time(round.at.0),
    });
    let counts = rollouts.letter_counts(&kept.rollout.slug).await?;
    let counts = counts
        .into_iter()
        .map(|(round, kind, status, letters)| LetterCount {
            round,
            kind,
            status,
            letters,
        });
    Ok(Json(RoundsOf {
        planned: planned.collect(),
        letters: counts.collect(),
    }))
}

/// That a round is meant.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteRound {
    /// Kept in the history.
    pub reason: String,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WrittenRound {
    /// Letters that are on their way.
    pub letters: usize,
}

async fn round(
    call: Call,
    _: NoQuery,
    sent: Json<WriteRound>,
) -> Result<Json<WrittenRound>, Problem> {
    keep(&call).await?;
    let why = author(&call, sent.0.reason);
    let rollouts = &call.services.rollouts;
    let letters = rollouts.round_now(call.param("rollout"), why).await?;
    let written = WrittenRound { letters };
    call.note_after(&written);
    Ok(Json(written))
}

/// A line of the history.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RolloutPast {
    /// When.
    pub at: String,
    /// What was done.
    pub action: String,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
}

async fn history(call: Call, _: NoQuery, _: NoBody) -> Result<List<RolloutPast>, Problem> {
    let rollouts = &call.services.rollouts;
    let slug = rollouts.get(call.param("rollout")).await?.rollout.slug;
    let past = rollouts.history(&slug).await?.into_iter();
    let shown = past.map(|past| RolloutPast {
        at: super::time(past.at.0),
        action: past.action,
        by: past.by,
        reason: past.reason,
    });
    Ok(List(shown.collect()))
}
