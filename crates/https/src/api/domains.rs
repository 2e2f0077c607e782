//! Domains, their aliases, and groups.

use crate::access::{Right, Subject};
use crate::call::{Call, Created, Done, Json, List, NoBody, NoQuery, Page};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use directory::admin::{AliasView, Dependents, DomainView, GroupView, NewDomain, Setting};
use directory::resolution::Status;
use directory::{AddressKey, DomainName};
use formats::address::Address;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let operate = (Right::Change, About::Installation);
    let look = (Right::See, About::Installation);
    let (see, change) = ((Right::See, About::Domain), (Right::Change, About::Domain));
    let each = (Right::See, About::Each);
    const DOMAIN: &str = "/api/v1/domains/{domain}";
    const ALIASES: &str = "/api/v1/domains/{domain}/aliases";
    const ALIAS: &str = "/api/v1/domains/{domain}/aliases/{local}";
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
        Route::api(
            Method::GET,
            ALIASES,
            see,
            "The aliases of a domain",
            aliases,
        ),
        Route::api(
            Method::PUT,
            ALIAS,
            change,
            "Make an alias lead to exactly these",
            set_alias,
        ),
        Route::api(
            Method::DELETE,
            ALIAS,
            change,
            "Remove an alias",
            remove_alias,
        ),
        Route::api(
            Method::GET,
            "/api/v1/groups",
            look,
            "The groups of customers",
            groups,
        ),
        Route::api(
            Method::PUT,
            "/api/v1/groups/{group}",
            operate,
            "Add or change a group",
            set_group,
        ),
        Route::api(
            Method::DELETE,
            "/api/v1/groups/{group}",
            operate,
            "Remove a group",
            remove_group,
        ),
    ]
}

/// A domain.
#[derive(Serialize, ToSchema)]
pub(super) struct Domain {
    /// As A-labels.
    name: String,
    /// As people read it.
    unicode: String,
    /// `active` or `suspended`.
    status: &'static str,
    /// Its group.
    group: Option<String>,
    /// Where mail for addresses that do not exist goes.
    catch_all: Option<String>,
    /// Who answers for it.
    contact: Option<String>,
    /// How many accounts it has.
    accounts: i64,
    /// How many aliases it has.
    aliases: i64,
    /// When it came.
    created: String,
}

impl From<DomainView> for Domain {
    fn from(view: DomainView) -> Self {
        Self {
            name: view.name,
            unicode: view.unicode,
            status: view.status,
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
#[derive(Serialize, ToSchema)]
struct Domains {
    items: Vec<Domain>,
    /// How many there are in all.
    total: usize,
}

/// A domain to be added.
#[derive(Deserialize, ToSchema)]
struct AddDomain {
    /// Its name.
    #[schema(max_length = 253)]
    name: String,
    #[serde(flatten)]
    change: ChangeDomain,
}

/// What to change; what is left out stays, and an empty text takes away.
#[derive(Deserialize, Default, ToSchema)]
struct ChangeDomain {
    /// `active` or `suspended`; only an operator may.
    status: Option<StatusWord>,
    /// Its group; only an operator may.
    group: Option<String>,
    /// An address for everything that does not exist.
    catch_all: Option<String>,
    /// Who answers for it.
    contact: Option<String>,
}

/// Whether something works.
#[derive(Deserialize, Clone, Copy, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum StatusWord {
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

fn address_in(text: &str) -> Result<Address, Problem> {
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

async fn set(call: Call, _: NoQuery, sent: Json<ChangeDomain>) -> Result<Json<Domain>, Problem> {
    let (name, accounts) = (call.domain()?, &call.services.accounts);
    if sent.0.status.is_some() || sent.0.group.is_some() {
        call.require(Right::Change, &Subject::Installation)?;
    }
    call.expect(&Domain::from(accounts.domain(&name).await?))?;
    accounts
        .set_domain(&name, &sent.0.wanted()?, call.now)
        .await?;
    let domain = Domain::from(accounts.domain(&name).await?);
    call.note_after(&domain);
    Ok(Json(domain))
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

async fn remove(call: Call, removal: Removal, _: NoBody) -> Result<Done, Problem> {
    let (name, accounts) = (call.domain()?, &call.services.accounts);
    call.expect(&Domain::from(accounts.domain(&name).await?))?;
    accounts
        .remove_domain(&name, removal.dependents(), call.now)
        .await?;
    Ok(Done)
}

/// An alias.
#[derive(Serialize, ToSchema)]
struct Alias {
    address: String,
    /// Where it leads.
    to: Vec<String>,
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
#[derive(Serialize, ToSchema)]
struct Aliases {
    items: Vec<Alias>,
    total: usize,
}

/// Where an alias is to lead.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Targets {
    /// Addresses, here or elsewhere.
    #[schema(min_items = 1, max_items = 1000)]
    to: Vec<String>,
}

async fn aliases(call: Call, page: Page, _: NoBody) -> Result<Json<Aliases>, Problem> {
    let domain = call.domain()?;
    // Without this check a domain that does not exist would look like one without aliases.
    call.services.accounts.domain(&domain).await?;
    let aliases = call.services.accounts.aliases(Some(&domain)).await?;
    let (items, total) = page.of(aliases.into_iter().map(Alias::from).collect());
    Ok(Json(Aliases { items, total }))
}

fn alias_key(call: &Call) -> Result<AddressKey, Problem> {
    Ok(AddressKey::parse(&format!(
        "{}@{}",
        call.param("local"),
        call.domain()?
    ))?)
}

async fn set_alias(call: Call, _: NoQuery, sent: Json<Targets>) -> Result<Json<Alias>, Problem> {
    let (key, accounts) = (alias_key(&call)?, &call.services.accounts);
    let to: Result<Vec<_>, _> = sent.0.to.iter().map(|text| address_in(text)).collect();
    let to = to?;
    match accounts.alias(&key).await {
        Ok(before) => {
            call.expect(&Alias::from(before))?;
            accounts.set_alias(&key, &to, call.now).await?;
        }
        Err(directory::admin::AdminError::Missing(_)) => {
            accounts.add_alias(&key, &to, call.now).await?;
        }
        Err(error) => return Err(error.into()),
    }
    let alias = Alias::from(accounts.alias(&key).await?);
    call.note_after(&alias);
    Ok(Json(alias))
}

async fn remove_alias(call: Call, removal: Removal, _: NoBody) -> Result<Done, Problem> {
    let (key, accounts) = (alias_key(&call)?, &call.services.accounts);
    call.expect(&Alias::from(accounts.alias(&key).await?))?;
    super::refuse_foreign_references(&call, &key).await?;
    accounts
        .remove_alias(&key, removal.dependents(), call.now)
        .await?;
    Ok(Done)
}

/// A group of customers.
#[derive(Serialize, ToSchema)]
struct Group {
    name: String,
    /// For people.
    description: String,
    /// Domains in it.
    domains: i64,
    /// Accounts with it as their own group.
    accounts: i64,
}

impl From<GroupView> for Group {
    fn from(view: GroupView) -> Self {
        Self {
            name: view.name,
            description: view.description,
            domains: view.domains,
            accounts: view.accounts,
        }
    }
}

/// What a group is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Description {
    /// For people.
    #[schema(max_length = 500)]
    description: String,
}

async fn groups(call: Call, _: NoQuery, _: NoBody) -> Result<List<Group>, Problem> {
    let groups = call.services.accounts.groups().await?;
    Ok(List(groups.into_iter().map(Group::from).collect()))
}

async fn set_group(
    call: Call,
    _: NoQuery,
    sent: Json<Description>,
) -> Result<Json<Group>, Problem> {
    let (name, accounts) = (call.param("group"), &call.services.accounts);
    match accounts.group(name).await {
        Ok(before) => {
            call.expect(&Group::from(before))?;
            accounts
                .set_group(name, &sent.0.description, call.now)
                .await?;
        }
        Err(directory::admin::AdminError::Missing(_)) => {
            accounts
                .add_group(name, &sent.0.description, call.now)
                .await?;
        }
        Err(error) => return Err(error.into()),
    }
    let group = Group::from(accounts.group(name).await?);
    call.note_after(&group);
    Ok(Json(group))
}

async fn remove_group(call: Call, _: NoQuery, _: NoBody) -> Result<Done, Problem> {
    let (name, accounts) = (call.param("group"), &call.services.accounts);
    call.expect(&Group::from(accounts.group(name).await?))?;
    accounts.remove_group(name, call.now).await?;
    Ok(Done)
}
