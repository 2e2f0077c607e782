//! The core's side of the legacy gateway: a Unix socket that only one user may connect to. Each of its clients'
//! connections comes as a connection of its own and is served like every other, with its real addresses and the
//! facts of its TLS session; one more carries status and orders. Holds no TLS older than 1.2, and decides
//! nothing: what clients may use and who is handed over is told. Called by the wiring and by `Stream`.

mod control;
mod link;
#[cfg(test)]
mod tests;

pub(crate) use link::{Heard, Link, Shake, wrap};

use crate::net::listener::{Connection, Handler, ListenerSpec, Observer};
use crate::net::{ConnectionLimits, Deadline, Door, Event, Mode, Permit, Role, Shutdown, Stream};
use crate::tls::{ClientHello, ServerTls};
use control::{Client, Known};
use gateway_link::{Allowed, Decoded, Frame, LINK_VERSION, Protocol, Status, Waiting, decode};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

/// How long the gateway may take for the first frame of a connection.
const FIRST_FRAME_TIME_MAX: Duration = Duration::from_secs(5);

/// Whether and how an old client of one of our own listeners is served: its socket goes to the gateway, which does
/// the TLS. Given to a listener within its `ServerTls`.
pub trait OlderTls: Send + Sync + fmt::Debug {
    /// Takes `client`, which sent `hello` and came to `local`; gives the connection that stands for it.
    /// `None`: it is refused, as TLS below 1.2 is everywhere else.
    fn take_over(
        &self,
        client: BorrowedFd<'_>,
        hello: &ClientHello,
        local: SocketAddr,
    ) -> Option<StdUnixStream>;
}

/// The gateway as the rest of the program sees it. Cheap to clone; all clones are the same one.
#[derive(Debug, Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    allowed: watch::Sender<Allowed>,
    known: Mutex<Option<Known>>,
}

/// What the gateway says of itself.
#[derive(Debug, Clone)]
pub struct GatewayState {
    /// Its TLS library with version and date.
    pub library: Box<str>,
    /// What it said last; `None` in its first second.
    pub status: Option<Status>,
}

impl Gateway {
    /// A gateway that is not connected yet. `allowed` is what its clients may use.
    pub fn new(allowed: Allowed) -> Self {
        Self {
            inner: Arc::new(Inner {
                allowed: watch::Sender::new(allowed),
                known: Mutex::new(None),
            }),
        }
    }

    /// What it says of itself; `None` where none is connected.
    pub fn state(&self) -> Option<GatewayState> {
        let known = self.inner.known.lock();
        let known = known.unwrap_or_else(PoisonError::into_inner);
        known.as_ref().map(|known| GatewayState {
            library: known.library.clone(),
            status: known.status.clone(),
        })
    }

    /// Says what clients may use from now on; sessions that use anything else are ended.
    pub fn allow(&self, allowed: Allowed) {
        self.inner.allowed.send_if_modified(|before| {
            let changed = *before != allowed;
            *before = allowed;
            changed
        });
    }

    /// What clients may use.
    pub fn allowed(&self) -> Allowed {
        *self.inner.allowed.borrow()
    }

    /// Gives `client` to the gateway, for `OlderTls`; it knows by then what `allow` said before. `None` where none is
    /// connected or it is too busy.
    pub fn take_over(&self, client: BorrowedFd<'_>) -> Option<StdUnixStream> {
        let known = self.inner.known.lock();
        let known = known.unwrap_or_else(PoisonError::into_inner);
        let clients = &known.as_ref()?.clients;
        let place = clients.try_reserve().ok()?;
        let (ours, theirs) = StdUnixStream::pair().ok()?;
        ours.set_nonblocking(true).ok()?;
        theirs.set_nonblocking(true).ok()?;
        place.send(Client {
            socket: client.try_clone_to_owned().ok()?,
            link: theirs.into(),
        });
        Some(ours)
    }
}

/// Who may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewayUser(pub u32);

/// What connections of the gateway need, as those of a `Listener` do.
#[derive(Clone)]
pub struct GatewayParts {
    /// For `Connection::tls`; the gateway itself does the TLS.
    pub tls: ServerTls,
    /// Connections are counted here, by the clients' addresses.
    pub limits: Arc<ConnectionLimits>,
    /// As in a listener.
    pub shutdown: Shutdown,
    /// As in a listener.
    pub observer: Arc<dyn Observer>,
    /// How long a client may take for its TLS handshake.
    pub handshake_timeout: Duration,
}

impl fmt::Debug for GatewayParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayParts").finish_non_exhaustive()
    }
}

/// The bound Unix socket. `serve` runs it.
#[derive(Debug)]
pub struct GatewayListener {
    socket: UnixListener,
    user: GatewayUser,
    gateway: Gateway,
    parts: GatewayParts,
    /// Tells the gateway apart from listeners in the limits.
    number: usize,
}

impl GatewayListener {
    /// Binds `path`, in place of a socket that is left there. Must be called within a tokio runtime. Anybody may open the
    /// socket's file, but only `user` (and root) is spoken to.
    ///
    /// # Errors
    /// Where the folder is not there or not ours, or something else stands there.
    pub fn bind(
        path: &Path,
        user: GatewayUser,
        gateway: Gateway,
        parts: GatewayParts,
    ) -> io::Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        remove_left_socket(path)?;
        let socket = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
        Ok(Self {
            socket,
            user,
            gateway,
            number: parts.limits.register_listener(),
            parts,
        })
    }

    /// Accepts connections until shutdown is requested. Sessions that run by then run on.
    pub async fn serve<H: Handler>(self, handler: Arc<H>) {
        let shared = Arc::new(self);
        let shutdown = shared.parts.shutdown.clone();
        let mut stop = std::pin::pin!(shutdown.requested());
        loop {
            let accepted = tokio::select! {
                accepted = shared.socket.accept() => accepted,
                () = &mut stop => return,
            };
            match accepted {
                Ok((stream, _)) => shared.welcome(stream, &handler),
                Err(error) => {
                    tracing::warn!(%error, "legacy.accept_failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn welcome<H: Handler>(self: &Arc<Self>, stream: UnixStream, handler: &Arc<H>) {
        // SO_PEERCRED: who connected, whoever could open the file.
        let uid = stream.peer_cred().map(|credentials| credentials.uid());
        if !uid.is_ok_and(|uid| uid == self.user.0 || uid == 0) {
            tracing::warn!("legacy.stranger_on_the_socket");
            return;
        }
        let (shared, handler) = (self.clone(), handler.clone());
        tokio::spawn(async move {
            if let Some(connection) = shared.prepare(stream).await {
                drop(shared);
                handler.serve(connection).await;
            }
        });
    }

    /// Reads the first frame. A control connection is served here; a client's is made ready for its session.
    async fn prepare(&self, stream: UnixStream) -> Option<Connection> {
        let first = tokio::time::timeout(FIRST_FRAME_TIME_MAX, first_frame(&stream));
        let (first, left) = match first.await {
            Ok(Ok(first)) => first,
            Ok(Err(error)) => {
                tracing::warn!(%error, "legacy.connection_failed");
                return None;
            }
            Err(_) => return None,
        };
        match first {
            First::Control(library) => {
                let inner = self.gateway.inner.clone();
                control::serve(inner, stream, library, left).await;
                None
            }
            First::Client(waiting) => self.prepare_client(stream, waiting, left).await,
        }
    }

    async fn prepare_client(
        &self,
        stream: UnixStream,
        waiting: Waiting,
        left: Vec<u8>,
    ) -> Option<Connection> {
        let spec = Arc::new(self.spec(&waiting));
        let mut stream = Stream::of_gateway(stream, waiting.peer, waiting.door.local, left);
        let permit = self.admit(&mut stream, &spec)?;
        if spec.mode == Mode::ImplicitTls {
            let deadline = Deadline::after(self.parts.handshake_timeout);
            if let Err(error) = stream.accept_tls(&self.parts.tls, deadline).await {
                let event = Event::of_implicit_handshake(&error);
                self.report(&spec, &stream, &event);
                return None;
            }
        }
        Some(Connection::new(
            stream,
            spec,
            Door::Legacy,
            self.parts.tls.clone(),
            self.parts.shutdown.clone(),
            self.parts.observer.clone(),
            permit,
        ))
    }

    fn admit(&self, stream: &mut Stream, spec: &ListenerSpec) -> Option<Permit> {
        match self.parts.limits.admit(self.number, stream.peer().ip()) {
            Ok(permit) => Some(permit),
            Err(limit) => {
                if spec.mode == Mode::StartTls {
                    stream.try_send_now(spec.role.busy_line(limit).as_bytes());
                }
                self.report(spec, stream, &Event::Refused(limit));
                None
            }
        }
    }

    fn report(&self, spec: &ListenerSpec, stream: &Stream, event: &Event<'_>) {
        self.parts.observer.event(spec, Some(stream.peer()), event);
    }

    fn spec(&self, waiting: &Waiting) -> ListenerSpec {
        ListenerSpec {
            address: waiting.door.local,
            mode: match waiting.door.mode {
                gateway_link::Mode::ImplicitTls => Mode::ImplicitTls,
                gateway_link::Mode::StartTls => Mode::StartTls,
            },
            role: match waiting.door.protocol {
                Protocol::Submission => Role::Submission,
                Protocol::Imap => Role::Imap,
                Protocol::Pop3 => Role::Pop3,
            },
            profile: "legacy".to_owned(),
            proxy_from: Vec::new(),
            handshake_timeout: self.parts.handshake_timeout,
        }
    }
}

/// Removes the socket that a program left behind which did not end by itself.
fn remove_left_socket(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    match std::fs::symlink_metadata(path) {
        Ok(left) if left.file_type().is_socket() => std::fs::remove_file(path),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "something that is no socket stands there; give another path, or move it away",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// How a connection begins.
enum First {
    Control(Box<str>),
    Client(Waiting),
}

/// The first frame, and what came behind it.
async fn first_frame(stream: &UnixStream) -> io::Result<(First, Vec<u8>)> {
    let mut incoming = Vec::new();
    loop {
        if let Decoded::Frame { frame, total_bytes } =
            decode(&incoming).map_err(io::Error::other)?
        {
            let first = match frame {
                Frame::Control { link_version, .. } if link_version != LINK_VERSION => {
                    return Err(io::Error::other(
                        "the gateway is of another version than this program; update both",
                    ));
                }
                Frame::Control { library, .. } => First::Control(library.into()),
                Frame::Client(waiting) => First::Client(waiting),
                _ => {
                    return Err(io::Error::other(
                        "a connection does not begin with this frame",
                    ));
                }
            };
            incoming.drain(..total_bytes);
            return Ok((first, incoming));
        }
        stream.readable().await?;
        match stream.try_read_buf(&mut incoming) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}
