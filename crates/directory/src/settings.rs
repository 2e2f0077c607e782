//! What an operator may set about addresses and login. Plain values with defaults; the server
//! reads them from its file and documents them.

use crate::AddressBlock;
use crate::AddressKey;
use std::time::Duration;

/// Settings of the directory; read at start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where mail for postmaster@ and abuse@ goes when neither the address nor the domain's
    /// contact leads anywhere (RFC 2142 §4, §5). `None`, or an address that leads nowhere: the first
    /// account that was created on the installation.
    pub postmaster: Option<AddressKey>,
    /// The character between name and detail (`anna+list@`, RFC 5233); `None` switches it off.
    pub detail_separator: Option<char>,
    /// Resolutions, accounts and unknown names kept in memory, each; 16 to 10,000,000 entries.
    pub cache_entries_max: usize,
    /// How passwords are stored.
    pub hashing: Hashing,
    /// Password hashes computed at the same time; 1 to 64. Half the processors leaves the other
    /// half to mail.
    pub hash_workers: usize,
    /// Logins waiting for a hash worker; the next one is told to try later. 1 to 100,000.
    pub hash_queue_max: usize,
    /// How long a correct login is remembered as a keyed digest; 0 to 1 hour, 0 switches it off.
    pub login_remembered: Duration,
    /// How many correct logins are remembered; 16 to 10,000,000.
    pub logins_remembered_max: usize,
    /// What happens after wrong passwords.
    pub back_off: BackOff,
    /// Shortest password that may be set, in characters; NIST SP 800-63B §3.1.1.2 asks for 8.
    pub password_chars_min: usize,
}

/// How passwords are stored: argon2id (RFC 9106) and a SCRAM-SHA-256 verifier (RFC 7677).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hashing {
    /// argon2id memory in KiB; 8,192 to 1,048,576. OWASP's first choice is 19,456.
    pub memory_kib: u32,
    /// argon2id passes; 1 to 10.
    pub passes: u32,
    /// argon2id lanes; 1 to 8.
    pub lanes: u32,
    /// SCRAM iterations; 4,096 to 1,000,000.
    pub scram_iterations: u32,
}

impl Default for Hashing {
    fn default() -> Self {
        Self {
            memory_kib: 19 * 1024,
            passes: 2,
            lanes: 1,
            scram_iterations: 30_000,
        }
    }
}

/// What happens after wrong passwords, per account name and block of client addresses. Nobody
/// outside that block is affected, so an account cannot be locked from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackOff {
    /// Different wrong passwords without any wait; 1 to 1000.
    pub free_attempts: u32,
    /// The wait after the next one; it doubles with each further one. 1 s to 1 min.
    pub first_wait: Duration,
    /// The longest wait; up to 1 day.
    pub longest_wait: Duration,
    /// After this long without a wrong password everything is forgotten; up to 7 days.
    pub forgotten_after: Duration,
    /// Block size for IPv4 peers, in bits; 8 to 32.
    pub ipv4_prefix_bits: u8,
    /// Block size for IPv6 peers, in bits; 16 to 128. A customer has a /64 at least.
    pub ipv6_prefix_bits: u8,
    /// How many (account, block) pairs are watched; 16 to 10,000,000.
    pub entries_max: usize,
    /// Blocks that never wait: the operator's own, monitoring, proxies.
    pub never: Vec<AddressBlock>,
}

impl Default for BackOff {
    fn default() -> Self {
        Self {
            free_attempts: 5,
            first_wait: Duration::from_secs(2),
            longest_wait: Duration::from_secs(15 * 60),
            forgotten_after: Duration::from_secs(6 * 3600),
            ipv4_prefix_bits: 24,
            ipv6_prefix_bits: 64,
            entries_max: 100_000,
            never: Vec::new(),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            postmaster: None,
            detail_separator: Some('+'),
            cache_entries_max: 20_000,
            hashing: Hashing::default(),
            hash_workers: std::thread::available_parallelism().map_or(1, |n| (n.get() / 2).max(1)),
            hash_queue_max: 256,
            login_remembered: Duration::from_secs(5 * 60),
            logins_remembered_max: 20_000,
            back_off: BackOff::default(),
            password_chars_min: 8,
        }
    }
}
