//! `rohrpost demo`: a provider to try things on. Makes a folder with settings, certificates, two
//! domains and three accounts, runs a normal node on it, and writes `endpoints.json` when
//! everything answers. That file is a contract: tests and outside tools read it.

use crate::cli;
use crate::node::{Bound, Node, Parts};
use crate::rfc3339;
use crate::settings::{Mode, Role, load};
use clap::Args;
use directory::state;
use platform::clock::Clock;
use platform::tls::demo_ca;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

/// Domains of the demo provider: a business customer and private customers.
const DOMAINS: [&str; 2] = ["firma.test", "privat.test"];
/// Its accounts: address, password, aliases.
const ACCOUNTS: [(&str, &str, &[&str]); 3] = [
    ("anna@firma.test", "demo-Anna-4711", &["info@firma.test", "a.mueller@firma.test"]),
    ("bernd@firma.test", "demo-Bernd-4711", &["verkauf@firma.test"]),
    ("carla@privat.test", "demo-Carla-4711", &[]),
];
/// Names on its certificates.
const HOSTS: [&str; 10] = [
    "localhost",
    "rp.test",
    "mx.rp.test",
    "smtp.rp.test",
    "imap.rp.test",
    "pop3.rp.test",
    "webmail.rp.test",
    "admin.rp.test",
    "mail.firma.test",
    "mail.privat.test",
];
/// Listeners: name in endpoints.json, usual port, mode, role.
const LISTENERS: [(&str, u16, Mode, Role); 7] = [
    ("smtp", 25, Mode::StartTls, Role::Mx),
    ("submission", 587, Mode::StartTls, Role::Submission),
    ("submissions", 465, Mode::ImplicitTls, Role::Submission),
    ("imap", 143, Mode::StartTls, Role::Imap),
    ("imaps", 993, Mode::ImplicitTls, Role::Imap),
    ("pop3", 110, Mode::StartTls, Role::Pop3),
    ("pop3s", 995, Mode::ImplicitTls, Role::Pop3),
];
/// Ports that later versions will serve; null in endpoints.json until then.
const LATER: [&str; 3] = ["sieve", "http", "https"];

/// Options of `rohrpost demo`.
#[derive(Args)]
pub struct Options {
    /// The folder for settings, certificates and data. A second start goes on with what is there.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Added to the usual port numbers (10000 makes 143 to 10143). 0 takes free ports.
    #[arg(long, default_value_t = 10000, value_name = "N")]
    port_base: u16,
    /// The address to listen on.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), value_name = "IP")]
    listen: IpAddr,
    /// Start with this time (RFC 3339) and allow `rohrpost clock set`.
    #[arg(long, value_name = "RFC3339")]
    clock: Option<String>,
    /// Further accounts u0000@bench.test, u0001@bench.test … for load tests.
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    bench_accounts: u32,
    /// A server (host:port) that takes all mail to other domains.
    #[arg(long, default_value = "127.0.0.1:9", value_name = "HOST:PORT")]
    next_hop: String,
}

/// Runs the demo until it is told to stop.
///
/// # Errors
/// A text for the person at the terminal.
pub fn run(options: &Options) -> Result<(), String> {
    let clock = match &options.clock {
        Some(text) => Clock::settable(rfc3339::parse(text)?),
        None => Clock::system(),
    };
    let dir = make_dir(&options.dir)?;
    let ready = dir.join("endpoints.json");
    let _ = std::fs::remove_file(&ready);
    let files = demo_ca(&dir.join("tls"), &HOSTS).map_err(|e| format!("certificates: {e}"))?;
    let config = dir.join("rohrpost.toml");
    write_settings(&config, &dir, options)?;
    let settings = load(&config).map_err(|problems| format!("{}: {problems:?}", config.display()))?;
    crate::log::start(&settings.log_level.0.to_string());
    cli::runtime()?.block_on(async move {
        let node = Node::start(settings, clock).await.map_err(|error| error.to_string())?;
        make_accounts(node.parts(), options.bench_accounts).await?;
        let endpoints = endpoints(options.listen, node.bound(), &files.ca);
        let text = serde_json::to_string_pretty(&endpoints).map_err(|e| e.to_string())?;
        write_whole(&ready, &text)?;
        greet(&config, &endpoints);
        let stopped = cli::run_until_told(node).await;
        let _ = std::fs::remove_file(&ready);
        stopped
    })
}

fn make_dir(dir: &Path) -> Result<PathBuf, String> {
    std::fs::create_dir_all(dir).map_err(|e| format!("making {}: {e}", dir.display()))?;
    dir.canonicalize().map_err(|e| format!("{}: {e}", dir.display()))
}

/// Writes the settings anew at each start, because ports may differ.
fn write_settings(config: &Path, dir: &Path, options: &Options) -> Result<(), String> {
    let quoted = |path: PathBuf| toml::Value::String(path.display().to_string()).to_string();
    let mut text = format!(
        "# Made by `rohrpost demo` at each start.\n[node]\nhost_name = \"mx.rp.test\"\n\
         data_dir = {}\nconnections_per_address_max = 20000\n\n[tls]\ncertificate_dir = {}\n\
         ca_file = {}\n\n[smtp]\ntest_peers = [\"127.0.0.1\"]\n\n[queue]\nnext_hop = {}\n",
        quoted(dir.join("store")),
        quoted(dir.join("tls")),
        quoted(dir.join("tls/ca.pem")),
        toml::Value::String(options.next_hop.clone()),
    );
    for (_, port, mode, role) in LISTENERS {
        let port = match options.port_base {
            0 => 0,
            base => base.checked_add(port).ok_or("--port-base is too large; at most 64540")?,
        };
        let address = std::net::SocketAddr::new(options.listen, port);
        text.push_str(&format!(
            "\n[[listener]]\naddress = \"{address}\"\nmode = \"{}\"\nrole = \"{}\"\n",
            mode.word(),
            role.word()
        ));
    }
    write_whole(config, &text)
}

/// Replaces a file at once, so that nobody reads half of it.
fn write_whole(path: &Path, text: &str) -> Result<(), String> {
    let problem = |e: std::io::Error| format!("writing {}: {e}", path.display());
    let new = path.with_extension("new");
    std::fs::write(&new, text).map_err(problem)?;
    std::fs::rename(&new, path).map_err(problem)
}
