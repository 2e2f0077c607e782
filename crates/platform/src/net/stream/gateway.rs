//! A `Stream` whose client is behind the legacy gateway: frames become bytes, and handshakes are ordered and told
//! of instead of done. Called by `Stream` and by `net::gateway`.

use super::{READ_BYTES_MIN, Stream, StreamError};
use crate::net::Deadline;
use crate::net::gateway::{Heard, Link, Shake};
use crate::net::socket::Socket;
use crate::tls::ClientHello;
use crate::tls::failure::{HandshakeError, HandshakeFailure};
use gateway_link::{DATA_BYTES_MAX, Frame, HELLO_BYTES_MAX, encode};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::UnixStream;
use tokio::time::timeout_at;

/// Bytes asked of the gateway at a time.
const LINK_READ_BYTES: usize = READ_BYTES_MIN;

impl Stream {
    /// The connection of a client that came in at the gateway. `left` is what came behind the frame that said so.
    pub(crate) fn of_gateway(
        socket: UnixStream,
        peer: SocketAddr,
        local: SocketAddr,
        left: Vec<u8>,
    ) -> Self {
        let mut link = Link::default();
        *link.incoming() = left;
        Self {
            link: Some(Box::new(link)),
            ..Self::over(
                Socket::Gateway(socket),
                super::canonical(peer),
                super::canonical(local),
            )
        }
    }

    /// Lets the gateway go on with this client, whose ClientHello lies in the input. `None`: nobody took it.
    pub(super) fn hand_over(
        &mut self,
        older: &dyn crate::net::OlderTls,
        hello: &ClientHello,
    ) -> Option<()> {
        let Socket::Tcp(client) = &self.socket else {
            return None;
        };
        if self.buffer().len() > HELLO_BYTES_MAX {
            return None;
        }
        let theirs = older.take_over(client.as_fd(), hello, self.local)?;
        let link = UnixStream::from_std(theirs).ok()?;
        let read = self.take_input();
        // Our own handle on the client's socket is closed; the gateway has another.
        self.socket = Socket::Gateway(link);
        self.link = Some(Box::default());
        encode(&Frame::TakeOver(&read), &mut self.wire);
        Some(())
    }

    /// Has the gateway do the handshake: what is gathered leaves in clear with the order. Gives how many bytes of the
    /// client were thrown away.
    pub(super) async fn order_handshake(
        &mut self,
        deadline: Deadline,
    ) -> Result<usize, HandshakeError> {
        if self.gathered.len() > DATA_BYTES_MAX {
            self.flush(deadline).await?;
        }
        encode(&Frame::StartTls(&self.gathered), &mut self.wire);
        self.gathered.clear();
        self.hear_of_handshake(deadline).await
    }

    /// Waits for the gateway's word on the handshake. Bytes that the client sent in clear before it are thrown away
    /// and counted (RFC 3207 §4.2).
    pub(super) async fn hear_of_handshake(
        &mut self,
        deadline: Deadline,
    ) -> Result<usize, HandshakeError> {
        self.flush(deadline).await?;
        let mut discarded = 0;
        loop {
            let heard = timeout_at(deadline.instant(), poll_fn(|cx| self.poll_frame(cx)))
                .await
                .map_err(|_| StreamError::TimedOut)??;
            match heard {
                Heard::Nothing => {}
                Heard::Data(bytes) => {
                    discarded += bytes;
                    self.input.clear();
                    self.start = 0;
                }
                Heard::Shake(shake) => {
                    return match *shake {
                        Shake::Started => {
                            self.take_frames()?;
                            Ok(discarded)
                        }
                        Shake::Failed(reason, hello) => Err(HandshakeError::new(
                            HandshakeFailure::Gateway(reason.into()),
                            hello,
                        )),
                    };
                }
            }
        }
    }

    /// Reads frames until one of them carries data.
    pub(super) fn poll_fill_link(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize, StreamError>> {
        loop {
            match ready!(self.poll_frame(cx))? {
                Heard::Data(0) | Heard::Nothing => {}
                Heard::Data(bytes) => {
                    return Poll::Ready(self.take_frames().map(|more| bytes + more));
                }
                Heard::Shake(_) => return Poll::Ready(Err(not_ordered())),
            }
        }
    }

    /// Takes the data of every whole frame that is there, so that whoever waits for the socket misses none.
    fn take_frames(&mut self) -> Result<usize, StreamError> {
        let Some(link) = self.link.as_deref_mut() else {
            return Ok(0);
        };
        let mut taken = 0;
        loop {
            let heard = link.next(&mut self.input);
            match heard.map_err(|error| StreamError::Tls(error.to_string()))? {
                Heard::Nothing => return Ok(taken),
                Heard::Data(bytes) => taken += bytes,
                Heard::Shake(_) => return Err(not_ordered()),
            }
        }
    }

    /// The next frame, or one read where there is none yet.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Heard, StreamError>> {
        let Some(link) = self.link.as_deref_mut() else {
            return Poll::Ready(Ok(Heard::Nothing));
        };
        let heard = link.next(&mut self.input);
        match heard.map_err(|error| StreamError::Tls(error.to_string()))? {
            Heard::Nothing => {}
            heard => return Poll::Ready(Ok(heard)),
        }
        let incoming = link.incoming();
        let before = incoming.len();
        incoming.resize(before + LINK_READ_BYTES, 0);
        let mut space = ReadBuf::new(incoming.get_mut(before..).unwrap_or_default());
        let read = Pin::new(&mut self.socket).poll_read(cx, &mut space);
        let bytes = space.filled().len();
        incoming.truncate(before + bytes);
        match ready!(read) {
            Ok(()) if bytes == 0 => Poll::Ready(Err(StreamError::Closed)),
            Ok(()) => Poll::Ready(Ok(Heard::Nothing)),
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }
}

fn not_ordered() -> StreamError {
    StreamError::Tls("the gateway told of a handshake that nobody ordered".to_owned())
}
