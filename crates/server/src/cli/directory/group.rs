//! `rohrpost group`: add, list, show, set, remove, defaults.

use super::{Format, address, domain_name, output};
use crate::cli::admin_api::{AdminApi, Method, path};
use clap::Subcommand;
use https::api::WhatChanged;
use https::api::accounts::ChangeAccount;
use https::api::domains::ChangeDomain;
use https::api::groups::{AddGroup, Description, Group, UsualGroups};
use policy::groups::DefaultGroup;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Adds a group.
    Add {
        /// Its name.
        name: String,
        /// What it is for.
        #[arg(long, default_value = "")]
        description: String,
        #[command(flatten)]
        format: Format,
    },
    /// Lists all groups.
    List(Format),
    /// Shows one group.
    Show {
        /// Its name.
        name: String,
        #[command(flatten)]
        format: Format,
    },
    /// Puts a domain or an account into a group, or changes a group's description.
    ///
    /// One of the usual groups (private, business, premium, free, internal, external, newsletter,
    /// important) is made where it does not exist yet.
    ///
    /// Examples: rohrpost group set privat.example private
    ///           rohrpost group set business --description "Customers with a contract"
    #[command(verbatim_doc_comment)]
    Set {
        /// A domain or an account's address; with --description a group's name.
        name: String,
        /// The group it is in from now on.
        #[arg(
            required_unless_present = "description",
            conflicts_with = "description"
        )]
        group: Option<String>,
        /// What the group is for.
        #[arg(long)]
        description: Option<String>,
        #[command(flatten)]
        format: Format,
    },
    /// Makes the usual groups that do not exist yet, each with its weight and priority.
    Defaults(Format),
    /// Removes a group nothing is in.
    Remove {
        /// Its name.
        name: String,
        #[command(flatten)]
        format: Format,
    },
}

pub(super) async fn run(verb: &Verb, api: &AdminApi) -> Result<String, String> {
    Ok(match verb {
        Verb::Add {
            name,
            description,
            format,
        } => {
            let wanted = AddGroup {
                name: name.clone(),
                description: description.clone(),
            };
            let _: Group = api
                .send(Method::Post, &path(&["groups"], &[]), &wanted)
                .await?;
            output::done(*format, format!("group {name} is added"))
        }
        Verb::List(format) => {
            let groups: Vec<Group> = api.get(&path(&["groups"], &[])).await?;
            output::value(*format, &groups, |groups| list(groups))
        }
        Verb::Show { name, format } => {
            let group: Group = api.get(&path(&["groups", name], &[])).await?;
            output::value(*format, &group, |group| list(std::slice::from_ref(group)))
        }
        Verb::Set {
            name,
            group: Some(group),
            format,
            ..
        } => {
            put_into(api, name, group).await?;
            output::done(*format, format!("the group of {name} is now {group}"))
        }
        Verb::Defaults(format) => {
            let made = usual(api, UsualGroups::default()).await?;
            output::sentences(*format, made.changes)
        }
        Verb::Set {
            name,
            description,
            format,
            ..
        } => {
            let place = path(&["groups", name], &[]);
            // The API would make one; a mistyped group is not meant to come about.
            let _: Group = api.get(&place).await?;
            let wanted = Description {
                description: description.clone().unwrap_or_default(),
            };
            let done: WhatChanged = api.send(Method::Put, &place, &wanted).await?;
            output::sentences(*format, done.changes)
        }
        Verb::Remove { name, format } => {
            let place = path(&["groups", name], &[]);
            api.send::<()>(Method::Delete, &place, &()).await?;
            output::done(*format, format!("group {name} is removed"))
        }
    })
}

async fn usual(api: &AdminApi, which: UsualGroups) -> Result<WhatChanged, String> {
    let place = path(&["usual-groups"], &[]);
    api.send(Method::Post, &place, &which).await
}

async fn put_into(api: &AdminApi, name: &str, group: &str) -> Result<(), String> {
    if DefaultGroup::named(group).is_some() {
        let name = Some(group.to_owned());
        usual(api, UsualGroups { name }).await?;
    }
    let group = Some(group.to_owned());
    let _: WhatChanged = if name.contains('@') {
        let new = ChangeAccount {
            group,
            ..ChangeAccount::default()
        };
        let place = path(&["accounts", &address(name)?.to_string()], &[]);
        api.send(Method::Patch, &place, &new).await?
    } else {
        let new = ChangeDomain {
            group,
            ..ChangeDomain::default()
        };
        let place = path(&["domains", domain_name(name)?.as_str()], &[]);
        api.send(Method::Patch, &place, &new).await?
    };
    Ok(())
}

fn list(groups: &[Group]) -> String {
    let row = |group: &Group| {
        vec![
            group.name.clone(),
            group.domains.to_string(),
            group.accounts.to_string(),
            group.description.clone(),
        ]
    };
    let rows: Vec<_> = groups.iter().map(row).collect();
    output::table(&["GROUP", "DOMAINS", "ACCOUNTS", "DESCRIPTION"], &rows)
}
