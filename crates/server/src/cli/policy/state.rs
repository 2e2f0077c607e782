//! The policy in a state file: `[[policy]]` tables beside those of the directory. Cuts a file into the two
//! parts, says what would change, and makes it so. A file without any `policy` leaves settings as they are;
//! `policy = []` removes them all.

use directory::{AddressKey, DomainName};
use formats::rfc3339;
use platform::clock::Timestamp;
use platform::store::Store;
use policy::Scope;
use policy::admin::{Admin, Author, Consent, PolicyError, Wanted};
use policy::setting::{Name, ScopeKind, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Who changed something, in the history.
const BY: &str = "rohrpost apply";

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
    consent_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    consent_text: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct Section {
    policy: Option<Vec<Raw>>,
}

/// Scope as written, name, item.
type Key = (String, Name, String);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    value: Value,
    until: Option<Timestamp>,
    reason: String,
    consent: Option<Consent>,
}

/// What a file wants the settings to be; `None`: as they are.
#[derive(Debug, Default)]
pub(in crate::cli) struct Wish(Option<BTreeMap<Key, Entry>>);

/// What is to be done.
#[derive(Debug, Default)]
pub(in crate::cli) struct Changes {
    put: Vec<(Key, Entry)>,
    remove: Vec<Key>,
    /// A sentence each.
    pub(in crate::cli) sentences: Vec<String>,
}

/// Cuts a state file: what is left for the directory, with every line in its place, and the policy.
///
/// # Errors
/// With the table that is wrong.
pub(in crate::cli) fn split(text: &str) -> Result<(String, Wish), String> {
    let cut = cut(text);
    if !cut.has_policy {
        return Ok((text.to_owned(), Wish(None)));
    }
    let section: Section = toml::from_str(&cut.policy)
        .map_err(|error| format!("the policy in the file cannot be read: {error}"))?;
    let mut wish = BTreeMap::new();
    for raw in section.policy.unwrap_or_default() {
        let shown = format!("[[policy]] {} {} {}", raw.scope, raw.name, raw.item);
        let (key, entry) = entry(raw).map_err(|why| format!("{}: {why}", shown.trim_end()))?;
        if wish.insert(key, entry).is_some() {
            return Err(format!("{} is there twice", shown.trim_end()));
        }
    }
    Ok((cut.directory, Wish(Some(wish))))
}

struct Cut {
    directory: String,
    policy: String,
    has_policy: bool,
}

/// Lines of `[[policy]]` tables (and a `policy = …` before any table) apart from the others. Each part keeps
/// an empty line for every line of the other, so that errors name the right one.
fn cut(text: &str) -> Cut {
    let mut cut = Cut {
        directory: String::with_capacity(text.len()),
        policy: String::new(),
        has_policy: false,
    };
    let (mut inside, mut in_table, mut quotes) = (false, false, 0);
    for line in text.split_inclusive('\n') {
        let start = line.trim_start();
        // Between three quotes a bracket at the start of a line opens nothing.
        let ours = if quotes % 2 == 1 {
            inside
        } else if start.starts_with('[') {
            in_table = true;
            inside = start.replace(' ', "").starts_with("[[policy]]");
            inside
        } else {
            inside || (!in_table && start.replace(' ', "").starts_with("policy="))
        };
        quotes += line.matches("\"\"\"").count() + line.matches("'''").count();
        cut.has_policy |= ours;
        let (to, other) = if ours {
            (&mut cut.policy, &mut cut.directory)
        } else {
            (&mut cut.directory, &mut cut.policy)
        };
        to.push_str(line);
        other.push('\n');
    }
    cut
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
    };
    Ok(((scope, name, raw.item), entry))
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

async fn scope_text(admin: &Admin, scope: &Scope) -> Result<String, PolicyError> {
    // "account anna@firma.test" becomes "account:anna@firma.test".
    Ok(admin.scope_text(scope).await?.replacen(' ', ":", 1))
}

async fn current(admin: &Admin, now: Timestamp) -> Result<BTreeMap<Key, Entry>, PolicyError> {
    let mut current = BTreeMap::new();
    for row in admin.settings().await? {
        if row.expires_at.is_some_and(|end| end <= now) {
            continue;
        }
        let key = (scope_text(admin, &row.scope).await?, row.name, row.item);
        let entry = Entry {
            value: row.value,
            until: row.expires_at,
            reason: row.reason,
            consent: row.consent,
        };
        current.insert(key, entry);
    }
    Ok(current)
}

/// All settings as `[[policy]]` tables; the empty text where there are none.
///
/// # Errors
/// Those of the store, in words.
pub(in crate::cli) async fn export(store: &Store, now: Timestamp) -> Result<String, String> {
    let admin = Admin::new(store.clone());
    let current = current(&admin, now).await.map_err(|e| e.to_string())?;
    if current.is_empty() {
        return Ok(String::new());
    }
    let tables = current.into_iter().map(|((scope, name, item), entry)| {
        let (consent_by, consent_text) = entry
            .consent
            .map_or((None, None), |c| (Some(c.by), Some(c.text_version)));
        Raw {
            scope,
            name: name.to_string(),
            item,
            value: entry.value.to_string(),
            until: entry.until.map(|at| rfc3339::format(at.0)),
            reason: entry.reason,
            consent_by,
            consent_text,
        }
    });
    let section = Section {
        policy: Some(tables.collect()),
    };
    toml::to_string(&section).map_err(|error| error.to_string())
}

/// What the wish would change.
///
/// # Errors
/// Those of the store, in words.
pub(in crate::cli) async fn plan(
    store: &Store,
    wish: &Wish,
    now: Timestamp,
) -> Result<Changes, String> {
    let mut changes = Changes::default();
    let Some(wish) = &wish.0 else {
        return Ok(changes);
    };
    let current = current(&Admin::new(store.clone()), now)
        .await
        .map_err(|error| error.to_string())?;
    for (key, entry) in wish {
        if current.get(key) == Some(entry) {
            continue;
        }
        let before = current.get(key).map(|entry| entry.value.to_string());
        changes.sentences.push(format!(
            "{} becomes {}{}",
            told(key),
            one_line(&entry.value.to_string()),
            before.map_or_else(String::new, |old| format!(" (it was {})", one_line(&old)))
        ));
        changes.put.push((key.clone(), entry.clone()));
    }
    for key in current.keys().filter(|key| !wish.contains_key(*key)) {
        changes
            .sentences
            .push(format!("{} is no longer set", told(key)));
        changes.remove.push(key.clone());
    }
    Ok(changes)
}

fn told((scope, name, item): &Key) -> String {
    let what = format!("{name} {item}");
    format!("{} for {}", what.trim_end(), scope.replacen(':', " ", 1))
}

fn one_line(value: &str) -> String {
    value.replace('\n', "; ")
}

/// Makes the changes, all in one transaction.
///
/// # Errors
/// Why none was made.
pub(in crate::cli) async fn apply(
    store: &Store,
    changes: &Changes,
    now: Timestamp,
) -> Result<(), String> {
    if changes.sentences.is_empty() {
        return Ok(());
    }
    let admin = Admin::new(store.clone());
    let said = |error: PolicyError| error.to_string();
    let mut wanted = Vec::new();
    for ((scope, name, item), entry) in &changes.put {
        wanted.push((
            entry.reason.clone(),
            Wanted {
                scope: admin.scope(scope).await.map_err(said)?,
                name: *name,
                item: item.clone(),
                value: entry.value.clone(),
                expires_at: entry.until,
                consent: entry.consent.clone(),
            },
        ));
    }
    let mut unwanted = Vec::new();
    for (scope, name, item) in &changes.remove {
        // What went with its account or domain needs no removal any more.
        if let Ok(scope) = admin.scope(scope).await {
            unwanted.push((scope, *name, item.clone()));
        }
    }
    let author = Author {
        by: BY.to_owned(),
        reason: String::new(),
        now,
    };
    admin
        .set_all(wanted, unwanted, author)
        .await
        .map_err(said)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"[[domain]]
name = "firma.test"

[[policy]]
scope = "domain:Firma.TEST"
name = "headers-outbound"
value = """remove X-A
[add] is no table
"""

[[account]]
login = "anna@firma.test"
"#;

    #[test]
    fn a_file_is_cut_and_keeps_its_lines() {
        let cut = cut(FILE);
        assert!(cut.has_policy);
        assert!(!cut.directory.contains("headers"), "{}", cut.directory);
        assert_eq!(cut.directory.lines().nth(10), Some("[[account]]"));
        assert_eq!(cut.policy.lines().nth(3), Some("[[policy]]"));
        assert!(cut.policy.contains("[add] is no table"));
        let wrong = split(FILE).unwrap_err();
        assert!(
            wrong.contains("domain:Firma.TEST headers-outbound"),
            "{wrong}"
        );
        let (rest, wish) = split("[[domain]]\nname = \"a.test\"\n").unwrap();
        assert!(rest.starts_with("[[domain]]") && wish.0.is_none());
        let (rest, wish) = split("policy = []\n[[domain]]\nname = \"a.test\"\n").unwrap();
        assert!(rest.starts_with("\n[[domain]]"), "{rest}");
        assert_eq!(wish.0.map(|all| all.len()), Some(0));
    }

    #[test]
    fn what_makes_no_sense_is_refused_before_anything_changes() {
        let with = |scope: &str, name: &str, value: &str| {
            split(&format!(
                "[[policy]]\nscope = \"{scope}\"\nname = \"{name}\"\nvalue = \"{value}\"\n"
            ))
            .map(|(_, wish)| wish.0.unwrap_or_default().len())
        };
        assert_eq!(with("installation", "dane", "audit"), Ok(1));
        assert!(with("account:anna@firma.test", "inbound-tls", "required").is_err());
        assert!(with("firma.test", "dane", "audit").is_err());
        assert!(with("installation", "dane", "maybe").is_err());
        assert!(with("installation", "danes", "off").is_err());
    }
}
