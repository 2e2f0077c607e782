//! Policy in the store: the only place with the SQL of settings, their history and what policy must know
//! of the directory. Everything runs inside a transaction of the caller's.

use crate::admin::Consent;
use crate::identities::{Kind, Usable};
use crate::measure::Zone;
use crate::model::{Scope, SendAs};
use crate::setting::{Name, Value};
use directory::{AccountId, AddressKey, DomainName};
use platform::clock::Timestamp;
use platform::params;
use platform::store::{Row, StoreError, Tx};

/// One setting as it stands in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Where.
    pub scope: Scope,
    /// What.
    pub name: Name,
    /// Which of several, such as the destination; empty for most names.
    pub item: String,
    /// The value.
    pub value: Value,
    /// From when on it no longer holds.
    pub expires_at: Option<Timestamp>,
    /// When it was set.
    pub changed_at: Timestamp,
    /// By whom.
    pub changed_by: String,
    /// Why.
    pub reason: String,
    /// Who agreed to the consequences, where that is needed.
    pub consent: Option<Consent>,
    /// Who answers for it, where it is an exception.
    pub owner: Option<String>,
}

/// A setting whose value may be one that only a newer version can read.
pub(crate) struct AsWritten {
    pub(crate) value: String,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) consent: Option<Consent>,
}

/// One line of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// Where.
    pub scope: Scope,
    /// The name's word.
    pub name: String,
    /// Which of several.
    pub item: String,
    /// What held before; `None`: nothing was set.
    pub before: Option<String>,
    /// When that would have ended.
    pub expires_before: Option<Timestamp>,
    /// What held then; `None`: nothing is set any more.
    pub after: Option<String>,
    /// When.
    pub changed_at: Timestamp,
    /// By whom.
    pub changed_by: String,
    /// Why.
    pub reason: String,
    /// Who agreed to the consequences, where that was needed.
    pub consent: Option<Consent>,
}

/// What the columns `scope_kind` and `scope` hold.
pub(crate) fn scope_key(scope: &Scope) -> (i64, String) {
    match scope {
        Scope::Installation => (0, String::new()),
        Scope::Group(name) => (1, name.clone()),
        Scope::Domain(name) => (2, name.to_string()),
        Scope::Account(number) => (3, number.0.to_string()),
    }
}

pub(crate) fn scope_from(kind: i64, text: &str) -> Result<Scope, StoreError> {
    let wrong = || damaged("policy_settings", &format!("has a scope {kind} \"{text}\""));
    match kind {
        0 => Ok(Scope::Installation),
        1 => Ok(Scope::Group(text.to_owned())),
        2 => DomainName::parse(text)
            .map(Scope::Domain)
            .map_err(|_| wrong()),
        3 => text
            .parse()
            .map(|number| Scope::Account(AccountId(number)))
            .map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

/// A row that says what no row may say.
pub(crate) fn damaged(table: &'static str, what: &str) -> StoreError {
    StoreError::Schema(format!("the table {table} {what}"))
}

/// The number that grows with every change.
pub(crate) fn revision(tx: &mut dyn Tx) -> Result<i64, StoreError> {
    tx.one(
        "SELECT value FROM policy_numbers WHERE name = 'revision'",
        params![],
        |row| row.int(0),
    )?
    .ok_or_else(|| damaged("policy_numbers", "has no revision"))
}

/// Counts one change; every node reads its settings again.
pub(crate) fn bump_revision(tx: &mut dyn Tx) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE policy_numbers SET value = value + 1 WHERE name = 'revision'",
        params![],
    )
    .map(drop)
}

/// A row as it is read, and the sentence where this version cannot read it and must not leave it out.
type Read = Result<Option<Setting>, String>;

/// Every setting, by scope, name and item. Names of a newer version are left out, and so are values of a
/// newer version that nobody's safety rests on.
///
/// # Errors
/// Those of the store, and a value that cannot be read of a name that is a duty: to leave it out could
/// lift the duty.
pub(crate) fn settings(tx: &mut dyn Tx) -> Result<Vec<Setting>, StoreError> {
    let (settings, unreadable) = readable_settings(tx)?;
    match unreadable.into_iter().next() {
        None => Ok(settings),
        Some(what) => Err(StoreError::Schema(what)),
    }
}

/// As `settings`, with a sentence for each duty that cannot be read: for who looks, not for who decides.
pub(crate) fn readable_settings(
    tx: &mut dyn Tx,
) -> Result<(Vec<Setting>, Vec<String>), StoreError> {
    let rows = tx.all(
        "SELECT scope_kind, scope, name, item, value, expires_at, changed_at, changed_by, reason, \
         consent, owner FROM policy_settings ORDER BY scope_kind, scope, name, item",
        params![],
        read,
    )?;
    let (mut settings, mut unreadable) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in rows {
        match row {
            Ok(setting) => settings.extend(setting),
            Err(what) => unreadable.push(what),
        }
    }
    Ok((settings, unreadable))
}

/// One setting.
pub(crate) fn one_setting(
    tx: &mut dyn Tx,
    scope: &Scope,
    name: Name,
    item: &str,
) -> Result<Option<Setting>, StoreError> {
    let (kind, key) = scope_key(scope);
    let found = tx.one(
        "SELECT scope_kind, scope, name, item, value, expires_at, changed_at, changed_by, reason, \
         consent, owner FROM policy_settings WHERE scope_kind = ?1 AND scope = ?2 AND name = ?3 AND item = ?4",
        params![kind, &key, name.described().word, item],
        setting,
    )?;
    Ok(found.flatten())
}

/// The time zone of the installation.
pub(crate) fn zone(tx: &mut dyn Tx) -> Result<Zone, StoreError> {
    let set = one_setting(tx, &Scope::Installation, Name::TimeZone, "")?;
    Ok(match set.map(|row| row.value) {
        Some(Value::Word(name)) => Zone::named(&name).unwrap_or_default(),
        _ => Zone::default(),
    })
}

/// One setting as it was written, whichever version wrote it.
pub(crate) fn as_written(
    tx: &mut dyn Tx,
    scope: &Scope,
    name: Name,
    item: &str,
) -> Result<Option<AsWritten>, StoreError> {
    let (kind, key) = scope_key(scope);
    tx.one(
        "SELECT value, expires_at, consent FROM policy_settings \
         WHERE scope_kind = ?1 AND scope = ?2 AND name = ?3 AND item = ?4",
        params![kind, &key, name.described().word, item],
        |row| {
            Ok(AsWritten {
                value: row.text(0)?.to_owned(),
                expires_at: row.maybe_int(1)?.map(Timestamp),
                consent: row.maybe_text(2)?.map(Consent::from_stored),
            })
        },
    )
}

fn setting(row: &dyn Row) -> Result<Option<Setting>, StoreError> {
    read(row)?.map_err(StoreError::Schema)
}

fn read(row: &dyn Row) -> Result<Read, StoreError> {
    let Some(name) = Name::from_word(row.text(2)?) else {
        return Ok(Ok(None));
    };
    let scope = scope_from(row.int(0)?, row.text(1)?)?;
    let value = match Value::parse(name, row.text(4)?) {
        Ok(value) => value,
        Err(why) if name.is_duty() => {
            return Ok(Err(format!(
                "a setting has a value this version cannot read: {name} for {scope}: {why}"
            )));
        }
        Err(_) => return Ok(Ok(None)),
    };
    Ok(Ok(Some(Setting {
        scope,
        name,
        item: row.text(3)?.to_owned(),
        value,
        expires_at: row.maybe_int(5)?.map(Timestamp),
        changed_at: Timestamp(row.int(6)?),
        changed_by: row.text(7)?.to_owned(),
        reason: row.text(8)?.to_owned(),
        consent: row.maybe_text(9)?.map(Consent::from_stored),
        owner: row.maybe_text(10)?.map(str::to_owned),
    })))
}

/// Writes a setting over what is there, and a line of history.
pub(crate) fn put(tx: &mut dyn Tx, new: &Setting) -> Result<(), StoreError> {
    let before = as_written(tx, &new.scope, new.name, &new.item)?;
    let (kind, key) = scope_key(&new.scope);
    let (value, consent) = (
        new.value.to_string(),
        new.consent.as_ref().map(Consent::stored),
    );
    tx.execute(
        "INSERT INTO policy_settings (scope_kind, scope, name, item, value, expires_at, changed_at, \
         changed_by, reason, consent, owner) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
         ON CONFLICT (scope_kind, scope, name, item) DO UPDATE SET value = excluded.value, \
         expires_at = excluded.expires_at, changed_at = excluded.changed_at, \
         changed_by = excluded.changed_by, reason = excluded.reason, consent = excluded.consent, owner = excluded.owner",
        params![
            kind,
            &key,
            new.name.described().word,
            &new.item,
            &value,
            new.expires_at.map(|at| at.0),
            new.changed_at.0,
            &new.changed_by,
            &new.reason,
            consent.as_deref(),
            new.owner.as_deref()
        ],
    )?;
    let line = Past {
        scope: new.scope.clone(),
        name: new.name.to_string(),
        item: new.item.clone(),
        expires_before: before.as_ref().and_then(|old| old.expires_at),
        before: before.map(|old| old.value),
        after: Some(value),
        changed_at: new.changed_at,
        changed_by: new.changed_by.clone(),
        reason: new.reason.clone(),
        consent: new.consent.clone(),
    };
    add_history(tx, &line)?;
    bump_revision(tx)
}

/// Removes a setting and writes a line of history; false where there was none. `line` says who and why.
pub(crate) fn remove(tx: &mut dyn Tx, name: Name, line: &Past) -> Result<bool, StoreError> {
    let Some(before) = as_written(tx, &line.scope, name, &line.item)? else {
        return Ok(false);
    };
    let (kind, key) = scope_key(&line.scope);
    tx.execute(
        "DELETE FROM policy_settings WHERE scope_kind = ?1 AND scope = ?2 AND name = ?3 AND item = ?4",
        params![kind, &key, name.described().word, &line.item],
    )?;
    let line = Past {
        before: Some(before.value),
        expires_before: before.expires_at,
        ..line.clone()
    };
    add_history(tx, &line)?;
    bump_revision(tx)?;
    Ok(true)
}

fn add_history(tx: &mut dyn Tx, line: &Past) -> Result<(), StoreError> {
    let number = tx.one(
        "UPDATE policy_numbers SET value = value + 1 WHERE name = 'last_change' RETURNING value",
        params![],
        |row| row.int(0),
    )?;
    let (kind, key) = scope_key(&line.scope);
    let consent = line.consent.as_ref().map(Consent::stored);
    tx.execute(
        "INSERT INTO policy_changes (scope_kind, scope, change, name, item, value_before, \
         value_after, changed_at, changed_by, reason, consent, expires_before) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![
            kind,
            &key,
            number.unwrap_or(0),
            &line.name,
            &line.item,
            line.before.as_deref(),
            line.after.as_deref(),
            line.changed_at.0,
            &line.changed_by,
            &line.reason,
            consent.as_deref(),
            line.expires_before.map(|at| at.0)
        ],
    )
    .map(drop)
}

/// The history of a scope, newest first, at most `lines_max`; `None`: of all scopes.
pub(crate) fn history(
    tx: &mut dyn Tx,
    scope: Option<&Scope>,
    lines_max: i64,
) -> Result<Vec<Past>, StoreError> {
    let (kind, key) = scope.map_or((-1, String::new()), scope_key);
    tx.all(
        "SELECT scope_kind, scope, name, item, value_before, value_after, changed_at, changed_by, \
         reason, consent, expires_before FROM policy_changes \
         WHERE (?1 = -1 OR (scope_kind = ?1 AND scope = ?2)) ORDER BY change DESC LIMIT ?3",
        params![kind, &key, lines_max],
        past,
    )
}

/// The history of one setting, newest first, at most `lines_max`.
pub(crate) fn history_of(
    tx: &mut dyn Tx,
    scope: &Scope,
    name: Name,
    item: &str,
    lines_max: i64,
) -> Result<Vec<Past>, StoreError> {
    let (kind, key) = scope_key(scope);
    tx.all(
        "SELECT scope_kind, scope, name, item, value_before, value_after, changed_at, changed_by, \
         reason, consent, expires_before FROM policy_changes \
         WHERE scope_kind = ?1 AND scope = ?2 AND name = ?3 AND item = ?4 \
         ORDER BY change DESC LIMIT ?5",
        params![kind, &key, name.described().word, item, lines_max],
        past,
    )
}

fn past(row: &dyn Row) -> Result<Past, StoreError> {
    Ok(Past {
        scope: scope_from(row.int(0)?, row.text(1)?)?,
        name: row.text(2)?.to_owned(),
        item: row.text(3)?.to_owned(),
        before: row.maybe_text(4)?.map(str::to_owned),
        expires_before: row.maybe_int(10)?.map(Timestamp),
        after: row.maybe_text(5)?.map(str::to_owned),
        changed_at: Timestamp(row.int(6)?),
        changed_by: row.text(7)?.to_owned(),
        reason: row.text(8)?.to_owned(),
        consent: row.maybe_text(9)?.map(Consent::from_stored),
    })
}

/// Forgets all settings of a scope that goes, with their history: who comes back under the name must not
/// see them.
pub(crate) fn remove_scope(tx: &mut dyn Tx, scope: &Scope) -> Result<(), StoreError> {
    let (kind, key) = scope_key(scope);
    for sql in [
        "DELETE FROM policy_settings WHERE scope_kind = ?1 AND scope = ?2",
        "DELETE FROM policy_changes WHERE scope_kind = ?1 AND scope = ?2",
        "DELETE FROM policy_usage WHERE scope_kind = ?1 AND scope = ?2",
    ] {
        tx.execute(sql, params![kind, &key])?;
    }
    bump_revision(tx)
}

/// The settings that name a pool, as scopes.
pub(crate) fn pool_users(tx: &mut dyn Tx, pool: &str) -> Result<Vec<Scope>, StoreError> {
    tx.all(
        "SELECT scope_kind, scope FROM policy_settings WHERE name = 'pool' AND value = ?1 LIMIT 100",
        params![pool],
        |row| scope_from(row.int(0)?, row.text(1)?),
    )
}

/// Every address and domain an account may send as beside its own.
pub(crate) fn all_send_as(tx: &mut dyn Tx) -> Result<Vec<(AccountId, Usable)>, StoreError> {
    tx.all(
        "SELECT account, domain, local, kind FROM policy_identities WHERE code_hash IS NULL \
         ORDER BY account",
        params![],
        |row| {
            let usable = Usable {
                send_as: send_as_from(row.text(1)?, row.text(2)?)?,
                kind: Kind::from_number(row.int(3)?),
            };
            Ok((AccountId(row.int(0)?), usable))
        },
    )
}

/// An empty local part stands for every address of the domain.
pub(crate) fn send_as_from(domain: &str, local: &str) -> Result<SendAs, StoreError> {
    let domain = DomainName::parse(domain)
        .map_err(|_| damaged("policy_identities", &format!("has a domain \"{domain}\"")))?;
    Ok(match local {
        "" => SendAs::AnyAt(domain),
        local => SendAs::Address(AddressKey::new(local, domain)),
    })
}

/// Whether the directory has what a scope names.
pub(crate) fn scope_exists(tx: &mut dyn Tx, scope: &Scope) -> Result<bool, StoreError> {
    let found = match scope {
        Scope::Installation => return Ok(true),
        Scope::Group(name) => tx.one(
            "SELECT 1 FROM directory_groups WHERE name = ?1",
            params![name],
            |row| row.int(0),
        )?,
        Scope::Domain(name) => tx.one(
            "SELECT 1 FROM directory_domains WHERE domain = ?1",
            params![name.as_str()],
            |row| row.int(0),
        )?,
        Scope::Account(number) => tx.one(
            "SELECT 1 FROM directory_accounts WHERE account = ?1",
            params![number.0],
            |row| row.int(0),
        )?,
    };
    Ok(found.is_some())
}

/// The number of the account with this login address.
pub(crate) fn account_of(
    tx: &mut dyn Tx,
    login: &AddressKey,
) -> Result<Option<AccountId>, StoreError> {
    tx.one(
        "SELECT account FROM directory_accounts WHERE domain = ?1 AND local = ?2",
        params![login.domain().as_str(), login.local()],
        |row| row.int(0).map(AccountId),
    )
}

/// The login address of an account.
pub(crate) fn login_of(
    tx: &mut dyn Tx,
    account: AccountId,
) -> Result<Option<AddressKey>, StoreError> {
    let found = tx.one(
        "SELECT domain, local FROM directory_accounts WHERE account = ?1",
        params![account.0],
        |row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned())),
    )?;
    found
        .map(|(domain, local)| {
            let domain = DomainName::parse(&domain)
                .map_err(|_| damaged("directory_accounts", "has a bad domain"))?;
            Ok(AddressKey::new(&local, domain))
        })
        .transpose()
}

/// The group that counts for an account: its own, or its domain's.
pub(crate) fn group_of(tx: &mut dyn Tx, account: AccountId) -> Result<Option<String>, StoreError> {
    let found = tx.one(
        "SELECT a.group_name, d.group_name FROM directory_accounts a \
         JOIN directory_domains d ON d.domain = a.domain WHERE a.account = ?1",
        params![account.0],
        |row| {
            let own = row.maybe_text(0)?.map(str::to_owned);
            Ok(own.or(row.maybe_text(1)?.map(str::to_owned)))
        },
    )?;
    Ok(found.flatten())
}

/// The hosted domains a scope is about: an account's own, a group's (with those of its accounts), all of
/// the installation.
///
/// # Errors
/// Those of the store.
pub fn domains_of(tx: &mut dyn Tx, scope: &Scope) -> Result<Vec<String>, StoreError> {
    let domain = |row: &dyn Row| row.text(0).map(str::to_owned);
    match scope {
        Scope::Domain(name) => Ok(vec![name.to_string()]),
        Scope::Account(number) => {
            let login = login_of(tx, *number)?;
            Ok(login
                .iter()
                .map(|login| login.domain().to_string())
                .collect())
        }
        Scope::Group(name) => tx.all(
            "SELECT domain FROM directory_domains WHERE group_name = ?1 \
             UNION SELECT domain FROM directory_accounts WHERE group_name = ?1 ORDER BY 1",
            params![name],
            domain,
        ),
        Scope::Installation => tx.all(
            "SELECT domain FROM directory_domains ORDER BY domain",
            params![],
            domain,
        ),
    }
}

/// A domain's group.
pub(crate) fn group_of_domain(
    tx: &mut dyn Tx,
    domain: &DomainName,
) -> Result<Option<String>, StoreError> {
    let found = tx.one(
        "SELECT group_name FROM directory_domains WHERE domain = ?1",
        params![domain.as_str()],
        |row| Ok(row.maybe_text(0)?.map(str::to_owned)),
    )?;
    Ok(found.flatten())
}

/// Forgets everything about an account that goes. Part of the transaction that removes it.
///
/// # Errors
/// Those of the store.
pub fn remove_account(tx: &mut dyn Tx, account: AccountId) -> Result<(), StoreError> {
    // Others may no longer send as an address that may soon be somebody else's.
    if let Some(login) = login_of(tx, account)? {
        remove_address(tx, &login)?;
    }
    for sql in [
        "DELETE FROM policy_identities WHERE account = ?1",
        "DELETE FROM policy_recipients WHERE account = ?1",
    ] {
        tx.execute(sql, params![account.0])?;
    }
    crate::findings::remove_account(tx, account)?;
    crate::connections::remove_account(tx, account)?;
    crate::legacy::remove_account(tx, account)?;
    remove_scope(tx, &Scope::Account(account))
}

/// Forgets who else may send as an address that goes, an alias or that of an account: who gets it next
/// must not be sent for. Part of the transaction that removes it.
///
/// # Errors
/// Those of the store.
pub fn remove_address(tx: &mut dyn Tx, address: &AddressKey) -> Result<(), StoreError> {
    let removed = tx.execute(
        "DELETE FROM policy_identities WHERE domain = ?1 AND local = ?2",
        params![address.domain().as_str(), address.local()],
    )?;
    match removed {
        0 => Ok(()),
        _ => bump_revision(tx),
    }
}

/// Forgets everything about a domain that goes. Part of the transaction that removes it.
///
/// # Errors
/// Those of the store.
pub fn remove_domain(tx: &mut dyn Tx, domain: &DomainName) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM policy_identities WHERE domain = ?1",
        params![domain.as_str()],
    )?;
    crate::findings::servers::remove_domain(tx, domain)?;
    remove_scope(tx, &Scope::Domain(domain.clone()))
}

/// Forgets everything about a group that goes. Part of the transaction that removes it.
///
/// # Errors
/// Those of the store.
pub fn remove_group(tx: &mut dyn Tx, group: &str) -> Result<(), StoreError> {
    remove_scope(tx, &Scope::Group(group.to_owned()))
}
