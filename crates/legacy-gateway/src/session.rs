//! One client: its bytes go to the core and come back, in clear or out of TLS; the handshake is done when it is due.
//! Ends at once when what the session uses is no longer allowed. Understands nothing of what is said.

use crate::link::{Link, Order};
use crate::recorder::Recorder;
use crate::tally::{Protection, Tally};
use crate::tls::{self, Contexts, Session};
use gateway_link::{Allowed, Cleartext, DATA_BYTES_MAX, Frame, Mode, Started, VersionSet, Waiting};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Semaphore, watch};

/// Bytes read of a client at a time.
const READ_BYTES: usize = 16 * 1024;
/// How long a client may leave one frame from the core untaken: as long as the core waits at most for what it sends.
/// Without it, whoever takes nothing would keep its place here after the core has given up.
pub(crate) const STALL_TIME_MAX: Duration = Duration::from_secs(5 * 60);
/// How long a client may take for TLS's goodbye.
const GOODBYE_TIME_MAX: Duration = Duration::from_secs(5);

/// What all clients share.
pub(crate) struct Shared {
    pub(crate) contexts: Contexts,
    /// What the settings allow, whatever the core says.
    pub(crate) versions: VersionSet,
    pub(crate) handshake_time_max: Duration,
    pub(crate) stall_time_max: Duration,
    /// One for each client, whichever way it came: there are descriptors for no more.
    pub(crate) places: Arc<Semaphore>,
    pub(crate) socket: PathBuf,
    pub(crate) allowed: watch::Sender<Allowed>,
    pub(crate) tally: Tally,
}

impl Shared {
    /// What clients may use now.
    fn versions_now(&self) -> VersionSet {
        self.allowed.borrow().versions.and(self.versions)
    }
}

/// Serves a client that came in here.
pub(crate) async fn serve(shared: Arc<Shared>, client: TcpStream, waiting: Waiting) {
    let served = async {
        let mut link = Link::over(UnixStream::connect(&shared.socket).await?);
        link.writer.send(&Frame::Client(waiting)).await?;
        match waiting.door.mode {
            Mode::ImplicitTls => encrypted(&shared, client, Vec::new(), link).await,
            Mode::StartTls => in_clear(&shared, client, link).await,
        }
    };
    if let Err(error) = served.await {
        tracing::debug!(%error, "client.ended");
    }
}

/// Serves a client that came to the core and was handed over.
pub(crate) async fn take_over(shared: Arc<Shared>, client: TcpStream, link: UnixStream) {
    let mut link = Link::over(link);
    let served = async {
        let first = link.reader.next();
        match tokio::time::timeout(GOODBYE_TIME_MAX, first).await {
            Ok(Ok(Order::TakeOver(hello))) => encrypted(&shared, client, hello, link).await,
            _ => Err(io::Error::other("the core handed nothing over")),
        }
    };
    if let Err(error) = served.await {
        tracing::debug!(%error, "client.ended");
    }
}

/// In clear, until STARTTLS or the end.
async fn in_clear(shared: &Shared, mut client: TcpStream, mut link: Link) -> io::Result<()> {
    let last = {
        let _counted = shared.tally.count(Protection::Clear);
        // Whoever is here when clear text ends must go; later ones come for STARTTLS.
        let forbidden = forbidden(shared, |before, now| {
            before.cleartext == Cleartext::Served && now.cleartext == Cleartext::Refused
        });
        tokio::select! {
            last = relay(&mut client, &mut link, shared.stall_time_max) => last?,
            () = forbidden => return Ok(()),
        }
    };
    let Some(last) = last else {
        return Ok(());
    };
    within(shared.stall_time_max, client.write_all(&last)).await?;
    encrypted(shared, client, Vec::new(), link).await
}

/// Does the handshake, tells the core of it, and serves the session. `first` was read from the client already.
async fn encrypted(
    shared: &Shared,
    client: TcpStream,
    first: Vec<u8>,
    mut link: Link,
) -> io::Result<()> {
    let versions = shared.versions_now();
    let Some(context) = shared.contexts.of(versions) else {
        let reason = "no TLS version is allowed";
        let hello = &first;
        return link.writer.send(&Frame::TlsFailed { reason, hello }).await;
    };
    let client = Recorder::new(client, first);
    let accepted = tokio::time::timeout(shared.handshake_time_max, tls::accept(context, client));
    let failure = match accepted.await {
        Ok(Ok(session)) => return session_of(shared, session, link).await,
        Ok(Err(failure)) => failure,
        Err(_) => tls::Failure {
            reason: "the client took too long".to_owned(),
            hello: Vec::new(),
        },
    };
    tracing::info!(reason = %failure.reason, "tls.handshake_failed");
    link.writer
        .send(&Frame::TlsFailed {
            reason: &failure.reason,
            hello: &failure.hello,
        })
        .await
}

async fn session_of(shared: &Shared, session: Session, mut link: Link) -> io::Result<()> {
    let Session {
        mut stream,
        version,
        cipher,
        server_name,
    } = session;
    let hello = stream.get_mut().take_recorded();
    let _counted = shared.tally.count(Protection::Tls(version));
    let forbidden = forbidden(shared, move |_, now| !now.versions.has(version));
    link.writer
        .send(&Frame::TlsStarted(Started {
            version,
            cipher,
            server_name: server_name.as_deref(),
            hello: &hello,
        }))
        .await?;
    drop((hello, server_name));
    tokio::select! {
        relayed = relay(&mut stream, &mut link, shared.stall_time_max) => match relayed? {
            None => {
                let _late = tokio::time::timeout(GOODBYE_TIME_MAX, stream.shutdown()).await;
                Ok(())
            }
            Some(_) => Err(io::Error::other("TLS was ordered twice")),
        },
        () = forbidden => {
            tracing::info!(version = version.word(), "session.dropped");
            Ok(())
        }
    }
}

/// Returns when `ends` says so of what was allowed before and what is now. Looks at once: what is no longer allowed
/// may have changed during the handshake.
async fn forbidden(shared: &Shared, ends: impl Fn(&Allowed, &Allowed) -> bool) {
    let mut allowed = shared.allowed.subscribe();
    let mut before = *allowed.borrow_and_update();
    if ends(&before, &before) {
        return;
    }
    while allowed.changed().await.is_ok() {
        let now = *allowed.borrow_and_update();
        if ends(&before, &now) {
            return;
        }
        before = now;
    }
}

/// Moves bytes both ways until the core ends the session (`None`) or orders TLS (the last bytes in clear). What cannot
/// be passed on makes the other side wait; a client that takes nothing for `stall_time_max` is gone.
async fn relay(
    client: &mut (impl AsyncRead + AsyncWrite + Unpin),
    link: &mut Link,
    stall_time_max: Duration,
) -> io::Result<Option<Vec<u8>>> {
    let Link { reader, writer } = link;
    let mut space = vec![0; READ_BYTES.min(DATA_BYTES_MAX)];
    let mut client_ended = false;
    loop {
        tokio::select! {
            order = reader.next() => match order? {
                Order::Data(bytes) => {
                    let passed_on = async {
                        client.write_all(&bytes).await?;
                        client.flush().await
                    };
                    within(stall_time_max, passed_on).await?;
                }
                Order::StartTls(last) => return Ok(Some(last)),
                Order::End | Order::Closed => return Ok(None),
                Order::TakeOver(_) => return Err(io::Error::other("this client is served already")),
            },
            read = client.read(&mut space), if !client_ended => match read {
                Ok(0) | Err(_) => {
                    client_ended = true;
                    writer.end().await?;
                }
                Ok(bytes) => {
                    writer.send(&Frame::Data(space.get(..bytes).unwrap_or_default())).await?;
                }
            },
        }
    }
}

/// What a client takes too long for fails.
async fn within<T>(time: Duration, io: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let timed = tokio::time::timeout(time, io).await;
    timed.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_takes_nothing_loses_its_place() {
        let (core, gateway) = UnixStream::pair().unwrap();
        let (mut client, _silent) = tokio::io::duplex(1024);
        let mut link = Link::over(gateway);
        let mut frame = Vec::new();
        gateway_link::encode(&Frame::Data(&[7; DATA_BYTES_MAX]), &mut frame);
        let mut core = core;
        core.write_all(&frame).await.unwrap();
        // The core has given up; its bytes are still on their way.
        drop(core);
        let relayed = relay(&mut client, &mut link, Duration::from_millis(50));
        let relayed = tokio::time::timeout(Duration::from_secs(10), relayed).await;
        let error = relayed.expect("it gives up, too").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
