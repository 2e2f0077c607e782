//! The embedded engine: one writer thread with group commit, reader threads with connections of
//! their own. WAL with `synchronous=FULL`: a commit that returned survives a power cut.

use super::group::{Expectations, Gatherer};
use super::migrations::{Applied, Component, Dialect, checksum, plan};
use super::{Backend, BeforeCommit, EachRow, Job, Options, Param, Row, StoreError, Tx};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Pages of the write-ahead log that start a checkpoint: 16 MiB, so that its flushes are shared by
/// a thousand messages and a page changed often is written back once.
const CHECKPOINT_PAGES: i64 = 4000;
/// Statements kept prepared per connection; more than the program has.
const STATEMENTS_MAX: usize = 512;
/// Page cache of the writer in KiB.
const WRITER_CACHE_KIB: i64 = 16 * 1024;
/// Page cache of each reader in KiB.
const READER_CACHE_KIB: i64 = 4 * 1024;

const DIALECT: Dialect = Dialect {
    int: "INTEGER",
    text: "TEXT",
    bytes: "BLOB",
    clustered: "WITHOUT ROWID",
};

pub(super) struct Sqlite {
    writes: Arc<Expectations>,
    reads: Arc<Expectations>,
    path: std::path::PathBuf,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Sqlite {
    pub(super) fn open(
        path: &Path,
        options: &Options,
        components: &[Component],
    ) -> Result<Self, StoreError> {
        let mut writer = connect(path, WRITER_CACHE_KIB)?;
        migrate(&mut writer, components)?;
        let writes = Arc::new(Expectations::default());
        let reads = Arc::new(Expectations::default());
        let mut threads = Vec::new();
        let gatherer = Gatherer::new(writes.clone(), options.gather_max);
        let before_commit = options.before_commit.clone();
        threads.push(spawn("store-writer", move || {
            write_groups(&writer, gatherer, before_commit)
        })?);
        for _ in 0..options.readers.clamp(1, 64) {
            let reader = connect(path, READER_CACHE_KIB)?;
            reader
                .pragma_update(None, "query_only", true)
                .map_err(engine)?;
            let line = reads.clone();
            threads.push(spawn("store-reader", move || read_jobs(&reader, &line))?);
        }
        Ok(Self {
            writes,
            reads,
            path: path.to_owned(),
            threads: Mutex::new(threads),
        })
    }
}

impl Backend for Sqlite {
    fn write(&self, job: Box<dyn Job>) {
        if let Err(job) = self.writes.push(job) {
            job.finish(Err(StoreError::Closed));
        }
    }

    fn read(&self, job: Box<dyn Job>) {
        if let Err(job) = self.reads.push(job) {
            job.finish(Err(StoreError::Closed));
        }
    }

    fn expectations(&self) -> Arc<Expectations> {
        self.writes.clone()
    }

    fn snapshot_to(&self, target: &Path) -> Result<(), StoreError> {
        let source = connect(&self.path, READER_CACHE_KIB)?;
        let target = target.to_str().ok_or_else(|| {
            StoreError::Engine(format!("the path {} is not UTF-8", target.display()))
        })?;
        source.execute("VACUUM INTO ?1", [target]).map_err(engine)?;
        Ok(())
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.writes.close();
        self.reads.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(|e| e.into_inner()));
        for thread in threads {
            // The last handle may be dropped by a job's own answer, on one of these threads.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(1 << 20)
        .spawn(run)
        .map_err(|error| StoreError::Engine(format!("starting a thread: {error}")))
}

fn connect(path: &Path, cache_kib: i64) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(engine)?;
    connection
        .busy_timeout(std::time::Duration::from_secs(10))
        .map_err(engine)?;
    connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))
        .map_err(engine)?;
    connection
        .pragma_update(None, "synchronous", "FULL")
        .map_err(engine)?;
    connection
        .pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)
        .map_err(engine)?;
    connection
        .pragma_update(None, "temp_store", "MEMORY")
        .map_err(engine)?;
    connection
        .pragma_update(None, "cache_size", -cache_kib)
        .map_err(engine)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

fn migrate(connection: &mut Connection, components: &[Component]) -> Result<(), StoreError> {
    let tx = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(engine)?;
    tx.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_migrations (component TEXT NOT NULL, \
         number INTEGER NOT NULL, name TEXT NOT NULL, checksum TEXT NOT NULL, \
         PRIMARY KEY (component, number)) WITHOUT ROWID",
    )
    .map_err(engine)?;
    let applied = {
        let mut statement = tx
            .prepare("SELECT component, number, checksum FROM schema_migrations")
            .map_err(engine)?;
        let rows = statement
            .query_map([], |row| {
                Ok(Applied {
                    component: row.get(0)?,
                    number: row.get(1)?,
                    checksum: row.get(2)?,
                })
            })
            .map_err(engine)?;
        rows.collect::<Result<Vec<_>, _>>().map_err(engine)?
    };
    for (component, migration) in plan(components, &applied)? {
        tx.execute_batch(&DIALECT.translate(migration.sql))
            .map_err(|error| {
                StoreError::Schema(format!(
                    "migration {component} {} ({}) failed: {error}",
                    migration.number, migration.name
                ))
            })?;
        tx.execute(
            "INSERT INTO schema_migrations (component, number, name, checksum) VALUES (?,?,?,?)",
            (
                component,
                migration.number,
                migration.name,
                checksum(migration),
            ),
        )
        .map_err(engine)?;
    }
    tx.commit().map_err(engine)
}

/// Runs groups until the line closes: savepoint each, flush what they refer to, commit once.
fn write_groups(db: &Connection, mut gatherer: Gatherer, before_commit: Option<BeforeCommit>) {
    loop {
        let group = gatherer.next_group();
        if group.is_empty() {
            return;
        }
        commit_group(db, group, before_commit.as_ref());
    }
}

fn commit_group(db: &Connection, mut group: Vec<Box<dyn Job>>, before: Option<&BeforeCommit>) {
    if let Err(error) = statement(db, "BEGIN IMMEDIATE") {
        let text = error.to_string();
        for job in group {
            job.finish(Err(StoreError::Engine(text.clone())));
        }
        return;
    }
    let kept: Vec<Result<(), StoreError>> = group
        .iter_mut()
        .map(|job| run_in_savepoint(db, job.as_mut()))
        .collect();
    let committed = if kept.iter().any(Result::is_ok) {
        before
            .map_or(Ok(()), |flush| {
                flush().map_err(|e| StoreError::Flush(e.to_string()))
            })
            .and_then(|()| statement(db, "COMMIT"))
    } else {
        Ok(())
    };
    if committed.is_err() || !db.is_autocommit() {
        // Nothing of a failed commit may stay open: the next BEGIN would join it.
        let _ = statement(db, "ROLLBACK");
    }
    for (job, kept) in group.into_iter().zip(kept) {
        let outcome = match (&committed, kept) {
            (_, Err(own)) => Err(own),
            (Ok(()), Ok(())) => Ok(()),
            (Err(StoreError::Flush(text)), Ok(())) => Err(StoreError::Flush(text.clone())),
            (Err(error), Ok(())) => Err(StoreError::Engine(error.to_string())),
        };
        job.finish(outcome);
    }
}

/// One closure in a savepoint, so that its failure hurts no other in the group.
fn run_in_savepoint(db: &Connection, job: &mut dyn Job) -> Result<(), StoreError> {
    statement(db, "SAVEPOINT closure")?;
    let outcome = catch_unwind(AssertUnwindSafe(|| job.run(&mut SqliteTx { db })));
    if matches!(outcome, Ok(true)) {
        return statement(db, "RELEASE closure");
    }
    statement(db, "ROLLBACK TO closure")?;
    statement(db, "RELEASE closure")?;
    Err(match outcome {
        Err(_) => StoreError::Panicked,
        // `finish` prefers the closure's own error to this one.
        Ok(_) => StoreError::Engine("rolled back".into()),
    })
}

fn read_jobs(db: &Connection, line: &Expectations) {
    while let Some(mut job) = line.take_one() {
        let begun = statement(db, "BEGIN");
        let outcome = match begun {
            Err(error) => Err(error),
            Ok(()) => match catch_unwind(AssertUnwindSafe(|| job.run(&mut SqliteTx { db }))) {
                Ok(_) => Ok(()),
                Err(_) => Err(StoreError::Panicked),
            },
        };
        if !db.is_autocommit() {
            let _ = statement(db, "ROLLBACK");
        }
        job.finish(outcome);
    }
}

fn statement(db: &Connection, sql: &'static str) -> Result<(), StoreError> {
    db.prepare_cached(sql)
        .and_then(|mut s| s.execute([]).map(drop))
        .map_err(engine)
}

fn engine(error: rusqlite::Error) -> StoreError {
    match &error {
        rusqlite::Error::SqliteFailure(failure, text)
            if failure.code == ErrorCode::ConstraintViolation =>
        {
            StoreError::Exists(text.clone().unwrap_or_else(|| error.to_string()))
        }
        _ => StoreError::Engine(error.to_string()),
    }
}

struct SqliteTx<'a> {
    db: &'a Connection,
}

struct Bound<'a>(Param<'a>);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Param::Null => ValueRef::Null,
            Param::Int(value) => ValueRef::Integer(value),
            Param::Text(value) => ValueRef::Text(value.as_bytes()),
            Param::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

fn bound<'a>(params: &'a [Param<'a>]) -> impl rusqlite::Params + 'a {
    rusqlite::params_from_iter(params.iter().map(|param| Bound(*param)))
}

impl Tx for SqliteTx<'_> {
    fn execute(&mut self, sql: &'static str, params: &[Param<'_>]) -> Result<u64, StoreError> {
        let mut statement = self.db.prepare_cached(sql).map_err(engine)?;
        statement
            .execute(bound(params))
            .map(|rows| rows as u64)
            .map_err(engine)
    }

    fn query(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
        each: &mut EachRow<'_>,
    ) -> Result<(), StoreError> {
        let mut statement = self.db.prepare_cached(sql).map_err(engine)?;
        let mut rows = statement.query(bound(params)).map_err(engine)?;
        while let Some(row) = rows.next().map_err(engine)? {
            if each(&SqliteRow { row })?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

struct SqliteRow<'a> {
    row: &'a rusqlite::Row<'a>,
}

impl SqliteRow<'_> {
    fn value(&self, column: usize) -> Result<ValueRef<'_>, StoreError> {
        self.row.get_ref(column).map_err(engine)
    }
}

fn wrong(column: usize, wanted: &'static str, found: ValueRef<'_>) -> StoreError {
    StoreError::Type {
        column,
        wanted,
        found: found.data_type().to_string(),
    }
}

impl Row for SqliteRow<'_> {
    fn int(&self, column: usize) -> Result<i64, StoreError> {
        match self.value(column)? {
            ValueRef::Integer(value) => Ok(value),
            other => Err(wrong(column, "an integer", other)),
        }
    }

    fn text(&self, column: usize) -> Result<&str, StoreError> {
        match self.value(column)? {
            ValueRef::Text(bytes) => std::str::from_utf8(bytes)
                .map_err(|_| wrong(column, "UTF-8 text", ValueRef::Text(bytes))),
            other => Err(wrong(column, "text", other)),
        }
    }

    fn bytes(&self, column: usize) -> Result<&[u8], StoreError> {
        match self.value(column)? {
            ValueRef::Blob(bytes) => Ok(bytes),
            other => Err(wrong(column, "bytes", other)),
        }
    }

    fn is_null(&self, column: usize) -> Result<bool, StoreError> {
        Ok(matches!(self.value(column)?, ValueRef::Null))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params;
    use crate::store::{Engine, Migration, Store};

    const NOTES: Component = Component {
        name: "notes",
        migrations: &[Migration {
            number: 1,
            name: "notes",
            sql: "CREATE TABLE notes (id {int} PRIMARY KEY, body {text} NOT NULL)",
        }],
    };

    fn open(dir: &Path) -> Store {
        let options = Options {
            engine: Engine::Sqlite {
                path: dir.join("t.sqlite"),
            },
            readers: 2,
            gather_max: std::time::Duration::from_millis(1),
            before_commit: None,
        };
        Store::open(options, &[NOTES]).unwrap()
    }

    async fn add(store: &Store, id: i64) -> Result<(), StoreError> {
        store
            .write(move |tx| {
                tx.execute(
                    "INSERT INTO notes (id, body) VALUES (?1, ?2)",
                    params![id, "x"],
                )
                .map(drop)
            })
            .await
    }

    async fn count(store: &Store) -> i64 {
        store
            .read(|tx| tx.one("SELECT count(*) FROM notes", &[], |row| row.int(0)))
            .await
            .unwrap()
            .unwrap()
    }

    #[tokio::test]
    async fn one_failing_closure_hurts_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let (a, b, c) = tokio::join!(add(&store, 1), add(&store, 1), add(&store, 2));
        assert!(a.is_ok() && c.is_ok());
        assert!(matches!(b, Err(StoreError::Exists(_))), "{b:?}");
        assert_eq!(count(&store).await, 2);
    }

    #[tokio::test]
    async fn a_panicking_closure_is_rolled_back_and_the_store_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let panicked: Result<(), StoreError> = store
            .write(|tx| {
                tx.execute("INSERT INTO notes (id, body) VALUES (9, 'x')", &[])?;
                panic!("a fault in a closure")
            })
            .await;
        assert!(matches!(panicked, Err(StoreError::Panicked)));
        add(&store, 1).await.unwrap();
        assert_eq!(count(&store).await, 1);
    }

    #[tokio::test]
    async fn reading_cannot_write() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let refused = store
            .read(|tx| tx.execute("INSERT INTO notes (id, body) VALUES (1, 'x')", &[]))
            .await;
        assert!(refused.is_err());
        assert_eq!(count(&store).await, 0);
    }
}
