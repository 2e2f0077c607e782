//! Keeps SQLite's write-ahead log short without making commits wait: a thread of its own writes the
//! log's pages back and flushes them; the writer only finishes the few that came meanwhile, between
//! two groups, so that the log can begin anew. Nothing here decides what is durable: commits are.

use super::{connect, engine};
use crate::store::{StoreError, spawn};
use rusqlite::Connection;
use rusqlite::hooks::Wal;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Pages of the log that start a checkpoint: 16 MiB, so that its flushes are shared by a thousand
/// messages and a page changed often is written back once.
const CHECKPOINT_PAGES: i32 = 8 * 1024;
/// Pages of the log (1 GiB) past which somebody must look: a read that does not end keeps them.
const LOG_PAGES_NOTABLE: i32 = 512 * 1024;
/// The checkpointing thread holds pages for a moment only.
const CACHE_KIB: i64 = 256;

/// The writer's side.
pub(super) struct Checkpoints {
    /// Length of the log after the last commit, in pages.
    pages: Arc<AtomicI32>,
    /// The thread wrote back what it found.
    written_back: Arc<AtomicBool>,
    wake: SyncSender<()>,
    running: bool,
    /// Length of the log that starts the next checkpoint.
    next: i32,
    noted: bool,
}

impl Checkpoints {
    /// Starts the thread, which ends when the value is dropped.
    pub(super) fn start(
        path: &Path,
        writer: &mut Connection,
    ) -> Result<(Self, JoinHandle<()>), StoreError> {
        // Replaces the checkpoint inside of commits.
        let pages = Arc::new(AtomicI32::new(0));
        let seen = pages.clone();
        let hook = move |_: &mut Wal, pages| {
            seen.store(pages, Ordering::Relaxed);
            Ok(())
        };
        writer.wal_hook(Some(hook)).map_err(engine)?;
        let (wake, woken) = sync_channel(1);
        let written_back = Arc::new(AtomicBool::new(false));
        let done = written_back.clone();
        let db = connect(path, CACHE_KIB)?;
        let thread = spawn("store-checkpoint", move || write_back(&db, &woken, &done))?;
        let checkpoints = Self {
            pages,
            written_back,
            wake,
            running: false,
            next: CHECKPOINT_PAGES,
            noted: false,
        };
        Ok((checkpoints, thread))
    }

    /// Called by the writer when nobody waits for its commit.
    pub(super) fn after_group(&mut self, db: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        if self.running {
            if self.written_back.swap(false, Ordering::Acquire) {
                passive(db);
                self.running = false;
                self.next = pages.saturating_add(CHECKPOINT_PAGES);
            }
            return;
        }
        if pages < self.next - CHECKPOINT_PAGES {
            // The log began anew.
            self.next = CHECKPOINT_PAGES;
            self.noted = false;
        }
        if pages >= self.next {
            self.running = self.wake.try_send(()).is_ok();
        }
        if pages >= LOG_PAGES_NOTABLE && !self.noted {
            self.noted = true;
            tracing::warn!(
                pages,
                "store.log_does_not_shrink: a read is open for too long"
            );
        }
    }
}

fn write_back(db: &Connection, woken: &Receiver<()>, done: &AtomicBool) {
    while woken.recv().is_ok() {
        passive(db);
        done.store(true, Ordering::Release);
    }
}

/// Writes back what no reader needs in the log any more; waits for nobody.
fn passive(db: &Connection) {
    let checked = db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    if let Err(error) = checked {
        // Nothing is lost: the log still has the pages, and the next checkpoint tries again.
        tracing::warn!(%error, "store.checkpoint_failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grow(db: &Connection, rows: u32) {
        for _ in 0..rows {
            db.execute("INSERT INTO t VALUES (zeroblob(200000))", [])
                .unwrap();
        }
    }

    #[test]
    fn the_log_begins_anew_under_steady_writing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.sqlite");
        let mut db = connect(&path, 1024).unwrap();
        db.execute_batch("CREATE TABLE t (x BLOB)").unwrap();
        let (mut checkpoints, thread) = Checkpoints::start(&path, &mut db).unwrap();
        let mut longest = 0;
        let mut begun_anew = false;
        for _ in 0..2000 {
            grow(&db, 1);
            checkpoints.after_group(&db);
            let pages = checkpoints.pages.load(Ordering::Relaxed);
            begun_anew |= pages < longest;
            longest = longest.max(pages);
            if begun_anew {
                break;
            }
        }
        assert!(longest >= CHECKPOINT_PAGES);
        assert!(begun_anew, "the log grew to {longest} pages");
        drop(checkpoints);
        thread.join().unwrap();
    }

    #[test]
    fn an_open_read_delays_and_does_not_stop_the_writer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.sqlite");
        let mut db = connect(&path, 1024).unwrap();
        db.execute_batch("CREATE TABLE t (x BLOB)").unwrap();
        let (mut checkpoints, thread) = Checkpoints::start(&path, &mut db).unwrap();
        let reader = connect(&path, 1024).unwrap();
        reader
            .execute_batch("BEGIN; SELECT count(*) FROM t")
            .unwrap();
        for _ in 0..200 {
            grow(&db, 1);
            checkpoints.after_group(&db);
        }
        assert!(checkpoints.pages.load(Ordering::Relaxed) > 2 * CHECKPOINT_PAGES);
        reader.execute_batch("ROLLBACK").unwrap();
        let grown = checkpoints.pages.load(Ordering::Relaxed);
        for _ in 0..2000 {
            grow(&db, 1);
            checkpoints.after_group(&db);
            if checkpoints.pages.load(Ordering::Relaxed) < grown {
                break;
            }
        }
        assert!(checkpoints.pages.load(Ordering::Relaxed) < grown);
        drop(checkpoints);
        thread.join().unwrap();
    }
}
