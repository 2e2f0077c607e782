//! The control socket: how the CLI talks to a running node on the same machine. A line of JSON in,
//! a line of JSON out, over a Unix socket that only the node's own user can open.
//!
//! {"do":"refresh"}  {"do":"reload"}  {"do":"clock","to":MS}  {"do":"hold"}  {"do":"queue"}
//! {"do":"time"}

use crate::node::{Parts, own_socket};
use platform::clock::Timestamp;
use platform::store::StoreError;
use platform::tls::CertStore;
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// The socket in the data directory.
const SOCKET: &str = "control.sock";
/// Longest request.
const REQUEST_BYTES_MAX: u64 = 4096;
/// How long the CLI waits for an answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);

/// What the CLI asks of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum Request {
    /// Notice changes of the directory and the policy at once.
    Refresh,
    /// Read certificates again.
    Reload,
    /// Set the clock of a demo or test run.
    Clock {
        /// Milliseconds since 1970.
        to: i64,
    },
    /// Remove no segment until this connection closes (a backup is under way).
    Hold,
    /// Look through the queue now.
    Queue,
    /// Tell the node's time, in milliseconds since 1970.
    Time,
}

/// What the node answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// Whether it was done.
    pub ok: bool,
    /// What was done, or why not, in words.
    pub text: String,
}

/// Where the socket of a data directory is.
pub(crate) fn socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join(SOCKET)
}

/// Binds the socket; the future serves it.
///
/// # Errors
/// Where the socket cannot be bound.
pub(crate) fn listen(
    parts: &Parts,
    certificates: Arc<CertStore>,
) -> std::io::Result<impl Future<Output = ()> + use<>> {
    let listener = own_socket::bind(&parts.settings.data_dir, SOCKET)?;
    let parts = parts.clone();
    Ok(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (parts, certificates) = (parts.clone(), certificates.clone());
                    tokio::spawn(async move {
                        if let Err(error) = serve(stream, &parts, &certificates).await {
                            tracing::debug!(%error, "control.connection_failed");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "control.accept_failed");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    })
}

async fn serve(stream: UnixStream, parts: &Parts, certificates: &CertStore) -> std::io::Result<()> {
    let (input, mut output) = stream.into_split();
    let mut line = String::new();
    let mut input = tokio::io::BufReader::new(input.take(REQUEST_BYTES_MAX));
    input.read_line(&mut line).await?;
    let request = serde_json::from_str::<Request>(&line);
    let held = matches!(request, Ok(Request::Hold)).then(|| parts.holds.hold());
    let answer = match request {
        Ok(request) => carry_out(request, parts, certificates).await,
        Err(error) => Answer {
            ok: false,
            text: format!("not a request: {error}"),
        },
    };
    let mut bytes = serde_json::to_vec(&answer)?;
    bytes.push(b'\n');
    output.write_all(&bytes).await?;
    if held.is_some() {
        // The hold ends when the other side closes.
        let _ = input.read_line(&mut line).await;
    }
    Ok(())
}

async fn carry_out(request: Request, parts: &Parts, certificates: &CertStore) -> Answer {
    let done = |text: &str| Answer {
        ok: true,
        text: text.to_owned(),
    };
    match request {
        Request::Refresh => match refresh(parts).await {
            Ok(()) => done("the directory and the policy are up to date"),
            Err(error) => Answer {
                ok: false,
                text: error.to_string(),
            },
        },
        Request::Reload => reload(certificates),
        Request::Clock { to } if parts.clock.set(Timestamp(to)) => done("the clock was set"),
        Request::Clock { .. } => Answer {
            ok: false,
            text: "this node runs on the machine's clock; only a demo started with --clock can \
                   be moved"
                .to_owned(),
        },
        Request::Hold => done("no segment is removed while this connection is open"),
        Request::Queue => {
            parts.queue.wake();
            done("the queue is looked through")
        }
        Request::Time => done(&parts.clock.now().0.to_string()),
    }
}

async fn refresh(parts: &Parts) -> Result<(), StoreError> {
    parts.directory.refresh().await?;
    parts.signing.refresh().await?;
    parts.policies.refresh().await
}

/// Reads certificates again and logs what could not be used.
pub(crate) fn reload(certificates: &CertStore) -> Answer {
    let report = certificates.reload();
    for problem in &report.kept {
        tracing::error!(%problem, "tls.certificate_kept");
    }
    let problems: Vec<_> = report.kept.iter().map(ToString::to_string).collect();
    let text = format!("{} certificates are served", report.served);
    if problems.is_empty() {
        return Answer { ok: true, text };
    }
    Answer {
        ok: false,
        text: format!("{text}; old ones stay because of: {}", problems.join("; ")),
    }
}

/// Asks the node of `data_dir`; `None` where none runs there.
///
/// # Errors
/// Where the socket is there but the answer is not.
pub(crate) fn ask(data_dir: &Path, request: &Request) -> std::io::Result<Option<Answer>> {
    let Some(stream) = connect(data_dir) else {
        return Ok(None);
    };
    exchange(&stream, request).map(Some)
}

/// Keeps segments from being removed as long as the value lives; `None` where no node runs.
///
/// # Errors
/// Where the node does not answer.
pub(crate) fn hold(data_dir: &Path) -> std::io::Result<Option<std::os::unix::net::UnixStream>> {
    let Some(stream) = connect(data_dir) else {
        return Ok(None);
    };
    exchange(&stream, &Request::Hold)?;
    Ok(Some(stream))
}

fn connect(data_dir: &Path) -> Option<std::os::unix::net::UnixStream> {
    std::os::unix::net::UnixStream::connect(socket_path(data_dir)).ok()
}

fn exchange(
    mut stream: &std::os::unix::net::UnixStream,
    request: &Request,
) -> std::io::Result<Answer> {
    stream.set_read_timeout(Some(ANSWER_TIME_MAX))?;
    let mut bytes = serde_json::to_vec(request)?;
    bytes.push(b'\n');
    stream.write_all(&bytes)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    serde_json::from_str(&line).map_err(std::io::Error::other)
}
