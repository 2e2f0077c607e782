//! `rohrpost policy`: show, set, unset, list, history, names. The admin API does it; this says it in words.

use super::output::{self, Format, moment};
use super::{Why, impact};
use crate::cli::admin_api::{AdminApi, Method, path};
use clap::Subcommand;
use https::api::policy::{Change, Holds, Set, SetDone, Setting, Unset};
use policy::OutboundTls;
use policy::setting::{Name, Value};
use serde_json::json;

/// Lines of history shown.
const HISTORY_LINES_MAX: &str = "1000";

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Shows what holds for an account, a domain, a group or the installation, and where it was set.
    Show {
        /// An address, a domain, a group's name, or the word installation.
        #[arg(default_value = "installation")]
        scope: String,
        #[command(flatten)]
        format: Format,
    },
    /// Sets a value. Exit code 1, and nothing changed, where it cannot be set there.
    ///
    /// Before outbound-tls or inbound-tls is switched on, the recipients or senders are listed whose
    /// mail went without TLS lately: they could no longer be reached, or could no longer write.
    #[command(after_long_help = super::names())]
    Set {
        /// An address, a domain, a group's name, or the word installation.
        scope: String,
        /// What to set; `rohrpost policy names` lists the names.
        name: String,
        /// The value. For header actions several: each is one action.
        #[arg(required = true)]
        value: Vec<String>,
        /// Only show who would be affected; nothing is changed.
        #[arg(long)]
        preview: bool,
        /// How many days back the preview looks; 1 to 30.
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=30))]
        days: u32,
        /// Who agreed to the consequences of inbound-tls.
        #[arg(long, requires = "consent_text")]
        consent_by: Option<String>,
        /// Which version of the text was agreed to.
        #[arg(long, requires = "consent_by")]
        consent_text: Option<String>,
        #[command(flatten)]
        why: Why,
    },
    /// Removes a value, so that a wider scope or the default holds again.
    Unset {
        /// An address, a domain, a group's name, or the word installation.
        scope: String,
        /// What to remove.
        name: String,
        #[command(flatten)]
        why: Why,
    },
    /// Lists everything that was set, with who, when and why.
    List(Format),
    /// Tells who changed what, when and why, newest first; consents too.
    History {
        /// An address, a domain, a group's name, or the word installation; everything when not given.
        scope: Option<String>,
        #[command(flatten)]
        format: Format,
    },
    /// Explains every name that can be set.
    Names,
}

impl Verb {
    pub(super) fn changes_something(&self) -> bool {
        match self {
            Self::Set { preview, .. } => !preview,
            Self::Unset { .. } => true,
            Self::Show { .. } | Self::List(_) | Self::History { .. } | Self::Names => false,
        }
    }
}

pub(super) async fn run(verb: &Verb, api: AdminApi) -> Result<String, String> {
    match verb {
        Verb::Show { scope, format } => show(&api, scope, *format).await,
        Verb::Set { why, .. } => set(&why.author(api), verb).await,
        Verb::Unset {
            scope,
            name: word,
            why,
        } => {
            let (name, item) = name(word)?;
            let unset = Unset {
                scope: scope.clone(),
                name: name.to_string(),
                item,
                reason: why.reason.clone(),
            };
            let (api, at) = (why.author(api), path(&["policy", "settings"], &[]));
            let done: SetDone = api.send(Method::Delete, &at, &unset).await?;
            let told = impact::before(&done.impact, &done.scope).unwrap_or_default();
            Ok(format!("{told}{word} is no longer set for {scope}.\n"))
        }
        Verb::List(format) => list(&api, *format).await,
        Verb::History { scope, format } => history(&api, scope.as_deref(), *format).await,
        Verb::Names => Ok(super::names()),
    }
}

/// The name and, behind a slash, which of several: `cleartext/imap`.
fn name(word: &str) -> Result<(Name, String), String> {
    let (kind, item) = word.split_once('/').unwrap_or((word, ""));
    let elsewhere = |name: &Name| matches!(name, Name::Destination | Name::PoolAddresses);
    let found = Name::from_word(kind).filter(|name| !elsewhere(name));
    found
        .map(|name| (name, item.to_owned()))
        .ok_or_else(|| match word {
            "destination" => "rules for destinations are set by `rohrpost destination`".to_owned(),
            "pool-addresses" => "pools are made by `rohrpost pool`".to_owned(),
            _ => format!("\"{word}\" cannot be set; `rohrpost policy names` lists what can"),
        })
}

async fn set(api: &AdminApi, verb: &Verb) -> Result<String, String> {
    let Verb::Set {
        scope,
        name: word,
        value,
        preview: only_preview,
        days,
        consent_by,
        consent_text,
        why,
    } = verb
    else {
        return Ok(String::new());
    };
    let (name, item) = name(word)?;
    let joined = match name {
        Name::HeadersInbound | Name::HeadersOutbound => value.join("\n"),
        _ => value.join(" "),
    };
    let wanted = Set {
        scope: scope.clone(),
        name: name.to_string(),
        item,
        value: joined,
        reason: why.reason.clone(),
        consent_by: consent_by.clone(),
        consent_text: consent_text.clone(),
        days: Some(*days),
        ..Set::default()
    };
    let at: &[&str] = match only_preview {
        true => &["policy", "settings", "plan"],
        false => &["policy", "settings"],
    };
    let done: SetDone = api.send(Method::Post, &path(at, &[]), &wanted).await?;
    let value = done.value.unwrap_or_default();
    let told = impact::before(&done.impact, &done.scope);
    if *only_preview && told.is_none() {
        return Err(format!("there is no preview of {word} {value}"));
    }
    let mut text = told.unwrap_or_default();
    if !done.impact.is_empty() && proves_names(name, &value) {
        text.push_str(
            "Whether servers that do use TLS prove their names was not counted; `rohrpost route \
             DOMAIN --from SENDER` and the trace of a message tell.\n",
        );
    }
    if *only_preview {
        return Ok(text + "Nothing was changed.\n");
    }
    for warning in done.warnings {
        text.push_str(&format!("Warning: {warning}.\n"));
    }
    text.push_str(&format!("{word} for {scope} is now {value}.\n"));
    Ok(text)
}

/// Whether a value demands that servers prove their names.
fn proves_names(name: Name, value: &str) -> bool {
    matches!(Value::parse(name, value), Ok(Value::OutboundTls(demand)) if demand.level == OutboundTls::Authenticated)
}

async fn show(api: &AdminApi, scope: &str, format: Format) -> Result<String, String> {
    let at = path(&["policy", "effective"], &[("scope", scope)]);
    let found: Vec<Holds> = api.get(&at).await?;
    let origin = |one: &Holds| one.origin.clone().unwrap_or_else(|| "default".to_owned());
    let value = |one: &Holds| {
        json!({
            "name": one.name, "item": one.item, "value": one.value, "origin": origin(one),
        })
    };
    let values: Vec<_> = found.iter().map(value).collect();
    output::shown(format, &json!(values), || {
        let set = found.iter().filter(|one| !one.value.is_empty());
        let rows: Vec<_> = set
            .map(|one| vec![which(&one.name, &one.item), one.value.clone(), origin(one)])
            .collect();
        output::table(&["NAME", "VALUE", "SET FOR"], &rows)
    })
}

/// A name with its item.
fn which(name: &str, item: &str) -> String {
    format!("{name} {item}").trim_end().to_owned()
}

async fn list(api: &AdminApi, format: Format) -> Result<String, String> {
    let found: Vec<Setting> = api.get(&path(&["policy", "settings"], &[])).await?;
    let value = |row: &Setting| {
        json!({
            "scope": row.scope, "name": row.name, "item": row.item, "value": row.value,
            "expires_at": row.expires.as_deref().map(output::ms), "changed_at": output::ms(&row.changed),
            "changed_by": row.changed_by, "reason": row.reason,
        })
    };
    let values: Vec<_> = found.iter().map(value).collect();
    output::shown(format, &json!(values), || {
        let row = |row: &Setting| {
            vec![
                row.scope.clone(),
                which(&row.name, &row.item),
                row.value.clone(),
                moment(&row.changed),
                row.changed_by.clone(),
                output::or_dash(&row.reason),
            ]
        };
        let rows: Vec<_> = found.iter().map(row).collect();
        output::table(&["SCOPE", "NAME", "VALUE", "SINCE", "BY", "REASON"], &rows)
    })
}

async fn history(api: &AdminApi, scope: Option<&str>, format: Format) -> Result<String, String> {
    let mut query = vec![("limit", HISTORY_LINES_MAX)];
    query.extend(scope.map(|scope| ("scope", scope)));
    let found: Vec<Change> = api.get(&path(&["policy", "history"], &query)).await?;
    let value = |line: &Change| {
        json!({
            "scope": line.scope, "name": line.name, "item": line.item, "before": line.before,
            "after": line.after, "changed_at": output::ms(&line.changed), "changed_by": line.changed_by,
            "reason": line.reason, "consent_by": line.consent_by, "consent_text": line.consent_text,
        })
    };
    let values: Vec<_> = found.iter().map(value).collect();
    output::shown(format, &json!(values), || found.iter().map(told).collect())
}

fn told(line: &Change) -> String {
    let unset = || "unset".to_owned();
    let because = match line.reason.as_str() {
        "" => String::new(),
        reason => format!(", because: {reason}"),
    };
    let consent = match (&line.consent_by, &line.consent_text) {
        (Some(by), Some(text)) => format!(", with the consent of {by} to text {text}"),
        _ => String::new(),
    };
    format!(
        "{}  {}: {} from {} to {}, by {}{because}{consent}\n",
        moment(&line.changed),
        line.scope,
        which(&line.name, &line.item),
        line.before.clone().unwrap_or_else(unset),
        line.after.clone().unwrap_or_else(unset),
        line.changed_by,
    )
}
