//! IMAP syntax for what `message::Facts` knows: ENVELOPE, BODY, BODYSTRUCTURE, and the string forms
//! (quoted, literal, NIL) of RFC 3501 §4.3 and RFC 9051 §4.3. Writes into a buffer; knows no session.

use crate::message::{Envelope, Facts};

/// How bytes over 127 may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Utf8 {
    /// Only in literals (RFC 3501 §4.3).
    Literals,
    /// In quoted strings, where they are UTF-8 (RFC 6855 §3, IMAP4rev2).
    Quoted,
}

/// Which form of the structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Structure {
    /// BODY, without extension data.
    Body,
    /// BODYSTRUCTURE, with it.
    BodyStructure,
}

/// Writes a string: quoted where possible, else a literal. NUL, which IMAP cannot carry, is left out.
pub fn write_string(out: &mut Vec<u8>, value: &[u8], utf8: Utf8) {
    let _ = (out, value, utf8);
}

/// Writes a string, or NIL.
pub fn write_nstring(out: &mut Vec<u8>, value: Option<&[u8]>, utf8: Utf8) {
    let _ = (out, value, utf8);
}

/// Writes the parenthesised ENVELOPE (RFC 3501 §7.4.2).
pub fn write_envelope(out: &mut Vec<u8>, envelope: &Envelope<'_>, utf8: Utf8) {
    let _ = (out, envelope, utf8);
}

/// Writes the parenthesised BODY or BODYSTRUCTURE (RFC 3501 §7.4.2).
pub fn write_structure(out: &mut Vec<u8>, facts: &Facts, structure: Structure, utf8: Utf8) {
    let _ = (out, facts, structure, utf8);
}
