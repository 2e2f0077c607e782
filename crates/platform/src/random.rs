//! Randomness as an argument: callers take a `Random`, tests give one with a seed.

use rand::rngs::{StdRng, SysRng};
use rand::{Rng, SeedableRng, TryRng};
use std::sync::{Arc, Mutex};

/// A source of random bytes, fit for keys and tokens unless it was seeded. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Random {
    generator: Arc<Mutex<StdRng>>,
}

impl Random {
    /// Seeded by the operating system.
    ///
    /// # Panics
    /// Where the operating system has no randomness to give; nothing safe can start then.
    pub fn from_os() -> Self {
        let mut seed = [0; 32];
        SysRng
            .try_fill_bytes(&mut seed)
            .expect("the operating system gives random bytes");
        Self {
            generator: Arc::new(Mutex::new(StdRng::from_seed(seed))),
        }
    }

    /// Always the same sequence; for tests.
    pub fn seeded(seed: u64) -> Self {
        Self {
            generator: Arc::new(Mutex::new(StdRng::seed_from_u64(seed))),
        }
    }

    /// Fills `bytes`.
    pub fn fill(&self, bytes: &mut [u8]) {
        self.generator
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .fill_bytes(bytes);
    }

    /// Sixty-four random bits.
    pub fn next_u64(&self) -> u64 {
        self.generator
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .next_u64()
    }
}
