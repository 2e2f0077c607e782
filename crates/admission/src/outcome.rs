//! What comes of a login, as sessions answer it. Plain data.

use crate::Visit;
use directory::{Identity, LoginRuling};
use policy::Measure;
use policy::gate::{self, Refusal};

/// What came of a login.
#[derive(Debug)]
pub enum Outcome {
    /// In.
    LoggedIn {
        /// Who.
        identity: Identity,
        /// What the account should be told, where a measure warns.
        notice: Option<Box<Notice>>,
    },
    /// Name or password is wrong, or nobody could look right now; never `Accepted`.
    Refused(LoginRuling),
    /// Policy does not let this account in over this connection. The same for right and wrong passwords,
    /// none of which was looked at.
    Barred(Barred),
}

/// Why policy does not let somebody in.
#[derive(Debug)]
pub struct Barred {
    /// What policy says.
    pub refusal: Box<Refusal>,
}

impl Barred {
    pub(crate) fn new(refusal: Refusal) -> Self {
        Self {
            refusal: Box::new(refusal),
        }
    }

    /// Whether encryption is all that is missing: RFC 3207 530 5.7.0, RFC 5530 PRIVACYREQUIRED.
    pub fn wants_encryption(&self) -> bool {
        matches!(self.refusal.measure, Measure::Cleartext(_))
    }

    /// Whether nothing the client can do on this connection helps: not even starting TLS.
    pub fn whatever_it_does(&self, visit: &Visit<'_>) -> bool {
        visit.tls.is_some() || self.refusal.reason == gate::LEGACY_OVER
    }

    /// One line for the peer.
    pub fn text(&self) -> &str {
        &self.refusal.text
    }
}

/// What a measure tells an account that would be refused soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// One line, with where help is.
    pub text: String,
    /// Whether the account was told today already, by this node.
    pub repeated: Repeated,
}

/// Whether somebody was told before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeated {
    /// Not today.
    FirstToday,
    /// Earlier today.
    ToldToday,
}
