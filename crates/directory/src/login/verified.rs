//! Correct logins remembered for a few minutes as keyed digests, so that a mail program that opens
//! ten connections pays for one hash. The key is made anew by every process and never stored; the
//! digest names the account's credential revision, so a changed password ends it at once.

use super::account::LoginAccount;
use super::backoff::Digest;
use super::{Credential, Protocol};
use crate::Settings;
use crate::cache::Cache;
use platform::clock::Timestamp;
use platform::random::Random;
use std::net::IpAddr;
use std::time::Duration;

pub(crate) struct VerifiedLogins {
    key: [u8; 32],
    entries: Cache<Digest, (Credential, Timestamp)>,
    kept_for: Duration,
}

impl VerifiedLogins {
    pub(crate) fn new(settings: &Settings, random: &Random) -> Self {
        let mut key = [0; 32];
        random.fill(&mut key);
        Self {
            key,
            entries: Cache::new(settings.logins_remembered_max),
            kept_for: settings.login_remembered,
        }
    }

    /// The digest of `password` for `account`, or for a user name without one.
    pub(crate) fn digest(
        &self,
        account: Option<&LoginAccount>,
        user: &str,
        password: &[u8],
    ) -> Digest {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        match account {
            Some(account) => {
                hasher.update(b"a");
                hasher.update(&account.account.0.to_le_bytes());
                hasher.update(&account.credential_revision.to_le_bytes());
            }
            None => {
                hasher.update(b"u");
                hasher.update(&(user.len() as u64).to_le_bytes());
                hasher.update(user.as_bytes());
            }
        }
        hasher.update(password);
        *hasher.finalize().as_bytes()
    }

    /// The digest of a right app password where it lets nobody in: never one that is remembered, nor the one it has
    /// where it does.
    pub(crate) fn digest_elsewhere(
        &self,
        digest: &Digest,
        protocol: Protocol,
        peer: IpAddr,
    ) -> Digest {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(b"e");
        hasher.update(digest);
        hasher.update(protocol.name().as_bytes());
        match peer.to_canonical() {
            IpAddr::V4(address) => hasher.update(&address.octets()),
            IpAddr::V6(address) => hasher.update(&address.octets()),
        };
        *hasher.finalize().as_bytes()
    }

    pub(crate) fn get(&mut self, digest: &Digest, now: Timestamp) -> Option<Credential> {
        let (credential, until) = self.entries.get_mut(digest)?;
        // A clock that was set back must not lengthen anything.
        let left = until.since(now);
        (!left.is_zero() && left <= self.kept_for).then(|| credential.clone())
    }

    pub(crate) fn insert(&mut self, digest: Digest, credential: Credential, now: Timestamp) {
        if !self.kept_for.is_zero() {
            self.entries
                .insert(digest, (credential, now.plus(self.kept_for)));
        }
    }
}
