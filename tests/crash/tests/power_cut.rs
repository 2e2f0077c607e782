//! The power fails at every write and sync: whatever combination of unsynced bytes the disk kept,
//! every acknowledged message is there exactly once and whole, and the next one is accepted.
//! The last test leaves syncs out and expects the replay to notice.

use crash::disk::{Disk, Kept};
use crash::sqlite_vfs;
use crash::time::{TimeBudget, timed};
use crash::workload::{Promised, Trouble, check_after_power_cut, run};
use platform::files::recording::{Fault, FaultKind, Operation, OperationLog};
use platform::random::Random;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// The recorded directory is one per process.
static ALONE: Mutex<()> = Mutex::new(());

fn on_runtime<T>(run: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(run)
}

/// Records a workload; gives its log.
fn recorded(dir: &Path, trouble: Trouble) -> Vec<Operation> {
    let log = OperationLog::default();
    sqlite_vfs::record(dir, log.clone());
    on_runtime(run(dir, &log, trouble));
    log.operations()
}

fn check_state(
    recorded_in: &Path,
    files: Vec<(PathBuf, Vec<u8>)>,
    promised: &Promised,
) -> Result<(), String> {
    let state = tempfile::tempdir().map_err(|error| error.to_string())?;
    for (path, bytes) in files {
        let inside = path.strip_prefix(recorded_in).map_err(|e| e.to_string())?;
        let path = state.path().join(inside);
        let dir = path.parent().ok_or("a file lies in a directory")?;
        std::fs::create_dir_all(dir).map_err(|error| error.to_string())?;
        std::fs::write(&path, bytes).map_err(|error| error.to_string())?;
    }
    on_runtime(check_after_power_cut(state.path(), promised))
}

/// Replays a log and lets the power fail after each operation, evenly as often as there is time
/// for. Gives the number of different states, or the first promise that was broken.
fn replay(dir: &Path, operations: &[Operation], seconds: u64) -> Result<usize, String> {
    let budget = TimeBudget::begin(seconds);
    let random = Random::seeded(1);
    let positions = operations.len() * Kept::ALL.len();
    let mut disk = Disk::default();
    let mut promised = Promised::default();
    let mut seen = HashSet::new();
    let mut cost = Duration::from_millis(30);
    let mut due = 0.0;
    for (n, operation) in operations.iter().enumerate() {
        disk.apply(operation);
        if let Operation::Mark(mark) = operation {
            promised.note(mark);
            continue;
        }
        let ahead = (positions - n * Kept::ALL.len()) as f64;
        let share = (budget.left().as_secs_f64() / (cost.as_secs_f64() * ahead)).min(1.0);
        for kept in Kept::ALL {
            due += share;
            if due < 1.0 {
                continue;
            }
            due -= 1.0;
            let files = disk.after_power_cut(kept, &random);
            if !seen.insert(fingerprint(&files, &promised)) {
                continue;
            }
            let (outcome, took) = timed(|| check_state(dir, files, &promised));
            cost = (cost * 9 + took) / 10;
            outcome.map_err(|broken| {
                format!(
                    "power cut after operation {n} of {} ({}), the disk kept {kept:?} of what was \
                     not synced: {broken}",
                    operations.len(),
                    in_short(operation)
                )
            })?;
        }
    }
    Ok(seen.len())
}

/// Tells states apart, so that none is checked twice against the same promises.
fn fingerprint(files: &[(PathBuf, Vec<u8>)], promised: &Promised) -> u64 {
    let mut hasher = DefaultHasher::new();
    files.hash(&mut hasher);
    promised.acknowledged.hash(&mut hasher);
    promised.forgotten.hash(&mut hasher);
    hasher.finish()
}

fn in_short(operation: &Operation) -> String {
    match operation {
        Operation::Write(path, offset, bytes) => {
            format!("{} bytes at {offset} of {}", bytes.len(), path.display())
        }
        other => format!("{other:?}"),
    }
}

fn record_and_replay(trouble: Trouble, seconds: u64) {
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let dir = tempfile::tempdir().expect("a temporary folder");
    let operations = recorded(dir.path(), trouble);
    let accepted = operations
        .iter()
        .filter(|operation| matches!(operation, Operation::Mark(m) if m.starts_with("accepted ")))
        .count();
    let failed = operations
        .iter()
        .filter(|operation| matches!(operation, Operation::SyncFailed(_)))
        .count();
    assert!(accepted >= 32, "only {accepted} were accepted");
    let hit = matches!(trouble, Trouble::None) || accepted < 40;
    assert!(hit, "the fault hit no accept transaction");
    match replay(dir.path(), &operations, seconds) {
        Ok(states) => println!(
            "{states} states after {} operations, {accepted} messages accepted, {failed} syncs failed",
            operations.len()
        ),
        Err(broken) => panic!("{broken}"),
    }
}

#[test]
fn acknowledged_messages_survive_a_power_cut_at_every_operation() {
    record_and_replay(Trouble::None, 30);
}

#[test]
fn acknowledged_messages_survive_a_sync_that_failed_before_the_power_cut() {
    // The first sync of a group is the segment's, the second the write-ahead log's.
    for at in 0..4 {
        let fault = Fault {
            at,
            count: 1,
            errno: libc::EIO,
            kind: FaultKind::Sync,
        };
        record_and_replay(Trouble::Disk(fault), 4);
    }
}

#[test]
fn acknowledged_messages_survive_a_full_disk_before_the_power_cut() {
    let fault = Fault {
        at: 2,
        count: 12,
        errno: libc::ENOSPC,
        kind: FaultKind::Write,
    };
    record_and_replay(Trouble::Disk(fault), 7);
}

#[test]
fn a_sync_that_is_left_out_is_noticed() {
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let dir = tempfile::tempdir().unwrap();
    let operations = recorded(dir.path(), Trouble::None);
    let ends_in = |path: &Path, end: &str| path.to_string_lossy().ends_with(end);
    type Which<'a> = &'a dyn Fn(&Operation) -> bool;
    let leave_out: [(&str, Which<'_>); 3] = [
        (
            "segments",
            &|operation| matches!(operation, Operation::Sync(path) if ends_in(path, ".seg")),
        ),
        (
            "names of segments",
            &|operation| matches!(operation, Operation::SyncDir(path) if ends_in(path, "segments")),
        ),
        (
            "the write-ahead log",
            &|operation| matches!(operation, Operation::Sync(path) if ends_in(path, "-wal")),
        ),
    ];
    for (what, left_out) in leave_out {
        let without: Vec<Operation> = operations
            .iter()
            .filter(|operation| !left_out(operation))
            .cloned()
            .collect();
        assert!(without.len() < operations.len());
        let noticed = replay(dir.path(), &without, 10);
        println!("without syncs of {what}: {noticed:?}");
        assert!(noticed.is_err(), "without syncs of {what}");
    }
}
