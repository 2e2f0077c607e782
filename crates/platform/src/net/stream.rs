//! One connection as a session sees it: bytes come in by `fill` and are consumed from `buffer`, replies are
//! gathered by `write` and leave by `flush`. Plain TCP and TLS look the same; `start_tls` changes from one to the other.
//! A client behind the legacy gateway looks the same, too; the gateway does its TLS.
//! Holds no buffer while it waits for an idle peer, and never waits past the deadline it is given.

use crate::net::gateway::{Link, wrap};
use crate::net::socket::Socket;
use crate::net::{Deadline, Line};
use crate::tls::client_hello::{self, ClientHello, Parsed};
use crate::tls::failure::{self, HandshakeError, HandshakeFailure};
use crate::tls::session::{Handshake, ReadError, SCRATCH, Session, Stage};
use crate::tls::{ClientTls, Demand, ServerTls, TlsFacts};
use gateway_link::{Frame, encode};
use std::future::{Future as _, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout_at;

mod face;
mod gateway;

pub use face::StreamIo;

/// Bytes asked of the socket at a time when the peer sends little.
const READ_BYTES_MIN: usize = 8 * 1024;
/// Bytes asked of the socket at a time when the last read was full.
const READ_BYTES_MAX: usize = 64 * 1024;
/// `fill` refuses to buffer more once this much lies unconsumed. One read may go past it, so a stream holds
/// at most this plus `READ_BYTES_MAX` of incoming bytes.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// `send` flushes when this much is gathered; also the size of the pieces in which large bodies are encrypted.
const GATHER_BYTES_MAX: usize = 32 * 1024;
/// Buffers up to this size are kept between commands of a busy session.
const KEPT_BYTES_MAX: usize = 16 * 1024;

/// Why a stream could not read or write. After any of these but `LineTooLong` and `BufferFull`
/// the connection is of no further use.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The peer closed the connection.
    #[error("the peer closed the connection")]
    Closed,
    /// The deadline passed.
    #[error("the peer did not answer in time")]
    TimedOut,
    /// The line is longer than the session allows; `discard_line` skips it.
    #[error("the line is longer than {line_bytes_max} bytes")]
    LineTooLong {
        /// The session's limit.
        line_bytes_max: usize,
    },
    /// The session asked for more while it left 64 KiB unconsumed.
    #[error("more bytes were asked for while the read buffer is full")]
    BufferFull,
    /// The peer's first bytes on a connection in clear are a TLS handshake: its port or mode setting is wrong.
    #[error("the peer starts TLS at once, on a port that begins in clear")]
    TlsOnClearPort(Option<Box<ClientHello>>),
    /// The TLS session broke.
    #[error("the TLS session failed: {0}")]
    Tls(String),
    /// The address that a connection was to come from is not ours to use.
    #[error("this host cannot send from {address}: {error}")]
    SourceUnusable {
        /// The address.
        address: std::net::IpAddr,
        /// What the operating system says.
        error: io::Error,
    },
    /// The operating system reported an error.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What `start_tls` found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartedTls {
    /// Plaintext bytes that came after STARTTLS and were thrown away (RFC 3207 §4.2). Not zero means
    /// a broken client or an injection attempt.
    pub discarded_bytes: usize,
}

/// Which bytes a connection has had so far; decides whether a TLS greeting on a clear port is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Nothing,
    Something,
}

/// A connection. See the module's text.
#[derive(Debug)]
pub struct Stream {
    socket: Socket,
    peer: SocketAddr,
    local: SocketAddr,
    /// Bytes for the session; those before `start` are consumed.
    input: Vec<u8>,
    start: usize,
    /// How much the next read asks for.
    read_bytes: usize,
    heard: Heard,
    /// What the session wrote and nobody encrypted yet.
    gathered: Vec<u8>,
    /// Bytes as they go to the socket; those before `sent` are there already.
    wire: Vec<u8>,
    sent: usize,
    /// The session's TLS half, once there is one.
    tls: Option<Box<Session>>,
    /// The framing of a connection to the legacy gateway; never together with `tls`.
    link: Option<Box<Link>>,
}

impl Stream {
    /// Wraps a connected socket and turns Nagle's algorithm off.
    pub fn new(socket: TcpStream) -> io::Result<Self> {
        let peer = socket.peer_addr()?;
        Self::accepted(socket, peer)
    }

    /// The same for a socket whose peer is known already.
    pub(crate) fn accepted(socket: TcpStream, peer: SocketAddr) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        let peer = canonical(peer);
        let local = canonical(socket.local_addr()?);
        Ok(Self::over(Socket::Tcp(socket), peer, local))
    }

    fn over(socket: Socket, peer: SocketAddr, local: SocketAddr) -> Self {
        Self {
            socket,
            peer,
            local,
            input: Vec::new(),
            start: 0,
            read_bytes: READ_BYTES_MIN,
            heard: Heard::Nothing,
            gathered: Vec::new(),
            wire: Vec::new(),
            sent: 0,
            tls: None,
            link: None,
        }
    }

    /// Connects to `address`, from `source` where given.
    ///
    /// # Errors
    /// `SourceUnusable` where `source` is not an address of this host, `TimedOut`, or what connecting brought.
    pub async fn connect(
        address: SocketAddr,
        source: Option<std::net::IpAddr>,
        deadline: Deadline,
    ) -> Result<Self, StreamError> {
        let socket = if address.is_ipv4() {
            tokio::net::TcpSocket::new_v4()?
        } else {
            tokio::net::TcpSocket::new_v6()?
        };
        if let Some(source) = source {
            socket.bind(SocketAddr::new(source, 0)).map_err(|error| {
                StreamError::SourceUnusable {
                    address: source,
                    error,
                }
            })?;
        }
        let socket = timeout_at(deadline.instant(), socket.connect(address))
            .await
            .map_err(|_| StreamError::TimedOut)??;
        Ok(Self::new(socket)?)
    }

    /// The client's address: the socket's, or the one a trusted proxy named. IPv4-mapped addresses appear as IPv4.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The address the client connected to (or the one a trusted proxy named).
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Replaces the addresses with what a trusted proxy (PROXY protocol, XCLIENT) said.
    pub fn set_addresses(&mut self, peer: SocketAddr, local: SocketAddr) {
        self.peer = canonical(peer);
        self.local = canonical(local);
    }

    /// The facts of the TLS session; `None` in clear.
    pub fn tls(&self) -> Option<&TlsFacts> {
        match &self.link {
            None => self.tls.as_deref().map(Session::facts),
            Some(link) => link.facts(),
        }
    }

    /// The bytes that were read and not consumed.
    pub fn buffer(&self) -> &[u8] {
        self.input.get(self.start..).unwrap_or_default()
    }

    /// Drops `bytes` (at most what is there) from the front of the buffer.
    pub fn consume(&mut self, bytes: usize) {
        self.start = self.start.saturating_add(bytes);
        if self.start >= self.input.len() {
            self.input.clear();
            self.start = 0;
        }
    }

    /// Reads more into the buffer and returns how many bytes came (at least one). May be dropped without loss.
    ///
    /// # Errors
    /// Any of `StreamError` but `LineTooLong`.
    pub async fn fill(&mut self, deadline: Deadline) -> Result<usize, StreamError> {
        if self.buffer().len() >= BUFFER_BYTES_MAX {
            return Err(StreamError::BufferFull);
        }
        timeout_at(deadline.instant(), poll_fn(|cx| self.poll_fill(cx)))
            .await
            .map_err(|_| StreamError::TimedOut)?
    }

    /// Waits until `fill` has something to do: bytes, or the peer's end. Holds no buffer meanwhile. May be dropped.
    pub async fn wait_readable(&mut self, deadline: Deadline) -> Result<(), StreamError> {
        if !self.buffer().is_empty() {
            return Ok(());
        }
        self.release_empty_buffers();
        timeout_at(deadline.instant(), self.socket.readable())
            .await
            .map_err(|_| StreamError::TimedOut)??;
        Ok(())
    }

    /// Reads until the buffer begins with a complete line of at most `line_bytes_max` bytes (ending included).
    /// The line stays in the buffer: use `buffer()[..line.content_bytes]`, then `consume(line.total_bytes)`.
    /// The deadline is for the whole line. May be dropped without loss.
    pub async fn read_line(
        &mut self,
        line_bytes_max: usize,
        deadline: Deadline,
    ) -> Result<Line, StreamError> {
        let mut searched_bytes = 0;
        loop {
            if let Some(line) = Line::find(self.buffer(), searched_bytes) {
                if line.total_bytes > line_bytes_max {
                    return Err(StreamError::LineTooLong { line_bytes_max });
                }
                return Ok(line);
            }
            searched_bytes = self.buffer().len();
            if searched_bytes >= line_bytes_max {
                return Err(StreamError::LineTooLong { line_bytes_max });
            }
            self.fill(deadline).await?;
        }
    }

    /// Skips the rest of an over-long line, up to and including its LF, reading at most `skip_bytes_max` bytes.
    ///
    /// # Errors
    /// `LineTooLong` where no line ends within `skip_bytes_max`: close then.
    pub async fn discard_line(
        &mut self,
        skip_bytes_max: usize,
        deadline: Deadline,
    ) -> Result<usize, StreamError> {
        let mut skipped = 0;
        loop {
            if let Some(line) = Line::find(self.buffer(), 0) {
                self.consume(line.total_bytes);
                return Ok(skipped + line.total_bytes);
            }
            let bytes = self.buffer().len();
            self.consume(bytes);
            skipped += bytes;
            if skipped >= skip_bytes_max {
                return Err(StreamError::LineTooLong {
                    line_bytes_max: skip_bytes_max,
                });
            }
            self.fill(deadline).await?;
        }
    }

    /// Adds to the gathered reply; nothing leaves before `flush`. For large bodies use `send`.
    pub fn write(&mut self, bytes: &[u8]) {
        self.gathered.extend_from_slice(bytes);
    }

    /// The gathered reply itself, for formatting into it without a copy. Append only.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.gathered
    }

    /// Bytes that were written and have not left.
    pub fn pending_bytes(&self) -> usize {
        self.gathered.len() + self.wire.len() - self.sent
    }

    /// Like `write`, but flushes when more than 32 KiB is gathered, so that any amount can be sent in bounded memory.
    /// A large `bytes` is not copied before it is encrypted or sent. Dropped half-way the connection is of no further use.
    pub async fn send(&mut self, bytes: &[u8], deadline: Deadline) -> Result<(), StreamError> {
        if self.gathered.len() + bytes.len() <= GATHER_BYTES_MAX {
            self.write(bytes);
            return Ok(());
        }
        self.flush(deadline).await?;
        for piece in bytes.chunks(GATHER_BYTES_MAX) {
            match self.tls.as_deref_mut() {
                Some(tls) => tls
                    .encrypt(piece, &mut self.wire)
                    .map_err(|e| StreamError::Tls(e.to_string()))?,
                None if self.link.is_some() => wrap(piece, &mut self.wire),
                None => {
                    write_all(&self.socket, piece, &mut 0, deadline).await?;
                    continue;
                }
            }
            self.flush(deadline).await?;
        }
        Ok(())
    }

    /// Sends everything gathered. The deadline is for all of it. Dropped half-way it can be called again.
    pub async fn flush(&mut self, deadline: Deadline) -> Result<(), StreamError> {
        if !self.gathered.is_empty() {
            match self.tls.as_deref_mut() {
                Some(tls) => {
                    tls.encrypt(&self.gathered, &mut self.wire)
                        .map_err(|e| StreamError::Tls(e.to_string()))?;
                    self.gathered.clear();
                }
                None if self.link.is_some() => {
                    wrap(&self.gathered, &mut self.wire);
                    self.gathered.clear();
                }
                None if self.wire.is_empty() => std::mem::swap(&mut self.gathered, &mut self.wire),
                None => self.wire.append(&mut self.gathered),
            }
        }
        if !self.wire.is_empty() {
            write_all(&self.socket, &self.wire, &mut self.sent, deadline).await?;
            self.wire.clear();
            self.sent = 0;
            if self.wire.capacity() > KEPT_BYTES_MAX {
                self.wire = Vec::new();
            }
            if self.gathered.capacity() > KEPT_BYTES_MAX {
                self.gathered = Vec::new();
            }
        }
        Ok(())
    }

    /// Server side of STARTTLS/STLS: sends what is gathered (the "go ahead" reply), throws away plaintext that was
    /// already received, and does the handshake.
    ///
    /// # Errors
    /// `HandshakeError`; the peer has had its alert by then and the connection must be closed.
    pub async fn start_tls(
        &mut self,
        tls: &ServerTls,
        deadline: Deadline,
    ) -> Result<StartedTls, HandshakeError> {
        let mut discarded_bytes = self.buffer().len();
        self.consume(discarded_bytes);
        if self.link.is_some() {
            discarded_bytes += self.order_handshake(deadline).await?;
        } else {
            self.accept_tls(tls, deadline).await?;
        }
        Ok(StartedTls { discarded_bytes })
    }

    /// Server side of implicit TLS: the next bytes of the peer must be its ClientHello.
    pub async fn accept_tls(
        &mut self,
        tls: &ServerTls,
        deadline: Deadline,
    ) -> Result<(), HandshakeError> {
        if self.link.is_some() {
            return self.hear_of_handshake(deadline).await.map(drop);
        }
        self.flush(deadline).await?;
        let hello = self.read_client_hello(deadline).await?;
        if let Some(failure) = failure::refuse_early(&hello) {
            if matches!(failure, HandshakeFailure::TooOld)
                && let Some(older) = tls.older()
                && self.hand_over(older, &hello).is_some()
            {
                return self.hear_of_handshake(deadline).await.map(drop);
            }
            return Err(self.refuse(failure, hello).await);
        }
        let mut handshake = match tls.handshake(self.take_input()) {
            Ok(handshake) => handshake,
            Err(e) => return Err(HandshakeError::new(e.into(), Some(hello))),
        };
        match self.run_handshake(&mut handshake, deadline).await {
            Ok(()) => {
                self.tls = Some(handshake.finish_server(&hello));
                Ok(())
            }
            Err(failure) => Err(HandshakeError::new(failure, Some(hello))),
        }
    }

    /// Client side, for SMTP's STARTTLS and for tests: plaintext that was already received is thrown away.
    /// The handshake fails where the server does not meet `demand`.
    ///
    /// # Errors
    /// `HandshakeError`; its `failure` tells a certificate that will not do from a handshake that broke.
    pub async fn start_tls_client(
        &mut self,
        tls: &ClientTls,
        demand: &Demand,
        deadline: Deadline,
    ) -> Result<StartedTls, HandshakeError> {
        let discarded_bytes = self.buffer().len();
        self.consume(discarded_bytes);
        self.flush(deadline).await?;
        let mut handshake = tls.handshake(demand)?;
        self.run_handshake(&mut handshake, deadline).await?;
        self.tls = Some(handshake.finish_client(&demand.server_name));
        Ok(StartedTls { discarded_bytes })
    }

    /// Sends what is gathered, says goodbye in TLS (close_notify), and closes our direction.
    pub async fn shutdown(&mut self, deadline: Deadline) -> Result<(), StreamError> {
        self.flush(deadline).await?;
        if let Some(tls) = self.tls.as_deref_mut() {
            tls.close_notify(&mut self.wire);
            self.flush(deadline).await?;
        }
        if self.link.is_some() {
            encode(&Frame::End, &mut self.wire);
            self.flush(deadline).await?;
        }
        timeout_at(deadline.instant(), self.socket.shutdown())
            .await
            .map_err(|_| StreamError::TimedOut)??;
        Ok(())
    }

    /// Like `fill`, before the connection proper: what comes does not count as heard from the client.
    pub(crate) async fn fill_preamble(&mut self, deadline: Deadline) -> Result<(), StreamError> {
        timeout_at(deadline.instant(), poll_fn(|cx| self.poll_read(cx)))
            .await
            .map_err(|_| StreamError::TimedOut)??;
        Ok(())
    }

    /// Tries to send `bytes` in clear without waiting; for a line to a client that is refused at the door.
    pub(crate) fn try_send_now(&self, bytes: &[u8]) {
        let _best_effort = if self.link.is_some() {
            let mut framed = Vec::new();
            wrap(bytes, &mut framed);
            self.socket.try_write(&framed)
        } else {
            self.socket.try_write(bytes)
        };
    }

    /// Gives buffers back to the allocator where nothing is in them.
    fn release_empty_buffers(&mut self) {
        if self.input.is_empty() {
            self.input = Vec::new();
        }
        if self.gathered.is_empty() {
            self.gathered = Vec::new();
        }
        if self.wire.is_empty() {
            self.wire = Vec::new();
        }
        if let Some(link) = &mut self.link {
            link.release_empty_buffer();
        }
    }

    /// Takes the unconsumed input out of the stream.
    fn take_input(&mut self) -> Vec<u8> {
        let mut input = std::mem::take(&mut self.input);
        input.drain(..self.start);
        self.start = 0;
        input
    }

    /// Reads until there is something for the session, or nothing more to read.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, StreamError>> {
        if self.start > 0 {
            self.input.drain(..self.start);
            self.start = 0;
        }
        let filled = if self.tls.is_some() {
            self.poll_fill_tls(cx)
        } else {
            self.poll_fill_clear(cx)
        };
        match filled {
            Poll::Pending => self.release_empty_buffers(),
            Poll::Ready(Ok(bytes)) => self.adapt_read_bytes(bytes),
            Poll::Ready(Err(_)) => {}
        }
        filled
    }

    /// Reads in clear; on the first read recognises a client that starts TLS where it should not yet.
    fn poll_fill_clear(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, StreamError>> {
        let bytes = if self.link.is_some() {
            ready!(self.poll_fill_link(cx))?
        } else {
            ready!(self.poll_read(cx))?
        };
        let in_clear = self.tls().is_none();
        if self.heard == Heard::Nothing && in_clear {
            self.heard = Heard::Something;
            // No command of any protocol we serve begins with the TLS record type "handshake".
            if self.input.first() == Some(&client_hello::RECORD_HANDSHAKE) {
                let hello = match client_hello::parse(&self.input) {
                    Parsed::Hello(hello) => Some(hello),
                    Parsed::NeedMore | Parsed::NotTls | Parsed::Bad(_) => None,
                };
                return Poll::Ready(Err(StreamError::TlsOnClearPort(hello)));
            }
        }
        Poll::Ready(Ok(bytes))
    }

    /// One read from the socket into the input.
    ///
    /// `poll_read` and not `try_read`: only the former notes after a short read that the socket is empty,
    /// which saves a system call per command.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, StreamError>> {
        self.input.reserve(self.read_bytes);
        let read = pin!(self.socket.read_buf(&mut self.input));
        match ready!(read.poll(cx)) {
            Ok(0) => Poll::Ready(Err(StreamError::Closed)),
            Ok(bytes) => Poll::Ready(Ok(bytes)),
            Err(e) => Poll::Ready(Err(e.into())),
        }
    }

    /// A full read means more is coming: ask for more at a time; a short one means the opposite.
    fn adapt_read_bytes(&mut self, bytes: usize) {
        self.read_bytes = if bytes >= self.read_bytes {
            (self.read_bytes * 2).min(READ_BYTES_MAX)
        } else if bytes < READ_BYTES_MIN / 2 {
            READ_BYTES_MIN
        } else {
            self.read_bytes
        };
    }

    /// Reads TLS records until one of them carries data.
    fn poll_fill_tls(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, StreamError>> {
        let Some(tls) = self.tls.as_deref_mut() else {
            return Poll::Pending;
        };
        let before = self.input.len();
        loop {
            if tls.peer_has_closed() {
                return Poll::Ready(Err(StreamError::Closed));
            }
            let (socket, input, wire) = (&mut self.socket, &mut self.input, &mut self.wire);
            let read = SCRATCH.with_borrow_mut(|scratch| {
                tls.read(scratch, self.read_bytes, input, wire, |space| {
                    poll_socket(socket, cx, space)
                })
            });
            match read {
                Ok(0) => return Poll::Ready(Err(StreamError::Closed)),
                Ok(_) if self.input.len() > before => {
                    return Poll::Ready(Ok(self.input.len() - before));
                }
                // Part of a record, or one that carries no data. tokio ends this loop now and then in favour
                // of other tasks, as each round asks it for a read.
                Ok(_) => {}
                Err(ReadError::Io(e)) if e.kind() == io::ErrorKind::WouldBlock => {
                    return Poll::Pending;
                }
                Err(ReadError::Io(e)) => return Poll::Ready(Err(e.into())),
                Err(ReadError::Tls(e)) => {
                    let _alert = self.socket.try_write(&self.wire);
                    return Poll::Ready(Err(StreamError::Tls(e.to_string())));
                }
            }
        }
    }

    /// Gathers the peer's ClientHello in the input, without consuming it.
    async fn read_client_hello(
        &mut self,
        deadline: Deadline,
    ) -> Result<Box<ClientHello>, HandshakeError> {
        loop {
            if !self.buffer().is_empty() {
                match client_hello::parse(self.buffer()) {
                    Parsed::Hello(hello) => return Ok(hello),
                    Parsed::NotTls => return Err(HandshakeFailure::NotTls.into()),
                    Parsed::Bad(reason) => {
                        self.try_send_now(&failure::fatal_alert(0x0303, failure::DECODE_ERROR));
                        return Err(HandshakeFailure::Malformed(reason).into());
                    }
                    Parsed::NeedMore => {}
                }
            }
            self.fill_preamble(deadline).await?;
        }
    }

    /// Tells a client that is too old (or falls back without need) so, in TLS's own words.
    async fn refuse(
        &mut self,
        failure: HandshakeFailure,
        hello: Box<ClientHello>,
    ) -> HandshakeError {
        let alert = match failure {
            HandshakeFailure::InappropriateFallback => failure::INAPPROPRIATE_FALLBACK,
            _ => failure::PROTOCOL_VERSION,
        };
        self.try_send_now(&failure::fatal_alert(hello.legacy_version, alert));
        let _best_effort = self.socket.shutdown().await;
        HandshakeError::new(failure, Some(hello))
    }

    /// Moves handshake bytes until it is done.
    async fn run_handshake(
        &mut self,
        handshake: &mut Handshake,
        deadline: Deadline,
    ) -> Result<(), HandshakeFailure> {
        let mut outcome = handshake.advance(&mut self.input, &mut self.wire);
        loop {
            if matches!(outcome, Ok(Stage::Established)) && handshake.may_send_later() {
                return Ok(());
            }
            // Also where the handshake failed: the wire then holds the alert.
            let sent = self.flush(deadline).await;
            if outcome? == Stage::Established {
                return Ok(sent?);
            }
            sent?;
            let read = poll_fn(|cx| self.poll_handshake(handshake, cx));
            outcome = timeout_at(deadline.instant(), read)
                .await
                .map_err(|_| StreamError::TimedOut)?;
        }
    }

    /// One read for the handshake.
    fn poll_handshake(
        &mut self,
        handshake: &mut Handshake,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Stage, HandshakeFailure>> {
        let socket = &mut self.socket;
        let read = SCRATCH.with_borrow_mut(|scratch| {
            handshake.read(scratch, &mut self.input, &mut self.wire, |space| {
                poll_socket(socket, cx, space)
            })
        });
        Poll::Ready(match read {
            Ok(stage) => Ok(stage),
            Err(ReadError::Io(e)) if e.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            Err(ReadError::Io(e)) if e.kind() == io::ErrorKind::UnexpectedEof => {
                Err(StreamError::Closed.into())
            }
            Err(ReadError::Io(e)) => Err(StreamError::Io(e).into()),
            Err(ReadError::Tls(e)) => Err(handshake.failure(e)),
        })
    }
}

/// One read from the socket; `WouldBlock` where the task will be woken.
fn poll_socket(socket: &mut Socket, cx: &mut Context<'_>, space: &mut [u8]) -> io::Result<usize> {
    let mut space = ReadBuf::new(space);
    match Pin::new(socket).poll_read(cx, &mut space) {
        Poll::Ready(Ok(())) => Ok(space.filled().len()),
        Poll::Ready(Err(e)) => Err(e),
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// Writes `bytes` from `*sent` on; keeps count there so that a dropped call loses nothing.
async fn write_all(
    socket: &Socket,
    bytes: &[u8],
    sent: &mut usize,
    deadline: Deadline,
) -> Result<(), StreamError> {
    while let Some(rest) = bytes.get(*sent..).filter(|rest| !rest.is_empty()) {
        match socket.try_write(rest) {
            Ok(bytes) => *sent += bytes,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                timeout_at(deadline.instant(), socket.writable())
                    .await
                    .map_err(|_| StreamError::TimedOut)??;
            }
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// An IPv4-mapped IPv6 address as the IPv4 address it is.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
