//! The way of a login by password: remembered account, back-off, remembered login, hash worker,
//! ruling. One path for every user name, whether it exists or not, so that time says nothing.

use super::account::LoginAccount;
use super::backoff::{Attempt, Digest, Who};
use super::{Claimed, Credential, Login, LoginRuling, Protocol, Refusal, TryLaterReason};
use crate::limits::{PASSWORD_BYTES_MAX, USER_BYTES_MAX};
use crate::password::Verifier;
use crate::rows::write;
use crate::scram::Derivation;
use crate::settings::Hashing;
use crate::state::Scram;
use crate::{AddressBlock, AddressKey, Directory, Hosting};
use platform::clock::Timestamp;
use platform::random::Random;
use platform::store::{StoreError, Tx};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// What a client is told to wait where no rule says how long.
const WAIT_WHEN_BUSY: Duration = Duration::from_secs(30);

/// What the hash worker found.
enum Checked {
    Right(Credential),
    /// Right, and what is stored about it should be written anew.
    Renew(Box<(Verifier, Scram)>),
    Wrong,
}

/// Where and when somebody proved to have the right secret.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) protocol: Protocol,
    pub(crate) peer: IpAddr,
    pub(crate) now: Timestamp,
}

impl Place {
    fn of(login: &Login<'_>) -> Self {
        Self {
            protocol: login.protocol,
            peer: login.peer,
            now: login.now,
        }
    }

    /// Whether this credential of `account` lets in here.
    pub(crate) fn admits(
        &self,
        account: Option<&LoginAccount>,
        credential: &Credential,
    ) -> Result<(), Refusal> {
        if account.is_none_or(|account| account.shut) {
            return Err(Refusal::Suspended);
        }
        match credential {
            Credential::AppPassword {
                limits: Some(limits),
                ..
            } => limits
                .login(self.protocol, self.peer)
                .map_err(Refusal::OutsideLimits),
            _ => Ok(()),
        }
    }
}

/// A login under way.
struct Attempted<'l> {
    login: Login<'l>,
    user: String,
    account: Option<Arc<LoginAccount>>,
    digest: Digest,
    who: Option<Who>,
    /// Why the app password this is lets nobody in here.
    unfit: Option<Refusal>,
}

impl Attempted<'_> {
    /// The answer to what is not let in; a wrong password's where it was one.
    fn refused(&self) -> LoginRuling {
        match self.unfit {
            Some(refusal) => LoginRuling::Refused(refusal),
            None => refused(self.account.as_deref()),
        }
    }
}

impl Directory {
    /// Whether a user may log in with a password. What fails inside is `TryLater`.
    pub async fn login(&self, login: Login<'_>) -> LoginRuling {
        let Some(user) = user_key(login.user) else {
            // Longer than any address: no account, and nothing is learned by saying so quickly.
            return LoginRuling::Refused(Refusal::UnknownUser);
        };
        if login.password.len() > PASSWORD_BYTES_MAX {
            return LoginRuling::Refused(Refusal::WrongPassword);
        }
        let account = match self.login_account(&user).await {
            Ok(account) => account,
            Err(error) => return store_failed(&error),
        };
        let digest = self
            .verified()
            .digest(account.as_deref(), &user, login.password);
        let who = self.back_off().who(&user, login.peer);
        let mut attempted = Attempted {
            login,
            user,
            account,
            digest,
            who,
            unfit: None,
        };
        // Before the remembered logins: asking those costs nothing, so a guesser must not.
        let wait = match &attempted.who {
            Some(who) => self.back_off().wait(who, login.now),
            None => Duration::ZERO,
        };
        if wait.is_zero() {
            let (remembered, place) = (self.verified().get(&digest, login.now), Place::of(&login));
            if let Some(credential) = remembered
                && place
                    .admits(attempted.account.as_deref(), &credential)
                    .is_ok()
            {
                return self
                    .let_in(attempted.account.as_deref(), credential, place)
                    .await;
            }
        }
        let fits = self.fitting_app_password(&mut attempted);
        if !wait.is_zero() && !self.counts_already(&attempted) {
            return back_off(wait);
        }
        self.check(attempted, fits).await
    }

    /// The app password it is, where it lets in here. One that does not is treated as a wrong password from here on: it
    /// costs as much time, and counts as one that differs from the same used rightly.
    fn fitting_app_password(&self, attempted: &mut Attempted<'_>) -> Option<Credential> {
        let (account, login) = (attempted.account.as_deref(), &attempted.login);
        let credential = app_password(account, login.password)?;
        let place = Place::of(login);
        let Err(refusal) = place.admits(account, &credential) else {
            return Some(credential);
        };
        attempted.digest =
            self.verified()
                .digest_elsewhere(&attempted.digest, login.protocol, login.peer);
        attempted.unfit = Some(refusal);
        log_unfit(account, &credential, place, refusal);
        None
    }

    /// Whom `user` names. Without store access where it is remembered.
    ///
    /// # Errors
    /// `TryLater` where the store fails.
    pub async fn claimed(&self, user: &str) -> Result<Claimed, LoginRuling> {
        self.look_up(user)
            .await
            .map_err(|error| store_failed(&error))
    }

    async fn look_up(&self, user: &str) -> Result<Claimed, StoreError> {
        let Some(user) = user_key(user) else {
            return Ok(Claimed {
                user: Box::default(),
                account: None,
                group: None,
            });
        };
        if let Some(account) = self.login_account(&user).await? {
            return Ok(Claimed {
                user: user.into(),
                account: Some(account.account),
                group: account.group.clone(),
            });
        }
        let domain = AddressKey::parse(&user).map(|key| key.domain().clone());
        let group = match domain {
            Ok(domain) => match self.hosting(&domain).await? {
                Hosting::Here(group) => group,
                Hosting::Elsewhere => None,
            },
            Err(_) => None,
        };
        Ok(Claimed {
            user: user.into(),
            account: None,
            group,
        })
    }

    /// A password found wrong before is refused at once, waiting or not; nothing is learned by it.
    fn counts_already(&self, attempted: &Attempted<'_>) -> bool {
        attempted
            .who
            .as_ref()
            .is_some_and(|who| self.back_off().is_known(who, &attempted.digest))
    }

    async fn check(&self, attempted: Attempted<'_>, fits: Option<Credential>) -> LoginRuling {
        let Attempted { login, digest, .. } = attempted;
        if let Some(who) = &attempted.who {
            match self.back_off().begin(who, Some(digest), login.now) {
                Attempt::Check => {}
                Attempt::WrongAgain => return attempted.refused(),
                Attempt::Wait(wait) => return back_off(wait),
            }
        }
        let checked = match fits {
            Some(credential) => Ok(Checked::Right(credential)),
            None => self.check_on_worker(&attempted).await,
        };
        let Ok(checked) = checked else {
            if let Some(who) = &attempted.who {
                self.back_off().withdrawn(who, Some(digest));
            }
            return busy();
        };
        let credential = match checked {
            Checked::Right(credential) => credential,
            Checked::Renew(renewed) => {
                self.renew(&attempted, *renewed).await;
                Credential::Password
            }
            Checked::Wrong => {
                if let Some(who) = &attempted.who {
                    self.back_off().wrong(who, Some(digest));
                }
                return attempted.refused();
            }
        };
        if let Some(who) = &attempted.who {
            self.back_off().right(who);
        }
        self.verified()
            .insert(digest, credential.clone(), login.now);
        self.let_in(attempted.account.as_deref(), credential, Place::of(&login))
            .await
    }

    async fn check_on_worker(
        &self,
        attempted: &Attempted<'_>,
    ) -> Result<Checked, super::pool::Busy> {
        let (now, digest) = (attempted.login.now, attempted.digest);
        let account = attempted.account.clone();
        let password = Zeroizing::new(attempted.login.password.to_vec());
        let (stand_in, random) = (self.stand_in(), self.random().clone());
        let hashing = self.settings().hashing;
        let bits = &self.settings().back_off;
        let peer = attempted.login.peer;
        let block = attempted.who.as_ref().map(|_| {
            AddressBlock::around(
                peer,
                if peer.to_canonical().is_ipv4() {
                    bits.ipv4_prefix_bits
                } else {
                    bits.ipv6_prefix_bits
                },
            )
        });
        let learned_meanwhile = || self.verified().get(&digest, now).map(Checked::Right);
        let work = move || {
            let account = account.as_deref();
            if !is_right(account, &stand_in, &password, &hashing) {
                return Checked::Wrong;
            }
            match account.and_then(|a| renewed(a, &password, &hashing, &random)) {
                Some(renewed) => Checked::Renew(Box::new(renewed)),
                None => Checked::Right(Credential::Password),
            }
        };
        self.pool().run(block, learned_meanwhile, work).await
    }

    /// Writes the renewed hash. The login goes through even if that fails.
    async fn renew(&self, attempted: &Attempted<'_>, (password, scram): (Verifier, Scram)) {
        let Some(account) = &attempted.account else {
            return;
        };
        let (id, revision) = (account.account, account.credential_revision);
        let written = self
            .store()
            .write(move |tx: &mut dyn Tx| {
                write::renew_password(tx, id, revision, &password, &scram)
            })
            .await;
        match written {
            Ok(()) => self.forget_login(&attempted.user),
            Err(error) => tracing::error!(%error, account = id.0, "renew password hash"),
        }
    }

    /// The ruling on a right password.
    pub(crate) async fn let_in(
        &self,
        account: Option<&LoginAccount>,
        credential: Credential,
        place: Place,
    ) -> LoginRuling {
        let Some(account) = account else {
            return LoginRuling::Refused(Refusal::UnknownUser);
        };
        if let Err(refusal) = place.admits(Some(account), &credential) {
            log_unfit(Some(account), &credential, place, refusal);
            return LoginRuling::Refused(refusal);
        }
        if let Some(today) = account.first_use_today(&credential, place.now) {
            self.note_use(account, &credential, today).await;
        }
        LoginRuling::Accepted(account.identity(credential))
    }

    async fn note_use(&self, account: &LoginAccount, credential: &Credential, today: i64) {
        let Credential::AppPassword { label, .. } = credential else {
            return;
        };
        let (id, label) = (account.account, label.clone());
        let noted = self
            .store()
            .write(move |tx: &mut dyn Tx| write::app_password_used(tx, id, &label, today))
            .await;
        if let Err(error) = noted {
            tracing::error!(%error, account = id.0, "note use of app password");
        }
    }
}

/// The peer is told what a wrong password is told; the owner of an app password must find the reason somewhere.
fn log_unfit(
    account: Option<&LoginAccount>,
    credential: &Credential,
    place: Place,
    refusal: Refusal,
) {
    if let Refusal::OutsideLimits(_) = refusal {
        tracing::info!(
            account = account.map(|account| account.account.0),
            ?credential,
            protocol = place.protocol.name(),
            reason = refusal.reason(),
            "app password used where it may not be"
        );
    }
}

/// The user name as it is looked up and counted: an address folded, anything else in lower case;
/// `None` where it is too long for any account.
pub(crate) fn user_key(user: &str) -> Option<String> {
    if user.len() > USER_BYTES_MAX {
        return None;
    }
    Some(AddressKey::parse(user).map_or_else(|_| user.to_lowercase(), |key| key.to_string()))
}

/// Checked before the hash worker is asked: these hashes cost nothing.
fn app_password(account: Option<&LoginAccount>, password: &[u8]) -> Option<Credential> {
    let fits = account?
        .app_passwords
        .iter()
        .find(|app| app.hash.matches(password))?;
    Some(fits.credential())
}

/// Whether `password` is the account's. Where there is no account, no password, or a hash of another
/// cost, the stand-in is computed: every wrong answer costs at least one hash of today's cost.
pub(super) fn is_right(
    account: Option<&LoginAccount>,
    stand_in: &Verifier,
    password: &[u8],
    hashing: &Hashing,
) -> bool {
    let stored = account
        .and_then(|a| a.password.as_ref())
        .unwrap_or(stand_in);
    let right = stored.matches(password);
    if !right && !stored.is_current(hashing) {
        let _ = stand_in.matches(password);
    }
    right
}

/// What should be stored instead of what is, now that the password is known.
fn renewed(
    account: &LoginAccount,
    password: &[u8],
    hashing: &Hashing,
    random: &Random,
) -> Option<(Verifier, Scram)> {
    let stored = account.password.as_ref()?;
    let derivation = account.derivation.as_ref()?;
    // App passwords' keys were made with this derivation, so it stays as long as there are any.
    let derivation = if account.app_passwords.is_empty() {
        Derivation {
            salt: derivation.salt.clone(),
            iterations: hashing.scram_iterations,
        }
    } else {
        derivation.clone()
    };
    let scram_is_current =
        account.keys.is_some() && account.derivation.as_ref() == Some(&derivation);
    if stored.is_current(hashing) && scram_is_current {
        return None;
    }
    let keys = derivation.keys(password);
    Some((
        Verifier::make(password, hashing, random),
        Scram {
            derivation,
            keys: Some(keys),
        },
    ))
}

/// The ruling on a wrong password.
pub(crate) fn refused(account: Option<&LoginAccount>) -> LoginRuling {
    LoginRuling::Refused(match account {
        Some(_) => Refusal::WrongPassword,
        None => Refusal::UnknownUser,
    })
}

pub(crate) fn back_off(wait: Duration) -> LoginRuling {
    LoginRuling::TryLater {
        reason: TryLaterReason::BackOff,
        after: wait,
    }
}

fn busy() -> LoginRuling {
    LoginRuling::TryLater {
        reason: TryLaterReason::Busy,
        after: WAIT_WHEN_BUSY,
    }
}

pub(crate) fn store_failed(error: &StoreError) -> LoginRuling {
    tracing::error!(%error, "look up account");
    LoginRuling::TryLater {
        reason: TryLaterReason::Store,
        after: WAIT_WHEN_BUSY,
    }
}
