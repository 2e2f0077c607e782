//! The hash workers: password hashing on at most a few threads with a bounded line before them, so
//! that a flood of logins costs neither the mail its processor nor the program its memory. No block
//! of addresses may hold more than a quarter of the line.

use crate::AddressBlock;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

/// The line is full, or full for this peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Busy;

pub(crate) struct HashPool {
    workers: Arc<Semaphore>,
    line: Mutex<Line>,
    waiting_max: usize,
    /// Work that was begun; equal cost is counted, not timed.
    #[cfg(test)]
    pub(crate) begun: std::sync::atomic::AtomicUsize,
}

#[derive(Default)]
struct Line {
    waiting: usize,
    by_block: HashMap<AddressBlock, usize>,
}

/// A place in the line; given back when dropped, however the login ends.
struct Place<'a> {
    pool: &'a HashPool,
    block: Option<AddressBlock>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut line = self.pool.line.lock().unwrap_or_else(|e| e.into_inner());
        line.waiting = line.waiting.saturating_sub(1);
        if let Some(block) = self.block
            && let Some(held) = line.by_block.get_mut(&block)
        {
            *held -= 1;
            if *held == 0 {
                line.by_block.remove(&block);
            }
        }
    }
}

impl HashPool {
    pub(crate) fn new(workers: usize, waiting_max: usize) -> Self {
        Self {
            workers: Arc::new(Semaphore::new(workers.max(1))),
            line: Mutex::default(),
            waiting_max: waiting_max.max(1),
            #[cfg(test)]
            begun: std::sync::atomic::AtomicUsize::default(),
        }
    }

    /// Waits for a worker and runs `work` on it. `shortcut` is asked when the worker is free: what
    /// was learned while waiting may make the work needless. `block` is `None` for the operator's
    /// own work, which only the whole line bounds.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        block: Option<AddressBlock>,
        shortcut: impl FnOnce() -> Option<T>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let _place = self.line_up(block)?;
        let worker = self
            .workers
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| Busy)?;
        if let Some(known) = shortcut() {
            return Ok(known);
        }
        #[cfg(test)]
        self.begun
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // The work keeps its worker even if the caller goes away, or a client that reconnects could
        // have any number running. The task fails only if `work` panics or the program ends.
        let work = move || {
            let _worker = worker;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| Busy)
    }

    fn line_up(&self, block: Option<AddressBlock>) -> Result<Place<'_>, Busy> {
        let mut line = self.line.lock().unwrap_or_else(|e| e.into_inner());
        if line.waiting >= self.waiting_max {
            return Err(Busy);
        }
        if let Some(block) = block {
            let share = (self.waiting_max / 4).max(1);
            let held = line.by_block.entry(block).or_insert(0);
            if *held >= share {
                return Err(Busy);
            }
            *held += 1;
        }
        line.waiting += 1;
        Ok(Place { pool: self, block })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn block(text: &str) -> Option<AddressBlock> {
        Some(text.parse().unwrap())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_more_run_at_once_than_there_are_workers_and_the_line_ends() {
        let pool = Arc::new(HashPool::new(2, 16));
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = Vec::new();
        for number in 0..64u8 {
            let (pool, running, most) = (pool.clone(), running.clone(), most.clone());
            let from = block(&format!("192.0.2.{number}"));
            tasks.push(tokio::spawn(async move {
                let work = move || {
                    let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    std::hint::black_box((0..3_000_000u64).fold(0, |a, b| a ^ b.wrapping_mul(3)));
                    running.fetch_sub(1, Ordering::SeqCst);
                };
                pool.run(from, || None, work).await
            }));
        }
        let mut busy = 0;
        for task in tasks {
            busy += usize::from(task.await.unwrap() == Err(Busy));
        }
        assert!(most.load(Ordering::SeqCst) <= 2);
        assert!(busy > 0 && busy <= 48, "{busy} were turned away");
        assert_eq!(
            pool.run(block("192.0.2.1"), || None, || 7).await,
            Ok(7),
            "the line empties"
        );
    }

    #[test]
    fn one_block_cannot_hold_the_whole_line() {
        let pool = HashPool::new(1, 16);
        let places: Vec<_> = (0..4)
            .map(|_| pool.line_up(block("192.0.2.1")).ok().unwrap())
            .collect();
        assert!(pool.line_up(block("192.0.2.1")).is_err());
        assert!(pool.line_up(block("192.0.2.2")).is_ok());
        drop(places);
        assert!(pool.line_up(block("192.0.2.1")).is_ok());
    }
}
