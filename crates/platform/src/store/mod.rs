//! Rows that survive a power cut: transactions as closures over SQLite or PostgreSQL.
//!
//! A write closure runs inside a savepoint of a shared physical transaction; many waiting closures
//! share one commit and one flush (group commit). `write` returns after that flush, never before.
//! A read closure sees one consistent snapshot and cannot write. Closures do no I/O of their own,
//! because everybody else waits for them. No closure keeps a handle: what it returns is owned data.
//!
//! SQL is one text for both engines: parameters `?1 … ?n`, types by the table in `migrations`.

mod group;
pub mod migrations;
mod sqlite;

pub use migrations::{Component, Migration};

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

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
#[derive(Debug, thiserror::Error)]
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
}

impl dyn Row + '_ {
    /// The integer in `column`, `None` for NULL.
    pub fn maybe_int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        if self.is_null(column)? {
            Ok(None)
        } else {
            self.int(column).map(Some)
        }
    }

    /// The text in `column`, `None` for NULL.
    pub fn maybe_text(&self, column: usize) -> Result<Option<&str>, StoreError> {
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
    /// Runs the closure; false asks for a rollback of its savepoint.
    fn run(&mut self, tx: &mut dyn Tx) -> bool;
    /// Answers the caller: with what the closure returned, or with why it was not committed.
    fn finish(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Closure<F, T, E> {
    run: F,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Job for Closure<F, T, E>
where
    F: FnMut(&mut dyn Tx) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, tx: &mut dyn Tx) -> bool {
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
}

/// What an engine does. `Job::finish` is called exactly once for each job it takes.
trait Backend: Send + Sync {
    fn write(&self, job: Box<dyn Job>);
    fn read(&self, job: Box<dyn Job>);
    fn expectations(&self) -> Arc<group::Expectations>;
    fn snapshot_to(&self, target: &std::path::Path) -> Result<(), StoreError>;
}

/// The store. Cheap to clone; the last clone dropped closes it after the waiting work is done.
#[derive(Clone)]
pub struct Store {
    backend: Arc<dyn Backend>,
}

/// A writer's announcement that a `write` is near, so that a commit may wait a moment for it.
/// Dropping it takes the announcement back.
pub struct Expectation {
    expectations: Arc<group::Expectations>,
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
        };
        Ok(Self { backend })
    }

    /// Runs `run` in a transaction and returns after it is durable. `Err` rolls back. `run` may be
    /// called again where the engine asks for a retry, so it must not consume what it captured.
    pub async fn write<T, E>(
        &self,
        run: impl FnMut(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.backend.write(Box::new(Closure {
            run,
            result: None,
            reply,
        }));
        answer
            .await
            .unwrap_or_else(|_| Err(E::from(StoreError::Panicked)))
    }

    /// Runs `run` on one consistent snapshot. Writing in it is an error.
    pub async fn read<T, E>(
        &self,
        run: impl FnMut(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.backend.read(Box::new(Closure {
            run,
            result: None,
            reply,
        }));
        answer
            .await
            .unwrap_or_else(|_| Err(E::from(StoreError::Panicked)))
    }

    /// Announces that this caller will `write` very soon. Commits wait up to `gather_max` for
    /// announced writers, so that sixteen sessions that finish together share one flush.
    pub fn expect_write(&self) -> Expectation {
        let expectations = self.backend.expectations();
        expectations.announce();
        Expectation { expectations }
    }

    /// Writes a consistent copy of all rows to `target`, which must not exist. Blocks the calling
    /// thread, not the store; PostgreSQL has its own tools and refuses with a text naming them.
    pub fn snapshot_to(&self, target: &std::path::Path) -> Result<(), StoreError> {
        self.backend.snapshot_to(target)
    }
}

impl Drop for Expectation {
    fn drop(&mut self) {
        self.expectations.withdraw();
    }
}
