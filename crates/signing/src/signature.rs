//! Makes signature fields: DKIM-Signature (RFC 6376), and the same form for ARC-Message-Signature and ARC-Seal
//! (RFC 8617). Pure but for the key, which signs a digest. What verifiers compute is in `canonical`.

use crate::SigningError;
use crate::canonical::{Sink, relaxed_field, relaxed_field_open};
use crate::field_choice::Choice;
use crate::key::SigningKey;
use aws_lc_rs::digest::{self, Context};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Where lines of our fields end at the latest.
const LINE_BYTES: usize = 76;

/// A hash over header fields, to which signature fields are added one at a time.
#[derive(Clone)]
pub(crate) struct HeaderHash(Context);

impl HeaderHash {
    /// Over nothing yet.
    pub(crate) fn new() -> Self {
        Self(Context::new(&digest::SHA256))
    }

    /// Over the chosen fields.
    pub(crate) fn over(choice: &Choice<'_, '_>) -> Self {
        let mut hash = Self::new();
        for field in &choice.fields {
            hash.add(field.name, field.raw_value);
        }
        hash
    }

    /// Adds a field.
    pub(crate) fn add(&mut self, name: &[u8], raw_value: &[u8]) {
        relaxed_field(name, raw_value, &mut self.0);
    }

    /// Adds a finished field, as a line or lines with their end.
    pub(crate) fn add_line(&mut self, line: &[u8]) {
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        self.add(name, value.get(1..).unwrap_or_default());
    }

    /// Signs what was added and `open`, a field that ends in `b=`; gives that field with its signature and line end.
    pub(crate) fn sign(
        mut self,
        open: OpenField,
        key: &SigningKey,
    ) -> Result<Vec<u8>, SigningError> {
        let text = open.0;
        let colon = memchr::memchr(b':', text.as_bytes()).unwrap_or(text.len());
        let (name, value) = text.as_bytes().split_at(colon);
        relaxed_field_open(name, value.get(1..).unwrap_or_default(), &mut self.0);
        let signature = BASE64.encode(key.sign(&self.0.finish())?);
        let mut line = text.into_bytes();
        for (n, piece) in signature.as_bytes().chunks(LINE_BYTES - 4).enumerate() {
            if n > 0 {
                line.take(b"\r\n\t ");
            }
            line.take(piece);
        }
        line.take(b"\r\n");
        Ok(line)
    }
}

/// A signature field up to and including `b=`.
pub(crate) struct OpenField(String);

impl OpenField {
    /// `name:` and nothing yet.
    pub(crate) fn new(name: &str) -> Self {
        Self(format!("{name}:"))
    }

    /// Adds `tag=value;`, on a new line where this one is full.
    pub(crate) fn tag(mut self, tag: &str, value: &str) -> Self {
        self.break_before(tag.len() + value.len() + 2);
        self.0.push_str(tag);
        self.0.push('=');
        self.0.push_str(value);
        self.0.push(';');
        self
    }

    /// Adds `h=`, folded at its colons.
    pub(crate) fn names(mut self, names: &[&str]) -> Self {
        self.0.push_str("\r\n\th=");
        for (n, name) in names.iter().enumerate() {
            if n > 0 {
                self.0.push(':');
                if self.line_bytes() + name.len() + 1 > LINE_BYTES {
                    self.0.push_str("\r\n\t ");
                }
            }
            self.0.push_str(name);
        }
        self.0.push(';');
        self
    }

    /// Adds `b=`; nothing may follow but the signature.
    pub(crate) fn open(mut self) -> Self {
        self.0.push_str("\r\n\tb=");
        self
    }

    fn break_before(&mut self, bytes: usize) {
        let fits = self.line_bytes() + 1 + bytes <= LINE_BYTES;
        self.0.push_str(if fits { " " } else { "\r\n\t" });
    }

    fn line_bytes(&self) -> usize {
        self.0.len() - self.0.rfind('\n').map_or(0, |at| at + 1)
    }
}

/// Text for `bh=`.
pub(crate) fn hash_text(hash: &digest::Digest) -> String {
    BASE64.encode(hash.as_ref())
}
