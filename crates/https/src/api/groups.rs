//! Groups: classes of customers, such as business and private.

use super::WhatChanged;
use crate::access::Right;
use crate::call::{Call, Changed, Created, Done, Json, List, NoBody, NoQuery};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::Method;
use directory::admin::{AdminError, GroupView};
use policy::Scope;
use policy::admin::{Admin, Wanted};
use policy::groups::{DEFAULT_GROUPS, DefaultGroup};
use policy::setting::Value;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Their routes.
pub(super) fn routes() -> Vec<Route> {
    let operate = (Right::Change, About::Installation);
    let look = (Right::See, About::Installation);
    const GROUPS: &str = "/api/v1/groups";
    const GROUP: &str = "/api/v1/groups/{group}";
    vec![
        Route::api(Method::GET, GROUPS, look, "The groups of customers", groups),
        Route::api(Method::POST, GROUPS, operate, "Add a group", add),
        Route::api(Method::GET, GROUP, look, "A group", one),
        Route::api(Method::PUT, GROUP, operate, "Add or change a group", set),
        Route::api(Method::DELETE, GROUP, operate, "Remove a group", remove),
        Route::api(
            Method::POST,
            "/api/v1/usual-groups",
            operate,
            "Make usual groups that do not exist yet, each with its weight and priority",
            usual,
        ),
    ]
}

/// A group of customers.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// Domains in it.
    pub domains: i64,
    /// Accounts with it as their own group.
    pub accounts: i64,
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

async fn groups(call: Call, _: NoQuery, _: NoBody) -> Result<List<Group>, Problem> {
    let groups = call.services.accounts.groups().await?;
    Ok(List(groups.into_iter().map(Group::from).collect()))
}

async fn one(call: Call, _: NoQuery, _: NoBody) -> Result<Json<Group>, Problem> {
    let group = call.services.accounts.group(call.param("group")).await?;
    Ok(Json(group.into()))
}

/// A group to be added.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddGroup {
    /// Its name.
    #[schema(max_length = 100)]
    pub name: String,
    /// For people.
    #[serde(default)]
    #[schema(max_length = 500)]
    pub description: String,
}

async fn add(call: Call, _: NoQuery, sent: Json<AddGroup>) -> Result<Created<Group>, Problem> {
    let (name, accounts) = (sent.0.name.as_str(), &call.services.accounts);
    accounts
        .add_group(name, &sent.0.description, call.now)
        .await?;
    let group = Group::from(accounts.group(name).await?);
    call.note_after(&group);
    Ok(Created(group))
}

/// What a group is to be.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// For people.
    #[schema(max_length = 500)]
    pub description: String,
}

async fn set(call: Call, _: NoQuery, sent: Json<Description>) -> Result<Changed<Group>, Problem> {
    let (name, accounts) = (call.param("group"), &call.services.accounts);
    let description = &sent.0.description;
    let done = match accounts.group(name).await {
        Ok(before) => {
            call.expect(&Group::from(before))?;
            accounts.set_group(name, description, call.now).await?;
            format!("group {name} is now described as \"{description}\"")
        }
        Err(AdminError::Missing(_)) => {
            accounts.add_group(name, description, call.now).await?;
            format!("group {name} is added")
        }
        Err(error) => return Err(error.into()),
    };
    let now = Group::from(accounts.group(name).await?);
    call.note_after(&now);
    let changes = vec![done];
    Ok(Changed { now, changes })
}

async fn remove(call: Call, _: NoQuery, _: NoBody) -> Result<Done, Problem> {
    let (name, accounts) = (call.param("group"), &call.services.accounts);
    call.expect(&Group::from(accounts.group(name).await?))?;
    accounts.remove_group(name, call.now).await?;
    Ok(Done)
}

/// Which of the usual groups are wanted.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UsualGroups {
    /// This one; without it all: private, business, premium, free, internal, external, newsletter, important.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

async fn usual(
    call: Call,
    _: NoQuery,
    sent: Json<UsualGroups>,
) -> Result<Json<WhatChanged>, Problem> {
    let wanted: &[DefaultGroup] = match &sent.0.name {
        None => DEFAULT_GROUPS,
        Some(name) => std::slice::from_ref(
            DefaultGroup::named(name)
                .ok_or_else(|| Problem::invalid(format!("{name} is none of the usual groups.")))?,
        ),
    };
    let mut changes = Vec::new();
    for group in wanted {
        if make(&call, group).await? {
            changes.push(format!("group {} is added", group.name));
        }
    }
    call.services.policies.refresh().await?;
    Ok(Json(WhatChanged { changes }))
}

/// Makes one of the usual groups with its settings; false where it is there already.
async fn make(call: &Call, group: &DefaultGroup) -> Result<bool, Problem> {
    let accounts = &call.services.accounts;
    let added = accounts.add_group(group.name, group.description, call.now);
    match added.await {
        Err(AdminError::Exists(_)) => return Ok(false),
        made => made?,
    }
    let settings = Admin::new(call.services.store.clone());
    for (name, value) in group.settings() {
        let wanted = Wanted {
            scope: Scope::Group(group.name.to_owned()),
            name,
            item: String::new(),
            value: Value::parse(name, value).map_err(Problem::invalid)?,
            expires_at: None,
            consent: None,
            owner: None,
        };
        let author = super::author(call, "usual group".to_owned());
        settings.set(wanted, author).await?;
    }
    Ok(true)
}
