//! `rohrpost token` and `rohrpost admin`: credentials of programs, who administers what, and the log of what was changed
//! over the API. Works on the store, beside a running node or without one; everything holds at once.

use super::policy::{now, operator};
use super::{say, stores};
use crate::settings::Settings;
use clap::{Subcommand, ValueEnum};
use directory::{AddressKey, DomainName};
use formats::rfc3339;
use https::audit::{self, Wanted};
use https::{CredentialError, Grant, NewToken, Role, TokenSecret};
use platform::clock::Timestamp;
use platform::random::Random;
use platform::store::{Store, Tx};
use serde_json::json;

/// Commands about tokens.
#[derive(Subcommand)]
pub(super) enum TokenVerb {
    /// Makes a token and prints it, for this one time.
    Add {
        /// What it may.
        #[arg(long)]
        role: RoleWord,
        /// What it is for.
        #[arg(long)]
        label: String,
        /// A domain it administers; may be given several times.
        #[arg(long = "domain", value_name = "DOMAIN")]
        domains: Vec<DomainText>,
        /// The account of a user's token.
        #[arg(long, value_name = "ADDRESS")]
        account: Option<AddressText>,
        /// When it ends (RFC 3339). Without it, it does not.
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
    },
    /// Lists tokens; the secrets are nowhere any more.
    List,
    /// Ends a token at once.
    Revoke {
        /// Its id, as listed.
        id: String,
    },
}

/// Commands about administrators.
#[derive(Subcommand)]
pub(super) enum AdminVerb {
    /// Makes an account an operator, support, or administrator of a domain.
    Add(Named),
    /// Takes that back; sessions notice at once.
    Remove(Named),
    /// Lists who administers what.
    List,
    /// Shows what was changed over the API and at the pages, newest first.
    Log {
        /// Only about this, such as "domain firma.example".
        #[arg(long)]
        subject: Option<String>,
        /// Only of this caller.
        #[arg(long)]
        who: Option<String>,
        /// At most so many lines.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
        /// A line of JSON each, with what was before and after.
        #[arg(long)]
        json: bool,
    },
}

/// Whom to make what.
#[derive(clap::Args)]
pub(super) struct Named {
    /// The account's login address.
    account: AddressText,
    /// What.
    #[arg(long)]
    role: RoleWord,
    /// Of which domain; for domain-admin.
    #[arg(long)]
    domain: Option<DomainText>,
}

/// Roles on the command line.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum RoleWord {
    /// Everything.
    Operator,
    /// Sees everything and assists accounts.
    Support,
    /// Sees and changes what belongs to named domains.
    DomainAdmin,
    /// Sees the own account.
    User,
}

impl From<RoleWord> for Role {
    fn from(word: RoleWord) -> Self {
        match word {
            RoleWord::Operator => Self::Operator,
            RoleWord::Support => Self::Support,
            RoleWord::DomainAdmin => Self::DomainAdmin,
            RoleWord::User => Self::User,
        }
    }
}

/// A domain on the command line.
#[derive(Clone)]
pub(super) struct DomainText(DomainName);

impl std::str::FromStr for DomainText {
    type Err = directory::NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        DomainName::parse(text).map(Self)
    }
}

/// An address on the command line.
#[derive(Clone)]
pub(super) struct AddressText(AddressKey);

impl std::str::FromStr for AddressText {
    type Err = directory::NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        AddressKey::parse(text).map(Self)
    }
}

/// A change of the store with its line in the log, in one transaction.
fn change(
    settings: &Settings,
    route: &'static str,
    about: (String, serde_json::Value),
    mut work: impl FnMut(&mut dyn Tx, &str, Timestamp) -> Result<(), CredentialError> + Send + 'static,
) -> Result<(), String> {
    let store = stores::open_store(settings)?;
    let (by, now) = (operator(), now(settings));
    let (subject, after) = about;
    let written = store.write(move |tx: &mut dyn Tx| {
        work(tx, &by, now)?;
        audit::note(tx, &by, route, &subject, &after, now)?;
        Ok::<_, CredentialError>(())
    });
    super::block_on(written)?.map_err(|error| error.to_string())
}

pub(super) fn run_token(settings: &Settings, verb: &TokenVerb) -> Result<(), String> {
    match verb {
        TokenVerb::Add {
            role,
            label,
            domains,
            account,
            expires,
        } => {
            let expires = expires.as_deref().map(rfc3339::parse).transpose()?;
            let new = NewToken {
                role: (*role).into(),
                account: account.clone().map(|account| account.0),
                domains: domains.iter().map(|domain| domain.0.clone()).collect(),
                label: label.clone(),
                expires_at: expires.map(Timestamp),
            };
            let secret = TokenSecret::new(&Random::from_os());
            let clear = secret.clear().to_owned();
            let domains: Vec<_> = domains.iter().map(|domain| domain.0.as_str()).collect();
            let about = json!({ "role": new.role.word(), "label": label, "domains": domains });
            let subject = format!("token {}", secret.id());
            change(
                settings,
                "token add",
                (subject, about),
                move |tx, by, now| https::add_token(tx, &new, &secret, by, now),
            )?;
            say(format_args!("{clear}"));
            Ok(())
        }
        TokenVerb::List => list_tokens(&stores::open_store(settings)?),
        TokenVerb::Revoke { id } => {
            let (subject, id) = (format!("token {id}"), id.clone());
            change(
                settings,
                "token revoke",
                (subject, serde_json::Value::Null),
                move |tx, _, _| https::revoke_token(tx, &id),
            )
        }
    }
}

fn list_tokens(store: &Store) -> Result<(), String> {
    let tokens = super::block_on(store.read(https::tokens))?.map_err(|error| error.to_string())?;
    for token in tokens {
        let whose = token.account.unwrap_or_else(|| token.domains.join(" "));
        let ends = token.expires_at.map(rfc3339::format);
        let used = token.last_used_day.map(|day| {
            let text = rfc3339::format(day.saturating_mul(86_400_000));
            text.get(..10).unwrap_or_default().to_owned()
        });
        say(format_args!(
            "{}  {:<12} {}  {}  made {} by {}, ends {}, last used {}",
            token.id,
            token.role.word(),
            whose,
            token.label,
            rfc3339::format(token.created_at),
            token.created_by,
            ends.as_deref().unwrap_or("never"),
            used.as_deref().unwrap_or("never"),
        ));
    }
    Ok(())
}

fn grant(named: &Named) -> Grant {
    Grant {
        account: named.account.0.clone(),
        role: named.role.into(),
        domain: named.domain.clone().map(|domain| domain.0),
    }
}

pub(super) fn run_admin(settings: &Settings, verb: &AdminVerb) -> Result<(), String> {
    match verb {
        AdminVerb::Add(named) => {
            let grant = grant(named);
            change(settings, "admin add", about(&grant), move |tx, by, now| {
                https::add_grant(tx, &grant, by, now)
            })
        }
        AdminVerb::Remove(named) => {
            let grant = grant(named);
            change(settings, "admin remove", about(&grant), move |tx, _, _| {
                https::remove_grant(tx, &grant)
            })
        }
        AdminVerb::List => {
            let store = stores::open_store(settings)?;
            let grants = super::block_on(store.read(https::grants))?;
            for grant in grants.map_err(|error| error.to_string())? {
                say(format_args!(
                    "{}  {} {}  since {} by {}",
                    grant.account,
                    grant.role.word(),
                    grant.domain.as_deref().unwrap_or(""),
                    rfc3339::format(grant.granted_at),
                    grant.granted_by,
                ));
            }
            Ok(())
        }
        AdminVerb::Log {
            subject,
            who,
            limit,
            json,
        } => {
            let wanted = Wanted {
                subject: subject.clone(),
                who: who.clone(),
                before: None,
                lines_max: *limit,
            };
            log(&stores::open_store(settings)?, wanted, *json)
        }
    }
}

fn about(grant: &Grant) -> (String, serde_json::Value) {
    let domain = grant.domain.as_ref().map(DomainName::as_str);
    (
        format!("account {}", grant.account),
        json!({ "role": grant.role.word(), "domain": domain }),
    )
}

fn log(store: &Store, wanted: Wanted, as_json: bool) -> Result<(), String> {
    let read = store.read(move |tx: &mut dyn Tx| audit::entries(tx, &wanted));
    let entries = super::block_on(read)?.map_err(|error| error.to_string())?;
    for entry in entries {
        let at = rfc3339::format(entry.at);
        if as_json {
            let read = |text: Option<String>| {
                text.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok())
            };
            say(format_args!(
                "{}",
                json!({
                    "entry": entry.entry, "at": at, "who": entry.who, "role": entry.role,
                    "route": entry.route, "subject": entry.subject, "outcome": entry.outcome,
                    "before": read(entry.before), "after": read(entry.after),
                })
            ));
            continue;
        }
        say(format_args!(
            "{at}  {} ({})  {}  {}  {}",
            entry.who, entry.role, entry.route, entry.subject, entry.outcome
        ));
    }
    Ok(())
}
