//! The whole state of the installation as a text file: export, plan, apply.

use super::author;
use crate::access::Right;
use crate::call::{Call, Json, NoBody, NoQuery, Text};
use crate::problem::Problem;
use crate::route::{About, Route};
use crate::state::{self, Told};
use axum::http::Method;
use directory::admin::Removals;
use policy::admin::Author;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

pub use crate::state::Break;

/// Its routes.
pub(super) fn routes() -> Vec<Route> {
    let operate = (Right::Change, About::Installation);
    const STATE: &str = "/api/v1/state";
    vec![
        Route::api(
            Method::GET,
            STATE,
            operate,
            "Directory, settings, identities, catalogue, rules, rollouts and words as TOML, passwords as hashes",
            export,
        )
        // Whoever has the hashes can guess at leisure.
        .audited(),
        Route::api(
            Method::POST,
            "/api/v1/state/plan",
            operate,
            "What applying this would change, and whom it would cut off",
            plan,
        )
        .not_audited()
        .bulky(),
        Route::api(
            Method::PUT,
            STATE,
            operate,
            "Make everything what this says, in one transaction or not at all",
            apply,
        )
        .bulky(),
    ]
}

async fn export(call: Call, _: NoQuery, _: NoBody) -> Result<Text, Problem> {
    Ok(Text(
        state::export(&call.services.accounts, call.now).await?,
    ))
}

/// What changes.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Changes {
    /// A sentence each, in the order in which they are done.
    pub changes: Vec<String>,
    /// Accounts that go with all their mail.
    pub accounts_removed: usize,
    /// What should be known of it.
    pub warnings: Vec<String>,
    /// Who would no longer get through, for each change that does that; in a plan.
    pub breaks: Vec<Break>,
}

impl From<Told> for Changes {
    fn from(told: Told) -> Self {
        let directory = &told.directory.changes;
        let destroyed = directory.iter().filter(|change| change.destroys_mail());
        let sentences = directory.iter().map(ToString::to_string);
        Self {
            accounts_removed: destroyed.count(),
            changes: sentences.chain(told.others).collect(),
            warnings: told.warnings,
            breaks: told.breaks,
        }
    }
}

async fn plan(call: Call, _: NoQuery, sent: Text) -> Result<Json<Changes>, Problem> {
    // What sessions saw until now counts.
    call.services.connections.flush().await?;
    call.services.findings.flush().await?;
    let planned = state::plan(&call.services, &sent.0, call.now).await?;
    Ok(Json(planned.into()))
}

/// What is allowed.
#[derive(Deserialize, IntoParams)]
struct Allowed {
    /// `refused` (unless it is said) or `allowed`: whether accounts may go with all their mail.
    #[serde(default)]
    #[param(inline)]
    removals: RemovalsWord,
}

/// Whether accounts may go with all their mail.
#[derive(Deserialize, Default, Clone, Copy, ToSchema)]
#[serde(rename_all = "lowercase")]
enum RemovalsWord {
    #[default]
    Refused,
    Allowed,
}

async fn apply(call: Call, allowed: Allowed, sent: Text) -> Result<Json<Changes>, Problem> {
    let removals = match allowed.removals {
        RemovalsWord::Refused => Removals::Refused,
        RemovalsWord::Allowed => Removals::Allowed,
    };
    // Settings keep the reasons that stand in the file; histories say that it was one.
    let who = author(&call, String::new());
    let by = Author {
        by: format!("{} (state file)", who.by),
        ..who
    };
    let done = state::apply(&call.services.accounts, &sent.0, removals, by).await?;
    // It is done; a node that cannot read it now will within a second.
    if let Err(error) = call.services.policies.refresh().await {
        tracing::error!(%error, "refresh policy");
    }
    let changes = Changes::from(done);
    call.note_after(&changes);
    Ok(Json(changes))
}
