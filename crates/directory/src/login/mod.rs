//! Login by user name and password: who may, who waits, what the peer is told.

pub(crate) mod account;
pub(crate) mod backoff;
pub(crate) mod check;
pub(crate) mod pool;
mod record;
mod sends;
mod stand_in;
pub(crate) mod verified;

#[cfg(test)]
mod tests;

pub use record::record;
pub use sends::SendsReached;

use crate::AccountId;
use crate::password::{AppLimits, Outside};
use platform::clock::Timestamp;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Where a login is tried; part of findings and of what an app password may later be limited to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// SMTP AUTH.
    Submission,
    /// IMAP LOGIN and AUTHENTICATE.
    Imap,
    /// POP3 USER/PASS and AUTH.
    Pop3,
    /// ManageSieve AUTHENTICATE.
    ManageSieve,
    /// HTTP: JMAP, DAV, web.
    Http,
}

impl Protocol {
    /// The word used in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Submission => "submission",
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::ManageSieve => "managesieve",
            Self::Http => "http",
        }
    }
}

/// What is known about an attempt to log in.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// The user name as sent.
    pub user: &'a str,
    /// The password as sent.
    pub password: &'a [u8],
    /// Over which protocol.
    pub protocol: Protocol,
    /// The client's address.
    pub peer: IpAddr,
    /// The time.
    pub now: Timestamp,
}

/// Whom somebody claims to be: what is known of a user name before a password is looked at. The same
/// work is done for every name, whether it exists or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The user name as it is looked up: an address folded, anything else in lower case.
    pub user: Box<str>,
    /// The account of this name, where there is one.
    pub account: Option<AccountId>,
    /// The account's group, or that of the domain in the name.
    pub group: Option<Arc<str>>,
}

impl Claimed {
    /// The domain in the name as A-labels; empty where it names none.
    pub fn domain(&self) -> &str {
        self.user.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// What becomes of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginRuling {
    /// In.
    Accepted(Identity),
    /// Not in: SMTP 535 5.7.8, IMAP NO [AUTHENTICATIONFAILED], POP3 -ERR [AUTH].
    Refused(Refusal),
    /// Ask again later: SMTP 454 4.7.0, IMAP NO [UNAVAILABLE], POP3 -ERR [SYS/TEMP].
    TryLater {
        /// For the log.
        reason: TryLaterReason,
        /// How long at least.
        after: Duration,
    },
}

impl LoginRuling {
    /// What the peer is told where it is not let in. The same words for every kind of refusal, so
    /// that nobody learns which names exist.
    pub fn text(&self) -> &'static str {
        match self {
            Self::Accepted(_) => "Welcome",
            Self::Refused(_) => {
                "User name or password is wrong. Check both in your mail program; the user name is \
                 your full e-mail address"
            }
            Self::TryLater {
                reason: TryLaterReason::BackOff,
                ..
            } => {
                "Too many wrong passwords came from your network. Correct the password in all your \
                 devices and try again in a few minutes"
            }
            Self::TryLater { .. } => "Login is not possible right now; try again in a few minutes",
        }
    }

    /// The word for the log.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Accepted(_) => "accepted",
            Self::Refused(refusal) => refusal.reason(),
            Self::TryLater { reason, .. } => reason.name(),
        }
    }
}

/// Who logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account.
    pub account: AccountId,
    /// Its login address.
    pub login: Arc<str>,
    /// Its group, or its domain's.
    pub group: Option<Arc<str>>,
    /// What POP3 DELE does.
    pub pop3_delete: Pop3Delete,
    /// With what.
    pub credential: Credential,
}

/// With what somebody logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// The account's password.
    Password,
    /// An app password.
    AppPassword {
        /// Its label.
        label: Arc<str>,
        /// What it may be used for; `None` for everything.
        limits: Option<Arc<AppLimits>>,
    },
    /// None: a server that speaks for the account because of where it is.
    RelaySource {
        /// Its name.
        name: Arc<str>,
    },
}

impl Identity {
    /// What the session may be used for beyond what the account may; `None` for everything.
    pub fn limits(&self) -> Option<&AppLimits> {
        match &self.credential {
            Credential::Password | Credential::RelaySource { .. } => None,
            Credential::AppPassword { limits, .. } => limits.as_deref(),
        }
    }
}

/// What happens to messages a POP3 client deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Pop3Delete {
    /// They are removed at QUIT.
    #[default]
    Remove,
    /// They are moved to Trash at QUIT.
    Trash,
    /// DELE is refused; messages stay.
    Keep,
}

/// Why a login was refused; for the log only, the peer gets `LoginRuling::text`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// There is no such account.
    UnknownUser,
    /// The password is wrong.
    WrongPassword,
    /// The password is right, the account or its domain is suspended.
    Suspended,
    /// A SASL authorization identity other than the user itself (RFC 4616 §2).
    OtherIdentity,
    /// The app password is right, but not made for this service or this network.
    OutsideLimits(Outside),
    /// The channel binding does not fit: somebody may sit in between (RFC 5802 §6).
    ChannelBinding,
}

impl Refusal {
    /// The word for the log.
    pub fn reason(self) -> &'static str {
        match self {
            Self::UnknownUser => "unknown-user",
            Self::WrongPassword => "wrong-password",
            Self::Suspended => "suspended",
            Self::OtherIdentity => "other-identity",
            Self::OutsideLimits(Outside::Services) => "app-password-other-service",
            Self::OutsideLimits(Outside::Networks) => "app-password-other-network",
            Self::ChannelBinding => "channel-binding",
        }
    }
}

/// Why a login must wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TryLaterReason {
    /// Too many wrong passwords for this account from this address block.
    BackOff,
    /// The hash workers have as much waiting as they may.
    Busy,
    /// The store failed.
    Store,
}

impl TryLaterReason {
    /// The word for the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::BackOff => "back-off",
            Self::Busy => "busy",
            Self::Store => "store",
        }
    }
}
