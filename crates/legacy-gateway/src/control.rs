//! The control connection to the core: orders come (what is allowed, clients that are handed over), status goes. As
//! long as there is none nothing is allowed.

use crate::session::{self, Shared};
use gateway_link::{
    Allowed, Cleartext, Decoded, Door, Frame, LINK_VERSION, PAYLOAD_BYTES_MAX, Status, VersionSet,
    decode, encode,
};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};
use std::collections::VecDeque;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

/// How often the core is told how it is here.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// Pause before the core is looked for again.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Nothing.
pub(crate) const NOTHING: Allowed = Allowed {
    versions: VersionSet::NONE,
    cleartext: Cleartext::Refused,
};
/// Descriptors that may wait for their frame.
const DESCRIPTORS_MAX: usize = 8;

/// Keeps a control connection for ever.
pub(crate) async fn run(shared: Arc<Shared>, doors: Vec<Door>) {
    let mut told = false;
    loop {
        match connected(&shared, &doors).await {
            Ok(()) => {}
            Err(error) if !told => {
                tracing::warn!(%error, socket = %shared.socket.display(), "core.not_connected");
                told = true;
            }
            Err(_) => {}
        }
        if shared.allowed.send_if_modified(|allowed| {
            let had = *allowed != NOTHING;
            *allowed = NOTHING;
            had
        }) {
            tracing::warn!("core.gone");
            told = false;
        }
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

async fn connected(shared: &Arc<Shared>, doors: &[Door]) -> io::Result<()> {
    let stream = UnixStream::connect(&shared.socket).await?;
    send(
        &stream,
        &Frame::Control {
            link_version: LINK_VERSION,
            library: openssl::version::version(),
        },
    )
    .await?;
    let mut incoming = Incoming::default();
    let mut tick = tokio::time::interval(STATUS_EVERY);
    loop {
        while let Some(order) = incoming.next()? {
            match order {
                Order::Allowed(allowed) => {
                    tracing::info!(
                        versions = %allowed.versions,
                        cleartext = ?allowed.cleartext,
                        "core.allows"
                    );
                    shared.allowed.send_replace(allowed);
                    tick.reset_immediately();
                }
                Order::HandOver { client, link } => hand_over(shared, client, link)?,
            }
        }
        tokio::select! {
            read = incoming.read(&stream) => read?,
            _ = tick.tick() => {
                let status = Status {
                    allowed: *shared.allowed.borrow(),
                    sessions: shared.tally.now(),
                    doors: doors.to_vec(),
                };
                send(&stream, &Frame::Status(status)).await?;
            }
        }
    }
}

/// Serves a client of the core. What the core hands over is its own: a broken descriptor ends the connection.
fn hand_over(shared: &Arc<Shared>, client: OwnedFd, link: OwnedFd) -> io::Result<()> {
    // Past the limit descriptors would be lost on the way, and with them which belong together.
    let Ok(place) = shared.places.clone().try_acquire_owned() else {
        tracing::warn!("client.no_place");
        return Ok(());
    };
    // Both are non-blocking already, which is what they share with the core's handles.
    let client = TcpStream::from_std(std::net::TcpStream::from(client))?;
    let link = UnixStream::from_std(std::os::unix::net::UnixStream::from(link))?;
    let shared = shared.clone();
    tokio::spawn(async move {
        session::take_over(shared, client, link).await;
        drop(place);
    });
    Ok(())
}

async fn send(stream: &UnixStream, frame: &Frame<'_>) -> io::Result<()> {
    let mut bytes = Vec::new();
    encode(frame, &mut bytes);
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        stream.writable().await?;
        match stream.try_write(rest) {
            Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

enum Order {
    Allowed(Allowed),
    HandOver { client: OwnedFd, link: OwnedFd },
}

/// What came and was not acted on.
#[derive(Default)]
struct Incoming {
    bytes: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
}

impl Incoming {
    fn next(&mut self) -> io::Result<Option<Order>> {
        let (order, used) = match decode(&self.bytes).map_err(io::Error::other)? {
            Decoded::NeedMore => return Ok(None),
            Decoded::Frame {
                frame: Frame::Allowed(allowed),
                total_bytes,
            } => (Order::Allowed(allowed), total_bytes),
            Decoded::Frame {
                frame: Frame::HandOver,
                total_bytes,
            } => {
                let (client, link) = (self.descriptors.pop_front(), self.descriptors.pop_front());
                let (Some(client), Some(link)) = (client, link) else {
                    return Err(io::Error::other(
                        "a client was handed over without its socket",
                    ));
                };
                (Order::HandOver { client, link }, total_bytes)
            }
            Decoded::Frame { .. } => return Err(io::Error::other("not an order")),
        };
        self.bytes.drain(..used);
        Ok(Some(order))
    }

    /// One read, with the descriptors that come with it (unix(7), SCM_RIGHTS).
    async fn read(&mut self, stream: &UnixStream) -> io::Result<()> {
        if self.bytes.len() > 2 * PAYLOAD_BYTES_MAX || self.descriptors.len() > DESCRIPTORS_MAX {
            return Err(io::Error::other("the core's orders never end"));
        }
        stream
            .async_io(Interest::READABLE, || {
                let mut space = [0; 4096];
                let mut rights = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
                let mut rights = RecvAncillaryBuffer::new(&mut rights);
                let mut pieces = [io::IoSliceMut::new(&mut space)];
                let flags = RecvFlags::CMSG_CLOEXEC;
                let received = recvmsg(stream, &mut pieces, &mut rights, flags)?;
                for message in rights.drain() {
                    if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                        self.descriptors.extend(descriptors);
                    }
                }
                if received.bytes == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                if received.flags.contains(ReturnFlags::CTRUNC) {
                    return Err(io::Error::other("descriptors were lost on the way"));
                }
                let read = space.get(..received.bytes).unwrap_or_default();
                self.bytes.extend_from_slice(read);
                Ok(())
            })
            .await
    }
}
