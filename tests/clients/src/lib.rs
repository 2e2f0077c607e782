//! Runs foreign programs against a running demo provider and keeps what they said. Each has a time
//! limit, so that a client that waits for ever fails its test. Called by the tests of this crate only.

use harness::Server;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long one run of a program may take, on a busy machine.
const RUN_TIME_MAX: Duration = Duration::from_secs(300);

/// How a program ended.
#[derive(Debug)]
pub struct Run {
    /// Its exit status; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Standard output, bytes that are no UTF-8 replaced.
    pub out: String,
    /// Standard error, likewise.
    pub err: String,
}

impl Run {
    /// Asserts that it ended well.
    ///
    /// # Panics
    /// Where it did not; with everything it said.
    #[track_caller]
    pub fn good(self) -> Self {
        assert_eq!(self.code, Some(0), "{self}");
        self
    }

    /// Asserts that it ended with this exit status.
    ///
    /// # Panics
    /// Where it did not; with everything it said.
    #[track_caller]
    pub fn ended_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Asserts that standard output or error holds `text`.
    ///
    /// # Panics
    /// Where neither does; with everything it said.
    #[track_caller]
    pub fn said(self, text: &str) -> Self {
        let found = self.out.contains(text) || self.err.contains(text);
        assert!(found, "nothing says {text:?}:\n{self}");
        self
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {:?}\n{}\n{}", self.code, self.out, self.err)
    }
}

/// Runs a command with `input` as its standard input.
///
/// # Panics
/// Where it cannot be started (a package is missing) or takes too long.
#[allow(
    clippy::disallowed_methods,
    reason = "tests wait on the machine's clock"
)]
pub fn run(command: &mut Command, input: &[u8]) -> Run {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; is its package installed?"));
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    let feeding = std::thread::spawn(move || {
        // A program that ends without reading everything is no fault of ours.
        let _ = stdin.write_all(&input);
    });
    let out = gather(child.stdout.take().expect("a pipe"));
    let err = gather(child.stderr.take().expect("a pipe"));
    let begin = Instant::now();
    let status: Option<ExitStatus> = loop {
        match child.try_wait().expect("a child") {
            Some(status) => break Some(status),
            None if begin.elapsed() > RUN_TIME_MAX => {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let _ = feeding.join();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let run = Run {
        code: status.and_then(|status| status.code()),
        out: text(out.join().expect("a reader")),
        err: text(err.join().expect("a reader")),
    };
    assert!(status.is_some(), "{command:?} takes too long:\n{run}");
    run
}

fn gather(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

/// swaks against the port of this name.
pub fn swaks(server: &Server, port: &str, arguments: &[&str]) -> Run {
    let at = format!("127.0.0.1:{}", server.port(port));
    let mut command = Command::new("swaks");
    command
        .args(["--server", &at, "--helo", "client.test"])
        .args(arguments);
    run(&mut command, b"")
}

/// curl, trusting the demo's CA.
pub fn curl(server: &Server, arguments: &[&str]) -> Run {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "60", "--cacert"]);
    command.arg(server.ca_file()).args(arguments);
    run(&mut command, b"")
}

/// A Python script of `scripts/`, which is told where endpoints.json is and whatever else is given.
pub fn python(server: &Server, script: &str, arguments: &[&str]) -> Run {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("scripts")
        .join(script);
    let mut command = Command::new("python3");
    command
        // Leaves no compiled files in the source tree.
        .arg("-B")
        .arg(path)
        .arg(endpoints(server))
        .args(arguments);
    run(&mut command, b"")
}

/// Where the server's endpoints.json is.
pub fn endpoints(server: &Server) -> PathBuf {
    server.dir().join("endpoints.json")
}

/// Asserts that no session of the server panicked.
///
/// # Panics
/// Where one did, with the log.
#[track_caller]
pub fn no_panic(server: &Server) {
    let log = server.log();
    assert!(!log.contains("panicked"), "{log}");
}
