//! How mail leaves: pools of source addresses, and rules for single destinations. Both are settings; this is the face
//! over them that an operator asks for by their own names.

use super::author;
use crate::access::Right;
use crate::call::{Call, Done, Json, List, NoBody, NoQuery};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use policy::admin::{Admin, Wanted};
use policy::setting::{Name, Value};
use policy::{Scope, Setting};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use utoipa::{IntoParams, ToSchema};

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let look = (Right::See, About::Installation);
    let operate = (Right::Change, About::Installation);
    const POOL: &str = "/api/v1/pools/{pool}";
    const DESTINATIONS: &str = "/api/v1/destinations";
    let pools_of_all = "/api/v1/pools";
    vec![
        Route::api(
            Method::GET,
            pools_of_all,
            look,
            "Pools of source addresses, and who uses them",
            pools,
        ),
        Route::api(
            Method::PUT,
            POOL,
            operate,
            "Make a pool, or change it",
            put_pool,
        ),
        Route::api(
            Method::DELETE,
            POOL,
            operate,
            "Remove a pool nobody uses",
            remove_pool,
        ),
        Route::api(
            Method::GET,
            DESTINATIONS,
            look,
            "Rules for mail to single destinations",
            destinations,
        ),
        Route::api(
            Method::PUT,
            DESTINATIONS,
            operate,
            "Set how mail to a destination travels",
            put_destination,
        ),
        Route::api(
            Method::DELETE,
            DESTINATIONS,
            operate,
            "Remove the rule for a destination",
            remove_destination,
        ),
    ]
}

fn admin(call: &Call) -> Admin {
    Admin::new(call.services.store.clone())
}

/// A pool.
#[derive(Serialize, ToSchema)]
struct Pool {
    name: String,
    /// IPv4 and IPv6.
    #[schema(value_type = Vec<String>)]
    addresses: Vec<IpAddr>,
    /// The name it greets with (EHLO); nothing: the node's own.
    hello: Option<String>,
    /// Scopes whose mail leaves from it.
    used_by: Vec<String>,
}

async fn pools(call: Call, _: NoQuery, _: NoBody) -> Result<List<Pool>, Problem> {
    let admin = admin(&call);
    let settings = admin.settings().await?;
    let mut shown = Vec::new();
    for row in &settings {
        let Value::Pool(pool) = &row.value else {
            continue;
        };
        let uses = |user: &&Setting| user.name == Name::Pool && user.value.to_string() == row.item;
        let mut used_by = Vec::new();
        for user in settings.iter().filter(uses) {
            used_by.push(admin.scope_text(&user.scope).await?);
        }
        let v4 = pool.v4.iter().copied().map(IpAddr::V4);
        shown.push(Pool {
            name: row.item.clone(),
            addresses: v4.chain(pool.v6.iter().copied().map(IpAddr::V6)).collect(),
            hello: pool.hello.clone(),
            used_by,
        });
    }
    Ok(List(shown))
}

/// What a pool shall be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PutPool {
    /// IPv4 and IPv6; this machine must have them.
    #[schema(value_type = Vec<String>)]
    addresses: Vec<IpAddr>,
    /// The name it greets with (EHLO); let the addresses' PTR records say the same.
    hello: Option<String>,
    /// Kept in the history.
    reason: String,
}

async fn put_pool(call: Call, _: NoQuery, sent: Json<PutPool>) -> Result<Done, Problem> {
    let mut words: Vec<String> = sent.0.addresses.iter().map(IpAddr::to_string).collect();
    words.extend(sent.0.hello.map(|name| format!("hello={name}")));
    let value = Value::parse(Name::PoolAddresses, &words.join(" "));
    let value = value.map_err(|error| Problem::invalid(error.to_string()))?;
    let place = (Scope::Installation, Name::PoolAddresses);
    note_before(&call, &place, call.param("pool")).await?;
    let wanted = wanted(place, call.param("pool").to_owned(), value);
    admin(&call)
        .set(wanted, author(&call, sent.0.reason))
        .await?;
    call.services.policies.refresh().await?;
    Ok(Done)
}

fn wanted((scope, name): (Scope, Name), item: String, value: Value) -> Wanted {
    Wanted {
        scope,
        name,
        item,
        value,
        expires_at: None,
        consent: None,
        owner: None,
    }
}

/// Notes what was set there, for the audit log.
async fn note_before(
    call: &Call,
    (scope, name): &(Scope, Name),
    item: &str,
) -> Result<(), Problem> {
    let settings = admin(call).settings().await?;
    let here = |row: &&Setting| row.scope == *scope && row.name == *name && row.item == item;
    let before = settings.iter().find(here).map(|row| row.value.to_string());
    call.note_before(&before);
    Ok(())
}

/// Why.
#[derive(Deserialize, IntoParams)]
struct Why {
    /// Kept in the history.
    #[serde(default)]
    reason: String,
}

async fn remove_pool(call: Call, why: Why, _: NoBody) -> Result<Done, Problem> {
    let place = (Scope::Installation, Name::PoolAddresses);
    note_before(&call, &place, call.param("pool")).await?;
    let item = call.param("pool").to_owned();
    admin(&call)
        .unset(place.0, place.1, item, author(&call, why.reason))
        .await?;
    call.services.policies.refresh().await?;
    Ok(Done)
}

/// A rule for a destination.
#[derive(Serialize, ToSchema)]
struct Destination {
    /// Whose mail: `installation`, a group, a sender domain or an account.
    scope: String,
    /// The destination domain; `*.example.net` for all below it, `*` for every destination.
    domain: String,
    /// `may`, `encrypt`, `dane` … with their options.
    rule: String,
    /// When it ends.
    until: Option<String>,
    reason: String,
}

async fn destinations(call: Call, _: NoQuery, _: NoBody) -> Result<List<Destination>, Problem> {
    let admin = admin(&call);
    let mut shown = Vec::new();
    for row in admin.settings().await? {
        if row.name != Name::Destination {
            continue;
        }
        shown.push(Destination {
            scope: admin.scope_text(&row.scope).await?,
            domain: row.item,
            rule: row.value.to_string(),
            until: row.expires_at.map(|at| super::time(at.0)),
            reason: row.reason,
        });
    }
    Ok(List(shown))
}

/// What shall hold for a destination.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PutDestination {
    /// Whose mail, as in `Destination`.
    scope: String,
    domain: String,
    /// `may`, `encrypt`, `dane`, `dane-only`, `verify`, `secure` or `fingerprint`, then any of `version=1.3`,
    /// `names=a,b`, `fingerprints=hex,hex`, `next-hop=HOST`, `exception`.
    rule: String,
    /// When it ends (RFC 3339).
    until: Option<String>,
    /// Kept in the history.
    reason: String,
}

async fn put_destination(
    call: Call,
    _: NoQuery,
    sent: Json<PutDestination>,
) -> Result<Done, Problem> {
    let admin = admin(&call);
    let value = Value::parse(Name::Destination, &sent.0.rule);
    let value = value.map_err(|error| Problem::invalid(error.to_string()))?;
    let until = sent.0.until.as_deref().map(super::time_in).transpose()?;
    if until.is_some_and(|end| end <= call.now) {
        return Err(Problem::invalid("The end lies in the past."));
    }
    let place = (admin.scope(&sent.0.scope).await?, Name::Destination);
    note_before(&call, &place, &sent.0.domain).await?;
    let wanted = Wanted {
        expires_at: until,
        ..wanted(place, sent.0.domain, value)
    };
    admin.set(wanted, author(&call, sent.0.reason)).await?;
    call.services.policies.refresh().await?;
    Ok(Done)
}

/// Which rule.
#[derive(Deserialize, IntoParams)]
struct WhichDestination {
    /// Whose mail, as in `Destination`.
    scope: String,
    /// The destination domain.
    domain: String,
    /// Kept in the history.
    #[serde(default)]
    reason: String,
}

async fn remove_destination(
    call: Call,
    which: WhichDestination,
    _: NoBody,
) -> Result<Done, Problem> {
    if which.scope.contains('\0') || which.domain.contains('\0') {
        return Err(Problem::not_here());
    }
    let admin = admin(&call);
    let place = (admin.scope(&which.scope).await?, Name::Destination);
    note_before(&call, &place, &which.domain).await?;
    let why = author(&call, which.reason);
    admin.unset(place.0, place.1, which.domain, why).await?;
    call.services.policies.refresh().await?;
    Ok(Done)
}
