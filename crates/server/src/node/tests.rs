//! Opening a data directory as a crash, or a bad disk after one, leaves it.

use super::{Parts, open_parts};
use crate::settings::{self, Settings};
use formats::address::Address;
use formats::message::Facts;
use platform::clock::{Clock, Timestamp};
use platform::spool::{Spool, SpoolLimits};
use queue::{Accept, DeliverTo, DsnOptions, Notify, Recipient, ReversePath};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const START: Timestamp = Timestamp(1_700_000_000_000);

/// Settings of a node whose data is in `dir`.
fn settings(dir: &Path) -> Settings {
    let text = format!(
        "[node]\nhost_name = \"mx.rp.test\"\ndata_dir = \"{0}\"\n[tls]\ncertificate_dir = \"{0}\"\n",
        dir.display()
    );
    let file = dir.with_extension("toml");
    fs::write(&file, text).unwrap();
    settings::load(&file).unwrap()
}

async fn open(dir: &Path) -> Parts {
    open_parts(&settings(dir), Clock::settable(START))
        .await
        .unwrap()
}

/// Takes over a message that waits for another server.
async fn accept(parts: &Parts) {
    let text = b"Subject: x\r\n\r\nhello\r\n";
    let mut body = Spool::new(SpoolLimits {
        memory_bytes: 1 << 20,
        dir: parts.temporary_dir.clone(),
    });
    body.push(text).unwrap();
    let accept = Accept {
        trace: parts.traces.next(),
        sender: ReversePath::Null,
        recipients: vec![Recipient {
            address: Address::parse("x@else.test").unwrap(),
            deliver_to: DeliverTo::Remote,
            notify: Notify::DEFAULT,
            original: None,
        }],
        submitter: None,
        dsn: DsnOptions::default(),
        facts: Facts::scan(text).to_bytes(),
        body,
        session: queue::trace::Session::default(),
        now: START,
        announced: None,
        dispatch: queue::Dispatch::default(),
    };
    parts.queue.accept(accept).await.unwrap();
}

/// What a crash would leave of the data directory.
fn crashed_copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => crashed_copy(&entry.path(), &target),
            kind if kind.is_file() => drop(fs::copy(entry.path(), target).unwrap()),
            _ => {}
        }
    }
}

fn only_segment(dir: &Path) -> PathBuf {
    let files = fs::read_dir(dir.join("segments")).unwrap().flatten();
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|end| end == "seg");
    files.map(|file| file.path()).find(is_segment).unwrap()
}

#[tokio::test]
async fn damage_to_the_newest_acknowledged_message_is_not_taken_for_a_torn_tail() {
    let dirs = tempfile::tempdir().unwrap();
    let (running, left) = (dirs.path().join("running"), dirs.path().join("left"));
    let parts = open(&running).await;
    accept(&parts).await;
    crashed_copy(&running, &left);
    let segment = only_segment(&left);
    let bytes = fs::metadata(&segment).unwrap().len();
    let file = fs::File::options().write(true).open(&segment).unwrap();
    file.write_all_at(b"rot", bytes - 5).unwrap();
    let _opened = open(&left).await;
    assert!(fs::metadata(&segment).unwrap().len() >= bytes);
}

#[tokio::test]
async fn a_second_node_on_the_same_data_is_refused_before_it_touches_anything() {
    let dirs = tempfile::tempdir().unwrap();
    let dir = dirs.path().join("data");
    let parts = open(&dir).await;
    fs::write(parts.temporary_dir.join("in-use"), "x").unwrap();
    let second = open_parts(&settings(&dir), Clock::settable(START)).await;
    let error = second.err().unwrap().to_string();
    assert!(error.contains("another process"), "{error}");
    assert!(parts.temporary_dir.join("in-use").exists());
}

#[tokio::test]
async fn smtp_and_imap_share_the_memory_for_messages() {
    let dirs = tempfile::tempdir().unwrap();
    let dir = dirs.path().join("data");
    let parts = open(&dir).await;
    let limits = SpoolLimits {
        memory_bytes: 1 << 20,
        dir: parts.temporary_dir.clone(),
    };
    let imap = super::imap_context(&parts).settings.spool_budget.unwrap();
    let smtp = super::smtp_context(&parts).spool_budget.clone();
    let mut spool = Spool::with_budget(limits, imap);
    spool.push(&[b'x'; 100_000]).unwrap();
    assert!(smtp.used() >= 100_000);
}
