//! Decisions of the SMTP server: facts in, ruling out. Pure; called by `commands/`, which gather the
//! facts before and carry the ruling out after. A ruling always says why, to peer and operator.

pub(super) mod device;
pub(super) mod message;
pub(super) mod recipient;
pub(super) mod sender;
pub(super) mod travel;

use crate::reply::Reply;

/// What was decided about a sender, a recipient or a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ruling {
    /// Go on.
    Accept,
    /// Answer with this and go on without it.
    Refuse(Refusal),
}

/// A no, with its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// What the peer is told.
    pub(super) reply: Reply,
    /// A word for logs and statistics; never changes once released.
    pub(super) reason: &'static str,
    /// A sentence for the operator.
    pub(super) explain: &'static str,
}

impl Ruling {
    pub(super) fn refuse(reply: Reply, reason: &'static str, explain: &'static str) -> Self {
        Self::Refuse(Refusal {
            reply,
            reason,
            explain,
        })
    }
}
