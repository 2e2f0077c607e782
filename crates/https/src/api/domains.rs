//! Domains.

use super::WhatChanged;
use crate::access::{Right, Subject};
use crate::call::{Call, Changed, Created, Json, NoBody, NoQuery, Page};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use directory::DomainName;
use directory::admin::{Dependents, DomainView, NewDomain, Setting};
use directory::resolution::Status;
use formats::address::Address;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let operate = (Right::Change, About::Installation);
    let (see, change) = ((Right::See, About::Domain), (Right::Change, About::Domain));
    let each = (Right::See, About::Each);
    const DOMAIN: &str = "/api/v1/domains/{domain}";
    vec![
        Route::api(
            Method::GET,
            "/api/v1/domains",
            each,
            "The domains one may see",
            list,
        ),
        Route::api(
            Method::POST,
            "/api/v1/domains",
            operate,
            "Add a domain",
            add,
        ),
        Route::api(Method::GET, DOMAIN, see, "A domain", one),
        Route::api(Method::PATCH, DOMAIN, change, "Change a domain", set),
        Route::api(Method::DELETE, DOMAIN, operate, "Remove a domain", remove),
    ]
}

/// A domain.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Domain {
    /// As A-labels.
    pub name: String,
    /// As people read it.
    pub unicode: String,
    /// `active` or `suspended`.
    pub status: String,
    /// Its group.
    pub group: Option<String>,
    /// Where mail for addresses that do not exist goes.
    pub catch_all: Option<String>,
    /// Who answers for it.
    pub contact: Option<String>,
    /// How many accounts it has.
    pub accounts: i64,
    /// How many aliases it has.
    pub aliases: i64,
    /// When it came.
    pub created: String,
}

impl From<DomainView> for Domain {
    fn from(view: DomainView) -> Self {
        Self {
            name: view.name,
            unicode: view.unicode,
            status: view.status.to_owned(),
            group: view.group,
            catch_all: view.catch_all,
            contact: view.contact,
            accounts: view.accounts,
            aliases: view.aliases,
            created: super::time(view.created.saturating_mul(1000)),
        }
    }
}

/// A page of domains.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Domains {
    /// The domains.
    pub items: Vec<Domain>,
    /// How many there are in all.
    pub total: usize,
}

/// A domain to be added.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AddDomain {
    /// Its name.
    #[schema(max_length = 253)]
    pub name: String,
    /// Its settings.
    #[serde(flatten)]
    pub change: ChangeDomain,
}

/// What to change; what is left out stays, and an empty text takes away.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ChangeDomain {
    /// `active` or `suspended`; only an operator may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusWord>,
    /// Its group; only an operator may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// An address for everything that does not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catch_all: Option<String>,
    /// Who answers for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
}

/// Whether something works.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StatusWord {
    /// It does.
    Active,
    /// No mail is taken and nobody logs in.
    Suspended,
}

impl From<StatusWord> for Status {
    fn from(word: StatusWord) -> Self {
        match word {
            StatusWord::Active => Self::Active,
            StatusWord::Suspended => Self::Suspended,
        }
    }
}

/// Left out stays, empty takes away.
pub(super) fn setting(text: Option<&String>) -> Setting<String> {
    match text.map(String::as_str) {
        None => Setting::Leave,
        Some("") => Setting::Clear,
        Some(text) => Setting::To(text.to_owned()),
    }
}

fn address(text: Option<&String>) -> Result<Setting<Address>, Problem> {
    Ok(match setting(text) {
        Setting::Leave => Setting::Leave,
        Setting::Clear => Setting::Clear,
        Setting::To(text) => Setting::To(address_in(&text)?),
    })
}

pub(super) fn address_in(text: &str) -> Result<Address, Problem> {
    Address::parse(text).map_err(|_| Problem::invalid(format!("{text:?} is no address")))
}

impl ChangeDomain {
    fn wanted(&self) -> Result<NewDomain, Problem> {
        Ok(NewDomain {
            status: self.status.map(Status::from),
            group: setting(self.group.as_ref()),
            catch_all: address(self.catch_all.as_ref())?,
            contact: address(self.contact.as_ref())?,
        })
    }
}

async fn list(call: Call, page: Page, _: NoBody) -> Result<Json<Domains>, Problem> {
    let caller = call.caller()?;
    let domains = call.services.accounts.domains().await?;
    let seen = domains.into_iter().filter(|d| caller.sees_domain(&d.name));
    let (items, total) = page.of(seen.map(Domain::from).collect());
    Ok(Json(Domains { items, total }))
}

async fn one(call: Call, _: NoQuery, _: NoBody) -> Result<Json<Domain>, Problem> {
    let domain = call.services.accounts.domain(&call.domain()?).await?;
    Ok(Json(domain.into()))
}

async fn add(call: Call, _: NoQuery, sent: Json<AddDomain>) -> Result<Created<Domain>, Problem> {
    let name = DomainName::parse(&sent.0.name)?;
    let accounts = &call.services.accounts;
    accounts
        .add_domain(&name, &sent.0.change.wanted()?, call.now)
        .await?;
    let domain = Domain::from(accounts.domain(&name).await?);
    call.note_after(&domain);
    Ok(Created(domain))
}

async fn set(call: Call, _: NoQuery, sent: Json<ChangeDomain>) -> Result<Changed<Domain>, Problem> {
    let (name, accounts) = (call.domain()?, &call.services.accounts);
    if sent.0.status.is_some() || sent.0.group.is_some() {
        call.require(Right::Change, &Subject::Installation)?;
    }
    call.expect(&Domain::from(accounts.domain(&name).await?))?;
    let changes = accounts
        .set_domain(&name, &sent.0.wanted()?, call.now)
        .await?;
    let now = Domain::from(accounts.domain(&name).await?);
    call.note_after(&now);
    let WhatChanged { changes } = WhatChanged::of(&changes);
    Ok(Changed { now, changes })
}

/// What happens to what is in it.
#[derive(Deserialize, IntoParams)]
pub(super) struct Removal {
    /// `keep` (the removal is refused where anything depends on it) or `remove`.
    #[serde(default)]
    #[param(inline)]
    dependents: DependentsWord,
}

/// What happens to what depends on it.
#[derive(Deserialize, Default, Clone, Copy, ToSchema)]
#[serde(rename_all = "lowercase")]
enum DependentsWord {
    /// Nothing: the removal is refused.
    #[default]
    Keep,
    /// It goes, too, with all mail.
    Remove,
}

impl Removal {
    pub(super) fn dependents(&self) -> Dependents {
        match self.dependents {
            DependentsWord::Keep => Dependents::Keep,
            DependentsWord::Remove => Dependents::Remove,
        }
    }
}

async fn remove(call: Call, removal: Removal, _: NoBody) -> Result<Json<WhatChanged>, Problem> {
    let (name, accounts) = (call.domain()?, &call.services.accounts);
    call.expect(&Domain::from(accounts.domain(&name).await?))?;
    let changes = accounts
        .remove_domain(&name, removal.dependents(), call.now)
        .await?;
    Ok(Json(WhatChanged::of(&changes)))
}
