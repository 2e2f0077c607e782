//! Operations on accounts.

use super::password::NewPassword;
use super::references::{self, Going};
use super::{Admin, AdminError, AppPasswordView, Dependents, Setting, domain, group};
use crate::login::Pop3Delete;
use crate::resolution::Status;
use crate::rows::{facts, read};
use crate::state::{Account, Change, Credentials, Profile};
use crate::{AccountId, AddressKey, DomainName};
use formats::address::Address;
use platform::clock::Timestamp;
use platform::params;
use platform::store::{StoreError, Tx};
use std::collections::BTreeMap;

/// An account as it is shown. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AccountView {
    /// Its login address.
    pub login: String,
    /// Its number, which is never given again.
    pub id: i64,
    /// `active` or `suspended`.
    pub status: &'static str,
    /// Its own group.
    pub group: Option<String>,
    /// What POP3 DELE does: `remove`, `trash` or `keep`.
    pub pop3_delete: &'static str,
    /// How its password is stored, such as `ARGON2ID`; `None`: it has none.
    pub password_scheme: Option<String>,
    /// Whether SCRAM-SHA-256 works with its password already.
    pub scram: bool,
    /// Its app passwords.
    pub app_passwords: Vec<AppPasswordView>,
    /// Aliases that lead to it directly.
    pub aliases: Vec<String>,
    /// Seconds since 1970.
    pub created: i64,
}

/// An account to be added, or what to change about one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewAccount {
    /// Its status; `None` leaves it.
    pub status: Option<Status>,
    /// Its own group.
    pub group: Setting<String>,
    /// What POP3 DELE does; `None` leaves it.
    pub pop3_delete: Option<Pop3Delete>,
}

impl NewAccount {
    fn over(&self, tx: &mut dyn Tx, old: Profile) -> Result<Profile, AdminError> {
        if let Setting::To(name) = &self.group {
            group::require(tx, name)?;
        }
        Ok(Profile {
            status: self.status.unwrap_or(old.status),
            group: self.group.over(old.group),
            pop3_delete: self.pop3_delete.unwrap_or(old.pop3_delete),
        })
    }
}

impl Admin {
    /// Adds an account; its mailboxes are made in the same transaction by the hooks.
    ///
    /// # Errors
    /// `Exists` (also an alias of that name), `Missing` (its domain or group), `Invalid` (a password
    /// that is too short).
    pub async fn add_account(
        &self,
        login: &AddressKey,
        new: &NewAccount,
        password: &NewPassword,
        now: Timestamp,
    ) -> Result<AccountId, AdminError> {
        check_local(login)?;
        let (hash, scram) = self.hashed(password).await?;
        let (key, new) = (login.clone(), new.clone());
        self.change(now, move |tx| {
            domain::require(tx, key.domain())?;
            refuse_taken(tx, &key)?;
            let account = Account {
                profile: new.over(tx, Profile::default())?,
                credentials: Credentials {
                    password: hash.clone(),
                    scram: Some(scram.clone()),
                    app_passwords: Some(BTreeMap::new()),
                },
            };
            Ok(vec![Change::AccountAdded {
                login: key.clone(),
                account,
            }])
        })
        .await?;
        self.account_id(login).await
    }

    /// The number of an account.
    ///
    /// # Errors
    /// `Missing`, `Store`.
    pub async fn account_id(&self, login: &AddressKey) -> Result<AccountId, AdminError> {
        let wanted = login.clone();
        let found = self
            .directory
            .store()
            .read(move |tx: &mut dyn Tx| read::account(tx, &wanted))
            .await?;
        found.map(|row| row.account).ok_or_else(|| missing(login))
    }

    /// Changes an account; gives what changed, in words.
    ///
    /// # Errors
    /// `Missing`, `Store`.
    pub async fn set_account(
        &self,
        login: &AddressKey,
        new: &NewAccount,
        now: Timestamp,
    ) -> Result<Vec<Change>, AdminError> {
        let (login, new) = (login.clone(), new.clone());
        self.change(now, move |tx| {
            let from = require(tx, &login)?.model.profile;
            let to = new.over(tx, from.clone())?;
            if from == to {
                return Ok(Vec::new());
            }
            Ok(vec![Change::AccountChanged {
                login: login.clone(),
                from,
                to,
            }])
        })
        .await
    }

    /// Replaces an account's password, or removes it (`NewPassword::None`); its app passwords stay. Remembered logins end at once.
    ///
    /// # Errors
    /// `Missing`, `Invalid` (too short), `Store`.
    pub async fn set_password(
        &self,
        login: &AddressKey,
        password: &NewPassword,
        now: Timestamp,
    ) -> Result<(), AdminError> {
        let current = self.login_derivation(login).await?;
        let (hash, scram) = self.hashed_with(password, current).await?;
        let login = login.clone();
        self.change(now, move |tx| {
            require(tx, &login)?;
            let login = login.clone();
            Ok(vec![match hash.clone() {
                None => Change::PasswordRemoved { login },
                password => Change::PasswordReplaced {
                    login,
                    password,
                    scram: Some(scram.clone()),
                },
            }])
        })
        .await
        .map(drop)
    }

    /// Removes an account with all its mail.
    ///
    /// # Errors
    /// `Missing`; `InUse` where aliases, contacts or catch-alls lead to it and may not be changed.
    pub async fn remove_account(
        &self,
        login: &AddressKey,
        dependents: Dependents,
        now: Timestamp,
    ) -> Result<Vec<Change>, AdminError> {
        let login = login.clone();
        let rules = self.directory.rules().clone();
        self.change(now, move |tx| {
            require(tx, &login)?;
            let references = references::to_address(tx, &rules, &login)?;
            if dependents == Dependents::Keep && !references.is_empty() {
                return Err(AdminError::InUse(format!(
                    "{} still leads to {login}; change that first or use --with-aliases",
                    references.named()
                )));
            }
            let gone = |going: &AddressKey| *going == login;
            let mut changes = Going::new(&rules, &gone).ended(tx, references)?;
            changes.push(Change::AccountRemoved {
                login: login.clone(),
            });
            Ok(changes)
        })
        .await
    }

    /// The accounts of a domain, or all, by address.
    ///
    /// # Errors
    /// `Store`.
    pub async fn accounts(
        &self,
        domain: Option<&DomainName>,
    ) -> Result<Vec<AccountView>, AdminError> {
        let domain = domain.map(|d| d.as_str().to_owned());
        let rules = self.directory.rules().clone();
        self.directory
            .store()
            .read(move |tx: &mut dyn Tx| {
                let keys = tx.all(
                    "SELECT domain, local FROM directory_accounts \
                     WHERE domain = ?1 OR ?2 = 1 ORDER BY domain, local",
                    params![domain.as_deref().unwrap_or_default(), domain.is_none()],
                    |row| read::key(row, 0),
                )?;
                keys.iter().map(|key| view(tx, &rules, key)).collect()
            })
            .await
    }

    /// One account.
    ///
    /// # Errors
    /// `Missing`, `Store`.
    pub async fn account(&self, login: &AddressKey) -> Result<AccountView, AdminError> {
        let (login, rules) = (login.clone(), self.directory.rules().clone());
        self.directory
            .store()
            .read(move |tx: &mut dyn Tx| view(tx, &rules, &login))
            .await
    }
}

/// RFC 5321 §4.5.3.1.1, measured as it is stored.
pub(super) fn check_local(address: &AddressKey) -> Result<(), AdminError> {
    match Address::parse(&address.to_string()) {
        Ok(_) => Ok(()),
        Err(error) => Err(AdminError::Invalid(format!(
            "{address} cannot be used: {error}"
        ))),
    }
}

fn missing(login: &AddressKey) -> AdminError {
    AdminError::Missing(format!("account {login} does not exist"))
}

pub(super) fn require(tx: &mut dyn Tx, login: &AddressKey) -> Result<read::AccountRow, AdminError> {
    read::account(tx, login)?.ok_or_else(|| missing(login))
}

/// An address is an account or an alias, never both.
pub(super) fn refuse_taken(tx: &mut dyn Tx, address: &AddressKey) -> Result<(), AdminError> {
    use crate::resolution::{Entry, Facts as _};
    match facts::StoreFacts::new(tx).entry(address)? {
        None => Ok(()),
        Some(Entry::Account { .. }) => Err(AdminError::Exists(format!(
            "{address} is an account already"
        ))),
        Some(Entry::Alias { .. }) => {
            Err(AdminError::Exists(format!("{address} is an alias already")))
        }
    }
}

fn view(
    tx: &mut dyn Tx,
    rules: &crate::resolution::Rules,
    login: &AddressKey,
) -> Result<AccountView, AdminError> {
    let row = require(tx, login)?;
    let app_passwords = read::app_passwords(tx, row.account)?;
    let aliases = references::to_address(tx, rules, login)?.targets;
    let Account {
        profile,
        credentials,
    } = row.model;
    Ok(AccountView {
        login: login.to_string(),
        id: row.account.0,
        status: profile.status.word(),
        group: profile.group,
        pop3_delete: profile.pop3_delete.word(),
        password_scheme: credentials
            .password
            .as_ref()
            .map(|hash| scheme(&hash.to_string())),
        scram: credentials.scram.is_some_and(|scram| scram.keys.is_some()),
        app_passwords: app_passwords
            .into_iter()
            .map(AppPasswordView::from)
            .collect(),
        aliases: aliases
            .into_iter()
            .map(|(alias, _)| alias.to_string())
            .collect(),
        created: Timestamp(row.created).seconds(),
    })
}

/// `ARGON2ID` of `{ARGON2ID}…`.
fn scheme(hash: &str) -> String {
    hash.trim_start_matches('{')
        .split('}')
        .next()
        .unwrap_or_default()
        .to_owned()
}

impl Admin {
    /// The derivation an account's app passwords hang on.
    pub(super) async fn login_derivation(
        &self,
        login: &AddressKey,
    ) -> Result<Option<crate::scram::Derivation>, AdminError> {
        let wanted = login.clone();
        let found = self
            .directory
            .store()
            .read(move |tx: &mut dyn Tx| {
                let Some(row) = read::account(tx, &wanted)? else {
                    return Ok(None);
                };
                let has_apps = !read::app_passwords(tx, row.account)?.is_empty();
                Ok::<_, StoreError>(Some((row, has_apps)))
            })
            .await?;
        let (row, has_apps) = found.ok_or_else(|| missing(login))?;
        let scram = row.model.credentials.scram;
        Ok(scram.map(|s| s.derivation).filter(|_| has_apps))
    }
}
