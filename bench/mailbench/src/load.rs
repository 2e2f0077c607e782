//! What all workers of a run share: options, TLS settings, counters; and how workers are started.
//! One thread, so the counters are cells.

use std::cell::{Cell, RefCell};
use std::io::{Error, Result};
use std::rc::Rc;
use std::sync::Arc;

use rustls::ClientConfig;

use crate::client_tls::{self, Sessions, Version};
use crate::connection::Connection;
use crate::latency::Latencies;
use crate::options::Options;

/// Password of all bench accounts.
const PASSWORD: &str = "pw-Bench-4711";
/// Errors that are printed; the others are only counted.
const ERRORS_PRINTED_MAX: usize = 5;

/// Shared by all workers; a clone is the same load.
#[derive(Clone)]
pub(crate) struct Load {
    /// The command line.
    pub(crate) options: Rc<Options>,
    /// Client settings of all TLS connections.
    pub(crate) tls: Arc<ClientConfig>,
    /// What the workers count.
    pub(crate) tally: Rc<Tally>,
}

/// Counters of a run.
#[derive(Default)]
pub(crate) struct Tally {
    /// Latency of the scenario's operation.
    pub(crate) latencies: RefCell<Latencies>,
    /// Operations handed to workers.
    pub(crate) started: Cell<usize>,
    /// Operations that failed.
    pub(crate) errors: Cell<usize>,
    /// Connections opened.
    pub(crate) connections: Cell<usize>,
    /// Connections whose TLS session was resumed.
    pub(crate) resumed: Cell<usize>,
    /// Bytes received, where the scenario counts them.
    pub(crate) received_bytes: Cell<u64>,
}

impl Load {
    /// A load as the command line says.
    pub(crate) fn new(options: Options) -> Result<Load> {
        let version = if options.flag("tls12") {
            Version::Tls12
        } else {
            Version::Tls13
        };
        let sessions = if options.flag("resume") {
            Sessions::Resumed
        } else {
            Sessions::Full
        };
        let tls = client_tls::config(version, sessions).map_err(Error::other)?;
        Ok(Load {
            options: Rc::new(options),
            tls,
            tally: Rc::default(),
        })
    }

    /// The number of the next operation, until `count` have been handed out.
    pub(crate) fn next(&self, count: usize) -> Option<usize> {
        let started = &self.tally.started;
        let number = started.get();
        (number < count).then(|| started.replace(number + 1))
    }

    /// Address of the account with this number.
    pub(crate) fn user(&self, number: usize) -> String {
        let base = self.options.number("user-base", 0);
        format!(
            "u{:04}@{}",
            number + base,
            self.options.text("domain", "bench.test")
        )
    }

    /// The accounts' password.
    pub(crate) fn password(&self) -> String {
        self.options.text("pw", PASSWORD)
    }

    /// Counts a failed operation; prints the first few.
    pub(crate) fn failed(&self, error: &Error) {
        let errors = self.tally.errors.get() + 1;
        self.tally.errors.set(errors);
        if errors <= ERRORS_PRINTED_MAX {
            eprintln!("error: {error}");
        }
    }

    /// Counts a connection that is ready for work.
    pub(crate) fn connected(&self, connection: &Connection) {
        self.note_resumption(connection);
        self.tally.connections.set(self.tally.connections.get() + 1);
    }

    /// Counts the connection if its TLS session was resumed.
    pub(crate) fn note_resumption(&self, connection: &Connection) {
        if connection.is_resumed() {
            self.tally.resumed.set(self.tally.resumed.get() + 1);
        }
    }
}

/// Runs `workers` workers at the same time until all have ended.
pub(crate) async fn in_parallel<W>(workers: usize, worker: impl Fn(usize) -> W)
where
    W: Future<Output = ()> + 'static,
{
    let tasks: Vec<_> = (0..workers)
        .map(|w| tokio::task::spawn_local(worker(w)))
        .collect();
    for task in tasks {
        if let Err(error) = task.await {
            eprintln!("error: a worker ended early: {error}");
        }
    }
}
