//! Commands about what the provider decided: settings, pools, destinations, identities, findings, and the
//! self-check of the DNS. A face over `policy::admin`, `policy::identities` and `policy::dns_check`; works
//! on the store beside a running node or without one, and tells a running node.

mod check;
mod destination;
mod dmarc;
mod dns;
mod findings;
mod identity;
mod output;
mod pool;
mod preview;
mod settings;
pub(super) mod state;

use super::stores;
use crate::control::{Request, ask};
use crate::settings::Settings;
use clap::{Args, Subcommand};
use directory::{AddressKey, DomainName};
use platform::clock::{Clock, Timestamp};
use platform::store::Store;
use policy::Policies;
use policy::admin::{Admin, Author, PolicyError};
use policy::setting::NAMES;

/// Commands about policy; flattened into the program's commands.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// What holds for whom: sender ownership, TLS, limits, headers, pools, groups.
    ///
    /// A setting has a scope: the installation, a group, a domain or an account. SCOPE is the word
    /// installation, a group's name, a domain or an address; group:NAME, domain:NAME and
    /// account:ADDRESS say which is meant where a name fits two. What is set for an account stands
    /// before what is set for its domain, that before its group, that before the installation; of
    /// outbound-tls the strictest wins. A change holds at once in a running node.
    ///
    /// Examples: rohrpost policy show anna@firma.example
    ///           rohrpost policy set firma.example outbound-tls required --reason "contract 17"
    ///           rohrpost policy names
    #[command(subcommand, verbatim_doc_comment)]
    Policy(settings::Verb),
    /// Pools of source addresses, and the name each greets with.
    ///
    /// Which pool mail leaves from is the setting pool of an account, domain, group or the
    /// installation; without it the system chooses the address.
    ///
    /// Example: rohrpost pool add business 192.0.2.7 2001:db8::7 --hello mx7.provider.example
    ///          rohrpost policy set business pool business --reason "own addresses"
    #[command(subcommand, verbatim_doc_comment)]
    Pool(pool::Verb),
    /// How mail to certain domains travels: TLS level, certificate names, next hop, exceptions.
    ///
    /// Levels are those of Postfix: may, encrypt, dane, dane-only, verify, secure, fingerprint. A rule
    /// never weakens a sender's own outbound-tls, except one with --exception, which a sender domain
    /// or account sets for itself.
    ///
    /// Examples: rohrpost destination set partner.example secure --reason "partners"
    ///           rohrpost destination set gmx.example may --for anna@firma.example --exception
    ///           --until 2026-12-31 --reason "one letter"
    #[command(subcommand, verbatim_doc_comment)]
    Destination(destination::Verb),
    /// Whom an account may send as beside its own addresses.
    ///
    /// An address elsewhere needs a proof of control: a code is mailed there, and whoever reads it
    /// gives it back. An operator may grant an address, or *@domain, without proof.
    ///
    /// Example: rohrpost identity request anna@firma.example anna@gmx.example
    #[command(subcommand)]
    Identity(identity::Verb),
    /// What measures saw: which account, what, how often, when last. No IP addresses.
    ///
    /// Measures: sender-ownership (senders that are not the account's own).
    ///
    /// Example: rohrpost findings sender-ownership
    Findings(findings::Options),
    /// Looks whether the DNS fits what mail of a domain leaves with.
    #[command(subcommand)]
    Dns(dns::Verb),
    /// The way of a domain to a strict DMARC policy: figures, advice, the change of the DNS on a date.
    ///
    /// Examples: rohrpost dmarc status firma.example
    ///           rohrpost dmarc sources firma.example
    ///           rohrpost dmarc plan firma.example --to quarantine --on 2026-12-01
    #[command(subcommand, verbatim_doc_comment)]
    Dmarc(dmarc::Verb),
    /// Checks a domain against the rules of large receivers for senders.
    #[command(subcommand)]
    Check(check::Verb),
}

/// Who changes something and why.
#[derive(Args, Debug, Clone)]
pub(crate) struct Why {
    /// Why; kept in the history.
    #[arg(long, default_value = "")]
    reason: String,
    /// Who; the user of the operating system when not given.
    #[arg(long)]
    by: Option<String>,
}

/// What a verb works with.
struct Desk<'d> {
    settings: &'d Settings,
    store: Store,
    admin: Admin,
    now: Timestamp,
}

impl Desk<'_> {
    fn author(&self, why: &Why) -> Author {
        Author {
            by: why.by.clone().unwrap_or_else(operator),
            reason: why.reason.clone(),
            now: self.now,
        }
    }
}

impl Desk<'_> {
    /// The time zone in which dates are meant.
    async fn zone(&self) -> Result<policy::measure::Zone, PolicyError> {
        let policies = Policies::open(self.store.clone(), Clock::settable(self.now)).await?;
        Ok(policies.snapshot().zone().clone())
    }

    /// A running node writes what it has counted; without one everything is written.
    fn keep(&self) {
        let _ = ask(&self.settings.data_dir, &Request::Keep);
    }
}

/// Who sits at the terminal.
pub(super) fn operator() -> String {
    format!("uid {}", rustix::process::getuid().as_raw())
}

/// What is printed, and how the program ends.
struct Done {
    text: String,
    /// Something was found that should not be.
    found: bool,
}

impl From<String> for Done {
    fn from(text: String) -> Self {
        Self { text, found: false }
    }
}

/// Carries out one command.
///
/// # Errors
/// A text for the person at the terminal.
pub(super) fn run(settings: &Settings, verb: &Verb) -> Result<(), String> {
    let store = if verb.changes_something() {
        stores::open_or_create_store(settings)?
    } else {
        stores::open_store(settings)?
    };
    let desk = Desk {
        settings,
        admin: Admin::new(store.clone()),
        store,
        now: now(settings),
    };
    let done = super::block_on(async {
        let done = match verb {
            Verb::Policy(verb) => settings::run(verb, &desk).await.map(Done::from),
            Verb::Pool(verb) => pool::run(verb, &desk).await.map(Done::from),
            Verb::Destination(verb) => destination::run(verb, &desk).await.map(Done::from),
            Verb::Identity(verb) => identity::run(verb, &desk).await.map(Done::from),
            Verb::Findings(options) => findings::run(options, &desk).await.map(Done::from),
            Verb::Dns(verb) => dns::run(verb, &desk).await,
            Verb::Dmarc(verb) => dmarc::run(verb, &desk).await.map(Done::from),
            Verb::Check(verb) => check::run(verb, &desk).await,
        };
        done.map_err(|error| error.to_string())
    })??;
    super::print(format_args!("{}", done.text));
    if verb.changes_something() {
        // Without a node there is nobody to tell; one that does not answer looks within a second.
        let _ = ask(&settings.data_dir, &Request::Refresh);
    }
    if done.found {
        return Err("the lines that begin with \"warning\" say what to do".to_owned());
    }
    Ok(())
}

/// The running node's time, which a demo can have moved; else the machine's.
pub(super) fn now(settings: &Settings) -> Timestamp {
    let answer = ask(&settings.data_dir, &Request::Time);
    let node = answer
        .ok()
        .flatten()
        .and_then(|answer| answer.text.parse().ok());
    node.map_or_else(|| Clock::system().now(), Timestamp)
}

impl Verb {
    /// Whether a running node must hear of it.
    fn changes_something(&self) -> bool {
        match self {
            Self::Policy(verb) => verb.changes_something(),
            Self::Pool(verb) => verb.changes_something(),
            Self::Destination(verb) => verb.changes_something(),
            Self::Identity(verb) => verb.changes_something(),
            Self::Dmarc(verb) => verb.changes_something(),
            Self::Findings(_) | Self::Dns(_) | Self::Check(_) => false,
        }
    }
}

fn invalid(text: impl ToString) -> PolicyError {
    PolicyError::Invalid(text.to_string())
}

fn address(text: &str) -> Result<AddressKey, String> {
    AddressKey::parse(text).map_err(|error| error.to_string())
}

fn domain_name(text: &str) -> Result<DomainName, String> {
    DomainName::parse(text).map_err(|error| error.to_string())
}

/// The names that can be set, for the end of a help text.
fn names() -> String {
    let mut text = String::from("Names that can be set:\n");
    for described in NAMES.iter().filter(|d| !d.name.has_items()) {
        let scopes: Vec<_> = described.scopes.iter().map(|kind| kind.word()).collect();
        text.push_str(&format!(
            "\n  {}  {}\n      {}\n      For: {}.{}\n",
            described.word,
            described.syntax,
            described.says,
            scopes.join(", "),
            match described.default {
                "" => String::new(),
                default => format!(" Default: {default}."),
            }
        ));
    }
    text
}
