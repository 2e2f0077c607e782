//! A running `rohrpost demo` in a folder of its own, on ports of its own; gone with its handle.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a start may take, on a busy machine with unoptimised code.
const START_TIME_MAX: Duration = Duration::from_secs(120);

/// Folders of certificates that are the same in every demo; the second one with `--legacy` only.
const CERTIFICATE_FOLDERS: [&str; 2] = ["tls", "legacy-tls"];

/// One account of the demo provider.
#[derive(Debug, Clone)]
pub struct Account {
    /// Login and main address.
    pub address: String,
    /// Clear-text password.
    pub password: String,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    dir: PathBuf,
    /// Removed with the handle; `None` where the test keeps the folder.
    _temporary: Option<tempfile::TempDir>,
    endpoints: Value,
}

/// The program under test: `ROHRPOST_BIN`, else the one cargo built.
///
/// # Panics
/// Where it was not built; the text says how.
#[allow(
    clippy::disallowed_methods,
    reason = "tests are told by the environment"
)]
pub fn program() -> PathBuf {
    if let Ok(path) = std::env::var("ROHRPOST_BIN") {
        return path.into();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("a workspace");
    let target = std::env::var("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    let program = target.join("debug/rohrpost");
    assert!(
        program.exists(),
        "{} is missing; run `cargo build`",
        program.display()
    );
    program
}

/// Where the certificates of an earlier start are kept: making an RSA key takes a second.
fn certificate_cache(folder: &str) -> PathBuf {
    program()
        .parent()
        .unwrap_or(Path::new("."))
        .join(format!("test-certificates-{folder}"))
}

fn seed_certificates(dir: &Path) {
    for folder in CERTIFICATE_FOLDERS {
        let (from, to) = (certificate_cache(folder), dir.join(folder));
        if from.exists() && !to.exists() {
            copy_folder(&from, &to);
        }
    }
}

fn keep_certificates(dir: &Path) {
    for folder in CERTIFICATE_FOLDERS {
        let (cache, made) = (certificate_cache(folder), dir.join(folder));
        if !cache.exists() && made.exists() {
            let new = cache.with_extension(std::process::id().to_string());
            copy_folder(&made, &new);
            // Another test may have been faster; its folder is as good.
            if std::fs::rename(&new, &cache).is_err() {
                let _ = std::fs::remove_dir_all(&new);
            }
        }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}

impl Server {
    /// Starts one in a new temporary folder.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more arguments, such as `--clock`.
    pub fn start_with(arguments: &[&str]) -> Self {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let dir = temporary.path().to_owned();
        let mut server = Self::start_in(&dir, arguments);
        server._temporary = Some(temporary);
        server
    }

    /// Starts one in `dir`, whose data it takes over.
    ///
    /// # Panics
    /// Where it ends or is not ready in time; its log is in the text.
    #[allow(
        clippy::disallowed_methods,
        reason = "tests wait on the machine's clock"
    )]
    pub fn start_in(dir: &Path, arguments: &[&str]) -> Self {
        std::fs::create_dir_all(dir).expect("a folder");
        let ready = dir.join("endpoints.json");
        let _ = std::fs::remove_file(&ready);
        seed_certificates(dir);
        let log = std::fs::File::create(dir.join("server.log")).expect("a log file");
        let mut child = Command::new(program())
            .args(["demo", "--port-base", "0", "--dir"])
            .arg(dir)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("the server starts");
        let begin = Instant::now();
        let endpoints = loop {
            let text = std::fs::read_to_string(&ready).unwrap_or_default();
            if let Ok(endpoints) = serde_json::from_str(&text) {
                break endpoints;
            }
            let ended = child.try_wait().expect("a child").is_some();
            if ended || begin.elapsed() > START_TIME_MAX {
                let log = std::fs::read_to_string(dir.join("server.log")).unwrap_or_default();
                panic!("the server did not become ready; its log:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        keep_certificates(dir);
        Self {
            child,
            dir: dir.to_owned(),
            _temporary: None,
            endpoints,
        }
    }

    /// Kills it and starts it on the same folder, on other ports.
    pub fn restart(&mut self, arguments: &[&str]) {
        self.kill();
        let dir = self.dir.clone();
        let temporary = self._temporary.take();
        *self = Self::start_in(&dir, arguments);
        self._temporary = temporary;
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What endpoints.json says.
    pub fn endpoints(&self) -> &Value {
        &self.endpoints
    }

    /// A port by its name in endpoints.json.
    pub fn port(&self, name: &str) -> u16 {
        let port = self.endpoints["ports"][name].as_u64();
        port.and_then(|port| port.try_into().ok())
            .unwrap_or_else(|| panic!("no port {name}"))
    }

    /// Where the legacy gateway listens; only with `--legacy`.
    ///
    /// # Panics
    /// Where the server was started without it.
    pub fn legacy_host(&self) -> String {
        let host = self.endpoints["legacy"]["host"].as_str();
        host.expect("started with --legacy").to_owned()
    }

    /// The file with the demo CA's certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.endpoints["ca_file"].as_str().expect("ca_file").into()
    }

    /// The demo provider's accounts, in the order of endpoints.json.
    pub fn accounts(&self) -> Vec<Account> {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let accounts = self.endpoints["accounts"].as_array().expect("accounts");
        let account = |a: &Value| Account {
            address: text(&a["address"]),
            password: text(&a["password"]),
        };
        accounts.iter().map(account).collect()
    }

    /// The account whose address begins with `name`@.
    pub fn account(&self, name: &str) -> Account {
        let prefix = format!("{name}@");
        let mut accounts = self.accounts().into_iter();
        accounts
            .find(|a| a.address.starts_with(&prefix))
            .unwrap_or_else(|| panic!("no {name}"))
    }

    /// What the server logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("server.log")).unwrap_or_default()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as a power cut would end the process.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Runs the CLI against this server's data; gives exit success, standard output and error.
    pub fn cli(&self, arguments: &[&str]) -> (bool, String, String) {
        let output = Command::new(program())
            .arg("--config")
            .arg(self.dir.join("rohrpost.toml"))
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("the CLI runs");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (
            output.status.success(),
            text(output.stdout),
            text(output.stderr),
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
