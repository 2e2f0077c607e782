//! Carries out changes. Says nothing about whether they make sense: `state::problems` and the admin
//! operations have decided that in the same transaction.

use super::{bump_revision, damaged, fresh_salt, pop3_delete_number, read, status_number};
use crate::admin::AccountHooks;
use crate::limits::SCRAM_ITERATIONS_MIN;
use crate::password::Verifier;
use crate::scram::{Derivation, Keys};
use crate::state::{Account, AppPassword, Change, Domain, Profile, Scram};
use crate::{AccountId, AddressKey, DomainName};
use platform::clock::Timestamp;
use platform::params;
use platform::random::Random;
use platform::store::{StoreError, Tx};

/// What carrying out needs beside the change.
pub(crate) struct Hands<'h> {
    pub(crate) hooks: &'h dyn AccountHooks,
    pub(crate) random: &'h Random,
    pub(crate) now: Timestamp,
}

/// Carries out all changes in order and counts one revision; nothing at all for none.
pub(crate) fn carry_out(
    tx: &mut dyn Tx,
    changes: &[Change],
    hands: &Hands<'_>,
) -> Result<(), StoreError> {
    if changes.is_empty() {
        return Ok(());
    }
    for change in changes {
        one(tx, change, hands)?;
    }
    bump_revision(tx).map(drop)
}

fn one(tx: &mut dyn Tx, change: &Change, hands: &Hands<'_>) -> Result<(), StoreError> {
    match change {
        Change::GroupAdded { name, group } | Change::GroupChanged { name, to: group } => tx
            .execute(
                "INSERT INTO directory_groups (name, description) VALUES (?1, ?2) \
                 ON CONFLICT (name) DO UPDATE SET description = excluded.description",
                params![name, &group.description],
            )
            .map(drop),
        Change::GroupRemoved { name } => {
            hands.hooks.group_removed(tx, name)?;
            tx.execute(
                "DELETE FROM directory_groups WHERE name = ?1",
                params![name],
            )
            .map(drop)
        }
        Change::DomainAdded { name, domain }
        | Change::DomainChanged {
            name, to: domain, ..
        } => put_domain(tx, name, domain, hands.now),
        Change::DomainRemoved { name } => {
            hands.hooks.domain_removed(tx, name)?;
            tx.execute(
                "DELETE FROM directory_domains WHERE domain = ?1",
                params![name.as_str()],
            )
            .map(drop)
        }
        Change::AccountAdded { login, account } => add_account(tx, login, account, hands),
        Change::AccountChanged { login, to, .. } => set_profile(tx, login, to),
        Change::AccountRemoved { login } => remove_account(tx, login, hands),
        Change::PasswordReplaced {
            login,
            password,
            scram,
        } => replace_password(tx, login, password.as_ref(), scram.as_ref()),
        Change::PasswordRemoved { login } => remove_password(tx, login),
        Change::AppPasswordAdded {
            login,
            label,
            app_password,
        } => {
            let account = known(tx, login)?.account;
            add_app_password(tx, account, label, app_password, hands.now)?;
            end_remembered_logins(tx, account)
        }
        Change::AppPasswordRemoved { login, label } => {
            let account = known(tx, login)?.account;
            tx.execute(
                "DELETE FROM directory_app_passwords WHERE account = ?1 AND label = ?2",
                params![account.0, label],
            )?;
            end_remembered_logins(tx, account)
        }
        other => one_alias(tx, other, hands),
    }
}

/// The changes of aliases.
fn one_alias(tx: &mut dyn Tx, change: &Change, hands: &Hands<'_>) -> Result<(), StoreError> {
    match change {
        Change::AliasAdded { address, to } => {
            insert_address(tx, address, None)?;
            to.iter()
                .try_for_each(|target| add_target(tx, address, &target.to_string()))
        }
        Change::TargetAdded { address, target } => add_target(tx, address, &target.to_string()),
        Change::TargetRemoved { address, target } => tx
            .execute(
                "DELETE FROM directory_targets WHERE domain = ?1 AND local = ?2 AND target = ?3",
                params![
                    address.domain().as_str(),
                    address.local(),
                    &target.to_string()
                ],
            )
            .map(drop),
        Change::AliasRemoved { address } => {
            hands.hooks.alias_removed(tx, address)?;
            tx.execute(
                "DELETE FROM directory_targets WHERE domain = ?1 AND local = ?2",
                params![address.domain().as_str(), address.local()],
            )?;
            delete_address(tx, address)
        }
        // Everything else is `one`'s.
        _ => Ok(()),
    }
}

fn put_domain(
    tx: &mut dyn Tx,
    name: &DomainName,
    domain: &Domain,
    now: Timestamp,
) -> Result<(), StoreError> {
    let text = |address: &Option<_>| address.as_ref().map(ToString::to_string);
    let (catch_all, contact): (Option<String>, Option<String>) =
        (text(&domain.catch_all), text(&domain.contact));
    tx.execute(
        "INSERT INTO directory_domains (domain, status, group_name, catch_all, contact, created) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (domain) DO UPDATE SET \
         status = excluded.status, group_name = excluded.group_name, \
         catch_all = excluded.catch_all, contact = excluded.contact",
        params![
            name.as_str(),
            status_number(domain.status),
            domain.group.as_deref(),
            catch_all.as_deref(),
            contact.as_deref(),
            now.0,
        ],
    )
    .map(drop)
}

fn add_account(
    tx: &mut dyn Tx,
    login: &AddressKey,
    account: &Account,
    hands: &Hands<'_>,
) -> Result<(), StoreError> {
    // A counter and not the highest number in use: a removed account's number must not come back.
    let id = tx
        .one(
            "UPDATE directory_numbers SET value = value + 1 WHERE name = 'last_account' \
             RETURNING value",
            params![],
            |row| row.int(0),
        )?
        .map(AccountId)
        .ok_or_else(|| damaged("directory_numbers", "has no last_account"))?;
    let Account {
        profile,
        credentials,
    } = account;
    let scram = credentials.scram.clone().unwrap_or_else(|| Scram {
        derivation: Derivation {
            salt: fresh_salt(hands.random),
            iterations: SCRAM_ITERATIONS_MIN,
        },
        keys: None,
    });
    insert_address(tx, login, Some(id))?;
    let password = credentials.password.as_ref().map(ToString::to_string);
    tx.execute(
        "INSERT INTO directory_accounts (account, domain, local, status, group_name, pop3_delete, \
         created, password, scram_salt, scram_iterations, scram_stored_key, scram_server_key, \
         credential_revision) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 1)",
        params![
            id.0,
            login.domain().as_str(),
            login.local(),
            status_number(profile.status),
            profile.group.as_deref(),
            pop3_delete_number(profile.pop3_delete),
            hands.now.0,
            password.as_deref(),
            &scram.derivation.salt,
            scram.derivation.iterations,
            stored_key(scram.keys.as_ref()),
            server_key(scram.keys.as_ref()),
        ],
    )?;
    for (label, app_password) in credentials.app_passwords.iter().flatten() {
        add_app_password(tx, id, label, app_password, hands.now)?;
    }
    hands.hooks.added(tx, id)
}

fn remove_account(
    tx: &mut dyn Tx,
    login: &AddressKey,
    hands: &Hands<'_>,
) -> Result<(), StoreError> {
    let id = known(tx, login)?.account;
    hands.hooks.removed(tx, id)?;
    tx.execute(
        "DELETE FROM directory_app_passwords WHERE account = ?1",
        params![id.0],
    )?;
    tx.execute(
        "DELETE FROM directory_accounts WHERE account = ?1",
        params![id.0],
    )?;
    delete_address(tx, login)
}

fn set_profile(tx: &mut dyn Tx, login: &AddressKey, to: &Profile) -> Result<(), StoreError> {
    let id = known(tx, login)?.account;
    tx.execute(
        "UPDATE directory_accounts SET status = ?2, group_name = ?3, pop3_delete = ?4 \
         WHERE account = ?1",
        params![
            id.0,
            status_number(to.status),
            to.group.as_deref(),
            pop3_delete_number(to.pop3_delete),
        ],
    )
    .map(drop)
}

fn replace_password(
    tx: &mut dyn Tx,
    login: &AddressKey,
    password: Option<&Verifier>,
    scram: Option<&Scram>,
) -> Result<(), StoreError> {
    let row = known(tx, login)?;
    let mut credentials = row.model.credentials;
    let before = credentials.scram.as_ref().map(|s| s.derivation.clone());
    credentials.replace_password(password.cloned(), scram.cloned());
    let after = credentials.scram.as_ref();
    if let Some(after) = after {
        store_password(tx, row.account, credentials.password.as_ref(), after)?;
    }
    if before.as_ref() != after.map(|s| &s.derivation) {
        tx.execute(
            "UPDATE directory_app_passwords SET scram_stored_key = NULL, scram_server_key = NULL \
             WHERE account = ?1",
            params![row.account.0],
        )?;
    }
    end_remembered_logins(tx, row.account)
}

fn remove_password(tx: &mut dyn Tx, login: &AddressKey) -> Result<(), StoreError> {
    let row = known(tx, login)?;
    let mut credentials = row.model.credentials;
    credentials.remove_password();
    if let Some(scram) = &credentials.scram {
        store_password(tx, row.account, None, scram)?;
    }
    end_remembered_logins(tx, row.account)
}

fn store_password(
    tx: &mut dyn Tx,
    account: AccountId,
    password: Option<&Verifier>,
    scram: &Scram,
) -> Result<(), StoreError> {
    let password = password.map(ToString::to_string);
    tx.execute(
        "UPDATE directory_accounts SET password = ?2, scram_salt = ?3, scram_iterations = ?4, \
         scram_stored_key = ?5, scram_server_key = ?6 WHERE account = ?1",
        params![
            account.0,
            password.as_deref(),
            &scram.derivation.salt,
            scram.derivation.iterations,
            stored_key(scram.keys.as_ref()),
            server_key(scram.keys.as_ref()),
        ],
    )
    .map(drop)
}

/// Writes today's hash and SCRAM keys of a password that has just proved right, unless the
/// credentials were changed meanwhile. No revision is counted: the password is the same, and a
/// provider that imports 100,000 accounts must not have its memory emptied at each first login.
pub(crate) fn renew_password(
    tx: &mut dyn Tx,
    account: AccountId,
    credential_revision: i64,
    password: &Verifier,
    scram: &Scram,
) -> Result<(), StoreError> {
    let unchanged = tx.one(
        "SELECT 1 FROM directory_accounts WHERE account = ?1 AND credential_revision = ?2",
        params![account.0, credential_revision],
        |row| row.int(0),
    )?;
    match unchanged {
        Some(_) => store_password(tx, account, Some(password), scram),
        None => Ok(()),
    }
}

/// Notes that an app password was used on `day` (days since 1970).
pub(crate) fn app_password_used(
    tx: &mut dyn Tx,
    account: AccountId,
    label: &str,
    day: i64,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE directory_app_passwords SET last_used_day = ?3 WHERE account = ?1 AND label = ?2",
        params![account.0, label, day],
    )
    .map(drop)
}

fn add_app_password(
    tx: &mut dyn Tx,
    account: AccountId,
    label: &str,
    app_password: &AppPassword,
    now: Timestamp,
) -> Result<(), StoreError> {
    let limits = &app_password.limits;
    let limits = (!limits.is_unlimited()).then(|| limits.to_string());
    tx.execute(
        "INSERT INTO directory_app_passwords (account, label, hash, scram_stored_key, \
         scram_server_key, created, last_used_day, limits) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, ?7)",
        params![
            account.0,
            label,
            &app_password.hash.to_string(),
            stored_key(app_password.keys.as_ref()),
            server_key(app_password.keys.as_ref()),
            now.0,
            limits.as_deref(),
        ],
    )
    .map(drop)
}

/// Counts one more message sent with an app password, where that keeps it below `in_hour` and `in_day`;
/// says whether it did. `hour` and `day` count from 1970.
pub(crate) fn app_password_sends(
    tx: &mut dyn Tx,
    account: AccountId,
    label: &str,
    (hour, in_hour): (i64, i64),
    (day, in_day): (i64, i64),
) -> Result<bool, StoreError> {
    let counted = tx.execute(
        "UPDATE directory_app_passwords SET \
         sent_in_hour = CASE WHEN sent_hour = ?3 THEN sent_in_hour + 1 ELSE 1 END, sent_hour = ?3, \
         sent_in_day = CASE WHEN sent_day = ?5 THEN sent_in_day + 1 ELSE 1 END, sent_day = ?5 \
         WHERE account = ?1 AND label = ?2 \
         AND CASE WHEN sent_hour = ?3 THEN sent_in_hour ELSE 0 END < ?4 \
         AND CASE WHEN sent_day = ?5 THEN sent_in_day ELSE 0 END < ?6",
        params![account.0, label, hour, in_hour, day, in_day],
    )?;
    Ok(counted > 0)
}

fn end_remembered_logins(tx: &mut dyn Tx, account: AccountId) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE directory_accounts SET credential_revision = credential_revision + 1 \
         WHERE account = ?1",
        params![account.0],
    )
    .map(drop)
}

fn insert_address(
    tx: &mut dyn Tx,
    address: &AddressKey,
    account: Option<AccountId>,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO directory_addresses (domain, local, account) VALUES (?1, ?2, ?3)",
        params![
            address.domain().as_str(),
            address.local(),
            account.map(|a| a.0)
        ],
    )
    .map(drop)
}

fn delete_address(tx: &mut dyn Tx, address: &AddressKey) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM directory_addresses WHERE domain = ?1 AND local = ?2",
        params![address.domain().as_str(), address.local()],
    )
    .map(drop)
}

fn add_target(tx: &mut dyn Tx, address: &AddressKey, target: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO directory_targets (domain, local, target) VALUES (?1, ?2, ?3)",
        params![address.domain().as_str(), address.local(), target],
    )
    .map(drop)
}

fn known(tx: &mut dyn Tx, login: &AddressKey) -> Result<read::AccountRow, StoreError> {
    read::account(tx, login)?
        .ok_or_else(|| damaged("directory_accounts", &format!("has no account {login}")))
}

fn stored_key(keys: Option<&Keys>) -> Option<&[u8]> {
    keys.map(|keys| keys.stored_key.as_slice())
}

fn server_key(keys: Option<&Keys>) -> Option<&[u8]> {
    keys.map(|keys| keys.server_key.as_slice())
}
