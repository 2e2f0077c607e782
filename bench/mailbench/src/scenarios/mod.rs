//! The table of scenarios: one file each. A scenario gets the load, does its work and gives back its
//! figures; it prints nothing and knows no other scenario.

mod append;
mod dns;
mod fsync;
mod idle;
mod imap_cmd;
mod login;
mod membw;
mod memory;
mod pop3;
mod smtp_in;
mod submit;
mod tls;
mod visible;

use std::io::Result;
use std::pin::Pin;

use crate::accounting::{Memory, Snapshot};
use crate::load::Load;
use crate::options::Options;
use crate::record::Record;

/// A name on the command line and what it starts.
pub(crate) struct Scenario {
    /// First word of the command line.
    pub(crate) name: &'static str,
    /// One line for the usage text.
    pub(crate) about: &'static str,
    /// What it does.
    pub(crate) run: Run,
}

type Running = Pin<Box<dyn Future<Output = Result<Record>>>>;

/// The kinds of scenarios.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// Loads the server; `--limit-s` holds.
    Server(fn(Load) -> Running),
    /// A helper that runs until it is killed.
    Service(fn(Load) -> Running),
    /// Measures the machine, without any server.
    Machine(fn(&Options) -> Result<Record>),
}

/// All scenarios.
pub(crate) const SCENARIOS: &[Scenario] = &[
    server(
        "smtp-in",
        "delivery from outside until visible in IMAP",
        |l| Box::pin(smtp_in::run(l)),
    ),
    server(
        "submit",
        "submission with AUTH until relayed to a sink",
        |l| Box::pin(submit::run(l)),
    ),
    server(
        "visible",
        "time from 250 until NOOP and IDLE show it",
        |l| Box::pin(visible::run(l)),
    ),
    server("imap-login", "TLS, LOGIN and LOGOUT", |l| {
        Box::pin(login::run(l))
    }),
    server("append", "IMAP APPEND", |l| Box::pin(append::run(l))),
    server("imap-cmd", "one IMAP command again and again", |l| {
        Box::pin(imap_cmd::run(l))
    }),
    server("idle", "memory of many idle sessions, push to some", |l| {
        Box::pin(idle::run(l))
    }),
    server("pop3", "full download by POP3", |l| Box::pin(pop3::run(l))),
    server("tls-hs", "TLS handshakes until the greeting", |l| {
        Box::pin(tls::run(l))
    }),
    server("memory", "memory of the server as it is now", |_| {
        Box::pin(memory::run())
    }),
    Scenario {
        name: "dns",
        about: "a name server that knows only names beginning with sink",
        run: Run::Service(|l| Box::pin(dns::run(l))),
    },
    Scenario {
        name: "fsync",
        about: "how fast the disk makes writes durable",
        run: Run::Machine(fsync::run),
    },
    Scenario {
        name: "membw",
        about: "memory bandwidth of one core",
        run: Run::Machine(membw::run),
    },
];

const fn server(name: &'static str, about: &'static str, run: fn(Load) -> Running) -> Scenario {
    Scenario {
        name,
        about,
        run: Run::Server(run),
    }
}

/// What the server has used since `before`, and its memory now: every scenario's last fields.
fn server_cost(before: &Snapshot, operations: usize) -> Record {
    let after = Snapshot::take();
    Memory::of_server()
        .record()
        .and(after.since(before, operations.max(1) as f64))
}
