//! `rohrpost group`: add, list, show, set, remove, defaults.

use super::{Desk, Format, output};
use clap::Subcommand;
use directory::admin::{AdminError, GroupView, NewAccount, NewDomain, Setting};
use directory::{AddressKey, DomainName};
use policy::Scope;
use policy::admin::{Author, Wanted};
use policy::groups::{DEFAULT_GROUPS, DefaultGroup};
use policy::setting::Value;

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

pub(super) async fn run(verb: &Verb, desk: &mut Desk<'_>) -> Result<String, AdminError> {
    let (admin, now) = (desk.admin, desk.now);
    match verb {
        Verb::Add {
            name,
            description,
            format,
        } => {
            admin.add_group(name, description, now).await?;
            output::done(*format, &format!("group {name} is added"))
        }
        Verb::List(format) => output::value(*format, &admin.groups().await?, |groups| list(groups)),
        Verb::Show { name, format } => output::value(*format, &admin.group(name).await?, |group| {
            list(std::slice::from_ref(group))
        }),
        Verb::Set {
            name,
            group: Some(group),
            format,
            ..
        } => {
            put_into(desk, name, group).await?;
            output::done(*format, &format!("the group of {name} is now {group}"))
        }
        Verb::Defaults(format) => {
            let mut made = Vec::new();
            for group in DEFAULT_GROUPS {
                if make_default(desk, group).await? {
                    made.push(format!("group {} is added", group.name));
                }
            }
            output::sentences(*format, made)
        }
        Verb::Set {
            name,
            description,
            format,
            ..
        } => {
            let description = description.as_deref().unwrap_or_default();
            admin.set_group(name, description, now).await?;
            output::done(
                *format,
                &format!("group {name} is now described as \"{description}\""),
            )
        }
        Verb::Remove { name, format } => {
            admin.remove_group(name, now).await?;
            output::done(*format, &format!("group {name} is removed"))
        }
    }
}

async fn put_into(desk: &mut Desk<'_>, name: &str, group: &str) -> Result<(), AdminError> {
    if let Some(usual) = DefaultGroup::named(group) {
        make_default(desk, usual).await?;
    }
    let to = Setting::To(group.to_owned());
    if name.contains('@') {
        let login = AddressKey::parse(name)?;
        let new = NewAccount {
            group: to,
            ..NewAccount::default()
        };
        desk.admin.set_account(&login, &new, desk.now).await?;
    } else {
        let domain = DomainName::parse(name)?;
        let new = NewDomain {
            group: to,
            ..NewDomain::default()
        };
        desk.admin.set_domain(&domain, &new, desk.now).await?;
    }
    Ok(())
}

/// Makes one of the usual groups with its settings; false where it is there already.
async fn make_default(desk: &mut Desk<'_>, group: &DefaultGroup) -> Result<bool, AdminError> {
    match desk
        .admin
        .add_group(group.name, group.description, desk.now)
        .await
    {
        Err(AdminError::Exists(_)) => return Ok(false),
        made => made?,
    }
    let settings = policy::admin::Admin::new(desk.admin.directory().store().clone());
    for (name, value) in group.settings() {
        let wanted = Wanted {
            scope: Scope::Group(group.name.to_owned()),
            name,
            item: String::new(),
            value: Value::parse(name, value).map_err(AdminError::Invalid)?,
            expires_at: None,
            consent: None,
            owner: None,
        };
        let author = Author {
            by: "rohrpost group".to_owned(),
            reason: "usual group".to_owned(),
            now: desk.now,
        };
        let set = settings.set(wanted, author).await;
        set.map_err(|error| AdminError::Invalid(error.to_string()))?;
    }
    Ok(true)
}

fn list(groups: &[GroupView]) -> String {
    let row = |group: &GroupView| {
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
