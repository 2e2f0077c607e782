//! The one pass over a message. Push it in chunks of any size; the facts do not depend on the split.

use super::facts::{Facts, Marks};

/// Bounds of a scan; what lies past them is measured but not looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Parts of the MIME tree, the root included.
    pub parts_max: usize,
    /// Nesting of the MIME tree; a multipart or message deeper than this is a leaf.
    pub depth_max: usize,
    /// Bytes of one header that are looked at.
    pub header_bytes_max: u64,
    /// Bytes of one field value that are kept.
    pub value_bytes_max: usize,
    /// Bytes of all values that are kept.
    pub kept_bytes_max: usize,
    /// Parameters of one Content-Type or Content-Disposition.
    pub params_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            parts_max: 1000,
            depth_max: 100,
            header_bytes_max: 1 << 20,
            value_bytes_max: 64 << 10,
            kept_bytes_max: 512 << 10,
            params_max: 64,
        }
    }
}

/// A scan under way.
#[derive(Debug, Default)]
pub struct Scanner {
    facts: Facts,
}

impl Scanner {
    /// A scan with the default limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// A scan with other limits.
    pub fn with_limits(limits: Limits) -> Self {
        let _ = limits;
        Self::default()
    }

    /// The next bytes of the message.
    pub fn push(&mut self, bytes: &[u8]) {
        let _ = bytes;
    }

    /// What is known of the bytes pushed so far.
    pub fn marks(&self) -> Marks {
        *self.facts.marks()
    }

    /// Received fields of the message's own header so far.
    pub fn received_count(&self) -> u32 {
        self.facts.received_count()
    }

    /// Ends the scan.
    pub fn finish(self) -> Facts {
        self.facts
    }
}
