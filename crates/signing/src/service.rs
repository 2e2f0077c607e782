//! The handle the queue holds: signatures for what leaves, seals for forwards, senders rewritten. Keys are read from
//! the store once and kept; in steady state a signature costs no store access.

use crate::field_choice::{Choice, Purpose, choose};
use crate::key::{Algorithm, SigningKey};
use crate::keyring::Keyring;
use crate::message::{Form, body_hash, read_header};
use crate::proof::{Claimed, Evidence};
use crate::secret::Vault;
use crate::signature::{HeaderHash, OpenField, hash_text};
use crate::srs::{Reversed, Srs};
use crate::{InstallationSecret, SigningError, rows};
use directory::DomainName;
use formats::address::Address;
use formats::header;
use platform::clock::Clock;
use platform::dns::Resolver;
use platform::random::Random;
use platform::spool::Spool;
use platform::store::{Store, StoreError, Tx};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Domains whose keys are kept in memory: some 10 KiB each.
const CACHED_DOMAINS_MAX: usize = 20_000;

/// What `Signing::open` needs.
pub struct SigningParts {
    /// Where keys are kept.
    pub store: Store,
    /// Opens them.
    pub secret: InstallationSecret,
    /// The time, for `t=` and for SRS.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// Asked for keys, SPF and DMARC records when a forward is sealed, and whether own keys are published.
    pub resolver: Arc<dyn Resolver>,
    /// The server's own name: the domain of notices and the authserv-id of ARC results.
    pub host: String,
}

/// How a message that is forwarded, or looked at, came here.
#[derive(Debug, Clone)]
pub struct ReceivedFrom {
    /// The client that delivered it.
    pub client: IpAddr,
    /// Its EHLO name.
    pub hello: String,
    /// MAIL FROM as it came; `None` for the null sender.
    pub mail_from: Option<Address>,
    /// The domain that forwards it: that of the alias; empty where it stays here.
    pub forwarded_by: String,
}

/// Signs, seals, rewrites. Cheap to clone; clones share their memory.
#[derive(Clone)]
pub struct Signing {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: Clock,
    random: Random,
    resolver: Arc<dyn Resolver>,
    host: String,
    vault: Vault,
    srs: Srs,
    remembered: Mutex<Remembered>,
}

/// What was read from the store while it had this revision.
struct Remembered {
    revision: i64,
    domains: HashMap<Box<str>, Arc<DomainKeys>>,
}

/// The keys of a domain that sign; empty where it has none.
#[derive(Default)]
pub(crate) struct DomainKeys(pub(crate) Vec<Signer>);

/// A key that signs and its name.
pub(crate) struct Signer {
    pub(crate) selector: String,
    pub(crate) key: SigningKey,
}

impl DomainKeys {
    /// Its RSA key: ARC knows no other (RFC 8617 §4.1.2 leaves it to DKIM; verifiers take RSA).
    pub(crate) fn rsa(&self) -> Option<&Signer> {
        self.0
            .iter()
            .find(|signer| signer.key.algorithm() == Algorithm::Rsa)
    }
}

/// Keys and the domain they are of.
pub(crate) struct Chosen {
    pub(crate) domain: DomainName,
    pub(crate) keys: Arc<DomainKeys>,
}

impl std::fmt::Debug for Signing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signing").finish_non_exhaustive()
    }
}

impl Signing {
    /// Opens the keys of an installation.
    ///
    /// # Errors
    /// Those of the store; `WrongSecret` where its keys were sealed with another secret.
    pub async fn open(parts: SigningParts) -> Result<Self, SigningError> {
        let mark = parts.secret.mark();
        let (revision, known) = parts
            .store
            .write(move |tx: &mut dyn Tx| {
                Ok::<_, StoreError>((rows::revision(tx)?, rows::secret_mark(tx, &mark)?))
            })
            .await?;
        if known != mark {
            return Err(SigningError::WrongSecret);
        }
        let inner = Inner {
            srs: Srs::new(&parts.secret),
            vault: parts.secret.vault()?,
            store: parts.store,
            clock: parts.clock,
            random: parts.random,
            resolver: parts.resolver,
            host: parts.host,
            remembered: Mutex::new(Remembered {
                revision,
                domains: HashMap::new(),
            }),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Changes keys.
    pub fn keyring(&self) -> Keyring<'_> {
        Keyring::new(self)
    }

    /// The server's own name.
    pub fn host(&self) -> &str {
        &self.inner.host
    }

    /// Looks whether keys were changed (by this or another process) and forgets what it remembered if so. Called
    /// once a second and on a control message.
    ///
    /// # Errors
    /// Those of the store; what is remembered stays in use then.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let revision = self
            .inner
            .store
            .read(|tx: &mut dyn Tx| rows::revision(tx))
            .await?;
        self.advance(revision);
        Ok(())
    }

    /// The DKIM-Signature fields for a message that leaves, as whole lines; they go in front of it. `skip` is the
    /// number of bytes at the start of `message` that are not sent (our Return-Path line). Signed with the keys of
    /// `author_domain`, or of `fallback_domain`, or of the host, whichever first has active ones; empty where none
    /// has, which is logged.
    ///
    /// # Errors
    /// Those of the store, of reading the message, and of a damaged key: keep the message and try again.
    pub async fn sign(
        &self,
        message: &Spool,
        skip: u64,
        author_domain: Option<&str>,
        fallback_domain: &str,
    ) -> Result<Vec<u8>, SigningError> {
        let host = self.inner.host.as_str();
        let wanted = author_domain.into_iter().chain([fallback_domain, host]);
        let Some(chosen) = self.first_with_keys(wanted).await? else {
            tracing::warn!(
                author_domain = author_domain.unwrap_or_default(),
                fallback_domain,
                "dkim.unsigned: no key signs; run `rohrpost dkim list`"
            );
            return Ok(Vec::new());
        };
        let header = read_header(message, skip)?;
        let body_hash = hash_text(&body_hash(message, header.body_start, Form::Relaxed).await?);
        let fields: Vec<_> = header::fields(&header.bytes).collect();
        let choice = choose(&fields, Purpose::Signature);
        let hash = HeaderHash::over(&choice);
        let time = self.inner.clock.now().seconds().to_string();
        let mut front = Vec::with_capacity(2048);
        for signer in &chosen.keys.0 {
            let open = OpenField::new("DKIM-Signature").tag("v", "1");
            let open = open_signature(open, signer, &chosen.domain, &time, &choice, &body_hash);
            front.extend_from_slice(&hash.clone().sign(open, &signer.key)?);
        }
        Ok(front)
    }

    /// The ARC set for a message that is forwarded (RFC 8617), as whole lines; it goes in front of it. Empty where
    /// the chain must not be continued or nobody has a key.
    ///
    /// # Errors
    /// As `sign`. DNS failures are no error: they are noted in the set.
    pub async fn seal(
        &self,
        message: &Spool,
        skip: u64,
        received: &ReceivedFrom,
    ) -> Result<Vec<u8>, SigningError> {
        crate::arc::seal(self, message, skip, received).await
    }

    /// Who answers for a message that says it is from a domain hosted here.
    ///
    /// # Errors
    /// As `sign`. DNS failures are no error: they are among the answers.
    pub async fn evidence(&self, claimed: &Claimed<'_>) -> Result<Evidence, SigningError> {
        crate::proof::evidence(self, claimed).await
    }

    /// Domains whose DKIM signature over `message` is valid now, for reports, which must be signed (RFC 8460 §3).
    ///
    /// # Errors
    /// As `sign`. Keys that DNS does not give count as wrong.
    pub async fn signers(&self, message: &Spool, skip: u64) -> Result<Vec<String>, SigningError> {
        crate::arc::signers(self, message, skip).await
    }

    /// The MAIL FROM under which `sender`'s mail is forwarded by an address at `forwarded_by`.
    pub fn srs_forward(&self, sender: &Address, forwarded_by: &str) -> Address {
        let now = self.inner.clock.now();
        self.inner.srs.forward(sender, forwarded_by, now)
    }

    /// Whom mail to `to` is really for, where `to` is a sender rewritten by `srs_forward` in the last 21 days.
    /// `None` otherwise; `srs_ruling` tells why.
    pub fn srs_reverse(&self, to: &Address) -> Option<Address> {
        match self.srs_ruling(to) {
            Reversed::Sender(sender) => Some(sender),
            _ => None,
        }
    }

    /// As `srs_reverse`, with the reason.
    pub fn srs_ruling(&self, to: &Address) -> Reversed {
        self.inner.srs.reverse(to, self.inner.clock.now())
    }

    /// The keys of the first of `domains` that has any.
    pub(crate) async fn first_with_keys(
        &self,
        domains: impl Iterator<Item = &str>,
    ) -> Result<Option<Chosen>, SigningError> {
        for domain in domains {
            let Ok(domain) = DomainName::parse(domain) else {
                continue;
            };
            let keys = self.keys_of(domain.as_str()).await?;
            if !keys.0.is_empty() {
                return Ok(Some(Chosen { domain, keys }));
            }
        }
        Ok(None)
    }

    async fn keys_of(&self, domain: &str) -> Result<Arc<DomainKeys>, SigningError> {
        if let Some(found) = self.remembered().domains.get(domain) {
            return Ok(found.clone());
        }
        let name = domain.to_owned();
        let (revision, stored) = self
            .inner
            .store
            .read(move |tx: &mut dyn Tx| {
                Ok::<_, StoreError>((rows::revision(tx)?, rows::active(tx, &name)?))
            })
            .await?;
        let mut keys = Vec::with_capacity(stored.len());
        for stored in stored {
            keys.push(self.open_key(domain, stored)?);
        }
        let keys = Arc::new(DomainKeys(keys));
        self.advance(revision);
        let mut remembered = self.remembered();
        if remembered.revision == revision {
            if remembered.domains.len() >= CACHED_DOMAINS_MAX {
                remembered.domains.clear();
            }
            remembered.domains.insert(domain.into(), keys.clone());
        }
        Ok(keys)
    }

    fn open_key(&self, domain: &str, stored: rows::SealedKey) -> Result<Signer, SigningError> {
        let selector = stored.selector;
        let key = stored
            .sealed
            .and_then(|sealed| self.inner.vault.open(&sealed, &purpose(domain, &selector)))
            .and_then(|pkcs8| SigningKey::from_pkcs8(stored.algorithm, &pkcs8));
        match key {
            Some(key) => Ok(Signer { selector, key }),
            None => Err(SigningError::Damaged {
                domain: domain.to_owned(),
                selector,
            }),
        }
    }

    /// The sealed form of a key of ours.
    pub(crate) fn seal_key(
        &self,
        key: &SigningKey,
        domain: &str,
        selector: &str,
    ) -> Result<Vec<u8>, SigningError> {
        let plain = key.to_pkcs8()?;
        let purpose = purpose(domain, selector);
        self.inner.vault.seal(&plain, &purpose, &self.inner.random)
    }

    fn advance(&self, revision: i64) {
        let mut remembered = self.remembered();
        if revision > remembered.revision {
            remembered.revision = revision;
            remembered.domains.clear();
        }
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.inner
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    pub(crate) fn resolver(&self) -> &Arc<dyn Resolver> {
        &self.inner.resolver
    }
}

/// What a sealed key is good for.
fn purpose(domain: &str, selector: &str) -> String {
    format!("{selector}._domainkey.{domain}")
}

/// The tags that DKIM-Signature and ARC-Message-Signature share.
pub(crate) fn open_signature(
    field: OpenField,
    signer: &Signer,
    domain: &DomainName,
    time: &str,
    choice: &Choice<'_, '_>,
    body_hash: &str,
) -> OpenField {
    field
        .tag("a", signer.key.algorithm().signature_word())
        .tag("c", "relaxed/relaxed")
        .tag("d", domain.as_str())
        .tag("s", &signer.selector)
        .tag("t", time)
        .names(&choice.names)
        .tag("bh", body_hash)
        .open()
}
