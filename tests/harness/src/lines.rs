//! A client that speaks any line protocol, in clear or over TLS, for scripted conversations.
//! Blocking, with a time limit on everything, so that a silent server fails a test.

use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long an answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);

/// Something bytes go over.
pub trait Wire: Read + Write + Send {}
impl<T: Read + Write + Send> Wire for T {}

/// A conversation.
pub struct Lines {
    wire: BufReader<Box<dyn Wire>>,
    socket: TcpStream,
}

impl Lines {
    /// Connects in clear.
    pub fn clear(port: u16) -> Self {
        let socket = connect(port);
        let wire: Box<dyn Wire> = Box::new(socket.try_clone().expect("a second handle"));
        Self {
            wire: BufReader::new(wire),
            socket,
        }
    }

    /// Connects with TLS from the first byte, trusting `ca_file`.
    pub fn tls(port: u16, ca_file: &Path) -> Self {
        let socket = connect(port);
        let wire = handshake(&socket, ca_file);
        Self {
            wire: BufReader::new(wire),
            socket,
        }
    }

    /// Goes on with TLS after STARTTLS or STLS was answered.
    pub fn start_tls(self, ca_file: &Path) -> Self {
        assert!(
            self.wire.buffer().is_empty(),
            "the server sent more before TLS"
        );
        let wire = handshake(&self.socket, ca_file);
        Self {
            wire: BufReader::new(wire),
            socket: self.socket,
        }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.wire.get_mut().write_all(bytes).expect("sending works");
        self.wire.get_mut().flush().expect("sending works");
    }

    /// Sends a line.
    pub fn say(&mut self, line: &str) {
        self.send(format!("{line}\r\n").as_bytes());
    }

    /// The next line without its end; empty at the end of the connection.
    pub fn line(&mut self) -> String {
        let mut bytes = Vec::new();
        // A peer that closes without close_notify ends a conversation too.
        let _ = self.wire.read_until(b'\n', &mut bytes);
        String::from_utf8_lossy(&bytes)
            .trim_end_matches(['\r', '\n'])
            .to_owned()
    }

    /// Exactly `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.wire
            .read_exact(&mut bytes)
            .expect("as many bytes as were promised");
        bytes
    }

    /// Everything until the server closes, at most `max` bytes.
    pub fn rest(&mut self, max: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = (&mut self.wire).take(max).read_to_end(&mut bytes);
        bytes
    }

    /// All lines of an SMTP reply.
    pub fn smtp(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line();
            let more = line.as_bytes().get(3) == Some(&b'-');
            lines.push(line);
            if !more {
                return lines;
            }
        }
    }

    /// Says a line and gives the whole SMTP reply, its lines joined with `\n`.
    pub fn smtp_ask(&mut self, line: &str) -> String {
        self.say(line);
        self.smtp().join("\n")
    }

    /// Says a tagged IMAP command and gives all lines up to the tagged answer, joined with `\n`.
    /// Literals in the answer are taken as they come.
    pub fn imap_ask(&mut self, tag: &str, command: &str) -> String {
        self.say(&format!("{tag} {command}"));
        self.imap_answer(tag)
    }

    /// Reads up to the answer tagged `tag`.
    pub fn imap_answer(&mut self, tag: &str) -> String {
        let mut text = String::new();
        loop {
            let line = self.line();
            let ends = line.starts_with(&format!("{tag} ")) || line.is_empty();
            text.push_str(&line);
            if ends {
                return text;
            }
            if let Some(size) = literal_bytes(&line) {
                text.push('\n');
                text.push_str(&String::from_utf8_lossy(&self.bytes(size)));
                continue;
            }
            text.push('\n');
        }
    }
}

fn literal_bytes(line: &str) -> Option<usize> {
    line.strip_suffix('}')?.rsplit_once('{')?.1.parse().ok()
}

fn connect(port: u16) -> TcpStream {
    let socket = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    socket
        .set_read_timeout(Some(ANSWER_TIME_MAX))
        .expect("a time limit");
    socket
        .set_write_timeout(Some(ANSWER_TIME_MAX))
        .expect("a time limit");
    socket.set_nodelay(true).expect("no delay");
    socket
}

fn handshake(socket: &TcpStream, ca_file: &Path) -> Box<dyn Wire> {
    let session = session(ca_file);
    let socket = socket.try_clone().expect("a second handle");
    Box::new(rustls::StreamOwned::new(session, socket))
}

/// The key exchange group a modern client and the server agree on, by its IANA name.
pub fn key_exchange_group(port: u16, ca_file: &Path) -> String {
    let (mut session, mut socket) = (session(ca_file), connect(port));
    while session.is_handshaking() {
        session.complete_io(&mut socket).expect("a handshake");
    }
    let group = session.negotiated_key_exchange_group().expect("a group");
    format!("{:?}", group.name())
}

/// Base64 with padding (RFC 4648 §4).
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let value = group
            .iter()
            .fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
        let value = value << (8 * (3 - group.len()));
        for digit in 0..4 {
            let six = (value >> (18 - 6 * digit)) as usize & 63;
            text.push(if digit <= group.len() {
                char::from(ALPHABET[six])
            } else {
                '='
            });
        }
    }
    text
}

fn session(ca_file: &Path) -> rustls::ClientConnection {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls::pki_types::CertificateDer::pem_file_iter(ca_file).expect("a CA file")
    {
        roots
            .add(certificate.expect("a certificate"))
            .expect("a good certificate");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("known versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    rustls::ClientConnection::new(Arc::new(config), name).expect("a session")
}

/// Delivers a small message over SMTP in clear to the mx port; the text of the final reply.
///
/// # Panics
/// Where the envelope is refused.
pub fn deliver(port: u16, from: &str, to: &str, message: &str) -> String {
    let mut smtp = Lines::clear(port);
    smtp.smtp();
    assert!(smtp.smtp_ask("EHLO client.test").starts_with("250"));
    assert!(
        smtp.smtp_ask(&format!("MAIL FROM:<{from}>"))
            .starts_with("250")
    );
    let reply = smtp.smtp_ask(&format!("RCPT TO:<{to}>"));
    assert!(reply.starts_with("250"), "{reply}");
    assert!(smtp.smtp_ask("DATA").starts_with("354"));
    smtp.send(message.as_bytes());
    smtp.smtp_ask(".")
}
