//! Segments as a whole: what is appended is read back, damage is found where it is, and faults of
//! the disk lose nothing that was promised.

use super::*;
use crate::clock::{Clock, Timestamp};
use crate::files::recording::{Fault, FaultKind, Operation, OperationLog};
use crate::files::{RealFiles, RecordingFiles};
use crate::random::Random;
use crate::spool::{CHUNK_BYTES, Spool, SpoolLimits};
use proptest::prelude::*;

struct Bench {
    dir: tempfile::TempDir,
    clock: Clock,
    log: OperationLog,
}

impl Bench {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            clock: Clock::settable(Timestamp::from_seconds(1_700_000_000)),
            log: OperationLog::default(),
        }
    }

    fn options(&self) -> SegmentOptions {
        SegmentOptions {
            segment_bytes_max: 1 << 20,
            own_segment_bytes_min: 600_000,
            open_files_max: 2,
            ..SegmentOptions::new(self.clock.clone(), Random::seeded(7))
        }
    }

    fn open(&self) -> (Segments, Recovery) {
        let files = RecordingFiles::new(self.log.clone());
        Segments::open(&self.dir.path().join("s"), self.options(), Arc::new(files)).unwrap()
    }

    fn spool(&self, body: &[u8]) -> Spool {
        let mut spool = Spool::new(SpoolLimits {
            memory_bytes: 300_000,
            dir: self.dir.path().into(),
        });
        body.chunks(10_000)
            .for_each(|part| spool.push(part).unwrap());
        spool
    }

    fn add(&self, segments: &Segments, body: &[u8]) -> BodyRef {
        segments.append(b"facts", &self.spool(body)).unwrap()
    }

    fn file(&self, number: i64) -> PathBuf {
        self.dir.path().join("s").join(file_name(number))
    }

    /// Changes one bit of a file.
    fn flip(&self, number: i64, at: u64) {
        let mut bytes = std::fs::read(self.file(number)).unwrap();
        bytes[usize::try_from(at).unwrap()] ^= 4;
        std::fs::write(self.file(number), bytes).unwrap();
    }

    /// Leaves the segments as a crash would: without the mark of a clean stop.
    fn crash(&self, segments: Segments) {
        let files = std::fs::read_dir(self.dir.path().join("s")).unwrap();
        let kept: Vec<_> = files
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.clone(), std::fs::read(path).unwrap()))
            .collect();
        drop(segments);
        for (path, bytes) in kept {
            std::fs::write(path, bytes).unwrap();
        }
    }
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| (i * 7 + i / 251) as u8).collect()
}

fn body_of(segments: &Segments, at: &BodyRef) -> io::Result<Vec<u8>> {
    segments.read_body(at, 0..at.body_bytes.cast_unsigned())
}

#[test]
fn what_is_appended_is_read_back_also_after_a_reopen() {
    let bench = Bench::new();
    let sizes = [0, 1, 4_000, CHUNK_BYTES, CHUNK_BYTES + 1, 400_000, 700_000];
    let (segments, recovery) = bench.open();
    assert_eq!(recovery, Recovery::default());
    let at: Vec<BodyRef> = sizes
        .iter()
        .map(|size| bench.add(&segments, &pattern(*size)))
        .collect();
    let check = |segments: &Segments| {
        for (at, size) in at.iter().zip(sizes) {
            let whole = pattern(size);
            assert_eq!(segments.read_facts(at).unwrap(), b"facts");
            assert_eq!(body_of(segments, at).unwrap(), whole);
            let part = segments.read_body(at, size as u64 / 3..size as u64 / 2);
            assert_eq!(part.unwrap(), whole[size / 3..size / 2]);
            assert!(segments.read_body(at, 0..size as u64 + 1).is_err());
        }
        let report = segments.verify(|_, _| ());
        assert_eq!((report.messages, report.findings), (7, Vec::new()));
    };
    check(&segments);
    segments.sync().unwrap();
    check(&segments);
    drop(segments);
    let (segments, recovery) = bench.open();
    assert_eq!(recovery, Recovery::default());
    check(&segments);
}

#[test]
fn an_append_is_one_write_and_a_group_is_one_sync() {
    let bench = Bench::new();
    let (segments, _) = bench.open();
    bench.add(&segments, b"first");
    segments.sync().unwrap();
    let before = bench.log.count();
    bench.add(&segments, b"one");
    bench.add(&segments, b"two");
    segments.sync().unwrap();
    segments.sync().unwrap();
    let new = &bench.log.operations()[before..];
    assert!(
        matches!(
            new,
            [
                Operation::Write(..),
                Operation::Write(..),
                Operation::Sync(_)
            ]
        ),
        "{new:?}"
    );
}

#[test]
fn a_large_body_has_a_segment_of_its_own_and_a_full_segment_is_sealed() {
    let bench = Bench::new();
    let (segments, _) = bench.open();
    let small = bench.add(&segments, b"small");
    let large = bench.add(&segments, &pattern(700_000));
    let after = bench.add(&segments, b"after");
    assert_ne!(small.segment, large.segment);
    assert_eq!(small.segment, after.segment);
    bench.add(&segments, &pattern(500_000));
    bench.add(&segments, &pattern(500_000));
    let next = bench.add(&segments, &pattern(500_000));
    assert!(next.segment > large.segment);
    segments.sync().unwrap();
    let states: Vec<_> = segments.list().iter().map(|s| s.state).collect();
    use SegmentState::{Active, Sealed};
    assert_eq!(states, [Sealed, Sealed, Active]);
    bench.crash(segments);
    let (segments, recovery) = bench.open();
    assert_eq!(recovery, Recovery::default());
    assert_eq!(body_of(&segments, &large).unwrap(), pattern(700_000));
    assert_eq!(bench.add(&segments, b"x").segment, next.segment, "resumed");
}

#[test]
fn a_torn_tail_is_cut_at_every_length_and_never_served() {
    let bench = Bench::new();
    let (segments, _) = bench.open();
    let kept = bench.add(&segments, &pattern(3_000));
    segments.sync().unwrap();
    let torn = bench.add(&segments, &pattern(700));
    bench.crash(segments);
    let whole = std::fs::read(bench.file(kept.segment)).unwrap();
    let from = usize::try_from(torn.offset).unwrap();
    for length in from + 1..whole.len() - 8 {
        std::fs::write(bench.file(kept.segment), &whole[..length]).unwrap();
        let (segments, recovery) = bench.open();
        assert_eq!((recovery.cut.len(), recovery.rot.len()), (1, 0), "{length}");
        assert_eq!(body_of(&segments, &kept).unwrap(), pattern(3_000));
        assert!(body_of(&segments, &torn).is_err());
        let new = bench.add(&segments, b"new");
        assert_eq!(new.offset, torn.offset);
        assert_eq!(body_of(&segments, &new).unwrap(), b"new");
    }
}

#[test]
fn rot_in_what_was_durable_is_reported_and_nothing_is_cut() {
    for damage_at in [0, 3, 30, 97, 101, 106, 2_000] {
        let bench = Bench::new();
        let (segments, _) = bench.open();
        let rotten = bench.add(&segments, &pattern(3_000));
        segments.sync().unwrap();
        let later = bench.add(&segments, b"later");
        segments.sync().unwrap();
        bench.crash(segments);
        let length = std::fs::metadata(bench.file(later.segment)).unwrap().len();
        bench.flip(rotten.segment, rotten.offset.cast_unsigned() + damage_at);
        let (segments, recovery) = bench.open();
        assert_eq!(recovery.cut, Vec::<String>::new());
        // Bodies that were durable are not read at each start; `verify` does.
        assert_eq!(
            recovery.rot.len(),
            usize::from(damage_at < 96),
            "{damage_at}"
        );
        assert!(std::fs::metadata(bench.file(later.segment)).unwrap().len() >= length);
        assert_eq!(body_of(&segments, &later).unwrap(), b"later");
        let facts = segments.read_facts(&rotten);
        let error = facts.and_then(|_| body_of(&segments, &rotten)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        assert_eq!(segments.verify(|_, _| ()).findings.len(), 1);
    }
}

#[test]
fn rows_prove_that_the_newest_record_was_durable() {
    let bench = Bench::new();
    let (segments, _) = bench.open();
    let at = bench.add(&segments, &pattern(3_000));
    segments.sync().unwrap();
    bench.crash(segments);
    bench.flip(at.segment, at.offset.cast_unsigned() + 5);
    let mut options = bench.options();
    options.committed = vec![at];
    let dir = bench.dir.path().join("s");
    let (segments, recovery) = Segments::open(&dir, options, Arc::new(RealFiles)).unwrap();
    assert_eq!((recovery.cut.len(), recovery.rot.len()), (0, 1));
    drop(segments);
    bench.flip(at.segment, at.offset.cast_unsigned() + 5);
    let (segments, _) = bench.open();
    assert_eq!(body_of(&segments, &at).unwrap(), pattern(3_000));
}

#[test]
fn a_damaged_chunk_spoils_only_itself() {
    let bench = Bench::new();
    let (segments, _) = bench.open();
    let at = bench.add(&segments, &pattern(3 * CHUNK_BYTES));
    segments.sync().unwrap();
    bench.flip(
        at.segment,
        at.offset.cast_unsigned() + 120 + CHUNK_BYTES as u64,
    );
    let chunk = CHUNK_BYTES as u64;
    assert!(segments.read_body(&at, 0..chunk).is_ok());
    assert!(segments.read_body(&at, chunk..chunk + 1).is_err());
    assert!(segments.read_body(&at, 2 * chunk..3 * chunk).is_ok());
}

#[test]
fn bytes_in_a_message_do_not_pass_for_a_record() {
    let bench = Bench::new();
    let (segments, _) = bench.open();
    let first = bench.add(&segments, b"secret");
    segments.sync().unwrap();
    let stolen = std::fs::read(bench.file(first.segment)).unwrap();
    // The hostile body holds a copy of a record with the offset it would have there, but nobody
    // outside knows the salt.
    let place = u64::try_from(stolen.len()).unwrap() + 96 + 4 + 5 + 7;
    let empty = crate::spool::Digest::of(b"");
    let kind = record::Kind::Message;
    let fake = record::RecordHeader::marker(kind, first.segment, place, [9; 16], 0).with_message(
        (b"", 0),
        0,
        (&empty, b""),
    );
    let mut hostile = vec![0; 7];
    hostile.extend(fake.encode());
    let at = bench.add(&segments, &hostile);
    let last = bench.add(&segments, b"last");
    segments.sync().unwrap();
    bench.crash(segments);
    assert_eq!(place % 8, 0);
    bench.flip(at.segment, at.offset.cast_unsigned());
    let bytes = std::fs::read(bench.file(at.segment)).unwrap();
    let found = recover_bytes(&bytes);
    assert_eq!(found.messages, [first, last]);
}

#[test]
fn a_failed_sync_fails_the_group_and_its_bytes_are_written_again() {
    let bench = Bench::new();
    let (segments, _) = bench.open();
    let kept = bench.add(&segments, b"kept");
    segments.sync().unwrap();
    let suspect = bench.add(&segments, b"suspect");
    bench.log.set_fault(Some(Fault {
        at: 0,
        count: 1,
        errno: libc::EIO,
        kind: FaultKind::Sync,
    }));
    assert!(segments.sync().is_err());
    bench.log.set_fault(None);
    let new = bench.add(&segments, b"new");
    assert_ne!(new.segment, suspect.segment, "never appended to again");
    let before = bench.log.count();
    segments.sync().unwrap();
    let operations = bench.log.operations();
    let again = Operation::Sync(bench.file(suspect.segment));
    let written = operations[before..].iter().position(|operation| {
        matches!(operation, Operation::Write(path, offset, _)
            if *path == bench.file(suspect.segment) && *offset == suspect.offset.cast_unsigned())
    });
    let synced = operations[before..].iter().position(|o| *o == again);
    assert!(written.is_some() && written < synced, "{operations:?}");
    for (at, body) in [(kept, "kept"), (suspect, "suspect"), (new, "new")] {
        assert_eq!(body_of(&segments, &at).unwrap(), body.as_bytes());
    }
}

#[test]
fn bytes_lost_by_a_failed_sync_stop_every_later_commit() {
    let bench = Bench::new();
    let (segments, _) = bench.open();
    let lost = bench.add(&segments, &pattern(9_000));
    bench.log.set_fault(Some(Fault {
        at: 0,
        count: 1,
        errno: libc::EIO,
        kind: FaultKind::Sync,
    }));
    assert!(segments.sync().is_err());
    bench.log.set_fault(None);
    bench.flip(lost.segment, 5_000);
    for _ in 0..3 {
        let error = segments.sync().unwrap_err();
        assert!(error.to_string().contains("restarted"), "{error}");
    }
}

#[test]
fn a_full_disk_fails_one_append_and_hurts_no_other() {
    let bench = Bench::new();
    let (segments, _) = bench.open();
    let mut kept = vec![(bench.add(&segments, b"before"), b"before".to_vec())];
    for (errno, body) in [
        (libc::ENOSPC, 2_000),
        (libc::EIO, 2_000),
        (libc::ENOSPC, 700_000),
    ] {
        bench.log.set_fault(Some(Fault {
            at: 0,
            count: 100,
            errno,
            kind: FaultKind::Write,
        }));
        let spool = bench.spool(&pattern(body));
        assert!(segments.append(b"facts", &spool).is_err());
        bench.log.set_fault(None);
        let text = format!("after {errno}");
        kept.push((bench.add(&segments, text.as_bytes()), text.into_bytes()));
        segments.sync().unwrap();
    }
    bench.crash(segments);
    let (segments, recovery) = bench.open();
    assert_eq!(recovery, Recovery::default());
    for (at, body) in &kept {
        assert_eq!(body_of(&segments, at).unwrap(), *body);
    }
    let report = segments.verify(|_, _| ());
    assert_eq!((report.messages, report.findings), (4, Vec::new()));
}

#[test]
fn compaction_moves_what_lives_and_the_file_goes_when_readers_had_time() {
    let bench = Bench::new();
    let (segments, _) = bench.open();
    let live = [
        bench.add(&segments, b"live"),
        bench.add(&segments, &pattern(90_000)),
    ];
    bench.add(&segments, &pattern(100_000));
    let old = live[0].segment;
    segments.sync().unwrap();
    segments.seal_active();
    assert!(segments.compact(old, &live).is_err(), "sealed just now");
    let step = |seconds| {
        bench
            .clock
            .set(bench.clock.now().plus(Duration::from_secs(seconds)))
    };
    step(3_601);
    assert_eq!(segments.compactable(), [old]);
    let done = segments.compact(old, &live).unwrap();
    assert_eq!((done.moved.len(), done.damaged.len()), (2, 0));
    segments.sync().unwrap();
    segments.retire(old).unwrap();
    assert!(segments.removable().is_empty() && segments.remove(old).is_err());
    assert!(body_of(&segments, &live[0]).is_ok(), "readers have time");
    step(601);
    assert_eq!(segments.removable(), [old]);
    segments.remove(old).unwrap();
    assert!(!bench.file(old).exists());
    assert_eq!(body_of(&segments, &done.moved[0].1).unwrap(), b"live");
    assert_eq!(
        body_of(&segments, &done.moved[1].1).unwrap(),
        pattern(90_000)
    );
    let error = body_of(&segments, &live[0]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_segment_with_a_damaged_live_message_is_not_retired() {
    let bench = Bench::new();
    let (segments, _) = bench.open();
    let live = [
        bench.add(&segments, b"rotten"),
        bench.add(&segments, b"good"),
    ];
    drop(segments);
    bench.flip(live[0].segment, live[0].offset.cast_unsigned() + 106);
    let (segments, _) = bench.open();
    segments.seal_active();
    bench
        .clock
        .set(bench.clock.now().plus(Duration::from_secs(4_000)));
    let done = segments.compact(live[0].segment, &live).unwrap();
    assert_eq!((done.moved.len(), done.damaged), (1, vec![live[0]]));
    assert!(segments.retire(live[0].segment).is_err());
}

#[test]
fn the_newest_number_is_never_given_again() {
    let bench = Bench::new();
    let (segments, _) = bench.open();
    let old = bench.add(&segments, b"gone").segment;
    segments.sync().unwrap();
    segments.seal_active();
    segments.retire(old).unwrap();
    bench
        .clock
        .set(bench.clock.now().plus(Duration::from_secs(4_000)));
    assert!(segments.removable().is_empty());
    drop(segments);
    let (segments, _) = bench.open();
    assert!(bench.add(&segments, b"new").segment > old);
}

#[test]
fn one_process_writes_and_others_may_read() {
    let bench = Bench::new();
    let (segments, _) = bench.open();
    let at = bench.add(&segments, b"seen");
    segments.sync().unwrap();
    let dir = bench.dir.path().join("s");
    let second = Segments::open(&dir, bench.options(), Arc::new(RealFiles));
    assert_eq!(second.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    let (reader, recovery) =
        Segments::open_to_read(&dir, bench.options(), Arc::new(RealFiles)).unwrap();
    assert_eq!(recovery, Recovery::default());
    assert_eq!(body_of(&reader, &at).unwrap(), b"seen");
    assert_eq!(reader.verify(|_, _| ()).messages, 1);
    assert!(reader.append(b"", &bench.spool(b"no")).is_err());
    assert!(reader.compactable().is_empty() && reader.retire(at.segment).is_err());
}

/// A segment of some messages, as bytes, with what is in it.
fn sample() -> (Vec<u8>, Vec<BodyRef>) {
    let bench = Bench::new();
    let (segments, _) = bench.open();
    let mut at = Vec::new();
    for size in [100, 0, 5_000, 70_000, 33] {
        at.push(bench.add(&segments, &pattern(size)));
        segments.sync().unwrap();
    }
    drop(segments);
    (std::fs::read(bench.file(at[0].segment)).unwrap(), at)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn recovery_survives_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        recover_bytes(&bytes);
    }

    #[test]
    fn recovery_believes_only_what_was_written(
        changes in prop::collection::vec((0_usize..76_000, any::<u8>()), 0..20),
        length in 0_usize..80_000,
    ) {
        let (mut bytes, at) = sample();
        for (place, value) in changes {
            let place = place % bytes.len();
            bytes[place] = value;
        }
        bytes.truncate(length);
        let found = recover_bytes(&bytes);
        prop_assert!(found.messages.iter().all(|message| at.contains(message)));
    }
}
