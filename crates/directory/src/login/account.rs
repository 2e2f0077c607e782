//! An account as login needs it: read once, shared by all its logins until the directory changes.

use super::{Credential, Identity, Pop3Delete};
use crate::password::{AppLimits, AppPasswordHash, Verifier};
use crate::rows::read;
use crate::scram::{Derivation, Keys};
use crate::{AccountId, AddressKey};
use platform::clock::Timestamp;
use platform::store::{StoreError, Tx};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

#[derive(Debug)]
pub(crate) struct LoginAccount {
    pub(crate) account: AccountId,
    pub(crate) login: Arc<str>,
    pub(crate) group: Option<Arc<str>>,
    pub(crate) pop3_delete: Pop3Delete,
    /// The account or its domain is suspended.
    pub(crate) shut: bool,
    pub(crate) password: Option<Verifier>,
    pub(crate) derivation: Option<Derivation>,
    pub(crate) keys: Option<Keys>,
    pub(crate) app_passwords: Vec<LoginAppPassword>,
    pub(crate) credential_revision: i64,
}

#[derive(Debug)]
pub(crate) struct LoginAppPassword {
    pub(crate) label: Arc<str>,
    pub(crate) hash: AppPasswordHash,
    pub(crate) keys: Option<Keys>,
    pub(crate) limits: Option<Arc<AppLimits>>,
    /// Days since 1970, -1 for never; here too, so that a day's second login writes nothing.
    last_used_day: AtomicI64,
}

const DAY_SECONDS: i64 = 86_400;

impl LoginAppPassword {
    pub(crate) fn credential(&self) -> Credential {
        Credential::AppPassword {
            label: self.label.clone(),
            limits: self.limits.clone(),
        }
    }
}

impl LoginAccount {
    pub(crate) fn read(tx: &mut dyn Tx, login: &AddressKey) -> Result<Option<Self>, StoreError> {
        let Some(row) = read::account(tx, login)? else {
            return Ok(None);
        };
        let domain = read::domain(tx, login.domain())?;
        let app_passwords = read::app_passwords(tx, row.account)?
            .into_iter()
            .map(|app| LoginAppPassword {
                label: app.label.into(),
                hash: app.model.hash,
                keys: app.model.keys,
                limits: (!app.model.limits.is_unlimited()).then(|| Arc::new(app.model.limits)),
                last_used_day: AtomicI64::new(app.last_used_day.unwrap_or(-1)),
            })
            .collect();
        let profile = row.model.profile;
        let credentials = row.model.credentials;
        let (derivation, keys) = match credentials.scram {
            Some(scram) => (Some(scram.derivation), scram.keys),
            None => (None, None),
        };
        Ok(Some(Self {
            account: row.account,
            login: login.to_string().into(),
            shut: read::is_shut(profile.status, domain.as_ref()),
            group: profile
                .group
                .or(domain.and_then(|d| d.group))
                .map(Arc::from),
            pop3_delete: profile.pop3_delete,
            password: credentials.password,
            derivation,
            keys,
            app_passwords,
            credential_revision: row.credential_revision,
        }))
    }

    pub(crate) fn identity(&self, credential: Credential) -> Identity {
        Identity {
            account: self.account,
            login: self.login.clone(),
            group: self.group.clone(),
            pop3_delete: self.pop3_delete,
            credential,
        }
    }

    /// Whether what is stored for the password is not what would be stored today.
    pub(crate) fn lacks_keys(&self) -> bool {
        self.password.is_some() && self.keys.is_none()
    }

    /// The day to write where `credential` is an app password that was not used today.
    pub(crate) fn first_use_today(&self, credential: &Credential, now: Timestamp) -> Option<i64> {
        let Credential::AppPassword { label, .. } = credential else {
            return None;
        };
        let today = now.seconds().div_euclid(DAY_SECONDS);
        let app = self.app_passwords.iter().find(|app| app.label == *label)?;
        (app.last_used_day.swap(today, Ordering::Relaxed) != today).then_some(today)
    }
}
