//! Aliases: addresses that lead to other addresses.

use super::WhatChanged;
use super::domains::{Removal, address_in};
use crate::access::Right;
use crate::call::{Call, Changed, Json, NoBody, NoQuery, Page};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use directory::AddressKey;
use directory::admin::{AdminError, AliasView};
use formats::address::Address;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let look = (Right::See, About::Installation);
    let (see, change) = ((Right::See, About::Domain), (Right::Change, About::Domain));
    const OF_DOMAIN: &str = "/api/v1/domains/{domain}/aliases";
    const ALIAS: &str = "/api/v1/domains/{domain}/aliases/{local}";
    vec![
        Route::api(
            Method::GET,
            "/api/v1/aliases",
            look,
            "The aliases of all domains",
            all,
        ),
        Route::api(
            Method::GET,
            OF_DOMAIN,
            see,
            "The aliases of a domain",
            of_domain,
        ),
        Route::api(Method::GET, ALIAS, see, "An alias", one),
        Route::api(
            Method::POST,
            ALIAS,
            change,
            "Make an alias lead to these, too",
            add,
        ),
        Route::api(
            Method::PUT,
            ALIAS,
            change,
            "Make an alias lead to exactly these",
            set,
        ),
        Route::api(Method::DELETE, ALIAS, change, "Remove an alias", remove),
    ]
}

/// An alias.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Alias {
    /// The address.
    pub address: String,
    /// Where it leads.
    pub to: Vec<String>,
}

impl From<AliasView> for Alias {
    fn from(view: AliasView) -> Self {
        Self {
            address: view.address,
            to: view.to,
        }
    }
}

/// A page of aliases.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Aliases {
    /// The aliases.
    pub items: Vec<Alias>,
    /// How many there are in all.
    pub total: usize,
}

/// Where an alias is to lead.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Targets {
    /// Addresses, here or elsewhere.
    #[schema(min_items = 1, max_items = 1000)]
    pub to: Vec<String>,
}

impl Targets {
    fn read(&self) -> Result<Vec<Address>, Problem> {
        self.to.iter().map(|text| address_in(text)).collect()
    }
}

async fn all(call: Call, page: Page, _: NoBody) -> Result<Json<Aliases>, Problem> {
    let aliases = call.services.accounts.aliases(None).await?;
    let (items, total) = page.of(aliases.into_iter().map(Alias::from).collect());
    Ok(Json(Aliases { items, total }))
}

async fn of_domain(call: Call, page: Page, _: NoBody) -> Result<Json<Aliases>, Problem> {
    let domain = call.domain()?;
    // Without this check a domain that does not exist would look like one without aliases.
    call.services.accounts.domain(&domain).await?;
    let aliases = call.services.accounts.aliases(Some(&domain)).await?;
    let (items, total) = page.of(aliases.into_iter().map(Alias::from).collect());
    Ok(Json(Aliases { items, total }))
}

fn key(call: &Call) -> Result<AddressKey, Problem> {
    let domain = call.domain()?;
    let key = AddressKey::parse(&format!("{}@{domain}", call.param("local")))?;
    // What is quoted or encoded in the local part must not lead to another domain.
    match *key.domain() == domain {
        true => Ok(key),
        false => Err(Problem::forbidden()),
    }
}

async fn one(call: Call, _: NoQuery, _: NoBody) -> Result<Json<Alias>, Problem> {
    let alias = call.services.accounts.alias(&key(&call)?).await?;
    Ok(Json(alias.into()))
}

async fn add(call: Call, _: NoQuery, sent: Json<Targets>) -> Result<Changed<Alias>, Problem> {
    let (key, accounts) = (key(&call)?, &call.services.accounts);
    match accounts.alias(&key).await {
        Ok(before) => call.expect(&Alias::from(before))?,
        Err(AdminError::Missing(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let changes = accounts.add_alias(&key, &sent.0.read()?, call.now).await?;
    changed(&call, &key, WhatChanged::of(&changes)).await
}

async fn set(call: Call, _: NoQuery, sent: Json<Targets>) -> Result<Changed<Alias>, Problem> {
    let (key, accounts) = (key(&call)?, &call.services.accounts);
    let to = sent.0.read()?;
    let changes = match accounts.alias(&key).await {
        Ok(before) => {
            call.expect(&Alias::from(before))?;
            accounts.set_alias(&key, &to, call.now).await?
        }
        Err(AdminError::Missing(_)) => accounts.add_alias(&key, &to, call.now).await?,
        Err(error) => return Err(error.into()),
    };
    changed(&call, &key, WhatChanged::of(&changes)).await
}

async fn changed(
    call: &Call,
    key: &AddressKey,
    what: WhatChanged,
) -> Result<Changed<Alias>, Problem> {
    let now = Alias::from(call.services.accounts.alias(key).await?);
    call.note_after(&now);
    let WhatChanged { changes } = what;
    Ok(Changed { now, changes })
}

async fn remove(call: Call, removal: Removal, _: NoBody) -> Result<Json<WhatChanged>, Problem> {
    let (key, accounts) = (key(&call)?, &call.services.accounts);
    call.expect(&Alias::from(accounts.alias(&key).await?))?;
    super::refuse_foreign_references(&call, &key).await?;
    let changes = accounts
        .remove_alias(&key, removal.dependents(), call.now)
        .await?;
    Ok(Json(WhatChanged::of(&changes)))
}
