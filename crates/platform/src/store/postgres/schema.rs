//! Migrations and the check of a PostgreSQL database. Several nodes may start at once: migrations
//! run under an advisory lock, in one transaction, and the later ones find them done.

use super::super::StoreError;
use super::super::migrations::{Applied, Component, Dialect, checksum, plan};
use super::Session;
use std::time::Duration;
use tokio_postgres::{Client, Error};

/// The advisory lock of everybody who changes the schema: "rohrpost" as a number.
const MIGRATION_LOCK: i64 = 0x726f_6872_706f_7374;

const DIALECT: Dialect = Dialect {
    int: "BIGINT",
    text: "TEXT COLLATE \"C\"",
    bytes: "BYTEA",
    clustered: "",
};

pub(super) fn migrate(session: &mut Session, components: &[Component]) -> Result<(), StoreError> {
    let (runtime, link) = session.connect(Duration::ZERO)?;
    let client = link.client();
    runtime.block_on(async {
        must_be_durable_and_utf8(client).await?;
        // READ COMMITTED, so that what another node did before it let go of the lock is seen.
        client
            .batch_execute("SET lock_timeout = 0; BEGIN ISOLATION LEVEL READ COMMITTED")
            .await
            .map_err(engine)?;
        client
            .execute("SELECT pg_advisory_xact_lock($1)", &[&MIGRATION_LOCK])
            .await
            .map_err(engine)?;
        run_due(client, components).await?;
        client.batch_execute("COMMIT").await.map_err(engine)
    })
}

async fn must_be_durable_and_utf8(client: &Client) -> Result<(), StoreError> {
    let row = client
        .query_one(
            "SELECT current_setting('server_encoding'), current_setting('fsync'), \
             current_setting('full_page_writes')",
            &[],
        )
        .await
        .map_err(engine)?;
    let encoding: String = row.get(0);
    if encoding != "UTF8" {
        return Err(StoreError::Schema(format!(
            "the database's encoding is {encoding}; make one with ENCODING 'UTF8' TEMPLATE template0"
        )));
    }
    let (fsync, pages): (String, String) = (row.get(1), row.get(2));
    if fsync != "on" || pages != "on" {
        tracing::warn!(
            fsync,
            full_page_writes = pages,
            "store.postgres_not_durable: a power cut loses mail that was acknowledged; set both to on"
        );
    }
    Ok(())
}

async fn run_due(client: &Client, components: &[Component]) -> Result<(), StoreError> {
    client
        .batch_execute(&DIALECT.translate(
            "CREATE TABLE IF NOT EXISTS schema_migrations (component {text} NOT NULL, \
             number {int} NOT NULL, name {text} NOT NULL, checksum {text} NOT NULL, \
             PRIMARY KEY (component, number))",
        ))
        .await
        .map_err(engine)?;
    let rows = client
        .query(
            "SELECT component, number, checksum FROM schema_migrations",
            &[],
        )
        .await
        .map_err(engine)?;
    let applied: Vec<_> = rows
        .iter()
        .map(|row| Applied {
            component: row.get(0),
            number: u32::try_from(row.get::<_, i64>(1)).unwrap_or(u32::MAX),
            checksum: row.get(2),
        })
        .collect();
    for (component, migration) in plan(components, &applied)? {
        client
            .batch_execute(&DIALECT.translate(migration.sql))
            .await
            .map_err(|error| {
                StoreError::Schema(format!(
                    "migration {component} {} ({}) failed: {}",
                    migration.number,
                    migration.name,
                    text(&error)
                ))
            })?;
        client
            .execute(
                "INSERT INTO schema_migrations (component, number, name, checksum) \
                 VALUES ($1, $2, $3, $4)",
                &[
                    &component,
                    &i64::from(migration.number),
                    &migration.name,
                    &checksum(migration),
                ],
            )
            .await
            .map_err(engine)?;
    }
    Ok(())
}

/// Index structure by `amcheck` where that extension is there and may be used, then every row of
/// every table, so that the server looks at each page's checksum and each value's length.
pub(super) fn check(session: &mut Session) -> Result<Vec<String>, StoreError> {
    let (runtime, link) = session.connect(Duration::ZERO)?;
    let client = link.client();
    runtime.block_on(async {
        let mut found = Vec::new();
        if !names(client, AMCHECK).await?.is_empty() {
            for index in names(client, INDEXES).await? {
                let sql = format!("SELECT bt_index_check('{}'::regclass, true)", quote(&index));
                note(&mut found, &index, client.batch_execute(&sql).await)?;
            }
        }
        for table in names(client, TABLES).await? {
            let sql = format!("SELECT sum(length(t::text)) FROM {table} t");
            note(&mut found, &table, client.batch_execute(&sql).await)?;
        }
        Ok(found)
    })
}

const AMCHECK: &str = "SELECT proname::text FROM pg_proc WHERE proname = 'bt_index_check' \
    AND pronargs = 2 AND has_function_privilege(oid, 'EXECUTE')";
const INDEXES: &str = "SELECT c.oid::regclass::text FROM pg_index i \
    JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam \
    WHERE a.amname = 'btree' AND i.indisvalid AND c.relnamespace = current_schema()::regnamespace";
const TABLES: &str = "SELECT oid::regclass::text FROM pg_class \
    WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace";

async fn names(client: &Client, sql: &str) -> Result<Vec<String>, StoreError> {
    let rows = client.query(sql, &[]).await.map_err(engine)?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

fn quote(name: &str) -> String {
    name.replace('\'', "''")
}

/// What the server says about the data is a finding; anything else failed the check itself.
fn note(found: &mut Vec<String>, what: &str, result: Result<(), Error>) -> Result<(), StoreError> {
    match result {
        Ok(()) => Ok(()),
        Err(error) if error.as_db_error().is_some() => {
            found.push(format!("{what}: {}", text(&error)));
            Ok(())
        }
        Err(error) => Err(engine(error)),
    }
}

fn text(error: &Error) -> String {
    error
        .as_db_error()
        .map_or_else(|| error.to_string(), |db| db.message().to_owned())
}

fn engine(error: Error) -> StoreError {
    StoreError::Engine(text(&error))
}
