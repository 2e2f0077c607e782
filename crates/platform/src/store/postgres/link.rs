//! One connection to PostgreSQL and one physical transaction on it. The text that begins, parts and
//! goes on with a transaction travels together with the next statement, so that a closure costs one
//! round trip per statement and none of its own. Called by the engine's threads only.

use super::super::{EachRow, Job, Param, StoreError, Tx, refuse_nul};
use super::values::{Bound, PgRow, dollars};
use futures_util::StreamExt;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls, Statement};

/// How long one try to connect may take where the settings do not say.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long unanswered bytes may stay on their way before the connection counts as lost.
const UNANSWERED_MAX: Duration = Duration::from_secs(30);
/// A writer that waits longer for another's row counts as a lost conflict: shorter than the
/// server's own deadlock check, which runs after a second.
const LOCK_WAIT: &str = "SET lock_timeout = '500ms'";
/// `off` would acknowledge what a power cut takes back, `local` what a failover does.
const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', false) \
    WHERE current_setting('synchronous_commit') IN ('off', 'local')";

const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const BEGIN_ALONE: &str = "BEGIN ISOLATION LEVEL SERIALIZABLE";
const BEGIN_GROUP: &str = "BEGIN ISOLATION LEVEL SERIALIZABLE; SAVEPOINT closure";
const NEXT: &str = "RELEASE SAVEPOINT closure; SAVEPOINT closure";
const BACK: &str = "ROLLBACK TO SAVEPOINT closure";
const BACK_AND_COMMIT: &str = "ROLLBACK TO SAVEPOINT closure; COMMIT";

/// Why a physical transaction has to start again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It lost against another one.
    Conflict,
    /// The connection is gone; COMMIT had not been sent.
    Lost,
}

/// The settings in `url` with the limits they leave open.
pub(super) fn configure(url: &str) -> Result<Config, StoreError> {
    let mut config = Config::from_str(url).map_err(|error| {
        StoreError::Engine(format!(
            "the address of the PostgreSQL server cannot be read ({}); it looks like \
             postgres://rohrpost:password@db.example.com/rohrpost",
            reason(&error)
        ))
    })?;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_MAX);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(UNANSWERED_MAX);
    }
    if config.get_application_name().is_none() {
        config.application_name("rohrpost");
    }
    Ok(config)
}

/// The error with what caused it; the library's own text names only the step that failed.
fn reason(error: &tokio_postgres::Error) -> String {
    use std::error::Error;
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// A connection and the statements prepared on it.
pub(super) struct Link {
    client: Client,
    /// By address and length of the text, which is static.
    statements: HashMap<(usize, usize), Statement>,
    /// A BEGIN was sent and nothing that ends it.
    open: bool,
    lost: bool,
}

impl Link {
    pub(super) fn make(runtime: &Runtime, config: &Config) -> Result<Self, StoreError> {
        let connected = runtime.block_on(async {
            let (client, connection) = config.connect(NoTls).await?;
            tokio::spawn(connection);
            client.batch_execute(LOCK_WAIT).await?;
            client.batch_execute(DURABLE).await?;
            Ok(client)
        });
        let client = connected.map_err(|error: tokio_postgres::Error| {
            StoreError::Engine(format!("PostgreSQL cannot be used: {}", reason(&error)))
        })?;
        Ok(Self {
            client,
            statements: HashMap::new(),
            open: false,
            lost: false,
        })
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost || self.client.is_closed()
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// What an error means for the transaction; `None` where it concerns the statement only.
    fn trouble(&mut self, error: &tokio_postgres::Error) -> Option<Trouble> {
        use std::error::Error;
        let Some(code) = error.code() else {
            let unreachable = error
                .source()
                .is_some_and(|source| source.is::<std::io::Error>());
            self.lost |= error.is_closed() || self.client.is_closed() || unreachable;
            return self.lost.then_some(Trouble::Lost);
        };
        if is_conflict(code) {
            return Some(Trouble::Conflict);
        }
        // Statements whose plans another node's migration made invalid are prepared anew.
        let stale =
            *code == SqlState::FEATURE_NOT_SUPPORTED && error.to_string().contains("cached plan");
        if is_shutdown(code) || stale {
            self.lost = true;
            return Some(Trouble::Lost);
        }
        None
    }
}

fn is_conflict(code: &SqlState) -> bool {
    [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::LOCK_NOT_AVAILABLE,
    ]
    .contains(code)
}

/// Class 08 (connection), 57P (shutdown): the server ended the connection. A server that became a
/// standby refuses BEGIN, which counts as lost too: the next connection looks for the primary.
fn is_shutdown(code: &SqlState) -> bool {
    code.code().starts_with("08") || code.code().starts_with("57P")
}

/// The failure of one statement in the store's words.
fn statement_error(error: &tokio_postgres::Error) -> StoreError {
    match error.as_db_error() {
        Some(db) if *db.code() == SqlState::UNIQUE_VIOLATION => {
            StoreError::Exists(db.constraint().unwrap_or(db.message()).to_owned())
        }
        Some(db) => StoreError::Engine(format!("{} ({})", db.message(), db.code().code())),
        None => StoreError::Engine(reason(error)),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Alone,
    Group,
}

/// One physical transaction, and the closure that is running in it.
pub(super) struct Work<'a> {
    runtime: &'a Runtime,
    link: &'a mut Link,
    kind: Kind,
    /// What has to be sent before the next statement.
    prefix: Option<&'static str>,
    spoiled: Option<StoreError>,
    trouble: Option<Trouble>,
}

impl<'a> Work<'a> {
    pub(super) fn write(runtime: &'a Runtime, link: &'a mut Link, jobs: usize) -> Self {
        let kind = if jobs == 1 { Kind::Alone } else { Kind::Group };
        Self::new(runtime, link, kind)
    }

    pub(super) fn read(runtime: &'a Runtime, link: &'a mut Link) -> Self {
        Self::new(runtime, link, Kind::Read)
    }

    fn new(runtime: &'a Runtime, link: &'a mut Link, kind: Kind) -> Self {
        let prefix = Some(match kind {
            Kind::Read => BEGIN_READ,
            Kind::Alone => BEGIN_ALONE,
            Kind::Group => BEGIN_GROUP,
        });
        Self {
            runtime,
            link,
            kind,
            prefix,
            spoiled: None,
            trouble: None,
        }
    }

    /// Runs a closure: inside `Ok`, whether it is to be kept; `Err` where all has to start again.
    pub(super) fn run(&mut self, job: &mut dyn Job) -> Result<Result<(), StoreError>, Trouble> {
        self.spoiled = None;
        let ran = catch_unwind(AssertUnwindSafe(|| job.run(self)));
        if let Some(trouble) = self.trouble.take() {
            return Err(trouble);
        }
        let outcome = match (ran, self.spoiled.take()) {
            (Err(_), _) => Err(StoreError::Panicked),
            (Ok(_), Some(error)) => Err(error),
            (Ok(true), None) => Ok(()),
            // `finish` prefers the closure's own error to this one.
            (Ok(false), None) => Err(StoreError::Engine("rolled back".into())),
        };
        if self.kind == Kind::Group && self.prefix.is_none() {
            self.prefix = Some(if outcome.is_ok() { NEXT } else { BACK });
        }
        Ok(outcome)
    }

    /// Commits. `Err(None)`: it lost against another and may run again. `Err(Some)`: it is not
    /// committed, or with `Uncertain` it may be.
    pub(super) fn commit(&mut self) -> Result<(), Option<StoreError>> {
        if !self.link.open {
            return Ok(());
        }
        let text = if self.prefix == Some(BACK) {
            BACK_AND_COMMIT
        } else {
            "COMMIT"
        };
        self.link.open = false;
        let committed = self.runtime.block_on(self.link.client.batch_execute(text));
        let Err(error) = committed else {
            return Ok(());
        };
        match error.code() {
            Some(code) if is_conflict(code) => Err(None),
            // Class 23: a rule that is checked at the commit; the server rolled back.
            Some(code) if code.code().starts_with("23") => Err(Some(statement_error(&error))),
            _ => {
                self.link.lost = true;
                Err(Some(StoreError::Uncertain(reason(&error))))
            }
        }
    }

    /// Ends the transaction without a trace, if it began.
    pub(super) fn roll_back(&mut self) {
        if !self.link.open || self.link.is_lost() {
            return;
        }
        self.link.open = false;
        let ended = self
            .runtime
            .block_on(self.link.client.batch_execute("ROLLBACK"));
        // The next transaction must not join what this one left.
        self.link.lost |= ended.is_err();
    }

    /// Lets go of a read's snapshot.
    pub(super) fn end_read(&mut self) {
        self.roll_back();
    }

    /// Notes a failure and gives the closure its text.
    fn fail(&mut self, error: &tokio_postgres::Error) -> StoreError {
        self.trouble = self.trouble.or_else(|| self.link.trouble(error));
        let error = match self.trouble {
            Some(Trouble::Conflict) => StoreError::Contention,
            _ => statement_error(error),
        };
        self.spoiled = Some(error.clone());
        error
    }

    /// A failure of what parts the closures concerns all of them.
    fn fail_prefix(&mut self, error: &tokio_postgres::Error) -> StoreError {
        let failed = self.fail(error);
        if self.trouble.is_none() {
            self.link.lost = true;
            self.trouble = Some(Trouble::Lost);
        }
        failed
    }

    fn ready(&self, params: &[Param<'_>]) -> Result<(), StoreError> {
        if let Some(error) = &self.spoiled {
            return Err(error.clone());
        }
        refuse_nul(params)
    }

    /// The statement, prepared, and what still has to be sent before it.
    fn prepare(
        &mut self,
        sql: &'static str,
    ) -> Result<(Statement, Option<&'static str>), StoreError> {
        let key = (sql.as_ptr() as usize, sql.len());
        let prefix = self.prefix.take();
        if let Some(statement) = self.link.statements.get(&key) {
            self.link.open = true;
            return Ok((statement.clone(), prefix));
        }
        if let Some(prefix) = prefix {
            self.link.open = true;
            self.runtime
                .block_on(self.link.client.batch_execute(prefix))
                .map_err(|error| self.fail_prefix(&error))?;
        }
        let statement = self
            .runtime
            .block_on(self.link.client.prepare(&dollars(sql)))
            .map_err(|error| self.fail(&error))?;
        self.link.statements.insert(key, statement.clone());
        Ok((statement, None))
    }
}

impl Tx for Work<'_> {
    fn execute(&mut self, sql: &'static str, params: &[Param<'_>]) -> Result<u64, StoreError> {
        self.ready(params)?;
        let (statement, prefix) = self.prepare(sql)?;
        let client = &self.link.client;
        let (begun, executed) = self.runtime.block_on(async {
            let execute = client.execute_raw(&statement, params.iter().map(|p| Bound(*p)));
            match prefix {
                Some(prefix) => tokio::join!(biased; client.batch_execute(prefix), execute),
                None => (Ok(()), execute.await),
            }
        });
        begun.map_err(|error| self.fail_prefix(&error))?;
        executed.map_err(|error| self.fail(&error))
    }

    fn query(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
        each: &mut EachRow<'_>,
    ) -> Result<(), StoreError> {
        self.ready(params)?;
        let (statement, prefix) = self.prepare(sql)?;
        let client = &self.link.client;
        let mut refused = Ok(());
        let (begun, queried) = self.runtime.block_on(async {
            let query = client.query_raw(&statement, params.iter().map(|p| Bound(*p)));
            let (begun, rows) = match prefix {
                Some(prefix) => tokio::join!(biased; client.batch_execute(prefix), query),
                None => (Ok(()), query.await),
            };
            let mut rows = match rows {
                Ok(rows) => std::pin::pin!(rows),
                Err(error) => return (begun, Err(error)),
            };
            let mut wanted = true;
            // To the end even where the caller has enough: an error after the last wanted row
            // turns the later COMMIT into a silent rollback, so it must be seen here.
            while let Some(row) = rows.next().await {
                let row = match row {
                    Ok(row) => row,
                    Err(error) => return (begun, Err(error)),
                };
                if wanted {
                    let ruling = each(&PgRow { row: &row });
                    wanted = matches!(ruling, Ok(flow) if flow.is_continue());
                    refused = ruling.map(drop);
                }
            }
            (begun, Ok(()))
        });
        begun.map_err(|error| self.fail_prefix(&error))?;
        queried.map_err(|error| self.fail(&error))?;
        refused
    }
}
