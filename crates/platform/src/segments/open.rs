//! Opening: sealed segments are believed by their seal, all others are examined and mended. What
//! had been durable is never cut; what cannot have been durable is cut (at the end) or covered by a
//! void record (before complete ones), so that later scans step over it.

use super::record::{
    FILE_HEADER_BYTES, FileHeader, Kind, Layout, RECORD_HEADER_BYTES, RecordHeader, Salt, aligned,
};
use super::scan::{Examined, FileSource, Stretch, examine, is_sealed, read_file_header};
use super::write::Active;
use super::{
    BodyRef, Inner, Known, Recovery, SegmentOptions, SegmentState, Segments, State, number_of,
};
use crate::files::{File, Files, Lock, OpenMode};
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Segments smaller than this are appended to again after a restart.
const RESUME_FRACTION: u64 = 2;

impl Segments {
    /// Opens the segments in `dir`, which is created where it is missing, and mends what a crash
    /// left. One process at a time may have them open.
    ///
    /// # Errors
    /// `WouldBlock` where another process has them open; those of the disk. Damage is no error: it
    /// is in the [`Recovery`].
    pub fn open(
        dir: &Path,
        options: SegmentOptions,
        files: Arc<dyn Files>,
    ) -> io::Result<(Self, Recovery)> {
        let lock = Self::lock(dir, files.as_ref())?;
        Self::open_locked(dir, options, files, lock)
    }

    /// Creates `dir` where it is missing and makes sure that no other process has its segments
    /// open, before anything else of a node is touched.
    ///
    /// # Errors
    /// As [`Segments::open`].
    pub fn lock(dir: &Path, files: &dyn Files) -> io::Result<Lock> {
        files.create_dir(dir)?;
        // The directory's own name must be as durable as what will be in it.
        let parent = dir.parent().filter(|parent| *parent != Path::new(""));
        files.sync_dir(parent.unwrap_or(Path::new(".")))?;
        files
            .lock(&dir.join("lock"))
            .map_err(|error| match error.kind() {
                io::ErrorKind::WouldBlock => io::Error::new(
                    io::ErrorKind::WouldBlock,
                    format!(
                        "another process is using the segments in {}; stop it first",
                        dir.display()
                    ),
                ),
                _ => error,
            })
    }

    /// [`Segments::open`] with the `lock` of the same `dir`, after the store was asked what is
    /// committed.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn open_locked(
        dir: &Path,
        options: SegmentOptions,
        files: Arc<dyn Files>,
        lock: Lock,
    ) -> io::Result<(Self, Recovery)> {
        Self::open_as(dir, options, files, Some(lock))
    }

    /// Opens the segments for reading and [`Segments::verify`], beside a process that appends to
    /// them. Nothing is changed; what is being written just now is left out.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn open_to_read(
        dir: &Path,
        options: SegmentOptions,
        files: Arc<dyn Files>,
    ) -> io::Result<(Self, Recovery)> {
        Self::open_as(dir, options, files, None)
    }

    fn open_as(
        dir: &Path,
        options: SegmentOptions,
        files: Arc<dyn Files>,
        lock: Option<Lock>,
    ) -> io::Result<(Self, Recovery)> {
        let mut numbers: Vec<(i64, u64)> = files
            .list(dir)?
            .into_iter()
            .filter_map(|entry| Some((number_of(&entry.name)?, entry.bytes)))
            .collect();
        numbers.sort_unstable();
        // In a directory that is empty, perhaps because it was lost, numbers begin where no row of
        // earlier days can point: at the time.
        let newest = numbers.last().map(|(number, _)| *number);
        let mut state = State {
            next_number: newest.unwrap_or_else(|| options.clock.now().0.max(0)) + 1,
            ..State::default()
        };
        let mut recovery = Recovery::default();
        let opening = Opening {
            dir,
            options: &options,
            files: files.as_ref(),
            access: match lock {
                Some(_) => Access::Write,
                None => Access::Read,
            },
        };
        for (number, bytes) in numbers {
            let may_resume = Some(number) == newest;
            let opened = opening.segment(number, bytes, may_resume, &mut recovery)?;
            state.known.insert(
                number,
                Known {
                    bytes: opened.bytes,
                    state: match opened.active {
                        Some(_) => SegmentState::Active,
                        None => SegmentState::Sealed,
                    },
                    since: None,
                    keep: false,
                },
            );
            state.active = opened.active;
        }
        opening.report_missing(&state, &mut recovery);
        let readers = super::Readers::new(options.open_files_max);
        let inner = Inner {
            dir: dir.to_owned(),
            options,
            files,
            readers,
            state: Mutex::new(state),
            syncing: Mutex::new(()),
            lock,
        };
        Ok((
            Self {
                inner: Arc::new(inner),
            },
            recovery,
        ))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

struct Opening<'a> {
    dir: &'a Path,
    options: &'a SegmentOptions,
    files: &'a dyn Files,
    access: Access,
}

struct Opened {
    bytes: u64,
    active: Option<Active>,
}

impl Opened {
    fn finished(bytes: u64) -> Self {
        Self {
            bytes,
            active: None,
        }
    }
}

impl Opening<'_> {
    fn segment(
        &self,
        number: i64,
        bytes: u64,
        may_resume: bool,
        recovery: &mut Recovery,
    ) -> io::Result<Opened> {
        let path = self.dir.join(super::file_name(number));
        let mode = match self.access {
            Access::Read => OpenMode::Read,
            Access::Write => OpenMode::Write,
        };
        let file = self.files.open(&path, mode)?;
        let source = FileSource {
            file: file.as_ref(),
            bytes,
        };
        let examined = self.believe_seal(&source, number).and_then(|sealed| {
            Ok(if sealed {
                None
            } else {
                Some(examine(&source, number, self.committed(number))?)
            })
        });
        let found = match examined {
            Ok(None) => return Ok(Opened::finished(bytes)),
            Ok(Some(found)) => found,
            // A sector that cannot be read must not keep all other mail from being served.
            Err(error) => {
                recovery.rot.push(format!(
                    "segment {number} cannot be read as a whole ({error}); it was left as it is"
                ));
                return Ok(Opened::finished(bytes));
            }
        };
        self.mend(number, bytes, file, &found, may_resume, recovery)
    }

    fn believe_seal(&self, source: &FileSource<'_>, number: i64) -> io::Result<bool> {
        match read_file_header(source)? {
            Some(header) if header.number == number => is_sealed(source, number, header.salt),
            _ => Ok(false),
        }
    }

    /// Up to where rows prove that a segment was durable.
    fn committed(&self, number: i64) -> u64 {
        let ends = self.options.committed.iter();
        ends.filter(|at| at.segment == number)
            .filter_map(|at| Layout::of(at).map(|layout| layout.next()))
            .max()
            .unwrap_or(0)
    }

    fn mend(
        &self,
        number: i64,
        bytes: u64,
        file: Arc<dyn File>,
        found: &Examined,
        may_resume: bool,
        recovery: &mut Recovery,
    ) -> io::Result<Opened> {
        describe_rot(number, found, recovery);
        if self.access == Access::Read {
            return Ok(Opened::finished(found.end.min(bytes)));
        }
        let Some(salt) = found.salt.or(found.adopted_salt) else {
            return without_header(number, bytes, file.as_ref(), found, recovery);
        };
        if found.salt.is_none() {
            let header = FileHeader {
                number,
                salt,
                created: 0,
            };
            file.write_at(0, &[IoSlice::new(&header.encode())])?;
        }
        for hole in &found.holes {
            cover(file.as_ref(), number, salt, *hole)?;
            recovery.cut.push(format!(
                "segment {number}: bytes {} to {} were being written when the power failed and \
                 are skipped; nothing acknowledged was in them",
                hole.from, hole.to
            ));
        }
        let mut end = found.end.max(FILE_HEADER_BYTES);
        if end < bytes {
            file.set_len(end)?;
            recovery.cut.push(format!(
                "segment {number}: the last {} bytes, from {end} on, were being written when the \
                 power failed and were cut; nothing acknowledged was in them",
                bytes - end
            ));
        }
        // After a kill without a power cut the tail may be in memory only.
        file.sync_data()?;
        let small = end < self.options.segment_bytes_max / RESUME_FRACTION;
        if may_resume && small && found.rot.is_empty() && found.more == 0 {
            return Ok(Opened {
                bytes: end,
                active: Some(Active {
                    number,
                    salt,
                    file,
                    end,
                    durable: end,
                    unmarked: !found.clean_stop,
                }),
            });
        }
        end = aligned(end);
        let seal = RecordHeader::marker(Kind::Seal, number, end, salt, end);
        file.write_at(end, &[IoSlice::new(&seal.encode())])?;
        Ok(Opened::finished(seal.next()))
    }

    /// Rows may refer to segments whose files are gone altogether.
    fn report_missing(&self, state: &State, recovery: &mut Recovery) {
        let mut missing: Vec<i64> = self
            .options
            .committed
            .iter()
            .map(|at: &BodyRef| at.segment)
            .filter(|number| !state.known.contains_key(number))
            .collect();
        missing.sort_unstable();
        missing.dedup();
        recovery.rot.extend(missing.into_iter().map(|number| {
            format!(
                "segment {number} is not in {}, but messages refer to it; restore it from a backup",
                self.dir.display()
            )
        }));
    }
}

/// A file whose own header is damaged and cannot be made again. Where it never was durable, nothing
/// is in it, but its number stays taken. Else it is left alone: its records are still found by
/// reference.
fn without_header(
    number: i64,
    bytes: u64,
    file: &dyn File,
    found: &Examined,
    recovery: &mut Recovery,
) -> io::Result<Opened> {
    if bytes == 0 || found.durable > 0 {
        return Ok(Opened::finished(bytes));
    }
    file.set_len(0)?;
    file.sync_data()?;
    recovery.cut.push(format!(
        "segment {number} was being created when the power failed and was emptied; nothing \
         acknowledged was in it"
    ));
    Ok(Opened::finished(0))
}

fn describe_rot(number: i64, found: &Examined, recovery: &mut Recovery) {
    for rot in &found.rot {
        recovery.rot.push(format!(
            "segment {number}: bytes {} to {} were durable and are damaged; messages in them \
             cannot be read, restore the segment from a backup",
            rot.from, rot.to
        ));
    }
    if found.more > 0 {
        recovery.rot.push(format!(
            "segment {number}: {} further places are damaged",
            found.more
        ));
    }
}

/// Writes the header of a void record over the beginning of a hole.
fn cover(file: &dyn File, number: i64, salt: Salt, hole: Stretch) -> io::Result<()> {
    let mut header = RecordHeader::marker(Kind::Void, number, hole.from, salt, 0);
    let Some(body_bytes) = (hole.to - hole.from).checked_sub(RECORD_HEADER_BYTES) else {
        return Ok(());
    };
    header.body_bytes = body_bytes;
    file.write_at(hole.from, &[IoSlice::new(&header.encode())])
}
