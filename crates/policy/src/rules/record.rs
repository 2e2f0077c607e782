//! Recorded facts: what rules could have asked about in the last days, for `rules replay`. One compressed file per day
//! and node; written by a task of its own, so that no session waits; bounded in size and days. Holds addresses of
//! clients and mailboxes, hence at most seven days; of header fields only those rules ask about, and of their
//! values only keyed hashes. No content.

use super::case::Case;
use super::facts::Facts;
use super::rule::Point;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use platform::clock::{Clock, Timestamp};
use platform::random::Random;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// The directory of these files, in the node's data directory.
pub const DIRECTORY: &str = "facts";
/// Days that are kept, today included.
pub const DAYS_KEPT: i64 = 7;
/// Largest file, compressed, in bytes; what comes after is not recorded.
const DAY_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Recipients of one message that are kept.
const RECIPIENTS_MAX: usize = 100;
/// Facts that wait to be written; while there are so many, new ones are dropped.
const WAITING_MAX: usize = 8_192;
/// Longest line that is read back, in bytes.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// How often what waits is written.
const WRITE_EVERY: Duration = Duration::from_secs(2);
const DAY_MS: i64 = 24 * 3600 * 1000;

/// One recorded asking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// The last point that was reached.
    pub point: Point,
    /// What the hashes in it were made with.
    #[serde(default)]
    pub salt: u64,
    /// What was known.
    pub case: Case,
}

/// Where sessions put what they know. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    sender: mpsc::Sender<Recorded>,
    salt: Arc<AtomicU64>,
    dropped: Arc<AtomicU64>,
}

impl Recorder {
    /// Records facts. Costs no file access; drops them where too much waits.
    pub fn record(&self, point: Point, facts: &Facts<'_>, now: Timestamp) {
        // A place first: under load nothing is copied in vain.
        let Ok(place) = self.sender.try_reserve() else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let salt = self.salt.load(Ordering::Relaxed);
        let recipients = facts.recipients;
        let facts = &Facts {
            recipients: recipients.map(|all| all.get(..RECIPIENTS_MAX).unwrap_or(all)),
            ..*facts
        };
        place.send(Recorded {
            at: now.0,
            point,
            salt,
            case: Case::of(facts, salt),
        });
    }
}

/// Writes what a recorder is told; runs until its future is dropped.
pub struct Writer {
    dir: PathBuf,
    clock: Clock,
    random: Random,
    waiting: mpsc::Receiver<Recorded>,
    salt: Arc<AtomicU64>,
    dropped: Arc<AtomicU64>,
    /// The day of the last turn.
    day: Option<i64>,
    /// Names this start of the node.
    run: u64,
}

/// A recorder and the writer for it, which keeps its files in `dir`.
pub fn recorder(dir: PathBuf, clock: Clock, random: Random) -> (Recorder, Writer) {
    let (sender, waiting) = mpsc::channel(WAITING_MAX);
    let salt = Arc::new(AtomicU64::new(random.next_u64()));
    let dropped = Arc::new(AtomicU64::new(0));
    let recorder = Recorder {
        sender,
        salt: salt.clone(),
        dropped: dropped.clone(),
    };
    let writer = Writer {
        run: random.next_u64(),
        dir,
        clock,
        random,
        waiting,
        salt,
        dropped,
        day: None,
    };
    (recorder, writer)
}

impl Writer {
    /// Writes every two seconds, and removes files that are too old.
    pub async fn run(mut self) {
        loop {
            tokio::time::sleep(WRITE_EVERY).await;
            self.turn().await;
        }
    }

    /// Writes what waits; at the beginning of a day removes what is too old.
    pub(super) async fn turn(&mut self) {
        let today = self.clock.now().0.div_euclid(DAY_MS);
        if self.day != Some(today) {
            self.day = Some(today);
            // The hashes of one day tell nothing about those of another.
            self.salt.store(self.random.next_u64(), Ordering::Relaxed);
            let dir = self.dir.clone();
            let removed = tokio::task::spawn_blocking(move || tidy(&dir, today)).await;
            if let Ok(Err(error)) = removed {
                tracing::warn!(%error, "rules.facts_not_removed");
            }
        }
        let mut batch = Vec::new();
        while let Ok(one) = self.waiting.try_recv() {
            batch.push(one);
        }
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!(dropped, "rules.facts_dropped");
        }
        if batch.is_empty() {
            return;
        }
        let (dir, path) = (self.dir.clone(), file_of(&self.dir, today, self.run));
        let written = tokio::task::spawn_blocking(move || append(&dir, &path, &batch)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(%error, "rules.facts_not_written");
        }
    }
}

/// Each start of the node has files of its own: behind a piece that a crash cut off nothing could be read.
fn file_of(dir: &Path, day: i64, run: u64) -> PathBuf {
    dir.join(format!("facts-{day}-{run:016x}.gz"))
}

fn day_of(name: &str) -> Option<i64> {
    let (day, _) = name
        .strip_prefix("facts-")?
        .strip_suffix(".gz")?
        .split_once('-')?;
    day.parse().ok()
}

/// One compressed piece behind what is there.
fn append(dir: &Path, path: &Path, batch: &[Recorded]) -> io::Result<()> {
    create_private(dir)?;
    if std::fs::metadata(path).is_ok_and(|known| known.len() > DAY_BYTES_MAX) {
        return Ok(());
    }
    let mut piece = GzEncoder::new(Vec::new(), Compression::fast());
    for one in batch {
        serde_json::to_writer(&mut piece, one)?;
        piece.write_all(b"\n")?;
    }
    let piece = piece.finish()?;
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(&piece)
}

fn create_private(dir: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Removes what is older than `DAYS_KEPT`.
fn tidy(dir: &Path, today: i64) -> io::Result<()> {
    for (day, path) in files(dir)? {
        if day <= today - DAYS_KEPT || day > today + 1 {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// The files there are, by day.
fn files(dir: &Path) -> io::Result<Vec<(i64, PathBuf)>> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let Some(day) = entry.file_name().to_str().and_then(day_of) {
            files.push((day, entry.path()));
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Calls `each` with everything that was recorded since `from`, in order. What cannot be read (cut off by a crash)
/// is passed over.
///
/// # Errors
/// Where the directory or a file cannot be opened.
pub fn read(dir: &Path, from: Timestamp, mut each: impl FnMut(&Recorded)) -> io::Result<()> {
    let first = from.0.div_euclid(DAY_MS);
    for (day, path) in files(dir)? {
        if day < first {
            continue;
        }
        let file = std::fs::File::open(path)?;
        let mut lines = BufReader::new(MultiGzDecoder::new(file));
        let mut line = Vec::new();
        loop {
            line.clear();
            match (&mut lines)
                .take(LINE_BYTES_MAX)
                .read_until(b'\n', &mut line)
            {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            if let Ok(one) = serde_json::from_slice::<Recorded>(&line)
                && one.at >= from.0
            {
                each(&one);
            }
        }
    }
    Ok(())
}
