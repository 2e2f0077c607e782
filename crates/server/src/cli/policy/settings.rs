//! `rohrpost policy`: show, set, unset, list, history, names.

use super::output::{self, Format};
use super::{Desk, Why, impact, invalid};
use clap::Subcommand;
use policy::admin::{Consent, Effective, PolicyError, Wanted};
use policy::setting::{Name, Value};
use policy::{OutboundTls, Scope};
use serde_json::json;

/// Lines of history shown.
const HISTORY_LINES_MAX: i64 = 1000;

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

pub(super) async fn run(verb: &Verb, desk: &Desk<'_>) -> Result<String, PolicyError> {
    match verb {
        Verb::Show { scope, format } => show(desk, scope, *format).await,
        Verb::Set { .. } => set(desk, verb).await,
        Verb::Unset {
            scope,
            name: word,
            why,
        } => {
            let at = desk.admin.scope(scope).await?;
            let author = desk.author(why);
            let (name, item) = name(word)?;
            desk.admin.unset(at, name, item, author).await?;
            Ok(format!("{word} is no longer set for {scope}.\n"))
        }
        Verb::List(format) => list(desk, *format).await,
        Verb::History { scope, format } => history(desk, scope.as_deref(), *format).await,
        Verb::Names => Ok(super::names()),
    }
}

/// The name and, behind a slash, which of several: `cleartext/imap`.
fn name(word: &str) -> Result<(Name, String), PolicyError> {
    let (kind, item) = word.split_once('/').unwrap_or((word, ""));
    let elsewhere = |name: &Name| matches!(name, Name::Destination | Name::PoolAddresses);
    let found = Name::from_word(kind).filter(|name| !elsewhere(name));
    found.map(|name| (name, item.to_owned())).ok_or_else(|| {
        invalid(match word {
            "destination" => "rules for destinations are set by `rohrpost destination`".to_owned(),
            "pool-addresses" => "pools are made by `rohrpost pool`".to_owned(),
            _ => format!("\"{word}\" cannot be set; `rohrpost policy names` lists what can"),
        })
    })
}

async fn set(desk: &Desk<'_>, verb: &Verb) -> Result<String, PolicyError> {
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
    let at = desk.admin.scope(scope).await?;
    let (name, item) = name(word)?;
    let joined = match name {
        Name::HeadersInbound | Name::HeadersOutbound => value.join("\n"),
        _ => value.join(" "),
    };
    let value = Value::parse(name, &joined).map_err(invalid)?;
    let mut text = String::new();
    if let Some(told) = impact::before(desk, &at, (name, &item, &value), *days).await? {
        text.push_str(&told);
        if matches!(&value, Value::OutboundTls(demand) if demand.level == OutboundTls::Authenticated)
        {
            text.push_str(
                "Whether servers that do use TLS prove their names was not counted; `rohrpost route \
                 DOMAIN --from SENDER` and the trace of a message tell.\n",
            );
        }
    } else if *only_preview {
        return Err(invalid(format!("there is no preview of {word} {value}")));
    }
    if *only_preview {
        return Ok(text + "Nothing was changed.\n");
    }
    let consent = consent_by.clone().zip(consent_text.clone());
    let wanted = Wanted {
        scope: at,
        name,
        item,
        value: value.clone(),
        expires_at: None,
        consent: consent.map(|(by, text_version)| Consent { by, text_version }),
        owner: None,
    };
    for warning in desk.admin.set(wanted, desk.author(why)).await? {
        text.push_str(&format!("Warning: {warning}.\n"));
    }
    text.push_str(&format!("{word} for {scope} is now {value}.\n"));
    Ok(text)
}

async fn show(desk: &Desk<'_>, scope: &str, format: Format) -> Result<String, PolicyError> {
    let at = desk.admin.scope(scope).await?;
    let effective = desk.admin.effective(at, desk.now).await?;
    let mut rows = Vec::new();
    let mut values = Vec::new();
    for Effective {
        name,
        item,
        value,
        origin,
    } in effective
    {
        let origin = match &origin {
            Some(scope) => desk.admin.scope_text(scope).await?,
            None => "default".to_owned(),
        };
        values.push(json!({
            "name": name.to_string(), "item": item, "value": value, "origin": origin,
        }));
        let word = match item.as_str() {
            "" => name.to_string(),
            item => format!("{name} {item}"),
        };
        if !value.is_empty() {
            rows.push(vec![word, value, origin]);
        }
    }
    output::value(format, &json!(values), || {
        output::table(&["NAME", "VALUE", "SET FOR"], &rows)
    })
}

async fn list(desk: &Desk<'_>, format: Format) -> Result<String, PolicyError> {
    let mut rows = Vec::new();
    let mut values = Vec::new();
    for row in desk.admin.settings().await? {
        let scope = desk.admin.scope_text(&row.scope).await?;
        values.push(json!({
            "scope": scope, "name": row.name.to_string(), "item": row.item,
            "value": row.value.to_string(), "expires_at": row.expires_at.map(|at| at.0),
            "changed_at": row.changed_at.0, "changed_by": row.changed_by, "reason": row.reason,
        }));
        rows.push(vec![
            scope,
            format!("{} {}", row.name, row.item).trim_end().to_owned(),
            row.value.to_string(),
            output::time(row.changed_at),
            row.changed_by,
            output::or_dash(&row.reason),
        ]);
    }
    output::value(format, &json!(values), || {
        output::table(&["SCOPE", "NAME", "VALUE", "SINCE", "BY", "REASON"], &rows)
    })
}

async fn history(
    desk: &Desk<'_>,
    scope: Option<&str>,
    format: Format,
) -> Result<String, PolicyError> {
    let at = match scope {
        Some(scope) => Some(desk.admin.scope(scope).await?),
        None => None,
    };
    let mut text = String::new();
    let mut values = Vec::new();
    for line in desk.admin.history(at, HISTORY_LINES_MAX).await? {
        let scope: &Scope = &line.scope;
        let scope = desk.admin.scope_text(scope).await?;
        let consent = line.consent.as_ref();
        values.push(json!({
            "scope": scope, "name": line.name, "item": line.item, "before": line.before,
            "after": line.after, "changed_at": line.changed_at.0, "changed_by": line.changed_by,
            "reason": line.reason, "consent_by": consent.map(|c| &c.by),
            "consent_text": consent.map(|c| &c.text_version),
        }));
        let unset = || "unset".to_owned();
        text.push_str(&format!(
            "{}  {}: {} from {} to {}, by {}{}{}\n",
            output::time(line.changed_at),
            scope,
            format!("{} {}", line.name, line.item).trim_end(),
            line.before.clone().unwrap_or_else(unset),
            line.after.clone().unwrap_or_else(unset),
            line.changed_by,
            match line.reason.as_str() {
                "" => String::new(),
                reason => format!(", because: {reason}"),
            },
            consent.map_or_else(String::new, |c| format!(
                ", with the consent of {} to text {}",
                c.by, c.text_version
            )),
        ));
    }
    output::value(format, &json!(values), || text)
}
