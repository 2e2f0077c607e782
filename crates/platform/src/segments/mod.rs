//! Message bytes at rest: append-only files of check-summed records, addressed by segment and
//! offset. Appending writes once and never syncs; `sync`, called before each commit of the store,
//! makes everything appended so far durable. A record is never changed, never served unless its
//! check sums are right, and removed only with its whole segment after nothing refers to it.
//! `queue` and `mailbox` append, every reader of mail reads.

use crate::clock::Clock;
use crate::files::Files;
use crate::random::Random;
use crate::spool::Spool;
use crate::store::BeforeCommit;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Where a message's bytes are. Four integer columns in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BodyRef {
    /// Number of the segment; never used again for another one.
    pub segment: i64,
    /// Where in it the record begins, in bytes.
    pub offset: i64,
    /// Length of the facts, within `u32`.
    pub facts_bytes: i64,
    /// Length of the body.
    pub body_bytes: i64,
}

/// How segments are kept.
#[derive(Debug, Clone)]
pub struct SegmentOptions {
    /// A segment that would grow past this is sealed and the next one begun. 1 MiB to 16 GiB.
    pub segment_bytes_max: u64,
    /// A body of at least this many bytes gets a segment of its own, so that writing it makes
    /// nobody wait.
    pub own_segment_bytes_min: u64,
    /// Sealed segments whose files are kept open for reading.
    pub open_files_max: usize,
    /// How long a segment must have been sealed before it is compacted: longer than any accept
    /// transaction takes from `append` to its commit.
    pub compact_after: Duration,
    /// How long readers may still use a retired segment before its file is removed.
    pub retire_after: Duration,
    /// What rows are known to refer to. Where the newest such record of a segment is damaged, that
    /// is rot, not a torn tail. May be empty; then the segments' own watermarks decide.
    pub committed: Vec<BodyRef>,
    /// Tells how long a segment has been sealed.
    pub clock: Clock,
    /// Marks each segment so that bytes inside a message cannot pass for a record.
    pub random: Random,
}

impl SegmentOptions {
    /// The defaults: 256 MiB, 8 MiB, 128 files, one hour, ten minutes.
    pub fn new(clock: Clock, random: Random) -> Self {
        Self {
            segment_bytes_max: 256 << 20,
            own_segment_bytes_min: 8 << 20,
            open_files_max: 128,
            compact_after: Duration::from_secs(3600),
            retire_after: Duration::from_secs(600),
            committed: Vec::new(),
            clock,
            random,
        }
    }
}

/// What opening found. Empty lists after a clean stop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// In words: torn tails that were cut (expected after a power cut; nothing acknowledged was in
    /// them).
    pub cut: Vec<String>,
    /// In words: damage inside what had been durable. Nothing was cut there; the operator must know.
    pub rot: Vec<String>,
}

/// The segments of one node. Cheap to clone. All calls block, most of them shortly.
#[derive(Clone)]
pub struct Segments {
    _inner: Arc<()>,
}

fn later<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Segments {
    /// Opens the segments in `dir`, which is created where it is missing, and repairs what a power
    /// cut left.
    pub fn open(
        _dir: &Path,
        _options: SegmentOptions,
        _files: Arc<dyn Files>,
    ) -> io::Result<(Self, Recovery)> {
        later()
    }

    /// Appends one message. It is readable at once and durable after the next [`Segments::sync`].
    pub fn append(&self, _facts: &[u8], _body: &Spool) -> io::Result<BodyRef> {
        later()
    }

    /// Makes everything appended so far durable; nothing to do where nothing is new.
    pub fn sync(&self) -> io::Result<()> {
        later()
    }

    /// `sync` as the hook the store calls before each commit.
    pub fn before_commit(&self) -> BeforeCommit {
        let segments = self.clone();
        Arc::new(move || segments.sync())
    }

    /// The facts stored beside a body.
    pub fn read_facts(&self, _at: &BodyRef) -> io::Result<Vec<u8>> {
        later()
    }

    /// The bytes `range` of a body; only what lies in it is read and verified.
    pub fn read_body(&self, _at: &BodyRef, _range: Range<u64>) -> io::Result<Vec<u8>> {
        later()
    }
}
