//! Files for tests: works on real files, writes down every changing operation in order and fails
//! the ones it is told to fail. The log is what power-cut replays are built from. Never used by
//! the server itself.

use super::{Entry, File, Files, Lock, OpenMode, RealFiles};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// One operation that changed something on the disk, or was meant to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// A file appeared under this name.
    Create(PathBuf),
    /// Bytes written at an offset.
    Write(PathBuf, u64, Arc<[u8]>),
    /// The file was cut or extended to this length.
    SetLen(PathBuf, u64),
    /// What was written to this file is durable now.
    Sync(PathBuf),
    /// A sync of this file failed: nobody knows what of it is durable, and a later sync that
    /// succeeds says nothing about what was written before this one.
    SyncFailed(PathBuf),
    /// A name was changed.
    Rename(PathBuf, PathBuf),
    /// A name was removed.
    Unlink(PathBuf),
    /// The names in this directory are durable now.
    SyncDir(PathBuf),
    /// A directory was created.
    CreateDir(PathBuf),
    /// What the workload wants to remember at this place, such as "message 7 is acknowledged".
    Mark(String),
}

/// Which operations fail, and how.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// The first operation that fails; those of `kind` count, from 0.
    pub at: u64,
    /// How many fail from there on.
    pub count: u64,
    /// The error, as an `errno` (`libc::ENOSPC`, `libc::EIO`).
    pub errno: i32,
    /// Which kinds of operation fail; others pass and do not count.
    pub kind: FaultKind,
}

/// The operations a [`Fault`] hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// Every operation.
    Any,
    /// Writes; half of the bytes arrive before the error, as on a full disk.
    Write,
    /// Syncs of files.
    Sync,
}

#[derive(Debug, Default)]
struct State {
    operations: Vec<Operation>,
    counted: u64,
    fault: Option<Fault>,
}

/// The ordered log, shared by everything that takes part in a test. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct OperationLog {
    state: Arc<Mutex<State>>,
}

impl OperationLog {
    /// Everything so far, in order.
    pub fn operations(&self) -> Vec<Operation> {
        self.lock().operations.clone()
    }

    /// How many operations there are so far.
    pub fn count(&self) -> usize {
        self.lock().operations.len()
    }

    /// Adds a remark of the workload.
    pub fn mark(&self, text: impl Into<String>) {
        self.lock().operations.push(Operation::Mark(text.into()));
    }

    /// Adds an operation done elsewhere (a database's own file layer).
    pub fn push(&self, operation: Operation) {
        self.lock().operations.push(operation);
    }

    /// Makes operations fail from now on; counting starts again at 0. `None` ends it.
    pub fn set_fault(&self, fault: Option<Fault>) {
        let mut state = self.lock();
        state.fault = fault;
        state.counted = 0;
    }

    /// Counts one operation of this kind and says whether it is to fail.
    pub fn admit(&self, kind: FaultKind) -> io::Result<()> {
        let mut state = self.lock();
        let Some(fault) = state.fault else {
            return Ok(());
        };
        if fault.kind != FaultKind::Any && fault.kind != kind {
            return Ok(());
        }
        let number = state.counted;
        state.counted += 1;
        if number >= fault.at && number - fault.at < fault.count {
            return Err(io::Error::from_raw_os_error(fault.errno));
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Real files with a log.
#[derive(Debug, Clone, Default)]
pub struct RecordingFiles {
    log: OperationLog,
}

impl RecordingFiles {
    /// Files that write into `log`.
    pub fn new(log: OperationLog) -> Self {
        Self { log }
    }

    /// The log.
    pub fn log(&self) -> &OperationLog {
        &self.log
    }
}

struct RecordingFile {
    inner: Arc<dyn File>,
    path: PathBuf,
    log: OperationLog,
}

impl File for RecordingFile {
    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let mut bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        let admitted = self.log.admit(FaultKind::Write);
        if admitted.is_err() {
            bytes.truncate(bytes.len() / 2);
        }
        self.inner.write_at(offset, &[IoSlice::new(&bytes)])?;
        self.log.push(Operation::Write(
            self.path.clone(),
            offset,
            Arc::from(bytes),
        ));
        admitted
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, into)
    }

    fn sync_data(&self) -> io::Result<()> {
        if let Err(error) = self.log.admit(FaultKind::Sync) {
            self.log.push(Operation::SyncFailed(self.path.clone()));
            return Err(error);
        }
        // The log decides what is durable; flushing the real disk would only make tests slow.
        self.log.push(Operation::Sync(self.path.clone()));
        Ok(())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.log.admit(FaultKind::Any)?;
        self.inner.set_len(bytes)?;
        self.log.push(Operation::SetLen(self.path.clone(), bytes));
        Ok(())
    }

    fn bytes(&self) -> io::Result<u64> {
        self.inner.bytes()
    }
}

impl Files for RecordingFiles {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        if mode == OpenMode::CreateNew {
            self.log.admit(FaultKind::Any)?;
        }
        let inner = RealFiles.open(path, mode)?;
        if mode == OpenMode::CreateNew {
            self.log.push(Operation::Create(path.to_owned()));
        }
        Ok(Arc::new(RecordingFile {
            inner,
            path: path.to_owned(),
            log: self.log.clone(),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.log.admit(FaultKind::Any)?;
        RealFiles.rename(from, to)?;
        self.log
            .push(Operation::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.log.admit(FaultKind::Any)?;
        RealFiles.unlink(path)?;
        self.log.push(Operation::Unlink(path.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.log.admit(FaultKind::Any)?;
        self.log.push(Operation::SyncDir(dir.to_owned()));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        RealFiles.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        self.log.admit(FaultKind::Any)?;
        RealFiles.create_dir(dir)?;
        self.log.push(Operation::CreateDir(dir.to_owned()));
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        RealFiles.lock(path)
    }
}
