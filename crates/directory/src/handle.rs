//! The handle the rim holds: resolutions and accounts from memory, from the store where they are not
//! remembered. Forgets everything when the directory's revision moves; in steady state neither a
//! recipient nor a login costs a store access.

use crate::cache::Cache;
use crate::login::account::LoginAccount;
use crate::login::backoff::BackOffTable;
use crate::login::pool::HashPool;
use crate::login::verified::VerifiedLogins;
use crate::password::Verifier;
use crate::resolution::{self, Rules};
use crate::rows::facts::StoreFacts;
use crate::{AddressKey, DomainName, Resolution, Settings, rows};
use formats::address::Address;
use platform::random::Random;
use platform::store::{Store, StoreError, Tx};
use std::sync::{Arc, Mutex, MutexGuard};

/// Answers where mail goes and who may log in. Cheap to clone; all clones share one memory.
#[derive(Clone)]
pub struct Directory {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    settings: Settings,
    rules: Rules,
    random: Random,
    remembered: Mutex<Remembered>,
    verified: Mutex<VerifiedLogins>,
    back_off: Mutex<BackOffTable>,
    pool: HashPool,
    stand_in: Arc<Verifier>,
    scram_secret: [u8; 32],
    /// The answer for every address of a domain that is not hosted here.
    elsewhere: Arc<Resolution>,
}

/// What was read from the store while it had this revision.
struct Remembered {
    revision: i64,
    /// Separate, so that a flood of names that do not exist does not push out those that do.
    found: Cache<Address, Arc<Resolution>>,
    refused: Cache<Address, Arc<Resolution>>,
    accounts: Cache<Box<str>, Arc<LoginAccount>>,
    unknown_users: Cache<Box<str>, ()>,
    domains: Cache<DomainName, Hosting>,
}

/// Whether a domain is hosted here, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosting {
    /// It is not.
    Elsewhere,
    /// It is; of this group, where it has one.
    Here(Option<Arc<str>>),
}

impl Hosting {
    /// The group of a hosted domain.
    pub fn group(&self) -> Option<&str> {
        match self {
            Self::Elsewhere => None,
            Self::Here(group) => group.as_deref(),
        }
    }
}

impl Remembered {
    /// Forgets everything if the directory is past what is remembered.
    fn advance(&mut self, revision: i64) {
        if revision > self.revision {
            self.revision = revision;
            self.found.clear();
            self.refused.clear();
            self.accounts.clear();
            self.unknown_users.clear();
            self.domains.clear();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Directory {
    /// A handle on the directory in `store`; makes the installation's secret at the first start.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn open(
        store: Store,
        settings: Settings,
        random: Random,
    ) -> Result<Self, StoreError> {
        let mut candidate = [0; 32];
        random.fill(&mut candidate);
        let (revision, scram_secret) = store
            .write(move |tx: &mut dyn Tx| {
                let secret = rows::secret(tx, "scram", &candidate)?;
                Ok::<_, StoreError>((rows::revision(tx)?, secret))
            })
            .await?;
        let entries = settings.cache_entries_max;
        let inner = Inner {
            remembered: Mutex::new(Remembered {
                revision,
                found: Cache::new(entries),
                refused: Cache::new(entries),
                accounts: Cache::new(entries),
                unknown_users: Cache::new(entries),
                domains: Cache::new(entries),
            }),
            verified: Mutex::new(VerifiedLogins::new(&settings, &random)),
            back_off: Mutex::new(BackOffTable::new(settings.back_off.clone())),
            pool: HashPool::new(settings.hash_workers, settings.hash_queue_max),
            stand_in: Arc::new(Verifier::stand_in(&settings.hashing)),
            rules: Rules {
                detail_separator: settings.detail_separator,
                postmaster: settings.postmaster.clone(),
            },
            scram_secret,
            elsewhere: Arc::new(Resolution::NoSuchDomain),
            store,
            settings,
            random,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The settings it was opened with.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The store it reads.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// How addresses are read here.
    pub fn rules(&self) -> &Rules {
        &self.inner.rules
    }

    /// Looks whether the directory was changed (by this or another process) and forgets what it
    /// remembered if so. Called once a second and on a control message.
    ///
    /// # Errors
    /// Those of the store; what is remembered stays in use then.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let revision = self
            .inner
            .store
            .read(|tx: &mut dyn Tx| rows::revision(tx))
            .await?;
        lock(&self.inner.remembered).advance(revision);
        Ok(())
    }

    /// Where mail for `address` goes. Without store access where it is remembered.
    ///
    /// # Errors
    /// Those of the store: a temporary failure (SMTP 451 4.3.0).
    pub async fn resolve(&self, address: &Address) -> Result<Arc<Resolution>, StoreError> {
        {
            let mut remembered = lock(&self.inner.remembered);
            if let Some(found) = remembered.found.get_mut(address) {
                return Ok(found.clone());
            }
            if let Some(refused) = remembered.refused.get_mut(address) {
                return Ok(refused.clone());
            }
            // Customers write to ever new addresses elsewhere: what is known of the domain is enough.
            if let Some(key) = AddressKey::of(address)
                && remembered.domains.get_mut(key.domain()) == Some(&mut Hosting::Elsewhere)
            {
                return Ok(self.inner.elsewhere.clone());
            }
        }
        let (rules, wanted) = (self.inner.rules.clone(), address.clone());
        let (revision, resolution) = self
            .inner
            .store
            .read(move |tx: &mut dyn Tx| {
                let revision = rows::revision(tx)?;
                let found = resolution::resolve(&mut StoreFacts::new(tx), &rules, &wanted)?;
                Ok::<_, StoreError>((revision, found))
            })
            .await?;
        let resolution = Arc::new(resolution);
        self.remember(revision, |remembered| {
            let key = AddressKey::of(address);
            let cache = match (&*resolution, key) {
                (Resolution::NoSuchDomain, Some(key)) => {
                    let domain = key.domain().clone();
                    remembered.domains.insert(domain, Hosting::Elsewhere);
                    return;
                }
                (Resolution::Local { .. }, _) => &mut remembered.found,
                _ => &mut remembered.refused,
            };
            cache.insert(address.clone(), resolution.clone());
        });
        Ok(resolution)
    }

    /// Where mail for `address` goes by what was made for it, for the question whose sender it is. As
    /// `resolve`, which it is for all but postmaster and abuse; see `resolution::resolve_assigned`.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn resolve_assigned(&self, address: &Address) -> Result<Arc<Resolution>, StoreError> {
        // What cannot be a role address is remembered as it is for mail.
        let local = address.local().as_bytes();
        let begins = |name: &&[u8]| {
            let head = local.get(..name.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(name))
        };
        if ![&b"postmaster"[..], b"abuse"].iter().any(begins) {
            return self.resolve(address).await;
        }
        let (rules, wanted) = (self.inner.rules.clone(), address.clone());
        self.inner
            .store
            .read(move |tx: &mut dyn Tx| {
                resolution::resolve_assigned(&mut StoreFacts::new(tx), &rules, &wanted)
                    .map(Arc::new)
            })
            .await
    }

    /// Whether `domain` is hosted here and whose it is. Without store access where it is remembered.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn hosting(&self, domain: &DomainName) -> Result<Hosting, StoreError> {
        if let Some(known) = lock(&self.inner.remembered).domains.get_mut(domain) {
            return Ok(known.clone());
        }
        let wanted = domain.clone();
        let (revision, hosting) = self
            .inner
            .store
            .read(move |tx: &mut dyn Tx| {
                let revision = rows::revision(tx)?;
                Ok::<_, StoreError>((revision, rows::facts::hosting(tx, &wanted)?))
            })
            .await?;
        self.remember(revision, |remembered| {
            remembered.domains.insert(domain.clone(), hosting.clone());
        });
        Ok(hosting)
    }

    /// Where mail for `<Postmaster>` without a domain goes (RFC 5321 §4.1.1.3); `written` is what
    /// Delivered-To shall show, such as postmaster@ with the server's own name.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn resolve_postmaster(&self, written: &Address) -> Result<Resolution, StoreError> {
        let (rules, written) = (self.inner.rules.clone(), written.clone());
        self.inner
            .store
            .read(move |tx: &mut dyn Tx| {
                resolution::resolve_postmaster(&mut StoreFacts::new(tx), &rules, &written)
            })
            .await
    }

    /// The account with this login name, as login needs it.
    pub(crate) async fn login_account(
        &self,
        user: &str,
    ) -> Result<Option<Arc<LoginAccount>>, StoreError> {
        {
            let mut remembered = lock(&self.inner.remembered);
            if let Some(account) = remembered.accounts.get_mut(user) {
                return Ok(Some(account.clone()));
            }
            if remembered.unknown_users.get_mut(user).is_some() {
                return Ok(None);
            }
        }
        let Ok(login) = AddressKey::parse(user) else {
            return Ok(None);
        };
        let (revision, account) = self
            .inner
            .store
            .read(move |tx: &mut dyn Tx| {
                let revision = rows::revision(tx)?;
                Ok::<_, StoreError>((revision, LoginAccount::read(tx, &login)?))
            })
            .await?;
        let account = account.map(Arc::new);
        self.remember(revision, |remembered| match &account {
            Some(account) => remembered.accounts.insert(user.into(), account.clone()),
            None => remembered.unknown_users.insert(user.into(), ()),
        });
        Ok(account)
    }

    /// Forgets one account whose row was renewed without a new revision.
    pub(crate) fn forget_login(&self, user: &str) {
        lock(&self.inner.remembered).accounts.remove(user);
    }

    /// Keeps what was read while the directory had `revision`, unless it has moved on since: what is
    /// older than what is remembered must never enter.
    fn remember(&self, revision: i64, keep: impl FnOnce(&mut Remembered)) {
        let mut remembered = lock(&self.inner.remembered);
        remembered.advance(revision);
        if revision == remembered.revision {
            keep(&mut remembered);
        }
    }

    pub(crate) fn random(&self) -> &Random {
        &self.inner.random
    }

    pub(crate) fn verified(&self) -> MutexGuard<'_, VerifiedLogins> {
        lock(&self.inner.verified)
    }

    pub(crate) fn back_off(&self) -> MutexGuard<'_, BackOffTable> {
        lock(&self.inner.back_off)
    }

    pub(crate) fn pool(&self) -> &HashPool {
        &self.inner.pool
    }

    pub(crate) fn stand_in(&self) -> Arc<Verifier> {
        self.inner.stand_in.clone()
    }

    pub(crate) fn scram_secret(&self) -> &[u8; 32] {
        &self.inner.scram_secret
    }
}
