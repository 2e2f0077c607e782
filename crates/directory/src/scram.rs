//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the server's side (RFC 5802, RFC 7677). Pure: bytes in,
//! bytes out; the stored keys, the server's nonce and the channel binding are arguments. `sasl`
//! drives it. Every state is a type that owns what is known by then:
//!
//!  ClientFirst --challenge()--> AwaitingFinal --finish()--> ServerFinal

use crate::limits::{SCRAM_ITERATIONS_MAX, SCRAM_ITERATIONS_MIN};
use crate::password::prepare;
use crate::sasl::{ChannelBindings, Mechanism, PlusOffer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Bytes of a SHA-256 digest.
const KEY_BYTES: usize = 32;

/// What proves one password: useless for logging in as the client, enough for checking it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    /// H(ClientKey).
    pub stored_key: [u8; KEY_BYTES],
    /// Proves the server to the client.
    pub server_key: [u8; KEY_BYTES],
}

/// Salt and iterations of an account; the same for its password and its app passwords, because the
/// client is told them before it has shown which one it uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derivation {
    /// At least 8 bytes.
    pub salt: Vec<u8>,
    /// `limits::SCRAM_ITERATIONS_MIN` to `limits::SCRAM_ITERATIONS_MAX`.
    pub iterations: u32,
}

impl Derivation {
    /// The keys of `password` (RFC 5802 §3). Blocks for milliseconds.
    pub fn keys(&self, password: &[u8]) -> Keys {
        let mut salted = [0; KEY_BYTES];
        // Fails only for an output longer than HMAC allows.
        let _ = pbkdf2::pbkdf2::<Hmac<Sha256>>(
            &prepare(password),
            &self.salt,
            self.iterations,
            &mut salted,
        );
        Keys {
            stored_key: Sha256::digest(hmac(&salted, &[b"Client Key"])).into(),
            server_key: hmac(&salted, &[b"Server Key"]),
        }
    }
}

/// Why an exchange failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScramError {
    /// The client broke the grammar of RFC 5802 §7.
    Malformed(&'static str),
    /// An authorization identity other than the user.
    OtherIdentity,
    /// Channel binding missing, of another kind, or not this channel's: perhaps somebody in between.
    ChannelBinding,
    /// The proof fits no key.
    WrongProof,
}

/// The client's first message, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFirst {
    /// The user name, decoded.
    pub user: String,
    /// What `c=` must carry: the GS2 header and the channel's binding data.
    binding_input: Vec<u8>,
    bare: String,
    client_nonce: String,
}

impl ClientFirst {
    /// Reads `n,,n=user,r=nonce` (RFC 5802 §7 `client-first-message`).
    ///
    /// # Errors
    /// `Malformed`; `OtherIdentity` for an authzid that is not the user; `ChannelBinding` where the
    /// binding asked for does not exist here or the client was told that PLUS is not offered.
    pub fn parse(
        message: &[u8],
        mechanism: Mechanism,
        bindings: &ChannelBindings,
        plus: PlusOffer,
    ) -> Result<Self, ScramError> {
        const GRAMMAR: ScramError = ScramError::Malformed("the first SCRAM message is malformed");
        let message = std::str::from_utf8(message).map_err(|_| GRAMMAR)?;
        let (flag, rest) = message.split_once(',').ok_or(GRAMMAR)?;
        let (authzid, bare) = rest.split_once(',').ok_or(GRAMMAR)?;
        let data = binding_data(flag, mechanism, bindings, plus)?;
        let mut binding_input = message.as_bytes()[..message.len() - bare.len()].to_vec();
        binding_input.extend_from_slice(data);

        let mut attributes = bare.split(',');
        let user = attributes.next().ok_or(GRAMMAR)?;
        if user.starts_with("m=") {
            // RFC 5802 §5.1: an unknown mandatory extension must end the exchange.
            return Err(ScramError::Malformed("SCRAM extensions are not supported"));
        }
        let user = user.strip_prefix("n=").and_then(sasl_name).ok_or(GRAMMAR)?;
        let nonce = attributes
            .next()
            .and_then(|a| a.strip_prefix("r="))
            .ok_or(GRAMMAR)?;
        if nonce.is_empty() || !nonce.bytes().all(|b| (0x21..=0x7e).contains(&b)) {
            return Err(GRAMMAR);
        }
        match authzid.strip_prefix("a=").map(sasl_name) {
            None if authzid.is_empty() => {}
            Some(Some(name)) if name == user => {}
            Some(Some(_)) => return Err(ScramError::OtherIdentity),
            _ => return Err(GRAMMAR),
        }
        Ok(Self {
            client_nonce: nonce.to_owned(),
            bare: bare.to_owned(),
            user,
            binding_input,
        })
    }

    /// The server's first message and the state that waits for its answer. `keys` may be empty:
    /// then the exchange runs its course and no proof fits.
    pub fn challenge(
        self,
        derivation: &Derivation,
        keys: Vec<Keys>,
        server_nonce: &str,
    ) -> (AwaitingFinal, Vec<u8>) {
        let nonce = format!("{}{server_nonce}", self.client_nonce);
        let server_first = format!(
            "r={nonce},s={},i={}",
            STANDARD.encode(&derivation.salt),
            derivation.iterations
        );
        let challenge = server_first.clone().into_bytes();
        let state = AwaitingFinal {
            binding_input: self.binding_input,
            auth_message: format!("{},{server_first},", self.bare),
            nonce,
            keys,
        };
        (state, challenge)
    }
}

/// The challenge is sent; the client's proof is awaited.
#[derive(Debug, Clone)]
pub struct AwaitingFinal {
    binding_input: Vec<u8>,
    /// AuthMessage up to the client's final message.
    auth_message: String,
    nonce: String,
    keys: Vec<Keys>,
}

/// The proof was right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFinal {
    /// Which of the keys it fits.
    pub key: usize,
    /// `v=…`, which proves the server to the client.
    pub message: Vec<u8>,
}

impl AwaitingFinal {
    /// Checks `c=…,r=…,p=…` (RFC 5802 §7 `client-final-message`).
    ///
    /// # Errors
    /// `Malformed`, `ChannelBinding`, `WrongProof`.
    pub fn finish(self, message: &[u8]) -> Result<ServerFinal, ScramError> {
        const GRAMMAR: ScramError = ScramError::Malformed("the final SCRAM message is malformed");
        let message = std::str::from_utf8(message).map_err(|_| GRAMMAR)?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(GRAMMAR)?;
        let mut attributes = without_proof.split(',');
        let binding = attributes
            .next()
            .and_then(|a| a.strip_prefix("c="))
            .and_then(|a| STANDARD.decode(a).ok())
            .ok_or(GRAMMAR)?;
        let nonce = attributes
            .next()
            .and_then(|a| a.strip_prefix("r="))
            .ok_or(GRAMMAR)?;
        let proof: [u8; KEY_BYTES] = STANDARD
            .decode(proof)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(GRAMMAR)?;
        if nonce != self.nonce {
            return Err(ScramError::Malformed("the SCRAM nonce was changed"));
        }
        if binding != self.binding_input {
            return Err(ScramError::ChannelBinding);
        }
        let auth_message = format!("{}{without_proof}", self.auth_message);
        let fitting = self
            .keys
            .iter()
            .position(|keys| proves(keys, &auth_message, &proof));
        let Some((key, keys)) = fitting.and_then(|at| Some((at, self.keys.get(at)?))) else {
            return Err(ScramError::WrongProof);
        };
        let signature = hmac(&keys.server_key, &[auth_message.as_bytes()]);
        Ok(ServerFinal {
            key,
            message: format!("v={}", STANDARD.encode(signature)).into_bytes(),
        })
    }
}

/// The binding data that belongs to the GS2 flag `n`, `y` or `p=<type>` (RFC 5802 §6).
fn binding_data<'a>(
    flag: &str,
    mechanism: Mechanism,
    bindings: &'a ChannelBindings,
    plus: PlusOffer,
) -> Result<&'a [u8], ScramError> {
    let with_plus = mechanism == Mechanism::ScramSha256Plus;
    match flag {
        "n" if !with_plus => Ok(&[]),
        // The client could bind and believes we cannot; if we offered it, the offer was tampered with.
        "y" if !with_plus && plus == PlusOffer::NotOffered => Ok(&[]),
        "y" if !with_plus => Err(ScramError::ChannelBinding),
        "p=tls-exporter" if with_plus => bindings
            .tls_exporter
            .as_ref()
            .map(|data| data.as_slice())
            .ok_or(ScramError::ChannelBinding),
        "p=tls-server-end-point" if with_plus => bindings
            .tls_server_end_point
            .as_deref()
            .ok_or(ScramError::ChannelBinding),
        _ if flag.starts_with("p=") && with_plus => Err(ScramError::ChannelBinding),
        _ => Err(ScramError::Malformed(
            "the channel binding flag does not fit the mechanism",
        )),
    }
}

/// RFC 5802 §3: ClientKey is the proof without the signature; its hash must be StoredKey.
fn proves(keys: &Keys, auth_message: &str, proof: &[u8; KEY_BYTES]) -> bool {
    let mut client_key = hmac(&keys.stored_key, &[auth_message.as_bytes()]);
    for (byte, proof) in client_key.iter_mut().zip(proof) {
        *byte ^= proof;
    }
    Sha256::digest(client_key)
        .as_slice()
        .ct_eq(&keys.stored_key)
        .into()
}

/// RFC 5802 §5.1: `=2C` is a comma, `=3D` an equals sign, any other `=` is an error.
fn sasl_name(encoded: &str) -> Option<String> {
    let mut name = String::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((before, after)) = rest.split_once('=') {
        name.push_str(before);
        rest = if let Some(after) = after.strip_prefix("2C") {
            name.push(',');
            after
        } else {
            name.push('=');
            after.strip_prefix("3D")?
        };
    }
    name.push_str(rest);
    (!name.is_empty() && !name.contains('\0')).then_some(name)
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; KEY_BYTES] {
    // A key of any length is accepted; the empty result of the impossible case matches nothing.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; KEY_BYTES];
    };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// The SCRAM part of an account as text: `SCRAM-SHA-256$<iterations>:<salt>` and, where the password
/// has been seen, `$<stored key>:<server key>` (RFC 5803 §2).
pub fn to_text(derivation: &Derivation, keys: Option<&Keys>) -> String {
    let salt = STANDARD.encode(&derivation.salt);
    let head = format!("SCRAM-SHA-256${}:{salt}", derivation.iterations);
    match keys {
        None => head,
        Some(keys) => format!("{head}${}", keys_to_text(keys)),
    }
}

/// The inverse of `to_text`; `None` for anything else and for iterations out of bounds.
pub fn from_text(text: &str) -> Option<(Derivation, Option<Keys>)> {
    let rest = text.strip_prefix("SCRAM-SHA-256$")?;
    let (derivation, keys) = match rest.split_once('$') {
        Some((derivation, keys)) => (derivation, Some(keys_from_text(keys)?)),
        None => (rest, None),
    };
    let (iterations, salt) = derivation.split_once(':')?;
    let derivation = Derivation {
        salt: STANDARD
            .decode(salt)
            .ok()
            .filter(|s| (8..=64).contains(&s.len()))?,
        iterations: iterations
            .parse()
            .ok()
            .filter(|i| (SCRAM_ITERATIONS_MIN..=SCRAM_ITERATIONS_MAX).contains(i))?,
    };
    Some((derivation, keys))
}

/// `<stored key>:<server key>` in base64.
pub fn keys_to_text(keys: &Keys) -> String {
    format!(
        "{}:{}",
        STANDARD.encode(keys.stored_key),
        STANDARD.encode(keys.server_key)
    )
}

/// The inverse of `keys_to_text`.
pub fn keys_from_text(text: &str) -> Option<Keys> {
    let (stored, server) = text.split_once(':')?;
    Some(Keys {
        stored_key: STANDARD.decode(stored).ok()?.try_into().ok()?,
        server_key: STANDARD.decode(server).ok()?.try_into().ok()?,
    })
}

#[cfg(test)]
pub(crate) mod tests;
