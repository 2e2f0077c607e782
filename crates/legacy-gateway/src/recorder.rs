//! A client's socket that keeps what the client sent first, so that the core can tell which software it is, and
//! that can begin with bytes that somebody read already.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// See the module's text.
pub(crate) struct Recorder<S> {
    inner: S,
    /// What is given before anything is read; those before `given` were.
    first: Vec<u8>,
    given: usize,
    recorded: Option<Vec<u8>>,
}

impl<S> Recorder<S> {
    /// Records from here on; `first` was read from `inner` before.
    pub(crate) fn new(inner: S, first: Vec<u8>) -> Self {
        Self {
            inner,
            first,
            given: 0,
            recorded: Some(Vec::new()),
        }
    }

    /// What was recorded; nothing is recorded any more.
    pub(crate) fn take_recorded(&mut self) -> Vec<u8> {
        self.recorded.take().unwrap_or_default()
    }

    fn record(&mut self, bytes: &[u8]) {
        if let Some(recorded) = &mut self.recorded {
            let room = gateway_link::HELLO_BYTES_MAX.saturating_sub(recorded.len());
            recorded.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Recorder<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = space.filled().len();
        let rest = this.first.get(this.given..).unwrap_or_default();
        if rest.is_empty() {
            ready!(Pin::new(&mut this.inner).poll_read(cx, space))?;
        } else {
            let bytes = rest.len().min(space.remaining());
            space.put_slice(rest.get(..bytes).unwrap_or_default());
            this.given += bytes;
        }
        if this.recorded.is_some() {
            let read = space.filled().get(before..).unwrap_or_default().to_vec();
            this.record(&read);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Recorder<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn first_bytes_come_first_and_all_are_recorded() {
        let mut recorder = Recorder::new(&b"behind"[..], b"before ".to_vec());
        let mut all = Vec::new();
        recorder.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"before behind");
        assert_eq!(recorder.take_recorded(), b"before behind");
    }
}
