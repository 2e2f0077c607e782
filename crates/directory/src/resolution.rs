//! Where mail for an address goes. A pure decision: facts come in through `Facts`, which is the
//! store in the server and a model in plans and tests; nothing is changed and no time passes.

use crate::AccountId;
use formats::address::Address;

/// Where mail for one address goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// Deliver to these accounts and forward to these foreign addresses; never both empty. Each
    /// account and each address stands here once.
    Local {
        /// Accounts here.
        deliveries: Vec<Delivery>,
        /// Addresses elsewhere.
        forwards: Vec<Address>,
    },
    /// The domain is not hosted here; mail for it is relay mail.
    NoSuchDomain,
    /// The domain is hosted here, the address does not exist (550 5.1.1).
    NoSuchAddress,
    /// The address exists, but every account it leads to, or its domain, is suspended (5.2.1).
    Suspended,
    /// The address leads to itself, or further than `limits` allow (5.4.6); the operator must mend
    /// it. It cannot be made by the directory's own means.
    Loop,
    /// postmaster@ or abuse@ of a hosted domain, and there is no account at all to give it to:
    /// a temporary failure (RFC 5321 §4.5.1 forbids a permanent one).
    NoPostmaster,
}

/// One account that gets the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Who gets it.
    pub account: AccountId,
    /// The address as the sender wrote it, for Delivered-To.
    pub address: Address,
    /// What stood behind the separator (`list` in `anna+list@`), as it was written; RFC 5233.
    pub detail: Option<Box<str>>,
}
