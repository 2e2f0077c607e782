//! Changes to settings, as the CLI and later the admin API make them. Each operation is one transaction:
//! it checks there that the scope exists and the value makes sense, writes the row and its history, or
//! does nothing and says why in a sentence for the person who asked.

mod checks;
pub mod measures;
pub mod typed;
pub mod within;

pub(crate) use checks::checked_author;

use crate::identities;
use crate::legacy;
use crate::model::{Scope, Sender};
use crate::rows::{self, Past, Setting};
use crate::setting::{Combination, NAMES, Name, ScopeKind, Value};
use crate::snapshot::Snapshot;
use checks::{checked, checked_item};
use directory::{AddressKey, DomainName};
use platform::clock::Timestamp;
use platform::store::{Store, StoreError, Tx};

/// The version of `CONSENT_TEXT`.
pub const CONSENT_TEXT_VERSION: &str = "2026-11";

/// What whoever turns inbound TLS on must have agreed to (S4-09).
pub const CONSENT_TEXT: &str = "\
Mail for this domain is then taken over TLS only. Servers that cannot do that get a refusal; their \
mail is not stored, you are not told of it, and it can neither be restored nor delivered later. \
There is no support for mail that was refused this way. Some senders will no longer reach you.

E-Mails an diese Domain werden dann nur noch verschlüsselt (TLS) angenommen. Server, die das nicht \
können, werden abgewiesen; ihre E-Mails werden nicht gespeichert, Sie erfahren nicht davon, und wir \
können sie weder wiederherstellen noch nachträglich zustellen noch dafür Support leisten. Manche \
Absender erreichen Sie dann nicht mehr.";

/// That somebody agreed to the consequences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// Who.
    pub by: String,
    /// To which text.
    pub text_version: String,
}

impl Consent {
    pub(crate) fn stored(&self) -> String {
        format!("{} {}", self.text_version, self.by)
    }

    pub(crate) fn from_stored(text: &str) -> Self {
        let (text_version, by) = text.split_once(' ').unwrap_or((text, ""));
        Self {
            by: by.to_owned(),
            text_version: text_version.to_owned(),
        }
    }
}

/// Why an operation did nothing. The texts are for the person who asked.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// What was asked for makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// What it is about does not exist.
    #[error("{0}")]
    Missing(String),
    /// Something still uses it.
    #[error("{0}")]
    InUse(String),
    /// It needs somebody's consent first.
    #[error("{0}")]
    ConsentNeeded(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who changes something, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub now: Timestamp,
}

/// A setting to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Where.
    pub scope: Scope,
    /// What.
    pub name: Name,
    /// Which of several; empty for most names.
    pub item: String,
    /// The value.
    pub value: Value,
    /// From when on it no longer holds.
    pub expires_at: Option<Timestamp>,
    /// Who agreed to the consequences, where that is needed.
    pub consent: Option<Consent>,
    /// Who answers for it, where it is an exception; one line.
    pub owner: Option<String>,
}

/// What holds for somebody, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// What.
    pub name: Name,
    /// Which of several.
    pub item: String,
    /// The value's text.
    pub value: String,
    /// Where it was set; `None`: it is the default.
    pub origin: Option<Scope>,
}

/// Makes changes. Cheap to clone.
#[derive(Clone)]
pub struct Admin {
    store: Store,
}

impl Admin {
    /// Operations on the policy in `store`.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Makes a setting; gives warnings for the person who asked.
    ///
    /// # Errors
    /// `Invalid` where the name cannot be set there or the value makes no sense, `Missing` where the
    /// scope or a pool does not exist, `ConsentNeeded`, `Store`.
    pub async fn set(&self, wanted: Wanted, author: Author) -> Result<Vec<String>, PolicyError> {
        self.store
            .write(move |tx: &mut dyn Tx| set(tx, wanted.clone(), &author))
            .await
    }

    /// Makes all of these settings, each with its reason, removes those, and has identities be as wanted,
    /// or does nothing, in one transaction.
    ///
    /// # Errors
    /// As `set`; `Missing` for an identity's account, `Invalid` where one has too many.
    pub async fn apply(
        &self,
        wanted: Vec<(String, Wanted)>,
        unwanted: Vec<(Scope, Name, String)>,
        identities: identities::Wanted,
        author: Author,
    ) -> Result<Vec<String>, PolicyError> {
        self.store
            .write(move |tx: &mut dyn Tx| {
                within::apply(tx, &wanted, &unwanted, &identities, &author)
            })
            .await
    }

    /// Removes a setting, so that a wider scope or the default holds again.
    ///
    /// # Errors
    /// `Missing` where it is not set, `InUse` for a pool that is used, `Store`.
    pub async fn unset(
        &self,
        scope: Scope,
        name: Name,
        item: String,
        author: Author,
    ) -> Result<(), PolicyError> {
        self.store
            .write(move |tx: &mut dyn Tx| unset(tx, &scope, name, &item, &author))
            .await
    }

    /// Every setting, by scope, name and item.
    ///
    /// # Errors
    /// `Store`.
    pub async fn settings(&self) -> Result<Vec<Setting>, PolicyError> {
        Ok(self.store.read(rows::settings).await?)
    }

    /// Every setting this version can read, and a sentence for each duty it cannot: for looking at them.
    ///
    /// # Errors
    /// `Store`.
    pub async fn readable_settings(&self) -> Result<(Vec<Setting>, Vec<String>), PolicyError> {
        Ok(self.store.read(rows::readable_settings).await?)
    }

    /// The time zone of the installation, in which dates are meant.
    ///
    /// # Errors
    /// `Store`.
    pub async fn zone(&self) -> Result<crate::measure::Zone, PolicyError> {
        Ok(self.store.read(rows::zone).await?)
    }

    /// The history of a scope or of all, newest first.
    ///
    /// # Errors
    /// `Store`.
    pub async fn history(
        &self,
        scope: Option<Scope>,
        lines_max: i64,
    ) -> Result<Vec<Past>, PolicyError> {
        let read = self
            .store
            .read(move |tx: &mut dyn Tx| rows::history(tx, scope.as_ref(), lines_max));
        Ok(read.await?)
    }

    /// What `text` names: `installation`, an account's address, a domain, a group; with `group:`,
    /// `domain:` or `account:` before it exactly that.
    ///
    /// # Errors
    /// `Missing`, `Store`.
    pub async fn scope(&self, text: &str) -> Result<Scope, PolicyError> {
        let text = text.to_owned();
        self.store
            .read(move |tx: &mut dyn Tx| scope_named(tx, &text))
            .await
    }

    /// What a scope is called by people: an account by its address.
    ///
    /// # Errors
    /// `Store`.
    pub async fn scope_text(&self, scope: &Scope) -> Result<String, PolicyError> {
        if !matches!(scope, Scope::Account(_)) {
            return Ok(scope.to_string());
        }
        let scope = scope.clone();
        let read = self
            .store
            .read(move |tx: &mut dyn Tx| scope_words(tx, &scope));
        Ok(read.await?)
    }

    /// What holds for `scope` as `now`, every name with its origin. For an account its domain and group
    /// count, for a domain its group.
    ///
    /// # Errors
    /// `Missing`, `Store`.
    pub async fn effective(
        &self,
        scope: Scope,
        now: Timestamp,
    ) -> Result<Vec<Effective>, PolicyError> {
        self.store
            .read(move |tx: &mut dyn Tx| {
                let around = Around::of(tx, &scope)?;
                let settings = rows::settings(tx)?;
                Ok::<_, PolicyError>(around.effective(&settings, now))
            })
            .await
    }

    /// The settings of the moment and the sender an account is, for previews.
    ///
    /// # Errors
    /// `Missing`, `Store`.
    pub async fn with_sender<T>(
        &self,
        login: &AddressKey,
        now: Timestamp,
        ask: impl FnOnce(&Snapshot, &Sender<'_>) -> T,
    ) -> Result<T, PolicyError> {
        let wanted = login.clone();
        let (account, group, contents) = self
            .store
            .read(move |tx: &mut dyn Tx| {
                let account = rows::account_of(tx, &wanted)?.ok_or_else(|| no_account(&wanted))?;
                Ok::<_, PolicyError>((
                    account,
                    rows::group_of(tx, account)?,
                    crate::handle::contents(tx)?,
                ))
            })
            .await?;
        let snapshot = Snapshot::build(contents, now);
        let sender = Sender {
            account: Some(account),
            domain: login.domain().as_str(),
            group: group.as_deref(),
        };
        Ok(ask(&snapshot, &sender))
    }
}

pub(crate) fn no_account(login: &AddressKey) -> PolicyError {
    PolicyError::Missing(format!(
        "account {login} does not exist; `rohrpost account list` shows those that do"
    ))
}

fn scope_named(tx: &mut dyn Tx, text: &str) -> Result<Scope, PolicyError> {
    let (kind, name) = match text.split_once(':') {
        Some(("group", name)) => (Some(ScopeKind::Group), name),
        Some(("domain", name)) => (Some(ScopeKind::Domain), name),
        Some(("account", name)) => (Some(ScopeKind::Account), name),
        _ => (None, text),
    };
    if kind.is_none() && name == "installation" {
        return Ok(Scope::Installation);
    }
    let invalid = |error: directory::NameError| PolicyError::Invalid(error.to_string());
    if kind == Some(ScopeKind::Account) || (kind.is_none() && name.contains('@')) {
        let login = AddressKey::parse(name).map_err(invalid)?;
        let account = rows::account_of(tx, &login)?.ok_or_else(|| no_account(&login))?;
        return Ok(Scope::Account(account));
    }
    let group = Scope::Group(name.to_owned());
    if kind != Some(ScopeKind::Domain) && rows::scope_exists(tx, &group)? {
        return Ok(group);
    }
    if kind != Some(ScopeKind::Group)
        && let Ok(domain) = DomainName::parse(name)
    {
        let domain = Scope::Domain(domain);
        if rows::scope_exists(tx, &domain)? {
            return Ok(domain);
        }
    }
    Err(PolicyError::Missing(format!(
        "\"{name}\" is no domain, group or account here; give an address, a domain, a group's name or \
         the word installation"
    )))
}

fn set(tx: &mut dyn Tx, wanted: Wanted, author: &Author) -> Result<Vec<String>, PolicyError> {
    let ended = end_enrolments(tx, &[wanted.name], author)?;
    let mut warnings = put(tx, wanted, author)?;
    warnings.extend(ended);
    Ok(warnings)
}

/// What must end before settings of these names change: enrolments for the legacy hosts that are over and would live
/// again. Gives a sentence where there were any.
fn end_enrolments(
    tx: &mut dyn Tx,
    names: &[Name],
    author: &Author,
) -> Result<Option<String>, PolicyError> {
    let opens = |name: &Name| matches!(name, Name::LegacyAccess | Name::TimeZone);
    if !names.iter().any(opens) {
        return Ok(None);
    }
    let ended = legacy::end_closed(tx, checked_author(author)?)?;
    Ok((ended > 0).then(|| {
        format!(
            "{ended} accounts were enrolled for legacy access that is over; who needs it again is to be enrolled anew"
        )
    }))
}

fn put(tx: &mut dyn Tx, wanted: Wanted, author: &Author) -> Result<Vec<String>, PolicyError> {
    let author = checked_author(author)?;
    let (wanted, mut warnings) = checked(tx, wanted, author.now)?;
    if let Value::Actions(actions) = &wanted.value {
        let touched = actions.iter().filter_map(|action| action.protected());
        warnings.extend(touched.map(|field| {
            format!(
                "an action touches {field}; signatures, loop detection or the story of a message rest on it"
            )
        }));
    }
    // Off is the absence of the row: a lookup then finds nothing to ask.
    if matches!(wanted.value, Value::InboundTls(None)) {
        let before = rows::as_written(tx, &wanted.scope, wanted.name, &wanted.item)?;
        if before.is_some() {
            take(tx, &wanted.scope, wanted.name, &wanted.item, author)?;
        }
        return Ok(warnings);
    }
    let row = Setting {
        scope: wanted.scope,
        name: wanted.name,
        item: wanted.item,
        value: wanted.value,
        expires_at: wanted.expires_at,
        changed_at: author.now,
        changed_by: author.by.clone(),
        reason: author.reason.clone(),
        consent: wanted.consent,
        owner: wanted.owner,
    };
    rows::put(tx, &row)?;
    Ok(warnings)
}

fn unset(
    tx: &mut dyn Tx,
    scope: &Scope,
    name: Name,
    item: &str,
    author: &Author,
) -> Result<(), PolicyError> {
    end_enrolments(tx, &[name], author)?;
    take(tx, scope, name, item, author)
}

fn take(
    tx: &mut dyn Tx,
    scope: &Scope,
    name: Name,
    item: &str,
    author: &Author,
) -> Result<(), PolicyError> {
    let author = checked_author(author)?;
    let item = checked_item(name, item)?;
    if name == Name::PoolAddresses {
        let users = rows::pool_users(tx, &item)?;
        if let Some(first) = users.first() {
            return Err(PolicyError::InUse(format!(
                "pool {item} is still used by {first}{}; give them another pool first",
                match users.len() {
                    1 => String::new(),
                    n => format!(" and {} more", n - 1),
                }
            )));
        }
    }
    let line = Past {
        scope: scope.clone(),
        name: name.to_string(),
        item: item.clone(),
        before: None,
        expires_before: None,
        after: None,
        changed_at: author.now,
        changed_by: author.by.clone(),
        reason: author.reason.clone(),
        consent: None,
    };
    if rows::remove(tx, name, &line)? {
        return Ok(());
    }
    let what = if item.is_empty() {
        name.to_string()
    } else {
        format!("{name} {item}")
    };
    let whose = scope_words(tx, scope)?;
    Err(PolicyError::Missing(format!(
        "{what} is not set for {whose}"
    )))
}

/// What a scope is called by people: an account by its address.
pub(crate) fn scope_words(tx: &mut dyn Tx, scope: &Scope) -> Result<String, StoreError> {
    let login = match scope {
        Scope::Account(number) => rows::login_of(tx, *number)?,
        _ => None,
    };
    Ok(login.map_or_else(|| scope.to_string(), |login| format!("account {login}")))
}

/// A scope and those around it, narrowest first.
struct Around(Vec<Scope>);

impl Around {
    fn of(tx: &mut dyn Tx, scope: &Scope) -> Result<Self, PolicyError> {
        let mut scopes = vec![scope.clone()];
        let group = match scope {
            Scope::Installation => return Ok(Self(scopes)),
            Scope::Group(_) => None,
            Scope::Domain(name) => rows::group_of_domain(tx, name)?,
            Scope::Account(number) => {
                let login = rows::login_of(tx, *number)?
                    .ok_or_else(|| PolicyError::Missing(format!("{scope} does not exist")))?;
                scopes.push(Scope::Domain(login.domain().clone()));
                rows::group_of(tx, *number)?
            }
        };
        scopes.extend(group.map(Scope::Group));
        scopes.push(Scope::Installation);
        Ok(Self(scopes))
    }

    fn effective(&self, settings: &[Setting], now: Timestamp) -> Vec<Effective> {
        let holds = |row: &&Setting| row.expires_at.is_none_or(|end| end > now);
        let rows: Vec<&Setting> = settings
            .iter()
            .filter(holds)
            .filter(|row| self.0.contains(&row.scope))
            .collect();
        NAMES
            .iter()
            .flat_map(|described| self.one(described.name, &rows))
            .collect()
    }

    fn one(&self, name: Name, rows: &[&Setting]) -> Vec<Effective> {
        let described = name.described();
        let place = |row: &Setting| self.0.iter().position(|scope| *scope == row.scope);
        let mut rows: Vec<&Setting> = rows
            .iter()
            .copied()
            .filter(|row| row.name == name)
            .collect();
        rows.sort_by_key(|row| (row.item.clone(), place(row)));
        let shown = |row: &&Setting| Effective {
            name,
            item: row.item.clone(),
            value: row.value.to_string(),
            origin: Some(row.scope.clone()),
        };
        if name.has_items() {
            rows.dedup_by(|later, first| later.item == first.item);
            return rows.iter().map(shown).collect();
        }
        let chosen = match described.combination {
            Combination::MostSpecific | Combination::Single => rows.first(),
            Combination::Strictest => rows.iter().max_by_key(|row| strictness(&row.value)),
            Combination::All => return rows.iter().rev().map(shown).collect(),
        };
        let default = || Effective {
            name,
            item: String::new(),
            value: described.default.to_owned(),
            origin: None,
        };
        vec![chosen.map_or_else(default, shown)]
    }
}

fn strictness(value: &Value) -> Option<crate::model::OutboundTls> {
    match value {
        Value::OutboundTls(demand) => Some(demand.level),
        _ => None,
    }
}

#[cfg(test)]
mod measures_tests;
#[cfg(test)]
mod tests;
