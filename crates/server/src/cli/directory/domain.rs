//! `rohrpost domain`: add, list, show, set, remove.

use super::{Desk, Format, domain_name, output, setting, target};
use clap::{Args, Subcommand};
use directory::DomainName;
use directory::admin::{AdminError, Dependents, DomainView, NewDomain};
use directory::resolution::Status;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Adds a domain.
    Add {
        /// Such as firma.example.
        #[arg(value_parser = domain_name)]
        name: DomainName,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        format: Format,
    },
    /// Lists all domains.
    List(Format),
    /// Shows one domain.
    Show {
        /// Such as firma.example.
        #[arg(value_parser = domain_name)]
        name: DomainName,
        #[command(flatten)]
        format: Format,
    },
    /// Changes a domain.
    Set {
        /// Such as firma.example.
        #[arg(value_parser = domain_name)]
        name: DomainName,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        format: Format,
    },
    /// Removes a domain.
    Remove {
        /// Such as firma.example.
        #[arg(value_parser = domain_name)]
        name: DomainName,
        /// Remove its accounts with all their mail, its aliases, and what leads into it, too.
        #[arg(long)]
        with_accounts: bool,
        #[command(flatten)]
        format: Format,
    },
}

#[derive(Args)]
pub(crate) struct Settings {
    /// active or suspended; a suspended domain gets no mail and lets nobody in.
    #[arg(long, value_parser = ["active", "suspended"])]
    status: Option<String>,
    /// The group of its accounts that have none of their own; "" for none.
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// Where mail for addresses that do not exist goes; "" for nowhere.
    #[arg(long, value_name = "ADDRESS")]
    catch_all: Option<String>,
    /// Who answers for it and gets postmaster@ and abuse@; "" for the provider.
    #[arg(long, value_name = "ADDRESS")]
    contact: Option<String>,
}

impl Settings {
    fn read(&self) -> Result<NewDomain, AdminError> {
        Ok(NewDomain {
            status: self.status.as_deref().and_then(Status::from_word),
            group: setting(self.group.as_ref(), |text| Ok(text.to_owned()))?,
            catch_all: setting(self.catch_all.as_ref(), target)?,
            contact: setting(self.contact.as_ref(), target)?,
        })
    }
}

pub(super) async fn run(verb: &Verb, desk: &mut Desk<'_>) -> Result<String, AdminError> {
    let (admin, now) = (desk.admin, desk.now);
    match verb {
        Verb::Add {
            name,
            settings,
            format,
        } => {
            admin.add_domain(name, &settings.read()?, now).await?;
            output::done(*format, &format!("domain {name} is added"))
        }
        Verb::List(format) => {
            output::value(*format, &admin.domains().await?, |domains| list(domains))
        }
        Verb::Show { name, format } => output::value(*format, &admin.domain(name).await?, show),
        Verb::Set {
            name,
            settings,
            format,
        } => output::changes(
            *format,
            &admin.set_domain(name, &settings.read()?, now).await?,
        ),
        Verb::Remove {
            name,
            with_accounts,
            format,
        } => {
            let dependents = if *with_accounts {
                Dependents::Remove
            } else {
                Dependents::Keep
            };
            output::changes(*format, &admin.remove_domain(name, dependents, now).await?)
        }
    }
}

fn list(domains: &[DomainView]) -> String {
    let row = |domain: &DomainView| {
        vec![
            domain.unicode.clone(),
            domain.status.to_owned(),
            output::or_dash(domain.group.as_ref()),
            domain.accounts.to_string(),
            domain.aliases.to_string(),
        ]
    };
    let rows: Vec<_> = domains.iter().map(row).collect();
    output::table(&["DOMAIN", "STATUS", "GROUP", "ACCOUNTS", "ALIASES"], &rows)
}

fn show(domain: &DomainView) -> String {
    output::fields(&[
        ("domain", Some(domain.unicode.clone())),
        (
            "a-labels",
            (domain.name != domain.unicode).then(|| domain.name.clone()),
        ),
        ("status", Some(domain.status.to_owned())),
        ("group", domain.group.clone()),
        ("catch-all", domain.catch_all.clone()),
        ("contact", domain.contact.clone()),
        ("accounts", Some(domain.accounts.to_string())),
        ("aliases", Some(domain.aliases.to_string())),
        ("created", Some(output::date(domain.created))),
    ])
}
