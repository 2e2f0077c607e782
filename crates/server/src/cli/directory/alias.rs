//! `rohrpost alias`: add, list, show, set, remove.

use super::{Desk, Format, address, domain_name, output, target};
use clap::Subcommand;
use directory::admin::{AdminError, AliasView, Dependents};
use directory::{AddressKey, DomainName};
use formats::address::Address;

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

pub(super) async fn run(verb: &Verb, desk: &mut Desk<'_>) -> Result<String, AdminError> {
    let (admin, now) = (desk.admin, desk.now);
    match verb {
        Verb::Add {
            address,
            to,
            format,
        } => output::changes(*format, &admin.add_alias(address, to, now).await?),
        Verb::List { domain, format } => {
            output::value(*format, &admin.aliases(domain.as_ref()).await?, |aliases| {
                list(aliases)
            })
        }
        Verb::Show { address, format } => {
            output::value(*format, &admin.alias(address).await?, |alias| {
                list(std::slice::from_ref(alias))
            })
        }
        Verb::Set {
            address,
            to,
            format,
        } => output::changes(*format, &admin.set_alias(address, to, now).await?),
        Verb::Remove {
            address,
            with_aliases,
            format,
        } => {
            let dependents = if *with_aliases {
                Dependents::Remove
            } else {
                Dependents::Keep
            };
            output::changes(
                *format,
                &admin.remove_alias(address, dependents, now).await?,
            )
        }
    }
}

fn list(aliases: &[AliasView]) -> String {
    let rows: Vec<_> = aliases
        .iter()
        .map(|alias| vec![alias.address.clone(), alias.to.join(", ")])
        .collect();
    output::table(&["ALIAS", "LEADS TO"], &rows)
}
