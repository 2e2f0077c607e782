//! Reads a segment from its first byte and decides what is believed after a crash. The same code
//! runs on files and, for fuzzing, on bytes. Never writes.
//!
//! What was durable when the power failed is told by the records themselves: each carries the
//! offset up to which everything before it had been synced (its watermark).
//!
//! ```text
//! | durable: damage here is rot, nothing is cut | never synced for sure: holes, torn tail |
//! 64                                    highest watermark                            length
//! ```
//!
//! Behind damage the scan looks on for the next record, so one bad sector costs one message.

use super::BodyRef;
use super::record::{
    FILE_HEADER_BYTES, FileHeader, Kind, RECORD_HEADER_BYTES, RECORD_MAGIC, RecordHeader, Salt,
    aligned, u32_at,
};
use crate::files::File;
use crate::spool::{CHUNK_BYTES, Digester};
use std::io;

/// Damaged places of one segment that are listed; further ones are only counted.
const DAMAGES_MAX: usize = 64;
/// Bytes looked through at first for the next record; the next one is mostly near.
const SEARCH_BYTES_MIN: usize = 8 << 10;
/// Bytes looked through at once where it is far.
const SEARCH_BYTES_MAX: usize = 1 << 20;

/// Something a segment is read from.
pub(super) trait Source {
    fn bytes(&self) -> u64;
    /// Fills `into` from `offset`; fewer bytes only at the end.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;
}

impl Source for &[u8] {
    fn bytes(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|from| self.get(from..))
            .unwrap_or_default();
        let size = rest.len().min(into.len());
        into[..size].copy_from_slice(&rest[..size]);
        Ok(size)
    }
}

/// A file up to a length that is known to be written.
pub(super) struct FileSource<'a> {
    pub(super) file: &'a dyn File,
    pub(super) bytes: u64,
}

impl Source for FileSource<'_> {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let size = into.len().min(left);
        self.file.read_at(offset, &mut into[..size])
    }
}

fn filled(source: &dyn Source, offset: u64, into: &mut [u8]) -> io::Result<bool> {
    Ok(source.read_at(offset, into)? == into.len())
}

/// A stretch of a segment, in bytes from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) from: u64,
    pub(super) to: u64,
}

/// What the walk meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A header whose own check sum is right and whose record lies inside the file. Facts and body
    /// are not checked yet.
    Record(RecordHeader),
    /// Bytes that are no record.
    Damage(Stretch),
}

/// Walks from record to record by their headers.
pub(super) struct Walker<'a> {
    source: &'a dyn Source,
    number: i64,
    salt: Option<Salt>,
    at: u64,
}

impl<'a> Walker<'a> {
    /// From the first record. Without a salt (damaged file header) any salt passes.
    pub(super) fn new(source: &'a dyn Source, number: i64, salt: Option<Salt>) -> Self {
        Self::starting_at(source, number, salt, FILE_HEADER_BYTES)
    }

    pub(super) fn starting_at(
        source: &'a dyn Source,
        number: i64,
        salt: Option<Salt>,
        at: u64,
    ) -> Self {
        Self {
            source,
            number,
            salt,
            at: aligned(at.max(FILE_HEADER_BYTES)),
        }
    }

    /// The next step; `None` at the end.
    pub(super) fn step(&mut self) -> io::Result<Option<Step>> {
        if self.at >= self.source.bytes() {
            return Ok(None);
        }
        let mut bytes = [0; RECORD_HEADER_BYTES as usize];
        if filled(self.source, self.at, &mut bytes)?
            && let Some(header) = self.accept(&bytes, self.at)
        {
            self.at = header.next();
            return Ok(Some(Step::Record(header)));
        }
        let from = self.at;
        self.at = self.find_next(from + super::record::ALIGNMENT_BYTES)?;
        Ok(Some(Step::Damage(Stretch { from, to: self.at })))
    }

    fn accept(&self, bytes: &[u8; RECORD_HEADER_BYTES as usize], at: u64) -> Option<RecordHeader> {
        RecordHeader::decode(bytes).filter(|header| {
            header.segment == self.number
                && header.offset == at
                && self.salt.is_none_or(|salt| salt == header.salt)
                && header.durable <= at
                && header.end() <= self.source.bytes()
        })
    }

    /// The offset of the next believable header from `from` on, or the end.
    fn find_next(&self, mut from: u64) -> io::Result<u64> {
        let mut block = vec![0; SEARCH_BYTES_MIN];
        let header_bytes = RECORD_HEADER_BYTES as usize;
        loop {
            let size = self.source.read_at(from, &mut block)?;
            if size < header_bytes {
                return Ok(self.source.bytes());
            }
            let mut at = 0;
            while at + header_bytes <= size {
                if block[at..at + 4] == RECORD_MAGIC {
                    let mut bytes = [0; RECORD_HEADER_BYTES as usize];
                    bytes.copy_from_slice(&block[at..at + header_bytes]);
                    if self.accept(&bytes, from + at as u64).is_some() {
                        return Ok(from + at as u64);
                    }
                }
                at += super::record::ALIGNMENT_BYTES as usize;
            }
            from += at as u64;
            block.resize((block.len() * 4).min(SEARCH_BYTES_MAX), 0);
        }
    }
}

/// Whether facts and body of a record are what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Intact,
    Damaged,
}

/// Reads a whole record and checks everything it carries sums for, the content hash included.
pub(super) fn check_record(source: &dyn Source, header: &RecordHeader) -> io::Result<Condition> {
    if header.kind != Kind::Message {
        return Ok(Condition::Intact);
    }
    let layout = header.layout();
    let Ok(facts_bytes) = usize::try_from(layout.facts() + layout.facts_bytes() - layout.table())
    else {
        return Ok(Condition::Damaged);
    };
    let mut front = vec![0; facts_bytes];
    if !filled(source, layout.table(), &mut front)? {
        return Ok(Condition::Damaged);
    }
    let (table, facts) = front.split_at(usize::try_from(layout.table_bytes()).unwrap_or(0));
    if crc32c::crc32c(table) != header.table_crc || crc32c::crc32c(facts) != header.facts_crc {
        return Ok(Condition::Damaged);
    }
    let mut digester = Digester::default();
    let (mut at, end) = (layout.body(), header.end());
    let mut chunk = vec![0; CHUNK_BYTES.min(usize::try_from(end - at).unwrap_or(CHUNK_BYTES))];
    for crc in table.chunks_exact(4) {
        let size = usize::try_from(end - at).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
        let part = &mut chunk[..size];
        if !filled(source, at, part)? || crc32c::crc32c(part) != u32_at(crc, 0) {
            return Ok(Condition::Damaged);
        }
        digester.update(part);
        at += size as u64;
    }
    if digester.finish().hash == header.hash {
        Ok(Condition::Intact)
    } else {
        Ok(Condition::Damaged)
    }
}

/// What a segment without a seal holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Examined {
    /// The file header, where it is intact.
    pub(super) salt: Option<Salt>,
    /// The salt a damaged file header must have had.
    pub(super) adopted_salt: Option<Salt>,
    /// Messages whose headers are intact.
    pub(super) messages: u64,
    /// Everything before this was durable before the stop.
    pub(super) durable: u64,
    /// Behind the last record that is complete.
    pub(super) end: u64,
    /// Damage inside what had been durable.
    pub(super) rot: Vec<Stretch>,
    /// Damage that had never been durable, with complete records behind it.
    pub(super) holes: Vec<Stretch>,
    /// Further damaged places that are not listed.
    pub(super) more: u64,
    /// Whether the last record says that the stop was clean.
    pub(super) clean_stop: bool,
}

impl Examined {
    fn list(&mut self, into: fn(&mut Self) -> &mut Vec<Stretch>, stretch: Stretch) {
        let list = into(self);
        if list.len() < DAMAGES_MAX {
            list.push(stretch);
        } else {
            self.more += 1;
        }
    }
}

/// Reads the file header.
pub(super) fn read_file_header(source: &dyn Source) -> io::Result<Option<FileHeader>> {
    let mut bytes = [0; FILE_HEADER_BYTES as usize];
    Ok(if filled(source, 0, &mut bytes)? {
        FileHeader::decode(&bytes)
    } else {
        None
    })
}

/// Whether the segment ends in a seal that was written after everything before it was durable.
pub(super) fn is_sealed(source: &dyn Source, number: i64, salt: Salt) -> io::Result<bool> {
    let Some(at) = source.bytes().checked_sub(RECORD_HEADER_BYTES) else {
        return Ok(false);
    };
    if aligned(at) != at || at < FILE_HEADER_BYTES {
        return Ok(false);
    }
    Ok(matches!(
        Walker::starting_at(source, number, Some(salt), at).step()?,
        Some(Step::Record(header)) if header.kind == Kind::Seal && header.durable == at
    ))
}

/// Examines a segment that has no seal. `committed` is an offset up to which rows prove that it was
/// durable, 0 where nobody knows.
pub(super) fn examine(source: &dyn Source, number: i64, committed: u64) -> io::Result<Examined> {
    let file_header = read_file_header(source)?.filter(|header| header.number == number);
    let mut found = Examined {
        salt: file_header.map(|header| header.salt),
        durable: committed,
        ..Examined::default()
    };
    let mut damages = Vec::new();
    let mut first_is_intact = false;
    let mut walker = Walker::new(source, number, found.salt);
    while let Some(step) = walker.step()? {
        match step {
            Step::Record(header) => {
                found.durable = found.durable.max(header.durable);
                // The first record follows the file header and cannot lie in a message. Where it is
                // gone too, and nothing was durable, the last one is the least likely to.
                if header.offset == FILE_HEADER_BYTES || (found.durable == 0 && !first_is_intact) {
                    first_is_intact |= header.offset == FILE_HEADER_BYTES;
                    found.adopted_salt = Some(header.salt);
                }
                found.messages += u64::from(header.kind == Kind::Message);
                // A stop mark or seal is written after a sync of everything before it.
                found.clean_stop = header.kind == Kind::Stop && header.durable == header.offset;
            }
            Step::Damage(stretch) => {
                found.clean_stop = false;
                if damages.len() < DAMAGES_MAX {
                    damages.push(stretch);
                } else {
                    found.more += 1;
                }
            }
        }
    }
    if found.durable > 0 && !first_is_intact {
        found.adopted_salt = None;
    }
    if found.salt.is_none() && found.durable > 0 {
        found.rot.push(Stretch {
            from: 0,
            to: FILE_HEADER_BYTES,
        });
    }
    let durable = found.durable;
    found.rot.extend(
        damages
            .into_iter()
            .filter(|damage| damage.from < durable)
            .map(|damage| Stretch {
                from: damage.from,
                to: damage.to.min(durable),
            }),
    );
    if durable > aligned(source.bytes()) && found.rot.is_empty() {
        found.rot.push(Stretch {
            from: source.bytes(),
            to: durable,
        });
    }
    examine_unsynced(source, number, &mut found)?;
    Ok(found)
}

/// Everything from the watermark on: complete records count, all else is a hole or the torn tail.
fn examine_unsynced(source: &dyn Source, number: i64, found: &mut Examined) -> io::Result<()> {
    found.end = found.durable;
    let mut waiting = Vec::new();
    let mut walker = Walker::starting_at(source, number, found.salt, found.durable);
    while let Some(step) = walker.step()? {
        match step {
            Step::Record(header) if check_record(source, &header)? == Condition::Intact => {
                for hole in waiting.drain(..) {
                    found.list(|f| &mut f.holes, hole);
                }
                found.end = header.next();
            }
            Step::Record(header) => waiting.push(Stretch {
                from: header.offset,
                to: header.next(),
            }),
            Step::Damage(stretch) => waiting.push(stretch),
        }
    }
    Ok(())
}

/// What [`recover_bytes`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// References to the messages that are complete, in order.
    pub messages: Vec<BodyRef>,
    /// Where a torn tail would be cut; `None` where there is none.
    pub cut_at: Option<u64>,
    /// Damaged places: inside what had been durable, and never durable.
    pub damaged: [usize; 2],
}

/// Recovery as a pure function over the bytes of a segment file, for fuzzing: must neither panic
/// nor loop, whatever the bytes are, and believes only records whose check sums are right.
pub fn recover_bytes(bytes: &[u8]) -> Recovered {
    let source: &dyn Source = &bytes;
    let number = match read_file_header(source) {
        Ok(Some(header)) => header.number,
        _ => 1,
    };
    let Ok(found) = examine(source, number, 0) else {
        return Recovered::default();
    };
    let mut messages = Vec::new();
    let mut walker = Walker::new(source, number, found.salt);
    while let Ok(Some(step)) = walker.step() {
        if let Step::Record(header) = step
            && header.kind == Kind::Message
            && matches!(check_record(source, &header), Ok(Condition::Intact))
        {
            messages.push(header.body_ref());
        }
    }
    Recovered {
        messages,
        cut_at: (found.end < bytes.len() as u64).then_some(found.end),
        damaged: [found.rot.len(), found.holes.len()],
    }
}
