//! The line in front of a writer: who waits, who is about to come, and when a group is complete.
//! Pure waiting; knows no database.

use super::Job;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// Most transactions that share one commit: bounds how long the first waits for the last.
pub(super) const GROUP_JOBS_MAX: usize = 256;
/// A gather that brought nobody this many times in a row stops for a while.
const EMPTY_GATHERS_MAX: u32 = 4;
/// How many groups go without gathering after that, so that a client which announces and never
/// writes cannot slow the others down.
const GATHER_PAUSE_GROUPS: u32 = 64;

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Box<dyn Job>>,
    announced: usize,
    closed: bool,
}

/// Jobs in order of arrival plus the number of announced writers.
#[derive(Default)]
pub(super) struct Expectations {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

impl Expectations {
    pub(super) fn announce(&self) {
        self.lock().announced += 1;
    }

    pub(super) fn withdraw(&self) {
        let mut waiting = self.lock();
        waiting.announced = waiting.announced.saturating_sub(1);
        if waiting.announced == 0 && !waiting.jobs.is_empty() {
            self.arrived.notify_one();
        }
    }

    /// Puts a job into the line; gives it back where the line is closed.
    pub(super) fn push(&self, job: Box<dyn Job>) -> Result<(), Box<dyn Job>> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(job);
        }
        waiting.jobs.push_back(job);
        self.arrived.notify_one();
        Ok(())
    }

    /// No more jobs come; takers get what is left and then `None`.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    /// Waits for one job. `None` after `close` when nothing is left.
    pub(super) fn take_one(&self) -> Option<Box<dyn Job>> {
        let mut waiting = self.lock();
        loop {
            if let Some(job) = waiting.jobs.pop_front() {
                return Some(job);
            }
            if waiting.closed {
                return None;
            }
            waiting = self
                .arrived
                .wait(waiting)
                .unwrap_or_else(|e| e.into_inner());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Takes groups from the line; one per writer.
pub(super) struct Gatherer {
    line: Arc<Expectations>,
    gather_max: Duration,
    empty_gathers: u32,
    pause: u32,
}

impl Gatherer {
    pub(super) fn new(line: Arc<Expectations>, gather_max: Duration) -> Self {
        Self {
            line,
            gather_max,
            empty_gathers: 0,
            pause: 0,
        }
    }

    /// Waits for at least one job, then a moment for announced writers. Empty after `close`.
    pub(super) fn next_group(&mut self) -> Vec<Box<dyn Job>> {
        let Some(first) = self.line.take_one() else {
            return Vec::new();
        };
        let mut group = vec![first];
        let line = self.line.clone();
        let mut waiting = line.lock();
        if self.pause > 0 {
            self.pause -= 1;
        } else if waiting.announced > 0 && !self.gather_max.is_zero() {
            let before = waiting.jobs.len();
            let (guard, timeout) = line
                .arrived
                .wait_timeout_while(waiting, self.gather_max, |w| {
                    w.announced > 0 && w.jobs.len() + 1 < GROUP_JOBS_MAX && !w.closed
                })
                .unwrap_or_else(|e| e.into_inner());
            waiting = guard;
            self.learn(timeout.timed_out() && waiting.jobs.len() == before);
        }
        let take = waiting.jobs.len().min(GROUP_JOBS_MAX - 1);
        group.extend(waiting.jobs.drain(..take));
        group
    }

    fn learn(&mut self, nobody_came: bool) {
        self.empty_gathers = if nobody_came {
            self.empty_gathers + 1
        } else {
            0
        };
        if self.empty_gathers >= EMPTY_GATHERS_MAX {
            self.empty_gathers = 0;
            self.pause = GATHER_PAUSE_GROUPS;
        }
    }
}
