//! Appending and syncing. One positioned write per message, in order and under a lock, so that no
//! hole lies before a later record; large bodies go to a segment of their own beside it. A segment
//! whose sync failed is never appended to again: the kernel has forgotten what it could not write,
//! so another sync that succeeds would prove nothing. Its bytes are read back, checked, written
//! again and synced before any later commit is let through, because transactions that were not in
//! the failed group may refer to them.

use super::record::{
    FILE_HEADER_BYTES, FileHeader, Kind, Layout, RecordHeader, Salt, encode_table,
};
use super::scan::{Condition, FileSource, Source, Step, Walker, check_record, read_file_header};
use super::{BodyRef, Inner, Known, SegmentState, Segments, State, damaged};
use crate::files::{File, OpenMode};
use crate::spool::{Digest, Spool};
use std::io::{self, IoSlice};
use std::sync::Arc;

/// Most bytes of facts beside a body; the parser's own limits keep them far below.
const FACTS_BYTES_MAX: usize = 64 << 20;
/// Bytes written again at once after a failed sync.
const REWRITE_BYTES: usize = 1 << 20;

const ZEROS: [u8; 8] = [0; 8];

/// The segment that is appended to.
pub(super) struct Active {
    pub(super) number: i64,
    pub(super) salt: Salt,
    pub(super) file: Arc<dyn File>,
    /// Where the next record begins.
    pub(super) end: u64,
    /// Everything before this is durable.
    pub(super) durable: u64,
    /// Whether something was appended since the last mark of a clean stop.
    pub(super) unmarked: bool,
}

/// Bytes of a finished segment that are not durable yet.
#[derive(Clone)]
pub(super) struct Unsynced {
    number: i64,
    salt: Salt,
    file: Arc<dyn File>,
    from: u64,
    end: u64,
}

impl From<Active> for Unsynced {
    fn from(active: Active) -> Self {
        Self {
            number: active.number,
            salt: active.salt,
            file: active.file,
            from: active.durable,
            end: active.end,
        }
    }
}

/// Gives a body in pieces, in order.
type Pieces<'a> = dyn Fn(&mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> + 'a;

/// Where an appended body comes from.
pub(super) enum Body<'a> {
    Memory(&'a [u8]),
    Pieces(u64, &'a Pieces<'a>),
}

impl Body<'_> {
    fn bytes(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Pieces(bytes, _) => *bytes,
        }
    }
}

/// A record ready to be written, except for where.
pub(super) struct Draft<'a> {
    facts: &'a [u8],
    facts_bytes: u32,
    body: Body<'a>,
    digest: Digest,
    table: Vec<u8>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(facts: &'a [u8], body: Body<'a>, digest: Digest) -> io::Result<Self> {
        let facts_bytes = u32::try_from(facts.len())
            .ok()
            .filter(|_| facts.len() <= FACTS_BYTES_MAX)
            .ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!(
                        "the facts of a message take {} bytes, the limit is {FACTS_BYTES_MAX}",
                        facts.len()
                    ),
                )
            })?;
        Ok(Self {
            facts,
            facts_bytes,
            table: encode_table(&digest.chunks),
            body,
            digest,
        })
    }

    fn layout(&self, offset: u64) -> Layout {
        Layout::at(offset, self.facts_bytes, self.body.bytes())
    }

    /// Writes the record at the header's offset: in one call where the body is in memory, with the
    /// header last where it comes in pieces.
    fn write(&self, file: &dyn File, place: RecordHeader) -> io::Result<RecordHeader> {
        let header = place.with_message(
            (self.facts, self.facts_bytes),
            self.body.bytes(),
            (&self.digest, &self.table),
        );
        let layout = header.layout();
        let padding = &ZEROS[..layout.padding()];
        let head = header.encode();
        match &self.body {
            Body::Memory(body) => file.write_at(
                header.offset,
                &[
                    IoSlice::new(&head),
                    IoSlice::new(&self.table),
                    IoSlice::new(self.facts),
                    IoSlice::new(body),
                    IoSlice::new(padding),
                ],
            )?,
            Body::Pieces(bytes, pieces) => {
                let mut at = layout.body();
                pieces(&mut |piece| {
                    file.write_at(at, &[IoSlice::new(piece)])?;
                    at += piece.len() as u64;
                    Ok(())
                })?;
                if at != layout.body() + bytes {
                    return Err(damaged("a body gave another number of bytes than it said"));
                }
                if !padding.is_empty() {
                    file.write_at(at, &[IoSlice::new(padding)])?;
                }
                file.write_at(
                    header.offset,
                    &[
                        IoSlice::new(&head),
                        IoSlice::new(&self.table),
                        IoSlice::new(self.facts),
                    ],
                )?;
            }
        }
        Ok(header)
    }
}

fn disk_is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

impl Segments {
    /// Appends one message. It is readable at once and durable after the next [`Segments::sync`].
    ///
    /// # Errors
    /// Those of the disk; nothing was appended then and later appends are not affected.
    /// `InvalidInput` for facts past their limit.
    pub fn append(&self, facts: &[u8], body: &Spool) -> io::Result<BodyRef> {
        let digest = body.digest();
        let draft = match body.as_memory() {
            Some(memory) => Draft::new(facts, Body::Memory(memory), digest)?,
            None => {
                let pieces: &Pieces<'_> = &|each| body.for_each_chunk(each);
                let draft = Draft::new(facts, Body::Pieces(body.len(), pieces), digest)?;
                return self.inner.append(&draft);
            }
        };
        self.inner.append(&draft)
    }

    /// Makes everything appended before this call durable; does nothing where nothing is new.
    ///
    /// # Errors
    /// Those of the disk. What was appended since the last success may be lost then; the commit
    /// that asked must fail. The next call tries to save it.
    pub fn sync(&self) -> io::Result<()> {
        self.inner.sync()
    }

    /// Ends the segment that is appended to; the next append begins a new one.
    pub fn seal_active(&self) {
        let inner = &self.inner;
        inner.rotate(&mut inner.state());
    }
}

impl Inner {
    pub(super) fn append(&self, draft: &Draft<'_>) -> io::Result<BodyRef> {
        if self.lock.is_none() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "these segments were opened for reading only",
            ));
        }
        if draft.body.bytes() >= self.options.own_segment_bytes_min {
            return self.append_own(draft);
        }
        let mut state = self.state();
        let needed = draft.layout(0).next();
        let full = state.active.as_ref().is_some_and(|active| {
            active.end > FILE_HEADER_BYTES
                && active.end.saturating_add(needed) > self.options.segment_bytes_max
        });
        if full {
            self.rotate(&mut state);
        }
        let mut active = match state.active.take() {
            Some(active) => active,
            None => self.begin_segment(&mut state)?,
        };
        let place = RecordHeader::marker(
            Kind::Message,
            active.number,
            active.end,
            active.salt,
            active.durable,
        );
        match draft.write(active.file.as_ref(), place) {
            Ok(header) => {
                active.end = header.next();
                active.unmarked = true;
                note_bytes(&mut state, active.number, active.end);
                state.active = Some(active);
                Ok(header.body_ref())
            }
            Err(error) => {
                self.after_failed_append(&mut state, active, &error);
                Err(error)
            }
        }
    }

    /// A full disk may have room later; after any other error the file is not trusted any more.
    fn after_failed_append(&self, state: &mut State, active: Active, error: &io::Error) {
        let cut = active.file.set_len(active.end);
        if disk_is_full(error) && cut.is_ok() {
            state.active = Some(active);
        } else {
            self.finish_segment(state, active);
        }
    }

    /// Writes a large body beside the active segment, so that nobody waits for it.
    fn append_own(&self, draft: &Draft<'_>) -> io::Result<BodyRef> {
        let mut own = {
            let mut state = self.state();
            self.begin_segment(&mut state)?
        };
        let place = RecordHeader::marker(Kind::Message, own.number, own.end, own.salt, own.durable);
        let written = draft.write(own.file.as_ref(), place);
        let mut state = self.state();
        match written {
            Ok(header) => {
                own.end = header.next();
                note_bytes(&mut state, own.number, own.end);
                state.waiting.push(own.into());
                Ok(header.body_ref())
            }
            Err(error) => {
                // Cutting frees the space even where the number must stay taken.
                let _ = own.file.set_len(FILE_HEADER_BYTES);
                own.end = FILE_HEADER_BYTES;
                self.finish_segment(&mut state, own);
                Err(error)
            }
        }
    }

    fn begin_segment(&self, state: &mut State) -> io::Result<Active> {
        let number = state.next_number;
        let mut salt = [0; 16];
        self.options.random.fill(&mut salt);
        let header = FileHeader {
            number,
            salt,
            created: self.options.clock.now().0,
        };
        let path = self.path(number);
        let file = self.files.open(&path, OpenMode::CreateNew)?;
        // The number is spent from here on, even where the next step fails.
        state.next_number += 1;
        state.names_unsynced = true;
        state.known.insert(
            number,
            Known {
                bytes: FILE_HEADER_BYTES,
                state: SegmentState::Active,
                since: None,
                keep: false,
            },
        );
        let active = Active {
            number,
            salt,
            file,
            end: FILE_HEADER_BYTES,
            durable: 0,
            unmarked: false,
        };
        match active.file.write_at(0, &[IoSlice::new(&header.encode())]) {
            Ok(()) => Ok(active),
            Err(error) => {
                if self.files.unlink(&path).is_ok() {
                    state.known.remove(&number);
                } else {
                    self.note_sealed(state, number);
                }
                Err(error)
            }
        }
    }

    fn rotate(&self, state: &mut State) {
        if let Some(active) = state.active.take() {
            self.finish_segment(state, active);
        }
    }

    /// No more appends to this segment: it waits for a sync, or gets its seal at once.
    fn finish_segment(&self, state: &mut State, active: Active) {
        let finished = Unsynced::from(active);
        if finished.from < finished.end {
            state.waiting.push(finished);
        } else {
            self.seal(state, &finished);
        }
    }

    /// Writes the seal, which spares the next start a scan. It needs no sync of its own: where it
    /// does not survive, the segment is scanned.
    fn seal(&self, state: &mut State, done: &Unsynced) {
        let marker = RecordHeader::marker(Kind::Seal, done.number, done.end, done.salt, done.end);
        match done
            .file
            .write_at(done.end, &[IoSlice::new(&marker.encode())])
        {
            Ok(()) => note_bytes(state, done.number, marker.next()),
            // Half a seal would look like a torn message.
            Err(_) => drop(done.file.set_len(done.end)),
        }
        self.note_sealed(state, done.number);
    }

    fn note_sealed(&self, state: &mut State, number: i64) {
        if let Some(known) = state.known.get_mut(&number) {
            known.state = SegmentState::Sealed;
            known.since = Some(self.options.clock.now());
        }
    }

    fn sync(&self) -> io::Result<()> {
        let _alone = self.syncing.lock().unwrap_or_else(|e| e.into_inner());
        self.save_suspects()?;
        let (mut work, names_unsynced, active_number) = {
            let mut state = self.state();
            let mut work = std::mem::take(&mut state.waiting);
            let active = state.active.as_ref().filter(|a| a.durable < a.end);
            let number = active.map(|active| active.number);
            work.extend(active.map(Unsynced::of));
            (work, std::mem::take(&mut state.names_unsynced), number)
        };
        let mut outcome = Ok(());
        while let Some(next) = work.pop() {
            outcome = next.file.sync_data();
            let mut state = self.state();
            if outcome.is_ok() {
                self.note_durable(&mut state, &next);
                continue;
            }
            self.suspect(&mut state, next);
            // The active segment, where it was not reached, is still known as such.
            work.retain(|unsynced| Some(unsynced.number) != active_number);
            state.waiting.append(&mut work);
        }
        if outcome.is_ok() && names_unsynced {
            outcome = self.files.sync_dir(&self.dir);
        }
        if outcome.is_err() && names_unsynced {
            self.state().names_unsynced = true;
        }
        outcome
    }

    fn note_durable(&self, state: &mut State, synced: &Unsynced) {
        if let Some(active) = &mut state.active
            && active.number == synced.number
        {
            active.durable = synced.end;
            return;
        }
        // The active segment may have been finished, and may have grown, while it was synced.
        match state.waiting.iter().position(|w| w.number == synced.number) {
            Some(index) if state.waiting[index].end > synced.end => {
                state.waiting[index].from = synced.end;
            }
            Some(index) => {
                state.waiting.swap_remove(index);
                self.seal(state, synced);
            }
            None => self.seal(state, synced),
        }
    }

    /// After a failed sync: what was not durable by then is a suspect, together with what was
    /// appended to the same segment meanwhile.
    fn suspect(&self, state: &mut State, mut failed: Unsynced) {
        if let Some(active) = state.active.take_if(|a| a.number == failed.number) {
            failed.end = active.end;
        }
        state.waiting.retain(|waiting| {
            let same = waiting.number == failed.number;
            if same {
                failed.end = failed.end.max(waiting.end);
            }
            !same
        });
        state.suspects.push(failed);
    }

    /// Writes again what a failed sync may have lost. Called with `syncing` held.
    fn save_suspects(&self) -> io::Result<()> {
        let suspects = std::mem::take(&mut self.state().suspects);
        let mut outcome = Ok(());
        for suspect in suspects {
            let saved = match outcome {
                Ok(()) => suspect.write_again(),
                Err(_) => Ok(false),
            };
            let mut state = self.state();
            match saved {
                Ok(true) => self.seal(&mut state, &suspect),
                Ok(false) => state.suspects.push(suspect),
                Err(error) => {
                    state.suspects.push(suspect);
                    outcome = Err(error);
                }
            }
        }
        outcome
    }
}

impl Unsynced {
    fn of(active: &Active) -> Self {
        Self {
            number: active.number,
            salt: active.salt,
            file: active.file.clone(),
            from: active.durable,
            end: active.end,
        }
    }

    /// Reads the bytes that were not durable, checks every record, writes the same bytes to the
    /// same place and syncs. True where that worked.
    fn write_again(&self) -> io::Result<bool> {
        let source = FileSource {
            file: self.file.as_ref(),
            bytes: self.end,
        };
        self.check_unsynced(&source)?;
        let (mut at, mut block) = (self.from, vec![0; REWRITE_BYTES]);
        while at < self.end {
            let read = source.read_at(at, &mut block)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.file.write_at(at, &[IoSlice::new(&block[..read])])?;
            at += read as u64;
        }
        self.file.sync_data()?;
        Ok(true)
    }

    fn check_unsynced(&self, source: &FileSource<'_>) -> io::Result<()> {
        let mut intact = self.from > 0
            || read_file_header(source)?
                .is_some_and(|header| header.number == self.number && header.salt == self.salt);
        let mut walker = Walker::starting_at(source, self.number, Some(self.salt), self.from);
        while let (true, Some(step)) = (intact, walker.step()?) {
            intact = match step {
                Step::Record(header) => check_record(source, &header)? == Condition::Intact,
                Step::Damage(_) => false,
            };
        }
        if intact {
            return Ok(());
        }
        Err(damaged(format!(
            "the disk lost message bytes of segment {} that it had not confirmed; \
             nothing can be accepted until the server is restarted",
            self.number
        )))
    }
}

fn note_bytes(state: &mut State, number: i64, bytes: u64) {
    if let Some(known) = state.known.get_mut(&number) {
        known.bytes = bytes;
    }
}

impl Drop for Inner {
    /// Marks a clean stop, so that the next start knows everything before the mark was durable.
    /// Best effort: without it the next start looks closer.
    fn drop(&mut self) {
        if self.sync().is_err() {
            return;
        }
        let state = self.state.get_mut().unwrap_or_else(|e| e.into_inner());
        if let Some(active) = state.active.take()
            && active.unmarked
        {
            let mark = RecordHeader::marker(
                Kind::Stop,
                active.number,
                active.end,
                active.salt,
                active.durable,
            );
            let _ = active
                .file
                .write_at(active.end, &[IoSlice::new(&mark.encode())]);
        }
    }
}
