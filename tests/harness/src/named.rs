//! A zone on BIND, which takes signed changes (RFC 2136): the provider's own primary server. Tests only.

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take until it answers.
const START_TIME_MAX: Duration = Duration::from_secs(20);
/// A key as `tsig-keygen` writes it; of this test only.
const KEY: &str = "key \"rohrpost\" {\n\talgorithm hmac-sha256;\n\
    \tsecret \"YSBrZXkgb2YgdGhpcnR5LXR3byBieXRlcywgc2hvd24=\";\n};\n";

/// A running server.
pub struct Named {
    process: Child,
    address: SocketAddr,
    directory: tempfile::TempDir,
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Named {
    /// Starts one for `zone`, which holds `records` (lines of a zone file).
    ///
    /// # Panics
    /// Where it does not start.
    #[allow(
        clippy::disallowed_methods,
        reason = "tests wait on the machine's clock"
    )]
    pub fn start(zone: &str, records: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary folder");
        let path = directory.path();
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("its address");
        drop(socket);
        let port = address.port();
        let conf = format!(
            "options {{ directory {path:?}; pid-file none; listen-on port {port} {{ 127.0.0.1; }}; \
             listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; session-keyfile none; }};\n\
             controls {{ }};\n{KEY}\
             zone \"{zone}\" {{ type primary; file \"zone\"; allow-update {{ key rohrpost; }}; }};\n"
        );
        std::fs::write(path.join("named.conf"), conf).expect("a file");
        std::fs::write(path.join("update.key"), KEY).expect("a file");
        let text = format!(
            "$TTL 3600\n@ SOA ns host 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n{records}\n"
        );
        std::fs::write(path.join("zone"), text).expect("a file");
        let process = Command::new("named")
            .args(["-g", "-n", "1", "-c", "named.conf"])
            .current_dir(path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("named starts");
        let named = Self {
            process,
            address,
            directory,
        };
        let begin = Instant::now();
        while named.dig(&format!("ns.{zone}"), "A").is_empty() {
            assert!(begin.elapsed() < START_TIME_MAX, "named does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        named
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The file with the key for changes.
    pub fn key_file(&self) -> PathBuf {
        self.directory.path().join("update.key")
    }

    /// What `dig +short` prints.
    pub fn dig(&self, owner: &str, kind: &str) -> String {
        self.ask(&["+short", owner, kind]).trim().to_owned()
    }

    /// The time to live of the records, in seconds.
    pub fn ttl(&self, owner: &str, kind: &str) -> Option<u32> {
        let answer = self.ask(&["+noall", "+answer", owner, kind]);
        answer.split_whitespace().nth(1)?.parse().ok()
    }

    fn ask(&self, arguments: &[&str]) -> String {
        let output = Command::new("dig")
            .arg("@127.0.0.1")
            .args([
                "-p",
                &self.address.port().to_string(),
                "+tries=1",
                "+time=2",
            ])
            .args(arguments)
            .output()
            .expect("dig starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // What dig says about itself is no answer.
        let lines = text.lines().filter(|line| !line.starts_with(';'));
        lines.map(|line| format!("{line}\n")).collect()
    }
}
