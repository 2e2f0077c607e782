//! A disk as a log of operations describes it: what is durable, what only may be. Builds the files
//! that a power cut after any operation could leave.
//!
//! The model is stricter than most file systems: a name is durable only after a sync of its
//! directory, unsynced writes may arrive in any combination of their 4 KiB pages, the last one may
//! be torn at a sector, and what was written before a failed sync is never certain again.

use platform::files::recording::Operation;
use platform::random::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const PAGE_BYTES: u64 = 4096;
const SECTOR_BYTES: u64 = 512;

/// Which of the unsynced operations the disk kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// None of them.
    Nothing,
    /// All of them.
    Everything,
    /// All of them, the last write torn at a sector.
    LastTorn,
    /// Any, page by page.
    SomePages,
    /// Any, write by write.
    SomeWrites,
}

impl Kept {
    /// Every way.
    pub const ALL: [Self; 5] = [
        Self::Nothing,
        Self::Everything,
        Self::LastTorn,
        Self::SomePages,
        Self::SomeWrites,
    ];
}

#[derive(Debug, Clone)]
enum Change {
    Write(u64, Arc<[u8]>),
    SetLen(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Certainty {
    Durable,
    Pending,
    /// A sync of it failed; no later sync makes it certain.
    Lost,
}

#[derive(Debug, Default)]
struct DiskFile {
    base: Vec<u8>,
    changes: Vec<(Change, Certainty)>,
}

impl DiskFile {
    fn settle(&mut self, becomes: Certainty) {
        for (_, certainty) in &mut self.changes {
            if *certainty == Certainty::Pending {
                *certainty = becomes;
            }
        }
        let certain = self
            .changes
            .iter()
            .take_while(|(_, certainty)| *certainty == Certainty::Durable)
            .count();
        for (change, _) in self.changes.drain(..certain) {
            apply(&mut self.base, &change);
        }
    }

    fn content(&self, kept: Kept, random: &Random) -> Vec<u8> {
        let mut bytes = self.base.clone();
        let last = self.changes.len().wrapping_sub(1);
        for (n, (change, certainty)) in self.changes.iter().enumerate() {
            if *certainty == Certainty::Durable {
                apply(&mut bytes, change);
                continue;
            }
            match (kept, change) {
                (Kept::Nothing, _) => {}
                (Kept::LastTorn, Change::Write(offset, data)) if n == last => {
                    let whole = offset + data.len() as u64;
                    let first = offset / SECTOR_BYTES + 1;
                    let sectors = whole.div_ceil(SECTOR_BYTES).saturating_sub(first);
                    let cut = (first + random.next_u64() % (sectors + 1)) * SECTOR_BYTES;
                    let size = usize::try_from(cut.min(whole) - offset).unwrap_or(0);
                    write(&mut bytes, *offset, &data[..size.min(data.len())]);
                }
                (Kept::Everything | Kept::LastTorn, _) => apply(&mut bytes, change),
                (Kept::SomePages, Change::Write(offset, data)) => {
                    some_pages(&mut bytes, *offset, data, random);
                }
                (Kept::SomePages | Kept::SomeWrites, _) => {
                    if random.next_u64().is_multiple_of(2) {
                        apply(&mut bytes, change);
                    }
                }
            }
        }
        bytes
    }
}

fn some_pages(bytes: &mut Vec<u8>, offset: u64, data: &[u8], random: &Random) {
    let mut at = 0;
    while at < data.len() {
        let position = offset + at as u64;
        let to_boundary = usize::try_from(PAGE_BYTES - position % PAGE_BYTES).unwrap_or(1);
        let end = (at + to_boundary).min(data.len());
        if random.next_u64().is_multiple_of(2) {
            write(bytes, position, &data[at..end]);
        }
        at = end;
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(offset, data) => write(bytes, *offset, data),
        Change::SetLen(length) => bytes.resize(usize::try_from(*length).unwrap_or(0), 0),
    }
}

fn write(bytes: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let from = usize::try_from(offset).unwrap_or(0);
    let end = from + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[from..end].copy_from_slice(data);
}

/// The disk after the operations that were applied.
#[derive(Debug, Default)]
pub struct Disk {
    files: Vec<DiskFile>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    /// Directories that were created and whose own names are not durable yet.
    unsynced_dirs: BTreeSet<PathBuf>,
}

impl Disk {
    /// Does one operation.
    pub fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Create(path) => {
                self.files.push(DiskFile::default());
                self.names.insert(path.clone(), self.files.len() - 1);
            }
            Operation::Write(path, offset, data) => {
                self.change(path, Change::Write(*offset, data.clone()));
            }
            Operation::SetLen(path, length) => self.change(path, Change::SetLen(*length)),
            Operation::Sync(path) => self.file(path).settle(Certainty::Durable),
            Operation::SyncFailed(path) => self.file(path).settle(Certainty::Lost),
            Operation::Rename(from, to) => {
                if let Some(file) = self.names.remove(from) {
                    self.names.insert(to.clone(), file);
                }
            }
            Operation::Unlink(path) => drop(self.names.remove(path)),
            Operation::SyncDir(dir) => {
                let inside = |path: &Path| path.parent() == Some(dir);
                self.durable_names.retain(|path, _| !inside(path));
                let now = self.names.iter().filter(|(path, _)| inside(path));
                self.durable_names
                    .extend(now.map(|(path, file)| (path.clone(), *file)));
                self.unsynced_dirs.retain(|path| !inside(path));
            }
            Operation::CreateDir(path) => drop(self.unsynced_dirs.insert(path.clone())),
            Operation::Mark(_) => {}
        }
    }

    fn file(&mut self, path: &Path) -> &mut DiskFile {
        let number = *self
            .names
            .entry(path.to_owned())
            .or_insert(self.files.len());
        if number == self.files.len() {
            self.files.push(DiskFile::default());
        }
        &mut self.files[number]
    }

    fn change(&mut self, path: &Path, change: Change) {
        self.file(path).changes.push((change, Certainty::Pending));
    }

    /// The files a power cut now could leave, with their paths.
    pub fn after_power_cut(&self, kept: Kept, random: &Random) -> Vec<(PathBuf, Vec<u8>)> {
        let every: BTreeSet<&PathBuf> =
            self.names.keys().chain(self.durable_names.keys()).collect();
        let mut gone = self.unsynced_dirs.clone();
        gone.retain(|_| match kept {
            Kept::Nothing => true,
            Kept::Everything | Kept::LastTorn => false,
            Kept::SomePages | Kept::SomeWrites => random.next_u64().is_multiple_of(2),
        });
        let mut files = Vec::new();
        for path in every {
            if path.ancestors().any(|dir| gone.contains(dir)) {
                continue;
            }
            let (now, durable) = (self.names.get(path), self.durable_names.get(path));
            let current = match kept {
                Kept::Nothing => durable,
                Kept::Everything | Kept::LastTorn => now,
                Kept::SomePages | Kept::SomeWrites if random.next_u64().is_multiple_of(2) => now,
                Kept::SomePages | Kept::SomeWrites => durable,
            };
            if let Some(file) = current {
                files.push((path.clone(), self.files[*file].content(kept, random)));
            }
        }
        files
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(disk: &Disk, kept: Kept) -> Option<Vec<u8>> {
        let files = disk.after_power_cut(kept, &Random::seeded(1));
        files.into_iter().next().map(|(_, bytes)| bytes)
    }

    #[test]
    fn only_synced_bytes_under_a_synced_name_are_certain() {
        let path = PathBuf::from("/d/f");
        let mut disk = Disk::default();
        disk.apply(&Operation::Create(path.clone()));
        disk.apply(&Operation::Write(path.clone(), 0, Arc::from(&b"abc"[..])));
        disk.apply(&Operation::Sync(path.clone()));
        assert_eq!(content(&disk, Kept::Nothing), None);
        disk.apply(&Operation::SyncDir("/d".into()));
        disk.apply(&Operation::Write(path.clone(), 3, Arc::from(&b"def"[..])));
        assert_eq!(content(&disk, Kept::Nothing).unwrap(), b"abc");
        assert_eq!(content(&disk, Kept::Everything).unwrap(), b"abcdef");
        disk.apply(&Operation::SyncFailed(path.clone()));
        disk.apply(&Operation::Sync(path.clone()));
        assert_eq!(content(&disk, Kept::Nothing).unwrap(), b"abc");
        disk.apply(&Operation::Write(path.clone(), 3, Arc::from(&b"DEF"[..])));
        disk.apply(&Operation::Sync(path));
        assert_eq!(content(&disk, Kept::Nothing).unwrap(), b"abcDEF");
    }
}
