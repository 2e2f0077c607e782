//! A message on its way in: bytes collected in memory up to a limit and past it in a temporary file
//! without a name, so that a crash leaves nothing behind. Check sums are taken while the bytes are
//! at hand, so appending to a segment reads a large message only once. Nothing here is durable.
//! Sessions and APPEND fill spools; `segments` stores them.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A body's check sums are taken per this many bytes, so that a part is verified by itself.
pub const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes gathered before a write to the temporary file.
const FILE_BUFFER_BYTES: usize = 16 * 1024;
/// The first allocation: most messages fit, and most sessions carry one at a time.
const FIRST_ALLOCATION_BYTES: usize = 8 * 1024;

/// Where a spool keeps its bytes.
#[derive(Debug, Clone)]
pub struct SpoolLimits {
    /// Bytes held in memory before the rest goes to a file.
    pub memory_bytes: usize,
    /// The directory for temporary files; best on the disk that holds the segments.
    pub dir: Arc<Path>,
}

/// The memory all spools together may hold, in bytes. A spool that gets no more goes to its file.
#[derive(Debug)]
pub struct SpoolBudget {
    bytes_max: u64,
    used: AtomicU64,
}

impl SpoolBudget {
    /// A budget of `bytes_max` for everybody who shares it.
    pub fn new(bytes_max: u64) -> Arc<Self> {
        Arc::new(Self {
            bytes_max,
            used: AtomicU64::new(0),
        })
    }

    /// Bytes in use now.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: u64) -> bool {
        self.used
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|sum| *sum <= self.bytes_max)
            })
            .is_ok()
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Check sums of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digest {
    /// The first sixteen bytes of BLAKE3 over everything.
    pub(crate) hash: [u8; 16],
    /// CRC32C of each chunk of `CHUNK_BYTES`; the last may be shorter.
    pub(crate) chunks: Vec<u32>,
}

impl Digest {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self {
            hash: truncated(blake3::hash(bytes)),
            chunks: bytes.chunks(CHUNK_BYTES).map(crc32c::crc32c).collect(),
        }
    }
}

fn truncated(hash: blake3::Hash) -> [u8; 16] {
    let mut first = [0; 16];
    first.copy_from_slice(&hash.as_bytes()[..16]);
    first
}

/// Check sums of a body that comes in pieces.
#[derive(Debug, Clone, Default)]
pub(crate) struct Digester {
    hasher: Box<blake3::Hasher>,
    chunks: Vec<u32>,
    in_chunk: usize,
}

impl Digester {
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        self.hasher.update(bytes);
        while !bytes.is_empty() {
            if self.in_chunk == 0 {
                self.chunks.push(0);
            }
            let (now, rest) = bytes.split_at(bytes.len().min(CHUNK_BYTES - self.in_chunk));
            if let Some(last) = self.chunks.last_mut() {
                *last = crc32c::crc32c_append(*last, now);
            }
            self.in_chunk = (self.in_chunk + now.len()) % CHUNK_BYTES;
            bytes = rest;
        }
    }

    pub(crate) fn finish(self) -> Digest {
        Digest {
            hash: truncated(self.hasher.finalize()),
            chunks: self.chunks,
        }
    }
}

#[derive(Debug)]
struct Overflow {
    file: File,
    /// Bytes of the message that are in the file; what comes after is in the spool's memory.
    written: u64,
    digester: Digester,
}

/// One message on its way in.
#[derive(Debug)]
pub struct Spool {
    limits: SpoolLimits,
    budget: Option<Arc<SpoolBudget>>,
    /// What was taken from the budget.
    reserved: u64,
    memory: Vec<u8>,
    overflow: Option<Overflow>,
}

impl Spool {
    /// An empty spool without a shared budget (tools, tests, small messages of our own).
    pub fn new(limits: SpoolLimits) -> Self {
        Self {
            limits,
            budget: None,
            reserved: 0,
            memory: Vec::new(),
            overflow: None,
        }
    }

    /// An empty spool whose memory counts against `budget`. It may hold 16 KiB more for writing to
    /// its file.
    pub fn with_budget(limits: SpoolLimits, budget: Arc<SpoolBudget>) -> Self {
        let mut spool = Self::new(limits);
        spool.budget = Some(budget);
        spool
    }

    /// Adds bytes at the end.
    ///
    /// # Errors
    /// Those of the temporary file (disk full). The spool is of no use after one.
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.overflow.is_none() {
            if self.make_room(bytes.len()) {
                self.memory.extend_from_slice(bytes);
                return Ok(());
            }
            self.begin_overflow()?;
        }
        if self.memory.len() + bytes.len() > FILE_BUFFER_BYTES {
            self.flush()?;
        }
        if bytes.len() >= FILE_BUFFER_BYTES {
            return self.write_through(bytes);
        }
        self.memory.extend_from_slice(bytes);
        Ok(())
    }

    /// Bytes so far.
    pub fn len(&self) -> u64 {
        self.overflow.as_ref().map_or(0, |o| o.written) + self.memory.len() as u64
    }

    /// Whether nothing was pushed yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The whole message where it is in memory.
    pub fn as_memory(&self) -> Option<&[u8]> {
        self.overflow.is_none().then_some(&self.memory[..])
    }

    /// The bytes of `range`, which ends where the message ends.
    ///
    /// # Errors
    /// `InvalidInput` for a range that is not inside the message; those of the file.
    pub fn read_range(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        if range.start > range.end || range.end > self.len() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the range is not inside the spooled message",
            ));
        }
        let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or(usize::MAX)];
        self.fill(range.start, &mut bytes)?;
        Ok(bytes)
    }

    /// Calls `each` with the message in order, in pieces of at most [`CHUNK_BYTES`].
    ///
    /// # Errors
    /// Those of the file and of `each`; the first one ends it.
    pub fn for_each_chunk(&self, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        if let Some(memory) = self.as_memory() {
            return memory.chunks(CHUNK_BYTES).try_for_each(each);
        }
        let (mut at, end) = (0, self.len());
        let mut chunk = vec![0; CHUNK_BYTES];
        while at < end {
            let size = usize::try_from(end - at).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
            self.fill(at, &mut chunk[..size])?;
            each(&chunk[..size])?;
            at += size as u64;
        }
        Ok(())
    }

    /// Check sums of everything so far.
    pub(crate) fn digest(&self) -> Digest {
        match &self.overflow {
            None => Digest::of(&self.memory),
            Some(overflow) => {
                let mut digester = overflow.digester.clone();
                digester.update(&self.memory);
                digester.finish()
            }
        }
    }

    /// Whether `more` bytes fit into memory; reserves them.
    fn make_room(&mut self, more: usize) -> bool {
        let Some(needed) = self.memory.len().checked_add(more) else {
            return false;
        };
        if needed > self.limits.memory_bytes {
            return false;
        }
        if needed <= self.memory.capacity() {
            return true;
        }
        let capacity = needed
            .max(self.memory.capacity().saturating_mul(2))
            .max(FIRST_ALLOCATION_BYTES)
            .min(self.limits.memory_bytes);
        if let Some(budget) = &self.budget {
            let grown = (capacity as u64).saturating_sub(self.reserved);
            if !budget.take(grown) {
                return false;
            }
            self.reserved += grown;
        }
        self.memory.reserve_exact(capacity - self.memory.len());
        true
    }

    fn begin_overflow(&mut self) -> io::Result<()> {
        let file = nameless_file(&self.limits.dir)?;
        self.overflow = Some(Overflow {
            file,
            written: 0,
            digester: Digester::default(),
        });
        self.flush()?;
        self.memory = Vec::with_capacity(FILE_BUFFER_BYTES);
        self.release();
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let memory = std::mem::take(&mut self.memory);
        self.write_through(&memory)?;
        self.memory = memory;
        self.memory.clear();
        Ok(())
    }

    fn write_through(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(overflow) = &mut self.overflow {
            overflow.file.write_all_at(bytes, overflow.written)?;
            overflow.digester.update(bytes);
            overflow.written += bytes.len() as u64;
        }
        Ok(())
    }

    /// Fills `into` from `from`; the caller has checked the range.
    fn fill(&self, from: u64, into: &mut [u8]) -> io::Result<()> {
        let written = self.overflow.as_ref().map_or(0, |o| o.written);
        let in_file = usize::try_from(written.saturating_sub(from))
            .unwrap_or(usize::MAX)
            .min(into.len());
        let (first, second) = into.split_at_mut(in_file);
        if let (Some(overflow), false) = (&self.overflow, first.is_empty()) {
            overflow.file.read_exact_at(first, from)?;
        }
        let start = usize::try_from(from.saturating_sub(written)).unwrap_or(usize::MAX);
        let tail = self
            .memory
            .get(start..start.saturating_add(second.len()))
            .unwrap_or_default();
        second.copy_from_slice(tail);
        Ok(())
    }

    fn release(&mut self) {
        if let Some(budget) = &self.budget {
            budget.give_back(std::mem::take(&mut self.reserved));
        }
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.release();
    }
}

/// A file nobody else can open and that is gone with its last handle.
fn nameless_file(dir: &Path) -> io::Result<File> {
    const O_TMPFILE: i32 = libc::O_TMPFILE;
    let mut options = File::options();
    options.read(true).write(true).mode(0o600);
    match options.clone().custom_flags(O_TMPFILE).open(dir) {
        Ok(file) => return Ok(file),
        Err(error) if unsupported(&error) => {}
        Err(error) => return Err(error),
    }
    // Some file systems (overlay, NFS) know no nameless files: create one and remove its name.
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!(".spool-{}-{number}", std::process::id()));
        match options.create_new(true).open(&path) {
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
            // Left behind by a crash between the two calls above.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let _ = std::fs::remove_file(&path);
            }
            Err(error) => return Err(error),
        }
    }
}

fn unsupported(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(dir: &Path, memory_bytes: usize) -> SpoolLimits {
        SpoolLimits {
            memory_bytes,
            dir: dir.into(),
        }
    }

    fn pattern(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|i| (i * 7 + i / 251) as u8).collect()
    }

    #[test]
    fn a_small_message_stays_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(limits(dir.path(), 100));
        spool.push(b"Subject: a\r\n").unwrap();
        spool.push(b"\r\n").unwrap();
        assert_eq!(spool.as_memory(), Some(&b"Subject: a\r\n\r\n"[..]));
        assert_eq!(spool.read_range(9..10).unwrap(), b"a");
        assert!(spool.read_range(9..99).is_err());
    }

    #[test]
    fn a_large_message_reads_the_same_from_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let whole = pattern(300_000);
        for piece in [1, 997, 16 * 1024, 70_000] {
            let mut spool = Spool::new(limits(dir.path(), 1000));
            for part in whole.chunks(piece) {
                spool.push(part).unwrap();
            }
            assert!(spool.as_memory().is_none());
            assert_eq!(spool.len(), whole.len() as u64);
            assert_eq!(spool.read_range(0..spool.len()).unwrap(), whole);
            let last = spool.len();
            assert_eq!(spool.read_range(last - 3..last).unwrap(), whole[299_997..]);
            let mut again = Vec::new();
            spool
                .for_each_chunk(|chunk| {
                    again.extend_from_slice(chunk);
                    Ok(())
                })
                .unwrap();
            assert_eq!(again, whole);
            assert_eq!(spool.digest(), Digest::of(&whole));
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn spools_share_one_budget_and_give_it_back() {
        let dir = tempfile::tempdir().unwrap();
        let budget = SpoolBudget::new(20_000);
        let mut first = Spool::with_budget(limits(dir.path(), 100_000), budget.clone());
        first.push(&pattern(15_000)).unwrap();
        assert!(first.as_memory().is_some());
        let mut second = Spool::with_budget(limits(dir.path(), 100_000), budget.clone());
        second.push(&pattern(9_000)).unwrap();
        assert!(second.as_memory().is_none(), "the budget was exhausted");
        assert_eq!(second.read_range(0..9_000).unwrap(), pattern(9_000));
        drop(first);
        assert_eq!(budget.used(), 0);
    }
}
