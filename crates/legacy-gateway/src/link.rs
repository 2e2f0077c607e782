//! A Unix connection to the core, frame by frame.

use gateway_link::{Decoded, Frame, decode, encode};
use std::io;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// What the core sends on a client's connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Bytes for the client.
    Data(Vec<u8>),
    /// These last bytes in clear, then the handshake.
    StartTls(Vec<u8>),
    /// The client's first bytes; do the handshake.
    TakeOver(Vec<u8>),
    /// Say goodbye and close.
    End,
    /// The core closed the connection.
    Closed,
}

/// Both directions of a client's connection.
pub(crate) struct Link {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
}

/// From the core.
pub(crate) struct Reader {
    half: OwnedReadHalf,
    incoming: Vec<u8>,
}

/// To the core.
pub(crate) struct Writer {
    half: OwnedWriteHalf,
    outgoing: Vec<u8>,
}

impl Link {
    pub(crate) fn over(stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self {
            reader: Reader {
                half: reader,
                incoming: Vec::new(),
            },
            writer: Writer {
                half: writer,
                outgoing: Vec::new(),
            },
        }
    }
}

impl Reader {
    /// The next order. May be dropped without loss.
    ///
    /// # Errors
    /// Where the connection breaks or brings what no core sends.
    pub(crate) async fn next(&mut self) -> io::Result<Order> {
        loop {
            let decoded = decode(&self.incoming).map_err(io::Error::other)?;
            if let Decoded::Frame { frame, total_bytes } = decoded {
                let order = match frame {
                    Frame::Data(bytes) => Order::Data(bytes.to_vec()),
                    Frame::StartTls(bytes) => Order::StartTls(bytes.to_vec()),
                    Frame::TakeOver(bytes) => Order::TakeOver(bytes.to_vec()),
                    Frame::End => Order::End,
                    _ => return Err(io::Error::other("not an order for a client's connection")),
                };
                self.incoming.drain(..total_bytes);
                if self.incoming.is_empty() {
                    self.incoming = Vec::new();
                }
                return Ok(order);
            }
            self.half.readable().await?;
            match self.half.try_read_buf(&mut self.incoming) {
                Ok(0) => return Ok(Order::Closed),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Writer {
    /// Sends a frame.
    ///
    /// # Errors
    /// Where the connection breaks.
    pub(crate) async fn send(&mut self, frame: &Frame<'_>) -> io::Result<()> {
        self.outgoing.clear();
        encode(frame, &mut self.outgoing);
        self.half.write_all(&self.outgoing).await?;
        self.outgoing = Vec::new();
        Ok(())
    }

    /// Tells the core that the client sends no more.
    pub(crate) async fn end(&mut self) -> io::Result<()> {
        self.half.shutdown().await
    }
}
