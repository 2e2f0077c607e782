//! `rohrpost legacy dns`: the records of the legacy names as the DNS has them, and what to take out at the end.

use super::{Desk, day_text, invalid};
use crate::node::resolver;
use crate::settings::Settings;
use platform::clock::{Clock, Timestamp};
use platform::dns::{Outcome, Resolver};
use policy::admin::PolicyError;
use std::net::IpAddr;

/// The names of the legacy hosts.
pub(super) fn names(settings: &Settings) -> Vec<String> {
    settings.legacy_host_names()
}

pub(super) async fn records(desk: &Desk<'_>) -> Result<String, PolicyError> {
    let clock = Clock::settable(desk.now);
    let resolver = resolver(desk.settings, &clock).map_err(invalid)?;
    let policies = desk.policies().await?;
    let policy = policies.snapshot();
    let end = policy.legacy_end();
    let over = end.is_some_and(|end| end <= desk.now);
    let mut text = match end {
        None => "; Legacy access was never set; these names need not exist.\n".to_owned(),
        Some(end) => {
            let last = day_text(policy.day(Timestamp(end.0 - 1)));
            match over {
                true => format!(
                    "; Legacy access is over since {last} was the last day. Take out the lines that begin with -.\n"
                ),
                false => {
                    format!("; Legacy access lasts until {last}. The records stay until then.\n")
                }
            }
        }
    };
    let mark = if over || end.is_none() { "-" } else { "" };
    for name in names(desk.settings) {
        text.push_str(&of_name(&*resolver, &name, mark).await);
    }
    Ok(text)
}

async fn of_name(resolver: &dyn Resolver, name: &str, mark: &str) -> String {
    match resolver.addresses(name).await {
        Outcome::Found(answer) => {
            let line = |address: &IpAddr| {
                let kind = match address {
                    IpAddr::V4(_) => "A",
                    IpAddr::V6(_) => "AAAA",
                };
                format!(
                    "{mark}{name}. {} IN {kind} {address}\n",
                    answer.ttl.as_secs()
                )
            };
            answer.value.iter().map(line).collect()
        }
        Outcome::NoData(_) | Outcome::NxDomain(_) => format!("; {name} has no addresses.\n"),
        Outcome::Bogus(reason) | Outcome::TemporaryFailure(reason) => {
            format!("; {name}: the DNS gave no answer ({reason}); ask again.\n")
        }
    }
}
