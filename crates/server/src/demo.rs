//! `rohrpost demo`: a provider to try things on. Makes a folder with settings, certificates, two
//! domains and three accounts, runs a normal node on it, and writes `endpoints.json` when
//! everything answers. That file is a contract: tests and outside tools read it.

mod gateway;

use crate::cli;
use crate::control::{self, Request};
use crate::node::{Bound, Node, Parts};
use crate::settings::{Mode, Role, Words, load};
use clap::Args;
use directory::admin::Removals;
use formats::rfc3339;
use platform::clock::{Clock, Timestamp};
use platform::tls::demo_ca;
use serde_json::{Value, json};
use signing::KeyRow;
use signing::keyring::{Begin, NewKeys};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

/// Domains of the demo provider: a business customer and private customers.
const DOMAINS: [&str; 2] = ["firma.test", "privat.test"];
/// Its accounts: address, password, aliases.
const ACCOUNTS: [(&str, &str, &[&str]); 3] = [
    (
        "anna@firma.test",
        "demo-Anna-4711",
        &["info@firma.test", "a.mueller@firma.test"],
    ),
    (
        "bernd@firma.test",
        "demo-Bernd-4711",
        &["verkauf@firma.test"],
    ),
    ("carla@privat.test", "demo-Carla-4711", &[]),
];
/// Accounts for load tests beside u0000@bench.test and so on, and the password of all of them.
const BENCH_EXTRA: [&str; 2] = ["big@bench.test", "app@bench.test"];
const BENCH_PASSWORD: &str = "pw-Bench-4711";
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
const LISTENERS: [(&str, u16, Mode, Role); 10] = [
    ("smtp", 25, Mode::StartTls, Role::Mx),
    // A provider gives it an address of its own; there is only one here.
    ("securemx", 26, Mode::StartTls, Role::SecureMx),
    ("submission", 587, Mode::StartTls, Role::Submission),
    ("submissions", 465, Mode::ImplicitTls, Role::Submission),
    ("imap", 143, Mode::StartTls, Role::Imap),
    ("imaps", 993, Mode::ImplicitTls, Role::Imap),
    ("pop3", 110, Mode::StartTls, Role::Pop3),
    ("pop3s", 995, Mode::ImplicitTls, Role::Pop3),
    ("http", 80, Mode::Redirect, Role::Http),
    ("https", 443, Mode::ImplicitTls, Role::Http),
];
/// Ports that later versions will serve; null in endpoints.json until then. So are those of the legacy gateway
/// without `--legacy`.
const LATER: [&str; 1] = ["sieve"];

/// Options of `rohrpost demo`.
#[derive(Args)]
pub(crate) struct Options {
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
    /// Run the legacy gateway (`rohrpost-legacy`) beside it, on 127.0.0.2: TLS 1.0 and 1.1 for
    /// enrolled accounts while the setting legacy-access says so.
    #[arg(long)]
    legacy: bool,
    /// Any setting, instead of what the demo would write; may be given several times. A VALUE that
    /// is no TOML value is taken as text. `listener.smtp.login=true` sets the key of a listener by its name
    /// in endpoints.json.
    ///
    /// Example: --set queue.smtp_port=2525 --set 'dns.servers=["127.0.0.1:5353"]'
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = written_setting)]
    settings: Vec<(String, toml::Value)>,
}

/// Reads one `--set`.
fn written_setting(text: &str) -> Result<(String, toml::Value), String> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| name.contains('.'))
        .ok_or("expected SECTION.NAME=VALUE, such as queue.smtp_port=2525")?;
    let value = format!("value = {value}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    Ok((name.to_owned(), value))
}

/// Runs the demo until it is told to stop.
///
/// # Errors
/// A text for the person at the terminal.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let clock = match &options.clock {
        Some(text) => Clock::settable(Timestamp(rfc3339::parse(text)?)),
        None => Clock::system(),
    };
    let dir = make_dir(&options.dir)?;
    if control::ask(&dir.join("store"), &Request::Refresh).is_ok_and(|answer| answer.is_some()) {
        return Err(format!("a demo runs in {} already", dir.display()));
    }
    let ready = dir.join("endpoints.json");
    let _ = std::fs::remove_file(&ready);
    let files = demo_ca(&dir.join("tls"), &HOSTS).map_err(|e| format!("certificates: {e}"))?;
    let config = dir.join("rohrpost.toml");
    write_settings(&config, &dir, options)?;
    let gateway = match options.legacy {
        true => Some(gateway::Gateway::start(&dir, options.port_base)?),
        false => None,
    };
    let settings =
        load(&config).map_err(|problems| format!("{}: {problems:?}", config.display()))?;
    crate::log::start(&settings.log_level.0.to_string());
    cli::runtime()?.block_on(async move {
        let node = Node::start(settings, clock)
            .await
            .map_err(|error| error.to_string())?;
        make_accounts(node.parts(), options.bench_accounts).await?;
        let keys = make_keys(node.parts()).await?;
        write_zone(&dir.join("dns"), &keys)?;
        let mut endpoints = endpoints(options.listen, node.bound(), &files.ca);
        endpoints["admin"]["token"] = json!(make_token(node.parts()).await?);
        endpoints["dkim"] = keys.iter().map(key_record).collect();
        if let Some(gateway) = &gateway {
            gateway.describe(&mut endpoints);
        }
        // For `rohrpost --config`.
        endpoints["config"] = json!(config);
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
    dir.canonicalize()
        .map_err(|e| format!("{}: {e}", dir.display()))
}

/// Writes the settings anew at each start, because ports may differ.
fn write_settings(config: &Path, dir: &Path, options: &Options) -> Result<(), String> {
    let path = |path: PathBuf| toml::Value::from(path.display().to_string());
    let usual: [(&str, toml::Value); 8] = [
        ("node.host_name", "mx.rp.test".into()),
        ("node.data_dir", path(dir.join("store"))),
        ("node.connections_per_address_max", 20_000.into()),
        ("tls.certificate_dir", path(dir.join("tls"))),
        ("tls.ca_file", path(dir.join("tls/ca.pem"))),
        ("smtp.test_peers", vec!["127.0.0.1"].into()),
        ("queue.next_hop", options.next_hop.clone().into()),
        // What a demo or a test sends goes to servers on this very host.
        ("queue.forbidden_networks", toml::Value::Array(Vec::new())),
    ];
    let usual = usual.map(|(name, value)| (name.to_owned(), value));
    let mut settings = toml::Table::new();
    if options.legacy {
        for (name, value) in gateway::settings(dir) {
            put(&mut settings, name, &value)?;
        }
    }
    for (name, value) in usual.iter().chain(&options.settings) {
        if !name.starts_with("listener.") {
            put(&mut settings, name, value)?;
        }
    }
    let listeners: Result<Vec<_>, String> = LISTENERS
        .iter()
        .map(|(name, port, mode, role)| {
            let mut made = listener(options, *port, *mode, *role)?;
            let own = format!("listener.{name}.");
            for (key, value) in &options.settings {
                if let Some(key) = key.strip_prefix(&own) {
                    made.insert(key.to_owned(), value.clone());
                }
            }
            Ok(made)
        })
        .collect();
    settings.insert("listener".to_owned(), listeners?.into());
    let text = toml::to_string(&settings).map_err(|e| e.to_string())?;
    write_whole(
        config,
        &format!("# Made by `rohrpost demo` at each start.\n{text}"),
    )
}

/// Puts `section.name` in its place.
fn put(settings: &mut toml::Table, name: &str, value: &toml::Value) -> Result<(), String> {
    let (section, key) = name.split_once('.').unwrap_or(("", name));
    let section = settings
        .entry(section)
        .or_insert_with(|| toml::Table::new().into());
    let section = section
        .as_table_mut()
        .ok_or_else(|| format!("--set {name}: no such setting"))?;
    section.insert(key.to_owned(), value.clone());
    Ok(())
}

fn listener(options: &Options, port: u16, mode: Mode, role: Role) -> Result<toml::Table, String> {
    let port = match options.port_base {
        0 => 0,
        base => base
            .checked_add(port)
            .ok_or("--port-base is too large; at most 64540")?,
    };
    let address = std::net::SocketAddr::new(options.listen, port);
    let mut listener = toml::Table::new();
    listener.insert("address".to_owned(), address.to_string().into());
    listener.insert("mode".to_owned(), mode.word().into());
    listener.insert("role".to_owned(), role.word().into());
    Ok(listener)
}

/// Replaces a file at once, so that nobody reads half of it.
fn write_whole(path: &Path, text: &str) -> Result<(), String> {
    let problem = |e: std::io::Error| format!("writing {}: {e}", path.display());
    let new = path.with_extension("new");
    std::fs::write(&new, text).map_err(problem)?;
    std::fs::rename(&new, path).map_err(problem)
}

/// Makes domains and accounts where there are none yet; a second start leaves them as they are.
async fn make_accounts(parts: &Parts, bench_accounts: u32) -> Result<(), String> {
    let admin = crate::accounts::admin(parts.directory.clone(), parts.clock.clone());
    let now = parts.clock.now();
    let state = admin.state().await.map_err(|error| error.to_string())?;
    if state.domains.is_empty() {
        admin
            .apply(&demo_state(bench_accounts > 0), Removals::Refused, now)
            .await
            .map_err(|error| format!("demo accounts: {error}"))?;
    }
    let state = admin.export().await.map_err(|error| error.to_string())?;
    if bench_accounts > 0 && !state.contains("u0000@bench.test") {
        let more = bench_state(&state, bench_accounts)?;
        admin
            .apply(&more, Removals::Refused, now)
            .await
            .map_err(|error| format!("accounts for load tests: {error}"))?;
    }
    Ok(())
}

/// The demo provider as a state file.
fn demo_state(with_bench: bool) -> String {
    let mut text = String::new();
    for domain in DOMAINS {
        text.push_str(&format!("[[domain]]\nname = \"{domain}\"\n\n"));
    }
    for (login, password, aliases) in ACCOUNTS {
        text.push_str(&account_text(login, password));
        for alias in aliases {
            text.push_str(&format!(
                "[[alias]]\naddress = \"{alias}\"\nto = [\"{login}\"]\n\n"
            ));
        }
    }
    if with_bench {
        text.push_str("[[domain]]\nname = \"bench.test\"\n\n");
        text.push_str(&account_text(BENCH_EXTRA[0], BENCH_PASSWORD));
    }
    text
}

/// Keys that sign at once for every domain that has none: everything that leaves a demo is signed. The records are
/// in `endpoints.json` and in a zone file, for labs whose DNS serves them.
async fn make_keys(parts: &Parts) -> Result<Vec<KeyRow>, String> {
    let admin = crate::accounts::admin(parts.directory.clone(), parts.clock.clone());
    let domains = admin.domains().await.map_err(|error| error.to_string())?;
    let keyring = parts.signing.keyring();
    let failed = |error: signing::SigningError| format!("DKIM keys: {error}");
    for domain in domains {
        let new = NewKeys {
            begin: Begin::Now,
            ..NewKeys::default()
        };
        if keyring
            .of_domain(&domain.name)
            .await
            .map_err(failed)?
            .is_empty()
        {
            keyring.add(&domain.name, new).await.map_err(failed)?;
        }
    }
    keyring.list().await.map_err(failed)
}

/// A token of an operator, for whoever tries the API; that of an earlier start ends.
async fn make_token(parts: &Parts) -> Result<String, String> {
    const LABEL: &str = "demo";
    let secret = https::TokenSecret::new(&parts.random);
    let clear = secret.clear().to_owned();
    let new = https::NewToken {
        role: https::Role::Operator,
        account: None,
        domains: Vec::new(),
        label: LABEL.to_owned(),
        expires_at: None,
    };
    let now = parts.clock.now();
    let made = parts.store.write(move |tx| {
        for old in https::tokens(tx)?.iter().filter(|old| old.label == LABEL) {
            https::revoke_token(tx, &old.id)?;
        }
        https::add_token(tx, &new, &secret, LABEL, now)
    });
    made.await
        .map_err(|error: https::CredentialError| error.to_string())?;
    Ok(clear)
}

/// The key records as `dkim.zone`, to be included in a zone.
fn write_zone(dir: &Path, keys: &[KeyRow]) -> Result<(), String> {
    std::fs::create_dir_all(dir).map_err(|e| format!("making {}: {e}", dir.display()))?;
    let lines: String = keys
        .iter()
        .map(|key| key.record().zone_line() + "\n")
        .collect();
    write_whole(&dir.join("dkim.zone"), &lines)
}

fn key_record(key: &KeyRow) -> Value {
    let record = key.record();
    json!({
        "domain": key.domain,
        "selector": key.selector,
        "name": record.name(),
        "value": record.value(),
    })
}

fn account_text(login: &str, password: &str) -> String {
    format!("[[account]]\nlogin = \"{login}\"\npassword = \"{password}\"\n\n")
}

/// The state with accounts for load tests added; they share one password and its hash, because
/// hashing a thousand passwords takes half a minute.
fn bench_state(state: &str, count: u32) -> Result<String, String> {
    let marker = format!("login = \"{}\"", BENCH_EXTRA[0]);
    let hash = state
        .split_once(&marker)
        .and_then(|(_, after)| {
            after
                .lines()
                .find(|line| line.starts_with("password_hash = "))
        })
        .ok_or("the account big@bench.test has no password")?;
    let logins = (0..count).map(|n| format!("u{n:04}@bench.test"));
    let logins = logins.chain([BENCH_EXTRA[1].to_owned()]);
    let mut text = state.to_owned();
    for login in logins {
        text.push_str(&format!("\n[[account]]\nlogin = \"{login}\"\n{hash}\n"));
    }
    Ok(text)
}

fn endpoints(listen: IpAddr, bound: &[Bound], ca_file: &Path) -> Value {
    let legacy = gateway::LISTENERS.iter().map(|(name, ..)| name);
    let mut ports: serde_json::Map<String, Value> = LATER
        .iter()
        .chain(legacy)
        .map(|name| ((*name).to_owned(), Value::Null))
        .collect();
    for ((name, ..), bound) in LISTENERS.iter().zip(bound) {
        ports.insert((*name).to_owned(), json!(bound.address.port()));
    }
    let accounts: Vec<Value> = ACCOUNTS
        .iter()
        .map(|(address, password, aliases)| {
            json!({ "address": address, "password": password, "aliases": aliases })
        })
        .collect();
    json!({
        "host": listen.to_string(),
        "ports": ports,
        "ca_file": ca_file,
        "domains": DOMAINS,
        "accounts": accounts,
        // A token of an operator; user and password are for the pages, which the accounts above log in to.
        "admin": {
            "url": format!("https://{listen}:{}/api/v1", ports["https"]),
            "user": null, "password": null, "token": null,
        },
        "pid": std::process::id(),
    })
}

/// What a person at the terminal wants to try first.
fn greet(config: &Path, endpoints: &Value) {
    let host = endpoints["host"].as_str().unwrap_or("127.0.0.1");
    let port = |name: &str| endpoints["ports"][name].as_u64().unwrap_or(0);
    let ca_file = endpoints["ca_file"].as_str().unwrap_or_default();
    println!("Rohrpost is running. Webmail comes with a later version.\n\nAccounts:");
    for (address, password, aliases) in ACCOUNTS {
        println!("  {address:<20} {password:<18} {}", aliases.join(" "));
    }
    println!("\nSend a mail, as another server would:");
    println!(
        "  swaks --server {host}:{} --tls --from you@example.org --to anna@firma.test",
        port("smtp")
    );
    println!("Send a mail as anna:");
    println!(
        "  swaks --server {host}:{} --tls --auth PLAIN --auth-user anna@firma.test \
         --auth-password demo-Anna-4711 --from anna@firma.test --to carla@privat.test",
        port("submission")
    );
    println!("Read it:");
    println!(
        "  openssl s_client -quiet -crlf -CAfile {ca_file} -connect {host}:{}\n  \
         a LOGIN anna@firma.test demo-Anna-4711\n  b SELECT INBOX\n  c FETCH 1:* (ENVELOPE)",
        port("imaps")
    );
    println!(
        "  curl --cacert {ca_file} --user anna@firma.test:demo-Anna-4711 \
         'imaps://localhost:{}/INBOX;MAILINDEX=1'",
        port("imaps")
    );
    println!(
        "Look at announcements, help and, as anna, at your connections:\n  https://localhost:{}/",
        port("https")
    );
    println!(
        "Administer:\n  rohrpost --config {} account list",
        config.display()
    );
    println!("\nCtrl-C ends it; the data stays.");
}
