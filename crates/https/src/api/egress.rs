//! How mail leaves: pools of source addresses, and rules for single destinations. Both are settings; this is the face
//! over them that an operator asks for by their own names.

use super::author;
use super::measures::Preview;
use super::policy::{SetDone, set_at, told};
use crate::access::Right;
use crate::call::{Call, Json, List, NoBody, NoQuery};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use platform::store::{StoreError, Tx};
use platform::tls::TlsVersion;
use policy::admin::measures::Place;
use policy::admin::{Admin, Wanted};
use policy::dns_check::{Verdict, addresses_of, check_names};
use policy::setting::{Name, Value};
use policy::{DestinationRule, Scope, Setting, TlsLevel};
use routing::seen::{self, Demanded};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// How long the names of a pool's addresses are looked up, before the answer goes out without them.
const LOOK_TIME_MAX: Duration = Duration::from_secs(3);

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
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// IPv4 and IPv6.
    #[schema(value_type = Vec<String>)]
    pub addresses: Vec<IpAddr>,
    /// The name it greets with (EHLO); nothing: the node's own.
    pub hello: Option<String>,
    /// Scopes whose mail leaves from it.
    pub used_by: Vec<String>,
}

async fn pools(call: Call, _: NoQuery, _: NoBody) -> Result<List<Pool>, Problem> {
    let admin = admin(&call);
    let settings = admin.settings().await?;
    let mut shown = Vec::new();
    for row in &settings {
        let Value::Pool(pool) = &row.value else {
            continue;
        };
        shown.push(Pool {
            name: row.item.clone(),
            addresses: addresses_of(std::slice::from_ref(pool)),
            hello: pool.hello.clone(),
            used_by: used_by(&admin, &settings, &row.item).await?,
        });
    }
    Ok(List(shown))
}

/// The scopes whose mail leaves from a pool.
async fn used_by(admin: &Admin, settings: &[Setting], pool: &str) -> Result<Vec<String>, Problem> {
    let uses = |user: &&Setting| user.name == Name::Pool && user.value.to_string() == pool;
    let mut used_by = Vec::new();
    for user in settings.iter().filter(uses) {
        used_by.push(admin.scope_text(&user.scope).await?);
    }
    Ok(used_by)
}

/// What a pool shall be.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutPool {
    /// IPv4 and IPv6; this machine must have them.
    #[schema(value_type = Vec<String>)]
    pub addresses: Vec<IpAddr>,
    /// The name it greets with (EHLO); let the addresses' PTR records say the same.
    pub hello: Option<String>,
    /// Kept in the history.
    pub reason: String,
}

/// What a change of a pool brings about.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PoolDone {
    /// What it is now, as it is written; nothing: it is gone.
    pub value: Option<String>,
    /// What it was.
    pub before: Option<String>,
    /// Scopes whose mail leaves another way from now on.
    pub used_by: Vec<String>,
    /// What the DNS says of its addresses for which other servers refuse mail; empty, too, where the DNS does not answer
    /// within seconds.
    pub warnings: Vec<String>,
}

fn place(call: &Call) -> Place {
    Place {
        scope: Scope::Installation,
        name: Name::PoolAddresses,
        item: call.param("pool").to_owned(),
    }
}

async fn put_pool(call: Call, _: NoQuery, sent: Json<PutPool>) -> Result<Json<PoolDone>, Problem> {
    let mut words: Vec<String> = sent.0.addresses.iter().map(IpAddr::to_string).collect();
    words.extend(sent.0.hello.map(|name| format!("hello={name}")));
    let value = Value::parse(Name::PoolAddresses, &words.join(" "));
    let value = value.map_err(Problem::invalid)?;
    let place = place(&call);
    let before = set_at(&call, &place).await?;
    let named = match &value {
        Value::Pool(pool) => Some(policy::Pool {
            name: place.item.clone(),
            ..pool.clone()
        }),
        _ => None,
    };
    let text = value.to_string();
    let why = author(&call, sent.0.reason);
    let mut warnings = admin(&call).set(wanted(place, value), why).await?;
    if let Some(pool) = named {
        warnings.extend(misnamed(&call, &pool).await);
    }
    pool_told(call, Some(text), before, warnings).await
}

/// What the DNS says of a pool's addresses for which mail from it is refused.
async fn misnamed(call: &Call, pool: &policy::Pool) -> Vec<String> {
    let services = &call.services;
    let looked = check_names(&*services.resolver, pool, &services.host_name);
    let lines = tokio::time::timeout(LOOK_TIME_MAX, looked).await;
    let warnings = lines.unwrap_or_default().into_iter();
    let warnings = warnings.filter(|line| line.verdict == Verdict::Warning);
    warnings.map(|line| line.text).collect()
}

/// Tells nodes, and the audit log.
async fn pool_told(
    call: Call,
    value: Option<String>,
    before: Option<String>,
    warnings: Vec<String>,
) -> Result<Json<PoolDone>, Problem> {
    call.services.policies.refresh().await?;
    call.note_before(&before);
    call.note_after(&value);
    let admin = admin(&call);
    let settings = admin.settings().await?;
    Ok(Json(PoolDone {
        value,
        before,
        used_by: used_by(&admin, &settings, call.param("pool")).await?,
        warnings,
    }))
}

fn wanted(Place { scope, name, item }: Place, value: Value) -> Wanted {
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

/// Why.
#[derive(Deserialize, IntoParams)]
struct Why {
    /// Kept in the history.
    #[serde(default)]
    reason: String,
}

async fn remove_pool(call: Call, why: Why, _: NoBody) -> Result<Json<PoolDone>, Problem> {
    let place = place(&call);
    let before = set_at(&call, &place).await?;
    let Place { scope, name, item } = place;
    let why = author(&call, why.reason);
    admin(&call).unset(scope, name, item, why).await?;
    pool_told(call, None, before, Vec::new()).await
}

/// A rule for a destination.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Destination {
    /// Whose mail: `installation`, a group, a sender domain or an account.
    pub scope: String,
    /// The destination domain; `*.example.net` for all below it, `*` for every destination.
    pub domain: String,
    /// `may`, `encrypt`, `dane` … with their options.
    pub rule: String,
    /// When it ends.
    pub until: Option<String>,
    /// Why it was set.
    pub reason: String,
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
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutDestination {
    /// Whose mail, as in `Destination`.
    pub scope: String,
    /// The destination, as in `Destination`.
    pub domain: String,
    /// `may`, `encrypt`, `dane`, `dane-only`, `verify`, `secure` or `fingerprint`, then any of `version=1.3`,
    /// `names=a,b`, `fingerprints=hex,hex`, `next-hop=HOST`, `exception`.
    pub rule: String,
    /// When it ends (RFC 3339).
    pub until: Option<String>,
    /// Kept in the history.
    pub reason: String,
}

async fn put_destination(
    call: Call,
    _: NoQuery,
    sent: Json<PutDestination>,
) -> Result<Json<SetDone>, Problem> {
    let admin = admin(&call);
    let value = Value::parse(Name::Destination, &sent.0.rule).map_err(Problem::invalid)?;
    let until = sent.0.until.as_deref().map(super::time_in).transpose()?;
    if until.is_some_and(|end| end <= call.now) {
        return Err(Problem::invalid("The end lies in the past."));
    }
    let place = Place {
        scope: admin.scope(&sent.0.scope).await?,
        name: Name::Destination,
        item: sent.0.domain,
    };
    let mut done = SetDone {
        scope: admin.scope_text(&place.scope).await?,
        value: Some(value.to_string()),
        before: set_at(&call, &place).await?,
        warnings: Vec::new(),
        consent: None,
        impact: match &value {
            Value::Destination(rule) => out_of_reach(&call, &place, rule).await?,
            _ => Vec::new(),
        },
    };
    let wanted = Wanted {
        expires_at: until,
        ..wanted(place, value)
    };
    done.warnings = admin.set(wanted, author(&call, sent.0.reason)).await?;
    told(&call, done).await
}

/// To whom mail went lately in a way that a rule forbids; empty for rules that demand nothing.
async fn out_of_reach(
    call: &Call,
    place: &Place,
    rule: &DestinationRule,
) -> Result<Vec<Preview>, Problem> {
    let demanded = match rule.level {
        // Where the other side publishes nothing, mail may go in clear.
        TlsLevel::May | TlsLevel::Dane => return Ok(Vec::new()),
        _ if rule.version_min == TlsVersion::V1_3 => Demanded::Newest,
        _ => Demanded::Tls,
    };
    let (destination, scope, now) = (
        place.item.to_ascii_lowercase(),
        place.scope.clone(),
        call.now,
    );
    let asked = destination.clone();
    call.services.keep().await?;
    let read = call.services.store.read(move |tx: &mut dyn Tx| {
        let mut found = seen::towards(tx, &asked, demanded, seen::KEPT_DAYS, now)?;
        if scope != Scope::Installation {
            let ours: HashSet<String> = policy::domains_of(tx, &scope)?.into_iter().collect();
            found.retain(|server| ours.contains(&server.ours));
        }
        Ok::<_, StoreError>(found)
    });
    let servers = read.await?;
    Ok(vec![Preview::of_servers(
        format!("destination/{destination}"),
        seen::KEPT_DAYS,
        servers,
    )])
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
) -> Result<Json<SetDone>, Problem> {
    if which.scope.contains('\0') || which.domain.contains('\0') {
        return Err(Problem::not_here());
    }
    let admin = admin(&call);
    let place = Place {
        scope: admin.scope(&which.scope).await?,
        name: Name::Destination,
        item: which.domain,
    };
    let done = SetDone {
        scope: admin.scope_text(&place.scope).await?,
        value: None,
        before: set_at(&call, &place).await?,
        warnings: Vec::new(),
        consent: None,
        impact: Vec::new(),
    };
    let Place { scope, name, item } = place;
    let why = author(&call, which.reason);
    admin.unset(scope, name, item, why).await?;
    told(&call, done).await
}
