//! How a message is to travel: for which customer group, how urgently, from when on, under which
//! TLS demands, and where it came from. Values only; sessions fill them in, the queue stores them.

use crate::envelope::ReversePath;
use directory::AccountId;
use platform::clock::Timestamp;
pub use routing::{RequireTls, TlsRequiredNo};
use std::net::IpAddr;

/// What the queue is to know about a message beside its envelope. The default is a message that
/// leaves at once, for no group, with no wishes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dispatch {
    /// The customer group whose share it uses; `None` for those without one.
    pub group: Option<Box<str>>,
    /// MT-PRIORITY (RFC 6710): -9 to 9, 0 where nobody said anything.
    pub priority: i8,
    /// Not before this time (FUTURERELEASE, RFC 4865, and the time for undoing).
    pub release_at: Option<Timestamp>,
    /// Whether an operator or a rule keeps it back.
    pub hold: Hold,
    /// REQUIRETLS (RFC 8689 §2).
    pub require_tls: RequireTls,
    /// `TLS-Required: No` (RFC 8689 §3).
    pub tls_required_no: TlsRequiredNo,
    /// Where it came from, which decides how it is signed when it leaves.
    pub origin: Origin,
    /// The domain whose rules for the way hold where the sender is null: a notice is to travel as
    /// safely as the message it is about.
    pub rules_of: Option<Box<str>>,
    /// Whole header lines that stand before those in what leaves: a Delivered-To for each address of
    /// ours that forwards it, so that a circle is seen when it comes back. Copies that stay here do
    /// not have them: their readers need not know of each other.
    pub marks: String,
    /// Where copies for mailboxes here go.
    pub folder: Folder,
    /// Accounts whose copy goes to INBOX whatever `folder` says: it was made for them by order.
    pub inbox_for: Vec<AccountId>,
}

/// The mailbox a copy is put into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Folder {
    /// INBOX.
    #[default]
    Inbox,
    /// The mailbox for junk; INBOX where an account has none.
    Junk,
}

/// Whether a message is kept back until somebody releases it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hold {
    /// It leaves when it is due.
    #[default]
    None,
    /// It waits for `release`.
    Held,
}

/// Where a message came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Written by this installation: notices, letters. Signed for the host name.
    Ours,
    /// From somebody who logged in. Signed for the author's domain.
    Submitted {
        /// The domain of the one From address, where whoever logged in may use that address; `None`
        /// where there is no such: nobody signs for a domain of others.
        author_domain: Option<String>,
        /// The domain of the login, which signs where the author's has no key; `None`: that of MAIL FROM.
        login_domain: Option<String>,
    },
    /// From another server. What leaves of it is a forward: sealed with ARC, its sender rewritten.
    Foreign {
        /// Who connected.
        client: IpAddr,
        /// What it said in EHLO or HELO.
        hello: String,
        /// The domain of the address of ours that leads elsewhere: it seals the forward, and the
        /// rewritten sender is in it. `None` where nothing of the message is forwarded.
        forwarded_by: Option<String>,
    },
}

impl Default for Origin {
    fn default() -> Self {
        Self::Submitted {
            author_domain: None,
            login_domain: None,
        }
    }
}

/// What was made for a message because it leaves: lines before it, and the sender it leaves with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Front {
    /// Whole header lines, before the message's own.
    pub(crate) lines: Vec<u8>,
    /// The rewritten sender of a forward; `None` keeps the sender.
    pub(crate) forward_sender: Option<ReversePath>,
}
