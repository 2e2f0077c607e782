//! IMAP section specs (`1.2.HEADER.FIELDS (DATE)`, RFC 3501 §6.4.5): read, print, and find the bytes
//! they mean with the facts of a message. Pure; the caller reads the bytes.

use std::ops::Range;

use crate::message::Facts;

/// Numbers in a section path; deeper ones are refused.
pub const PATH_NUMBERS_MAX: usize = 128;
/// Names in a HEADER.FIELDS list.
pub const FIELD_NAMES_MAX: usize = 200;

/// What stands between the brackets of `BODY[…]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Section {
    /// Part numbers, each at least 1; empty for the whole message.
    pub path: Vec<u32>,
    /// What of that part.
    pub text: SectionText,
}

/// What of a part is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SectionText {
    /// Everything: the whole message, or the body of a part.
    #[default]
    Whole,
    /// HEADER of a message.
    Header,
    /// HEADER.FIELDS or HEADER.FIELDS.NOT.
    HeaderFields(FieldFilter),
    /// TEXT of a message.
    Text,
    /// MIME header of a part; needs a path.
    Mime,
}

/// Which fields of a header are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldFilter {
    /// Keep the listed ones, or the others.
    pub keep: Keep,
    /// Names as the client wrote them.
    pub names: Vec<String>,
}

/// Keep the listed fields, or the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// HEADER.FIELDS.
    Listed,
    /// HEADER.FIELDS.NOT.
    Unlisted,
}

/// Why a text is no section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SectionError {
    /// Not the grammar of RFC 3501 §9 `section-spec`.
    #[error("this is not a section such as 1.2.MIME or HEADER.FIELDS (DATE)")]
    Grammar,
    /// MIME without a part number.
    #[error("MIME needs a part number before it")]
    MimeNeedsPart,
    /// Over [`PATH_NUMBERS_MAX`] or [`FIELD_NAMES_MAX`].
    #[error("the section has too many numbers or names")]
    TooLong,
}

/// Where a section stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Bytes of the message the facts describe.
    pub range: Range<u64>,
    /// The section begins with the message's own header, so lines put in front of the message
    /// (Delivered-To) belong to it.
    pub begins_message: bool,
}

impl Section {
    /// Reads a section up to, not including, `]`; returns it and the bytes consumed. Field names may
    /// be atoms, quoted strings or literals.
    pub fn parse(bytes: &[u8]) -> Result<(Section, usize), SectionError> {
        let _ = bytes;
        Err(SectionError::Grammar)
    }

    /// Writes the section as a FETCH response repeats it, without brackets.
    pub fn write(&self, out: &mut Vec<u8>) {
        let _ = out;
    }

    /// Finds the section; `None` where the message has no such part. For HEADER.FIELDS it is the
    /// whole header, to be passed through [`FieldFilter::apply`].
    pub fn locate(&self, facts: &Facts) -> Option<Located> {
        let _ = facts;
        None
    }
}

impl FieldFilter {
    /// The wanted fields of `header` as they stand, in their order, and the empty line.
    pub fn apply(&self, header: &[u8]) -> Vec<u8> {
        header.to_vec()
    }
}
