//! The whole directory as a text file: export, plan, apply.

use crate::access::Right;
use crate::call::{Call, Json, NoBody, NoQuery, Text};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use directory::admin::{Planned, Removals};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Its routes.
pub(super) fn routes() -> Vec<Route> {
    let operate = (Right::Change, About::Installation);
    const STATE: &str = "/api/v1/state";
    vec![
        Route::api(
            Method::GET,
            STATE,
            operate,
            "The directory as TOML, passwords as hashes",
            export,
        )
        // Whoever has the hashes can guess at leisure.
        .audited(),
        Route::api(
            Method::POST,
            "/api/v1/state/plan",
            operate,
            "What applying this would change",
            plan,
        )
        .not_audited(),
        Route::api(
            Method::PUT,
            STATE,
            operate,
            "Make the directory what this says",
            apply,
        ),
    ]
}

async fn export(call: Call, _: NoQuery, _: NoBody) -> Result<Text, Problem> {
    Ok(Text(call.services.accounts.export().await?))
}

/// What changes.
#[derive(Serialize, ToSchema)]
struct Changes {
    /// A sentence each, in the order in which they are done.
    changes: Vec<String>,
    /// Accounts that go with all their mail.
    accounts_removed: usize,
}

impl From<Planned> for Changes {
    fn from(planned: Planned) -> Self {
        let destroyed = planned.changes.iter().filter(|c| c.destroys_mail());
        Self {
            accounts_removed: destroyed.count(),
            changes: planned.changes.iter().map(ToString::to_string).collect(),
        }
    }
}

async fn plan(call: Call, _: NoQuery, sent: Text) -> Result<Json<Changes>, Problem> {
    Ok(Json(call.services.accounts.plan(&sent.0).await?.into()))
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
    let done = call
        .services
        .accounts
        .apply(&sent.0, removals, call.now)
        .await?;
    let changes = Changes::from(done);
    call.note_after(&changes);
    Ok(Json(changes))
}
