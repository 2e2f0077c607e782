//! The line in front of an engine: who waits, who is about to come, and when a group is complete.
//! Pure waiting; knows no database. Its length is bounded: who finds it full waits for room.

use super::Job;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most transactions that share one commit: bounds how long the first waits for the last.
pub(super) const GROUP_JOBS_MAX: usize = 256;
/// Most transactions that wait or run: bounds the memory of a store that cannot keep up. Callers
/// beyond it wait for room, so that pressure reaches the peers that cause it.
pub(super) const LINE_JOBS_MAX: usize = 4096;

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Box<dyn Job>>,
    /// When each announcement was made, by its number, so the first is the oldest.
    announced: BTreeMap<u64, Instant>,
    announcements: u64,
    /// Takers asleep until a job comes; counted because a notification costs a system call.
    idle: usize,
    /// One taker collects a group; the others leave the jobs to it.
    gathering: bool,
    closed: bool,
}

impl Waiting {
    fn group_complete(&self) -> bool {
        self.announced.is_empty() || self.jobs.len() >= GROUP_JOBS_MAX || self.closed
    }
}

/// Jobs in order of arrival plus the writers that announced themselves.
pub(super) struct Line {
    waiting: Mutex<Waiting>,
    job_came: Condvar,
    group_grew: Condvar,
    room: Arc<Semaphore>,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            job_came: Condvar::new(),
            group_grew: Condvar::new(),
            room: Arc::new(Semaphore::new(LINE_JOBS_MAX)),
        }
    }
}

impl Line {
    /// Waits until the line has room; the room is free again when the answer is dropped. `None`
    /// after `close`.
    pub(super) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        self.room.clone().acquire_owned().await.ok()
    }

    /// Somebody will come soon. The number is for `withdraw` and `push`.
    pub(super) fn announce(&self) -> u64 {
        let now = now();
        let mut waiting = self.lock();
        waiting.announcements += 1;
        let number = waiting.announcements;
        waiting.announced.insert(number, now);
        number
    }

    /// Who announced itself as `number` does not come.
    pub(super) fn withdraw(&self, number: u64) {
        let mut waiting = self.lock();
        if waiting.announced.remove(&number).is_some() {
            self.tell_gatherer(&waiting);
        }
    }

    /// Puts a job into the line, in one step with the end of its announcement: between the two no
    /// commit may start without it. Gives the job back where the line is closed.
    pub(super) fn push(
        &self,
        job: Box<dyn Job>,
        announced: Option<u64>,
    ) -> Result<(), Box<dyn Job>> {
        let mut waiting = self.lock();
        if let Some(number) = announced {
            waiting.announced.remove(&number);
        }
        if waiting.closed {
            return Err(job);
        }
        waiting.jobs.push_back(job);
        if waiting.gathering {
            self.tell_gatherer(&waiting);
        } else if waiting.idle > 0 {
            self.job_came.notify_one();
        }
        Ok(())
    }

    fn tell_gatherer(&self, waiting: &Waiting) {
        if waiting.gathering && waiting.group_complete() {
            self.group_grew.notify_one();
        }
    }

    /// No more jobs come; takers get what is left and then nothing.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.job_came.notify_all();
        self.group_grew.notify_all();
    }

    /// Whether `close` was called.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Closes the line and hands out who still waits: for a taker that cannot go on.
    pub(super) fn abandon(&self) -> Vec<Box<dyn Job>> {
        self.close();
        self.lock().jobs.drain(..).collect()
    }

    /// Waits for one job. `None` after `close` when nothing is left.
    pub(super) fn take_one(&self) -> Option<Box<dyn Job>> {
        self.wait_for_job().jobs.pop_front()
    }

    /// Waits for at least one job, then up to `gather_max` for writers that announced themselves
    /// within the last `gather_max`; an announcer that never writes delays others no longer than
    /// that. Empty after `close`.
    pub(super) fn next_group(&self, gather_max: Duration) -> Vec<Box<dyn Job>> {
        let mut waiting = self.wait_for_job();
        if !gather_max.is_zero() && !waiting.group_complete() {
            waiting = self.gather(waiting, gather_max);
        }
        let take = waiting.jobs.len().min(GROUP_JOBS_MAX);
        let group = waiting.jobs.drain(..take).collect();
        if waiting.closed {
            self.job_came.notify_all();
        } else if !waiting.jobs.is_empty() && waiting.idle > 0 {
            // Their arrival was told to this taker only.
            self.job_came.notify_one();
        }
        group
    }

    fn wait_for_job(&self) -> MutexGuard<'_, Waiting> {
        let mut waiting = self.lock();
        while waiting.gathering || (waiting.jobs.is_empty() && !waiting.closed) {
            waiting.idle += 1;
            waiting = self
                .job_came
                .wait(waiting)
                .unwrap_or_else(|poisoned| poisoned.into_inner());
            waiting.idle -= 1;
        }
        waiting
    }

    fn gather<'a>(
        &'a self,
        mut waiting: MutexGuard<'a, Waiting>,
        gather_max: Duration,
    ) -> MutexGuard<'a, Waiting> {
        let start = now();
        let end = start + gather_max;
        let mut time = start;
        waiting.gathering = true;
        loop {
            while let Some(oldest) = waiting.announced.first_entry()
                && *oldest.get() + gather_max <= time
            {
                oldest.remove();
            }
            if waiting.group_complete() || time >= end {
                break;
            }
            let last = waiting.announced.last_key_value();
            let until = last.map_or(end, |(_, made)| end.min(*made + gather_max));
            waiting = self
                .group_grew
                .wait_timeout(waiting, until.saturating_duration_since(time))
                .unwrap_or_else(|poisoned| poisoned.into_inner())
                .0;
            time = now();
        }
        waiting.gathering = false;
        waiting
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "how long a thread waits is measured on the machine's clock, whatever time a test shows"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{StoreError, Tx};

    struct Named(u32);

    impl Job for Named {
        fn run(&mut self, _tx: &mut dyn Tx) -> bool {
            self.0 > 0
        }
        fn finish(self: Box<Self>, _committed: Result<(), StoreError>) {}
        fn abandoned(&self) -> bool {
            false
        }
    }

    fn job(name: u32) -> Box<dyn Job> {
        Box::new(Named(name))
    }

    /// Far longer than any test waits: a gather that ends by its own time fails the test's limit.
    const LONG: Duration = Duration::from_secs(20);
    const SOON: Duration = Duration::from_secs(10);

    fn in_thread<T: Send + 'static>(
        run: impl FnOnce() -> T + Send + 'static,
    ) -> std::sync::mpsc::Receiver<T> {
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || send.send(run()));
        receive
    }

    fn until(what: &str, mut holds: impl FnMut() -> bool) {
        let end = now() + SOON;
        while !holds() {
            assert!(now() < end, "{what} did not happen");
            std::thread::yield_now();
        }
    }

    #[test]
    fn an_announced_writer_shares_the_group() {
        let line = Arc::new(Line::default());
        let number = line.announce();
        assert!(line.push(job(1), None).is_ok());
        let taker = line.clone();
        let group = in_thread(move || taker.next_group(LONG).len());
        until("gathering", || line.lock().gathering);
        assert!(line.push(job(2), Some(number)).is_ok());
        assert_eq!(group.recv_timeout(SOON), Ok(2));
    }

    #[test]
    fn a_withdrawn_announcement_ends_the_gathering() {
        let line = Arc::new(Line::default());
        let number = line.announce();
        assert!(line.push(job(1), None).is_ok());
        let taker = line.clone();
        let group = in_thread(move || taker.next_group(LONG).len());
        until("gathering", || line.lock().gathering);
        line.withdraw(number);
        assert_eq!(group.recv_timeout(SOON), Ok(1));
    }

    #[test]
    fn an_announcer_that_never_writes_delays_one_gathering_only() {
        let line = Line::default();
        let wait = Duration::from_millis(30);
        let begin = now();
        line.announce();
        assert!(line.push(job(1), None).is_ok());
        assert_eq!(line.next_group(wait).len(), 1);
        assert!(now() - begin >= wait, "the announcement was not waited for");
        assert!(
            line.lock().announced.is_empty(),
            "a stale announcement stayed"
        );
    }

    #[test]
    fn jobs_that_did_not_fit_wake_another_taker() {
        let line = Arc::new(Line::default());
        let number = line.announce();
        assert!(line.push(job(1), None).is_ok());
        let (first, second) = (line.clone(), line.clone());
        let first = in_thread(move || first.next_group(LONG).len());
        until("gathering", || line.lock().gathering);
        let second = in_thread(move || second.next_group(Duration::ZERO).len());
        until("a second taker asleep", || line.lock().idle == 1);
        {
            let mut waiting = line.lock();
            for name in 0..GROUP_JOBS_MAX as u32 {
                waiting.jobs.push_back(job(name));
            }
        }
        line.withdraw(number);
        assert_eq!(first.recv_timeout(SOON), Ok(GROUP_JOBS_MAX));
        assert_eq!(second.recv_timeout(SOON), Ok(1));
    }

    #[test]
    fn closing_lets_takers_finish_what_waits_and_ends_them() {
        let line = Arc::new(Line::default());
        let taker = line.clone();
        let idle = in_thread(move || taker.take_one().is_none());
        until("a taker asleep", || line.lock().idle == 1);
        line.close();
        assert_eq!(idle.recv_timeout(SOON), Ok(true));
        assert!(line.push(job(1), None).is_err());

        let line = Line::default();
        assert!(line.push(job(1), None).is_ok());
        line.close();
        assert!(line.take_one().is_some());
        assert!(line.next_group(LONG).is_empty());
    }

    #[tokio::test]
    async fn a_full_line_makes_callers_wait_until_there_is_room() {
        let line = Line::default();
        let mut held = Vec::new();
        for _ in 0..LINE_JOBS_MAX {
            held.push(line.room().await);
        }
        let short = Duration::from_millis(20);
        assert!(tokio::time::timeout(short, line.room()).await.is_err());
        held.pop();
        assert!(tokio::time::timeout(SOON, line.room()).await.is_ok());
    }
}
