//! `rohrpost backup` and `rohrpost restore`.
//!
//! A backup is rows first, then segments: every byte a row of the snapshot refers to was durable
//! before that row was, and segments only grow, so the copy holds all of it. A running node keeps
//! from removing segments meanwhile. Nobody but the owner can read what is written.

use super::stores::open_store;
use crate::control;
use crate::node::{make_data_dir, secret_path, segments_dir};
use crate::settings::{Settings, StoreEngine};
use platform::store::StoreError;
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// `rohrpost backup`.
pub(super) fn backup(settings: &Settings, config: &Path, dir: &Path) -> Result<(), String> {
    if settings.store_engine.0 == StoreEngine::Postgresql {
        return Err(format!(
            "with PostgreSQL a backup is three steps, in this order: dump the rows (pg_dump -Fc), \
             then copy the folder {} and the file {}",
            segments_dir(settings).display(),
            secret_path(&settings.data_dir).display()
        ));
    }
    if dir.exists() {
        return Err(format!(
            "{} is there already; name a new folder",
            dir.display()
        ));
    }
    if !dir
        .parent()
        .is_none_or(|parent| parent.as_os_str().is_empty() || parent.is_dir())
    {
        return Err(format!(
            "the folder above {} does not exist; make it first",
            dir.display()
        ));
    }
    let store = open_store(settings)?;
    let _hold = control::hold(&settings.data_dir).map_err(|e| failed("asking the node", &e))?;
    make_data_dir(dir).map_err(|e| failed(&format!("making {}", dir.display()), &e))?;
    store
        .snapshot_to(&dir.join("rohrpost.sqlite"))
        .map_err(|error| error.to_string())?;
    copy_segments(&segments_dir(settings), &dir.join("segments"))
        .map_err(|e| failed("copying message segments", &e))?;
    copy_file(config, &dir.join("rohrpost.toml"))
        .map_err(|e| failed("copying the settings", &e))?;
    copy_secret(&settings.data_dir, dir)?;
    sync_folder(dir).map_err(|e| failed("making the backup durable", &e))?;
    super::say(format_args!("backup written to {}", dir.display()));
    Ok(())
}

/// `rohrpost restore`. With PostgreSQL the rows are back already (pg_restore).
pub(super) fn restore(settings: &Settings, dir: &Path) -> Result<(), String> {
    let data = &settings.data_dir;
    if control::ask(data, &control::Request::Refresh).is_ok_and(|answer| answer.is_some()) {
        return Err(format!("a node runs on {}; stop it first", data.display()));
    }
    if data.join("rohrpost.sqlite").exists() || segments_dir(settings).exists() {
        return Err(format!(
            "{} holds data already; move it away first",
            data.display()
        ));
    }
    let rows =
        (settings.store_engine.0 == StoreEngine::Sqlite).then(|| dir.join("rohrpost.sqlite"));
    // Looked for before anything is made, or a typing error would block the right call after it.
    for wanted in [Some(dir.join("segments")), rows.clone()]
        .into_iter()
        .flatten()
    {
        if !wanted.exists() {
            return Err(format!(
                "{} is no backup: it has no {}",
                dir.display(),
                wanted.display()
            ));
        }
    }
    make_data_dir(data).map_err(|e| failed("making the data directory", &e))?;
    copy_segments(&dir.join("segments"), &segments_dir(settings))
        .map_err(|e| failed("copying message segments", &e))?;
    if let Some(rows) = rows {
        copy_file(&rows, &data.join("rohrpost.sqlite")).map_err(|e| failed("copying rows", &e))?;
    }
    copy_secret(dir, data)?;
    sync_folder(data).map_err(|e| failed("making the data durable", &e))?;
    let store = open_store(settings)?;
    super::block_on(store.write(mailbox::after_restore))?.map_err(|e: StoreError| e.to_string())?;
    super::say(format_args!(
        "restored to {}; start the node with `rohrpost serve`",
        data.display()
    ));
    Ok(())
}

fn failed(what: &str, error: &io::Error) -> String {
    format!("{what}: {error}")
}

/// Without the secret the DKIM keys in the rows are of no use. Older backups have none, and no keys either.
fn copy_secret(from: &Path, to: &Path) -> Result<(), String> {
    let secret = secret_path(from);
    if !secret.exists() {
        return Ok(());
    }
    copy_file(&secret, &secret_path(to)).map_err(|e| failed("copying the installation secret", &e))
}

fn copy_segments(from: &Path, to: &Path) -> io::Result<()> {
    make_data_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_name() != "lock" {
            copy_file(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    sync_folder(to)
}

/// Copies a file so that only its owner can read the copy, from the first byte on.
fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let mut copy = File::create_new(to)?;
    copy.set_permissions(Permissions::from_mode(0o600))?;
    io::copy(&mut File::open(from)?, &mut copy).map(drop)
}

fn sync_folder(dir: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            File::open(entry.path())?.sync_all()?;
        }
    }
    File::open(dir)?.sync_all()
}
