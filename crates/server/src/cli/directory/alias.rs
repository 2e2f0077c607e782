//! `rohrpost alias`: add, list, show, set, remove.

use super::{Format, address, dependents, domain_name, output, target, whole};
use crate::cli::admin_api::{AdminApi, Method, path};
use clap::Subcommand;
use directory::{AddressKey, DomainName};
use formats::address::Address;
use https::api::WhatChanged;
use https::api::aliases::{Alias, Targets};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Adds an alias, or further targets to one that exists.
    Add {
        /// The alias.
        #[arg(value_parser = address)]
        address: AddressKey,
        /// Where it leads: accounts, aliases or addresses elsewhere; several are separated by blanks.
        #[arg(required = true, value_parser = target)]
        to: Vec<Address>,
        #[command(flatten)]
        format: Format,
    },
    /// Lists aliases.
    List {
        /// Only those of this domain.
        #[arg(long, value_parser = domain_name)]
        domain: Option<DomainName>,
        #[command(flatten)]
        format: Format,
    },
    /// Shows one alias.
    Show {
        /// The alias.
        #[arg(value_parser = address)]
        address: AddressKey,
        #[command(flatten)]
        format: Format,
    },
    /// Makes an alias lead to exactly these addresses.
    Set {
        /// The alias.
        #[arg(value_parser = address)]
        address: AddressKey,
        /// Where it leads from now on.
        #[arg(required = true, value_parser = target)]
        to: Vec<Address>,
        #[command(flatten)]
        format: Format,
    },
    /// Removes an alias.
    Remove {
        /// The alias.
        #[arg(value_parser = address)]
        address: AddressKey,
        /// Take it out of other aliases, catch-alls and contacts, too.
        #[arg(long)]
        with_aliases: bool,
        #[command(flatten)]
        format: Format,
    },
}

fn place(address: &AddressKey, asked: &[(&str, &str)]) -> String {
    let (domain, local) = (address.domain().as_str(), address.local());
    path(&["domains", domain, "aliases", local], asked)
}

fn targets(to: &[Address]) -> Targets {
    Targets {
        to: to.iter().map(ToString::to_string).collect(),
    }
}

pub(super) async fn run(verb: &Verb, api: &AdminApi) -> Result<String, String> {
    Ok(match verb {
        Verb::Add {
            address,
            to,
            format,
        } => {
            let place = place(address, &[]);
            let done: WhatChanged = api.send(Method::Post, &place, &targets(to)).await?;
            output::sentences(*format, done.changes)
        }
        Verb::List { domain, format } => {
            let aliases: Vec<Alias> = match domain {
                None => whole(api, &["aliases"]).await?,
                Some(domain) => whole(api, &["domains", domain.as_str(), "aliases"]).await?,
            };
            output::value(*format, &aliases, |aliases| list(aliases))
        }
        Verb::Show { address, format } => {
            let alias: Alias = api.get(&place(address, &[])).await?;
            output::value(*format, &alias, |alias| list(std::slice::from_ref(alias)))
        }
        Verb::Set {
            address,
            to,
            format,
        } => {
            let place = place(address, &[]);
            // The API would make one; a mistyped alias is not meant to come about.
            let _: Alias = api.get(&place).await?;
            let done: WhatChanged = api.send(Method::Put, &place, &targets(to)).await?;
            output::sentences(*format, done.changes)
        }
        Verb::Remove {
            address,
            with_aliases,
            format,
        } => {
            let place = place(address, &[dependents(*with_aliases)]);
            let done: WhatChanged = api.send(Method::Delete, &place, &()).await?;
            output::sentences(*format, done.changes)
        }
    })
}

fn list(aliases: &[Alias]) -> String {
    let rows: Vec<_> = aliases
        .iter()
        .map(|alias| vec![alias.address.clone(), alias.to.join(", ")])
        .collect();
    output::table(&["ALIAS", "LEADS TO"], &rows)
}
