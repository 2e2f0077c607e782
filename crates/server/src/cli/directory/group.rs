//! `rohrpost group`: add, list, show, set, remove.

use super::{Desk, Format, output};
use clap::Subcommand;
use directory::admin::{AdminError, GroupView};

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
    /// Changes a group's description.
    Set {
        /// Its name.
        name: String,
        /// What it is for.
        #[arg(long)]
        description: String,
        #[command(flatten)]
        format: Format,
    },
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
            description,
            format,
        } => {
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
