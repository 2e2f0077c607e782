//! Relaxed canonicalisation (RFC 6376 §3.4.2, §3.4.4) straight into a hash: header fields one by one, bodies in
//! pieces of any size. Bodies are never copied or held; slices that need no change go to the hash as they are.

mod body;
mod header;

pub use body::{RelaxedBody, SimpleBody};
pub use header::relaxed_field;
pub(crate) use header::relaxed_field_open;

/// Where canonical bytes go.
pub trait Sink {
    /// Takes the next bytes.
    fn take(&mut self, bytes: &[u8]);
}

impl Sink for aws_lc_rs::digest::Context {
    fn take(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }
}

impl Sink for Vec<u8> {
    fn take(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests;
