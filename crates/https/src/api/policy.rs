//! Settings of the policy: what holds where and why, changes, and their history.

use super::measures::{Preview, of_setting};
use crate::access::{Right, Subject};
use crate::call::{Call, Done, Json, List, NoBody, NoQuery};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use directory::DomainName;
use policy::admin::{Admin, Consent, Effective, Wanted};
use policy::setting::{Name, Value};
use policy::{Past, Scope};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let mut routes = of_installation();
    routes.extend(of_one());
    routes
}

/// What is set anywhere.
fn of_installation() -> Vec<Route> {
    let (look, operate) = (
        (Right::See, About::Installation),
        (Right::Change, About::Installation),
    );
    const SETTINGS: &str = "/api/v1/policy/settings";
    let planned = "/api/v1/policy/settings/plan";
    vec![
        Route::api(
            Method::GET,
            SETTINGS,
            look,
            "Everything that is set, anywhere",
            settings,
        ),
        Route::api(
            Method::POST,
            SETTINGS,
            operate,
            "Set something anywhere",
            set,
        ),
        Route::api(
            Method::POST,
            planned,
            operate,
            "Whom a setting would stop, before it is made",
            plan,
        )
        .not_audited(),
        Route::api(
            Method::DELETE,
            SETTINGS,
            operate,
            "Take a setting back",
            unset,
        ),
        Route::api(
            Method::GET,
            "/api/v1/policy/history",
            look,
            "Who set what and why",
            history,
        ),
    ]
}

/// What holds for a domain or an account.
fn of_one() -> Vec<Route> {
    let (see, change) = ((Right::See, About::Domain), (Right::Change, About::Domain));
    let of_account = (Right::See, About::Account);
    const OF_DOMAIN: &str = "/api/v1/domains/{domain}/policy";
    const ONE_OF_DOMAIN: &str = "/api/v1/domains/{domain}/policy/{name}";
    vec![
        Route::api(
            Method::GET,
            OF_DOMAIN,
            see,
            "What holds for a domain, and why",
            of_domain,
        ),
        Route::api(
            Method::PUT,
            ONE_OF_DOMAIN,
            change,
            "Set what domains decide themselves",
            set_of_domain,
        ),
        Route::api(
            Method::DELETE,
            ONE_OF_DOMAIN,
            change,
            "Take that back",
            unset_of_domain,
        ),
        Route::api(
            Method::GET,
            "/api/v1/accounts/{account}/policy",
            of_account,
            "What holds for an account, and why",
            of_account_shown,
        ),
    ]
}

/// What a domain's own administrator decides; everything else is the provider's.
const OF_DOMAINS: [&str; 4] = ["inbound-tls", "outbound-tls", "language", "legacy-access"];

/// Something that is set.
#[derive(Serialize, ToSchema)]
struct Setting {
    /// `installation`, `group NAME`, `domain NAME` or `account ADDRESS`.
    scope: String,
    name: String,
    /// Which of several.
    item: String,
    value: String,
    /// When it ends.
    expires: Option<String>,
    changed: String,
    changed_by: String,
    reason: String,
}

async fn settings(call: Call, _: NoQuery, _: NoBody) -> Result<List<Setting>, Problem> {
    let admin = Admin::new(call.services.store.clone());
    let mut shown = Vec::new();
    for setting in admin.settings().await? {
        shown.push(Setting {
            scope: admin.scope_text(&setting.scope).await?,
            name: setting.name.to_string(),
            item: setting.item,
            value: setting.value.to_string(),
            expires: setting.expires_at.map(|at| super::time(at.0)),
            changed: super::time(setting.changed_at.0),
            changed_by: setting.changed_by,
            reason: setting.reason,
        });
    }
    Ok(List(shown))
}

/// Something to be set.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Set {
    /// `installation`, an account's address, a domain, a group (or `group:NAME` and so on).
    scope: String,
    name: String,
    /// Which of several.
    #[serde(default)]
    item: String,
    value: String,
    /// Why; kept in the history.
    reason: String,
    /// When it ends (RFC 3339).
    expires: Option<String>,
    /// Who agreed to the consequences, where that is needed.
    consent_by: Option<String>,
    /// Who answers for it, where it is an exception.
    owner: Option<String>,
}

/// What the setting may bring about.
#[derive(Serialize, ToSchema)]
struct SetDone {
    warnings: Vec<String>,
    /// Whom it stops once it is enforced, as `plan` says it beforehand.
    impact: Vec<Preview>,
}

fn name_in(word: &str) -> Result<Name, Problem> {
    let name = Name::from_word(word);
    name.ok_or_else(|| Problem::invalid(format!("there is no setting {word:?}")))
}

fn consent(by: Option<String>) -> Option<Consent> {
    by.map(|by| Consent {
        by,
        text_version: policy::admin::CONSENT_TEXT_VERSION.to_owned(),
    })
}

async fn put(call: &Call, scope: Scope, set: Set) -> Result<Json<SetDone>, Problem> {
    let name = name_in(&set.name)?;
    let value =
        Value::parse(name, &set.value).map_err(|error| Problem::invalid(error.to_string()))?;
    let impact = of_setting(call, &scope, (name, &set.item, &value)).await?;
    let wanted = Wanted {
        scope,
        name,
        item: set.item,
        value,
        expires_at: set.expires.as_deref().map(super::time_in).transpose()?,
        consent: consent(set.consent_by),
        owner: set.owner,
    };
    let admin = Admin::new(call.services.store.clone());
    let warnings = admin.set(wanted, super::author(call, set.reason)).await?;
    call.services.policies.refresh().await?;
    Ok(Json(SetDone { warnings, impact }))
}

async fn set(call: Call, _: NoQuery, sent: Json<Set>) -> Result<Json<SetDone>, Problem> {
    let admin = Admin::new(call.services.store.clone());
    let scope = admin.scope(&sent.0.scope).await?;
    put(&call, scope, sent.0).await
}

/// What a setting would bring about.
#[derive(Serialize, ToSchema)]
struct SetPlan {
    /// Whom it would stop once it is enforced, per change it makes; empty: it breaks nothing that is known of.
    impact: Vec<Preview>,
}

async fn plan(call: Call, _: NoQuery, sent: Json<Set>) -> Result<Json<SetPlan>, Problem> {
    let scope = Admin::new(call.services.store.clone())
        .scope(&sent.0.scope)
        .await?;
    let name = name_in(&sent.0.name)?;
    let value = Value::parse(name, &sent.0.value);
    let value = value.map_err(|error| Problem::invalid(error.to_string()))?;
    let impact = of_setting(&call, &scope, (name, &sent.0.item, &value)).await?;
    Ok(Json(SetPlan { impact }))
}

/// Which setting.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Unset {
    scope: String,
    name: String,
    #[serde(default)]
    item: String,
    /// Why; kept in the history.
    reason: String,
}

async fn unset(call: Call, _: NoQuery, sent: Json<Unset>) -> Result<Done, Problem> {
    let admin = Admin::new(call.services.store.clone());
    let scope = admin.scope(&sent.0.scope).await?;
    let (name, reason) = (name_in(&sent.0.name)?, sent.0.reason);
    admin
        .unset(scope, name, sent.0.item, super::author(&call, reason))
        .await?;
    call.services.policies.refresh().await?;
    Ok(Done)
}

/// Which part of the history.
#[derive(Deserialize, IntoParams)]
struct Which {
    /// Only of this scope, as in `Set`.
    scope: Option<String>,
    /// At most so many; 100 where it is not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
}

/// A change in the past.
#[derive(Serialize, ToSchema)]
struct Change {
    scope: String,
    name: String,
    item: String,
    before: Option<String>,
    after: Option<String>,
    changed: String,
    changed_by: String,
    reason: String,
}

async fn history(call: Call, which: Which, _: NoBody) -> Result<List<Change>, Problem> {
    let admin = Admin::new(call.services.store.clone());
    let scope = match which.scope {
        Some(text) if text.contains('\0') => return Err(Problem::not_here()),
        Some(text) => Some(admin.scope(&text).await?),
        None => None,
    };
    let lines_max = which.limit.unwrap_or(100).clamp(1, 1000);
    let mut shown = Vec::new();
    for past in admin.history(scope, lines_max).await? {
        shown.push(change(&admin, past).await?);
    }
    Ok(List(shown))
}

async fn change(admin: &Admin, past: Past) -> Result<Change, Problem> {
    Ok(Change {
        scope: admin.scope_text(&past.scope).await?,
        name: past.name,
        item: past.item,
        before: past.before,
        after: past.after,
        changed: super::time(past.changed_at.0),
        changed_by: past.changed_by,
        reason: past.reason,
    })
}

/// What holds.
#[derive(Serialize, ToSchema)]
struct Holds {
    name: String,
    item: String,
    value: String,
    /// Where it was set; nothing: it is the default.
    origin: Option<String>,
}

impl From<Effective> for Holds {
    fn from(effective: Effective) -> Self {
        Self {
            name: effective.name.to_string(),
            item: effective.item,
            value: effective.value,
            origin: effective.origin.map(|scope| scope.to_string()),
        }
    }
}

async fn holds(call: &Call, scope: Scope) -> Result<List<Holds>, Problem> {
    let admin = Admin::new(call.services.store.clone());
    let effective = admin.effective(scope, call.now).await?;
    Ok(List(effective.into_iter().map(Holds::from).collect()))
}

async fn of_domain(call: Call, _: NoQuery, _: NoBody) -> Result<List<Holds>, Problem> {
    let domain = hosted(&call).await?;
    holds(&call, Scope::Domain(domain)).await
}

/// The domain of the path, which must be hosted here.
async fn hosted(call: &Call) -> Result<DomainName, Problem> {
    let domain = call.domain()?;
    call.services.accounts.domain(&domain).await?;
    Ok(domain)
}

async fn of_account_shown(call: Call, _: NoQuery, _: NoBody) -> Result<List<Holds>, Problem> {
    let account = call.services.accounts.account_id(&call.login()?).await?;
    holds(&call, Scope::Account(account)).await
}

/// A value for a domain.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetOfDomain {
    value: String,
    /// Why; kept in the history.
    reason: String,
    /// When it ends (RFC 3339).
    expires: Option<String>,
    /// Who agreed to the consequences, where that is needed.
    consent_by: Option<String>,
}

/// Only an operator sets what is not in `OF_DOMAINS`.
fn refuse_others(call: &Call) -> Result<(), Problem> {
    match OF_DOMAINS.contains(&call.param("name")) {
        true => Ok(()),
        false => call.require(Right::Change, &Subject::Installation),
    }
}

/// A domain may do without legacy access; until when there is some, and with what, is the provider's to say.
fn refuse_more_legacy(call: &Call, value: &str) -> Result<(), Problem> {
    let is_less = matches!(value.trim(), "off" | "forbidden");
    match name_in(call.param("name"))? == Name::LegacyAccess && !is_less {
        true => call.require(Right::Change, &Subject::Installation),
        false => Ok(()),
    }
}

async fn set_of_domain(
    call: Call,
    _: NoQuery,
    sent: Json<SetOfDomain>,
) -> Result<Json<SetDone>, Problem> {
    refuse_others(&call)?;
    refuse_more_legacy(&call, &sent.0.value)?;
    let domain = hosted(&call).await?;
    let set = Set {
        scope: domain.to_string(),
        name: call.param("name").to_owned(),
        item: String::new(),
        value: sent.0.value,
        reason: sent.0.reason,
        expires: sent.0.expires,
        consent_by: sent.0.consent_by,
        owner: None,
    };
    put(&call, Scope::Domain(domain), set).await
}

/// Why something is taken back.
#[derive(Deserialize, IntoParams)]
struct Reason {
    /// Kept in the history.
    #[serde(default)]
    reason: String,
}

async fn unset_of_domain(call: Call, reason: Reason, _: NoBody) -> Result<Done, Problem> {
    refuse_others(&call)?;
    let scope = Scope::Domain(hosted(&call).await?);
    let name = name_in(call.param("name"))?;
    let admin = Admin::new(call.services.store.clone());
    let reason = reason.reason.replace('\0', "");
    admin
        .unset(scope, name, String::new(), super::author(&call, reason))
        .await?;
    call.services.policies.refresh().await?;
    Ok(Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_domains_decide_can_be_set() {
        for word in OF_DOMAINS {
            assert!(name_in(word).is_ok(), "{word}");
        }
    }
}
