//! `rohrpost identity`: request, confirm, grant, list, remove. The admin API does it; this says it in words.

use super::output::{self, Format};
use super::{Why, address};
use crate::cli::admin_api::{AdminApi, Method, path};
use clap::Subcommand;
use directory::{AddressKey, DomainName};
use https::api::identities::{Code, Grant, MaySendAs};
use https::api::senders::DnsLine;
use policy::SendAs;
use serde_json::json;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Mails a code to an address elsewhere that an account wants to send as.
    ///
    /// The running node sends it. The code is good for 24 hours. Warnings tell what that address's
    /// domain says about mail from other servers: such mail may be refused although it may be sent.
    Request {
        /// The account, by its login address.
        #[arg(value_parser = address)]
        account: AddressKey,
        /// The address elsewhere.
        #[arg(value_parser = address)]
        address: AddressKey,
        /// Who asks; the user of the operating system when not given.
        #[arg(long)]
        by: Option<String>,
    },
    /// Gives the code back; the account may send as the address from then on.
    Confirm {
        /// The account, by its login address.
        #[arg(value_parser = address)]
        account: AddressKey,
        /// The address elsewhere.
        #[arg(value_parser = address)]
        address: AddressKey,
        /// The code from the mail.
        code: String,
    },
    /// Lets an account send as an address, or as *@domain, without proof.
    Grant {
        /// The account, by its login address.
        #[arg(value_parser = address)]
        account: AddressKey,
        /// The address, or *@domain for every address of a domain.
        #[arg(value_parser = send_as)]
        send_as: SendAs,
        #[command(flatten)]
        why: Why,
    },
    /// Lists identities, those that wait for their code too.
    List {
        /// Only of this account.
        #[arg(value_parser = address)]
        account: Option<AddressKey>,
        #[command(flatten)]
        format: Format,
    },
    /// Takes an identity away.
    Remove {
        /// The account, by its login address.
        #[arg(value_parser = address)]
        account: AddressKey,
        /// The address, or *@domain.
        #[arg(value_parser = send_as)]
        send_as: SendAs,
    },
}

impl Verb {
    pub(super) fn changes_something(&self) -> bool {
        !matches!(self, Self::List { .. })
    }
}

pub(super) fn send_as(text: &str) -> Result<SendAs, String> {
    match text.strip_prefix("*@") {
        Some(domain) => DomainName::parse(domain)
            .map(SendAs::AnyAt)
            .map_err(|error| error.to_string()),
        None => address(text).map(SendAs::Address),
    }
}

pub(super) async fn run(verb: &Verb, api: AdminApi) -> Result<String, String> {
    match verb {
        Verb::Request {
            account,
            address,
            by,
        } => {
            let api = api.acting_for(by.as_deref());
            let (login, wanted) = (account.to_string(), address.to_string());
            let at = one(&login, &wanted, &["request"]);
            api.send::<()>(Method::Post, &at, &()).await?;
            let warnings = warnings(&api, &login, &wanted).await?;
            Ok(format!(
                "A code is on its way to {address}; give it back within 24 hours:\n  \
                 rohrpost identity confirm {account} {address} CODE\n{warnings}"
            ))
        }
        Verb::Confirm {
            account,
            address,
            code,
        } => {
            let code = Code { code: code.clone() };
            let at = one(&account.to_string(), &address.to_string(), &["confirm"]);
            api.send::<()>(Method::Post, &at, &code).await?;
            Ok(format!("{account} may now send as {address}.\n"))
        }
        Verb::Grant {
            account,
            send_as,
            why,
        } => {
            let (login, wanted) = (account.to_string(), send_as.to_string());
            let grant = Grant {
                reason: why.reason.clone(),
            };
            let api = why.author(api);
            let at = one(&login, &wanted, &[]);
            let _: Vec<MaySendAs> = api.send(Method::Put, &at, &grant).await?;
            let warnings = warnings(&api, &login, &wanted).await?;
            Ok(format!("{account} may now send as {send_as}.\n{warnings}"))
        }
        Verb::List { account, format } => list(&api, account.as_ref(), *format).await,
        Verb::Remove { account, send_as } => {
            let at = one(&account.to_string(), &send_as.to_string(), &[]);
            api.delete::<()>(&at).await?;
            Ok(format!("{account} may no longer send as {send_as}.\n"))
        }
    }
}

/// The place of one identity, and what is below it.
fn one(account: &str, identity: &str, below: &[&str]) -> String {
    let mut segments = vec!["accounts", account, "identities", identity];
    segments.extend(below);
    path(&segments, &[])
}

/// What the author's domain says about mail from here; nothing for our own domains.
async fn warnings(api: &AdminApi, account: &str, identity: &str) -> Result<String, String> {
    let lines: Vec<DnsLine> = api.get(&one(account, identity, &["check"])).await?;
    let line = |line: &DnsLine| format!("{:<8} {}.\n", line.verdict, line.text);
    Ok(lines.iter().map(line).collect())
}

async fn list(
    api: &AdminApi,
    account: Option<&AddressKey>,
    format: Format,
) -> Result<String, String> {
    let login = account.map(ToString::to_string);
    let at = match &login {
        None => path(&["identities"], &[]),
        Some(login) => path(&["accounts", login, "identities"], &[]),
    };
    let found: Vec<MaySendAs> = api.get(&at).await?;
    let value = |one: &MaySendAs| {
        json!({
            "account": one.account, "send_as": one.identity, "kind": one.how,
            "since": output::ms(&one.since), "by": one.by, "reason": one.reason,
        })
    };
    let values: Vec<_> = found.iter().map(value).collect();
    output::shown(format, &json!(values), || {
        let row = |one: &MaySendAs| {
            vec![
                one.account.clone(),
                one.identity.clone(),
                one.how.clone(),
                output::moment(&one.since),
                one.by.clone(),
                output::or_dash(&one.reason),
            ]
        };
        let rows: Vec<_> = found.iter().map(row).collect();
        output::table(
            &["ACCOUNT", "MAY SEND AS", "HOW", "SINCE", "BY", "REASON"],
            &rows,
        )
    })
}
