//! Getting space back: live records of a mostly dead segment are copied to the segment that is
//! appended to, the caller moves its rows to the copies in one transaction, and the old file is
//! removed when readers have had time. Never removes a file by itself, and never one whose number
//! could be given again.

use super::write::{Body, Draft};
use super::{BodyRef, Inner, SegmentState, Segments};
use crate::spool::{CHUNK_BYTES, Digest};
use std::io;

/// Bodies up to this size are copied through memory, larger ones in pieces.
const COPY_MEMORY_BYTES: u64 = 1 << 20;

/// What a compaction did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compaction {
    /// Old and new place of each record that was copied.
    pub moved: Vec<(BodyRef, BodyRef)>,
    /// Records that are damaged and stay where they are; the segment cannot be retired then.
    pub damaged: Vec<BodyRef>,
}

fn refused(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

impl Segments {
    /// Sealed segments that may be compacted now: those sealed longer ago than any transaction
    /// takes from `append` to its commit. Ask rows for what is live only after asking this.
    pub fn compactable(&self) -> Vec<i64> {
        let state = self.inner.state();
        let numbers = state.known.keys().copied();
        numbers
            .filter(|number| self.inner.may_compact(&state, *number))
            .collect()
    }

    /// Copies the live records of a segment. The caller then changes its rows from old to new
    /// places in a store transaction, whose commit syncs the copies, and calls
    /// [`Segments::retire`] after it.
    ///
    /// # Errors
    /// `InvalidInput` for a segment that is not in [`Segments::compactable`]; those of the disk.
    pub fn compact(&self, segment: i64, live: &[BodyRef]) -> io::Result<Compaction> {
        if !self.inner.may_compact(&self.inner.state(), segment) {
            return Err(refused(format!(
                "segment {segment} is in use or was sealed only a moment ago; try again later"
            )));
        }
        let mut done = Compaction::default();
        let mut live = live.to_vec();
        live.sort_unstable();
        live.dedup();
        for old in live {
            if old.segment != segment {
                return Err(refused(format!(
                    "a record of segment {} was given for compacting segment {segment}",
                    old.segment
                )));
            }
            match self.copy(&old) {
                Ok(new) => done.moved.push((old, new)),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => done.damaged.push(old),
                Err(error) => return Err(error),
            }
        }
        if !done.damaged.is_empty()
            && let Some(known) = self.inner.state().known.get_mut(&segment)
        {
            known.keep = true;
        }
        Ok(done)
    }

    fn copy(&self, old: &BodyRef) -> io::Result<BodyRef> {
        let (header, table) = self.inner.read_header(old)?;
        let facts = self.read_facts(old)?;
        let size = header.body_bytes;
        let chunks = table
            .chunks_exact(4)
            .map(|crc| super::record::u32_at(crc, 0))
            .collect();
        let digest = Digest {
            hash: header.hash,
            chunks,
        };
        if size <= COPY_MEMORY_BYTES {
            let body = self.read_body(old, 0..size)?;
            return self
                .inner
                .append(&Draft::new(&facts, Body::Memory(&body), digest)?);
        }
        let pieces = |each: &mut dyn FnMut(&[u8]) -> io::Result<()>| {
            let mut at = 0;
            while at < size {
                let next = (at + CHUNK_BYTES as u64 * 4).min(size);
                each(&self.read_body(old, at..next)?)?;
                at = next;
            }
            Ok(())
        };
        self.inner
            .append(&Draft::new(&facts, Body::Pieces(size, &pieces), digest)?)
    }

    /// Says that no row refers to a segment any more, by a commit that is durable. Its file stays
    /// readable until [`Segments::remove`].
    ///
    /// # Errors
    /// `InvalidInput` where it is still appended to or holds damaged records that were live.
    pub fn retire(&self, segment: i64) -> io::Result<()> {
        let mut state = self.inner.state();
        let now = self.inner.options.clock.now();
        let writable = self.inner.lock.is_some();
        match state.known.get_mut(&segment) {
            Some(known) if writable && known.state == SegmentState::Sealed && !known.keep => {
                known.state = SegmentState::Retired;
                known.since = Some(now);
                Ok(())
            }
            Some(known) if known.state == SegmentState::Retired => Ok(()),
            Some(_) => Err(refused(format!(
                "segment {segment} is in use or holds damaged messages that would be lost"
            ))),
            None => Err(refused(format!("there is no segment {segment}"))),
        }
    }

    /// Retired segments whose readers have had time. Ask the rows once more whether anything refers
    /// to them, then [`Segments::remove`] or [`Segments::keep`] each.
    pub fn removable(&self) -> Vec<i64> {
        let state = self.inner.state();
        let now = self.inner.options.clock.now();
        let newest = state.next_number - 1;
        let retired = state.known.iter().filter(|(number, known)| {
            // The newest file keeps its number from being given again after a restart.
            **number != newest
                && known.state == SegmentState::Retired
                && known
                    .since
                    .is_some_and(|since| now.since(since) >= self.inner.options.retire_after)
        });
        retired.map(|(number, _)| *number).collect()
    }

    /// Takes a retirement back.
    pub fn keep(&self, segment: i64) {
        let mut state = self.inner.state();
        if let Some(known) = state.known.get_mut(&segment)
            && known.state == SegmentState::Retired
        {
            known.state = SegmentState::Sealed;
        }
    }

    /// Removes the file of a segment that is in [`Segments::removable`].
    ///
    /// # Errors
    /// `InvalidInput` where it is not; those of the disk.
    pub fn remove(&self, segment: i64) -> io::Result<()> {
        if !self.removable().contains(&segment) {
            return Err(refused(format!("segment {segment} may not be removed now")));
        }
        self.inner.files.unlink(&self.inner.path(segment))?;
        self.inner.readers.forget(segment);
        self.inner.state().known.remove(&segment);
        self.inner.files.sync_dir(&self.inner.dir)
    }
}

impl Inner {
    fn may_compact(&self, state: &super::State, number: i64) -> bool {
        let now = self.options.clock.now();
        state.known.get(&number).is_some_and(|known| {
            self.lock.is_some()
                && known.state == SegmentState::Sealed
                && known
                    .since
                    .is_none_or(|since| now.since(since) >= self.options.compact_after)
        })
    }
}
