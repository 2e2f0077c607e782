//! `verify`, `backup` and `restore`: the three commands an operator needs on a bad day.
//!
//! A backup is rows first, then segments: every byte a row of the snapshot refers to was durable
//! before that row was, and segments only grow, so the copy holds all of it. A running node keeps
//! from removing segments meanwhile.

use crate::control;
use crate::node::{COMPONENTS, engine, segments_dir};
use crate::settings::{Settings, StoreEngine};
use mailbox::Mailboxes;
use platform::clock::Clock;
use platform::files::{Files, RealFiles};
use platform::random::Random;
use platform::segments::{BodyRef, SegmentOptions, Segments};
use platform::signals::Signals;
use platform::store::{Engine, Options, Store, StoreError};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Opens the rows of a data directory, beside a node that may be running.
pub(super) fn open_store(settings: &Settings) -> Result<Store, String> {
    if settings.store_engine.0 == StoreEngine::Sqlite
        && !settings.data_dir.join("rohrpost.sqlite").exists()
    {
        return Err(format!(
            "there is no data in {}; start a node with `rohrpost serve` first",
            settings.data_dir.display()
        ));
    }
    open_engine(engine(settings))
}

/// Opens the rows of a data directory, or makes them where a new installation is being set up.
pub(super) fn open_or_create_store(settings: &Settings) -> Result<Store, String> {
    crate::node::make_data_dir(&settings.data_dir).map_err(|error| {
        format!(
            "the data directory {}: {error}",
            settings.data_dir.display()
        )
    })?;
    open_engine(engine(settings))
}

fn open_engine(engine: Engine) -> Result<Store, String> {
    let options = Options {
        engine,
        readers: 1,
        gather_max: Duration::ZERO,
        before_commit: None,
    };
    Store::open(options, COMPONENTS).map_err(|error| error.to_string())
}

fn open_segments(dir: &Path) -> Result<Segments, String> {
    let files: Arc<dyn Files> = Arc::new(RealFiles);
    let options = SegmentOptions::new(Clock::system(), Random::from_os());
    Segments::open_to_read(dir, options, files)
        .map(|(segments, _)| segments)
        .map_err(|error| format!("the message segments in {}: {error}", dir.display()))
}

/// `rohrpost verify`.
pub(super) fn verify(settings: &Settings) -> Result<(), String> {
    let store = open_store(settings)?;
    let faults = super::block_on(check(store, &segments_dir(settings)))??;
    if faults.is_empty() {
        println!("All is well.");
        return Ok(());
    }
    for fault in &faults {
        println!("{fault}");
    }
    Err(format!("{} faults were found", faults.len()))
}

/// Everything that is wrong, in words.
async fn check(store: Store, segments_dir: &Path) -> Result<Vec<String>, String> {
    let words = |error: StoreError| error.to_string();
    let mut faults = store.check().map_err(words)?;
    // Rows are read before segments are opened: what a running node adds meanwhile is in both.
    let waiting = waiting_bodies(&store).await?;
    let rows_only = open_segments(segments_dir)?;
    let messages = message_bodies(&mailboxes(&store, rows_only)).await?;
    let segments = open_segments(segments_dir)?;
    let mut intact = HashSet::new();
    let report = segments.verify(|_, body| intact.extend(body));
    faults.extend(report.findings);
    if report.more_findings > 0 {
        faults.push(format!(
            "and {} more damaged places in segments",
            report.more_findings
        ));
    }
    for (owner, body) in messages.iter().chain(&waiting) {
        if !intact.contains(body) {
            faults.push(format!(
                "{owner} refers to segment {} at {}, where no intact message of {} bytes is",
                body.segment, body.offset, body.body_bytes
            ));
        }
    }
    faults.extend(recount(&mailboxes(&store, segments)).await?);
    let referred: HashSet<_> = messages
        .iter()
        .chain(&waiting)
        .map(|(_, body)| *body)
        .collect();
    let dead = intact.difference(&referred).count();
    println!(
        "{} rows, {} messages in {} segments, {} bytes; {dead} messages are referred to by no row \
         (removed ones whose space was not taken back yet)",
        messages.len() + waiting.len(),
        report.messages,
        report.segments,
        report.body_bytes,
    );
    Ok(faults)
}

type Owned = Vec<(String, BodyRef)>;

fn mailboxes(store: &Store, segments: Segments) -> Mailboxes {
    Mailboxes::new(store.clone(), segments, Signals::default(), Clock::system())
}

async fn message_bodies(mailboxes: &Mailboxes) -> Result<Owned, String> {
    let mut bodies = Vec::new();
    let mut after = None;
    loop {
        let page = mailboxes
            .references(after)
            .await
            .map_err(|error| error.to_string())?;
        let Some(last) = page.last().copied() else {
            return Ok(bodies);
        };
        bodies.extend(page.into_iter().map(|r| {
            let owner = format!(
                "message {} in mailbox {} of account {}",
                r.uid, r.mailbox.0, r.account.0
            );
            (owner, r.body)
        }));
        after = Some(last);
    }
}

async fn waiting_bodies(store: &Store) -> Result<Owned, String> {
    let mut bodies = Vec::new();
    let mut after = 0;
    loop {
        let page = store
            .read(move |tx| queue::verify::references(tx, after))
            .await
            .map_err(|error: StoreError| error.to_string())?;
        let Some(last) = page.last() else {
            return Ok(bodies);
        };
        after = last.message;
        let owner = |message| format!("waiting message {}", queue::TraceId(message));
        bodies.extend(page.iter().map(|r| (owner(r.message), r.body)));
    }
}

async fn recount(mailboxes: &Mailboxes) -> Result<Vec<String>, String> {
    let mut faults = mailboxes.orphans().await.map_err(|e| e.to_string())?;
    let mut after = None;
    loop {
        let step = mailboxes.recount(after).await.map_err(|e| e.to_string())?;
        faults.extend(step.faults);
        match step.next {
            Some(next) => after = Some(next),
            None => return Ok(faults),
        }
    }
}

/// `rohrpost backup`.
pub(super) fn backup(settings: &Settings, config: &Path, dir: &Path) -> Result<(), String> {
    let io = |what: &str, error: std::io::Error| format!("{what}: {error}");
    let store = open_store(settings)?;
    std::fs::create_dir(dir).map_err(|e| io(&format!("making {}", dir.display()), e))?;
    let _hold = control::hold(&settings.data_dir).map_err(|e| io("asking the node", e))?;
    store
        .snapshot_to(&dir.join("rohrpost.sqlite"))
        .map_err(|error| error.to_string())?;
    copy_segments(&segments_dir(settings), &dir.join("segments"))
        .map_err(|e| io("copying message segments", e))?;
    std::fs::copy(config, dir.join("rohrpost.toml")).map_err(|e| io("copying the settings", e))?;
    sync_folder(dir).map_err(|e| io("making the backup durable", e))?;
    println!("backup written to {}", dir.display());
    Ok(())
}

/// `rohrpost restore`.
pub(super) fn restore(settings: &Settings, dir: &Path) -> Result<(), String> {
    let io = |what: &str, error: std::io::Error| format!("{what}: {error}");
    let data = &settings.data_dir;
    if settings.store_engine.0 != StoreEngine::Sqlite {
        return Err(
            "restore PostgreSQL with its own tools (pg_restore), then copy the folder \
                    `segments` of the backup into the data directory"
                .to_owned(),
        );
    }
    if control::ask(data, &control::Request::Refresh).is_ok_and(|answer| answer.is_some()) {
        return Err(format!("a node runs on {}; stop it first", data.display()));
    }
    let occupied = data.join("rohrpost.sqlite").exists() || segments_dir(settings).exists();
    if occupied {
        return Err(format!(
            "{} holds data already; move it away first",
            data.display()
        ));
    }
    std::fs::create_dir_all(data).map_err(|e| io("making the data directory", e))?;
    copy_segments(&dir.join("segments"), &segments_dir(settings))
        .map_err(|e| io("copying message segments", e))?;
    let rows = data.join("rohrpost.sqlite");
    std::fs::copy(dir.join("rohrpost.sqlite"), &rows).map_err(|e| io("copying rows", e))?;
    sync_folder(data).map_err(|e| io("making the data durable", e))?;
    let store = open_store(settings)?;
    super::block_on(store.write(mailbox::after_restore))?.map_err(|e: StoreError| e.to_string())?;
    println!(
        "restored to {}; start the node with `rohrpost serve`",
        data.display()
    );
    Ok(())
}

fn copy_segments(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir(to)?;
    let mut files: Vec<PathBuf> = std::fs::read_dir(from)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|path| path.file_name().is_some_and(|name| name != "lock"));
    for file in files {
        let Some(name) = file.file_name() else {
            continue;
        };
        std::fs::copy(&file, to.join(name))?;
    }
    sync_folder(to)
}

fn sync_folder(dir: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            std::fs::File::open(entry.path())?.sync_all()?;
        }
    }
    std::fs::File::open(dir)?.sync_all()
}
