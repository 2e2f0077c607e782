//! The engine for several nodes: the same closures on pooled connections to a PostgreSQL server.
//! A thread per connection takes groups from the line; never two groups of one closure at a time.
//!
//! Isolation: writes run SERIALIZABLE, because SQLite's single writer gives that and code written
//! on one engine must not meet write skew on the other. Reads run REPEATABLE READ, READ ONLY: one
//! snapshot with all that was acknowledged before, without taking part in conflicts. (Reads could
//! thereby see two commits that depend on each other's reads in an order no serial run has; nothing
//! that decides about writes is decided in a read.)
//!
//! A group that lost against others starts again while the other writers of this node stand still;
//! at the end each closure tries alone. A connection lost before COMMIT was sent means the group
//! runs again on a new one; lost after that, its jobs are answered `Uncertain`.

mod link;
mod schema;
mod values;

use super::group::Line;
use super::migrations::Component;
use super::{
    Backend, BeforeCommit, Job, LastTaker, Options, StoreError, answer, flush, join_others, spawn,
};
use link::{Link, Trouble, Work};
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio_postgres::Config;

/// How often a group is tried together before each closure is tried alone.
const GROUP_TRIES_MAX: u32 = 3;
/// How often a closure is tried alone before it is answered `Contention`.
const ALONE_TRIES_MAX: u32 = 10;
/// How often a read is tried when its connection is lost or a standby cancels it.
const READ_TRIES_MAX: u32 = 4;
/// First pause after a lost conflict; doubles each time.
const BACKOFF_FIRST: Duration = Duration::from_millis(1);
/// Longest pause after a lost conflict.
const BACKOFF_MAX: Duration = Duration::from_millis(100);
/// How long waiting jobs wait for the server to come back before they are refused.
const RECONNECT_MAX: Duration = Duration::from_secs(10);
/// Pause between two tries to reach the server.
const RECONNECT_PAUSE: Duration = Duration::from_millis(200);

/// Who may write now: groups share it, a group that lost a conflict takes it for itself.
type Turn = Arc<RwLock<()>>;

pub(super) struct Postgres {
    writes: Arc<Line>,
    reads: Arc<Line>,
    config: Config,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Postgres {
    pub(super) fn open(
        url: &str,
        connections: usize,
        options: &Options,
        components: &[Component],
    ) -> Result<Self, StoreError> {
        let config = link::configure(url)?;
        let (migrated, all) = (config.clone(), components.to_vec());
        aside(move || schema::migrate(&mut Session::new(migrated)?, &all))?;
        let postgres = Self {
            writes: Arc::default(),
            reads: Arc::default(),
            config,
            threads: Mutex::default(),
        };
        let turn = Turn::default();
        let last = Arc::new(LastTaker(postgres.writes.clone()));
        for _ in 0..connections.clamp(1, 64) {
            let mut writer = Writer {
                session: Session::new(postgres.config.clone())?,
                before_commit: options.before_commit.clone(),
                turn: turn.clone(),
                last: last.clone(),
            };
            let gather_max = options.gather_max;
            postgres.spawn("store-writer", move || writer.write_groups(gather_max))?;
        }
        let last = Arc::new(LastTaker(postgres.reads.clone()));
        for _ in 0..options.readers.clamp(1, 64) {
            let mut session = Session::new(postgres.config.clone())?;
            let last = last.clone();
            postgres.spawn("store-reader", move || read_jobs(&mut session, &last.0))?;
        }
        Ok(postgres)
    }

    fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
        let thread = spawn(name, run)?;
        let mut threads = self.threads.lock().unwrap_or_else(|e| e.into_inner());
        threads.push(thread);
        Ok(())
    }
}

impl Backend for Postgres {
    fn writes(&self) -> &Line {
        &self.writes
    }

    fn reads(&self) -> &Line {
        &self.reads
    }

    fn snapshot_to(&self, _target: &Path) -> Result<(), StoreError> {
        Err(StoreError::Engine(
            "PostgreSQL is copied with its own tools: pg_dump for this database, or pg_basebackup \
             with WAL archiving to be able to go back to any moment"
                .into(),
        ))
    }

    fn check(&self) -> Result<Vec<String>, StoreError> {
        let config = self.config.clone();
        aside(move || schema::check(&mut Session::new(config)?))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.writes.close();
        self.reads.close();
        join_others(std::mem::take(
            &mut *self.threads.lock().unwrap_or_else(|e| e.into_inner()),
        ));
    }
}

/// Runs `work` on a thread of its own, because the caller's may belong to an async runtime, which
/// cannot wait for another one.
fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let (send, receive) = std::sync::mpsc::channel();
    let thread = spawn("store-aside", move || {
        let _ = send.send(work());
    })?;
    let result = receive.recv().unwrap_or(Err(StoreError::Panicked));
    let _ = thread.join();
    result
}

/// One connection that is made when it is needed, and made again after it was lost.
struct Session {
    runtime: Runtime,
    config: Config,
    link: Option<Link>,
}

impl Session {
    fn new(config: Config) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| StoreError::Engine(format!("starting a thread: {error}")))?;
        Ok(Self {
            runtime,
            config,
            link: None,
        })
    }

    /// The connection; tries for `patience` to make one.
    fn connect(&mut self, patience: Duration) -> Result<(&Runtime, &mut Link), StoreError> {
        if self.link.as_ref().is_some_and(Link::is_lost) {
            self.link = None;
        }
        let link = match self.link.take() {
            Some(link) => link,
            None => self.make_link(patience)?,
        };
        Ok((&self.runtime, self.link.insert(link)))
    }

    fn make_link(&self, patience: Duration) -> Result<Link, StoreError> {
        let end = now() + patience;
        loop {
            match Link::make(&self.runtime, &self.config) {
                Ok(link) => return Ok(link),
                Err(error) if now() + RECONNECT_PAUSE < end => {
                    tracing::warn!(%error, "store.postgres_unreachable");
                    pause(RECONNECT_PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// What became of one try of a group.
enum Attempt {
    /// One outcome for each job.
    Done(Vec<Result<(), StoreError>>),
    /// Nothing of it was committed and all of it may run again.
    Again,
}

struct Writer {
    session: Session,
    before_commit: Option<BeforeCommit>,
    turn: Turn,
    last: Arc<LastTaker>,
}

impl Writer {
    fn write_groups(&mut self, gather_max: Duration) {
        loop {
            let group = self.last.0.next_group(gather_max);
            if group.is_empty() {
                return;
            }
            for job in self.settle(group, GROUP_TRIES_MAX) {
                for job in self.settle(vec![job], ALONE_TRIES_MAX) {
                    answer(job, Err(StoreError::Contention));
                }
            }
        }
    }

    /// Commits and answers a group; gives back the jobs that lost `tries` times.
    fn settle(&mut self, mut group: Vec<Box<dyn Job>>, tries: u32) -> Vec<Box<dyn Job>> {
        let mut backoff = BACKOFF_FIRST;
        for trial in 0..tries {
            let outcomes = match self.attempt(&mut group, trial == 0 && tries == GROUP_TRIES_MAX) {
                Ok(Attempt::Done(outcomes)) => outcomes,
                Ok(Attempt::Again) => {
                    pause(backoff.mul_f64(0.5 + 0.5 * rand::random::<f64>()));
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                    continue;
                }
                Err(error) => group.iter().map(|_| Err(error.clone())).collect(),
            };
            for (job, outcome) in group.into_iter().zip(outcomes) {
                answer(job, outcome);
            }
            return Vec::new();
        }
        group
    }

    fn attempt(
        &mut self,
        group: &mut [Box<dyn Job>],
        shares_turn: bool,
    ) -> Result<Attempt, StoreError> {
        let patience = if self.last.0.is_closed() {
            Duration::ZERO
        } else {
            RECONNECT_MAX
        };
        let (runtime, link) = self.session.connect(patience)?;
        let (mut shared, mut alone) = (None, None);
        if shares_turn {
            shared = Some(self.turn.read().unwrap_or_else(|e| e.into_inner()));
        } else {
            alone = Some(self.turn.write().unwrap_or_else(|e| e.into_inner()));
        }
        let attempt = try_group(runtime, link, group, self.before_commit.as_ref());
        drop((shared.take(), alone.take()));
        Ok(attempt)
    }
}

/// Every closure in a savepoint of its own (none where it is the only one), then one COMMIT.
fn try_group(
    runtime: &Runtime,
    link: &mut Link,
    group: &mut [Box<dyn Job>],
    before: Option<&BeforeCommit>,
) -> Attempt {
    let mut work = Work::write(runtime, link, group.len());
    let mut kept = Vec::with_capacity(group.len());
    for job in group.iter_mut() {
        match work.run(job.as_mut()) {
            Ok(outcome) => kept.push(outcome),
            Err(Trouble::Conflict | Trouble::Lost) => {
                work.roll_back();
                return Attempt::Again;
            }
        }
    }
    if !kept.iter().any(Result::is_ok) {
        work.roll_back();
        return Attempt::Done(kept);
    }
    if let Err(error) = flush(before) {
        work.roll_back();
        return Attempt::Done(fail_kept(kept, &error));
    }
    match work.commit() {
        Ok(()) => Attempt::Done(kept),
        Err(None) => Attempt::Again,
        Err(Some(error)) => Attempt::Done(fail_kept(kept, &error)),
    }
}

fn fail_kept(kept: Vec<Result<(), StoreError>>, error: &StoreError) -> Vec<Result<(), StoreError>> {
    kept.into_iter()
        .map(|own| own.and(Err(error.clone())))
        .collect()
}

fn read_jobs(session: &mut Session, line: &Line) {
    while let Some(mut job) = line.take_one() {
        if job.abandoned() {
            continue;
        }
        let outcome = read_one(session, job.as_mut(), line);
        answer(job, outcome);
        if let Some(link) = &mut session.link {
            // After the answer: nobody waits for the end of a snapshot.
            Work::read(&session.runtime, link).end_read();
        }
    }
}

fn read_one(session: &mut Session, job: &mut dyn Job, line: &Line) -> Result<(), StoreError> {
    for _ in 0..READ_TRIES_MAX {
        let patience = if line.is_closed() {
            Duration::ZERO
        } else {
            RECONNECT_MAX
        };
        let (runtime, link) = session.connect(patience)?;
        let mut work = Work::read(runtime, link);
        match work.run(job) {
            Ok(outcome) => return outcome,
            Err(Trouble::Conflict) => work.end_read(),
            Err(Trouble::Lost) => {}
        }
    }
    Err(StoreError::Contention)
}

#[allow(
    clippy::disallowed_methods,
    reason = "this thread belongs to one connection and has nothing else to do"
)]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

#[allow(
    clippy::disallowed_methods,
    reason = "patience with a server is measured on the machine's clock"
)]
fn now() -> Instant {
    Instant::now()
}
