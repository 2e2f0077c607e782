//! `rohrpost relay-source`: add, list, remove. The admin API does it; this says it in words.

use super::admin_api::{AdminApi, Method, path};
use super::policy::output::table;
use crate::settings::Settings;
use clap::Subcommand;
use https::api::relay_sources::{PutRelaySource, RelaySource};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Lets a server hand mail in for an account, or changes where it is.
    ///
    /// What it sends counts as the account's: only its senders are taken (550 for others, whatever sender-ownership
    /// says), its limits hold, and its domain signs. To let it send as a whole domain, grant the account `*@domain`
    /// with `rohrpost identity`.
    ///
    /// Example: rohrpost relay-source add web1 192.0.2.7 --account website@firma.example --reason "shop, ticket 17"
    #[command(verbatim_doc_comment)]
    Add {
        /// Its name, for traces and lists.
        name: String,
        /// Its addresses or networks; at most a /16, or a /32 of IPv6.
        #[arg(required = true)]
        networks: Vec<String>,
        /// Whose mail it is.
        #[arg(long)]
        account: String,
        /// It may come without TLS: only for a network nobody else can listen in.
        #[arg(long)]
        cleartext: bool,
        /// Why; kept in the history.
        #[arg(long, default_value = "")]
        reason: String,
        /// Who; the user of the operating system when not given.
        #[arg(long)]
        by: Option<String>,
    },
    /// Lists all of them.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Ends that a server hands mail in without a login.
    Remove {
        /// Its name.
        name: String,
        /// Why; kept in the history.
        #[arg(long, default_value = "")]
        reason: String,
        /// Who; the user of the operating system when not given.
        #[arg(long)]
        by: Option<String>,
    },
}

pub(super) fn run(settings: &Settings, verb: Verb) -> Result<(), String> {
    let told = super::block_on(carry_out(settings, verb))??;
    super::print(format_args!("{told}"));
    Ok(())
}

async fn carry_out(settings: &Settings, verb: Verb) -> Result<String, String> {
    match verb {
        Verb::Add {
            name,
            networks,
            account,
            cleartext,
            reason,
            by,
        } => {
            let api = AdminApi::open_or_create(settings).await?;
            let said = format!("{name} hands mail in for {account}.\n");
            let sent = PutRelaySource {
                account,
                networks,
                cleartext,
                reason,
            };
            let api = api.acting_for(by.as_deref());
            let at = path(&["relay-sources", &name], &[]);
            api.send::<()>(Method::Put, &at, &sent).await?;
            Ok(said)
        }
        Verb::List { json } => list(&AdminApi::open(settings).await?, json).await,
        Verb::Remove { name, reason, by } => {
            let api = AdminApi::open_or_create(settings).await?;
            let api = api.acting_for(by.as_deref());
            let at = path(&["relay-sources", &name], &[("reason", &reason)]);
            api.send::<()>(Method::Delete, &at, &()).await?;
            Ok(format!("{name} hands no mail in any more.\n"))
        }
    }
}

async fn list(api: &AdminApi, json: bool) -> Result<String, String> {
    let found: Vec<RelaySource> = api.get(&path(&["relay-sources"], &[])).await?;
    if json {
        let text = serde_json::to_string_pretty(&found).map_err(|error| error.to_string())?;
        return Ok(text + "\n");
    }
    let row = |one: &RelaySource| {
        let cleartext = if one.cleartext {
            "may be without"
        } else {
            "needed"
        };
        vec![
            one.name.clone(),
            one.account.clone(),
            one.networks.join(" "),
            cleartext.to_owned(),
            one.reason.clone(),
        ]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    Ok(table(
        &["NAME", "ACCOUNT", "NETWORKS", "TLS", "REASON"],
        &rows,
    ))
}
