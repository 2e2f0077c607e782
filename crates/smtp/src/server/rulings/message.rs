//! Decides whether a message that came in whole is taken over. Pure: no I/O, no clock.
//! Asked once per message, after its real end, so that no refusal can desynchronise the dialogue.

use super::{Ruling, sender};
use crate::limits::Limits;
use crate::reply::{Permanent, Reply, Status, Transient};

/// What was wrong with the message itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Fault {
    /// Larger than `message_bytes_max`.
    TooLarge,
    /// Its header is larger than `header_bytes_max`.
    HeaderTooLarge,
    /// It has `received_fields_max` Received fields.
    Loop,
    /// An address of ours that forwards it has forwarded it before.
    ForwardLoop,
    /// It has a CR without LF or an LF without CR.
    BareEnding,
    /// It has a byte 0.
    Nul,
    /// It could not be written down.
    Storage,
}

/// The ruling on one message.
pub(in crate::server) fn rule(fault: Option<Fault>, limits: &Limits) -> Ruling {
    match fault {
        None => Ruling::Accept,
        Some(Fault::TooLarge) => sender::too_large(limits),
        Some(Fault::HeaderTooLarge) => Ruling::refuse(
            Reply::permanent(
                Permanent::TooLarge,
                Status::TOO_LARGE,
                format!(
                    "The header of the message is too large; up to {} bytes are taken.",
                    limits.header_bytes_max
                ),
            ),
            "header-too-large",
            "The header is larger than header_bytes_max.",
        ),
        // RFC 5321 §6.3: a simple count of Received finds loops.
        Some(Fault::Loop) => Ruling::refuse(
            Reply::permanent(
                Permanent::Failed,
                Status::LOOP,
                "The message has passed too many servers (Received fields); it seems to run in a \
                 circle. Check forwarding rules on the way.",
            ),
            "mail-loop",
            "The message has received_fields_max Received fields or more.",
        ),
        Some(Fault::ForwardLoop) => Ruling::refuse(
            Reply::permanent(
                Permanent::Failed,
                Status::LOOP,
                "This address has forwarded the message before; it runs in a circle. Whoever set up \
                 the forwarding must mend that.",
            ),
            "forward-loop",
            "The message carries the Delivered-To of an address here that would forward it again.",
        ),
        // RFC 5321 §2.3.8: CR and LF occur only together.
        Some(Fault::BareEnding) => Ruling::refuse(
            Reply::permanent(
                Permanent::Refused,
                Status::CONTENT,
                "The message has a line ending that is not CR LF (a bare CR or a bare LF), which is \
                 refused to prevent SMTP smuggling. Send every line with CR LF.",
            ),
            "bare-line-ending",
            "A bare CR or LF was in the message (RFC 5321 section 2.3.8).",
        ),
        // RFC 2045 §2.7, §2.8: neither 7bit nor 8bit text has it, and no IMAP literal may carry it.
        Some(Fault::Nul) => Ruling::refuse(
            Reply::permanent(
                Permanent::Refused,
                Status::CONTENT,
                "The message holds the byte 0, which no text may have and no mail program could be \
                 given. Send binary content as base64.",
            ),
            "nul",
            "The message holds the byte 0 (RFC 2045 sections 2.7 and 2.8).",
        ),
        Some(Fault::Storage) => Ruling::refuse(
            Reply::transient(
                Transient::LocalError,
                Status::SYSTEM,
                "The message could not be stored for the moment; nothing of it was kept. Try again \
                 later.",
            ),
            "storage",
            "Writing the message failed; see the error logged with it.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_its_code() {
        for (fault, code, enhanced) in [
            (Fault::TooLarge, 552, "5.3.4"),
            (Fault::HeaderTooLarge, 552, "5.3.4"),
            (Fault::Loop, 554, "5.4.6"),
            (Fault::ForwardLoop, 554, "5.4.6"),
            (Fault::BareEnding, 550, "5.6.0"),
            (Fault::Nul, 550, "5.6.0"),
            (Fault::Storage, 451, "4.3.0"),
        ] {
            match rule(Some(fault), &Limits::default()) {
                Ruling::Accept => panic!("{fault:?} accepted"),
                Ruling::Refuse(no) => {
                    assert_eq!(
                        (no.reply.code(), no.reply.enhanced().as_str()),
                        (code, enhanced)
                    );
                }
            }
        }
        assert_eq!(rule(None, &Limits::default()), Ruling::Accept);
    }
}
