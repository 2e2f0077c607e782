//! App passwords: made by the program, shown once, revocable one by one.

use super::{Admin, AdminError, account};
use crate::AddressKey;
use crate::limits::APP_PASSWORDS_MAX;
use crate::password::{AppLimits, AppPasswordHash};
use crate::rows::read;
use crate::scram::{Derivation, Keys};
use crate::state::{AppPassword, Change, label_problem};
use platform::clock::Timestamp;
use platform::store::Tx;
use zeroize::Zeroizing;

/// An app password as it is shown; the password itself is nowhere any more.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AppPasswordView {
    /// What it is for.
    pub label: String,
    /// Seconds since 1970.
    pub created: i64,
    /// Day of its last use, in days since 1970.
    pub last_used_day: Option<i64>,
    /// What it may be used for, as `AppLimits` writes it; empty for everything.
    pub limits: String,
}

impl From<read::AppPasswordRow> for AppPasswordView {
    fn from(row: read::AppPasswordRow) -> Self {
        Self {
            label: row.label,
            created: Timestamp(row.created).seconds(),
            last_used_day: row.last_used_day,
            limits: row.model.limits.to_string(),
        }
    }
}

/// A new app password, in clear for the only time.
#[derive(Debug)]
pub struct NewAppPassword {
    /// To be shown once.
    pub password: Zeroizing<String>,
}

impl Admin {
    /// Makes an app password for an account, good for what `limits` say.
    ///
    /// # Errors
    /// `Missing`, `Exists` (the label), `Invalid` (a bad label, or too many).
    pub async fn add_app_password(
        &self,
        login: &AddressKey,
        label: &str,
        limits: &AppLimits,
        now: Timestamp,
    ) -> Result<NewAppPassword, AdminError> {
        if let Some(problem) = label_problem(label, "app password") {
            return Err(AdminError::Invalid(problem));
        }
        let password = self.generate_password();
        let hash = AppPasswordHash::make(&password, self.directory.random());
        let derivation = self.derivation(login).await?;
        let keys = self.keys(&password, derivation.clone()).await?;
        let (login, label, limits) = (login.clone(), label.to_owned(), limits.clone());
        self.change(now, move |tx| {
            let row = account::require(tx, &login)?;
            let existing = read::app_passwords(tx, row.account)?;
            if existing.iter().any(|app| app.label == label) {
                return Err(AdminError::Exists(format!("account {login} has an app password \"{label}\" already; choose another label")));
            }
            if existing.len() >= APP_PASSWORDS_MAX {
                return Err(AdminError::Invalid(format!("account {login} has {APP_PASSWORDS_MAX} app passwords already; remove some first")));
            }
            // A password set meanwhile brought another salt; SCRAM with this one would never fit.
            let current = row.model.credentials.scram.map(|scram| scram.derivation);
            let keys = keys.filter(|_| current == derivation);
            let app_password = AppPassword { hash: hash.clone(), keys, limits: limits.clone() };
            Ok(vec![Change::AppPasswordAdded { login: login.clone(), label: label.clone(), app_password }])
        })
        .await?;
        Ok(NewAppPassword { password })
    }

    async fn derivation(&self, login: &AddressKey) -> Result<Option<Derivation>, AdminError> {
        let login = login.clone();
        let row = self
            .directory
            .store()
            .read(move |tx: &mut dyn Tx| account::require(tx, &login))
            .await?;
        Ok(row.model.credentials.scram.map(|scram| scram.derivation))
    }

    /// Computed on the hash workers: the derivation may be an imported, costly one.
    pub(super) async fn keys(
        &self,
        password: &Zeroizing<String>,
        derivation: Option<Derivation>,
    ) -> Result<Option<Keys>, AdminError> {
        let password = password.clone();
        let work = move || derivation.map(|derivation| derivation.keys(password.as_bytes()));
        self.on_worker(work).await
    }

    /// Revokes an app password; logins with it end within a second on every node.
    ///
    /// # Errors
    /// `Missing`, `Store`.
    pub async fn remove_app_password(
        &self,
        login: &AddressKey,
        label: &str,
        now: Timestamp,
    ) -> Result<(), AdminError> {
        let (login, label) = (login.clone(), label.to_owned());
        self.change(now, move |tx| {
            let row = account::require(tx, &login)?;
            let existing = read::app_passwords(tx, row.account)?;
            if !existing.iter().any(|app| app.label == label) {
                return Err(AdminError::Missing(format!(
                    "account {login} has no app password \"{label}\""
                )));
            }
            Ok(vec![Change::AppPasswordRemoved {
                login: login.clone(),
                label: label.clone(),
            }])
        })
        .await
        .map(drop)
    }

    /// The app passwords of an account by label.
    ///
    /// # Errors
    /// `Missing`, `Store`.
    pub async fn app_passwords(
        &self,
        login: &AddressKey,
    ) -> Result<Vec<AppPasswordView>, AdminError> {
        let login = login.clone();
        self.directory
            .store()
            .read(move |tx: &mut dyn Tx| {
                let row = account::require(tx, &login)?;
                let rows = read::app_passwords(tx, row.account)?;
                Ok(rows.into_iter().map(AppPasswordView::from).collect())
            })
            .await
    }
}
