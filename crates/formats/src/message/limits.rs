//! Bounds of a scan, so that no message costs more memory or time than its size justifies.
//! Read by the scanner and the collector of fields; the defaults are what the server uses.

/// Bounds of a scan; what lies past them is measured but not looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Parts of the MIME tree, the root included.
    pub parts_max: usize,
    /// Nesting of the MIME tree, at most [`DEPTH_MAX`]; a multipart or message deeper than this is a leaf.
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

/// No facts have a deeper tree; what walks the tree recursively relies on it.
pub const DEPTH_MAX: usize = 200;

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
