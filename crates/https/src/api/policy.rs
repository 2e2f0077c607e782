//! Settings of the policy: what holds where and why, changes, and their history.

use super::measures::{Preview, of_setting};
use crate::access::{Right, Subject};
use crate::call::{Call, Json, List, NoBody, NoQuery};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use directory::DomainName;
use platform::store::StoreError;
use policy::admin::measures::Place;
use policy::admin::{Admin, Consent, PolicyError, Wanted};
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
            "/api/v1/policy/effective",
            look,
            "What holds for somebody, and why",
            effective,
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
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Setting {
    /// `installation`, `group NAME`, `domain NAME` or the address of an account.
    pub scope: String,
    /// What is set.
    pub name: String,
    /// Which of several.
    pub item: String,
    /// To what.
    pub value: String,
    /// When it ends.
    pub expires: Option<String>,
    /// When it was set.
    pub changed: String,
    /// By whom.
    pub changed_by: String,
    /// Why.
    pub reason: String,
}

async fn settings(call: Call, _: NoQuery, _: NoBody) -> Result<List<Setting>, Problem> {
    let admin = admin(&call);
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
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// `installation`, an account's address, a domain, a group (or `group:NAME` and so on).
    pub scope: String,
    /// What.
    pub name: String,
    /// Which of several.
    #[serde(default)]
    pub item: String,
    /// The value.
    pub value: String,
    /// Why; kept in the history.
    pub reason: String,
    /// When it ends (RFC 3339).
    pub expires: Option<String>,
    /// Who agreed to the consequences, where that is needed.
    pub consent_by: Option<String>,
    /// The version of the text that was agreed to; the newest where it is not said.
    pub consent_text: Option<String>,
    /// Who answers for it, where it is an exception.
    pub owner: Option<String>,
    /// How many days back whom it stops is looked for; 30 where it is not said.
    #[schema(minimum = 1, maximum = 365)]
    pub days: Option<u32>,
}

/// What a change brings about, or would.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SetDone {
    /// For whom: `installation`, `group NAME`, `domain NAME` or the address of an account.
    pub scope: String,
    /// What is set; nothing: nothing is any more.
    pub value: Option<String>,
    /// What was set until now.
    pub before: Option<String>,
    /// What to look after.
    pub warnings: Vec<String>,
    /// Of a plan: that somebody has to agree first, and to what.
    pub consent: Option<String>,
    /// Whom it stops once it is enforced, per change it makes; empty: it breaks nothing that is known of.
    pub impact: Vec<Preview>,
}

fn name_in(word: &str) -> Result<Name, Problem> {
    let name = Name::from_word(word);
    name.ok_or_else(|| Problem::invalid(format!("there is no setting {word:?}")))
}

/// The consent of `by` to a version of the text, the newest where it is not said.
pub(super) fn consent(by: Option<String>, text: Option<String>) -> Option<Consent> {
    let newest = || policy::admin::CONSENT_TEXT_VERSION.to_owned();
    by.map(|by| Consent {
        by,
        text_version: text.unwrap_or_else(newest),
    })
}

/// What is set at a place, as it is written.
pub(super) async fn set_at(call: &Call, place: &Place) -> Result<Option<String>, Problem> {
    match admin(call).set_at(place).await {
        Ok(set) => Ok(set.map(|row| row.value.to_string())),
        // What only a newer version can read can be changed and taken away all the same.
        Err(PolicyError::Store(StoreError::Schema(_))) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn admin(call: &Call) -> Admin {
    Admin::new(call.services.store.clone())
}

/// What is wanted, and what it would bring about.
async fn weighed(call: &Call, scope: Scope, set: &Set) -> Result<(Wanted, SetDone), Problem> {
    let name = name_in(&set.name)?;
    let value =
        Value::parse(name, &set.value).map_err(|error| Problem::invalid(error.to_string()))?;
    let place = Place {
        scope,
        name,
        item: set.item.clone(),
    };
    let what = (name, place.item.as_str(), &value);
    let done = SetDone {
        scope: admin(call).scope_text(&place.scope).await?,
        value: Some(value.to_string()),
        before: set_at(call, &place).await?,
        warnings: Vec::new(),
        consent: None,
        impact: of_setting(call, &place.scope, what, set.days).await?,
    };
    let wanted = Wanted {
        scope: place.scope,
        name,
        item: place.item,
        value,
        expires_at: set.expires.as_deref().map(super::time_in).transpose()?,
        consent: consent(set.consent_by.clone(), set.consent_text.clone()),
        owner: set.owner.clone(),
    };
    Ok((wanted, done))
}

async fn put(call: &Call, scope: Scope, set: Set) -> Result<Json<SetDone>, Problem> {
    let (wanted, mut done) = weighed(call, scope, &set).await?;
    done.warnings = admin(call)
        .set(wanted, super::author(call, set.reason))
        .await?;
    told(call, done).await
}

/// Tells nodes, and the audit log.
pub(super) async fn told(call: &Call, done: SetDone) -> Result<Json<SetDone>, Problem> {
    call.services.policies.refresh().await?;
    call.note_before(&done.before);
    call.note_after(&done.value);
    Ok(Json(done))
}

async fn set(call: Call, _: NoQuery, sent: Json<Set>) -> Result<Json<SetDone>, Problem> {
    let scope = admin(&call).scope(&sent.0.scope).await?;
    put(&call, scope, sent.0).await
}

async fn plan(call: Call, _: NoQuery, sent: Json<Set>) -> Result<Json<SetDone>, Problem> {
    let scope = admin(&call).scope(&sent.0.scope).await?;
    let (wanted, mut done) = weighed(&call, scope, &sent.0).await?;
    match admin(&call).check(wanted, call.now).await {
        Ok(warnings) => done.warnings = warnings,
        // A plan need not have been agreed to.
        Err(PolicyError::ConsentNeeded(why)) => done.consent = Some(why),
        Err(error) => return Err(error.into()),
    }
    Ok(Json(done))
}

/// Which setting.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Unset {
    /// As in `Set`.
    pub scope: String,
    /// What.
    pub name: String,
    /// Which of several.
    #[serde(default)]
    pub item: String,
    /// Why; kept in the history.
    pub reason: String,
}

async fn unset(call: Call, _: NoQuery, sent: Json<Unset>) -> Result<Json<SetDone>, Problem> {
    let scope = admin(&call).scope(&sent.0.scope).await?;
    let (name, reason) = (name_in(&sent.0.name)?, sent.0.reason);
    let place = Place {
        scope,
        name,
        item: sent.0.item,
    };
    take_back(&call, place, reason).await
}

/// Removes what is set at a place; of a measure, whom that stops which holds then is told.
async fn take_back(call: &Call, place: Place, reason: String) -> Result<Json<SetDone>, Problem> {
    let admin = admin(call);
    let before = set_at(call, &place).await?;
    let impact = match place.name.is_measure() {
        true => {
            let then = admin.in_force_around(place.clone(), call.now).await?;
            of_setting(call, &place.scope, (place.name, &place.item, &then), None).await?
        }
        false => Vec::new(),
    };
    let done = SetDone {
        scope: admin.scope_text(&place.scope).await?,
        value: None,
        before,
        warnings: Vec::new(),
        consent: None,
        impact,
    };
    let Place { scope, name, item } = place;
    let author = super::author(call, reason);
    admin.unset(scope, name, item, author).await?;
    told(call, done).await
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
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// As in `Setting`.
    pub scope: String,
    /// What was changed.
    pub name: String,
    /// Which of several.
    pub item: String,
    /// What was set before.
    pub before: Option<String>,
    /// What was set from then on.
    pub after: Option<String>,
    /// When.
    pub changed: String,
    /// By whom.
    pub changed_by: String,
    /// Why.
    pub reason: String,
    /// Who agreed to the consequences.
    pub consent_by: Option<String>,
    /// To which version of the text.
    pub consent_text: Option<String>,
}

async fn history(call: Call, which: Which, _: NoBody) -> Result<List<Change>, Problem> {
    let admin = admin(&call);
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
    let (consent_by, consent_text) = past.consent.map(|c| (c.by, c.text_version)).unzip();
    Ok(Change {
        scope: admin.scope_text(&past.scope).await?,
        name: past.name,
        item: past.item,
        before: past.before,
        after: past.after,
        changed: super::time(past.changed_at.0),
        changed_by: past.changed_by,
        reason: past.reason,
        consent_by,
        consent_text,
    })
}

/// What holds.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Holds {
    /// What.
    pub name: String,
    /// Which of several.
    pub item: String,
    /// The value; empty where there is none.
    pub value: String,
    /// Where it was set, as in `Setting`; nothing: it is the default.
    pub origin: Option<String>,
}

async fn holds(call: &Call, scope: Scope) -> Result<List<Holds>, Problem> {
    let admin = admin(call);
    let mut shown = Vec::new();
    for effective in admin.effective(scope, call.now).await? {
        let origin = match &effective.origin {
            Some(scope) => Some(admin.scope_text(scope).await?),
            None => None,
        };
        shown.push(Holds {
            name: effective.name.to_string(),
            item: effective.item,
            value: effective.value,
            origin,
        });
    }
    Ok(List(shown))
}

/// For whom.
#[derive(Deserialize, IntoParams)]
struct Whose {
    /// As in `Set`; `installation` where it is not said.
    scope: Option<String>,
}

async fn effective(call: Call, whose: Whose, _: NoBody) -> Result<List<Holds>, Problem> {
    let scope = whose.scope.as_deref().unwrap_or("installation");
    let scope = admin(&call).scope(scope).await?;
    holds(&call, scope).await
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
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetOfDomain {
    /// The value.
    pub value: String,
    /// Why; kept in the history.
    pub reason: String,
    /// When it ends (RFC 3339).
    pub expires: Option<String>,
    /// Who agreed to the consequences, where that is needed.
    pub consent_by: Option<String>,
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
        value: sent.0.value,
        reason: sent.0.reason,
        expires: sent.0.expires,
        consent_by: sent.0.consent_by,
        ..Set::default()
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

async fn unset_of_domain(call: Call, reason: Reason, _: NoBody) -> Result<Json<SetDone>, Problem> {
    refuse_others(&call)?;
    let place = Place {
        scope: Scope::Domain(hosted(&call).await?),
        name: name_in(call.param("name"))?,
        item: String::new(),
    };
    take_back(&call, place, reason.reason).await
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
