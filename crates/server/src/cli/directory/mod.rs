//! The verbs for domains, accounts, aliases, groups and app passwords, and export, plan and apply.
//! Each is a function from an `Admin` and what was typed to the text that is printed; the caller
//! opens the store, prints, and tells a running node. Passwords come from standard input or are
//! made here; they are never an argument others could see in a process list.

mod account;
mod alias;
mod app_password;
mod command;
mod domain;
mod group;
mod output;
mod state;

pub(crate) use command::command;

use clap::Subcommand;
use directory::admin::{Admin, AdminError, Setting};
use directory::{AddressKey, DomainName};
use platform::clock::Timestamp;
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
    /// Prints groups, domains, accounts, aliases and policy settings as a TOML file; passwords as
    /// hashes.
    ///
    /// Whoever has the file can try to guess the passwords in it: keep it as closed as the server.
    ///
    /// Example: rohrpost export > state.toml
    Export,
    /// Says in words what applying a state file would change. Changes nothing.
    ///
    /// Prints a sentence per change, or "Nothing changes."; the exit code is 0 either way, and 1
    /// where the file cannot be used.
    ///
    /// Example: rohrpost plan state.toml
    Plan(state::Plan),
    /// Makes groups, domains, accounts and aliases what a state file says, in one transaction, then
    /// the policy settings in another.
    ///
    /// What is not in the file is removed. Accounts, and with them their mail, only with
    /// --remove-accounts; without it the exit code is 1 and nothing is changed. A new account has a
    /// line password = "…" or password_hash = "…"; export again afterwards, and only hashes are in
    /// the file. A file without [[policy]] leaves policy settings as they are; policy = [] at its
    /// start removes them all. The same goes for [[identity]] and [[client]].
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
pub(crate) struct Desk<'d> {
    /// The operations, mailboxes included.
    pub(crate) admin: &'d Admin,
    /// The time.
    pub(crate) now: Timestamp,
    /// Where passwords and files named `-` come from.
    pub(crate) input: &'d mut dyn Read,
}

/// Carries out one verb; gives what is to be printed.
///
/// # Errors
/// A text for the person at the terminal; nothing was changed then.
pub(crate) async fn run(verb: &Verb, desk: &mut Desk<'_>) -> Result<String, String> {
    let done = match verb {
        Verb::Domain(verb) => domain::run(verb, desk).await,
        Verb::Account(verb) => account::run(verb, desk).await,
        Verb::Alias(verb) => alias::run(verb, desk).await,
        Verb::Group(verb) => group::run(verb, desk).await,
        Verb::AppPassword(verb) => app_password::run(verb, desk).await,
        Verb::Export => state::export(desk).await,
        Verb::Plan(verb) => state::plan(verb, desk).await,
        Verb::Apply(verb) => state::apply(verb, desk).await,
    };
    done.map_err(|error| error.to_string())
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

/// `--x VALUE` sets, `--x ""` clears, absence leaves.
fn setting<T>(
    given: Option<&String>,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Setting<T>, AdminError> {
    match given.map(String::as_str) {
        None => Ok(Setting::Leave),
        Some("") => Ok(Setting::Clear),
        Some(text) => read(text).map(Setting::To).map_err(AdminError::Invalid),
    }
}

#[cfg(test)]
mod tests;
