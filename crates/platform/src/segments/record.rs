//! The bytes of a segment: a file header, then records one after the other.
//!
//! ```text
//! file    64 bytes: magic, version, number, salt, time of creation, CRC32C
//! record  96 bytes header | CRC32C of each 64 KiB of the body | facts | body | zeros to 8 bytes
//! ```
//!
//! A record header repeats the segment's number, its own offset and the segment's random salt, so
//! that bytes inside somebody's message never pass for a record. Integers are little-endian. Pure:
//! bytes to values and back; whether they are believed is decided in `scan`.

use super::BodyRef;
use crate::spool::{CHUNK_BYTES, Digest};

/// Length of a file header.
pub(super) const FILE_HEADER_BYTES: u64 = 64;
/// Length of a record header.
pub(super) const RECORD_HEADER_BYTES: u64 = 96;
/// Records begin at multiples of this.
pub(super) const ALIGNMENT_BYTES: u64 = 8;
/// What every record begins with.
pub(super) const RECORD_MAGIC: [u8; 4] = *b"RMsg";

const FILE_MAGIC: [u8; 8] = *b"ROHRPSEG";
const VERSION: u8 = 1;

/// How the facts and the body of a record are encoded. Later ones: compressed, encrypted per
/// account.
pub(super) const CODEC_PLAIN: u8 = 0;

/// Random bytes that only this segment's records carry.
pub(super) type Salt = [u8; 16];

/// What a file says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileHeader {
    pub(super) number: i64,
    pub(super) salt: Salt,
    /// Milliseconds since 1970.
    pub(super) created: i64,
}

impl FileHeader {
    pub(super) fn encode(&self) -> [u8; FILE_HEADER_BYTES as usize] {
        let mut bytes = [0; FILE_HEADER_BYTES as usize];
        bytes[..8].copy_from_slice(&FILE_MAGIC);
        bytes[8] = VERSION;
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..40].copy_from_slice(&self.salt);
        bytes[40..48].copy_from_slice(&self.created.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; FILE_HEADER_BYTES as usize]) -> Option<Self> {
        let intact = bytes[..8] == FILE_MAGIC
            && bytes[8] == VERSION
            && crc32c::crc32c(&bytes[..60]) == u32_at(bytes, 60);
        intact.then(|| Self {
            number: i64_at(bytes, 16),
            salt: salt_at(bytes, 24),
            created: i64_at(bytes, 40),
        })
    }
}

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Facts and a body.
    Message,
    /// Says how far the segment was durable at a clean stop.
    Stop,
    /// The segment's end; nothing is appended after it.
    Seal,
    /// Covers bytes that were never durable when the power failed. Its body means nothing.
    Void,
}

impl Kind {
    const fn code(self) -> u8 {
        match self {
            Self::Message => 1,
            Self::Stop => 2,
            Self::Seal => 3,
            Self::Void => 4,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        [Self::Message, Self::Stop, Self::Seal, Self::Void]
            .into_iter()
            .find(|kind| kind.code() == code)
    }
}

/// What a record says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) kind: Kind,
    pub(super) codec: u8,
    pub(super) segment: i64,
    pub(super) offset: u64,
    pub(super) salt: Salt,
    /// Everything before this offset was durable when the record was written.
    pub(super) durable: u64,
    pub(super) facts_bytes: u32,
    pub(super) facts_crc: u32,
    pub(super) body_bytes: u64,
    pub(super) hash: [u8; 16],
    /// CRC32C of the chunk table.
    pub(super) table_crc: u32,
}

impl RecordHeader {
    /// A record without content.
    pub(super) fn marker(kind: Kind, segment: i64, offset: u64, salt: Salt, durable: u64) -> Self {
        Self {
            kind,
            codec: CODEC_PLAIN,
            segment,
            offset,
            salt,
            durable,
            facts_bytes: 0,
            facts_crc: 0,
            body_bytes: 0,
            hash: [0; 16],
            table_crc: 0,
        }
    }

    /// This header as that of a message.
    pub(super) fn with_message(
        mut self,
        (facts, facts_bytes): (&[u8], u32),
        body_bytes: u64,
        (digest, table): (&Digest, &[u8]),
    ) -> Self {
        self.facts_bytes = facts_bytes;
        self.facts_crc = crc32c::crc32c(facts);
        self.body_bytes = body_bytes;
        self.hash = digest.hash;
        self.table_crc = crc32c::crc32c(table);
        self
    }

    pub(super) fn encode(&self) -> [u8; RECORD_HEADER_BYTES as usize] {
        let mut bytes = [0; RECORD_HEADER_BYTES as usize];
        bytes[..4].copy_from_slice(&RECORD_MAGIC);
        bytes[4] = VERSION;
        bytes[5] = self.codec;
        bytes[6] = self.kind.code();
        bytes[8..16].copy_from_slice(&self.segment.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.offset.to_le_bytes());
        bytes[24..40].copy_from_slice(&self.salt);
        bytes[40..48].copy_from_slice(&self.durable.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.facts_bytes.to_le_bytes());
        bytes[52..56].copy_from_slice(&self.facts_crc.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.body_bytes.to_le_bytes());
        bytes[64..80].copy_from_slice(&self.hash);
        bytes[80..84].copy_from_slice(&self.table_crc.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..92]);
        bytes[92..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header; `None` where it is damaged or no header at all.
    pub(super) fn decode(bytes: &[u8; RECORD_HEADER_BYTES as usize]) -> Option<Self> {
        let intact = bytes[..4] == RECORD_MAGIC
            && bytes[4] == VERSION
            && crc32c::crc32c(&bytes[..92]) == u32_at(bytes, 92);
        if !intact {
            return None;
        }
        let header = Self {
            kind: Kind::from_code(bytes[6])?,
            codec: bytes[5],
            segment: i64_at(bytes, 8),
            offset: u64_at(bytes, 16),
            salt: salt_at(bytes, 24),
            durable: u64_at(bytes, 40),
            facts_bytes: u32_at(bytes, 48),
            facts_crc: u32_at(bytes, 52),
            body_bytes: u64_at(bytes, 56),
            hash: salt_at(bytes, 64),
            table_crc: u32_at(bytes, 80),
        };
        // Lengths whose sum cannot be an offset come from nobody who wrote honestly.
        header.checked_end().map(|_| header)
    }

    pub(super) fn layout(&self) -> Layout {
        Layout {
            offset: self.offset,
            facts_bytes: u64::from(self.facts_bytes),
            body_bytes: self.body_bytes,
            chunks: match self.kind {
                Kind::Void => 0,
                _ => self.body_bytes.div_ceil(CHUNK_BYTES as u64),
            },
        }
    }

    /// Where the record ends, without the zeros after it.
    pub(super) fn end(&self) -> u64 {
        self.layout().body() + self.body_bytes
    }

    /// Where the next record begins.
    pub(super) fn next(&self) -> u64 {
        aligned(self.end())
    }

    fn checked_end(&self) -> Option<u64> {
        let limit = 1_u64 << 62;
        (self.offset < limit && self.body_bytes < limit && self.durable < limit)
            .then(|| self.next())
    }

    pub(super) fn body_ref(&self) -> BodyRef {
        BodyRef {
            segment: self.segment,
            offset: self.offset.cast_signed(),
            facts_bytes: i64::from(self.facts_bytes),
            body_bytes: self.body_bytes.cast_signed(),
        }
    }
}

/// Where the parts of a record lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    offset: u64,
    facts_bytes: u64,
    body_bytes: u64,
    chunks: u64,
}

impl Layout {
    /// The layout a reference implies; `None` where its numbers make no sense.
    pub(super) fn of(at: &BodyRef) -> Option<Self> {
        let offset = u64::try_from(at.offset).ok()?;
        let body_bytes = u64::try_from(at.body_bytes).ok()?;
        let facts_bytes = u64::from(u32::try_from(at.facts_bytes).ok()?);
        (offset < 1 << 62 && body_bytes < 1 << 62).then(|| Self {
            offset,
            facts_bytes,
            body_bytes,
            chunks: body_bytes.div_ceil(CHUNK_BYTES as u64),
        })
    }

    pub(super) fn start(&self) -> u64 {
        self.offset
    }

    pub(super) fn table(&self) -> u64 {
        self.offset + RECORD_HEADER_BYTES
    }

    pub(super) fn table_bytes(&self) -> u64 {
        self.chunks * 4
    }

    pub(super) fn facts(&self) -> u64 {
        self.table() + self.table_bytes()
    }

    pub(super) fn facts_bytes(&self) -> u64 {
        self.facts_bytes
    }

    pub(super) fn body(&self) -> u64 {
        self.facts() + self.facts_bytes
    }

    /// Where the next record begins.
    pub(super) fn next(&self) -> u64 {
        aligned(self.body() + self.body_bytes)
    }

    /// Zeros after the body.
    pub(super) fn padding(&self) -> usize {
        usize::try_from(self.next() - self.body() - self.body_bytes).unwrap_or(0)
    }

    /// The layout of a record to be written at `offset`.
    pub(super) fn at(offset: u64, facts_bytes: u32, body_bytes: u64) -> Self {
        Self {
            offset,
            facts_bytes: u64::from(facts_bytes),
            body_bytes,
            chunks: body_bytes.div_ceil(CHUNK_BYTES as u64),
        }
    }
}

/// The chunk table as it is stored.
pub(super) fn encode_table(chunks: &[u32]) -> Vec<u8> {
    chunks.iter().flat_map(|crc| crc.to_le_bytes()).collect()
}

/// `offset` moved up to where a record may begin.
pub(super) fn aligned(offset: u64) -> u64 {
    offset.next_multiple_of(ALIGNMENT_BYTES)
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(array_at(bytes, at))
}

fn salt_at(bytes: &[u8], at: usize) -> [u8; 16] {
    array_at(bytes, at)
}
