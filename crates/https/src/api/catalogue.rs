//! The operator's own entries of the catalogue of mail programs, and whom the catalogue would recognise. What it holds
//! is in `measures`.

use super::author;
use crate::access::Right;
use crate::call::{Call, Done, Json, NoBody, NoQuery, Text};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use policy::clients::{Hints, entry, rows};
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
            OWN,
            look,
            "The provider's own entries of the catalogue, as TOML",
            own,
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

async fn add(call: Call, why: Why, sent: Text) -> Result<Text, Problem> {
    let entries = entry::parse(&sent.0).map_err(|why| Problem::invalid(why.to_string()))?;
    call.note_before(&written(&call));
    rows::add(&call.services.store, entries, author(&call, why.reason)).await?;
    call.services.policies.refresh().await?;
    let after = written(&call);
    call.note_after(&after);
    Ok(Text(after))
}

async fn remove(call: Call, why: Why, _: NoBody) -> Result<Done, Problem> {
    call.note_before(&written(&call));
    let why = author(&call, why.reason);
    let was = rows::take_away(&call.services.store, call.param("client"), why).await?;
    call.services.policies.refresh().await?;
    match was {
        true => Ok(Done),
        false => Err(Problem::missing(
            "The catalogue has no such entry of your own.",
        )),
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
#[derive(Serialize, ToSchema)]
struct RecognisedAs {
    /// In words.
    client: String,
    /// The key in the catalogue.
    key: String,
    /// How sure that is.
    confidence: String,
    newest_tls: Option<&'static str>,
    /// The guide for it.
    guide: String,
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
        newest_tls: found.newest_tls.map(|tls| tls.word()),
        guide: found.guide.to_string(),
    }))
}
