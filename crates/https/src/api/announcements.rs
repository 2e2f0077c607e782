//! What an account is told of announcements: what the pages show as a banner, for programs that show it themselves.

use crate::access::Right;
use crate::call::{Call, List, NoBody, NoQuery};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use rollout::announce::page;
use rollout::{Told, Voice};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    vec![Route::api(
        Method::GET,
        "/api/v1/accounts/{account}/announcements",
        (Right::See, About::Account),
        "What an account is told of announcements: those it belongs to, and whether it has to do something",
        list,
    )]
}

/// An announcement as one account is told of it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Announcement {
    /// Its name in addresses of pages.
    pub slug: String,
    /// The title in German.
    pub title_de: String,
    /// The title in English.
    pub title_en: String,
    /// The next date, local to the installation, such as `2027-03-05` or `2027-03-05T08:00`.
    pub date: String,
    /// `nothing` or `action`: what the account has to do.
    pub need: String,
    /// Its public page.
    pub page: String,
}

fn shown(voice: &Voice, told: Told) -> Announcement {
    Announcement {
        page: page(voice, &told.slug),
        slug: told.slug,
        title_de: told.title.de,
        title_en: told.title.en,
        date: told.date.to_string(),
        need: told.need.word().to_owned(),
    }
}

async fn list(call: Call, _: NoQuery, _: NoBody) -> Result<List<Announcement>, Problem> {
    let services = &call.services;
    let account = services.accounts.account_id(&call.login()?).await?;
    // What was seen a moment ago counts, too.
    services.connections.flush().await?;
    let told = services.rollouts.of_account(account, call.now).await?;
    let voice = services.rollouts.voice().await?;
    Ok(List(
        told.into_iter().map(|told| shown(&voice, told)).collect(),
    ))
}
