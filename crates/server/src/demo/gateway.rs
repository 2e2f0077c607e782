//! The legacy gateway beside a demo: `rohrpost-legacy` from the folder of this program, with a certificate of its own,
//! on an address of its own. It ends with the demo, however that ends.

use platform::tls::demo_ca;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The gateway's own address: a provider gives it one, too.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Names on its certificate.
const HOSTS: [&str; 3] = [
    "smtp-legacy.rp.test",
    "imap-legacy.rp.test",
    "pop3-legacy.rp.test",
];
/// Name in endpoints.json, usual port, role in the gateway's settings.
pub(super) const LISTENERS: [(&str, u16, &str); 6] = [
    ("smtp_legacy", 587, "smtp-submission"),
    ("submissions_legacy", 465, "submissions"),
    ("imap_legacy", 143, "imap"),
    ("imaps_legacy", 993, "imaps"),
    ("pop3_legacy", 110, "pop3"),
    ("pop3s_legacy", 995, "pop3s"),
];
/// Whom it becomes where the demo runs as root.
const USER: &str = "nobody";

/// A running gateway; it ends with its handle.
pub(super) struct Gateway {
    child: Child,
    addresses: Vec<SocketAddr>,
    ca_file: PathBuf,
}

/// The settings of the node for it.
pub(super) fn settings(dir: &Path) -> Vec<(&'static str, toml::Value)> {
    let socket = socket(dir).display().to_string();
    let mut settings = vec![("legacy.socket", socket.into())];
    if is_root() {
        settings.push(("legacy.user", USER.into()));
    }
    settings
}

fn socket(dir: &Path) -> PathBuf {
    dir.join("legacy/core.sock")
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl Gateway {
    /// Starts it; it serves nobody until the node runs. `port_base` 0 takes free ports.
    ///
    /// # Errors
    /// A text for the person at the terminal.
    pub(super) fn start(dir: &Path, port_base: u16) -> Result<Self, String> {
        let program = std::env::current_exe()
            .map_err(|error| error.to_string())?
            .with_file_name("rohrpost-legacy");
        if !program.exists() {
            return Err(format!(
                "{} is missing; `cargo build -p legacy-gateway` makes it",
                program.display()
            ));
        }
        let files = demo_ca(&dir.join("legacy-tls"), &HOSTS)
            .map_err(|error| format!("certificates of the legacy gateway: {error}"))?;
        let config = write_settings(dir, &files.directory, port_base)?;
        let mut child = Command::new(program)
            .arg("--config")
            .arg(config)
            .args(["--print-addresses", "--with-parent"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("the legacy gateway: {error}"))?;
        let output = child
            .stdout
            .take()
            .ok_or("the legacy gateway has no output")?;
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let addresses: Vec<SocketAddr> = (0..LISTENERS.len())
            .map_while(|_| lines.next()?.rsplit(' ').next()?.parse().ok())
            .collect();
        if addresses.len() < LISTENERS.len() {
            let _ = child.wait();
            return Err("the legacy gateway did not start; its own words are above".to_owned());
        }
        Ok(Self {
            child,
            addresses,
            ca_file: files.ca,
        })
    }

    /// For endpoints.json.
    pub(super) fn describe(&self, endpoints: &mut Value) {
        for ((name, ..), address) in LISTENERS.iter().zip(&self.addresses) {
            endpoints["ports"][*name] = json!(address.port());
        }
        endpoints["legacy"] = json!({
            "host": ADDRESS.to_string(),
            "names": HOSTS,
            "ca_file": self.ca_file,
            "pid": self.child.id(),
        });
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write_settings(dir: &Path, tls: &Path, port_base: u16) -> Result<PathBuf, String> {
    let place = dir.join("legacy");
    let problem = |error: std::io::Error| format!("{}: {error}", place.display());
    std::fs::create_dir_all(&place).map_err(problem)?;
    if is_root() {
        use std::os::unix::fs::PermissionsExt;
        // The gateway's user must reach its socket; what is secret has modes of its own.
        for folder in [dir, &place] {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o711))
                .map_err(problem)?;
        }
    }
    let mut text = format!(
        "# Made by `rohrpost demo` at each start.\nsocket = \"{}\"\nuser = \"{USER}\"\n\
         certificate = \"{1}/rsa.crt\"\nkey = \"{1}/rsa.key\"\n",
        socket(dir).display(),
        tls.display()
    );
    for (_, port, role) in LISTENERS {
        let port = match port_base {
            0 => 0,
            base => base.checked_add(port).ok_or("--port-base is too large")?,
        };
        let address = SocketAddr::new(ADDRESS.into(), port);
        text.push_str(&format!(
            "[[listener]]\naddress = \"{address}\"\nrole = \"{role}\"\n"
        ));
    }
    let config = place.join("legacy.toml");
    std::fs::write(&config, text).map_err(problem)?;
    Ok(config)
}
