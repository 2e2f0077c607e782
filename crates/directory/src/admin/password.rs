//! A password as an operator gives it, made into what is stored.

use super::{Admin, AdminError};
use crate::limits::PASSWORD_BYTES_MAX;
use crate::password::{Verifier, generate};
use crate::rows::fresh_salt;
use crate::scram::Derivation;
use crate::state::Scram;
use zeroize::Zeroizing;

/// A password as an operator gives it.
#[derive(Clone)]
pub enum NewPassword {
    /// In clear; it is hashed and forgotten.
    Clear(Zeroizing<String>),
    /// A hash from another server; see `password::Verifier` for what is understood.
    Hash(Verifier),
    /// None: the account can be logged into with app passwords only.
    None,
}

impl std::fmt::Debug for NewPassword {
    /// Never shows the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Clear(_) => "Clear",
            Self::Hash(_) => "Hash",
            Self::None => "None",
        })
    }
}

impl NewPassword {
    /// A password in clear.
    pub fn clear(password: impl Into<String>) -> Self {
        Self::Clear(Zeroizing::new(password.into()))
    }
}

impl Admin {
    /// A password of 100 random bits, for `NewPassword::clear`.
    pub fn generate_password(&self) -> Zeroizing<String> {
        Zeroizing::new(generate(self.directory.random()))
    }

    /// Runs `work` on the hash workers.
    pub(super) async fn on_worker<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AdminError> {
        let done = self.directory.pool().run(None, || None, work).await;
        done.map_err(|_| {
            AdminError::Invalid("too many logins are waiting; try again in a moment".into())
        })
    }

    /// What is stored for `password`; the hash is computed on the hash workers.
    pub(super) async fn hashed(
        &self,
        password: &NewPassword,
    ) -> Result<(Option<Verifier>, Scram), AdminError> {
        let settings = self.directory.settings();
        let derivation = Derivation {
            salt: fresh_salt(self.directory.random()),
            iterations: settings.hashing.scram_iterations,
        };
        match password {
            NewPassword::None => Ok((
                None,
                Scram {
                    derivation,
                    keys: None,
                },
            )),
            NewPassword::Hash(hash) => Ok((
                Some(hash.clone()),
                Scram {
                    derivation,
                    keys: None,
                },
            )),
            NewPassword::Clear(clear) => {
                check_length(clear, settings.password_chars_min)?;
                let (clear, random) = (clear.clone(), self.directory.random().clone());
                let hashing = settings.hashing;
                let work = move || {
                    let keys = derivation.keys(clear.as_bytes());
                    let hash = Verifier::make(clear.as_bytes(), &hashing, &random);
                    (
                        Some(hash),
                        Scram {
                            derivation,
                            keys: Some(keys),
                        },
                    )
                };
                self.on_worker(work).await
            }
        }
    }
}

/// Refuses a password that is too short, too long or no text.
pub(super) fn check_length(password: &str, chars_min: usize) -> Result<(), AdminError> {
    let chars = password.chars().count();
    if chars < chars_min {
        return Err(AdminError::Invalid(format!(
            "the password has {chars} characters; at least {chars_min} are needed"
        )));
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(AdminError::Invalid(format!(
            "the password is longer than {PASSWORD_BYTES_MAX} bytes"
        )));
    }
    if password.contains(char::is_control) {
        // RFC 4013 §2.3 and RFC 4616 §2: no mail program could send it.
        return Err(AdminError::Invalid(
            "the password has a control character, such as a line break".into(),
        ));
    }
    Ok(())
}
