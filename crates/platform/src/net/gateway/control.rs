//! The control connection of the legacy gateway: it tells how it is, we tell what clients may use and hand over
//! clients. One task per connection; the newest connection is the one that counts.

use super::Inner;
use gateway_link::{
    Allowed, Decoded, Frame, HEAD_BYTES, PAYLOAD_BYTES_MAX, Status, decode, encode,
};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

/// Clients that wait to be handed over; more are refused at once.
const WAITING_CLIENTS_MAX: usize = 256;
/// How long the gateway may leave an order untaken.
const ORDER_TIME_MAX: Duration = Duration::from_secs(5);

/// What is known of the gateway that is connected.
#[derive(Debug)]
pub(super) struct Known {
    /// Tells connections apart.
    number: u64,
    /// Its library.
    pub(super) library: Box<str>,
    /// What it said last.
    pub(super) status: Option<Status>,
    /// Takes clients for it.
    pub(super) clients: mpsc::Sender<Client>,
}

/// A client's socket and the connection that stands for it.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) socket: OwnedFd,
    pub(super) link: OwnedFd,
}

/// Serves a control connection until it ends. `left` is what came behind its first frame.
pub(super) async fn serve(inner: Arc<Inner>, stream: UnixStream, library: Box<str>, left: Vec<u8>) {
    let (sender, clients) = mpsc::channel(WAITING_CLIENTS_MAX);
    let number = {
        let mut known = inner.known.lock().unwrap_or_else(PoisonError::into_inner);
        let number = known.as_ref().map_or(0, |before| before.number + 1);
        *known = Some(Known {
            number,
            library: library.clone(),
            status: None,
            clients: sender,
        });
        number
    };
    tracing::info!(%library, "legacy.gateway_connected");
    let ended = run(&inner, &stream, number, clients, left).await;
    let mut known = inner.known.lock().unwrap_or_else(PoisonError::into_inner);
    if known.as_ref().is_some_and(|known| known.number == number) {
        *known = None;
        let why = ended.err().map(|error| error.to_string());
        tracing::warn!(why, "legacy.gateway_gone");
    }
}

async fn run(
    inner: &Inner,
    stream: &UnixStream,
    number: u64,
    mut clients: mpsc::Receiver<Client>,
    mut incoming: Vec<u8>,
) -> io::Result<()> {
    let mut allowed = inner.allowed.subscribe();
    let now = *allowed.borrow_and_update();
    send(stream, &Frame::Allowed(now)).await?;
    loop {
        while let Some(status) = take_status(&mut incoming)? {
            note(inner, number, status)?;
        }
        tokio::select! {
            ready = stream.readable() => { ready?; read(stream, &mut incoming)?; }
            changed = allowed.changed() => {
                changed.map_err(io::Error::other)?;
                let now: Allowed = *allowed.borrow_and_update();
                send(stream, &Frame::Allowed(now)).await?;
            }
            client = clients.recv() => match client {
                Some(client) => {
                    // What was said before it came holds for it.
                    if allowed.has_changed().map_err(io::Error::other)? {
                        let now: Allowed = *allowed.borrow_and_update();
                        send(stream, &Frame::Allowed(now)).await?;
                    }
                    hand_over(stream, &client).await?;
                }
                // A newer connection took this one's place.
                None => return Ok(()),
            },
        }
    }
}

fn read(stream: &UnixStream, incoming: &mut Vec<u8>) -> io::Result<()> {
    match stream.try_read_buf(incoming) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(_) if incoming.len() > 2 * (HEAD_BYTES + PAYLOAD_BYTES_MAX) => {
            Err(io::Error::other("the gateway's status never ends"))
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}

/// The next status in what came.
fn take_status(incoming: &mut Vec<u8>) -> io::Result<Option<Status>> {
    let (status, used) = match decode(incoming).map_err(io::Error::other)? {
        Decoded::NeedMore => return Ok(None),
        Decoded::Frame {
            frame: Frame::Status(status),
            total_bytes,
        } => (status, total_bytes),
        Decoded::Frame { .. } => return Err(io::Error::other("not a frame for control")),
    };
    incoming.drain(..used);
    Ok(Some(status))
}

fn note(inner: &Inner, number: u64, status: Status) -> io::Result<()> {
    let mut known = inner.known.lock().unwrap_or_else(PoisonError::into_inner);
    match known.as_mut().filter(|known| known.number == number) {
        Some(known) => {
            known.status = Some(status);
            Ok(())
        }
        None => Err(io::Error::other("a newer connection took its place")),
    }
}

async fn send(stream: &UnixStream, frame: &Frame<'_>) -> io::Result<()> {
    let mut bytes = Vec::new();
    encode(frame, &mut bytes);
    let mut sent = 0;
    let all = async {
        while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
            stream.writable().await?;
            match stream.try_write(rest) {
                Ok(bytes) => sent += bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    };
    tokio::time::timeout(ORDER_TIME_MAX, all)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// Sends the frame `HandOver` with both descriptors (unix(7), SCM_RIGHTS).
async fn hand_over(stream: &UnixStream, client: &Client) -> io::Result<()> {
    let mut bytes = Vec::new();
    encode(&Frame::HandOver, &mut bytes);
    let both = [client.socket.as_fd(), client.link.as_fd()];
    let send = stream.async_io(Interest::WRITABLE, || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        rights.push(SendAncillaryMessage::ScmRights(&both));
        let pieces = [io::IoSlice::new(&bytes)];
        let sent = sendmsg(stream, &pieces, &mut rights, SendFlags::NOSIGNAL)?;
        // So few bytes go as a whole or not at all.
        if sent == bytes.len() {
            Ok(())
        } else {
            Err(io::Error::other("half a frame was sent"))
        }
    });
    tokio::time::timeout(ORDER_TIME_MAX, send)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}
