//! The files whose durability matters, behind a seam: everything `segments` does to a disk goes
//! through [`Files`], so that tests can record every operation in order, fail the n-th one and
//! rebuild what a power cut would leave. Never buffers, never retries, never syncs on its own.

mod real;
pub mod recording;

pub use real::RealFiles;
pub use recording::RecordingFiles;

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading; it must exist.
    Read,
    /// For reading and writing; it must exist.
    Write,
    /// For reading and writing; it must not exist.
    CreateNew,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name without its directory; names that are not UTF-8 are left out of a listing.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// One open file. Positions are explicit, so any number of threads may use it at once.
pub trait File: Send + Sync {
    /// Writes the parts one after the other from `offset` on, all of them or an error. After an
    /// error any prefix may have been written.
    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()>;
    /// Reads up to `into.len()` bytes from `offset`; fewer only at the end of the file.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;
    /// Makes what was written durable, including the length needed to read it back.
    fn sync_data(&self) -> io::Result<()>;
    /// Cuts or extends (with zeros) the file.
    fn set_len(&self, bytes: u64) -> io::Result<()>;
    /// Length in bytes.
    fn bytes(&self) -> io::Result<u64>;
}

/// A file system as far as durability needs it.
pub trait Files: Send + Sync {
    /// Opens one file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>>;
    /// Renames within a file system, replacing what is at `to`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes one name.
    fn unlink(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// The plain files of a directory, in no particular order.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;
    /// Creates a directory and its parents; no error where it exists.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes an exclusive lock, creating the file where it is missing; `WouldBlock` where another
    /// process or handle has it. The lock ends with the value, also by a crash.
    fn lock(&self, path: &Path) -> io::Result<Lock>;
}

/// A held lock.
#[derive(Debug)]
pub struct Lock {
    _file: std::fs::File,
}

/// Fills `into` from `offset`; a file that ends earlier is an `UnexpectedEof`.
pub(crate) fn read_exact_at(file: &dyn File, offset: u64, into: &mut [u8]) -> io::Result<()> {
    if file.read_at(offset, into)? == into.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}
