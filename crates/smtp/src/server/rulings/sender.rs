//! Decides whether a transaction may begin with this MAIL. Pure: no I/O, no clock.

use super::Ruling;
use crate::limits::Limits;
use crate::reply::{Permanent, Reply, Status, Transient};

/// What is known when MAIL came.
#[derive(Debug, Clone, Copy)]
pub(in crate::server) struct SenderFacts {
    /// SIZE= in bytes, where given.
    pub(in crate::server) declared_bytes: Option<u64>,
    /// Messages this connection brought already.
    pub(in crate::server) messages_before: u32,
}

/// The ruling on one MAIL.
pub(in crate::server) fn rule(facts: SenderFacts, limits: &Limits) -> Ruling {
    if facts.messages_before >= limits.messages_max {
        return Ruling::refuse(
            Reply::transient(
                Transient::Closing,
                Status::SECURITY,
                "This connection has brought as many messages as one may; connect again for more.",
            ),
            "messages-per-connection",
            "The limit messages_max was reached; the client was asked to connect again.",
        );
    }
    // RFC 1870 §6.1: refuse a message that is declared too large before it is sent.
    if facts
        .declared_bytes
        .is_some_and(|bytes| bytes > limits.message_bytes_max)
    {
        return too_large(limits);
    }
    Ruling::Accept
}

/// 552 5.3.4 with the limit in words; the same at MAIL, during and after the message.
pub(super) fn too_large(limits: &Limits) -> Ruling {
    Ruling::refuse(
        Reply::permanent(
            Permanent::TooLarge,
            Status::TOO_LARGE,
            format!(
                "The message is too large; this server takes up to {} bytes. Send large files by \
                 other means, or in parts.",
                limits.message_bytes_max
            ),
        ),
        "message-too-large",
        "The message is larger than message_bytes_max.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(facts: SenderFacts) -> Option<(u16, String)> {
        match rule(facts, &Limits::default()) {
            Ruling::Accept => None,
            Ruling::Refuse(refusal) => Some((refusal.reply.code(), refusal.reply.enhanced())),
        }
    }

    #[test]
    fn a_declared_size_is_held_against_the_limit() {
        let max = Limits::default().message_bytes_max;
        let facts = |declared_bytes| SenderFacts {
            declared_bytes,
            messages_before: 0,
        };
        assert_eq!(code(facts(None)), None);
        assert_eq!(code(facts(Some(max))), None);
        assert_eq!(code(facts(Some(max + 1))), Some((552, "5.3.4".into())));
    }

    #[test]
    fn a_connection_brings_a_bounded_number_of_messages() {
        let facts = |messages_before| SenderFacts {
            declared_bytes: None,
            messages_before,
        };
        assert_eq!(code(facts(Limits::default().messages_max - 1)), None);
        assert_eq!(
            code(facts(Limits::default().messages_max)),
            Some((421, "4.7.0".into()))
        );
    }
}
