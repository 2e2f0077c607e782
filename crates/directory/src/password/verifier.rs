//! A stored password hash: our own argon2id and what other servers left. Parsed once when it is
//! read from the store or a file; a text that parses never costs more than the bounds below.

use super::imported::Imported;
use super::prepare;
use crate::limits::PASSWORD_BYTES_MAX;
use crate::settings::Hashing;
use argon2::{Algorithm, Argon2, Params, PasswordHash, Version};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use platform::random::Random;
use subtle::ConstantTimeEq as _;

/// Most memory a stored argon2 hash may ask for, in KiB.
const ARGON2_MEMORY_KIB_MAX: u32 = 1 << 20;
/// Most passes a stored argon2 hash may ask for.
const ARGON2_PASSES_MAX: u32 = 20;
/// Most lanes a stored argon2 hash may ask for.
const ARGON2_LANES_MAX: u32 = 16;

/// A stored password hash.
///
/// | scheme | text (Dovecot's, where nothing else is said) |
/// |---|---|
/// | `{ARGON2ID}`, `{ARGON2I}` | `$argon2id$v=19$m=…,t=…,p=…$salt$hash`; the prefix may be missing |
/// | `{SHA512-CRYPT}`, `{SHA256-CRYPT}`, `{CRYPT}` | `$6$[rounds=N$]salt$hash`, `$5$…`; the prefix may be missing |
/// | `{BLF-CRYPT}`, `{CRYPT}` | `$2a$`, `$2b$`, `$2y$`; the prefix may be missing |
/// | `{SSHA}`, `{SSHA256}`, `{SSHA512}` | base64 of digest and salt; with `.HEX` behind the name, hex |
/// | `{PBKDF2}` | `$1$salt$rounds$hex`, HMAC-SHA-1 |
/// | `{PBKDF2}`, `{PBKDF2-SHA1}`, `{PBKDF2-SHA256}`, `{PBKDF2-SHA512}` | `rounds$salt$hash` as OpenLDAP and passlib write it (base64 with `.` for `+`) |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Argon2(Argon2Hash),
    Imported(Imported),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Argon2Hash {
    algorithm: Algorithm,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: Vec<u8>,
    digest: Vec<u8>,
}

/// A text that is no hash we can check.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not a password hash that can be checked here; expected {expected}")]
pub struct HashFormatError {
    expected: &'static str,
}

impl HashFormatError {
    pub(super) const fn new(expected: &'static str) -> Self {
        Self { expected }
    }
}

impl Verifier {
    /// A fresh argon2id hash of `password`. Blocks for tens of milliseconds.
    pub fn make(password: &[u8], hashing: &Hashing, random: &Random) -> Self {
        let mut salt = vec![0; 16];
        random.fill(&mut salt);
        let mut hash = Argon2Hash::unmatched(hashing, salt);
        hash.digest = hash.compute(&prepare(password));
        Self {
            kind: Kind::Argon2(hash),
        }
    }

    /// A hash no password matches, as costly to check as one made by `make`; stands in where there
    /// is no account, so that the time of the answer says nothing.
    pub fn stand_in(hashing: &Hashing) -> Self {
        Self {
            kind: Kind::Argon2(Argon2Hash::unmatched(hashing, vec![0; 16])),
        }
    }

    /// Reads a stored hash; the table above lists what is understood.
    ///
    /// # Errors
    /// Where the scheme is not known, the text is damaged, or it asks for more work than any login
    /// may cost.
    pub fn parse(text: &str) -> Result<Self, HashFormatError> {
        let (scheme, rest) = match text.strip_prefix('{').and_then(|t| t.split_once('}')) {
            Some((scheme, rest)) => (scheme.to_ascii_uppercase(), rest),
            None => (String::new(), text),
        };
        let is_argon2 = matches!(scheme.as_str(), "ARGON2ID" | "ARGON2I" | "CRYPT" | "");
        let kind = if is_argon2 && rest.starts_with("$argon2") {
            Kind::Argon2(Argon2Hash::parse(rest)?)
        } else {
            Kind::Imported(Imported::parse(&scheme, rest)?)
        };
        Ok(Self { kind })
    }

    /// Whether `password` is the one. Blocks.
    pub fn matches(&self, password: &[u8]) -> bool {
        if password.len() > PASSWORD_BYTES_MAX {
            return false;
        }
        match &self.kind {
            Kind::Argon2(hash) => hash.matches(password),
            // Other servers hashed what the client sent, so that is compared first.
            Kind::Imported(hash) => {
                let prepared = prepare(password);
                hash.matches(password) || (prepared.as_ref() != password && hash.matches(&prepared))
            }
        }
    }

    /// Whether it is what `make` would make today; if not, it is renewed at the next login.
    pub fn is_current(&self, hashing: &Hashing) -> bool {
        matches!(&self.kind, Kind::Argon2(hash) if hash.algorithm == Algorithm::Argon2id
            && (hash.memory_kib, hash.passes, hash.lanes)
                == (hashing.memory_kib, hashing.passes, hashing.lanes))
    }
}

impl std::fmt::Display for Verifier {
    /// The text `parse` reads.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.kind {
            Kind::Argon2(hash) => write!(
                f,
                "{{{}}}${}$v=19$m={},t={},p={}${}${}",
                hash.algorithm.as_str().to_ascii_uppercase(),
                hash.algorithm.as_str(),
                hash.memory_kib,
                hash.passes,
                hash.lanes,
                encode(&hash.salt),
                encode(&hash.digest)
            ),
            Kind::Imported(hash) => hash.fmt(f),
        }
    }
}

impl Argon2Hash {
    /// Holds the cost of `hashing` and a digest nothing matches.
    fn unmatched(hashing: &Hashing, salt: Vec<u8>) -> Self {
        Self {
            algorithm: Algorithm::Argon2id,
            memory_kib: hashing.memory_kib,
            passes: hashing.passes,
            lanes: hashing.lanes,
            salt,
            digest: vec![0; 32],
        }
    }

    fn parse(text: &str) -> Result<Self, HashFormatError> {
        let refuse = || HashFormatError::new("$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>");
        let parsed = PasswordHash::new(text).map_err(|_| refuse())?;
        let algorithm = Algorithm::try_from(parsed.algorithm).map_err(|_| refuse())?;
        let params = Params::try_from(&parsed).map_err(|_| refuse())?;
        let mut salt = [0; 64];
        let salt = parsed
            .salt
            .and_then(|s| s.decode_b64(&mut salt).ok().map(<[u8]>::to_vec))
            .ok_or_else(refuse)?;
        let digest = parsed.hash.ok_or_else(refuse)?.as_bytes().to_vec();
        let bounded = params.m_cost() <= ARGON2_MEMORY_KIB_MAX
            && params.t_cost() <= ARGON2_PASSES_MAX
            && params.p_cost() <= ARGON2_LANES_MAX
            && parsed.version == Some(0x13)
            && salt.len() >= argon2::MIN_SALT_LEN
            && algorithm != Algorithm::Argon2d;
        if !bounded {
            return Err(refuse());
        }
        Ok(Self {
            algorithm,
            memory_kib: params.m_cost(),
            passes: params.t_cost(),
            lanes: params.p_cost(),
            salt,
            digest,
        })
    }

    /// The digest of `prepared`; empty where the library refuses the cost, which matches nothing.
    fn compute(&self, prepared: &[u8]) -> Vec<u8> {
        let Ok(params) = Params::new(self.memory_kib, self.passes, self.lanes, None) else {
            return Vec::new();
        };
        #[cfg(test)]
        COMPUTED.with(|computed| computed.set(computed.get() + 1));
        let mut digest = vec![0; self.digest.len()];
        match Argon2::new(self.algorithm, Version::V0x13, params).hash_password_into(
            prepared,
            &self.salt,
            &mut digest,
        ) {
            Ok(()) => digest,
            Err(_) => Vec::new(),
        }
    }

    fn matches(&self, password: &[u8]) -> bool {
        let prepared = prepare(password);
        // Nothing may match a stand-in, whatever the arithmetic says.
        let real = self.digest.iter().any(|b| *b != 0);
        bool::from(self.compute(&prepared).ct_eq(&self.digest)) && real
    }
}

#[cfg(test)]
thread_local! {
    /// argon2 hashes computed on this thread; equal cost is counted, not timed.
    pub(crate) static COMPUTED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Base64 without padding.
pub(super) fn encode(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(bytes)
}

/// Base64 with or without padding.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD
        .decode(text)
        .or_else(|_| STANDARD_NO_PAD.decode(text))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small enough for tests; the library's least memory is 8 KiB per lane.
    const CHEAP: Hashing = Hashing {
        memory_kib: 8,
        passes: 1,
        lanes: 1,
        scram_iterations: 4096,
    };

    #[test]
    fn our_own_hash_survives_its_text() {
        let hash = Verifier::make(b"geheim", &CHEAP, &Random::seeded(1));
        let text = hash.to_string();
        assert!(
            text.starts_with("{ARGON2ID}$argon2id$v=19$m=8,t=1,p=1$"),
            "{text}"
        );
        let again = Verifier::parse(&text).unwrap();
        assert_eq!(again, hash);
        assert!(again.matches(b"geheim"));
        assert!(!again.matches(b"Geheim"));
        assert!(again.is_current(&CHEAP));
        assert!(
            !again.is_current(&Hashing::default()),
            "a raised cost is a reason to renew"
        );
    }

    /// Made by other programs, so that a mistake of ours cannot cancel itself out: `mkpasswd`,
    /// OpenSSL, Python's hashlib and crypt; the password is "geheim".
    #[test]
    fn hashes_of_other_servers_are_understood() {
        for text in include_str!("imported.txt")
            .lines()
            .filter(|l| l.starts_with(['{', '$']))
        {
            let hash = Verifier::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert!(hash.matches(b"geheim"), "{text}");
            assert!(!hash.matches(b"geheim2"), "{text}");
            assert!(!hash.matches(b""), "{text}");
            assert!(!hash.is_current(&Hashing::default()), "{text}");
            let again = Verifier::parse(&hash.to_string()).unwrap();
            assert_eq!(again, hash, "{text} survives export");
        }
    }

    #[test]
    fn what_is_no_hash_or_costs_too_much_is_refused() {
        for text in [
            "",
            "geheim",
            "{PLAIN}geheim",
            "{CLEARTEXT}geheim",
            "{MD5-CRYPT}$1$abc$def",
            "{SSHA}AAAA",
            "{SSHA}!!!",
            "{SHA512-CRYPT}$6$rounds=900000000$abc$def",
            "{SHA512-CRYPT}$6$$",
            "{BLF-CRYPT}$2y$31$dKDxrs0UCfZSbmN/j8Q7guPzWCxGi.wPWXbAYzLtoVDvxnJFfR1DK",
            "{PBKDF2}$1$salt$4000000000$00",
            "{ARGON2ID}$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
            "{ARGON2ID}$argon2id$v=19$m=65536,t=200,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert!(Verifier::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nothing_matches_a_stand_in() {
        let stand_in = Verifier::stand_in(&CHEAP);
        assert!(!stand_in.matches(b""));
        assert!(!stand_in.matches(&[0; PASSWORD_BYTES_MAX]));
        assert!(
            stand_in.is_current(&CHEAP),
            "it costs what a real one costs"
        );
    }
}
