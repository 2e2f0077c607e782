//! `rohrpost pool`: add, set, list, show, remove.

use super::output::{self, Format};
use super::{Desk, Why, invalid};
use clap::Subcommand;
use policy::admin::{PolicyError, Wanted};
use policy::setting::{Name, Value};
use policy::{Pool, Scope};
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

pub(super) async fn run(verb: &Verb, desk: &Desk<'_>) -> Result<String, PolicyError> {
    match verb {
        Verb::Add {
            name,
            addresses,
            hello,
            why,
        } => {
            if find(desk, name).await?.is_some() {
                return Err(invalid(format!("pool {name} exists already")));
            }
            put(desk, name, addresses, hello.as_deref(), why).await?;
            Ok(format!("Pool {name} is added.\n"))
        }
        Verb::Set {
            name,
            addresses,
            hello,
            why,
        } => {
            let Some(old) = find(desk, name).await? else {
                return Err(PolicyError::Missing(format!("pool {name} does not exist")));
            };
            let v4 = old.v4.into_iter().map(IpAddr::V4);
            let kept: Vec<IpAddr> = match addresses.as_slice() {
                [] => v4.chain(old.v6.into_iter().map(IpAddr::V6)).collect(),
                given => given.to_vec(),
            };
            let hello = match hello.as_deref() {
                None => old.hello,
                Some("") => None,
                Some(name) => Some(name.to_owned()),
            };
            put(desk, name, &kept, hello.as_deref(), why).await?;
            Ok(format!("Pool {name} is changed.\n"))
        }
        Verb::List(format) => list(desk, *format).await,
        Verb::Remove { name, why } => {
            let author = desk.author(why);
            let unset = desk.admin.unset(
                Scope::Installation,
                Name::PoolAddresses,
                name.clone(),
                author,
            );
            unset.await?;
            Ok(format!("Pool {name} is removed.\n"))
        }
    }
}

async fn find(desk: &Desk<'_>, name: &str) -> Result<Option<Pool>, PolicyError> {
    let rows = desk.admin.settings().await?;
    Ok(rows.into_iter().find_map(|row| match row.value {
        Value::Pool(pool) if row.item == name => Some(pool),
        _ => None,
    }))
}

async fn put(
    desk: &Desk<'_>,
    name: &str,
    addresses: &[IpAddr],
    hello: Option<&str>,
    why: &Why,
) -> Result<(), PolicyError> {
    let mut words: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    words.extend(hello.map(|name| format!("hello={name}")));
    let value = Value::parse(Name::PoolAddresses, &words.join(" ")).map_err(invalid)?;
    let wanted = Wanted {
        scope: Scope::Installation,
        name: Name::PoolAddresses,
        item: name.to_owned(),
        value,
        expires_at: None,
        consent: None,
        owner: None,
    };
    desk.admin.set(wanted, desk.author(why)).await.map(drop)
}

async fn list(desk: &Desk<'_>, format: Format) -> Result<String, PolicyError> {
    let settings = desk.admin.settings().await?;
    let mut rows = Vec::new();
    let mut values = Vec::new();
    for row in &settings {
        let Value::Pool(pool) = &row.value else {
            continue;
        };
        let mut users = Vec::new();
        for user in &settings {
            if user.name == Name::Pool && user.value.to_string() == row.item {
                users.push(desk.admin.scope_text(&user.scope).await?);
            }
        }
        let v4 = pool.v4.iter().map(ToString::to_string);
        let addresses: Vec<_> = v4.chain(pool.v6.iter().map(ToString::to_string)).collect();
        values.push(json!({
            "name": row.item, "addresses": addresses, "hello": pool.hello, "used_by": users,
        }));
        rows.push(vec![
            row.item.clone(),
            addresses.join(" "),
            output::or_dash(pool.hello.as_deref().unwrap_or_default()),
            output::or_dash(&users.join(", ")),
        ]);
    }
    output::value(format, &json!(values), || {
        output::table(&["POOL", "ADDRESSES", "GREETS AS", "USED BY"], &rows)
    })
}
