//! Reads accounts for login and whole states for export and plans.

use super::facts::{maybe_address, stored_address};
use super::{damaged, pop3_delete_from, status_from};
use crate::password::{AppLimits, AppPasswordHash, Verifier};
use crate::resolution::Status;
use crate::scram::{Derivation, Keys};
use crate::state::{Account, AppPassword, Credentials, Domain, Group, Profile, Scram, State};
use crate::{AccountId, AddressKey, DomainName};
use platform::params;
use platform::store::{Row, StoreError, Tx};
use std::collections::BTreeMap;

/// An account with all that login needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccountRow {
    pub(crate) account: AccountId,
    pub(crate) model: Account,
    /// Milliseconds since 1970.
    pub(crate) created: i64,
    /// Grows when a credential changes in a way that must end remembered logins.
    pub(crate) credential_revision: i64,
}

/// What is kept about an app password beside its model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AppPasswordRow {
    pub(crate) label: String,
    pub(crate) model: AppPassword,
    /// Milliseconds since 1970.
    pub(crate) created: i64,
    /// Days since 1970.
    pub(crate) last_used_day: Option<i64>,
}

const ACCOUNT_BY_ADDRESS: &str = "SELECT a.account, a.domain, a.local, a.status, a.group_name, \
     a.pop3_delete, a.created, a.password, a.scram_salt, a.scram_iterations, a.scram_stored_key, \
     a.scram_server_key, a.credential_revision \
     FROM directory_addresses n JOIN directory_accounts a ON a.account = n.account \
     WHERE n.domain = ?1 AND n.local = ?2";
const ALL_ACCOUNTS: &str = "SELECT account, domain, local, status, group_name, pop3_delete, \
     created, password, scram_salt, scram_iterations, scram_stored_key, scram_server_key, \
     credential_revision FROM directory_accounts";

/// The account with this login address, without its app passwords.
pub(crate) fn account(
    tx: &mut dyn Tx,
    login: &AddressKey,
) -> Result<Option<AccountRow>, StoreError> {
    let found = tx.one(
        ACCOUNT_BY_ADDRESS,
        params![login.domain().as_str(), login.local()],
        account_row,
    )?;
    Ok(found.map(|(_, row)| row))
}

/// The status and group of a domain.
pub(crate) fn domain(tx: &mut dyn Tx, name: &DomainName) -> Result<Option<Domain>, StoreError> {
    tx.one(
        "SELECT status, group_name, catch_all, contact FROM directory_domains WHERE domain = ?1",
        params![name.as_str()],
        |row| domain_row(row, 0),
    )
}

/// The app passwords of an account, by label.
pub(crate) fn app_passwords(
    tx: &mut dyn Tx,
    account: AccountId,
) -> Result<Vec<AppPasswordRow>, StoreError> {
    tx.all(
        "SELECT label, hash, scram_stored_key, scram_server_key, created, last_used_day, limits \
         FROM directory_app_passwords WHERE account = ?1 ORDER BY label",
        params![account.0],
        |row| app_password_row(row, 0),
    )
}

/// The whole directory.
pub(crate) fn state(tx: &mut dyn Tx) -> Result<State, StoreError> {
    let mut state = State::default();
    let groups = tx.all(
        "SELECT name, description FROM directory_groups",
        params![],
        |row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned())),
    )?;
    for (name, description) in groups {
        state.groups.insert(name, Group { description });
    }
    let domains = tx.all(
        "SELECT domain, status, group_name, catch_all, contact FROM directory_domains",
        params![],
        |row| Ok((stored_domain(row.text(0)?)?, domain_row(row, 1)?)),
    )?;
    state.domains.extend(domains);
    accounts(tx, &mut state)?;
    let targets = tx.all(
        "SELECT domain, local, target FROM directory_targets",
        params![],
        |row| Ok((key(row, 0)?, stored_address(row.text(2)?)?)),
    )?;
    for (address, target) in targets {
        state.aliases.entry(address).or_default().insert(target);
    }
    Ok(state)
}

fn accounts(tx: &mut dyn Tx, state: &mut State) -> Result<(), StoreError> {
    let mut apps: BTreeMap<i64, BTreeMap<String, AppPassword>> = BTreeMap::new();
    let rows = tx.all(
        "SELECT account, label, hash, scram_stored_key, scram_server_key, created, last_used_day, limits \
         FROM directory_app_passwords",
        params![],
        |row| Ok((row.int(0)?, app_password_row(row, 1)?)),
    )?;
    for (account, row) in rows {
        apps.entry(account)
            .or_default()
            .insert(row.label, row.model);
    }
    for (login, row) in tx.all(ALL_ACCOUNTS, params![], account_row)? {
        let mut model = row.model;
        model.credentials.app_passwords = Some(apps.remove(&row.account.0).unwrap_or_default());
        state.accounts.insert(login, model);
    }
    Ok(())
}

fn account_row(row: &dyn Row) -> Result<(AddressKey, AccountRow), StoreError> {
    let login = key(row, 1)?;
    let password = match row.maybe_text(7)? {
        None => None,
        Some(text) => Some(Verifier::parse(text).map_err(|e| {
            damaged(
                "directory_accounts",
                &format!("has a bad password hash for {login}: {e}"),
            )
        })?),
    };
    let derivation = Derivation {
        salt: row.bytes(8)?.to_vec(),
        iterations: u32::try_from(row.int(9)?)
            .map_err(|_| damaged("directory_accounts", "has bad SCRAM iterations"))?,
    };
    let model = Account {
        profile: Profile {
            status: status_from(row.int(3)?)?,
            group: row.maybe_text(4)?.map(str::to_owned),
            pop3_delete: pop3_delete_from(row.int(5)?)?,
        },
        credentials: Credentials {
            password,
            scram: Some(Scram {
                derivation,
                keys: keys(row, 10)?,
            }),
            app_passwords: None,
        },
    };
    Ok((
        login,
        AccountRow {
            account: AccountId(row.int(0)?),
            model,
            created: row.int(6)?,
            credential_revision: row.int(12)?,
        },
    ))
}

fn app_password_row(row: &dyn Row, from: usize) -> Result<AppPasswordRow, StoreError> {
    let hash = AppPasswordHash::parse(row.text(from + 1)?)
        .map_err(|_| damaged("directory_app_passwords", "has a bad hash"))?;
    Ok(AppPasswordRow {
        label: row.text(from)?.to_owned(),
        model: AppPassword {
            hash,
            keys: keys(row, from + 2)?,
            limits: limits(row.maybe_text(from + 6)?)?,
        },
        created: row.int(from + 4)?,
        last_used_day: row.maybe_int(from + 5)?,
    })
}

/// Whether an app password sent fewer than `in_hour` messages in `hour` and fewer than `in_day` in `day`.
pub(crate) fn app_password_may_send(
    tx: &mut dyn Tx,
    account: AccountId,
    label: &str,
    (hour, in_hour): (i64, i64),
    (day, in_day): (i64, i64),
) -> Result<bool, StoreError> {
    let found = tx.one(
        "SELECT 1 FROM directory_app_passwords WHERE account = ?1 AND label = ?2 \
         AND CASE WHEN sent_hour = ?3 THEN sent_in_hour ELSE 0 END < ?4 \
         AND CASE WHEN sent_day = ?5 THEN sent_in_day ELSE 0 END < ?6",
        params![account.0, label, hour, in_hour, day, in_day],
        |row| row.int(0),
    )?;
    Ok(found.is_some())
}

fn limits(text: Option<&str>) -> Result<AppLimits, StoreError> {
    let read = text.map_or_else(|| Ok(AppLimits::default()), str::parse);
    read.map_err(|_| damaged("directory_app_passwords", "has bad limits"))
}

fn domain_row(row: &dyn Row, from: usize) -> Result<Domain, StoreError> {
    Ok(Domain {
        status: status_from(row.int(from)?)?,
        group: row.maybe_text(from + 1)?.map(str::to_owned),
        catch_all: maybe_address(row, from + 2)?,
        contact: maybe_address(row, from + 3)?,
    })
}

/// Stored key and server key in `column` and the next.
fn keys(row: &dyn Row, column: usize) -> Result<Option<Keys>, StoreError> {
    if row.is_null(column)? || row.is_null(column + 1)? {
        return Ok(None);
    }
    match (
        row.bytes(column)?.try_into(),
        row.bytes(column + 1)?.try_into(),
    ) {
        (Ok(stored_key), Ok(server_key)) => Ok(Some(Keys {
            stored_key,
            server_key,
        })),
        _ => Err(damaged(
            "directory_accounts",
            "has SCRAM keys of the wrong size",
        )),
    }
}

/// Domain and local part in `column` and the next.
pub(crate) fn key(row: &dyn Row, column: usize) -> Result<AddressKey, StoreError> {
    let domain = stored_domain(row.text(column)?)?;
    Ok(AddressKey::new(row.text(column + 1)?, domain))
}

pub(crate) fn stored_domain(text: &str) -> Result<DomainName, StoreError> {
    DomainName::parse(text).map_err(|_| {
        damaged(
            "directory_domains",
            &format!("holds \"{text}\", which is no domain"),
        )
    })
}

/// Whether an account of this status in such a domain is shut.
pub(crate) fn is_shut(account: Status, domain: Option<&Domain>) -> bool {
    account == Status::Suspended || domain.is_none_or(|d| d.status == Status::Suspended)
}
