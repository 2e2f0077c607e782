//! `rohrpost pool`: add, set, list, remove. The admin API does it; this says it in words.

use super::Why;
use super::output::{self, Format};
use crate::cli::admin_api::{AdminApi, Method, path};
use clap::Subcommand;
use https::api::egress::{Pool, PoolDone, PutPool};
use serde_json::json;
use std::net::IpAddr;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Makes a pool.
    Add {
        /// Its name.
        name: String,
        /// Its addresses, IPv4 and IPv6; this machine must have them.
        #[arg(required = true)]
        addresses: Vec<IpAddr>,
        /// The name it greets with (EHLO); let the addresses' PTR records say the same.
        #[arg(long)]
        hello: Option<String>,
        #[command(flatten)]
        why: Why,
    },
    /// Changes a pool: what is given replaces what was.
    Set {
        /// Its name.
        name: String,
        /// Its addresses; those it has stay when none are given.
        addresses: Vec<IpAddr>,
        /// The name it greets with; "" for the node's own.
        #[arg(long)]
        hello: Option<String>,
        #[command(flatten)]
        why: Why,
    },
    /// Lists all pools and who uses them.
    List(Format),
    /// Removes a pool nobody uses.
    Remove {
        /// Its name.
        name: String,
        #[command(flatten)]
        why: Why,
    },
}

impl Verb {
    pub(super) fn changes_something(&self) -> bool {
        !matches!(self, Self::List(_))
    }
}

pub(super) async fn run(verb: &Verb, api: AdminApi) -> Result<String, String> {
    match verb {
        Verb::Add {
            name,
            addresses,
            hello,
            why,
        } => {
            if find(&api, name).await?.is_some() {
                return Err(format!("pool {name} exists already"));
            }
            let pool = PutPool {
                addresses: addresses.clone(),
                hello: hello.clone(),
                reason: why.reason.clone(),
            };
            let done = put(&why.author(api), name, &pool).await?;
            Ok(told(&done, format!("Pool {name} is added.\n")))
        }
        Verb::Set {
            name,
            addresses,
            hello,
            why,
        } => {
            let Some(old) = find(&api, name).await? else {
                return Err(format!("pool {name} does not exist"));
            };
            let pool = PutPool {
                addresses: match addresses.as_slice() {
                    [] => old.addresses,
                    given => given.to_vec(),
                },
                hello: match hello.as_deref() {
                    None => old.hello,
                    Some("") => None,
                    Some(name) => Some(name.to_owned()),
                },
                reason: why.reason.clone(),
            };
            let done = put(&why.author(api), name, &pool).await?;
            Ok(told(&done, format!("Pool {name} is changed.\n")))
        }
        Verb::List(format) => list(&api, *format).await,
        Verb::Remove { name, why } => {
            let at = path(&["pools", name], &[("reason", &why.reason)]);
            let api = why.author(api);
            let _: PoolDone = api.delete(&at).await?;
            Ok(format!("Pool {name} is removed.\n"))
        }
    }
}

async fn all(api: &AdminApi) -> Result<Vec<Pool>, String> {
    api.get(&path(&["pools"], &[])).await
}

async fn find(api: &AdminApi, name: &str) -> Result<Option<Pool>, String> {
    let pools = all(api).await?.into_iter();
    Ok(pools.into_iter().find(|pool| pool.name == name))
}

async fn put(api: &AdminApi, name: &str, pool: &PutPool) -> Result<PoolDone, String> {
    api.send(Method::Put, &path(&["pools", name], &[]), pool)
        .await
}

/// What was done, whose mail it concerns, and what to look after.
fn told(done: &PoolDone, what: String) -> String {
    let mut text = what;
    if !done.used_by.is_empty() {
        text.push_str(&format!(
            "Mail of {} leaves from it.\n",
            done.used_by.join(", ")
        ));
    }
    for warning in &done.warnings {
        text.push_str(&format!("Warning: {warning}.\n"));
    }
    text
}

async fn list(api: &AdminApi, format: Format) -> Result<String, String> {
    let pools = all(api).await?;
    output::shown(format, &json!(pools), || {
        let row = |pool: &Pool| {
            let addresses: Vec<_> = pool.addresses.iter().map(ToString::to_string).collect();
            vec![
                pool.name.clone(),
                addresses.join(" "),
                output::or_dash(pool.hello.as_deref().unwrap_or_default()),
                output::or_dash(&pool.used_by.join(", ")),
            ]
        };
        let rows: Vec<_> = pools.iter().map(row).collect();
        output::table(&["POOL", "ADDRESSES", "GREETS AS", "USED BY"], &rows)
    })
}
