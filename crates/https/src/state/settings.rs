//! Settings in a state file, a `[[policy]]` table each: read, compared with those there are, written. Called by `state`
//! inside its transactions.

use super::scopes::Scopes;
use directory::{AddressKey, DomainName};
use formats::rfc3339;
use platform::clock::Timestamp;
use platform::store::{StoreError, Tx};
use policy::Scope;
use policy::admin::{Consent, PolicyError, Wanted, within};
use policy::setting::{Name, ScopeKind, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// One `[[policy]]` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    /// `installation`, `group:NAME`, `domain:NAME` or `account:ADDRESS`.
    scope: String,
    name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    item: String,
    value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    consent_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    consent_text: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct File {
    policy: Vec<Raw>,
}

/// Where what is set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// As written in the file.
    pub(super) scope: String,
    pub(super) name: Name,
    pub(super) item: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = format!("{} {}", self.name, self.item);
        let scope = self.scope.replacen(':', " ", 1);
        write!(f, "{} for {scope}", what.trim_end())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) value: Value,
    until: Option<Timestamp>,
    reason: String,
    consent: Option<Consent>,
    owner: Option<String>,
}

/// Settings by their place.
pub(super) type Settings = BTreeMap<Key, Entry>;

/// What is to be done.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) put: Vec<(Key, Entry)>,
    pub(super) remove: Vec<Key>,
}

/// The settings a file wants.
///
/// # Errors
/// With the line or the table that is wrong.
pub(super) fn parse(text: &str) -> Result<Settings, String> {
    let file: File = toml::from_str(text)
        .map_err(|error| format!("the policy in the file cannot be read: {error}"))?;
    let mut wanted = Settings::new();
    for raw in file.policy {
        let shown = format!("[[policy]] {} {} {}", raw.scope, raw.name, raw.item);
        let (key, entry) = entry(raw).map_err(|why| format!("{}: {why}", shown.trim_end()))?;
        if wanted.insert(key, entry).is_some() {
            return Err(format!("{} is there twice", shown.trim_end()));
        }
    }
    Ok(wanted)
}

fn entry(raw: Raw) -> Result<(Key, Entry), String> {
    let name = Name::from_word(&raw.name).ok_or_else(|| {
        format!(
            "\"{}\" cannot be set; `rohrpost policy names` lists what can",
            raw.name
        )
    })?;
    let (kind, scope) = written_scope(&raw.scope)?;
    name.check_scope(kind)?;
    let until = raw.until.as_deref().map(rfc3339::parse).transpose()?;
    let consent = match (raw.consent_by, raw.consent_text) {
        (Some(by), Some(text_version)) => Some(Consent { by, text_version }),
        (None, None) => None,
        _ => return Err("consent_by and consent_text go together".to_owned()),
    };
    let entry = Entry {
        value: Value::parse(name, &raw.value)?,
        until: until.map(Timestamp),
        reason: raw.reason,
        consent,
        owner: raw.owner,
    };
    let item = raw.item;
    Ok((Key { scope, name, item }, entry))
}

/// The kind of a scope, and its text in the one form it is compared in.
fn written_scope(text: &str) -> Result<(ScopeKind, String), String> {
    let wrong = |error: directory::NameError| error.to_string();
    Ok(match text.split_once(':') {
        None if text == "installation" => (ScopeKind::Installation, text.to_owned()),
        Some(("group", name)) => (ScopeKind::Group, format!("group:{name}")),
        Some(("domain", name)) => {
            let name = DomainName::parse(name).map_err(wrong)?;
            (ScopeKind::Domain, format!("domain:{name}"))
        }
        Some(("account", login)) => {
            let login = AddressKey::parse(login).map_err(wrong)?;
            (ScopeKind::Account, format!("account:{login}"))
        }
        _ => {
            return Err(format!(
                "\"{text}\" is no scope; write installation, group:NAME, domain:NAME or account:ADDRESS"
            ));
        }
    })
}

/// The settings that hold.
pub(super) fn current(tx: &mut dyn Tx, now: Timestamp) -> Result<Settings, StoreError> {
    let mut current = Settings::new();
    for row in within::settings(tx)? {
        if row.expires_at.is_some_and(|end| end <= now) {
            continue;
        }
        // "account anna@firma.test" becomes "account:anna@firma.test".
        let scope = within::scope_text(tx, &row.scope)?.replacen(' ', ":", 1);
        let key = Key {
            scope,
            name: row.name,
            item: row.item,
        };
        let entry = Entry {
            value: row.value,
            until: row.expires_at,
            reason: row.reason,
            consent: row.consent,
            owner: row.owner,
        };
        current.insert(key, entry);
    }
    Ok(current)
}

/// As tables; the empty text where there are none.
pub(super) fn write(settings: Settings) -> String {
    if settings.is_empty() {
        return String::new();
    }
    let tables = settings.into_iter().map(|(key, entry)| {
        let (consent_by, consent_text) = entry
            .consent
            .map_or((None, None), |c| (Some(c.by), Some(c.text_version)));
        Raw {
            scope: key.scope,
            name: key.name.to_string(),
            item: key.item,
            value: entry.value.to_string(),
            until: entry.until.map(|at| rfc3339::format(at.0)),
            reason: entry.reason,
            owner: entry.owner,
            consent_by,
            consent_text,
        }
    });
    let policy = tables.collect();
    // Strings always have a TOML form.
    toml::to_string(&File { policy }).unwrap_or_default()
}

/// What would change, and a sentence for each; what goes with its scope is not told apart.
///
/// # Errors
/// With the settings of scopes that the file does not have.
pub(super) fn plan(
    current: &Settings,
    wanted: &Settings,
    scopes: &Scopes,
    told: &mut Vec<String>,
) -> Result<Changes, PolicyError> {
    let mut changes = Changes::default();
    for (key, entry) in wanted {
        if current.get(key) == Some(entry) {
            continue;
        }
        if !scopes.have(&key.scope) {
            return Err(PolicyError::Invalid(format!(
                "[[policy]] {} {}: there is no {} in the file",
                key.scope, key.name, key.scope
            )));
        }
        let before = current.get(key).map(|entry| entry.value.to_string());
        told.push(format!(
            "{key} becomes {}{}",
            one_line(&entry.value.to_string()),
            before.map_or_else(String::new, |old| format!(" (it was {})", one_line(&old)))
        ));
        changes.put.push((key.clone(), entry.clone()));
    }
    let unwanted = current.keys().filter(|key| !wanted.contains_key(*key));
    for key in unwanted.filter(|key| scopes.have(&key.scope)) {
        told.push(format!("{key} is no longer set"));
        changes.remove.push(key.clone());
    }
    Ok(changes)
}

fn one_line(value: &str) -> String {
    value.replace('\n', "; ")
}

/// What is to be set, each with its reason.
pub(super) fn wanted(
    tx: &mut dyn Tx,
    changes: &Changes,
) -> Result<Vec<(String, Wanted)>, PolicyError> {
    let mut wanted = Vec::with_capacity(changes.put.len());
    for (key, entry) in &changes.put {
        let one = Wanted {
            scope: within::scope(tx, &key.scope)?,
            name: key.name,
            item: key.item.clone(),
            value: entry.value.clone(),
            expires_at: entry.until,
            consent: entry.consent.clone(),
            owner: entry.owner.clone(),
        };
        wanted.push((entry.reason.clone(), one));
    }
    Ok(wanted)
}

/// What is to be set no longer.
pub(super) fn unwanted(
    tx: &mut dyn Tx,
    changes: &Changes,
) -> Result<Vec<(Scope, Name, String)>, PolicyError> {
    let mut unwanted = Vec::with_capacity(changes.remove.len());
    for key in &changes.remove {
        unwanted.push((within::scope(tx, &key.scope)?, key.name, key.item.clone()));
    }
    Ok(unwanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused_before_anything_changes() {
        let with = |scope: &str, name: &str, value: &str| {
            parse(&format!(
                "[[policy]]\nscope = \"{scope}\"\nname = \"{name}\"\nvalue = \"{value}\"\n"
            ))
            .map(|settings| settings.len())
        };
        assert_eq!(with("installation", "dane", "audit"), Ok(1));
        assert!(with("account:anna@firma.test", "inbound-tls", "required").is_err());
        assert!(with("firma.test", "dane", "audit").is_err());
        assert!(with("installation", "dane", "maybe").is_err());
        assert!(with("installation", "danes", "off").is_err());
        let wrong = with(
            "domain:Firma.TEST",
            "headers-outbound",
            "nothing of the kind",
        );
        let wrong = wrong.unwrap_err();
        assert!(
            wrong.contains("domain:Firma.TEST headers-outbound"),
            "{wrong}"
        );
        let unknown = parse("\n\n[[policy]]\nscoop = 1\n").unwrap_err();
        assert!(unknown.contains("line 4"), "{unknown}");
        assert_eq!(parse("policy = []\n"), Ok(Settings::new()));
    }
}
