//! `rohrpost token` and `rohrpost admin`: credentials of programs, who administers what, and the log of what was
//! changed, over the admin API.

use super::admin_api::{AdminApi, Method, path};
use super::say;
use crate::settings::Settings;
use clap::{Subcommand, ValueEnum};
use directory::{AddressKey, DomainName};
use https::api::administration::{
    self as api, AddToken, Administrator, Granted, Line, MadeToken, Token,
};

/// Lines of the log that are asked for at once.
const LINES_AT_ONCE: i64 = 1000;

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
    /// Shows what was changed by commands, over the API and at the pages, newest first.
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

impl From<RoleWord> for api::RoleWord {
    fn from(word: RoleWord) -> Self {
        match word {
            RoleWord::Operator => Self::Operator,
            RoleWord::Support => Self::Support,
            RoleWord::DomainAdmin => Self::DomainAdmin,
            RoleWord::User => Self::User,
        }
    }
}

/// As it is typed.
fn word(role: api::RoleWord) -> &'static str {
    match role {
        api::RoleWord::Operator => "operator",
        api::RoleWord::Support => "support",
        api::RoleWord::DomainAdmin => "domain-admin",
        api::RoleWord::User => "user",
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

pub(super) fn run_token(settings: &Settings, verb: &TokenVerb) -> Result<(), String> {
    super::block_on(async {
        let api = AdminApi::open(settings).await?;
        match verb {
            TokenVerb::Add {
                role,
                label,
                domains,
                account,
                expires,
            } => {
                let wanted = AddToken {
                    role: (*role).into(),
                    account: account.as_ref().map(|account| account.0.to_string()),
                    domains: domains.iter().map(|domain| domain.0.to_string()).collect(),
                    label: label.clone(),
                    expires: expires.clone(),
                };
                let place = path(&["tokens"], &[]);
                let made: MadeToken = api.send(Method::Post, &place, &wanted).await?;
                say(format_args!("{}", made.token));
                Ok(())
            }
            TokenVerb::List => list_tokens(&api).await,
            TokenVerb::Revoke { id } => {
                let place = path(&["tokens", id], &[]);
                api.send(Method::Delete, &place, &()).await
            }
        }
    })?
}

async fn list_tokens(api: &AdminApi) -> Result<(), String> {
    let tokens: Vec<Token> = api.get(&path(&["tokens"], &[])).await?;
    for token in tokens {
        let whose = token.account.unwrap_or_else(|| token.domains.join(" "));
        say(format_args!(
            "{}  {:<12} {}  {}  made {} by {}, ends {}, last used {}",
            token.id,
            word(token.role),
            whose,
            token.label,
            token.created,
            token.created_by,
            token.expires.as_deref().unwrap_or("never"),
            token.last_used.as_deref().unwrap_or("never"),
        ));
    }
    Ok(())
}

impl Named {
    fn wanted(&self) -> api::Named {
        api::Named {
            account: self.account.0.to_string(),
            role: self.role.into(),
            domain: self.domain.as_ref().map(|domain| domain.0.to_string()),
        }
    }

    /// `domain-admin of firma.example`.
    fn words(&self) -> String {
        let role = word(self.role.into());
        match &self.domain {
            None => role.to_owned(),
            Some(domain) => format!("{role} of {}", domain.0),
        }
    }
}

pub(super) fn run_admin(settings: &Settings, verb: &AdminVerb) -> Result<(), String> {
    super::block_on(async {
        let api = AdminApi::open(settings).await?;
        let place = path(&["administrators"], &[]);
        match verb {
            AdminVerb::Add(named) => {
                let made: Granted = api.send(Method::Post, &place, &named.wanted()).await?;
                say(format_args!(
                    "{} is {} now.\nLog in at {} with the address and the password of the account (no app password); \
                     then: {}",
                    made.account,
                    named.words(),
                    made.login_page,
                    made.page
                ));
                Ok(())
            }
            AdminVerb::Remove(named) => {
                api.send::<()>(Method::Delete, &place, &named.wanted())
                    .await?;
                say(format_args!(
                    "{} is no {} any more.",
                    named.account.0,
                    named.words()
                ));
                Ok(())
            }
            AdminVerb::List => {
                let administrators: Vec<Administrator> = api.get(&place).await?;
                for one in administrators {
                    say(format_args!(
                        "{}  {} {}  since {} by {}",
                        one.account,
                        word(one.role),
                        one.domain.as_deref().unwrap_or(""),
                        one.granted,
                        one.granted_by,
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
                let wanted = [("subject", subject.as_deref()), ("who", who.as_deref())];
                log(&api, wanted, *limit, *json).await
            }
        }
    })?
}

async fn log(
    api: &AdminApi,
    wanted: [(&str, Option<&str>); 2],
    limit: i64,
    as_json: bool,
) -> Result<(), String> {
    let (mut left, mut before) = (limit, None::<String>);
    while left > 0 {
        let at_once = left.min(LINES_AT_ONCE).to_string();
        let mut asked = vec![("limit", at_once.as_str())];
        let wanted = wanted
            .into_iter()
            .chain([("before", before.as_deref())])
            .filter_map(|(name, value)| Some((name, value?)));
        asked.extend(wanted);
        let lines: Vec<Line> = api.get(&path(&["audit"], &asked)).await?;
        let Some(last) = lines.last() else {
            return Ok(());
        };
        left -= i64::try_from(lines.len()).unwrap_or(left);
        before = Some(last.entry.to_string());
        for line in &lines {
            tell(line, as_json);
        }
    }
    Ok(())
}

fn tell(line: &Line, as_json: bool) {
    if as_json {
        let line = serde_json::to_string(line).unwrap_or_default();
        return say(format_args!("{line}"));
    }
    say(format_args!(
        "{}  {} ({})  {}  {}  {}",
        line.at, line.who, line.role, line.route, line.subject, line.outcome
    ));
}
