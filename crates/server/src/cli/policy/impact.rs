//! `rohrpost impact`, and what is shown before a setting that can break mail is made: who would no longer get
//! through (S0-05, S3-27, S3-77, S4-15). The admin API looks; this says it in words. Changes nothing.

use super::Since;
use super::output::{Format, or_dash, shown, table};
use crate::cli::admin_api::{AdminApi, path};
use clap::Args;
use formats::csv;
use https::api::measures::{Affected, Preview, Server, Share};
use https::api::seen::ImpactOfDay;
use policy::Service;
use policy::impact::Proposed;
use serde_json::json;

/// Accounts shown as text; CSV and JSON have all.
const SHOWN_MAX: usize = 500;
/// Lines of a sum shown as text.
const SUMS_SHOWN_MAX: usize = 20;

#[derive(Args)]
pub(crate) struct Options {
    /// The change: tls-version/SERVICE (TLS 1.2 or newer), tls-version/SERVICE=1.3, cleartext/SERVICE (no login in
    /// clear), sender-ownership, spoofed-sender, inbound-tls/DOMAIN, outbound-tls/DOMAIN or rule/NAME. SERVICE is
    /// submission, imap, pop3, managesieve or http; of tls-version also mx or relay.
    #[arg(value_parser = change)]
    change: Proposed,
    /// Whom the change would be for: an address, a domain, a group's name, or the word installation.
    #[arg(long, default_value = "installation")]
    scope: String,
    /// How far back to look, in days such as 14d.
    #[arg(long, default_value = "30d")]
    since: Since,
    /// Print CSV (RFC 4180), a line per account and server.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Show day by day how many it would have been, instead.
    #[arg(long)]
    trend: bool,
    #[command(flatten)]
    format: Format,
}

fn change(word: &str) -> Result<Proposed, String> {
    Proposed::from_word(word).ok_or_else(|| {
        format!(
            "\"{word}\" is no change that can be previewed; examples: tls-version/imap, \
             tls-version/imap=1.3, cleartext/submission, sender-ownership, inbound-tls/firma.example, \
             outbound-tls/firma.example, rule/no-zip"
        )
    })
}

pub(super) async fn run(options: &Options, api: &AdminApi) -> Result<String, String> {
    if options.trend {
        return trend(options, api).await;
    }
    let (change, days) = (options.change.to_string(), options.since.days().to_string());
    let query = [
        ("change", change.as_str()),
        ("scope", &options.scope),
        ("days", &days),
    ];
    if options.csv {
        return api.text(&path(&["impact.csv"], &query)).await;
    }
    let found: Preview = api.get(&path(&["impact"], &query)).await?;
    shown(options.format, &as_json(&found), || {
        told(&found, &options.scope)
    })
}

/// What is shown before a setting is made; `None` where it can break nothing.
pub(super) fn before(previews: &[Preview], scope: &str) -> Option<String> {
    let told = previews.iter().map(|found| in_short(found, scope));
    (!previews.is_empty()).then(|| told.collect())
}

async fn trend(options: &Options, api: &AdminApi) -> Result<String, String> {
    if options.scope != "installation" {
        return Err("trends are kept for the installation only".to_owned());
    }
    let (change, days) = (options.change.to_string(), options.since.days().to_string());
    let query = [("change", change.as_str()), ("days", &days)];
    let days: Vec<ImpactOfDay> = api.get(&path(&["impact", "trend"], &query)).await?;
    let cells = |of: &ImpactOfDay| {
        [
            of.day.clone(),
            of.accounts.to_string(),
            of.domains.to_string(),
        ]
    };
    if options.csv {
        let mut sheet = String::new();
        csv::push(&mut sheet, &["day", "accounts", "domains"]);
        for of in &days {
            csv::push(&mut sheet, &cells(of).each_ref().map(String::as_str));
        }
        return Ok(sheet);
    }
    shown(options.format, &json!(days), || {
        let rows: Vec<_> = days.iter().map(|of| cells(of).to_vec()).collect();
        table(&["DAY", "ACCOUNTS", "DOMAINS"], &rows)
    })
}

/// A preview in words, in one line where nobody is concerned: one setting may have a preview per service.
fn in_short(found: &Preview, scope: &str) -> String {
    let about_servers = about(found).is_some();
    let nobody = found.accounts.is_empty() && found.servers.is_empty();
    if about_servers || !nobody || found.excepted > 0 || found.on_legacy > 0 {
        return told(found, scope);
    }
    format!(
        "If {} were enforced for {scope}: nobody is affected, as far as was seen in the last {} days.\n",
        found.change, found.days
    )
}

/// A preview in words. What is recorded of servers is recorded per domain, so an account's preview of mandatory
/// TLS is that of its domain.
pub(in crate::cli) fn told(found: &Preview, scope: &str) -> String {
    match about(found) {
        Some(servers) => servers_told(found, &servers),
        None => accounts_told(found, scope),
    }
}

/// Which servers a change is about, in words.
struct AboutServers {
    whose: String,
    /// What happens to those it concerns: to nobody, and to these.
    nobody: &'static str,
    those: &'static str,
    lack: &'static Lack,
}

/// Nothing for changes that are about accounts.
fn about(found: &Preview) -> Option<AboutServers> {
    let out_of_reach = ("would be out of reach", "could not be written to any more");
    let refused = ("would be refused", "would be refused");
    if let Some(destination) = found.change.strip_prefix("destination/") {
        return Some(AboutServers {
            whose: format!("recipient domains that {destination} stands for"),
            nobody: out_of_reach.0,
            those: out_of_reach.1,
            lack: &TOO_LITTLE,
        });
    }
    let (whose, (nobody, those), lack) = match Proposed::from_word(&found.change)? {
        Proposed::OutboundTls(domain) => (
            format!("recipient domains of mail from {domain}"),
            out_of_reach,
            &CLEAR,
        ),
        Proposed::InboundTls(domain) => (
            format!("sender domains of mail for {domain}"),
            refused,
            &CLEAR,
        ),
        Proposed::TlsVersion {
            service: Service::Relay,
            ..
        } => ("recipient domains".to_owned(), out_of_reach, &OLD),
        Proposed::TlsVersion {
            service: Service::Mx,
            ..
        } => ("sender domains".to_owned(), refused, &OLD),
        _ => return None,
    };
    Some(AboutServers {
        whose,
        nobody,
        those,
        lack,
    })
}

/// What other servers lack, in words.
struct Lack {
    /// What those that would be stopped did.
    they: &'static str,
    /// What all others did.
    others: &'static str,
    head: [&'static str; 4],
}

const CLEAR: Lack = Lack {
    they: "used no TLS",
    others: "used TLS",
    head: ["DOMAIN", "IN CLEAR", "OVER TLS", "LAST IN CLEAR"],
};
const OLD: Lack = Lack {
    they: "used TLS 1.2",
    others: "used TLS 1.3, none at all, or proved who they are",
    head: ["DOMAIN", "TLS 1.2", "TLS 1.3", "LAST WITH 1.2"],
};

const TOO_LITTLE: Lack = Lack {
    they: "used less TLS than the rule demands",
    others: "used as much TLS as the rule demands, as far as it was counted",
    head: ["DOMAIN", "TOO LITTLE", "ENOUGH", "LAST TOO LITTLE"],
};

fn servers_told(found: &Preview, about: &AboutServers) -> String {
    let AboutServers {
        whose,
        nobody,
        those,
        lack,
    } = about;
    let (days, they, others) = (found.days, lack.they, lack.others);
    if found.servers.is_empty() {
        return format!(
            "In the last {days} days all {whose} that were seen {others}: nobody {nobody} as far as is \
             known.\n"
        );
    }
    let row = |one: &Server| {
        vec![
            one.domain.clone(),
            one.stopped.to_string(),
            one.passing.to_string(),
            one.last_day.clone(),
        ]
    };
    let rows: Vec<_> = found.servers.iter().map(row).collect();
    format!(
        "In the last {days} days these {whose} {they} and {those}:\n{}",
        table(&lack.head, &rows)
    )
}

fn accounts_told(found: &Preview, scope: &str) -> String {
    let mut text = figures(found, scope);
    if found.accounts.is_empty() && found.servers.is_empty() {
        text.push_str("\nNobody is affected as far as is known.\n");
        return text;
    }
    let named = |key: &str| {
        let known = found.client_names.get(key);
        known.map_or_else(|| key.to_owned(), String::clone)
    };
    let account = |one: &Affected| {
        let what: Vec<String> = match one.details.is_empty() {
            true => one.clients.iter().map(|key| named(key)).collect(),
            false => one.details.clone(),
        };
        vec![
            one.account.clone(),
            or_dash(one.group.as_deref().unwrap_or_default()),
            what.join(", "),
            one.seen.to_string(),
            one.last_day.clone(),
            now_word(one).to_owned(),
        ]
    };
    let head = ["ACCOUNT", "GROUP", "WITH", "TIMES", "LAST", "TODAY"];
    push_first(&mut text, &head, &found.accounts, account);
    let server = |one: &Server| {
        let name = match one.ours.is_empty() {
            true => one.domain.clone(),
            false => format!("{}, as {}", one.domain, one.ours),
        };
        vec![name, one.stopped.to_string(), one.last_day.clone()]
    };
    let head = ["SENDING SERVERS OF", "TIMES", "LAST"];
    push_first(&mut text, &head, &found.servers, server);
    let in_words = |share: &Share| Share {
        name: named(&share.name),
        ..share.clone()
    };
    let clients: Vec<Share> = found.clients.iter().map(in_words).collect();
    for (heading, sums) in [
        ("MAIL PROGRAM", &clients),
        ("DOMAIN", &found.domains),
        ("GROUP", &found.groups),
    ] {
        push_sums(&mut text, heading, sums);
    }
    text
}

fn figures(found: &Preview, scope: &str) -> String {
    let mut text = format!(
        "If {} were enforced for {scope}, after what was seen in the last {} days:\n\n\
         accounts: {}\ndomains: {}\nget through today: {}\nare refused already: {}\n\
         have an exception: {}\nuse the legacy hosts: {}\n",
        found.change,
        found.days,
        found.accounts.len(),
        found.domains.len(),
        found.locked_out,
        found.accounts.len() - found.locked_out,
        found.excepted,
        found.on_legacy,
    );
    if !found.servers.is_empty() {
        text.push_str(&format!("sending servers: {}\n", found.servers.len()));
    }
    text
}

/// A table of the first ones; nothing where there are none.
fn push_first<T>(text: &mut String, head: &[&str], all: &[T], row: impl FnMut(&T) -> Vec<String>) {
    if all.is_empty() {
        return;
    }
    let rows: Vec<_> = all.iter().take(SHOWN_MAX).map(row).collect();
    text.push('\n');
    text.push_str(&table(head, &rows));
    if all.len() > SHOWN_MAX {
        let more = all.len() - SHOWN_MAX;
        text.push_str(&format!("{more} more; --csv names them all.\n"));
    }
}

fn push_sums(text: &mut String, heading: &str, sums: &[Share]) {
    if sums.is_empty() {
        return;
    }
    let rows: Vec<_> = sums
        .iter()
        .take(SUMS_SHOWN_MAX)
        .map(|sum| vec![sum.name.clone(), sum.accounts.to_string()])
        .collect();
    text.push('\n');
    text.push_str(&table(&[heading, "ACCOUNTS"], &rows));
    if sums.len() > SUMS_SHOWN_MAX {
        text.push_str(&format!("{} more.\n", sums.len() - SUMS_SHOWN_MAX));
    }
}

fn now_word(one: &Affected) -> &'static str {
    match one.works_today {
        true => "works",
        false => "refused",
    }
}

fn as_json(found: &Preview) -> serde_json::Value {
    let accounts: Vec<_> = found
        .accounts
        .iter()
        .map(|one| {
            json!({
                "account": one.account, "domain": one.domain, "group": one.group,
                "clients": one.clients, "details": one.details,
                "seen": one.seen, "last_day": one.last_day, "today": now_word(one),
            })
        })
        .collect();
    json!({
        "change": found.change, "days": found.days, "accounts": accounts,
        "domains": found.domains, "groups": found.groups, "clients": found.clients,
        "servers": found.servers, "excepted": found.excepted, "on_legacy": found.on_legacy,
    })
}
