//! A private PostgreSQL cluster for tests: made by initdb in a temporary directory, reachable by a
//! unix socket only, stopped and removed when the value is dropped, also by a panic. Run as root it
//! runs as the user `postgres`, because initdb refuses root. Called by test code only.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

const INSTALL: &str = "PostgreSQL's server programs are missing. These tests run a real server; \
    install it: apt-get install postgresql (Debian, Ubuntu) or dnf install postgresql-server \
    (Fedora), then run the tests again.";

/// A running cluster.
pub struct Cluster {
    programs: PathBuf,
    directory: TempDir,
    databases: AtomicU32,
}

impl Cluster {
    /// Makes and starts a cluster with the server's durable defaults and few connections.
    ///
    /// # Panics
    /// With a text that says what to install or what the programs said.
    pub fn start() -> Self {
        let programs = programs().unwrap_or_else(|| panic!("{INSTALL}"));
        let directory = tempfile::Builder::new()
            .prefix("rohrpost-pg-")
            .tempdir()
            .unwrap_or_else(|error| panic!("no temporary directory: {error}"));
        if is_root() {
            let (user, group) = postgres_ids().unwrap_or_else(|| {
                panic!("There is no user `postgres` to run the server as. {INSTALL}")
            });
            chown(directory.path(), Some(user), Some(group))
                .and_then(|()| {
                    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700))
                })
                .unwrap_or_else(|error| panic!("giving the directory to postgres: {error}"));
        }
        let cluster = Self {
            programs,
            directory,
            databases: AtomicU32::new(0),
        };
        let data = cluster.data();
        cluster.run(
            "initdb",
            &[
                "-D",
                &data,
                "-U",
                "rohrpost",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-sync",
                "--locale=C",
            ],
        );
        cluster.begin();
        cluster
    }

    fn data(&self) -> String {
        text(&self.directory.path().join("data"))
    }

    /// Starts the server of a cluster that was stopped.
    ///
    /// # Panics
    /// Where the server does not start; with its log.
    pub fn begin(&self) {
        let socket = text(self.directory.path());
        let settings = format!(
            "-c listen_addresses= -c unix_socket_directories={socket} -c max_connections=60 \
             -c shared_buffers=64MB -c max_wal_size=256MB"
        );
        let log = text(&self.directory.path().join("log"));
        self.run(
            "pg_ctl",
            &[
                "-D",
                &self.data(),
                "-w",
                "-t",
                "60",
                "-s",
                "-l",
                &log,
                "-o",
                &settings,
                "start",
            ],
        );
    }

    /// Stops the server at once, as a power cut would; `begin` starts it again.
    ///
    /// # Panics
    /// Where the server cannot be stopped.
    pub fn halt(&self) {
        self.run(
            "pg_ctl",
            &["-D", &self.data(), "-w", "-s", "-m", "immediate", "stop"],
        );
    }

    /// A new, empty database and the address to reach it.
    ///
    /// # Panics
    /// Where the server refuses.
    pub fn database(&self) -> String {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        format!(
            "host={} user=rohrpost dbname={name}",
            text(self.directory.path())
        )
    }

    /// Runs a statement as the owner of everything, beside the program under test; gives what
    /// psql prints, unaligned and without headings.
    ///
    /// # Panics
    /// Where the server refuses.
    pub fn sql(&self, database: &str, statement: &str) -> String {
        let host = text(self.directory.path());
        self.run(
            "psql",
            &[
                "-h",
                &host,
                "-U",
                "rohrpost",
                "-d",
                database,
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-c",
                statement,
            ],
        )
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self
            .command(program, arguments)
            .unwrap_or_else(|error| panic!("{program} does not run: {error}. {INSTALL}"));
        assert!(
            output.status.success(),
            "{program} failed: {}{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
            fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn command(&self, program: &str, arguments: &[&str]) -> io::Result<Output> {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
            command.arg(program);
            command
        } else {
            Command::new(program)
        };
        // A server that inherits a pipe keeps a reader of it waiting for its whole life; with
        // `-l` it writes to its log.
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env("LC_ALL", "C")
            .output()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.command(
            "pg_ctl",
            &["-D", &self.data(), "-w", "-s", "-m", "immediate", "stop"],
        );
    }
}

/// The directory of the newest installed server's programs.
fn programs() -> Option<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    let debian = versions.into_iter().rev().map(|(_, path)| path);
    debian
        .chain([PathBuf::from("/usr/bin"), PathBuf::from("/usr/local/bin")])
        .find(|path| path.join("initdb").exists() && path.join("pg_ctl").exists())
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| {
        use std::os::unix::fs::MetadataExt;
        process.uid() == 0
    })
}

/// User and group number of `postgres` in /etc/passwd.
fn postgres_ids() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.starts_with("postgres:"))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
