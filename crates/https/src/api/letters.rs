//! What belongs to rollouts beside their documents: how the provider speaks, every text in every form, whom they
//! concern today, rounds by hand, and their history.

use super::author;
use super::measures::Preview;
use crate::access::Right;
use crate::call::{Call, Json, List, NoBody, NoQuery};
use crate::language::Language;
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use rollout::preview::Variant;
use rollout::voice::Word;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let look = (Right::See, About::Installation);
    let operate = (Right::Change, About::Installation);
    const WORD: &str = "/api/v1/voice/{word}";
    vec![
        Route::api(
            Method::GET,
            "/api/v1/voice",
            look,
            "How the provider speaks in all texts",
            voice,
        ),
        Route::api(Method::PUT, WORD, operate, "Say one thing differently", say),
        Route::api(Method::DELETE, WORD, operate, "Say it as by itself", unsay),
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
#[derive(Serialize, ToSchema)]
struct Said {
    word: &'static str,
    /// What is said now.
    value: String,
    /// What it takes.
    syntax: &'static str,
    /// What it is.
    meaning: &'static str,
}

async fn voice(call: Call, _: NoQuery, _: NoBody) -> Result<List<Said>, Problem> {
    let voice = call.services.rollouts.voice().await?;
    let all = Word::ALL.iter();
    let said = all.map(|(word, name, syntax, meaning)| Said {
        word: name,
        value: voice.said(*word).to_owned(),
        syntax,
        meaning,
    });
    Ok(List(said.collect()))
}

/// What is said, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Say {
    value: String,
    /// Kept in the history.
    reason: String,
}

/// What is said now.
#[derive(Serialize, ToSchema)]
struct SaidNow {
    value: String,
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

/// One text in one form.
#[derive(Serialize, ToSchema)]
struct TextOf {
    /// `page` or the kind of letter.
    what: &'static str,
    language: &'static str,
    address: &'static str,
    gender: &'static str,
    /// The program's key; empty where it does not matter.
    client: String,
    subject: String,
    text: String,
}

async fn preview(call: Call, which: Which, _: NoBody) -> Result<List<TextOf>, Problem> {
    let rollouts = &call.services.rollouts;
    let all = rollouts.preview(call.param("rollout")).await?.into_iter();
    let shown = all
        .filter(|variant| which.wants(variant))
        .map(|variant| TextOf {
            what: variant.what,
            language: tag(variant.form.language),
            address: variant.form.address.word(),
            gender: variant.form.gender.word(),
            client: variant.client,
            subject: variant.subject,
            text: variant.text,
        });
    Ok(List(shown.collect()))
}

/// What sessions saw until now counts.
async fn keep(call: &Call) -> Result<(), Problem> {
    call.services.connections.flush().await?;
    Ok(call.services.findings.flush().await?)
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

/// Somebody it concerns.
#[derive(Serialize, ToSchema)]
struct Concerned {
    account: String,
    domain: String,
    group: Option<String>,
    /// Who answers for the domain.
    domain_contact: Option<String>,
    /// Measures and programs.
    seen: Vec<String>,
}

async fn contacts(call: Call, _: NoQuery, _: NoBody) -> Result<List<Concerned>, Problem> {
    keep(&call).await?;
    let rollouts = &call.services.rollouts;
    let concerned = rollouts.concerned(call.param("rollout"), call.now).await?;
    let contacts = rollouts.domain_contacts().await?;
    let catalogue = call.services.policies.catalogue();
    let shown = concerned.iter().map(|one| {
        let each = one.seen.iter();
        let each =
            each.map(|seen| format!("{}: {}", seen.measure, catalogue.from_key(&seen.client)));
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

/// That a round is meant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Round {
    /// Kept in the history.
    reason: String,
}

/// What came of it.
#[derive(Serialize, ToSchema)]
struct Written {
    /// Letters that are on their way.
    letters: usize,
}

async fn round(call: Call, _: NoQuery, sent: Json<Round>) -> Result<Json<Written>, Problem> {
    keep(&call).await?;
    let why = author(&call, sent.0.reason);
    let rollouts = &call.services.rollouts;
    let letters = rollouts.round_now(call.param("rollout"), why).await?;
    let written = Written { letters };
    call.note_after(&written);
    Ok(Json(written))
}

/// A line of the history.
#[derive(Serialize, ToSchema)]
struct RolloutPast {
    at: String,
    action: String,
    by: String,
    reason: String,
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
