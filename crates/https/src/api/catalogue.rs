//! The operator's own entries of the catalogue of mail programs, and whom the catalogue would recognise. What it holds
//! is in `measures`.

use super::author;
use crate::access::Right;
use crate::call::{Call, Done, Json, NoBody, NoQuery, Text};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use platform::store::Tx;
use policy::clients::entry::Entry;
use policy::clients::{Hints, entry, rows};
use rollout::guides;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let look = (Right::See, About::Installation);
    let operate = (Right::Change, About::Installation);
    const OWN: &str = "/api/v1/catalogue/own";
    vec![
        Route::api(
            Method::GET,
            "/api/v1/catalogue/entries",
            look,
            "All entries of the catalogue, as TOML",
            all,
        ),
        Route::api(
            Method::GET,
            "/api/v1/catalogue/entries/{client}",
            look,
            "An entry of the catalogue, as TOML",
            one,
        ),
        Route::api(
            Method::GET,
            OWN,
            look,
            "The provider's own entries of the catalogue, as TOML",
            own,
        ),
        Route::api(
            Method::PUT,
            OWN,
            operate,
            "Make the own entries exactly these",
            replace,
        ),
        Route::api(
            Method::POST,
            OWN,
            operate,
            "Add entries, or replace those with the same identifier",
            add,
        ),
        Route::api(
            Method::DELETE,
            "/api/v1/catalogue/own/{client}",
            operate,
            "Remove an own entry; a built-in one it covered is back",
            remove,
        ),
        Route::api(
            Method::GET,
            "/api/v1/catalogue/recognise",
            look,
            "Whom the catalogue recognises by what a client shows",
            recognise,
        ),
    ]
}

fn written(call: &Call) -> String {
    let catalogue = call.services.policies.catalogue();
    let own = catalogue.entries();
    entry::write(own.filter(|entry| catalogue.is_own(&entry.id)))
}

async fn own(call: Call, _: NoQuery, _: NoBody) -> Result<Text, Problem> {
    Ok(Text(written(&call)))
}

/// Why.
#[derive(Deserialize, IntoParams)]
struct Why {
    /// Kept in the history.
    #[serde(default)]
    reason: String,
}

/// What was changed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChangedEntries {
    /// A sentence each.
    pub changes: Vec<String>,
    /// What should be known: guides that nobody has are no error, as they come with the program.
    pub warnings: Vec<String>,
}

fn read(text: &str) -> Result<Vec<Entry>, Problem> {
    entry::parse(text).map_err(Problem::invalid)
}

fn warnings<'e>(entries: impl Iterator<Item = &'e Entry>) -> Vec<String> {
    let without = entries.filter(|entry| guides::get(&entry.guide).is_none());
    let known: Vec<_> = guides::all().iter().map(guides::Guide::id).collect();
    let told = without.map(|entry| {
        format!(
            "there is no guide \"{}\"; its users get the general one. There are: {}",
            entry.guide,
            known.join(", ")
        )
    });
    told.collect()
}

async fn add(call: Call, why: Why, sent: Text) -> Result<Json<ChangedEntries>, Problem> {
    let entries = read(&sent.0)?;
    call.note_before(&written(&call));
    let told = entries.iter();
    let told = told.map(|entry| format!("The catalogue has the entry {} now.", entry.id));
    let changed = ChangedEntries {
        changes: told.collect(),
        warnings: warnings(entries.iter()),
    };
    rows::add(&call.services.store, entries, author(&call, why.reason)).await?;
    call.services.policies.refresh().await?;
    call.note_after(&written(&call));
    Ok(Json(changed))
}

async fn replace(call: Call, why: Why, sent: Text) -> Result<Json<ChangedEntries>, Problem> {
    let wanted = rows::by_id(read(&sent.0)?);
    call.note_before(&written(&call));
    let warnings = warnings(wanted.values());
    let author = author(&call, why.reason);
    let changes = call
        .services
        .store
        .write(move |tx: &mut dyn Tx| rows::replace(tx, &wanted, &author))
        .await?;
    call.services.policies.refresh().await?;
    call.note_after(&written(&call));
    Ok(Json(ChangedEntries { changes, warnings }))
}

async fn all(call: Call, _: NoQuery, _: NoBody) -> Result<Text, Problem> {
    let catalogue = call.services.policies.catalogue();
    Ok(Text(entry::write(catalogue.entries())))
}

async fn one(call: Call, _: NoQuery, _: NoBody) -> Result<Text, Problem> {
    let catalogue = call.services.policies.catalogue();
    let found = catalogue.get(call.param("client"));
    let found = found.ok_or_else(|| missing(call.param("client")))?;
    Ok(Text(entry::write(std::iter::once(found))))
}

fn missing(client: &str) -> Problem {
    Problem::missing(format!(
        "The catalogue has no entry \"{client}\"; `rohrpost catalogue list` shows what there is."
    ))
}

async fn remove(call: Call, why: Why, _: NoBody) -> Result<Done, Problem> {
    call.note_before(&written(&call));
    let why = author(&call, why.reason);
    let was = rows::take_away(&call.services.store, call.param("client"), why).await?;
    call.services.policies.refresh().await?;
    match was {
        true => Ok(Done),
        false => Err(Problem::missing(format!(
            "The catalogue has no entry \"{}\" of your own; `rohrpost catalogue list` shows what there is.",
            call.param("client")
        ))),
    }
}

/// What a client shows of itself.
#[derive(Deserialize, IntoParams)]
struct Shown {
    /// The name in the IMAP command ID.
    imap_id: Option<String>,
    /// The version in it.
    imap_version: Option<String>,
    /// The operating system in it.
    imap_os: Option<String>,
    /// X-Mailer or User-Agent.
    mailer: Option<String>,
    /// What it says with EHLO.
    hello: Option<String>,
    /// The fingerprint of its ClientHello, as the log has it.
    fingerprint: Option<String>,
}

/// Whom that is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RecognisedAs {
    /// In words.
    pub client: String,
    /// The key in the catalogue.
    pub key: String,
    /// How sure that is.
    pub confidence: String,
    /// The newest TLS it speaks.
    pub newest_tls: Option<String>,
    /// The guide for it.
    pub guide: String,
}

async fn recognise(call: Call, shown: Shown, _: NoBody) -> Result<Json<RecognisedAs>, Problem> {
    let catalogue = call.services.policies.catalogue();
    let found = catalogue.recognise(&Hints {
        fingerprint: shown.fingerprint.as_deref(),
        offered_versions: None,
        imap_id_name: shown.imap_id.as_deref(),
        imap_id_version: shown.imap_version.as_deref(),
        imap_id_os: shown.imap_os.as_deref(),
        hello: shown.hello.as_deref(),
        mailer: shown.mailer.as_deref(),
    });
    Ok(Json(RecognisedAs {
        client: found.in_words(call.language),
        key: found.key().to_string(),
        confidence: format!("{:?}", found.confidence).to_lowercase(),
        newest_tls: found.newest_tls.map(|tls| tls.word().to_owned()),
        guide: found.guide.to_string(),
    }))
}
