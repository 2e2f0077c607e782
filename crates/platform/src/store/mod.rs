//! Rows that survive a power cut: transactions as closures over SQLite or PostgreSQL.
//!
//! Many waiting write closures share one physical transaction, one commit and one flush (group
//! commit); the failure of one undoes no other, though the others may have to run again. `write`
//! returns after that flush, never before.
//! Writes are serialisable; a read closure sees one consistent snapshot with everything that was
//! acknowledged before it began, and cannot write. Closures do no I/O of their own, because
//! everybody else waits for them. No closure keeps a handle: what it returns is owned data.
//!
//! SQL is one text for both engines: parameters `?1 … ?n`, types by the table in `migrations`.
//! A statement that fails spoils its transaction (PostgreSQL cannot go on, so SQLite does not):
//! where a row may be there already, write `ON CONFLICT DO NOTHING` and look at the count.

mod group;
pub mod migrations;
mod postgres;
mod sqlite;

pub use migrations::{Component, Migration};

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// A parameter of a statement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Param<'a> {
    /// SQL NULL.
    Null,
    /// A 64-bit integer; booleans are 0 and 1, times are milliseconds since 1970.
    Int(i64),
    /// Text without NUL characters (PostgreSQL refuses them).
    Text(&'a str),
    /// Bytes as they are.
    Bytes(&'a [u8]),
}

macro_rules! param_from {
    ($($type:ty => |$value:ident| $make:expr;)*) => {
        $(impl<'a> From<$type> for Param<'a> {
            fn from($value: $type) -> Self { $make }
        })*
    };
}
param_from! {
    i64 => |v| Param::Int(v);
    u32 => |v| Param::Int(i64::from(v));
    bool => |v| Param::Int(i64::from(v));
    &'a str => |v| Param::Text(v);
    &'a String => |v| Param::Text(v);
    &'a [u8] => |v| Param::Bytes(v);
    &'a Vec<u8> => |v| Param::Bytes(v);
}
impl<'a, T> From<Option<T>> for Param<'a>
where
    Param<'a>: From<T>,
{
    fn from(value: Option<T>) -> Self {
        value.map_or(Param::Null, Param::from)
    }
}

/// The parameters of a statement: `params![account, name]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::store::Param::from($value)),*] };
}

/// What can go wrong below a transaction. Peers never see these texts.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// A UNIQUE or PRIMARY KEY rule was broken.
    #[error("a row with this key exists already: {0}")]
    Exists(String),
    /// A row holds something else than the code expects there.
    #[error("column {column} holds {found}, not {wanted}")]
    Type {
        /// Position in the result, from 0.
        column: usize,
        /// What the code asked for.
        wanted: &'static str,
        /// What is there.
        found: String,
    },
    /// The engine failed: disk full, corruption, connection lost.
    #[error("the store failed: {0}")]
    Engine(String),
    /// The engine failed while it committed: the transaction is there, or it is not. The caller
    /// must act as if it were not (a temporary refusal, a retry that tolerates the first try).
    #[error("whether the transaction was committed is not known: {0}")]
    Uncertain(String),
    /// What the transaction depends on (message bytes) could not be made durable.
    #[error("flushing message bytes failed: {0}")]
    Flush(String),
    /// The transaction lost against concurrent ones more often than it is retried.
    #[error("the transaction lost against concurrent ones too often")]
    Contention,
    /// A closure panicked; its transaction was rolled back.
    #[error("a transaction panicked and was rolled back")]
    Panicked,
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
    /// The schema on disk is not one this program can use.
    #[error("{0}")]
    Schema(String),
}

/// One row of a result. Columns count from 0.
pub trait Row {
    /// The integer in `column`.
    fn int(&self, column: usize) -> Result<i64, StoreError>;
    /// The text in `column`.
    fn text(&self, column: usize) -> Result<&str, StoreError>;
    /// The bytes in `column`.
    fn bytes(&self, column: usize) -> Result<&[u8], StoreError>;
    /// Whether `column` is NULL.
    fn is_null(&self, column: usize) -> Result<bool, StoreError>;

    /// The integer in `column`, `None` for NULL.
    fn maybe_int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        if self.is_null(column)? {
            Ok(None)
        } else {
            self.int(column).map(Some)
        }
    }

    /// The text in `column`, `None` for NULL.
    fn maybe_text(&self, column: usize) -> Result<Option<&str>, StoreError> {
        if self.is_null(column)? {
            Ok(None)
        } else {
            self.text(column).map(Some)
        }
    }
}

/// What is called with each row of a result; `Break` ends the scan early.
pub type EachRow<'a> = dyn FnMut(&dyn Row) -> Result<ControlFlow<()>, StoreError> + 'a;

/// A transaction as a closure sees it.
pub trait Tx {
    /// Runs a statement that returns no rows; gives the number of rows it changed.
    fn execute(&mut self, sql: &'static str, params: &[Param<'_>]) -> Result<u64, StoreError>;

    /// Runs a query (or a statement with RETURNING) and calls `each` with every row.
    fn query(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
        each: &mut EachRow<'_>,
    ) -> Result<(), StoreError>;
}

impl dyn Tx + '_ {
    /// The first row, made into a value by `read`.
    pub fn one<T>(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
        mut read: impl FnMut(&dyn Row) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut found = None;
        self.query(sql, params, &mut |row| {
            found = Some(read(row)?);
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// Every row, made into values by `read`. For results whose size the caller has bounded.
    pub fn all<T>(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
        mut read: impl FnMut(&dyn Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut rows = Vec::new();
        self.query(sql, params, &mut |row| {
            rows.push(read(row)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(rows)
    }
}

/// Called before each commit: makes durable what the rows refer to (segments). An error here fails
/// every transaction of the group.
pub type BeforeCommit = Arc<dyn Fn() -> std::io::Result<()> + Send + Sync>;

/// Which engine, and where.
#[derive(Debug, Clone)]
pub enum Engine {
    /// One file on this machine.
    Sqlite {
        /// The database file; `-wal` and `-shm` lie beside it.
        path: PathBuf,
    },
    /// A PostgreSQL server, 13 or newer, with a database of our own.
    Postgres {
        /// `postgres://user:password@host/database` or `host=… user=… dbname=…`; may name several
        /// hosts (`target_session_attrs=read-write` finds the primary).
        url: String,
        /// Connections that write, 1 to 64. Waiting transactions share commits on each; more than
        /// two help only where the way to the server is long.
        connections: usize,
    },
}

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    /// Which engine, and where.
    pub engine: Engine,
    /// Connections that read, 1 to 64.
    pub readers: usize,
    /// How long a commit waits for writers that announced themselves; 0 to 20 ms.
    pub gather_max: Duration,
    /// Makes durable what rows refer to.
    pub before_commit: Option<BeforeCommit>,
}

/// A transaction waiting to run, its types erased.
trait Job: Send {
    /// Runs the closure, perhaps again after what an earlier run did was rolled back; false asks for
    /// a rollback.
    fn run(&mut self, tx: &mut dyn Tx) -> bool;
    /// Answers the caller: with what the closure returned, or with why it was not committed.
    fn finish(self: Box<Self>, committed: Result<(), StoreError>);
    /// Whether nobody waits for the answer any more.
    fn abandoned(&self) -> bool;
}

/// Answers a job; a fault in dropping what the caller captured must not end the engine's thread.
fn answer(job: Box<dyn Job>, committed: Result<(), StoreError>) {
    let _ = catch_unwind(AssertUnwindSafe(|| job.finish(committed)));
}

/// Flushes what the rows of a group refer to. A panic in it is a failed flush.
fn flush(before: Option<&BeforeCommit>) -> Result<(), StoreError> {
    let Some(before) = before else {
        return Ok(());
    };
    catch_unwind(AssertUnwindSafe(|| before()))
        .unwrap_or_else(|_| Err(std::io::Error::other("the flush panicked")))
        .map_err(|error| StoreError::Flush(error.to_string()))
}

/// PostgreSQL cannot hold NUL in text, so no engine takes it.
fn refuse_nul(params: &[Param<'_>]) -> Result<(), StoreError> {
    for (column, param) in params.iter().enumerate() {
        if let Param::Text(text) = param
            && text.as_bytes().contains(&0)
        {
            return Err(StoreError::Type {
                column,
                wanted: "text without NUL",
                found: "NUL in a parameter".into(),
            });
        }
    }
    Ok(())
}

fn spawn(
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> Result<std::thread::JoinHandle<()>, StoreError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(1 << 20)
        .spawn(run)
        .map_err(|error| StoreError::Engine(format!("starting a thread: {error}")))
}

/// Waits for an engine's threads. The last handle may be dropped by a job's own answer, on one of
/// these threads; that one ends by itself.
fn join_others(threads: Vec<std::thread::JoinHandle<()>>) {
    for thread in threads {
        if thread.thread().id() != std::thread::current().id() {
            let _ = thread.join();
        }
    }
}

/// Answers everybody who still waits when an engine's thread ends, for whatever reason: a line
/// without a taker must not look open.
struct LastTaker(Arc<group::Line>);

impl Drop for LastTaker {
    fn drop(&mut self) {
        for job in self.0.abandon() {
            answer(job, Err(StoreError::Closed));
        }
    }
}

struct Closure<F, T, E> {
    run: F,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
    /// This job's place in the bounded line, given back when it is answered.
    _room: OwnedSemaphorePermit,
}

impl<F, T, E> Job for Closure<F, T, E>
where
    F: FnMut(&mut dyn Tx) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, tx: &mut dyn Tx) -> bool {
        // A second run that panics must not leave the first one's result behind.
        self.result = None;
        let result = (self.run)(tx);
        let keep = result.is_ok();
        self.result = Some(result);
        keep
    }

    fn finish(self: Box<Self>, committed: Result<(), StoreError>) {
        let answer = match (committed, self.result) {
            // The closure's own error says more than the rollback it caused.
            (_, Some(Err(own))) => Err(own),
            (Ok(()), Some(Ok(value))) => Ok(value),
            (Ok(()), None) => Err(E::from(StoreError::Closed)),
            (Err(error), _) => Err(E::from(error)),
        };
        // A caller that went away does not undo its transaction.
        let _ = self.reply.send(answer);
    }

    fn abandoned(&self) -> bool {
        self.reply.is_closed()
    }
}

/// What an engine does. It takes jobs from its two lines and calls `Job::finish` exactly once for
/// each.
trait Backend: Send + Sync {
    fn writes(&self) -> &group::Line;
    fn reads(&self) -> &group::Line;
    fn snapshot_to(&self, target: &Path) -> Result<(), StoreError>;
    fn check(&self) -> Result<Vec<String>, StoreError>;
}

/// The store. Cheap to clone; the last clone dropped closes it after the waiting work is done.
#[derive(Clone)]
pub struct Store {
    backend: Arc<dyn Backend>,
}

/// A writer's announcement that its write is near, so that a commit may wait a moment for it.
/// Dropping it takes the announcement back.
pub struct Expectation {
    store: Store,
    /// `None` once the write came.
    number: Option<u64>,
}

impl Store {
    /// Opens the store and brings its schema up to date.
    ///
    /// # Errors
    /// `Schema` where the data was written by a newer program or a migration was changed after it
    /// ran; `Engine` where the file or server cannot be used. Nothing is changed then.
    pub fn open(options: Options, components: &[Component]) -> Result<Self, StoreError> {
        let backend: Arc<dyn Backend> = match options.engine.clone() {
            Engine::Sqlite { path } => Arc::new(sqlite::Sqlite::open(&path, &options, components)?),
            Engine::Postgres { url, connections } => Arc::new(postgres::Postgres::open(
                &url,
                connections,
                &options,
                components,
            )?),
        };
        Ok(Self { backend })
    }

    /// Runs `run` in a transaction and returns after it is durable. `Err` rolls back. `run` may be
    /// called again where the engine asks for a retry or another closure of its group failed, so it
    /// must not consume what it captured.
    ///
    /// Waits while thousands of transactions wait already. A future dropped after it was polled
    /// may leave its transaction to be carried out.
    pub async fn write<T, E>(
        &self,
        run: impl FnMut(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        submit(self.backend.writes(), run, || None).await
    }

    /// Runs `run` on one consistent snapshot. Writing in it is an error. Dropping the future gives
    /// up a read that has not begun.
    pub async fn read<T, E>(
        &self,
        run: impl FnMut(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        submit(self.backend.reads(), run, || None).await
    }

    /// Announces that this caller will write within about `gather_max`, by `Expectation::write`.
    /// A commit waits up to that long for announced writers, so that sixteen sessions that finish
    /// together share one flush. Later than that the announcement has no effect.
    pub fn expect_write(&self) -> Expectation {
        Expectation {
            number: Some(self.backend.writes().announce()),
            store: self.clone(),
        }
    }

    /// Writes a consistent and flushed copy of all rows to `target`, which must not exist. Blocks
    /// the calling thread, not the store; PostgreSQL has its own tools and refuses with a text
    /// naming them.
    ///
    /// # Errors
    /// `Engine` where `target` exists or cannot be written; no half copy stays behind.
    pub fn snapshot_to(&self, target: &Path) -> Result<(), StoreError> {
        self.backend.snapshot_to(target)
    }

    /// Reads everything and says what is damaged, one sentence each; empty where all is well.
    /// Blocks the calling thread for as long as reading all rows takes.
    ///
    /// # Errors
    /// `Engine` where the check itself could not run.
    pub fn check(&self) -> Result<Vec<String>, StoreError> {
        self.backend.check()
    }
}

impl Expectation {
    /// `Store::write` by the announced writer.
    pub async fn write<T, E>(
        mut self,
        run: impl FnMut(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let store = self.store.clone();
        // The announcement ends in one step with the job's arrival, not before it.
        submit(store.backend.writes(), run, || self.number.take()).await
    }
}

impl Drop for Expectation {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.store.backend.writes().withdraw(number);
        }
    }
}

/// Puts a closure into a line and waits for its answer.
async fn submit<T, E>(
    line: &group::Line,
    run: impl FnMut(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    announced: impl FnOnce() -> Option<u64>,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    let Some(room) = line.room().await else {
        return Err(E::from(StoreError::Closed));
    };
    let (reply, answered) = oneshot::channel();
    let job = Box::new(Closure {
        run,
        result: None,
        reply,
        _room: room,
    });
    if let Err(job) = line.push(job, announced()) {
        job.finish(Err(StoreError::Closed));
    }
    answered
        .await
        .unwrap_or_else(|_| Err(E::from(StoreError::Panicked)))
}
