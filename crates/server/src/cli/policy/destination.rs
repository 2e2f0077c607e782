//! `rohrpost destination`: set, list, remove.

use super::output::{self, Format};
use super::{Desk, Why, invalid};
use clap::{Args, Subcommand};
use platform::clock::Timestamp;
use policy::admin::{PolicyError, Wanted};
use policy::setting::{Name, Value};
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

pub(super) async fn run(verb: &Verb, desk: &Desk<'_>) -> Result<String, PolicyError> {
    match verb {
        Verb::Set(set) => put(desk, set).await,
        Verb::List(format) => list(desk, *format).await,
        Verb::Remove { domain, scope, why } => {
            let at = desk.admin.scope(scope).await?;
            let author = desk.author(why);
            let unset = desk
                .admin
                .unset(at, Name::Destination, domain.clone(), author);
            unset.await?;
            Ok(format!(
                "The rule for mail from {scope} to {domain} is removed.\n"
            ))
        }
    }
}

async fn put(desk: &Desk<'_>, set: &Set) -> Result<String, PolicyError> {
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
    let value = Value::parse(Name::Destination, &words.join(" ")).map_err(invalid)?;
    if set.until.is_some_and(|end| end <= desk.now) {
        return Err(invalid("--until lies in the past"));
    }
    let wanted = Wanted {
        scope: desk.admin.scope(&set.scope).await?,
        name: Name::Destination,
        item: set.domain.clone(),
        value: value.clone(),
        expires_at: set.until,
        consent: None,
        owner: None,
    };
    desk.admin.set(wanted, desk.author(&set.why)).await?;
    Ok(format!(
        "Mail from {} to {} now travels as: {value}{}.\n",
        set.scope,
        set.domain,
        set.until
            .map_or_else(String::new, |end| format!(", until {}", output::time(end)))
    ))
}

async fn list(desk: &Desk<'_>, format: Format) -> Result<String, PolicyError> {
    let mut rows = Vec::new();
    let mut values = Vec::new();
    for row in desk.admin.settings().await? {
        if row.name != Name::Destination {
            continue;
        }
        let scope = desk.admin.scope_text(&row.scope).await?;
        let until = row.expires_at.map(output::time).unwrap_or_default();
        values.push(json!({
            "for": scope, "domain": row.item, "rule": row.value.to_string(),
            "until": row.expires_at.map(|at| at.0), "reason": row.reason,
        }));
        rows.push(vec![
            row.item,
            row.value.to_string(),
            scope,
            output::or_dash(&until),
            output::or_dash(&row.reason),
        ]);
    }
    output::value(format, &json!(values), || {
        output::table(&["DESTINATION", "RULE", "FOR", "UNTIL", "REASON"], &rows)
    })
}
