//! `rohrpost identity`: request, confirm, grant, list, remove.

use super::output::{self, Format};
use super::{Desk, Why, address, dns, invalid, operator};
use crate::control::{Request, ask};
use clap::Subcommand;
use directory::{AddressKey, DomainName};
use platform::clock::Clock;
use policy::admin::PolicyError;
use policy::dns_check::{addresses_of, pools_of, warn_about};
use policy::identities::{Confirmed, Identities};
use policy::{Scope, SendAs};
use serde_json::json;

/// Identities shown at most.
const ROWS_MAX: i64 = 1_000_000;

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

pub(super) async fn run(verb: &Verb, desk: &Desk<'_>) -> Result<String, PolicyError> {
    let identities = Identities::new(desk.store.clone());
    match verb {
        Verb::Request {
            account,
            address,
            by,
        } => {
            let by = by.clone().unwrap_or_else(operator);
            request(desk, account, address, by).await
        }
        Verb::Confirm {
            account,
            address,
            code,
        } => match identities.confirm(account, address, code, desk.now).await? {
            Confirmed::Right => Ok(format!("{account} may now send as {address}.\n")),
            Confirmed::Wrong { left: 0 } => Err(invalid(
                "the code is wrong, for the last time; ask for a new one by `rohrpost identity request`",
            )),
            Confirmed::Wrong { left } => Err(invalid(format!(
                "the code is wrong; {left} more tries are left"
            ))),
            Confirmed::NotWaiting => Err(invalid(format!(
                "no code for {address} waits to be given back, or it is older than 24 hours; ask for one by \
                 `rohrpost identity request {account} {address}`"
            ))),
        },
        Verb::Grant {
            account,
            send_as,
            why,
        } => {
            identities.grant(account, send_as, desk.author(why)).await?;
            let mut text = format!("{account} may now send as {send_as}.\n");
            let domain = match send_as {
                SendAs::Address(address) => address.domain(),
                SendAs::AnyAt(domain) => domain,
            };
            text.push_str(&warnings(desk, account, domain).await?);
            Ok(text)
        }
        Verb::List { account, format } => list(&identities, account.as_ref(), *format).await,
        Verb::Remove { account, send_as } => {
            identities.remove(account, send_as).await?;
            Ok(format!("{account} may no longer send as {send_as}.\n"))
        }
    }
}

async fn request(
    desk: &Desk<'_>,
    account: &AddressKey,
    address: &AddressKey,
    by: String,
) -> Result<String, PolicyError> {
    let request = Request::Identity {
        account: account.to_string(),
        address: address.to_string(),
        by,
    };
    let text = match ask(&desk.settings.data_dir, &request) {
        Ok(Some(answer)) if answer.ok => answer.text,
        Ok(Some(answer)) => return Err(invalid(answer.text)),
        Ok(None) => {
            return Err(invalid(format!(
                "no node runs on {}, so nobody can mail the code; start it, or use `rohrpost identity grant`",
                desk.settings.data_dir.display()
            )));
        }
        Err(error) => return Err(invalid(format!("the node does not answer: {error}"))),
    };
    let warnings = warnings(desk, account, address.domain()).await?;
    Ok(format!("{text}\n{warnings}"))
}

/// What the author's domain says about mail from here; nothing for our own domains.
async fn warnings(
    desk: &Desk<'_>,
    account: &AddressKey,
    domain: &DomainName,
) -> Result<String, PolicyError> {
    if desk.admin.scope(&format!("domain:{domain}")).await.is_ok() {
        return Ok(String::new());
    }
    let resolver = crate::node::resolver(desk.settings, &Clock::system()).map_err(invalid)?;
    let scope: Scope = desk.admin.scope(&format!("account:{account}")).await?;
    let (policies, host_name) = (desk.policies().await?, &desk.settings.host_name.0);
    let pools = pools_of(&policies, &*resolver, host_name, &scope, desk.now).await?;
    Ok(dns::shown(
        &warn_about(&*resolver, domain, &addresses_of(&pools)).await,
    ))
}

async fn list(
    identities: &Identities,
    account: Option<&AddressKey>,
    format: Format,
) -> Result<String, PolicyError> {
    let found = identities.list(account, ROWS_MAX).await?;
    let values: Vec<_> = found
        .iter()
        .map(|one| {
            json!({
                "account": one.login, "send_as": one.send_as.to_string(), "kind": one.kind.word(),
                "since": one.created_at.0, "by": one.created_by, "reason": one.reason,
            })
        })
        .collect();
    output::value(format, &json!(values), || {
        let rows: Vec<_> = found
            .iter()
            .map(|one| {
                vec![
                    one.login.clone(),
                    one.send_as.to_string(),
                    one.kind.word().to_owned(),
                    output::time(one.created_at),
                    one.created_by.clone(),
                    output::or_dash(&one.reason),
                ]
            })
            .collect();
        output::table(
            &["ACCOUNT", "MAY SEND AS", "HOW", "SINCE", "BY", "REASON"],
            &rows,
        )
    })
}
