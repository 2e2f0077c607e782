//! Changes a zone on its primary server (RFC 2136), signed with a shared key (RFC 8945): how a provider's own
//! DNS gets records on a date. Every change names what must be there before, so that a hand's change in between
//! is never overwritten; the answer's signature is checked. Asks nothing else of the server.

use super::anchors::base64;
use crate::clock::Clock;
use hickory_proto::op::update_message::{compare_and_swap, create, delete_by_rdata};
use hickory_proto::op::{Message, ResponseCode, UpdateMessage as _};
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use hickory_proto::rr::rdata::{A, AAAA, TXT};
use hickory_proto::rr::{Name, RData, RecordSet, RecordType, TSigner};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a server may take for one change.
const CHANGE_TIME_MAX: Duration = Duration::from_secs(15);
/// How far the clocks of both sides may be apart, in seconds (RFC 8945 §10).
const FUDGE_SECONDS: u16 = 300;
/// Octets of one character string of a TXT record (RFC 1035 §3.3).
const STRING_BYTES_MAX: usize = 255;
/// Shortest key that is used, in bytes: as many as the hash gives (RFC 8945 §9).
pub const KEY_BYTES_MIN: usize = 16;

/// A zone's primary server and the right to change the zone.
#[derive(Clone)]
pub struct Primary {
    address: SocketAddr,
    zone: Name,
    signer: TSigner,
}

impl fmt::Debug for Primary {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Primary")
            .field("address", &self.address)
            .field("zone", &self.zone)
            .field("key", self.signer.signer_name())
            .finish()
    }
}

/// A shared key with its name.
pub struct UpdateKey {
    /// Its name, which the server knows it by.
    pub name: String,
    /// The secret.
    pub secret: Vec<u8>,
}

impl fmt::Debug for UpdateKey {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpdateKey")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl UpdateKey {
    /// Reads what `tsig-keygen` writes: a `key` statement with algorithm and secret.
    ///
    /// # Errors
    /// `Invalid` where it is none, or not for HMAC-SHA256.
    pub fn parse(text: &str) -> Result<Self, UpdateError> {
        let bad = |what: &str| UpdateError::Invalid(format!("the key file {what}"));
        let words: Vec<&str> = text
            .split(|c: char| c.is_whitespace() || "{};".contains(c))
            .filter(|word| !word.is_empty())
            .map(|word| word.trim_matches('"'))
            .collect();
        let after = |wanted: &str| {
            let at = words.iter().position(|word| *word == wanted)?;
            words.get(at + 1).copied()
        };
        let missing = "must hold a statement as tsig-keygen writes it: \
                       key \"NAME\" { algorithm hmac-sha256; secret \"...\"; };";
        let (Some(name), Some(algorithm), Some(secret)) =
            (after("key"), after("algorithm"), after("secret"))
        else {
            return Err(bad(missing));
        };
        if !algorithm.eq_ignore_ascii_case("hmac-sha256") {
            return Err(bad("holds another key than one for hmac-sha256"));
        }
        let secret = base64(secret).ok_or_else(|| bad("holds a secret that is no base64"))?;
        Ok(Self {
            name: name.to_owned(),
            secret,
        })
    }
}

/// Kinds of records that are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// Text.
    Txt,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
}

impl RecordKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Txt, Self::A, Self::Aaaa];

    /// Its name in a zone file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Txt => "TXT",
            Self::A => "A",
            Self::Aaaa => "AAAA",
        }
    }

    /// The kind with this name.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    fn record_type(self) -> RecordType {
        match self {
            Self::Txt => RecordType::TXT,
            Self::A => RecordType::A,
            Self::Aaaa => RecordType::AAAA,
        }
    }
}

/// All records of one kind at one name, as they are or shall be. No text: there are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneRecord {
    /// Which kind.
    pub kind: RecordKind,
    /// The whole text of a TXT record, of which strings of at most 255 octets are made; the addresses of the others, in
    /// order and with one space between.
    pub text: Option<String>,
    /// Seconds that others may remember it.
    pub ttl_seconds: u32,
}

impl ZoneRecord {
    /// A TXT record.
    pub fn txt(text: Option<String>, ttl_seconds: u32) -> Self {
        Self {
            kind: RecordKind::Txt,
            text,
            ttl_seconds,
        }
    }

    /// The same without any record.
    pub fn gone(&self) -> Self {
        Self {
            text: None,
            ..self.clone()
        }
    }
}

/// Why a zone was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// The zone does not hold what it should hold before the change: somebody changed it meanwhile.
    #[error("the zone no longer holds what it held when the change was planned; plan it again")]
    Changed,
    /// The server refused.
    #[error(
        "the DNS server {server} refused the change: {code}; look at its update policy and key"
    )]
    Refused {
        /// Which.
        server: SocketAddr,
        /// The response code's name.
        code: String,
    },
    /// The server could not be asked, or what it said cannot be trusted.
    #[error("the DNS server {server} could not be asked to change the zone: {why}")]
    Unreachable {
        /// Which.
        server: SocketAddr,
        /// In words.
        why: String,
    },
    /// What was given cannot be a change.
    #[error("{0}")]
    Invalid(String),
}

impl Primary {
    /// The server at `address` for `zone`, with an HMAC-SHA256 key.
    ///
    /// # Errors
    /// `Invalid` where a name is none or the key is too short to protect anything.
    pub fn new(address: SocketAddr, zone: &str, key: &UpdateKey) -> Result<Self, UpdateError> {
        let length = key.secret.len();
        if length < KEY_BYTES_MIN {
            return Err(UpdateError::Invalid(format!(
                "the key {} has {length} bytes; at least {KEY_BYTES_MIN} are needed",
                key.name
            )));
        }
        let signer = TSigner::new(
            key.secret.clone(),
            TsigAlgorithm::HmacSha256,
            name(&key.name)?,
            FUDGE_SECONDS,
        )
        .map_err(|error| UpdateError::Invalid(error.to_string()))?;
        Ok(Self {
            address,
            zone: name(zone)?,
            signer,
        })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts `after` in the place of `before` at `owner`, as one step; nothing else at `owner` is touched. Both are of one
    /// kind; where neither has a text, it is only made sure that there is none.
    ///
    /// # Errors
    /// `Changed` where the zone does not hold exactly `before` (its time to live aside).
    pub async fn replace(
        &self,
        owner: &str,
        before: &ZoneRecord,
        after: &ZoneRecord,
    ) -> Result<(), UpdateError> {
        let owner = name(owner)?;
        if !self.zone.zone_of(&owner) {
            return Err(UpdateError::Invalid(format!(
                "{owner} is not in the zone {}",
                self.zone
            )));
        }
        let zone = self.zone.clone();
        if before.kind != after.kind {
            return Err(UpdateError::Invalid(
                "a record is replaced by one of its own kind only".to_owned(),
            ));
        }
        let nothing = || RecordSet::with_ttl(owner.clone(), before.kind.record_type(), 0);
        let message = match (record_set(&owner, before)?, record_set(&owner, after)?) {
            // Changes nothing, and wants that nothing is there.
            (None, None) => create(nothing(), zone, false),
            (None, Some(new)) => create(new, zone, false),
            // The record is both what must be there and what goes.
            (Some(old), None) => demanding(delete_by_rdata(old.clone(), zone, false), &old),
            (Some(old), Some(new)) => compare_and_swap(old, new, zone, false),
        };
        self.carry_out(message).await
    }

    async fn carry_out(&self, message: Message) -> Result<(), UpdateError> {
        let asked = timeout(CHANGE_TIME_MAX, self.exchange(message)).await;
        let code = asked
            .map_err(|_| self.unreachable("it does not answer"))?
            .map_err(|why| self.unreachable(why))?;
        match code {
            ResponseCode::NoError => Ok(()),
            ResponseCode::NXRRSet | ResponseCode::YXRRSet | ResponseCode::YXDomain => {
                Err(UpdateError::Changed)
            }
            code => Err(UpdateError::Refused {
                server: self.address,
                code: code.to_string(),
            }),
        }
    }

    /// Asks over TCP: a change must not be lost in a datagram.
    async fn exchange(&self, mut message: Message) -> Result<ResponseCode, String> {
        // The other side's clock is real, whatever a test did to ours.
        let seconds = u64::try_from(Clock::system().now().seconds()).unwrap_or_default();
        let said = |error: &dyn fmt::Display| error.to_string();
        let verifier = message
            .finalize(&self.signer, seconds)
            .map_err(|e| said(&e))?;
        let bytes = message.to_vec().map_err(|e| said(&e))?;
        let length = u16::try_from(bytes.len()).map_err(|e| said(&e))?;
        let mut socket = TcpStream::connect(self.address)
            .await
            .map_err(|e| said(&e))?;
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(&bytes);
        socket.write_all(&framed).await.map_err(|e| said(&e))?;
        let length = socket.read_u16().await.map_err(|e| said(&e))?;
        let mut answer = vec![0; usize::from(length)];
        socket.read_exact(&mut answer).await.map_err(|e| said(&e))?;
        let plain = Message::from_vec(&answer).map_err(|e| said(&e))?;
        if plain.id != message.id {
            return Err("it answered another question".to_owned());
        }
        if plain.response_code == ResponseCode::NotAuth {
            // A key that is not known there cannot sign the answer that says so (RFC 8945 §5.2.1).
            return Ok(ResponseCode::NotAuth);
        }
        let mut verifier = verifier.ok_or("the question could not be signed")?;
        let proved = verifier
            .verify(&answer)
            .map_err(|e| format!("its answer is not signed with the key: {e}"))?;
        Ok(proved.response_code)
    }

    fn unreachable(&self, why: impl Into<String>) -> UpdateError {
        UpdateError::Unreachable {
            server: self.address,
            why: why.into(),
        }
    }
}

/// The same change, only where `present` is there (RFC 2136 §2.4.2).
fn demanding(mut message: Message, present: &RecordSet) -> Message {
    let mut present = present.clone();
    present.set_ttl(0);
    message.add_pre_requisites(present);
    message
}

fn record_set(owner: &Name, record: &ZoneRecord) -> Result<Option<RecordSet>, UpdateError> {
    let Some(text) = &record.text else {
        return Ok(None);
    };
    if text.is_empty() || text.contains(|letter: char| letter.is_control()) {
        return Err(UpdateError::Invalid(
            "a record's text must not be empty and holds no control characters".to_owned(),
        ));
    }
    let kind = record.kind;
    let mut set = RecordSet::with_ttl(owner.clone(), kind.record_type(), record.ttl_seconds);
    let no_address =
        |word: &str| UpdateError::Invalid(format!("{word} is no {} record", kind.word()));
    let words = || text.split(' ');
    match kind {
        RecordKind::Txt => {
            let strings = text.as_bytes().chunks(STRING_BYTES_MAX).collect();
            set.add_rdata(RData::TXT(TXT::from_bytes(strings)));
        }
        RecordKind::A => {
            for word in words() {
                let address: Ipv4Addr = word.parse().map_err(|_| no_address(word))?;
                set.add_rdata(RData::A(A(address)));
            }
        }
        RecordKind::Aaaa => {
            for word in words() {
                let address: Ipv6Addr = word.parse().map_err(|_| no_address(word))?;
                set.add_rdata(RData::AAAA(AAAA(address)));
            }
        }
    }
    Ok(Some(set))
}

fn name(text: &str) -> Result<Name, UpdateError> {
    let mut name = Name::from_ascii(text)
        .map_err(|error| UpdateError::Invalid(format!("{text} is no DNS name: {error}")))?;
    name.set_fqdn(true);
    Ok(name)
}

#[cfg(test)]
#[path = "update_tests.rs"]
mod tests;
