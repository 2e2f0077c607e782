//! How many sessions are open, by how they are protected.

use gateway_link::{Sessions, Version};
use std::sync::atomic::{AtomicU32, Ordering};

/// How a session is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protection {
    /// Not.
    Clear,
    /// By this version of TLS.
    Tls(Version),
}

/// The counts.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    clear: AtomicU32,
    tls10: AtomicU32,
    tls11: AtomicU32,
    tls12: AtomicU32,
}

/// One session; dropping it counts it out.
pub(crate) struct Counted<'a>(&'a AtomicU32);

impl Tally {
    /// Counts a session in.
    pub(crate) fn count(&self, protection: Protection) -> Counted<'_> {
        let place = match protection {
            Protection::Clear => &self.clear,
            Protection::Tls(Version::Tls10) => &self.tls10,
            Protection::Tls(Version::Tls11) => &self.tls11,
            Protection::Tls(Version::Tls12) => &self.tls12,
        };
        place.fetch_add(1, Ordering::Relaxed);
        Counted(place)
    }

    /// What is open now.
    pub(crate) fn now(&self) -> Sessions {
        Sessions {
            clear: self.clear.load(Ordering::Relaxed),
            tls10: self.tls10.load(Ordering::Relaxed),
            tls11: self.tls11.load(Ordering::Relaxed),
            tls12: self.tls12.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
