//! The embedded engine: one writer thread with group commit, reader threads with connections of
//! their own, a thread that keeps the log short. WAL with `synchronous=FULL`: a commit that
//! returned survives a power cut. A read that stays open keeps the log from shrinking.

mod checkpoint;

use super::group::Line;
use super::migrations::{Applied, Component, Dialect, checksum, plan};
use super::{
    Backend, BeforeCommit, EachRow, Job, LastTaker, Options, Param, Row, StoreError, Tx, answer,
    flush, join_others, refuse_nul, spawn,
};
use checkpoint::Checkpoints;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// The log holds whole pages, and a delivery changes a few bytes in several: half of SQLite's usual
/// size halves what is written for a message. Smaller ones would push long rows into overflow pages.
const PAGE_BYTES: i64 = 2048;
/// Statements kept prepared per connection; more than the program has.
const STATEMENTS_MAX: usize = 512;
/// Page cache of the writer in KiB.
const WRITER_CACHE_KIB: i64 = 16 * 1024;
/// How often a group starts again without the job that made SQLite roll everything back; past it
/// the whole group is refused.
const RESTARTS_MAX: u32 = 3;
/// Page cache of each reader in KiB.
const READER_CACHE_KIB: i64 = 4 * 1024;

const DIALECT: Dialect = Dialect {
    int: "INTEGER",
    text: "TEXT",
    bytes: "BLOB",
    clustered: "WITHOUT ROWID, STRICT",
};

pub(super) struct Sqlite {
    writes: Arc<Line>,
    reads: Arc<Line>,
    path: PathBuf,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Sqlite {
    pub(super) fn open(
        path: &Path,
        options: &Options,
        components: &[Component],
    ) -> Result<Self, StoreError> {
        create(path)?;
        let mut writer = connect(path, WRITER_CACHE_KIB)?;
        migrate(&mut writer, components)?;
        let sqlite = Self {
            writes: Arc::default(),
            reads: Arc::default(),
            path: path.to_owned(),
            threads: Mutex::default(),
        };
        let (mut checkpoints, thread) = Checkpoints::start(path, &mut writer)?;
        sqlite.keep(thread);
        let last = LastTaker(sqlite.writes.clone());
        let gather_max = options.gather_max;
        let before_commit = options.before_commit.clone();
        sqlite.spawn("store-writer", move || {
            while commit_next(&writer, &last.0, gather_max, before_commit.as_ref()) {
                checkpoints.after_group(&writer);
            }
        })?;
        let last = Arc::new(LastTaker(sqlite.reads.clone()));
        for _ in 0..options.readers.clamp(1, 64) {
            let reader = connect(path, READER_CACHE_KIB)?;
            set(&reader, "query_only", true)?;
            let last = last.clone();
            sqlite.spawn("store-reader", move || read_jobs(&reader, &last.0))?;
        }
        Ok(sqlite)
    }

    fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
        self.keep(spawn(name, run)?);
        Ok(())
    }

    fn keep(&self, thread: JoinHandle<()>) {
        let mut threads = self.threads.lock().unwrap_or_else(|e| e.into_inner());
        threads.push(thread);
    }
}

impl Backend for Sqlite {
    fn writes(&self) -> &Line {
        &self.writes
    }

    fn reads(&self) -> &Line {
        &self.reads
    }

    fn snapshot_to(&self, target: &Path) -> Result<(), StoreError> {
        if target.exists() {
            return Err(StoreError::Engine(format!(
                "{} exists; name a file that does not",
                target.display()
            )));
        }
        let copied = copy_to(&self.path, target);
        if copied.is_err() {
            let _ = std::fs::remove_file(target);
        }
        copied
    }

    fn check(&self) -> Result<Vec<String>, StoreError> {
        let db = connect(&self.path, READER_CACHE_KIB)?;
        set(&db, "query_only", true)?;
        let mut found = Vec::new();
        let checked = db.pragma_query(None, "integrity_check", |row| {
            let text: String = row.get(0)?;
            if text != "ok" {
                found.push(text);
            }
            Ok(())
        });
        match checked {
            Ok(()) => Ok(found),
            // A page too damaged to go on from is a finding, not a failure of the check.
            Err(error) if is_damage(&error) => {
                found.push(error.to_string());
                Ok(found)
            }
            Err(error) => Err(engine(error)),
        }
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.writes.close();
        self.reads.close();
        join_others(std::mem::take(
            &mut *self.threads.lock().unwrap_or_else(|e| e.into_inner()),
        ));
    }
}

/// A new database file, readable by nobody else; its `-wal` and `-shm` take over its mode.
fn create(path: &Path) -> Result<(), StoreError> {
    let made = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(_) => sync_directory(path),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::Engine(format!("{}: {error}", path.display()))),
    }
}

fn sync_directory(path: &Path) -> Result<(), StoreError> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| StoreError::Engine(format!("{}: {error}", directory.display())))
}

fn copy_to(source: &Path, target: &Path) -> Result<(), StoreError> {
    let name = target
        .to_str()
        .ok_or_else(|| StoreError::Engine(format!("{} is not UTF-8", target.display())))?;
    create(target)?;
    let source = connect(source, READER_CACHE_KIB)?;
    source.execute("VACUUM INTO ?1", [name]).map_err(engine)?;
    std::fs::File::open(target)
        .and_then(|file| file.sync_all())
        .map_err(|error| StoreError::Engine(format!("{}: {error}", target.display())))
}

fn connect(path: &Path, cache_kib: i64) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(engine)?;
    connection
        .busy_timeout(std::time::Duration::from_secs(10))
        .map_err(engine)?;
    set(&connection, "page_size", PAGE_BYTES)?;
    connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))
        .map_err(engine)?;
    set(&connection, "synchronous", "FULL")?;
    set(&connection, "foreign_keys", true)?;
    // Only the checkpointing thread and the writer do it, and a connection that closes last.
    set(&connection, "wal_autocheckpoint", 0)?;
    set(&connection, "temp_store", "MEMORY")?;
    set(&connection, "cache_size", -cache_kib)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

fn set(db: &Connection, name: &str, value: impl ToSql) -> Result<(), StoreError> {
    db.pragma_update(None, name, value).map_err(engine)
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

/// Commits one group: run each, flush what they refer to, commit once. False when the line is closed
/// and empty.
fn commit_next(
    db: &Connection,
    line: &Line,
    gather_max: Duration,
    before_commit: Option<&BeforeCommit>,
) -> bool {
    let group = line.next_group(gather_max);
    let more = !group.is_empty();
    commit_group(db, group, before_commit);
    more
}

/// What became of one try to commit a group.
enum Attempt {
    /// One outcome for each job.
    Done(Vec<Result<(), StoreError>>),
    /// SQLite itself rolled everything back (disk full, input/output error) while this job ran.
    Undone { culprit: usize, error: StoreError },
}

fn commit_group(db: &Connection, mut group: Vec<Box<dyn Job>>, before: Option<&BeforeCommit>) {
    let mut restarts = 0;
    while !group.is_empty() {
        let outcomes = match attempt(db, &mut group, before) {
            Attempt::Done(outcomes) => outcomes,
            Attempt::Undone { culprit, error } if restarts < RESTARTS_MAX => {
                restarts += 1;
                answer(group.remove(culprit), Err(error));
                continue;
            }
            Attempt::Undone { error, .. } => vec![Err(error); group.len()],
        };
        for (job, outcome) in group.drain(..).zip(outcomes) {
            answer(job, outcome);
        }
    }
}

fn attempt(db: &Connection, group: &mut [Box<dyn Job>], before: Option<&BeforeCommit>) -> Attempt {
    match all_together(db, group, before) {
        Some(attempt) => attempt,
        None => each_apart(db, group, before),
    }
}

/// Runs the group without savepoints, which make SQLite copy each page that a closure changes. `None`
/// where one of several closures failed: nothing is kept of any, and they are to run apart.
fn all_together(
    db: &Connection,
    group: &mut [Box<dyn Job>],
    before: Option<&BeforeCommit>,
) -> Option<Attempt> {
    if let Err(error) = begin(db) {
        return Some(Attempt::Done(vec![Err(error); group.len()]));
    }
    for job in group.iter_mut() {
        let outcome = run_closure(db, job.as_mut());
        let undone = db.is_autocommit();
        if outcome.is_ok() && !undone {
            continue;
        }
        roll_back(db);
        return match group.len() {
            1 if undone => Some(undone_by(0, outcome)),
            1 => Some(Attempt::Done(vec![outcome])),
            _ => None,
        };
    }
    Some(flush_and_commit(db, vec![Ok(()); group.len()], before))
}

/// Runs the group with a savepoint for each closure, so that the failure of one hurts no other.
fn each_apart(
    db: &Connection,
    group: &mut [Box<dyn Job>],
    before: Option<&BeforeCommit>,
) -> Attempt {
    if let Err(error) = begin(db) {
        return Attempt::Done(vec![Err(error); group.len()]);
    }
    let mut kept = Vec::with_capacity(group.len());
    for (index, job) in group.iter_mut().enumerate() {
        let outcome = run_in_savepoint(db, job.as_mut());
        if db.is_autocommit() {
            return undone_by(index, outcome);
        }
        kept.push(outcome);
    }
    flush_and_commit(db, kept, before)
}

fn begin(db: &Connection) -> Result<(), StoreError> {
    // Only after a ROLLBACK that failed; the next BEGIN must not join what it left.
    roll_back(db);
    statement(db, "BEGIN IMMEDIATE")
}

fn roll_back(db: &Connection) {
    if !db.is_autocommit() {
        let _ = statement(db, "ROLLBACK");
    }
}

/// Flushes what the closures refer to and commits what they did.
fn flush_and_commit(
    db: &Connection,
    kept: Vec<Result<(), StoreError>>,
    before: Option<&BeforeCommit>,
) -> Attempt {
    let committed = if kept.iter().any(Result::is_ok) {
        flush(before).and_then(|()| commit(db))
    } else {
        Ok(())
    };
    roll_back(db);
    Attempt::Done(match committed {
        Ok(()) => kept,
        Err(error) => kept
            .into_iter()
            .map(|own| own.and(Err(error.clone())))
            .collect(),
    })
}

fn undone_by(culprit: usize, outcome: Result<(), StoreError>) -> Attempt {
    let swallowed = || StoreError::Engine("SQLite rolled the transaction back".into());
    Attempt::Undone {
        culprit,
        error: outcome.err().unwrap_or_else(swallowed),
    }
}

fn commit(db: &Connection) -> Result<(), StoreError> {
    let committed = db
        .prepare_cached("COMMIT")
        .and_then(|mut s| s.execute([]).map(drop));
    committed.map_err(|error| match error.sqlite_error_code() {
        // The log's last frames may or may not be on the disk, and a restart may find them.
        Some(ErrorCode::SystemIoFailure) => StoreError::Uncertain(error.to_string()),
        _ => engine(error),
    })
}

/// One closure in a savepoint, so that its failure hurts no other in the group.
fn run_in_savepoint(db: &Connection, job: &mut dyn Job) -> Result<(), StoreError> {
    statement(db, "SAVEPOINT closure")?;
    let outcome = run_closure(db, job);
    if outcome.is_ok() {
        return statement(db, "RELEASE closure");
    }
    if !db.is_autocommit()
        && statement(db, "ROLLBACK TO closure")
            .and_then(|()| statement(db, "RELEASE closure"))
            .is_err()
    {
        // What cannot be undone alone is undone with everything else, and the others run again.
        let _ = statement(db, "ROLLBACK");
    }
    outcome
}

/// Runs a closure; `Err` where it refused, panicked, or swallowed the failure of a statement.
fn run_closure(db: &Connection, job: &mut dyn Job) -> Result<(), StoreError> {
    let mut tx = SqliteTx { db, spoiled: None };
    match catch_unwind(AssertUnwindSafe(|| job.run(&mut tx))) {
        Err(_) => Err(StoreError::Panicked),
        Ok(keep) => match tx.spoiled {
            Some(error) => Err(error),
            None if keep => Ok(()),
            // `Job::finish` prefers the closure's own error to this one.
            None => Err(StoreError::Engine("rolled back".into())),
        },
    }
}

fn read_jobs(db: &Connection, line: &Line) {
    while let Some(mut job) = line.take_one() {
        if job.abandoned() {
            continue;
        }
        let outcome = statement(db, "BEGIN").and_then(|()| run_closure(db, job.as_mut()));
        roll_back(db);
        answer(job, outcome);
    }
}

fn statement(db: &Connection, sql: &'static str) -> Result<(), StoreError> {
    db.prepare_cached(sql)
        .and_then(|mut s| s.execute([]).map(drop))
        .map_err(engine)
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

fn engine(error: rusqlite::Error) -> StoreError {
    use rusqlite::ffi;
    match &error {
        rusqlite::Error::SqliteFailure(failure, text) => match failure.extended_code {
            ffi::SQLITE_CONSTRAINT_UNIQUE
            | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            | ffi::SQLITE_CONSTRAINT_ROWID => {
                StoreError::Exists(text.clone().unwrap_or_else(|| error.to_string()))
            }
            _ if failure.code == ErrorCode::DatabaseBusy => StoreError::Contention,
            _ => StoreError::Engine(error.to_string()),
        },
        _ => StoreError::Engine(error.to_string()),
    }
}

struct SqliteTx<'a> {
    db: &'a Connection,
    /// The failure of the first statement that failed; no other runs after it.
    spoiled: Option<StoreError>,
}

impl SqliteTx<'_> {
    fn ready(&self, params: &[Param<'_>]) -> Result<(), StoreError> {
        if let Some(error) = &self.spoiled {
            return Err(error.clone());
        }
        refuse_nul(params)
    }

    fn spoil(&mut self, error: rusqlite::Error) -> StoreError {
        let error = engine(error);
        self.spoiled = Some(error.clone());
        error
    }
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
        self.ready(params)?;
        let executed = self
            .db
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(bound(params)));
        match executed {
            Ok(rows) => Ok(rows as u64),
            Err(error) => Err(self.spoil(error)),
        }
    }

    fn query(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
        each: &mut EachRow<'_>,
    ) -> Result<(), StoreError> {
        self.ready(params)?;
        let db = self.db;
        let mut statement = db.prepare_cached(sql).map_err(|e| self.spoil(e))?;
        let mut rows = statement.query(bound(params)).map_err(|e| self.spoil(e))?;
        // A caller that has enough still gets every row that RETURNING changes: they are computed
        // before the first is given out.
        while let Some(row) = rows.next().map_err(|e| self.spoil(e))? {
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

    // One look at the column instead of two: scans of large mailboxes live on it.
    fn maybe_int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        match self.value(column)? {
            ValueRef::Null => Ok(None),
            ValueRef::Integer(value) => Ok(Some(value)),
            other => Err(wrong(column, "an integer", other)),
        }
    }

    fn maybe_text(&self, column: usize) -> Result<Option<&str>, StoreError> {
        match self.value(column)? {
            ValueRef::Null => Ok(None),
            _ => self.text(column).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};

    /// Inserts rows of these sizes and tells what it was answered.
    struct Insert(i64, Vec<usize>, Sender<(i64, Result<(), StoreError>)>);

    impl Job for Insert {
        fn run(&mut self, tx: &mut dyn Tx) -> bool {
            self.1.iter().enumerate().all(|(index, size)| {
                let row = [
                    Param::Int(self.0 + index as i64),
                    Param::Bytes(&vec![7; *size]),
                ];
                tx.execute("INSERT INTO t VALUES (?1, ?2)", &row).is_ok()
            })
        }
        fn finish(self: Box<Self>, committed: Result<(), StoreError>) {
            self.2.send((self.0, committed)).unwrap();
        }
        fn abandoned(&self) -> bool {
            false
        }
    }

    fn full_disk(dir: &Path) -> Connection {
        let db = connect(&dir.join("t.sqlite"), 1024).unwrap();
        db.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, raw BLOB)")
            .unwrap();
        db.pragma_update_and_check(None, "max_page_count", 50, |_| Ok(()))
            .unwrap();
        db
    }

    /// SQLite answers a full disk by rolling back everything, savepoints and all: what came before
    /// in the group must be done again and what comes after must not commit by its savepoint.
    #[test]
    fn a_job_that_fills_the_disk_hurts_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let db = full_disk(dir.path());
        let (send, answers) = channel();
        let job = |id, sizes: &[usize]| -> Box<dyn Job> {
            Box::new(Insert(id, sizes.to_vec(), send.clone()))
        };
        let flushed = Arc::new(Mutex::new(0));
        let count = flushed.clone();
        let before: BeforeCommit = Arc::new(move || {
            *count.lock().unwrap() += 1;
            Ok(())
        });
        let group = vec![job(10, &[10]), job(20, &[10, 500_000, 10]), job(30, &[10])];
        commit_group(&db, group, Some(&before));
        drop(send);
        let mut answers: Vec<_> = answers.into_iter().collect();
        answers.sort_by_key(|answer| answer.0);
        let outcomes: Vec<_> = answers.iter().map(|a| (a.0, a.1.is_ok())).collect();
        assert_eq!(
            outcomes,
            [(10, true), (20, false), (30, true)],
            "{answers:?}"
        );
        let ids: i64 = db
            .query_row("SELECT sum(id) FROM t", [], |row| row.get(0))
            .unwrap();
        assert_eq!(ids, 40);
        assert_eq!(*flushed.lock().unwrap(), 1);
        assert!(db.is_autocommit());
    }

    #[test]
    fn a_group_on_a_full_disk_is_refused_and_ends() {
        let dir = tempfile::tempdir().unwrap();
        let db = full_disk(dir.path());
        let (send, answers) = channel();
        let group = (0..20)
            .map(|id| -> Box<dyn Job> { Box::new(Insert(id * 10, vec![500_000], send.clone())) })
            .collect();
        commit_group(&db, group, None);
        drop(send);
        assert_eq!(answers.into_iter().filter(|a| a.1.is_err()).count(), 20);
        let rows: i64 = db
            .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 0);
    }
}
