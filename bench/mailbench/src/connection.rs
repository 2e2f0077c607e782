//! One client connection, plain or TLS: lines, SMTP and POP3 replies, IMAP responses with literals.
//! Reads no more of a reply than is needed to know where it ends, so that the client stays cheap.

use std::io::{Error, ErrorKind, Result};
use std::ops::Range;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Name sent as SNI; the peers' certificate is made for it.
const SERVER_NAME: &str = "mail.bench.test";
/// Room for one read of a session that only talks in short lines.
const LINE_READ_BYTES: usize = 1024;
/// Room for one read of a session that fetches much.
const BULK_READ_BYTES: usize = 64 * 1024;
/// Read bytes that are dropped from the front of the buffer at once.
const CONSUMED_BYTES_MAX: usize = 256 * 1024;

/// How much a read asks for.
#[derive(Clone, Copy)]
pub(crate) enum Reads {
    Lines,
    Bulk,
}

/// A connection with its read buffer.
pub(crate) struct Connection {
    io: Io,
    buffer: Vec<u8>,
    position: usize,
    reads: Reads,
    /// Bytes received so far, after decryption.
    pub(crate) received_bytes: u64,
}

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Closed,
}

/// An error with a text.
pub(crate) fn failure(text: impl Into<String>) -> Error {
    Error::other(text.into())
}

impl Connection {
    /// Connects to `HOST:PORT` without TLS.
    pub(crate) async fn open(address: &str) -> Result<Connection> {
        Connection::accepted(TcpStream::connect(address).await?)
    }

    /// Takes over a TCP connection.
    pub(crate) fn accepted(stream: TcpStream) -> Result<Connection> {
        stream.set_nodelay(true)?;
        let (io, reads) = (Io::Plain(stream), Reads::Lines);
        Ok(Connection {
            io,
            buffer: Vec::new(),
            position: 0,
            reads,
            received_bytes: 0,
        })
    }

    /// From now on reads ask for this much.
    pub(crate) fn set_reads(&mut self, reads: Reads) {
        self.reads = reads;
    }

    /// The TLS handshake on a plain connection.
    pub(crate) async fn start_tls(&mut self, config: &Arc<ClientConfig>) -> Result<()> {
        let Io::Plain(stream) = std::mem::replace(&mut self.io, Io::Closed) else {
            return Err(failure("TLS is there already"));
        };
        let name = ServerName::try_from(SERVER_NAME).map_err(Error::other)?;
        let tls = TlsConnector::from(config.clone())
            .connect(name, stream)
            .await?;
        self.io = Io::Tls(Box::new(tls));
        Ok(())
    }

    /// Whether the TLS session was resumed.
    pub(crate) fn is_resumed(&self) -> bool {
        let Io::Tls(tls) = &self.io else {
            return false;
        };
        matches!(
            tls.get_ref().1.handshake_kind(),
            Some(rustls::HandshakeKind::Resumed)
        )
    }

    /// Writes and flushes.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.io {
            Io::Plain(stream) => stream.write_all(bytes).await,
            Io::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
            Io::Closed => Err(failure("closed")),
        }
    }

    /// One line without its end; the range is good for `text` until the next read.
    pub(crate) async fn line(&mut self) -> Result<Range<usize>> {
        let mut scanned = 0;
        loop {
            let from = self.position + scanned;
            if let Some(offset) = self.buffer[from..].iter().position(|&byte| byte == b'\n') {
                let (start, mut end) = (self.position, from + offset);
                self.position = end + 1;
                if end > start && self.buffer[end - 1] == b'\r' {
                    end -= 1;
                }
                return Ok(start..end);
            }
            scanned = self.buffer.len() - self.position;
            self.fill().await?;
        }
    }

    /// The bytes of a line.
    pub(crate) fn text(&self, line: Range<usize>) -> &[u8] {
        &self.buffer[line]
    }

    /// Gives buffer memory back; for connections that will be silent.
    pub(crate) fn compact(&mut self) {
        self.buffer.shrink_to_fit();
    }

    /// The last line of an SMTP reply: its code and text.
    pub(crate) async fn smtp_reply(&mut self) -> Result<(u32, String)> {
        loop {
            let line = self.line().await?;
            let line = self.text(line);
            if line.len() >= 3 && line.get(3) != Some(&b'-') {
                let text = String::from_utf8_lossy(line).into_owned();
                let code = text
                    .get(..3)
                    .and_then(|code| code.parse().ok())
                    .unwrap_or(0);
                return Ok((code, text));
            }
        }
    }

    /// Reads an SMTP reply that must have this code.
    pub(crate) async fn smtp_expect(&mut self, code: u32) -> Result<()> {
        match self.smtp_reply().await? {
            (got, _) if got == code => Ok(()),
            (_, text) => Err(failure(format!("want {code} got {text}"))),
        }
    }

    /// Reads IMAP responses until the tagged one; `untagged` sees each untagged line up to its first
    /// literal.
    pub(crate) async fn imap_response(
        &mut self,
        tag: &str,
        mut untagged: impl FnMut(&[u8]),
    ) -> Result<()> {
        loop {
            let line = self.line().await?;
            let line = self.text(line);
            let after_tag = line.strip_prefix(tag.as_bytes());
            if let Some(result) = after_tag.and_then(|rest| rest.strip_prefix(b" ")) {
                return match result.starts_with(b"OK") {
                    true => Ok(()),
                    false => Err(failure(String::from_utf8_lossy(line))),
                };
            }
            untagged(line);
            let mut literal = literal_bytes(line);
            while let Some(bytes) = literal {
                self.skip(bytes).await?;
                let rest = self.line().await?;
                literal = literal_bytes(self.text(rest));
            }
        }
    }

    /// An IMAP command whose untagged responses do not matter.
    pub(crate) async fn imap_command(&mut self, tag: &str, command: &str) -> Result<()> {
        self.write(format!("{tag} {command}\r\n").as_bytes())
            .await?;
        self.imap_response(tag, |_| {}).await
    }

    /// Reads a POP3 reply that must be +OK.
    pub(crate) async fn pop3_ok(&mut self) -> Result<()> {
        let line = self.line().await?;
        let line = self.text(line);
        match line.starts_with(b"+OK") {
            true => Ok(()),
            false => Err(failure(String::from_utf8_lossy(line))),
        }
    }

    async fn skip(&mut self, mut bytes: usize) -> Result<()> {
        loop {
            let there = self.buffer.len() - self.position;
            if there >= bytes {
                self.position += bytes;
                return Ok(());
            }
            bytes -= there;
            self.position = self.buffer.len();
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<()> {
        if self.position == self.buffer.len() {
            self.buffer.clear();
            self.position = 0;
        } else if self.position > CONSUMED_BYTES_MAX {
            self.buffer.drain(..self.position);
            self.position = 0;
        }
        let room = match self.reads {
            Reads::Lines => LINE_READ_BYTES,
            Reads::Bulk => BULK_READ_BYTES,
        };
        if self.buffer.capacity() - self.buffer.len() < room {
            self.buffer.reserve(room);
        }
        let read = match &mut self.io {
            Io::Plain(stream) => stream.read_buf(&mut self.buffer).await?,
            Io::Tls(stream) => stream.read_buf(&mut self.buffer).await?,
            Io::Closed => 0,
        };
        if read == 0 {
            return Err(Error::new(ErrorKind::UnexpectedEof, "eof"));
        }
        self.received_bytes += read as u64;
        Ok(())
    }
}

/// Bytes of the literal that a line announces at its end: `{123}`.
fn literal_bytes(line: &[u8]) -> Option<usize> {
    let inner = line.strip_suffix(b"}")?;
    let start = inner.iter().rposition(|&byte| byte == b'{')? + 1;
    std::str::from_utf8(&inner[start..]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::literal_bytes;

    #[test]
    fn literals_are_seen_at_the_end_of_a_line_only() {
        assert_eq!(literal_bytes(b"* 1 FETCH (BODY[] {4096}"), Some(4096));
        assert_eq!(literal_bytes(b"* 1 FETCH (BODY[] {4096})"), None);
        assert_eq!(literal_bytes(b"* OK }"), None);
    }
}
