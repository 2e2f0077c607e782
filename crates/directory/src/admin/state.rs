//! Export, plan and apply of the whole directory. A plan changes nothing; an apply is one
//! transaction that plans on what it finds there.

use super::{Admin, AdminError, password};
use crate::password::Verifier;
use crate::rows::read;
use crate::scram::Derivation;
use crate::state::{Change, Scram, State, Wanted, export, parse, plan, problems};
use platform::clock::Timestamp;
use platform::store::{StoreError, Tx};
use std::collections::BTreeMap;

/// What a file would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// In the order in which it would be done.
    pub changes: Vec<Change>,
}

/// Whether an apply may remove accounts, which destroys their mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removals {
    /// It is refused and says how many.
    Refused,
    /// It may.
    Allowed,
}

impl Admin {
    /// The whole directory as values.
    ///
    /// # Errors
    /// `Store`.
    pub async fn state(&self) -> Result<State, AdminError> {
        Ok(self
            .directory
            .store()
            .read(|tx: &mut dyn Tx| read::state(tx))
            .await?)
    }

    /// The whole directory as a TOML file; passwords as hashes.
    ///
    /// # Errors
    /// `Store`.
    pub async fn export(&self) -> Result<String, AdminError> {
        Ok(export(&self.state().await?))
    }

    /// What applying `text` would change. Changes nothing.
    ///
    /// # Errors
    /// `Invalid` with all problems of the file, `Store`.
    pub async fn plan(&self, text: &str) -> Result<Planned, AdminError> {
        let wanted = self.wanted(text).await?;
        let current = self.state().await?;
        Ok(Planned {
            changes: plan(&current, &wanted),
        })
    }

    /// Makes the directory what `text` says, in one transaction; gives what was changed.
    ///
    /// # Errors
    /// `Invalid` with all problems of the file; `InUse` where accounts would be removed and
    /// `removals` refuses that.
    pub async fn apply(
        &self,
        text: &str,
        removals: Removals,
        now: Timestamp,
    ) -> Result<Planned, AdminError> {
        let applied = self.apply_with(text, removals, now, |_| Ok::<_, AdminError>(()));
        Ok(applied.await?.0)
    }

    /// As `apply`, with what `beside` does in the same transaction once the directory is what `text` says: both or
    /// neither. It may run again where the engine retries.
    ///
    /// # Errors
    /// As `apply`, and those of `beside`; nothing was changed then.
    pub async fn apply_with<T, E>(
        &self,
        text: &str,
        removals: Removals,
        now: Timestamp,
        beside: impl FnMut(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<(Planned, T), E>
    where
        T: Send + 'static,
        E: From<AdminError> + From<StoreError> + Send + 'static,
    {
        let wanted = self.wanted(text).await?;
        let decide = move |tx: &mut dyn Tx| {
            let changes = plan(&read::state(tx)?, &wanted);
            let destroyed = changes.iter().filter(|c| c.destroys_mail()).count();
            if destroyed > 0 && removals == Removals::Refused {
                return Err(AdminError::InUse(format!(
                    "this would remove {destroyed} accounts with all their mail; look at the \
                     plan and use --remove-accounts if that is meant"
                )));
            }
            Ok(changes)
        };
        let (changes, told) = self.change_with(now, decide, beside).await?;
        Ok((Planned { changes }, told))
    }

    /// What `text` wants, checked, with passwords given in clear hashed.
    async fn wanted(&self, text: &str) -> Result<State, AdminError> {
        let Wanted {
            mut state,
            clear_passwords,
        } = parse(text)?;
        let problems = problems(&state, self.directory.rules());
        if !problems.is_empty() {
            return Err(AdminError::Invalid(problems.join("\n")));
        }
        let current = self.current_credentials(&state, &clear_passwords).await?;
        for (login, clear) in clear_passwords {
            password::check_length(&clear, self.directory.settings().password_chars_min)
                .map_err(|e| AdminError::Invalid(format!("account {login}: {e}")))?;
            let known = current.get(&login).cloned().flatten();
            if self.is_already(known, &clear).await? {
                continue;
            }
            let derivation = match current.contains_key(&login) {
                true => self.login_derivation(&login).await?,
                false => None,
            };
            let given = password::NewPassword::clear(clear);
            let (hash, scram) = self.hashed_with(&given, derivation).await?;
            if let Some(account) = state.accounts.get_mut(&login) {
                account.credentials.password = hash;
                account.credentials.scram = Some(scram);
            }
        }
        Ok(state)
    }

    /// The stored hashes of the accounts that have a clear password in the file.
    async fn current_credentials(
        &self,
        wanted: &State,
        clear: &BTreeMap<crate::AddressKey, String>,
    ) -> Result<BTreeMap<crate::AddressKey, Option<Verifier>>, AdminError> {
        let logins: Vec<_> = wanted
            .accounts
            .keys()
            .filter(|l| clear.contains_key(l))
            .cloned()
            .collect();
        let found = self
            .directory
            .store()
            .read(move |tx: &mut dyn Tx| {
                let mut found = BTreeMap::new();
                for login in &logins {
                    if let Some(row) = read::account(tx, login)? {
                        found.insert(login.clone(), row.model.credentials.password);
                    }
                }
                Ok::<_, StoreError>(found)
            })
            .await?;
        Ok(found)
    }

    /// Whether the password stands there already, so that a second apply changes nothing.
    async fn is_already(&self, known: Option<Verifier>, clear: &str) -> Result<bool, AdminError> {
        let Some(known) = known else {
            return Ok(false);
        };
        let clear = zeroize::Zeroizing::new(clear.to_owned());
        self.on_worker(move || known.matches(clear.as_bytes()))
            .await
    }

    /// As `hashed`, keeping `derivation` where app passwords hang on it.
    pub(super) async fn hashed_with(
        &self,
        given: &password::NewPassword,
        derivation: Option<Derivation>,
    ) -> Result<(Option<Verifier>, Scram), AdminError> {
        let (hash, scram) = self.hashed(given).await?;
        let Some(derivation) = derivation else {
            return Ok((hash, scram));
        };
        let keys = match given {
            password::NewPassword::Clear(clear) => {
                self.keys(clear, Some(derivation.clone())).await?
            }
            _ => None,
        };
        Ok((hash, Scram { derivation, keys }))
    }
}
