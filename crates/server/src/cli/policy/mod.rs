//! Commands about what the provider decided: settings, pools, destinations, identities, findings, and the
//! self-check of the DNS. Clients of the admin API, which does and looks; what is here takes command lines and says
//! answers in words.

mod audit;
mod check;
mod destination;
pub(super) mod dmarc;
mod dns;
mod findings;
mod identity;
pub(super) mod impact;
mod measure;
pub(super) mod output;
mod pool;
mod settings;

use super::admin_api::{AdminApi, path};
use crate::control::{Request, ask};
use crate::settings::Settings;
use clap::{Args, Subcommand};
use directory::{AddressKey, DomainName};
use platform::clock::{Clock, Timestamp};
use policy::setting::{NAMES, Name};
use serde::de::DeserializeOwned;
use std::path::Path;

/// As many entries as a part of a long list has.
const PART_MAX: usize = https::api::seen::ROWS_MAX as usize;

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
    /// Measures: sender-ownership (senders that are not the account's own), tls-version/SERVICE, cleartext/SERVICE,
    /// inbound-tls, outbound-tls, spoofed-sender, rule/NAME.
    ///
    /// Example: rohrpost findings sender-ownership
    Findings(findings::Options),
    /// Who would no longer get through if something were enforced today, by name.
    ///
    /// Counts what was seen in the last days: logins with old TLS or in clear, senders that are not
    /// an account's own, what rules found, and domains mail is exchanged with in clear. Who has an
    /// exception, and who uses the legacy hosts, is counted apart. Changes nothing.
    ///
    /// Examples: rohrpost impact tls-version/imap --since 14d
    ///           rohrpost impact tls-version/imap=1.3 --csv > imap-1.3.csv
    ///           rohrpost impact cleartext/submission --scope firma.example
    ///           rohrpost impact sender-ownership --trend
    #[command(verbatim_doc_comment)]
    Impact(impact::Options),
    /// How accounts connect: insecure ones, one account, random samples, exposed passwords. No IP addresses.
    ///
    /// Examples: rohrpost audit insecure --since 14d --csv
    ///           rohrpost audit account anna@firma.example
    ///           rohrpost audit sample -n 50 --seed 7
    #[command(subcommand, verbatim_doc_comment)]
    Audit(audit::Verb),
    /// Tightening in stages: TLS versions, clear text, sender ownership, mandatory TLS.
    ///
    /// A measure is at off, observe (what would be refused is a finding), warn (whom it concerns is told)
    /// or enforce. Its schedule names the day on which each stage begins, in the time zone of the
    /// installation; every node switches at that moment by itself. Of several scopes the narrowest
    /// decides; an exception is a narrower setting with an owner, a reason and an end. canary=10% holds
    /// the last stage for that share of the accounts only.
    ///
    /// Examples: rohrpost measure plan installation cleartext observe 2025-03-01 warn 2025-03-05 enforce
    ///           rohrpost measure set installation tls-version/imap 1.2 warn 2025-03-05 enforce
    ///           rohrpost measure except anna@firma.example cleartext/submission --until 2025-05-30
    ///           --owner "support, ticket 17" --reason "printer is replaced in May"
    ///           rohrpost measure pause installation cleartext --reason "outage at a customer"
    #[command(subcommand, verbatim_doc_comment)]
    Measure(measure::Verb),
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

impl Why {
    /// The API, for whoever is named.
    fn author(&self, api: AdminApi) -> AdminApi {
        api.acting_for(self.by.as_deref())
    }
}

/// All of a list that comes in parts.
async fn whole_list<T: DeserializeOwned>(
    api: &AdminApi,
    segments: &[&str],
    query: &[(&str, &str)],
) -> Result<Vec<T>, String> {
    let mut all = Vec::new();
    loop {
        let offset = all.len().to_string();
        let mut query = query.to_vec();
        query.push(("offset", &offset));
        let part: Vec<T> = api.get(&path(segments, &query)).await?;
        let is_last = part.len() < PART_MAX;
        all.extend(part);
        if is_last {
            return Ok(all);
        }
    }
}

/// How far back to look, in whole days; today is one of them.
#[derive(Debug, Clone, Copy)]
struct Since {
    days: u32,
}

impl Since {
    /// Days at most that are looked back: as long as connections are kept at most.
    const DAYS_MAX: u32 = 3650;

    fn days(self) -> u32 {
        self.days
    }
}

impl std::str::FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.trim_end_matches('d').trim_end();
        let days = number.parse().ok();
        let days = days.filter(|days| (1..=Self::DAYS_MAX).contains(days));
        days.map(|days| Self { days }).ok_or_else(|| {
            format!(
                "expected a number of days from 1d to {}d, such as 14d",
                Self::DAYS_MAX
            )
        })
    }
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
    let done = super::block_on(carry_out(settings, verb))??;
    super::print(format_args!("{}", done.text));
    if done.found {
        return Err("the lines that begin with \"warning\" say what to do".to_owned());
    }
    Ok(())
}

async fn carry_out(settings: &Settings, verb: &Verb) -> Result<Done, String> {
    if matches!(verb, Verb::Policy(settings::Verb::Names)) {
        return Ok(names().into());
    }
    let api = match verb.changes_something() {
        true => AdminApi::open_or_create(settings).await?,
        false => AdminApi::open(settings).await?,
    };
    let told = match verb {
        Verb::Policy(verb) => settings::run(verb, api).await?,
        Verb::Pool(verb) => pool::run(verb, api).await?,
        Verb::Destination(verb) => destination::run(verb, api).await?,
        Verb::Identity(verb) => identity::run(verb, api).await?,
        Verb::Measure(verb) => measure::run(verb, api).await?,
        Verb::Findings(options) => findings::run(options, &api).await?,
        Verb::Impact(options) => impact::run(options, &api).await?,
        Verb::Audit(verb) => audit::run(verb, &api).await?,
        Verb::Dmarc(verb) => dmarc::run(verb, api).await?,
        Verb::Dns(verb) => return dns::run(verb, &api).await,
        Verb::Check(verb) => return check::run(verb, &api).await,
    };
    Ok(told.into())
}

/// The running node's time, which a demo can have moved; else the machine's.
pub(super) fn now(settings: &Settings) -> Timestamp {
    now_in(&settings.data_dir)
}

/// The same, of the node that runs on a data directory.
pub(super) fn now_in(data_dir: &Path) -> Timestamp {
    let answer = ask(data_dir, &Request::Time);
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
            Self::Measure(verb) => verb.changes_something(),
            Self::Dmarc(verb) => verb.changes_something(),
            Self::Findings(_)
            | Self::Impact(_)
            | Self::Audit(_)
            | Self::Dns(_)
            | Self::Check(_) => false,
        }
    }
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
    let elsewhere = |name| matches!(name, Name::Destination | Name::PoolAddresses);
    for described in NAMES.iter().filter(|d| !elsewhere(d.name)) {
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
