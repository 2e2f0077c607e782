//! `rohrpost impact`, and what is shown before a setting that can break mail is made: who would no longer get
//! through (S0-05, S3-27, S3-77, S4-15). Reads what sessions, delivery and acceptance recorded; changes
//! nothing.

use super::output::{Format, day, or_dash, table, value};
use super::{Desk, Since, invalid};
use clap::Args;
use formats::csv;
use policy::admin::PolicyError;
use policy::clients::Catalogue;
use policy::impact::{self, Affected, Day, Impact, Now, Proposed, Question, Server, Sum};
use policy::setting::{Name, Value};
use policy::{Policies, Scope, Service};
use serde_json::json;

/// Accounts shown as text; CSV and JSON have all.
const SHOWN_MAX: usize = 500;
/// Lines of a sum shown as text.
const SUMS_SHOWN_MAX: usize = 20;

#[derive(Args)]
pub(crate) struct Options {
    /// The change: tls-version/SERVICE (TLS 1.2 or newer), tls-version/SERVICE=1.3, cleartext/SERVICE (no login in
    /// clear), sender-ownership, inbound-tls/DOMAIN, outbound-tls/DOMAIN or rule/NAME. SERVICE is submission,
    /// imap, pop3, managesieve or http; of tls-version also mx or relay.
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

pub(super) async fn run(options: &Options, desk: &Desk<'_>) -> Result<String, PolicyError> {
    let scope = desk.admin.scope(&options.scope).await?;
    desk.keep();
    if options.trend {
        return trend(options, &scope, desk).await;
    }
    let policies = desk.policies().await?;
    let days = options.since.days();
    let found = ask(desk, &policies, &options.change, &scope, days).await?;
    if options.csv {
        return Ok(found.csv());
    }
    value(options.format, &as_json(&found), || {
        told(&found, &options.scope, &policies.catalogue())
    })
}

/// What is shown before a setting is made; `None` where it can break nothing.
pub(super) async fn before(
    desk: &Desk<'_>,
    scope: &Scope,
    (name, item, value): (Name, &str, &Value),
    days: u32,
) -> Result<Option<String>, PolicyError> {
    let (at, word, wanted) = (scope.clone(), item.to_owned(), value.clone());
    let changes = desk
        .store
        .read(move |tx| impact::changes(tx, &at, name, &word, &wanted))
        .await?;
    if changes.is_empty() {
        return Ok(None);
    }
    desk.keep();
    let policies = desk.policies().await?;
    let called = desk.admin.scope_text(scope).await?;
    let mut text = String::new();
    for change in changes {
        let found = ask(desk, &policies, &change, scope, days).await?;
        text.push_str(&in_short(&found, &called, &policies.catalogue()));
    }
    Ok(Some(text))
}

async fn ask(
    desk: &Desk<'_>,
    policies: &Policies,
    change: &Proposed,
    scope: &Scope,
    days: u32,
) -> Result<Impact, PolicyError> {
    let (change, scope, snapshot, now) =
        (change.clone(), scope.clone(), policies.snapshot(), desk.now);
    let read = desk.store.read(move |tx| {
        let servers = routing::seen::servers(tx, &change, days, now)?;
        let question = Question {
            proposed: &change,
            scope: &scope,
            days,
            snapshot: &snapshot,
            now,
        };
        impact::preview(tx, &question, servers)
    });
    Ok(read.await?)
}

async fn trend(options: &Options, scope: &Scope, desk: &Desk<'_>) -> Result<String, PolicyError> {
    if *scope != Scope::Installation {
        return Err(invalid("trends are kept for the installation only"));
    }
    let first_day = options.since.first_day(desk.now);
    let change = options.change.clone();
    let read = desk
        .store
        .read(move |tx| impact::trend(tx, &change, first_day));
    let days: Vec<Day> = read.await?;
    let cells = |of: &Day| [day(of.day), of.accounts.to_string(), of.domains.to_string()];
    if options.csv {
        let mut sheet = String::new();
        csv::push(&mut sheet, &["day", "accounts", "domains"]);
        for of in &days {
            csv::push(&mut sheet, &cells(of).each_ref().map(String::as_str));
        }
        return Ok(sheet);
    }
    let values: Vec<_> = days
        .iter()
        .map(|of| json!({"day": day(of.day), "accounts": of.accounts, "domains": of.domains}))
        .collect();
    value(options.format, &json!(values), || {
        let rows: Vec<_> = days.iter().map(|of| cells(of).to_vec()).collect();
        table(&["DAY", "ACCOUNTS", "DOMAINS"], &rows)
    })
}

/// A preview in words, in one line where nobody is concerned: one setting may have a preview per service.
fn in_short(found: &Impact, scope: &str, catalogue: &Catalogue) -> String {
    let about_servers = matches!(
        found.proposed,
        Proposed::OutboundTls(_)
            | Proposed::InboundTls(_)
            | Proposed::TlsVersion {
                service: Service::Relay | Service::Mx,
                ..
            }
    );
    if about_servers || !found.is_empty() || found.excepted > 0 || found.on_legacy > 0 {
        return told(found, scope, catalogue);
    }
    format!(
        "If {} were enforced for {scope}: nobody is affected, as far as was seen in the last {} days.\n",
        found.proposed, found.days
    )
}

/// A preview in words. What is recorded of servers is recorded per domain, so an account's preview of mandatory
/// TLS is that of its domain.
pub(in crate::cli) fn told(found: &Impact, scope: &str, catalogue: &Catalogue) -> String {
    match &found.proposed {
        Proposed::OutboundTls(domain) => servers_told(
            found,
            &format!("recipient domains of mail from {domain}"),
            ("would be out of reach", "could not be written to any more"),
            &CLEAR,
        ),
        Proposed::InboundTls(domain) => servers_told(
            found,
            &format!("sender domains of mail for {domain}"),
            ("would be refused", "would be refused"),
            &CLEAR,
        ),
        Proposed::TlsVersion {
            service: Service::Relay,
            ..
        } => servers_told(
            found,
            "recipient domains",
            ("would be out of reach", "could not be written to any more"),
            &OLD,
        ),
        Proposed::TlsVersion {
            service: Service::Mx,
            ..
        } => servers_told(
            found,
            "sender domains",
            ("would be refused", "would be refused"),
            &OLD,
        ),
        _ => accounts_told(found, scope, catalogue),
    }
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

fn servers_told(found: &Impact, whose: &str, (nobody, those): (&str, &str), lack: &Lack) -> String {
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
            day(one.last_day),
        ]
    };
    let rows: Vec<_> = found.servers.iter().map(row).collect();
    format!(
        "In the last {days} days these {whose} {they} and {those}:\n{}",
        table(&lack.head, &rows)
    )
}

fn accounts_told(found: &Impact, scope: &str, catalogue: &Catalogue) -> String {
    let mut text = figures(found, scope);
    if found.is_empty() {
        text.push_str("\nNobody is affected as far as is known.\n");
        return text;
    }
    let named = |key: &str| match key {
        "" => "unknown".to_owned(),
        key => catalogue.from_key(key).to_string(),
    };
    let account = |one: &Affected| {
        let what: Vec<String> = match one.details.is_empty() {
            true => one.clients.iter().map(|key| named(key)).collect(),
            false => one.details.iter().map(ToString::to_string).collect(),
        };
        vec![
            one.login.clone(),
            or_dash(one.group.as_deref().unwrap_or_default()),
            what.join(", "),
            one.seen.to_string(),
            day(one.last_day),
            now_word(one.now).to_owned(),
        ]
    };
    let head = ["ACCOUNT", "GROUP", "WITH", "TIMES", "LAST", "TODAY"];
    push_first(&mut text, &head, &found.accounts, account);
    let server = |one: &Server| {
        vec![
            one.domain.clone(),
            one.stopped.to_string(),
            day(one.last_day),
        ]
    };
    let head = ["SENDING SERVERS OF", "TIMES", "LAST"];
    push_first(&mut text, &head, &found.servers, server);
    let clients: Vec<Sum> = found
        .clients
        .iter()
        .map(|sum| Sum {
            name: named(&sum.name).into(),
            accounts: sum.accounts,
        })
        .collect();
    for (heading, sums) in [
        ("MAIL PROGRAM", &clients),
        ("DOMAIN", &found.domains),
        ("GROUP", &found.groups),
    ] {
        push_sums(&mut text, heading, sums);
    }
    text
}

fn figures(found: &Impact, scope: &str) -> String {
    let mut text = format!(
        "If {} were enforced for {scope}, after what was seen in the last {} days:\n\n\
         accounts: {}\ndomains: {}\nget through today: {}\nare refused already: {}\n\
         have an exception: {}\nuse the legacy hosts: {}\n",
        found.proposed,
        found.days,
        found.accounts.len(),
        found.domains.len(),
        found.locked_out(),
        found.accounts.len() - found.locked_out(),
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

fn push_sums(text: &mut String, heading: &str, sums: &[Sum]) {
    if sums.is_empty() {
        return;
    }
    let rows: Vec<_> = sums
        .iter()
        .take(SUMS_SHOWN_MAX)
        .map(|sum| vec![sum.name.to_string(), sum.accounts.to_string()])
        .collect();
    text.push('\n');
    text.push_str(&table(&[heading, "ACCOUNTS"], &rows));
    if sums.len() > SUMS_SHOWN_MAX {
        text.push_str(&format!("{} more.\n", sums.len() - SUMS_SHOWN_MAX));
    }
}

fn now_word(now: Now) -> &'static str {
    match now {
        Now::Works => "works",
        Now::Refused => "refused",
    }
}

fn as_json(found: &Impact) -> serde_json::Value {
    let sums = |sums: &[Sum]| -> Vec<_> {
        sums.iter()
            .map(|sum| json!({"name": &*sum.name, "accounts": sum.accounts}))
            .collect()
    };
    let accounts: Vec<_> = found
        .accounts
        .iter()
        .map(|one| {
            json!({
                "account": one.login, "domain": &*one.domain, "group": one.group.as_deref(),
                "clients": one.clients.iter().map(|key| &**key).collect::<Vec<_>>(),
                "details": one.details.iter().map(|text| &**text).collect::<Vec<_>>(),
                "seen": one.seen, "last_day": day(one.last_day), "today": now_word(one.now),
            })
        })
        .collect();
    let servers: Vec<_> = found
        .servers
        .iter()
        .map(|one| {
            json!({
                "domain": one.domain, "ours": one.ours, "stopped": one.stopped,
                "passing": one.passing, "last_day": day(one.last_day),
            })
        })
        .collect();
    json!({
        "change": found.proposed.to_string(), "days": found.days, "accounts": accounts,
        "domains": sums(&found.domains), "groups": sums(&found.groups),
        "clients": sums(&found.clients), "servers": servers, "excepted": found.excepted,
        "on_legacy": found.on_legacy,
    })
}
