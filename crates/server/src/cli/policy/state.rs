//! The policy in a state file: `[[policy]]`, `[[identity]]`, `[[client]]` and `[[rules]]` tables beside those of the directory.
//! Cuts a file into the two parts, says what would change, and makes it so. A file without any `policy` leaves
//! settings as they are; `policy = []` removes them all; the same with `identity`, `client` and `rules`.

mod breaks;

pub(in crate::cli) use breaks::breaks;

use directory::{AddressKey, DomainName};
use formats::rfc3339;
use platform::clock::Timestamp;
use platform::store::{Store, StoreError, Tx};
use policy::admin::{Admin, Author, Consent, PolicyError, Wanted};
use policy::clients::{Entry as Client, entry as client, rows as clients};
use policy::identities::{self, Identities, Kind};
use policy::rules::RuleSet;
use policy::rules::store::{self as rules, Change};
use policy::setting::{Name, ScopeKind, Value};
use policy::{Scope, SendAs};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The tables of a state file that are policy's.
const OURS: [&str; 4] = ["policy", "identity", "client", "rules"];

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
    owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    consent_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    consent_text: Option<String>,
}

/// One `[[identity]]` table; requests that wait for their code are not in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawIdentity {
    account: String,
    send_as: String,
    /// Whether the account's owner proved it; otherwise an operator granted it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    proven: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    reason: String,
}

#[derive(Deserialize, Serialize)]
struct Section {
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<Vec<Raw>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<Vec<RawIdentity>>,
    /// Entries of the catalogue; `policy::clients` knows what stands in them.
    #[serde(skip_serializing)]
    client: Option<Vec<toml::Table>>,
    /// The operator's rules, in order; `policy::rules` knows what stands in them.
    #[serde(skip_serializing)]
    rules: Option<Vec<toml::Table>>,
}

/// An operator's entries of the catalogue.
type Clients = BTreeMap<Arc<str>, Client>;

/// Account and whom it may send as.
type Who = (AddressKey, SendAs);
/// How that came to be, and why.
type How = (Kind, String);

/// Scope as written, name, item.
type Key = (String, Name, String);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    value: Value,
    until: Option<Timestamp>,
    reason: String,
    consent: Option<Consent>,
    owner: Option<String>,
}

/// What a file wants the settings to be; `None`: as they are.
#[derive(Debug, Default)]
pub(in crate::cli) struct Wish {
    settings: Option<BTreeMap<Key, Entry>>,
    identities: Option<BTreeMap<Who, How>>,
    clients: Option<Clients>,
    rules: Option<RuleSet>,
}

/// What is to be done.
#[derive(Debug, Default)]
pub(in crate::cli) struct Changes {
    put: Vec<(Key, Entry)>,
    remove: Vec<Key>,
    identities: Vec<(Who, How)>,
    identities_gone: Vec<Who>,
    /// What the operator's entries of the catalogue become, where they change.
    clients: Option<Clients>,
    /// What the rules become, where they change, and the version that was looked at.
    rules: Option<(i64, RuleSet)>,
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
        return Ok((text.to_owned(), Wish::default()));
    }
    let section: Section = toml::from_str(&cut.policy)
        .map_err(|error| format!("the policy in the file cannot be read: {error}"))?;
    let settings = section.policy.map(entries).transpose()?;
    let identities = section.identity.map(identities).transpose()?;
    let wish = Wish {
        settings,
        identities,
        clients: section.client.map(clients_of).transpose()?,
        rules: section.rules.map(rules_of).transpose()?,
    };
    Ok((cut.directory, wish))
}

fn rules_of(tables: Vec<toml::Table>) -> Result<RuleSet, String> {
    let file = BTreeMap::from([("rules", tables)]);
    let text = toml::to_string(&file).map_err(|error| error.to_string())?;
    RuleSet::from_toml(&text)
        .map_err(|error| format!("the rules in the file cannot be used: {error}"))
}

/// What becomes of a rule, in a sentence.
fn told_of_rule(change: &Change) -> String {
    match change {
        Change::Added(name) => format!("rule {name} is added"),
        Change::Removed(name) => format!("rule {name} is removed"),
        Change::Changed(name) => format!("rule {name} becomes another"),
        Change::Moved(name) => format!("rule {name} moves to another place in the order"),
    }
}

fn clients_of(tables: Vec<toml::Table>) -> Result<Clients, String> {
    let file = BTreeMap::from([("client", tables)]);
    let text = toml::to_string(&file).map_err(|error| error.to_string())?;
    Ok(clients::by_id(client::parse(&text)?))
}

fn identities(raws: Vec<RawIdentity>) -> Result<BTreeMap<Who, How>, String> {
    let mut all = BTreeMap::new();
    for raw in raws {
        let shown = format!("[[identity]] {} {}", raw.account, raw.send_as);
        let account = super::address(&raw.account).map_err(|why| format!("{shown}: {why}"))?;
        let send_as =
            super::identity::send_as(&raw.send_as).map_err(|why| format!("{shown}: {why}"))?;
        let kind = match raw.proven {
            true => Kind::Proven,
            false if raw.reason.trim().is_empty() => return Err(format!("{shown} needs a reason")),
            false => Kind::Granted,
        };
        if all.insert((account, send_as), (kind, raw.reason)).is_some() {
            return Err(format!("{shown} is there twice"));
        }
    }
    Ok(all)
}

fn entries(raws: Vec<Raw>) -> Result<BTreeMap<Key, Entry>, String> {
    let mut wish = BTreeMap::new();
    for raw in raws {
        let shown = format!("[[policy]] {} {} {}", raw.scope, raw.name, raw.item);
        let (key, entry) = entry(raw).map_err(|why| format!("{}: {why}", shown.trim_end()))?;
        if wish.insert(key, entry).is_some() {
            return Err(format!("{} is there twice", shown.trim_end()));
        }
    }
    Ok(wish)
}

struct Cut {
    directory: String,
    policy: String,
    has_policy: bool,
}

/// Lines of `[[policy]]`, `[[identity]]` and `[[client]]` tables (and a `policy = …` before any table) apart from the
/// others. Each part keeps an empty line for every line of the other, so that errors name the right one.
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
            let header = start.replace(' ', "");
            inside = OURS.iter().any(|name| {
                let header = header.trim_start_matches('[').strip_prefix(name);
                header.is_some_and(|rest| rest.starts_with([']', '.']))
            });
            inside
        } else {
            let key = start.replace(' ', "");
            let named = OURS.iter().any(|name| {
                let rest = key.strip_prefix(name);
                rest.is_some_and(|rest| rest.starts_with('='))
            });
            inside || (!in_table && named)
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
        owner: raw.owner,
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
            owner: row.owner,
        };
        current.insert(key, entry);
    }
    Ok(current)
}

async fn current_identities(store: &Store) -> Result<BTreeMap<Who, How>, PolicyError> {
    let all = Identities::new(store.clone()).list(None, i64::MAX).await?;
    let mut current = BTreeMap::new();
    for one in all.into_iter().filter(|one| one.kind != Kind::Waiting) {
        let login = AddressKey::parse(&one.login).map_err(super::invalid)?;
        current.insert((login, one.send_as), (one.kind, one.reason));
    }
    Ok(current)
}

/// All settings and identities as tables; the empty text where there are none.
///
/// # Errors
/// Those of the store, in words.
pub(in crate::cli) async fn export(store: &Store, now: Timestamp) -> Result<String, String> {
    let admin = Admin::new(store.clone());
    let current = current(&admin, now).await.map_err(|e| e.to_string())?;
    let identities = current_identities(store).await.map_err(|e| e.to_string())?;
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
            owner: entry.owner,
            consent_by,
            consent_text,
        }
    });
    let identities = identities
        .into_iter()
        .map(|((login, send_as), (kind, reason))| RawIdentity {
            account: login.to_string(),
            send_as: send_as.to_string(),
            proven: kind == Kind::Proven,
            reason,
        });
    let section = Section {
        policy: Some(tables.collect()).filter(|all: &Vec<_>| !all.is_empty()),
        identity: Some(identities.collect()).filter(|all: &Vec<_>| !all.is_empty()),
        client: None,
        rules: None,
    };
    let mut text = toml::to_string(&section).map_err(|error| error.to_string())?;
    let own = current_clients(store).await.map_err(|e| e.to_string())?;
    if !own.is_empty() {
        let gap = if text.is_empty() { "" } else { "\n" };
        text.push_str(gap);
        text.push_str(&client::write(own.values()));
    }
    let (_, rules) = store
        .read(rules::current)
        .await
        .map_err(|e| e.to_string())?;
    if !rules.rules().is_empty() {
        let gap = if text.is_empty() { "" } else { "\n" };
        text.push_str(gap);
        text.push_str(&rules.to_toml()?);
    }
    Ok(text)
}

async fn current_clients(store: &Store) -> Result<Clients, StoreError> {
    store
        .read(|tx: &mut dyn Tx| clients::all(tx).map(clients::by_id))
        .await
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
    if let Some(wanted) = &wish.identities {
        let current = current_identities(store).await.map_err(|e| e.to_string())?;
        plan_identities(&mut changes, &current, wanted);
    }
    if let Some(wanted) = &wish.clients {
        let current = current_clients(store).await.map_err(|e| e.to_string())?;
        let sentences = clients::plan(&current, wanted);
        changes.clients = (!sentences.is_empty()).then(|| wanted.clone());
        changes.sentences.extend(sentences);
    }
    if let Some(wanted) = &wish.rules {
        let (version, current) = store
            .read(rules::current)
            .await
            .map_err(|e| e.to_string())?;
        let differences = rules::diff(&current, wanted);
        changes.rules = (current != *wanted).then(|| (version, wanted.clone()));
        changes
            .sentences
            .extend(differences.iter().map(told_of_rule));
    }
    let Some(wish) = &wish.settings else {
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

fn plan_identities(
    changes: &mut Changes,
    current: &BTreeMap<Who, How>,
    wanted: &BTreeMap<Who, How>,
) {
    for (who, how) in wanted
        .iter()
        .filter(|(who, how)| current.get(*who) != Some(*how))
    {
        let (login, send_as) = who;
        let sentence = format!("account {login} may send as {send_as} ({})", how.0.word());
        changes.sentences.push(sentence);
        changes.identities.push((who.clone(), how.clone()));
    }
    for who in current.keys().filter(|who| !wanted.contains_key(*who)) {
        let (login, send_as) = who;
        let sentence = format!("account {login} may no longer send as {send_as}");
        changes.sentences.push(sentence);
        changes.identities_gone.push(who.clone());
    }
}

fn told((scope, name, item): &Key) -> String {
    let what = format!("{name} {item}");
    format!("{} for {}", what.trim_end(), scope.replacen(':', " ", 1))
}

fn one_line(value: &str) -> String {
    value.replace('\n', "; ")
}

/// Makes the changes in one transaction.
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
                owner: entry.owner.clone(),
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
    let author = |reason: &str| Author {
        by: BY.to_owned(),
        reason: reason.to_owned(),
        now,
    };
    let put = changes.identities.iter();
    let put = put.map(|((login, send_as), (kind, reason))| {
        (login.clone(), send_as.clone(), *kind, author(reason))
    });
    let identities = identities::Wanted {
        put: put.collect(),
        remove: changes.identities_gone.clone(),
    };
    admin
        .apply(wanted, unwanted, identities, author(""))
        .await
        .map_err(said)?;
    if let Some(clients) = changes.clients.clone() {
        let author = author("");
        store
            .write(move |tx: &mut dyn Tx| clients::replace(tx, &clients, &author).map(drop))
            .await
            .map_err(said)?;
    }
    if let Some((version, set)) = changes.rules.clone() {
        let author = author("");
        store
            .write(move |tx: &mut dyn Tx| rules::put(tx, &set, Some(version), &author).map(drop))
            .await
            .map_err(said)?;
    }
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
        assert!(rest.starts_with("[[domain]]") && wish.settings.is_none());
        let (rest, wish) = split("policy = []\n[[domain]]\nname = \"a.test\"\n").unwrap();
        assert!(rest.starts_with("\n[[domain]]"), "{rest}");
        assert_eq!(wish.settings.map(|all| all.len()), Some(0));
    }

    #[test]
    fn entries_of_the_catalogue_are_policy_with_all_their_tables() {
        let own = "[[client]]\nid = \"x\"\nname = \"X\"\nclass = \"printer\"\nguide = \"printer\"\n\
                   [[client.version]]\nlabel = \"1\"\nis = [\"1..2\"]\n";
        let (rest, wish) = split(&format!("{own}[[domain]]\nname = \"a.test\"\n")).unwrap();
        assert!(rest.trim_start().starts_with("[[domain]]"), "{rest}");
        let clients = wish.clients.unwrap();
        assert_eq!(clients["x"].versions.len(), 1);
        assert!(wish.settings.is_none());
        let (_, wish) = split("client = []\n").unwrap();
        assert_eq!(wish.clients.map(|all| all.len()), Some(0));
        assert!(split("[[client]]\nid = \"x\"\n").is_err());
    }

    #[test]
    fn what_makes_no_sense_is_refused_before_anything_changes() {
        let with = |scope: &str, name: &str, value: &str| {
            split(&format!(
                "[[policy]]\nscope = \"{scope}\"\nname = \"{name}\"\nvalue = \"{value}\"\n"
            ))
            .map(|(_, wish)| wish.settings.unwrap_or_default().len())
        };
        assert_eq!(with("installation", "dane", "audit"), Ok(1));
        assert!(with("account:anna@firma.test", "inbound-tls", "required").is_err());
        assert!(with("firma.test", "dane", "audit").is_err());
        assert!(with("installation", "dane", "maybe").is_err());
        assert!(with("installation", "danes", "off").is_err());
    }
}
