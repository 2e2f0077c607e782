//! The verbs for domains, accounts, aliases, groups and app passwords, and export, plan and apply. Each is a function
//! from the admin API and what was typed to the text that is printed; nothing is decided here that the API does not
//! decide. Passwords come from standard input or are made behind the API; they are never an argument others could see
//! in a process list.

mod account;
mod alias;
mod app_password;
mod command;
mod delegate;
mod domain;
mod group;
mod output;
mod state;

pub(crate) use command::command;

use super::admin_api::{AdminApi, path};
use clap::Subcommand;
use directory::{AddressKey, DomainName};
use https::api::domains::StatusWord;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::io::Read;

/// Verbs of the directory; flattened into the program's commands.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Domains whose mail is handled here.
    ///
    /// Example: rohrpost domain add firma.example --group business
    #[command(subcommand)]
    Domain(domain::Verb),
    /// People and devices that log in.
    ///
    /// An account logs in with its full address. Passwords are never an argument, because arguments
    /// show in the process list: one is made and printed once, or read from standard input.
    ///
    /// Example: rohrpost account add anna@firma.example
    #[command(subcommand)]
    Account(account::Verb),
    /// Addresses that lead to other addresses.
    ///
    /// Example: rohrpost alias add info@firma.example anna@firma.example bernd@firma.example
    #[command(subcommand)]
    Alias(alias::Verb),
    /// Classes of customers, such as business and private.
    ///
    /// A group has a share of delivery attempts, a priority, a pool of source addresses, limits: see
    /// `rohrpost policy`. A domain's group is that of its accounts, unless they have their own.
    ///
    /// Examples: rohrpost group set privat.example private
    ///           rohrpost group add schools --description "Schools and universities"
    #[command(subcommand, verbatim_doc_comment)]
    Group(group::Verb),
    /// Passwords for single devices and programs, revocable one by one.
    ///
    /// Example: rohrpost app-password add anna@firma.example "Anna's phone"
    #[command(subcommand)]
    AppPassword(app_password::Verb),
    /// Prints everything that was decided here as a TOML file; passwords as hashes.
    ///
    /// Groups, domains, accounts, aliases; settings and measures; identities; your own entries of the catalogue; rules;
    /// rollouts with their texts (not how far they are, nor their letters); how the provider speaks. The same state
    /// always gives the same text. Whoever has the file can try to guess the passwords in it: keep it as closed as the
    /// server.
    ///
    /// Example: rohrpost export > state.toml
    Export,
    /// Says in words what applying a state file would change, and whom it would cut off. Changes nothing.
    ///
    /// Prints a sentence per change, or "Nothing changes."; the exit code is 0 either way, and 1
    /// where the file cannot be used.
    ///
    /// Example: rohrpost plan state.toml
    Plan(state::Plan),
    /// Makes everything what a state file says, in one transaction or not at all.
    ///
    /// Groups, domains, accounts and aliases that are not in the file are removed. Accounts, and with them their mail,
    /// only with --remove-accounts; without it the exit code is 1 and nothing is changed. A new account has a line
    /// password = "…" or password_hash = "…"; export again afterwards, and only hashes are in the file.
    ///
    /// A file without [[policy]] leaves settings as they are; policy = [] at its start removes them all. The same goes
    /// for [[identity]], [[client]], [[rules]] and [[rollout]], and for [voice], where an empty table unsets all.
    /// Rollouts come as drafts. Only drafts and what was rolled back is changed or removed; where the file wants another
    /// rollout changed, nothing at all is done.
    ///
    /// Example: rohrpost apply state.toml
    Apply(state::Apply),
}

/// How results are printed.
#[derive(clap::Args, Clone, Copy)]
pub(crate) struct Format {
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// What a verb works with.
struct Desk<'d> {
    /// What carries it out.
    api: &'d AdminApi,
    /// Where passwords and files named `-` come from.
    input: &'d mut dyn Read,
}

/// Carries out one verb; gives what is to be printed.
///
/// # Errors
/// A text for the person at the terminal; nothing was changed then.
async fn run(verb: &Verb, desk: &mut Desk<'_>) -> Result<String, String> {
    match verb {
        Verb::Domain(verb) => domain::run(verb, desk.api).await,
        Verb::Account(verb) => account::run(verb, desk).await,
        Verb::Alias(verb) => alias::run(verb, desk.api).await,
        Verb::Group(verb) => group::run(verb, desk.api).await,
        Verb::AppPassword(verb) => app_password::run(verb, desk.api).await,
        Verb::Export => state::export(desk.api).await,
        Verb::Plan(verb) => state::plan(verb, desk).await,
        Verb::Apply(verb) => state::apply(verb, desk).await,
    }
}

impl Verb {
    /// Whether a running node must hear of it.
    pub(crate) fn changes_something(&self) -> bool {
        match self {
            Self::Domain(verb) => {
                !matches!(verb, domain::Verb::List(_) | domain::Verb::Show { .. })
            }
            Self::Account(verb) => !matches!(
                verb,
                account::Verb::List { .. } | account::Verb::Show { .. }
            ),
            Self::Alias(verb) => {
                !matches!(verb, alias::Verb::List { .. } | alias::Verb::Show { .. })
            }
            Self::Group(verb) => !matches!(verb, group::Verb::List(_) | group::Verb::Show { .. }),
            Self::AppPassword(verb) => !matches!(verb, app_password::Verb::List { .. }),
            Self::Export | Self::Plan(_) => false,
            Self::Apply(_) => true,
        }
    }
}

fn address(text: &str) -> Result<AddressKey, String> {
    AddressKey::parse(text).map_err(|error| error.to_string())
}

fn target(text: &str) -> Result<formats::address::Address, String> {
    formats::address::Address::parse(text)
        .map_err(|error| format!("\"{text}\" is not an address: {error}"))
}

fn domain_name(text: &str) -> Result<DomainName, String> {
    DomainName::parse(text).map_err(|error| error.to_string())
}

fn status_word(text: &str) -> Result<StatusWord, String> {
    match text {
        "active" => Ok(StatusWord::Active),
        "suspended" => Ok(StatusWord::Suspended),
        _ => Err("active or suspended".to_owned()),
    }
}

/// Removes what depends on a thing, too, or refuses to remove the thing.
fn dependents(remove: bool) -> (&'static str, &'static str) {
    ("dependents", if remove { "remove" } else { "keep" })
}

/// Entries that are asked for at once.
const PAGE: usize = 10_000;

/// A part of a list.
#[derive(Deserialize)]
struct PageOf<T> {
    items: Vec<T>,
    total: usize,
}

/// A whole list.
async fn whole<T: DeserializeOwned>(api: &AdminApi, place: &[&str]) -> Result<Vec<T>, String> {
    let mut all = Vec::new();
    loop {
        let (offset, limit) = (all.len().to_string(), PAGE.to_string());
        let place = path(place, &[("offset", &offset), ("limit", &limit)]);
        let page: PageOf<T> = api.get(&place).await?;
        let is_last = page.items.is_empty();
        all.extend(page.items);
        if is_last || all.len() >= page.total {
            return Ok(all);
        }
    }
}

/// Seconds since 1970 of a time that the API told.
fn seconds(time: &str) -> i64 {
    formats::rfc3339::parse(time).map_or(0, |ms| ms.div_euclid(1000))
}

#[cfg(test)]
mod tests;
