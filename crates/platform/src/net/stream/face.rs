//! A `Stream` with the face that libraries expect: `AsyncRead` and `AsyncWrite`, for HTTP. Never gathers more
//! than a piece of what is written, and gives up on a peer that takes nothing; called by `http` only.

use super::{GATHER_BYTES_MAX, Stream, StreamError};
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A `Stream` as `AsyncRead` and `AsyncWrite`. What TLS needs is done underneath; `Stream` tells the facts.
#[derive(Debug)]
pub struct StreamIo {
    stream: Stream,
    /// How long a peer may leave what is written untaken.
    stall_time_max: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    goodbye: Goodbye,
}

/// Whether TLS's goodbye is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goodbye {
    NotYet,
    Said,
}

impl StreamIo {
    /// Wraps `stream`; a peer that takes nothing for `stall_time_max` is gone.
    pub fn new(stream: Stream, stall_time_max: Duration) -> Self {
        Self {
            stream,
            stall_time_max,
            stalled: None,
            goodbye: Goodbye::NotYet,
        }
    }

    /// Sends what lies encrypted (or in clear) and waits to leave.
    fn poll_wire(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = &mut self.stream;
        while let Some(rest) = stream.wire.get(stream.sent..).filter(|r| !r.is_empty()) {
            match Pin::new(&mut stream.socket).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(bytes)) => {
                    stream.sent += bytes;
                    self.stalled = None;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    let time = self.stall_time_max;
                    let sleep = self
                        .stalled
                        .get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
                    ready!(sleep.as_mut().poll(cx));
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
        }
        stream.wire.clear();
        stream.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Puts `bytes` on the wire.
    fn encrypt(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stream = &mut self.stream;
        match stream.tls.as_deref_mut() {
            Some(tls) => tls
                .encrypt(bytes, &mut stream.wire)
                .map_err(io::Error::other),
            None => {
                stream.wire.extend_from_slice(bytes);
                Ok(())
            }
        }
    }
}

impl AsyncRead for StreamIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = &mut self.stream;
        if stream.buffer().is_empty() {
            match ready!(stream.poll_fill(cx)) {
                Ok(_) => {}
                Err(StreamError::Closed) => return Poll::Ready(Ok(())),
                Err(StreamError::Io(error)) => return Poll::Ready(Err(error)),
                Err(error) => return Poll::Ready(Err(io::Error::other(error))),
            }
        }
        let bytes = stream.buffer().len().min(space.remaining());
        space.put_slice(stream.buffer().get(..bytes).unwrap_or_default());
        stream.consume(bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for StreamIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // What is on its way leaves first, so that no more than one piece lies here.
        ready!(self.poll_wire(cx))?;
        let piece = bytes.get(..GATHER_BYTES_MAX).unwrap_or(bytes);
        self.encrypt(piece)?;
        match self.poll_wire(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(piece.len())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_wire(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_wire(cx))?;
        if self.goodbye == Goodbye::NotYet {
            self.goodbye = Goodbye::Said;
            let stream = &mut self.stream;
            if let Some(tls) = stream.tls.as_deref_mut() {
                tls.close_notify(&mut stream.wire);
            }
        }
        ready!(self.poll_wire(cx))?;
        Pin::new(&mut self.stream.socket).poll_shutdown(cx)
    }
}
