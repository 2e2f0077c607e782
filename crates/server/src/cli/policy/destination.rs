//! `rohrpost destination`: set, list, remove. The admin API does it; this says it in words.

use super::output::{self, Format};
use super::{Why, impact};
use crate::cli::admin_api::{AdminApi, Method, path};
use clap::{Args, Subcommand};
use https::api::egress::{Destination, PutDestination};
use https::api::policy::SetDone;
use platform::clock::Timestamp;
use serde_json::json;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Sets the rule for a destination domain.
    Set(Box<Set>),
    /// Lists all rules.
    List(Format),
    /// Removes a rule.
    Remove {
        /// The destination domain.
        domain: String,
        /// Whose rule: the installation, a group, a sender domain or an account.
        #[arg(long = "for", default_value = "installation", value_name = "SCOPE")]
        scope: String,
        #[command(flatten)]
        why: Why,
    },
}

#[derive(Args)]
pub(crate) struct Set {
    /// The destination domain; *.example.net for all below it, * for every destination.
    domain: String,
    /// may, encrypt, dane, dane-only, verify, secure or fingerprint.
    level: String,
    /// For whose mail: the installation, a group, a sender domain or an account.
    #[arg(long = "for", default_value = "installation", value_name = "SCOPE")]
    scope: String,
    /// Lowest TLS version.
    #[arg(long, value_parser = ["1.2", "1.3"])]
    tls_version: Option<String>,
    /// Names the certificate may have, instead of the usual ones; .example.net for every host below.
    #[arg(long, value_delimiter = ',')]
    names: Vec<String>,
    /// SHA-256 of certificates that may be shown, as hex.
    #[arg(long, value_delimiter = ',')]
    fingerprints: Vec<String>,
    /// Where the mail goes instead of the MX: a host (its MX counts), [host] or [address], with :PORT.
    #[arg(long)]
    next_hop: Option<String>,
    /// Lifts the sender's own outbound-tls for this destination.
    #[arg(long)]
    exception: bool,
    /// The last moment it holds, as a day (2026-12-31, UTC) or a time (RFC 3339).
    #[arg(long, value_parser = until)]
    until: Option<Timestamp>,
    #[command(flatten)]
    why: Why,
}

impl Verb {
    pub(super) fn changes_something(&self) -> bool {
        !matches!(self, Self::List(_))
    }
}

/// A day ends with its last second.
fn until(text: &str) -> Result<Timestamp, String> {
    match text.len() {
        10 => formats::rfc3339::parse(&format!("{text}T23:59:59Z")),
        _ => formats::rfc3339::parse(text),
    }
    .map(Timestamp)
}

pub(super) async fn run(verb: &Verb, api: AdminApi) -> Result<String, String> {
    match verb {
        Verb::Set(set) => put(&set.why.author(api), set).await,
        Verb::List(format) => list(&api, *format).await,
        Verb::Remove { domain, scope, why } => {
            let query = [
                ("scope", scope.as_str()),
                ("domain", domain),
                ("reason", &why.reason),
            ];
            let (at, api) = (path(&["destinations"], &query), why.author(api));
            let _: SetDone = api.delete(&at).await?;
            Ok(format!(
                "The rule for mail from {scope} to {domain} is removed.\n"
            ))
        }
    }
}

async fn put(api: &AdminApi, set: &Set) -> Result<String, String> {
    let mut words = vec![set.level.clone()];
    words.extend(set.tls_version.as_ref().map(|v| format!("version={v}")));
    if !set.names.is_empty() {
        words.push(format!("names={}", set.names.join(",")));
    }
    if !set.fingerprints.is_empty() {
        words.push(format!("fingerprints={}", set.fingerprints.join(",")));
    }
    words.extend(set.next_hop.as_ref().map(|hop| format!("next-hop={hop}")));
    words.extend(set.exception.then(|| "exception".to_owned()));
    let wanted = PutDestination {
        scope: set.scope.clone(),
        domain: set.domain.clone(),
        rule: words.join(" "),
        until: set.until.map(|end| formats::rfc3339::format(end.0)),
        reason: set.why.reason.clone(),
    };
    let at = path(&["destinations"], &[]);
    let done: SetDone = api.send(Method::Put, &at, &wanted).await?;
    let mut text = impact::before(&done.impact, &done.scope).unwrap_or_default();
    for warning in &done.warnings {
        text.push_str(&format!("Warning: {warning}.\n"));
    }
    text.push_str(&format!(
        "Mail from {} to {} now travels as: {}{}.\n",
        set.scope,
        set.domain,
        done.value.unwrap_or_default(),
        set.until
            .map_or_else(String::new, |end| format!(", until {}", output::time(end)))
    ));
    Ok(text)
}

async fn list(api: &AdminApi, format: Format) -> Result<String, String> {
    let rules: Vec<Destination> = api.get(&path(&["destinations"], &[])).await?;
    let value = |rule: &Destination| {
        json!({
            "for": rule.scope, "domain": rule.domain, "rule": rule.rule,
            "until": rule.until.as_deref().map(output::ms), "reason": rule.reason,
        })
    };
    let values: Vec<_> = rules.iter().map(value).collect();
    output::shown(format, &json!(values), || {
        let row = |rule: &Destination| {
            let until = rule.until.as_deref();
            vec![
                rule.domain.clone(),
                rule.rule.clone(),
                rule.scope.clone(),
                until.map_or_else(|| "-".to_owned(), output::moment),
                output::or_dash(&rule.reason),
            ]
        };
        let rows: Vec<_> = rules.iter().map(row).collect();
        output::table(&["DESTINATION", "RULE", "FOR", "UNTIL", "REASON"], &rows)
    })
}
