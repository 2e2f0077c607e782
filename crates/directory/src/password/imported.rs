//! Password hashes other servers made, checked until the next login renews them. Never made here.

use super::verifier::{HashFormatError, decode};
use base64::Engine as _;
use base64::alphabet::STANDARD as STANDARD_ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::Hmac;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};
use subtle::ConstantTimeEq as _;

/// Most rounds a SHA-crypt hash may ask for; glibc's default is 5,000.
const SHA_CRYPT_ROUNDS_MAX: usize = 1_000_000;
/// Rounds where the text names none.
const SHA_CRYPT_ROUNDS_DEFAULT: usize = 5_000;
/// Highest bcrypt cost; 14 takes about a second.
const BCRYPT_COST_MAX: u32 = 15;
/// Most PBKDF2 iterations; OWASP asks for 1,300,000 with SHA-1.
const PBKDF2_ROUNDS_MAX: u32 = 5_000_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Imported {
    /// As it was given, scheme included.
    text: String,
    method: Method,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Method {
    ShaCrypt {
        sha: Sha,
        rounds: usize,
        salt: String,
        digest: String,
    },
    Bcrypt(String),
    Salted {
        sha: Sha,
        digest: Vec<u8>,
        salt: Vec<u8>,
    },
    Pbkdf2 {
        sha: Sha,
        rounds: u32,
        salt: Vec<u8>,
        digest: Vec<u8>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sha {
    Sha1,
    Sha256,
    Sha512,
}

impl Sha {
    fn bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl Imported {
    /// `scheme` in upper case, empty where the text had none; `rest` behind it.
    pub(super) fn parse(scheme: &str, rest: &str) -> Result<Self, HashFormatError> {
        let (name, hex) = match scheme.rsplit_once('.') {
            Some((name, "HEX")) => (name, true),
            Some((name, "B64" | "BASE64")) => (name, false),
            _ => (scheme, false),
        };
        let method = match name {
            "SSHA" => salted(Sha::Sha1, rest, hex),
            "SSHA256" => salted(Sha::Sha256, rest, hex),
            "SSHA512" => salted(Sha::Sha512, rest, hex),
            "PBKDF2" if rest.starts_with("$1$") => pbkdf2_dovecot(rest),
            "PBKDF2" | "PBKDF2-SHA1" => pbkdf2_openldap(Sha::Sha1, rest),
            "PBKDF2-SHA256" => pbkdf2_openldap(Sha::Sha256, rest),
            "PBKDF2-SHA512" => pbkdf2_openldap(Sha::Sha512, rest),
            "SHA512-CRYPT" | "SHA256-CRYPT" | "BLF-CRYPT" | "CRYPT" | "" => crypt(rest),
            _ => Err(HashFormatError::new(
                "one of {ARGON2ID}, {SHA512-CRYPT}, {SHA256-CRYPT}, {BLF-CRYPT}, {SSHA}, \
                 {SSHA256}, {SSHA512}, {PBKDF2}",
            )),
        }?;
        let scheme = if scheme.is_empty() { "CRYPT" } else { scheme };
        Ok(Self {
            text: format!("{{{scheme}}}{rest}"),
            method,
        })
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        match &self.method {
            Method::ShaCrypt {
                sha,
                rounds,
                salt,
                digest,
            } => sha_crypt_digest(*sha, *rounds, salt, password)
                .is_some_and(|computed| bool::from(computed.as_bytes().ct_eq(digest.as_bytes()))),
            Method::Bcrypt(text) => bcrypt::verify(password, text).unwrap_or(false),
            Method::Salted { sha, digest, salt } => {
                bool::from(salted_digest(*sha, password, salt).ct_eq(digest))
            }
            Method::Pbkdf2 {
                sha,
                rounds,
                salt,
                digest,
            } => {
                let computed = pbkdf2_digest(*sha, password, salt, *rounds, digest.len());
                bool::from(computed.ct_eq(digest))
            }
        }
    }
}

impl std::fmt::Display for Imported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// What crypt(3) makes: the id between the first two `$` says which method.
fn crypt(text: &str) -> Result<Method, HashFormatError> {
    if text.starts_with("$2") {
        return bcrypt_method(text);
    }
    let refuse = || HashFormatError::new("$6$<salt>$<hash> or $5$<salt>$<hash>");
    let (sha, rest) = if let Some(rest) = text.strip_prefix("$6$") {
        (Sha::Sha512, rest)
    } else if let Some(rest) = text.strip_prefix("$5$") {
        (Sha::Sha256, rest)
    } else {
        return Err(refuse());
    };
    let (rounds, rest) = match rest.strip_prefix("rounds=") {
        None => (SHA_CRYPT_ROUNDS_DEFAULT, rest),
        Some(rest) => {
            let (rounds, rest) = rest.split_once('$').ok_or_else(refuse)?;
            (rounds.parse().map_err(|_| refuse())?, rest)
        }
    };
    let (salt, digest) = rest.split_once('$').ok_or_else(refuse)?;
    let digest_chars = if sha == Sha::Sha512 { 86 } else { 43 };
    if !(1000..=SHA_CRYPT_ROUNDS_MAX).contains(&rounds)
        || digest.len() != digest_chars
        || salt.len() > 16
    {
        return Err(refuse());
    }
    Ok(Method::ShaCrypt {
        sha,
        rounds,
        salt: salt.to_owned(),
        digest: digest.to_owned(),
    })
}

fn bcrypt_method(text: &str) -> Result<Method, HashFormatError> {
    let cost = text
        .parse::<bcrypt::HashParts>()
        .ok()
        .map(|parts| parts.get_cost());
    match cost {
        Some(cost) if cost <= BCRYPT_COST_MAX => Ok(Method::Bcrypt(text.to_owned())),
        _ => Err(HashFormatError::new("$2y$<cost up to 15>$<salt and hash>")),
    }
}

fn sha_crypt_digest(sha: Sha, rounds: usize, salt: &str, password: &[u8]) -> Option<String> {
    let salt = salt.as_bytes();
    match sha {
        Sha::Sha512 => {
            let params = sha_crypt::Sha512Params::new(rounds).ok()?;
            sha_crypt::sha512_crypt_b64(password, salt, &params).ok()
        }
        _ => {
            let params = sha_crypt::Sha256Params::new(rounds).ok()?;
            sha_crypt::sha256_crypt_b64(password, salt, &params).ok()
        }
    }
}

fn salted(sha: Sha, text: &str, hex: bool) -> Result<Method, HashFormatError> {
    let bytes = if hex { unhex(text) } else { decode(text) };
    match bytes {
        Some(bytes) if bytes.len() > sha.bytes() => {
            let (digest, salt) = bytes.split_at(sha.bytes());
            Ok(Method::Salted {
                sha,
                digest: digest.to_vec(),
                salt: salt.to_vec(),
            })
        }
        _ => Err(HashFormatError::new(
            "base64 of the digest followed by its salt",
        )),
    }
}

fn salted_digest(sha: Sha, password: &[u8], salt: &[u8]) -> Vec<u8> {
    match sha {
        Sha::Sha1 => Sha1::new()
            .chain_update(password)
            .chain_update(salt)
            .finalize()
            .to_vec(),
        Sha::Sha256 => Sha256::new()
            .chain_update(password)
            .chain_update(salt)
            .finalize()
            .to_vec(),
        Sha::Sha512 => Sha512::new()
            .chain_update(password)
            .chain_update(salt)
            .finalize()
            .to_vec(),
    }
}

/// Dovecot: `$1$<salt as text>$<rounds>$<hex>`.
fn pbkdf2_dovecot(text: &str) -> Result<Method, HashFormatError> {
    let parts: Vec<&str> = text.split('$').collect();
    if let ["", "1", salt, rounds, hex] = parts[..] {
        pbkdf2(
            Sha::Sha1,
            rounds,
            Some(salt.as_bytes().to_vec()),
            unhex(hex),
        )
    } else {
        Err(PBKDF2_EXPECTED)
    }
}

/// OpenLDAP's pw-pbkdf2 and passlib: `<rounds>$<salt>$<hash>`, both base64 with `.` for `+`.
fn pbkdf2_openldap(sha: Sha, text: &str) -> Result<Method, HashFormatError> {
    let parts: Vec<&str> = text.split('$').collect();
    if let [rounds, salt, digest] = parts[..] {
        pbkdf2(sha, rounds, adapted_base64(salt), adapted_base64(digest))
    } else {
        Err(PBKDF2_EXPECTED)
    }
}

const PBKDF2_EXPECTED: HashFormatError =
    HashFormatError::new("$1$<salt>$<rounds>$<hex> or <rounds>$<salt>$<hash>");

fn pbkdf2(
    sha: Sha,
    rounds: &str,
    salt: Option<Vec<u8>>,
    digest: Option<Vec<u8>>,
) -> Result<Method, HashFormatError> {
    match (rounds.parse(), salt, digest) {
        (Ok(rounds), Some(salt), Some(digest))
            if (1..=PBKDF2_ROUNDS_MAX).contains(&rounds)
                && (16..=sha.bytes()).contains(&digest.len()) =>
        {
            Ok(Method::Pbkdf2 {
                sha,
                rounds,
                salt,
                digest,
            })
        }
        _ => Err(PBKDF2_EXPECTED),
    }
}

fn pbkdf2_digest(sha: Sha, password: &[u8], salt: &[u8], rounds: u32, bytes: usize) -> Vec<u8> {
    let mut digest = vec![0; bytes];
    let done = match sha {
        Sha::Sha1 => pbkdf2::pbkdf2::<Hmac<Sha1>>(password, salt, rounds, &mut digest),
        Sha::Sha256 => pbkdf2::pbkdf2::<Hmac<Sha256>>(password, salt, rounds, &mut digest),
        Sha::Sha512 => pbkdf2::pbkdf2::<Hmac<Sha512>>(password, salt, rounds, &mut digest),
    };
    match done {
        Ok(()) => digest,
        Err(_) => Vec::new(),
    }
}

fn adapted_base64(text: &str) -> Option<Vec<u8>> {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let config = config.with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(&STANDARD_ALPHABET, config)
        .decode(text.replace('.', "+"))
        .ok()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect()
}
