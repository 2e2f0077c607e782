//! Which header fields a signature covers, and in which order they are hashed. Pure.
//!
//! A field that matters is named once more than it is there ("oversigned", RFC 6376 §8.15): whoever adds another
//! From or Subject on the way breaks the signature. N-H1 names them; fields that mailing lists add (Sender, List-Id,
//! Resent-*) are covered as often as they are there.

use formats::header::Field;

/// Named once more than they are there.
const OVERSIGNED: &[&str] = &[
    "From",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-Disposition",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
];
/// Named as often as they are there.
const COVERED: &[&str] = &[
    "Sender",
    "Resent-From",
    "Resent-Sender",
    "Resent-To",
    "Resent-Cc",
    "Resent-Date",
    "Resent-Message-ID",
    "List-Id",
    "List-Help",
    "List-Subscribe",
    "List-Post",
    "List-Owner",
    "List-Archive",
    "Auto-Submitted",
    "Precedence",
    "Feedback-ID",
    "Content-ID",
    "Content-Description",
    "Content-Language",
    "Content-Location",
    "Content-Base",
    "Disposition-Notification-To",
    "Autocrypt",
    "TLS-Required",
    "TLS-Report-Domain",
    "TLS-Report-Submitter",
];
/// What a seal of ours covers beside them, so that the next hop sees which signatures were there (RFC 8617 §4.1.2).
const COVERED_BY_SEALS: &[&str] = &["DKIM-Signature"];
/// More instances of one field than this are not covered; nobody has honest reasons for them.
const INSTANCES_MAX: usize = 100;

/// What the signature is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// DKIM-Signature.
    Signature,
    /// ARC-Message-Signature.
    Seal,
}

/// The fields a signature covers.
pub(crate) struct Choice<'f, 'h> {
    /// For `h=`, in hashing order.
    pub(crate) names: Vec<&'static str>,
    /// Those that are there, in hashing order: of several, the last comes first (RFC 6376 §5.4.2).
    pub(crate) fields: Vec<&'f Field<'h>>,
}

/// Chooses from `fields`, which are in the order of the header.
pub(crate) fn choose<'f, 'h>(fields: &'f [Field<'h>], purpose: Purpose) -> Choice<'f, 'h> {
    let mut choice = Choice {
        names: Vec::with_capacity(48),
        fields: Vec::with_capacity(fields.len()),
    };
    let seals: &[&str] = match purpose {
        Purpose::Signature => &[],
        Purpose::Seal => COVERED_BY_SEALS,
    };
    for name in OVERSIGNED {
        // Where some were left out, one more name would mean one of those.
        if choice.add(fields, name) < INSTANCES_MAX {
            choice.names.push(name);
        }
    }
    for name in COVERED.iter().chain(seals) {
        choice.add(fields, name);
    }
    choice
}

impl<'f, 'h> Choice<'f, 'h> {
    /// Gives how many there are, up to the limit.
    fn add(&mut self, fields: &'f [Field<'h>], name: &'static str) -> usize {
        let before = self.fields.len();
        let there = fields.iter().rev().filter(|field| field.is(name));
        for field in there.take(INSTANCES_MAX) {
            self.names.push(name);
            self.fields.push(field);
        }
        self.fields.len() - before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::header;

    #[test]
    fn the_last_of_several_comes_first_and_one_more_is_named() {
        let text = b"Subject: a\r\nFrom: x\r\nSUBJECT : b\r\nSender: s\r\nX-Other: y\r\nDKIM-Signature: z\r\n\r\n";
        let fields: Vec<_> = header::fields(text).collect();
        let choice = choose(&fields, Purpose::Signature);
        let count = |name: &str| choice.names.iter().filter(|n| **n == name).count();
        assert_eq!((count("Subject"), count("From"), count("To")), (3, 2, 1));
        assert_eq!(
            (count("Sender"), count("List-Id"), count("DKIM-Signature")),
            (1, 0, 0)
        );
        let values: Vec<_> = choice
            .fields
            .iter()
            .map(|f| f.value().into_owned())
            .collect();
        assert_eq!(values, [&b"x"[..], b"b", b"a", b"s"]);
        let many = "To: x\r\n".repeat(INSTANCES_MAX + 1);
        let many: Vec<_> = header::fields(many.as_bytes()).collect();
        let choice = choose(&many, Purpose::Signature);
        let named = choice.names.iter().filter(|name| **name == "To").count();
        assert_eq!((named, choice.fields.len()), (INSTANCES_MAX, INSTANCES_MAX));
        let sealed = choose(&fields, Purpose::Seal);
        assert!(sealed.names.contains(&"DKIM-Signature"));
    }
}
