//! Message bytes at rest: append-only files of check-summed records, addressed by segment and
//! offset. Appending writes once and never syncs; `sync`, called before each commit of the store,
//! makes everything appended so far durable. A record is never changed, never served unless its
//! check sums are right, and removed only with its whole segment after nothing refers to it.
//! `queue` and `mailbox` append, every reader of mail reads.
//!
//! ```text
//!             append                sync                compact + commit      a while later
//!  (nothing) -------> Active/Own --------> ... -> Sealed ---------------> Retired -----> removed
//!                         |  failed sync              ^
//!                         +----------> Suspect -------+  after its bytes were written again
//! ```

mod compact;
mod open;
mod read;
mod record;
mod scan;
mod verify;
mod write;

pub use compact::Compaction;
pub use scan::{Recovered, recover_bytes};
pub use verify::{Progress, VerifyReport};

use crate::clock::{Clock, Timestamp};
use crate::files::{Files, Lock};
use crate::random::Random;
use crate::store::BeforeCommit;
use read::Readers;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use write::{Active, Unsynced};

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
    /// A segment that would grow past this is sealed and the next one begun.
    pub segment_bytes_max: u64,
    /// A body of at least this many bytes gets a segment of its own, so that writing it makes
    /// nobody wait.
    pub own_segment_bytes_min: u64,
    /// Segments whose files are kept open for reading.
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

/// What opening found, in words. Both lists are empty after a clean stop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Torn tails that were cut and holes that were covered: expected after a power cut, nothing
    /// acknowledged was in them.
    pub cut: Vec<String>,
    /// Damage inside what had been durable. Nothing was cut there; the operator must know.
    pub rot: Vec<String>,
}

/// In which part of its life a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentState {
    /// Being appended to, or waiting for its first sync.
    Active,
    /// Nothing is appended any more.
    Sealed,
    /// Its live records were copied; its file is removed after readers had time.
    Retired,
}

/// One segment in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentUsage {
    /// Its number.
    pub number: i64,
    /// Bytes in use, headers included.
    pub bytes: u64,
    /// In which part of its life it is.
    pub state: SegmentState,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    bytes: u64,
    state: SegmentState,
    /// When it was sealed or retired by this process; `None` for what was found at open.
    since: Option<Timestamp>,
    /// A compaction met damaged records; removing the file would destroy what is left of them.
    keep: bool,
}

#[derive(Default)]
struct State {
    active: Option<Active>,
    /// Segments nothing is appended to any more whose bytes are not durable yet.
    waiting: Vec<Unsynced>,
    /// Segments whose sync failed, until their bytes were written again and synced.
    suspects: Vec<Unsynced>,
    known: BTreeMap<i64, Known>,
    /// Files were created whose names are not durable yet.
    names_unsynced: bool,
    next_number: i64,
}

struct Inner {
    dir: PathBuf,
    options: SegmentOptions,
    files: Arc<dyn Files>,
    readers: Readers,
    state: Mutex<State>,
    /// Held for the length of a sync, so that whoever finds nothing new knows that it is durable,
    /// not about to be.
    syncing: Mutex<()>,
    /// `None` where the segments are only read, beside a process that has the lock.
    lock: Option<Lock>,
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn path(&self, number: i64) -> PathBuf {
        self.dir.join(file_name(number))
    }
}

/// The segments of one node. Cheap to clone; all calls block, most of them shortly. Closing the
/// last clone marks a clean stop.
#[derive(Clone)]
pub struct Segments {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Segments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Segments({})", self.inner.dir.display())
    }
}

impl Segments {
    /// `sync` as the hook the store calls before each commit.
    pub fn before_commit(&self) -> BeforeCommit {
        let segments = self.clone();
        Arc::new(move || segments.sync())
    }

    /// Every segment there is, in order of age.
    pub fn list(&self) -> Vec<SegmentUsage> {
        let state = self.inner.state();
        state
            .known
            .iter()
            .map(|(number, known)| SegmentUsage {
                number: *number,
                bytes: known.bytes,
                state: known.state,
            })
            .collect()
    }

    /// Bytes all segments take on the disk.
    pub fn disk_bytes(&self) -> u64 {
        self.list().iter().map(|segment| segment.bytes).sum()
    }

    /// The directory the segments lie in.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }
}

/// Ends of what is in a name, so that names sort by number.
fn file_name(number: i64) -> String {
    format!("{number:019}.seg")
}

fn number_of(name: &str) -> Option<i64> {
    let digits = name.strip_suffix(".seg")?;
    let number = digits.parse().ok()?;
    (file_name(number) == name).then_some(number)
}

fn damaged(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.into())
}

#[cfg(test)]
mod tests;
