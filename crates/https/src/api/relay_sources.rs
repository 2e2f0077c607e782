//! Relay sources: servers that hand mail in for an account without a login. They are settings of accounts; this is the
//! face over them that an operator asks for by their own name.

use super::author;
use crate::access::Right;
use crate::call::{Call, Done, Json, List, NoBody, NoQuery};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use policy::admin::{Admin, Wanted};
use policy::relay_source::InClear;
use policy::setting::{Name, Value};
use policy::{Scope, Setting};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    const ONE: &str = "/api/v1/relay-sources/{source}";
    let operate = (Right::Change, About::Installation);
    vec![
        Route::api(
            Method::GET,
            "/api/v1/relay-sources",
            (Right::See, About::Installation),
            "Servers that hand mail in for an account without a login",
            list,
        ),
        Route::api(
            Method::PUT,
            ONE,
            operate,
            "Let a server hand mail in for an account, or change where it is",
            put,
        ),
        Route::api(
            Method::DELETE,
            ONE,
            operate,
            "End that a server hands mail in without a login",
            remove,
        ),
    ]
}

/// A relay source.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RelaySource {
    /// Its name.
    pub name: String,
    /// Whose mail it hands in: senders, limits and the signature are this account's.
    pub account: String,
    /// Its networks.
    pub networks: Vec<String>,
    /// Whether it may come without TLS.
    pub cleartext: bool,
    /// Why it is there.
    pub reason: String,
}

fn admin(call: &Call) -> Admin {
    Admin::new(call.services.store.clone())
}

async fn list(call: Call, _: NoQuery, _: NoBody) -> Result<List<RelaySource>, Problem> {
    let admin = admin(&call);
    let mut shown = Vec::new();
    for row in admin.settings().await? {
        let Value::RelaySource(source) = &row.value else {
            continue;
        };
        shown.push(RelaySource {
            name: row.item.clone(),
            account: account(&admin, &row.scope).await?,
            networks: source.networks.iter().map(ToString::to_string).collect(),
            cleartext: source.clear == InClear::Allowed,
            reason: row.reason,
        });
    }
    Ok(List(shown))
}

/// The address alone, as a change takes it.
async fn account(admin: &Admin, scope: &Scope) -> Result<String, Problem> {
    let words = admin.scope_text(scope).await?;
    let address = words.strip_prefix("account ").map(str::to_owned);
    Ok(address.unwrap_or(words))
}

/// What a relay source shall be.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutRelaySource {
    /// Whose mail it hands in.
    pub account: String,
    /// Its networks, such as `192.0.2.7` or `2001:db8:1::/64`.
    pub networks: Vec<String>,
    /// Whether it may come without TLS; only for the provider's own network.
    #[serde(default)]
    pub cleartext: bool,
    /// Kept in the history.
    pub reason: String,
}

async fn put(call: Call, _: NoQuery, sent: Json<PutRelaySource>) -> Result<Done, Problem> {
    let admin = admin(&call);
    let mut words = sent.0.networks;
    words.extend(sent.0.cleartext.then(|| "cleartext".to_owned()));
    let value = Value::parse(Name::RelaySource, &words.join(" ")).map_err(Problem::invalid)?;
    let scope = admin.scope(&sent.0.account).await?;
    if !matches!(scope, Scope::Account(_)) {
        return Err(Problem::invalid(
            "A relay source speaks for an account; for a whole domain grant the account its senders (*@domain).",
        ));
    }
    let before = known(&call, &admin).await?;
    call.note_before(&before.map(|row| row.value.to_string()));
    let wanted = Wanted {
        scope,
        name: Name::RelaySource,
        item: call.param("source").to_owned(),
        value,
        expires_at: None,
        consent: None,
        owner: None,
    };
    admin.set(wanted, author(&call, sent.0.reason)).await?;
    call.services.policies.refresh().await?;
    Ok(Done)
}

/// The one that is named.
async fn known(call: &Call, admin: &Admin) -> Result<Option<Setting>, Problem> {
    let settings = admin.settings().await?;
    let named = |row: &Setting| row.name == Name::RelaySource && row.item == call.param("source");
    Ok(settings.into_iter().find(named))
}

/// Why.
#[derive(Deserialize, IntoParams)]
struct Why {
    /// Kept in the history.
    #[serde(default)]
    reason: String,
}

async fn remove(call: Call, why: Why, _: NoBody) -> Result<Done, Problem> {
    let admin = admin(&call);
    let Some(row) = known(&call, &admin).await? else {
        let name = call.param("source");
        return Err(Problem::missing(format!(
            "There is no relay source {name}."
        )));
    };
    call.note_before(&row.value.to_string());
    admin
        .unset(row.scope, row.name, row.item, author(&call, why.reason))
        .await?;
    call.services.policies.refresh().await?;
    Ok(Done)
}
