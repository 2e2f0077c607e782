//! What the disk can do: `--threads` writers make `--count` small writes durable, in one of four ways.
//! No server takes part; the figures say where its physical limit lies.

use std::fs::{self, File, OpenOptions};
use std::io::{Error, Result, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::latency::Latencies;
use crate::options::Options;
use crate::record::Record;

/// Size of the file that `overwrite` goes round in.
const OVERWRITTEN_BYTES: usize = 16 << 20;

/// How a write is made durable.
#[derive(Clone, Copy)]
enum Kind {
    /// fdatasync of a growing file: a log.
    Append,
    /// fdatasync in a file that has its size already.
    Overwrite,
    /// A new file for each, fsynced.
    NewFile,
    /// A new file, fsync, rename, fsync of the folder.
    Maildir,
}

pub(super) fn run(options: &Options) -> Result<Record> {
    let dir = PathBuf::from(options.text("dir", "fsync-probe"));
    let name = options.text("kind", "append");
    let kind = match name.as_str() {
        "append" => Kind::Append,
        "overwrite" => Kind::Overwrite,
        "newfile" => Kind::NewFile,
        "maildir" => Kind::Maildir,
        _ => {
            return Err(Error::other(
                "--kind is append, overwrite, newfile or maildir",
            ));
        }
    };
    let (threads, count) = (options.number("threads", 1), options.number("count", 300));
    let size = options.number("size", 4096);
    fs::create_dir_all(&dir)?;
    let start = Instant::now();
    let writers: Vec<_> = (0..threads)
        .map(|number| {
            let dir = dir.clone();
            std::thread::spawn(move || write(&dir, number, kind, count, size))
        })
        .collect();
    let mut latencies = Latencies::default();
    for writer in writers {
        let written = writer
            .join()
            .map_err(|_| Error::other("a writer panicked"))?;
        latencies.extend(written?);
    }
    let seconds = start.elapsed().as_secs_f64();
    fs::remove_dir_all(&dir)?;
    Ok(Record::default()
        .text("kind", name)
        .count("threads", threads)
        .count("size", size)
        .count("n", latencies.len())
        .figure("per_s", latencies.len() as f64 / seconds, 1)
        .and(latencies.quantiles("")))
}

fn write(dir: &Path, number: usize, kind: Kind, count: usize, size: usize) -> Result<Latencies> {
    let bytes = vec![b'a'; size];
    let path = dir.join(format!("f{number}"));
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .open(path)?;
    if matches!(kind, Kind::Overwrite) {
        file.write_all(&vec![0; OVERWRITTEN_BYTES])?;
        file.sync_all()?;
    }
    let mut latencies = Latencies::default();
    for i in 0..count {
        let start = Instant::now();
        match kind {
            Kind::Append => {
                file.write_all(&bytes)?;
                file.sync_data()?;
            }
            Kind::Overwrite => {
                file.seek(SeekFrom::Start((i * size % OVERWRITTEN_BYTES) as u64))?;
                file.write_all(&bytes)?;
                file.sync_data()?;
            }
            Kind::NewFile => new_file(&dir.join(format!("t{number}.{i}")), &bytes)?,
            Kind::Maildir => {
                let temporary = dir.join(format!("t{number}.{i}"));
                new_file(&temporary, &bytes)?;
                fs::rename(&temporary, dir.join(format!("n{number}.{i}")))?;
                File::open(dir)?.sync_all()?;
            }
        }
        latencies.add_since(start);
    }
    Ok(latencies)
}

fn new_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
