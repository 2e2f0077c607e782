//! `rohrpost domain`: add, list, show, set, remove.

use super::{Format, delegate, dependents, domain_name, output, seconds, status_word, whole};
use crate::cli::admin_api::{AdminApi, Method, path};
use clap::{Args, Subcommand};
use directory::DomainName;
use https::api::WhatChanged;
use https::api::domains::{AddDomain, ChangeDomain, Domain, StatusWord};
use serde_json::{Value, json};

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
    /// Lists the records of a subdomain for a tool that sends in a customer's name, such as a newsletter service.
    ///
    /// Mail sent past this server has neither its signature nor its address, and receivers take it for a
    /// forgery; with a subdomain of its own the tool proves itself and cannot harm the domain. Prints lines of a
    /// zone file: SPF, the tool's key (DKIM), DMARC, where bounces go; above each what it is for and whether it is
    /// published. What the tool has not said yet is left open. Changes nothing.
    ///
    /// Example: rohrpost domain delegate news.firma.example --selector nl1 --key-alias nl1.dkim.tool.example
    Delegate(delegate::Tool),
}

#[derive(Args)]
pub(crate) struct Settings {
    /// active or suspended; a suspended domain gets no mail and lets nobody in.
    #[arg(long, value_parser = status_word)]
    status: Option<StatusWord>,
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
    fn wanted(&self) -> ChangeDomain {
        ChangeDomain {
            status: self.status,
            group: self.group.clone(),
            catch_all: self.catch_all.clone(),
            contact: self.contact.clone(),
        }
    }
}

fn place(name: &DomainName) -> String {
    path(&["domains", name.as_str()], &[])
}

pub(super) async fn run(verb: &Verb, api: &AdminApi) -> Result<String, String> {
    Ok(match verb {
        Verb::Add {
            name,
            settings,
            format,
        } => {
            let wanted = AddDomain {
                name: name.to_string(),
                change: settings.wanted(),
            };
            let _: Domain = api
                .send(Method::Post, &path(&["domains"], &[]), &wanted)
                .await?;
            output::done(*format, format!("domain {name} is added"))
        }
        Verb::List(format) => {
            let domains: Vec<Domain> = whole(api, &["domains"]).await?;
            let values: Vec<Value> = domains.iter().map(value).collect();
            output::value(*format, &values, |_| list(&domains))
        }
        Verb::Show { name, format } => {
            let domain = api.get(&place(name)).await?;
            output::value(*format, &value(&domain), |_| show(&domain))
        }
        Verb::Set {
            name,
            settings,
            format,
        } => {
            let done: WhatChanged = api
                .send(Method::Patch, &place(name), &settings.wanted())
                .await?;
            output::sentences(*format, done.changes)
        }
        Verb::Remove {
            name,
            with_accounts,
            format,
        } => {
            let asked = [dependents(*with_accounts)];
            let place = path(&["domains", name.as_str()], &asked);
            let done: WhatChanged = api.send(Method::Delete, &place, &()).await?;
            output::sentences(*format, done.changes)
        }
        Verb::Delegate(tool) => delegate::run(tool, api).await?,
    })
}

fn value(domain: &Domain) -> Value {
    json!({
        "name": domain.name, "unicode": domain.unicode, "status": domain.status,
        "group": domain.group, "catch_all": domain.catch_all, "contact": domain.contact,
        "accounts": domain.accounts, "aliases": domain.aliases,
        "created": seconds(&domain.created),
    })
}

fn list(domains: &[Domain]) -> String {
    let row = |domain: &Domain| {
        vec![
            domain.unicode.clone(),
            domain.status.clone(),
            output::or_dash(domain.group.as_ref()),
            domain.accounts.to_string(),
            domain.aliases.to_string(),
        ]
    };
    let rows: Vec<_> = domains.iter().map(row).collect();
    output::table(&["DOMAIN", "STATUS", "GROUP", "ACCOUNTS", "ALIASES"], &rows)
}

fn show(domain: &Domain) -> String {
    output::fields(&[
        ("domain", Some(domain.unicode.clone())),
        (
            "a-labels",
            (domain.name != domain.unicode).then(|| domain.name.clone()),
        ),
        ("status", Some(domain.status.clone())),
        ("group", domain.group.clone()),
        ("catch-all", domain.catch_all.clone()),
        ("contact", domain.contact.clone()),
        ("accounts", Some(domain.accounts.to_string())),
        ("aliases", Some(domain.aliases.to_string())),
        ("created", Some(output::date(&domain.created))),
    ])
}
