//! Accepts connections on one address: counts them against the limits, believes the PROXY header of trusted proxies,
//! does the TLS handshake where it comes first, and hands the rest to the protocol's session.
//! An error in one connection never ends the accept loop; called by the wiring, once per listener.

use crate::net::proxy::{self, Parsed};
use crate::net::{
    ConnectionLimits, Deadline, LimitReached, Network, Permit, Shutdown, Stream, StreamError,
};
use crate::tls::{HandshakeError, HandshakeFailure, ServerTls};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// How many connections may wait in the kernel to be accepted.
const BACKLOG: i32 = 1024;
/// Silence after which the kernel asks a peer whether it is there; well within the two hours of
/// some firewalls and rare enough for phones.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(5 * 60);
/// How often it asks again where no answer comes.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(60);
/// The first pause after the process ran out of descriptors or memory; it doubles up to `ACCEPT_PAUSE_MAX`.
const ACCEPT_PAUSE_MIN: Duration = Duration::from_millis(10);
/// The longest pause.
const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// When TLS begins. There is no mode without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// With the first byte (RFC 8314 §3).
    ImplicitTls,
    /// With a command of the protocol.
    StartTls,
}

/// What is spoken, to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// SMTP for other servers (RFC 5321).
    Mx,
    /// SMTP for other servers, which must start TLS before they bring mail.
    SecureMx,
    /// SMTP for customers (RFC 6409).
    Submission,
    /// IMAP.
    Imap,
    /// POP3.
    Pop3,
    /// ManageSieve (RFC 5804).
    ManageSieve,
    /// HTTP.
    Http,
}

/// Which way a connection came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Door {
    /// A listener of this program; also where the legacy gateway does the TLS of an old client for it.
    Normal,
    /// A listener of the legacy gateway.
    Legacy,
}

impl Door {
    /// The word in the store and in logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Legacy => "legacy",
        }
    }

    /// The door with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        let doors = [Self::Normal, Self::Legacy];
        doors.into_iter().find(|door| door.word() == word)
    }
}

/// A listener as configured.
#[derive(Debug, Clone)]
pub struct ListenerSpec {
    /// Address and port. `[::]` takes IPv4 too.
    pub address: SocketAddr,
    /// When TLS begins.
    pub mode: Mode,
    /// What is spoken.
    pub role: Role,
    /// The name of its TLS profile; for logs and rules.
    pub profile: String,
    /// Proxies that begin each connection with a PROXY header (version 2). From these the header is required;
    /// from everyone else it is never interpreted.
    pub proxy_from: Vec<Network>,
    /// How long a client may take for its PROXY header and TLS handshake together.
    pub handshake_timeout: Duration,
}

/// What the log and the statistics should hear about. Sessions report what happens in their part with
/// `Connection::report`.
#[derive(Debug)]
pub enum Event<'a> {
    /// A connection was turned away.
    Refused(LimitReached),
    /// A client speaks TLS where it should not yet, or does not where it should: its port or mode is set wrong.
    WrongMode(WrongMode<'a>),
    /// The TLS handshake failed. `HandshakeError::hello` says what the client offered.
    HandshakeFailed(&'a HandshakeError),
    /// A trusted proxy sent no proper PROXY header.
    BadProxyHeader(&'static str),
    /// No connection could be accepted; the listener tries again.
    AcceptFailed(&'a io::Error),
}

/// Which way round the mode is wrong.
#[derive(Debug)]
pub enum WrongMode<'a> {
    /// A ClientHello came on a port that begins in clear; here it is, where it could be read.
    TlsOnClearPort(Option<&'a crate::tls::ClientHello>),
    /// Something else than TLS came on a port for TLS.
    ClearOnTlsPort,
}

/// Hears events. Must not block.
pub trait Observer: Send + Sync + 'static {
    /// `peer` is `None` where no connection is concerned.
    fn event(&self, spec: &ListenerSpec, peer: Option<SocketAddr>, event: &Event<'_>);
}

/// Writes events to the log.
#[derive(Debug, Default, Clone, Copy)]
pub struct LogObserver;

impl Observer for LogObserver {
    fn event(&self, spec: &ListenerSpec, peer: Option<SocketAddr>, event: &Event<'_>) {
        let peer = peer.map(|peer| peer.to_string()).unwrap_or_default();
        let (listener, role) = (spec.address, spec.role);
        match event {
            Event::AcceptFailed(e) => {
                tracing::warn!(%listener, "no connection could be accepted, trying again: {e}");
            }
            Event::HandshakeFailed(error) => {
                let offered = error.hello.as_deref();
                tracing::info!(
                    %listener, ?role, peer,
                    offered = offered.map(|hello| hello.offered_versions()),
                    fingerprint = offered.map(|hello| hello.fingerprint()),
                    "TLS handshake failed: {error}"
                );
            }
            other => tracing::info!(%listener, ?role, peer, "{other}"),
        }
    }
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(limit) => write!(f, "connection refused: {limit}"),
            Self::WrongMode(WrongMode::TlsOnClearPort(_)) => f.write_str(
                "wrong mode: the client starts TLS at once; set it to STARTTLS or to the port for TLS",
            ),
            Self::WrongMode(WrongMode::ClearOnTlsPort) => f.write_str(
                "wrong mode: the client does not start TLS; set it to SSL/TLS or to the port for STARTTLS",
            ),
            Self::HandshakeFailed(error) => write!(f, "TLS handshake failed: {error}"),
            Self::BadProxyHeader(reason) => write!(f, "bad PROXY header: {reason}"),
            Self::AcceptFailed(e) => write!(f, "no connection could be accepted: {e}"),
        }
    }
}

/// A connection as handed to a session: after the handshake in mode `ImplicitTls`, before any byte in `StartTls`.
pub struct Connection {
    /// The bytes.
    pub stream: Stream,
    /// The listener it came in on.
    pub spec: Arc<ListenerSpec>,
    /// Whether that is one of ours or one of the legacy gateway's.
    pub door: Door,
    /// For `Stream::start_tls`.
    pub tls: ServerTls,
    /// Becomes requested when the server wants to stop.
    pub shutdown: Shutdown,
    observer: Arc<dyn Observer>,
    _permit: Permit,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("spec", &self.spec)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl Connection {
    pub(crate) fn new(
        stream: Stream,
        spec: Arc<ListenerSpec>,
        door: Door,
        tls: ServerTls,
        shutdown: Shutdown,
        observer: Arc<dyn Observer>,
        permit: Permit,
    ) -> Self {
        Self {
            stream,
            spec,
            door,
            tls,
            shutdown,
            observer,
            _permit: permit,
        }
    }

    /// Tells the log and the statistics.
    pub fn report(&self, event: &Event<'_>) {
        self.observer
            .event(&self.spec, Some(self.stream.peer()), event);
    }
}

/// A protocol's session. Implemented by every `Fn(Connection) -> impl Future<Output = ()>`.
pub trait Handler: Send + Sync + 'static {
    /// Serves one connection to its end.
    fn serve(&self, connection: Connection) -> impl Future<Output = ()> + Send;
}

impl<F, R> Handler for F
where
    F: Fn(Connection) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send,
{
    fn serve(&self, connection: Connection) -> impl Future<Output = ()> + Send {
        self(connection)
    }
}

/// A bound listener. `serve` runs it.
pub struct Listener {
    socket: TcpListener,
    shared: Arc<Shared>,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("spec", &self.shared.spec)
            .finish_non_exhaustive()
    }
}

/// What all connections of a listener share.
struct Shared {
    spec: Arc<ListenerSpec>,
    tls: ServerTls,
    limits: Arc<ConnectionLimits>,
    shutdown: Shutdown,
    observer: Arc<dyn Observer>,
    /// Tells this listener apart from others in `limits`.
    number: usize,
}

impl Listener {
    /// Binds the address. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Where the address is taken or not ours, or the port needs a privilege.
    pub fn bind(
        spec: ListenerSpec,
        tls: ServerTls,
        limits: Arc<ConnectionLimits>,
        shutdown: Shutdown,
        observer: Arc<dyn Observer>,
    ) -> io::Result<Self> {
        let socket = bind(spec.address)?;
        let port = socket.local_addr()?.port();
        Ok(Self {
            socket,
            shared: Arc::new(Shared {
                number: limits.register_listener(),
                spec: Arc::new(ListenerSpec {
                    address: SocketAddr::new(spec.address.ip(), port),
                    ..spec
                }),
                tls,
                limits,
                shutdown,
                observer,
            }),
        })
    }

    /// Address and port; the real one where port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.shared.spec.address
    }

    /// Accepts connections until shutdown is requested. Sessions that run by then run on.
    pub async fn serve<H: Handler>(self, handler: Arc<H>) {
        let Self { socket, shared } = self;
        let shutdown = shared.shutdown.clone();
        let mut stop = std::pin::pin!(shutdown.requested());
        let mut pause = ACCEPT_PAUSE_MIN;
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                () = &mut stop => return,
            };
            match accepted {
                Ok((socket, peer)) => {
                    pause = ACCEPT_PAUSE_MIN;
                    shared.welcome(socket, peer, &handler);
                }
                Err(e) => {
                    let observer = &shared.observer;
                    observer.event(&shared.spec, None, &Event::AcceptFailed(&e));
                    // What concerns one connection only (ECONNABORTED and the like) is over already.
                    if !concerns_one_connection(&e) {
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(ACCEPT_PAUSE_MAX);
                    }
                }
            }
        }
    }
}

fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// Lets the kernel notice peers that are gone (a closed laptop), so that an IDLE session does not
/// last for half an hour after its client. Where that cannot be set, the idle limits remain.
fn keep_alive(socket: &TcpStream) {
    let probes = socket2::TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_EVERY);
    let _ = socket2::SockRef::from(socket).set_tcp_keepalive(&probes);
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

impl Shared {
    /// Starts a task for a new connection, or turns it away at once, which costs less than a task.
    fn welcome<H: Handler>(
        self: &Arc<Self>,
        socket: TcpStream,
        peer: SocketAddr,
        handler: &Arc<H>,
    ) {
        keep_alive(&socket);
        let stream = match Stream::accepted(socket, peer) {
            Ok(stream) => stream,
            // The client is gone again.
            Err(_) => return,
        };
        let proxies = &self.spec.proxy_from;
        let is_proxy = proxies.iter().any(|proxy| proxy.contains(peer.ip()));
        let permit = if is_proxy {
            None
        } else {
            match self.admit(&stream) {
                Some(permit) => Some(permit),
                None => return,
            }
        };
        let shared = Arc::clone(self);
        let handler = Arc::clone(handler);
        tokio::spawn(async move {
            if let Some(connection) = shared.prepare(stream, permit).await {
                drop(shared);
                handler.serve(connection).await;
            }
        });
    }

    /// Everything before the session: PROXY header, limits, TLS.
    async fn prepare(&self, mut stream: Stream, permit: Option<Permit>) -> Option<Connection> {
        let deadline = Deadline::after(self.spec.handshake_timeout);
        let permit = match permit {
            Some(permit) => permit,
            None => {
                if let Err(reason) = read_proxy_header(&mut stream, deadline).await {
                    self.report(&stream, &Event::BadProxyHeader(reason));
                    return None;
                }
                self.admit(&stream)?
            }
        };
        if self.spec.mode == Mode::ImplicitTls
            && let Err(error) = stream.accept_tls(&self.tls, deadline).await
        {
            let event = match is_silent(&stream, &error) && self.spec.role.speaks_first() {
                // Whoever waits for a greeting does not know that it has to begin.
                true => Event::WrongMode(WrongMode::ClearOnTlsPort),
                false => Event::of_implicit_handshake(&error),
            };
            if matches!(event, Event::WrongMode(_)) {
                stream.try_send_now(self.spec.role.tls_first_line().as_bytes());
            }
            self.report(&stream, &event);
            return None;
        }
        Some(Connection::new(
            stream,
            Arc::clone(&self.spec),
            Door::Normal,
            self.tls.clone(),
            self.shutdown.clone(),
            Arc::clone(&self.observer),
            permit,
        ))
    }

    /// Counts the connection, or tells its client why not.
    fn admit(&self, stream: &Stream) -> Option<Permit> {
        match self.limits.admit(self.number, stream.peer().ip()) {
            Ok(permit) => Some(permit),
            Err(limit) => {
                if self.spec.mode == Mode::StartTls {
                    stream.try_send_now(self.spec.role.busy_line(limit).as_bytes());
                }
                self.report(stream, &Event::Refused(limit));
                None
            }
        }
    }

    fn report(&self, stream: &Stream, event: &Event<'_>) {
        self.observer.event(&self.spec, Some(stream.peer()), event);
    }
}

impl<'a> Event<'a> {
    /// The event that a handshake is which failed after STARTTLS.
    pub fn of_handshake(error: &'a HandshakeError) -> Self {
        Self::HandshakeFailed(error)
    }

    /// The same where TLS comes first: whoever speaks in clear there has the wrong mode or port.
    pub(crate) fn of_implicit_handshake(error: &'a HandshakeError) -> Self {
        match error.failure {
            HandshakeFailure::NotTls => Self::WrongMode(WrongMode::ClearOnTlsPort),
            _ => Self::HandshakeFailed(error),
        }
    }
}

/// Whether a peer stayed there without a byte until its time was over.
fn is_silent(stream: &Stream, error: &HandshakeError) -> bool {
    let timed_out = matches!(
        error.failure,
        HandshakeFailure::Stream(StreamError::TimedOut)
    );
    timed_out && error.hello.is_none() && stream.buffer().is_empty()
}

impl Role {
    /// Whether clients wait for a greeting of ours.
    fn speaks_first(self) -> bool {
        self != Self::Http
    }

    /// What a client reads that does not begin with TLS where it must, in its own protocol.
    fn tls_first_line(self) -> String {
        let text = "This port is for SSL/TLS from the first byte. Set the connection security in your mail \
                    program to SSL/TLS, or use the port for STARTTLS";
        match self {
            Self::Mx | Self::SecureMx | Self::Submission => format!("554 5.7.0 {text} (587)\r\n"),
            Self::Imap => format!("* BYE {text} (143)\r\n"),
            Self::Pop3 => format!("-ERR [SYS/PERM] {text} (110)\r\n"),
            Self::ManageSieve => format!("BYE \"{text}\"\r\n"),
            Self::Http => {
                "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nUse https.\r\n".to_owned()
            }
        }
    }

    /// What a client that is turned away reads, in its own protocol.
    pub(crate) fn busy_line(self, limit: LimitReached) -> String {
        let text = match limit {
            LimitReached::Address(_) => {
                "Too many connections from your address; close some and try again in a minute"
            }
            LimitReached::Total(_) | LimitReached::Listener(_) => {
                "This server has too many connections right now; try again in a minute"
            }
        };
        match self {
            Self::Mx | Self::SecureMx | Self::Submission => format!("421 4.7.0 {text}\r\n"),
            Self::Imap => format!("* BYE [UNAVAILABLE] {text}\r\n"),
            Self::Pop3 => format!("-ERR [SYS/TEMP] {text}\r\n"),
            Self::ManageSieve => format!("BYE (TRYLATER) \"{text}\"\r\n"),
            Self::Http => {
                "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 60\r\nConnection: close\r\n\r\n"
                    .to_owned()
            }
        }
    }
}

/// Reads and consumes the header and takes the addresses over.
async fn read_proxy_header(stream: &mut Stream, deadline: Deadline) -> Result<(), &'static str> {
    loop {
        match proxy::parse(stream.buffer()) {
            Parsed::Header {
                total_bytes,
                header,
            } => {
                stream.consume(total_bytes);
                if let Some(addresses) = header.addresses {
                    stream.set_addresses(addresses.source, addresses.destination);
                }
                return Ok(());
            }
            Parsed::NeedMore => {}
            Parsed::NotProxy => return Err("the connection does not begin with one"),
            Parsed::Bad(reason) => return Err(reason),
        }
        match stream.fill_preamble(deadline).await {
            Ok(()) => {}
            Err(StreamError::TimedOut) => return Err("it did not come in time"),
            Err(_) => return Err("the connection ended before it"),
        }
    }
}
