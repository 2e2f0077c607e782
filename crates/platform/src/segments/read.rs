//! Reading records by reference. Every byte given out was checked against its CRC32C in the same
//! call; a range costs the header and the 64 KiB chunks it touches. Holds at most
//! `open_files_max` files open and takes no lock while it reads.

use super::record::{CODEC_PLAIN, Kind, Layout, RECORD_HEADER_BYTES, RecordHeader, u32_at};
use super::{BodyRef, Inner, Segments, damaged};
use crate::files::{File, OpenMode, read_exact_at};
use crate::spool::CHUNK_BYTES;
use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};

/// Files open for reading, the longest unused closed first.
pub(super) struct Readers {
    files_max: usize,
    open: Mutex<OpenFiles>,
}

#[derive(Default)]
struct OpenFiles {
    by_number: HashMap<i64, (Arc<dyn File>, u64)>,
    /// Counts uses, to tell which file was not used longest.
    uses: u64,
}

impl Readers {
    pub(super) fn new(files_max: usize) -> Self {
        Self {
            files_max: files_max.max(1),
            open: Mutex::new(OpenFiles::default()),
        }
    }

    fn get(
        &self,
        number: i64,
        open: impl FnOnce() -> io::Result<Arc<dyn File>>,
    ) -> io::Result<Arc<dyn File>> {
        {
            let mut files = self.lock();
            files.uses += 1;
            let uses = files.uses;
            if let Some((file, last)) = files.by_number.get_mut(&number) {
                *last = uses;
                return Ok(file.clone());
            }
        }
        let file = open()?;
        let mut files = self.lock();
        if files.by_number.len() >= self.files_max {
            let oldest = files
                .by_number
                .iter()
                .min_by_key(|(_, (_, last))| *last)
                .map(|(number, _)| *number);
            oldest.map(|number| files.by_number.remove(&number));
        }
        let uses = files.uses;
        files.by_number.insert(number, (file.clone(), uses));
        Ok(file)
    }

    pub(super) fn forget(&self, number: i64) {
        self.lock().by_number.remove(&number);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, OpenFiles> {
        self.open.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Segments {
    /// The facts stored beside a body.
    ///
    /// # Errors
    /// `InvalidData` where the record is damaged or is not the one referred to, `NotFound` where
    /// the segment is gone, those of the disk.
    pub fn read_facts(&self, at: &BodyRef) -> io::Result<Vec<u8>> {
        let file = self.inner.reader(at.segment)?;
        let layout = Layout::of(at).ok_or_else(|| misplaced(at))?;
        let mut bytes =
            vec![0; memory_size(layout.facts() + layout.facts_bytes() - layout.start())?];
        read(file.as_ref(), at, layout.start(), &mut bytes)?;
        let (head, rest) = bytes.split_at(RECORD_HEADER_BYTES as usize);
        let header = header_of(at, head)?;
        let facts = &rest[memory_size(layout.table_bytes())?..];
        if crc32c::crc32c(facts) != header.facts_crc {
            return Err(rotten(at, "its facts"));
        }
        bytes.drain(..memory_size(layout.facts() - layout.start())?);
        Ok(bytes)
    }

    /// The bytes `range` of a body; what lies in it, and only that, is read and verified, in
    /// chunks of 64 KiB. Ask for multiples of [`CHUNK_BYTES`] where a large body is streamed.
    ///
    /// # Errors
    /// `InvalidInput` for a range that is not inside the body, else as [`Segments::read_facts`].
    pub fn read_body(&self, at: &BodyRef, range: Range<u64>) -> io::Result<Vec<u8>> {
        let layout = Layout::of(at).ok_or_else(|| misplaced(at))?;
        let body_bytes = at.body_bytes.cast_unsigned();
        if range.start > range.end || range.end > body_bytes {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "bytes {} to {} were asked for of a body of {body_bytes}",
                    range.start, range.end
                ),
            ));
        }
        let file = self.inner.reader(at.segment)?;
        let mut front = vec![0; memory_size(RECORD_HEADER_BYTES + layout.table_bytes())?];
        read(file.as_ref(), at, layout.start(), &mut front)?;
        let (head, table) = front.split_at(RECORD_HEADER_BYTES as usize);
        let header = header_of(at, head)?;
        if crc32c::crc32c(table) != header.table_crc {
            return Err(rotten(at, "its check sums"));
        }
        let chunk = CHUNK_BYTES as u64;
        let first = range.start / chunk;
        let whole = first * chunk..range.end.next_multiple_of(chunk).min(body_bytes);
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let mut bytes = vec![0; memory_size(whole.end - whole.start)?];
        read(file.as_ref(), at, layout.body() + whole.start, &mut bytes)?;
        let sums = table[memory_size(first * 4)?..].chunks_exact(4);
        for (part, sum) in bytes.chunks(CHUNK_BYTES).zip(sums) {
            if crc32c::crc32c(part) != u32_at(sum, 0) {
                return Err(rotten(at, "its body"));
            }
        }
        bytes.truncate(memory_size(range.end - whole.start)?);
        bytes.drain(..memory_size(range.start - whole.start)?);
        Ok(bytes)
    }

    /// The content hash of a body: the first sixteen bytes of BLAKE3. Equal hashes are equal
    /// bodies; nothing of the body is read.
    ///
    /// # Errors
    /// As [`Segments::read_facts`].
    pub fn read_hash(&self, at: &BodyRef) -> io::Result<[u8; 16]> {
        self.inner.read_header(at).map(|(header, _)| header.hash)
    }
}

impl Inner {
    pub(super) fn reader(&self, number: i64) -> io::Result<Arc<dyn File>> {
        self.readers.get(number, || {
            self.files
                .open(&self.path(number), OpenMode::Read)
                .map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound => io::Error::new(
                        io::ErrorKind::NotFound,
                        format!(
                            "segment {number} is not in {}; restore it from a backup",
                            self.dir.display()
                        ),
                    ),
                    _ => error,
                })
        })
    }

    /// The header and the chunk table behind a reference, both verified.
    pub(super) fn read_header(&self, at: &BodyRef) -> io::Result<(RecordHeader, Vec<u8>)> {
        let layout = Layout::of(at).ok_or_else(|| misplaced(at))?;
        let file = self.reader(at.segment)?;
        let mut front = vec![0; memory_size(RECORD_HEADER_BYTES + layout.table_bytes())?];
        read(file.as_ref(), at, layout.start(), &mut front)?;
        let table = front.split_off(RECORD_HEADER_BYTES as usize);
        let header = header_of(at, &front)?;
        if crc32c::crc32c(&table) != header.table_crc {
            return Err(rotten(at, "its check sums"));
        }
        Ok((header, table))
    }
}

fn read(file: &dyn File, at: &BodyRef, offset: u64, into: &mut [u8]) -> io::Result<()> {
    read_exact_at(file, offset, into).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => rotten(at, "its end"),
        _ => error,
    })
}

/// The header in `bytes`, where it is the one `at` refers to.
fn header_of(at: &BodyRef, bytes: &[u8]) -> io::Result<RecordHeader> {
    let mut head = [0; RECORD_HEADER_BYTES as usize];
    head.copy_from_slice(&bytes[..RECORD_HEADER_BYTES as usize]);
    let header = RecordHeader::decode(&head).ok_or_else(|| rotten(at, "its header"))?;
    if header.kind != Kind::Message || header.body_ref() != *at {
        return Err(misplaced(at));
    }
    if header.codec != CODEC_PLAIN {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!(
                "the record at {} of segment {} has codec {}, which a newer program wrote",
                at.offset, at.segment, header.codec
            ),
        ));
    }
    Ok(header)
}

fn memory_size(bytes: u64) -> io::Result<usize> {
    usize::try_from(bytes).map_err(|_| io::ErrorKind::OutOfMemory.into())
}

fn rotten(at: &BodyRef, what: &str) -> io::Error {
    damaged(format!(
        "the record at {} of segment {} is damaged: {what} cannot be read as written; restore the \
         segment from a backup",
        at.offset, at.segment
    ))
}

fn misplaced(at: &BodyRef) -> io::Error {
    damaged(format!(
        "at {} of segment {} is not the message that a row refers to",
        at.offset, at.segment
    ))
}
