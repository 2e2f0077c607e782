//! Decoded-text matching for IMAP SEARCH (RFC 3501 §6.4.4): transfer encodings and charsets are
//! decoded while streaming, letters compare without case. Bounded memory; never reads by itself.

use std::ops::Range;

use crate::message::{Facts, Part};

/// A text to look for, prepared once per search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needle {
    folded: Vec<u8>,
}

impl Needle {
    /// Prepares `text`; the empty text is found everywhere.
    pub fn new(text: &str) -> Self {
        Self {
            folded: text.to_lowercase().into_bytes(),
        }
    }

    /// Is the text in this plain text?
    pub fn is_in_text(&self, text: &str) -> bool {
        let _ = (text, &self.folded);
        false
    }

    /// Is the text in this raw header value, RFC 2047 decoded?
    pub fn is_in_header_value(&self, raw_value: &[u8]) -> bool {
        let _ = raw_value;
        false
    }

    /// Is the text in any field of this header (name, colon and decoded value)?
    pub fn is_in_header(&self, header: &[u8]) -> bool {
        let _ = header;
        false
    }

    /// Is the text in a message that lies in memory?
    pub fn is_in_message(&self, message: &[u8], facts: &Facts, scope: Scope) -> bool {
        let _ = (message, facts, scope);
        false
    }
}

/// BODY or TEXT of SEARCH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// BODY: bodies, and headers of parts and of messages inside.
    Body,
    /// TEXT: the message's own header too.
    Text,
}

/// One stretch of a message to look through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// Where it stands.
    pub range: Range<u64>,
    /// Index of the part whose body it is; `None` for a header.
    pub part: Option<usize>,
}

/// What to read for a search in `scope`, in order: headers, and bodies of text parts.
pub fn stretches(facts: &Facts, scope: Scope) -> Vec<Stretch> {
    let _ = (facts, scope);
    Vec::new()
}

/// Looks for a needle in one part's body, pushed in chunks of any size.
pub struct BodySearch<'n> {
    needle: &'n Needle,
}

impl<'n> BodySearch<'n> {
    /// Begins a search in the body of `part`.
    pub fn new(part: Part<'_>, needle: &'n Needle) -> Self {
        let _ = part;
        Self { needle }
    }

    /// The next bytes of the body, still encoded. True once the needle is found; more is not needed.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        let _ = (bytes, self.needle);
        false
    }

    /// The end of the body: was the needle found?
    pub fn finish(self) -> bool {
        false
    }
}
