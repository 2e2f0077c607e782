//! The envelope of an accepted message: who sent it, who gets it, what notices they asked for.
//! Values only; the SMTP grammar makes them, the queue stores them.

use directory::AccountId;
use formats::address::Address;

/// MAIL FROM (RFC 5321 §4.1.1.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ReversePath {
    /// `<>`: the null sender of notices (RFC 5321 §4.5.5). Nothing is ever sent back to it.
    Null,
    /// Where notices about this message go.
    Address(Address),
}

impl ReversePath {
    /// The text between the angle brackets; empty for the null sender.
    pub fn to_text(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Address(address) => address.to_string(),
        }
    }
}

/// RET (RFC 3461 §4.3): what a failure notice brings back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Return {
    /// The sender did not say; we return headers only, which spares the sender's mailbox.
    #[default]
    Unspecified,
    /// The whole message.
    Full,
    /// The headers.
    Headers,
}

/// NOTIFY (RFC 3461 §4.1): when the sender wants a notice about one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notify {
    /// When it was delivered.
    pub success: bool,
    /// When it failed for good.
    pub failure: bool,
    /// When it is late.
    pub delay: bool,
}

impl Notify {
    /// What counts when NOTIFY is absent (RFC 3461 §4.1: failure, and delay at our choice).
    pub const DEFAULT: Self = Self {
        success: false,
        failure: true,
        delay: true,
    };
    /// `NOTIFY=NEVER`.
    pub const NEVER: Self = Self {
        success: false,
        failure: false,
        delay: false,
    };

    pub(crate) fn to_bits(self) -> i64 {
        i64::from(self.success) | i64::from(self.failure) << 1 | i64::from(self.delay) << 2
    }

    pub(crate) fn from_bits(bits: i64) -> Self {
        Self {
            success: bits & 1 != 0,
            failure: bits & 2 != 0,
            delay: bits & 4 != 0,
        }
    }
}

/// The DSN parameters of MAIL (RFC 3461 §4.3, §4.4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DsnOptions {
    /// ENVID, still as xtext.
    pub envelope_id: Option<String>,
    /// RET.
    pub ret: Return,
}

/// One accepted recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// As written in RCPT TO, or the target of a forward.
    pub address: Address,
    /// Where it goes.
    pub deliver_to: DeliverTo,
    /// NOTIFY.
    pub notify: Notify,
    /// ORCPT, still as `type;xtext`.
    pub original: Option<String>,
}

/// Where a recipient's copy goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliverTo {
    /// Into the INBOX of an account of this installation.
    Account(AccountId),
    /// To another server; a queue row.
    Remote,
}
