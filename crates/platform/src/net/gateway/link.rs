//! A client's connection as the gateway passes it on: data and facts come in frames, data and orders leave in them.
//! No sockets; `Stream` moves the bytes.

use crate::tls::client_hello::{self, ClientHello, Parsed};
use crate::tls::{TlsFacts, TlsVersion};
use gateway_link::{DATA_BYTES_MAX, Decoded, Frame, Malformed, Started, Version, decode, encode};

/// Bytes of frames that may lie undecoded: the beginning of the largest one and a read behind it.
const INCOMING_BYTES_MAX: usize = gateway_link::PAYLOAD_BYTES_MAX + 128 * 1024;

/// The framing of one connection.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// What came and is no whole frame yet.
    incoming: Vec<u8>,
    facts: Option<TlsFacts>,
}

/// What the gateway said about the handshake.
#[derive(Debug)]
pub(crate) enum Shake {
    /// There is a session now.
    Started,
    /// There is none and never will be.
    Failed(String, Option<Box<ClientHello>>),
}

/// What the next frame is.
#[derive(Debug)]
pub(crate) enum Heard {
    /// So many bytes from the client were added.
    Data(usize),
    /// News of the handshake.
    Shake(Box<Shake>),
    /// Nothing whole.
    Nothing,
}

impl Link {
    /// The facts of the TLS session that the gateway holds; `None` while the client is in clear.
    pub(crate) fn facts(&self) -> Option<&TlsFacts> {
        self.facts.as_ref()
    }

    /// Where bytes from the gateway go before `next`.
    pub(crate) fn incoming(&mut self) -> &mut Vec<u8> {
        &mut self.incoming
    }

    /// Gives the buffer back where nothing is in it.
    pub(crate) fn release_empty_buffer(&mut self) {
        if self.incoming.is_empty() {
            self.incoming = Vec::new();
        }
    }

    /// Takes the next frame; data is added to `plain`.
    ///
    /// # Errors
    /// Where the gateway sends what no gateway sends.
    pub(crate) fn next(&mut self, plain: &mut Vec<u8>) -> Result<Heard, Malformed> {
        let (heard, used) = match decode(&self.incoming)? {
            Decoded::NeedMore if self.incoming.len() > INCOMING_BYTES_MAX => {
                return Err(Malformed("a frame never ends"));
            }
            Decoded::NeedMore => return Ok(Heard::Nothing),
            Decoded::Frame { frame, total_bytes } => {
                let heard = match frame {
                    Frame::Data(bytes) => {
                        plain.extend_from_slice(bytes);
                        Heard::Data(bytes.len())
                    }
                    Frame::TlsStarted(started) => {
                        let hello = hello_of(started.hello);
                        self.facts = Some(facts(&started, hello.as_deref()));
                        Heard::Shake(Box::new(Shake::Started))
                    }
                    Frame::TlsFailed { reason, hello } => {
                        Heard::Shake(Box::new(Shake::Failed(reason.to_owned(), hello_of(hello))))
                    }
                    _ => return Err(Malformed("it is not the gateway's to send")),
                };
                (heard, total_bytes)
            }
        };
        self.incoming.drain(..used);
        Ok(heard)
    }
}

/// Adds `plain` to `wire`, in frames.
pub(crate) fn wrap(plain: &[u8], wire: &mut Vec<u8>) {
    for piece in plain.chunks(DATA_BYTES_MAX) {
        encode(&Frame::Data(piece), wire);
    }
}

fn hello_of(bytes: &[u8]) -> Option<Box<ClientHello>> {
    match client_hello::parse(bytes) {
        Parsed::Hello(hello) => Some(hello),
        Parsed::NeedMore | Parsed::NotTls | Parsed::Bad(_) => None,
    }
}

fn facts(started: &Started<'_>, hello: Option<&ClientHello>) -> TlsFacts {
    TlsFacts {
        version: match started.version {
            Version::Tls10 => TlsVersion::V1_0,
            Version::Tls11 => TlsVersion::V1_1,
            Version::Tls12 => TlsVersion::V1_2,
        },
        cipher: known_cipher(started.cipher),
        group: None,
        sni: started
            .server_name
            .map(|name| name.to_ascii_lowercase().into_boxed_str()),
        client_fingerprint: hello.map(|hello| hello.fingerprint().into_boxed_str()),
        resumed: false,
        tls_exporter: None,
        server_end_point: None,
        peer_certificate: None,
    }
}

/// Every suite the gateway offers, by its IANA name.
const CIPHERS: [&str; 20] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_DHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_DHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384",
    "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_DHE_RSA_WITH_AES_128_CCM",
    "TLS_DHE_RSA_WITH_AES_256_CCM",
];

/// The name as a constant, so that facts own no copy.
fn known_cipher(name: &str) -> &'static str {
    CIPHERS
        .iter()
        .find(|cipher| **cipher == name)
        .copied()
        .unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_and_facts_come_in_order() {
        let mut link = Link::default();
        let mut wire = Vec::new();
        wrap(b"a LOGIN", &mut wire);
        let started = Started {
            version: Version::Tls10,
            cipher: "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
            server_name: Some("IMAP-legacy.rp.test"),
            hello: &[22, 3, 1],
        };
        encode(&Frame::TlsStarted(started), &mut wire);
        let mut plain = Vec::new();
        for byte in wire {
            link.incoming().push(byte);
            match link.next(&mut plain).unwrap() {
                Heard::Nothing => {}
                Heard::Data(bytes) => assert_eq!((bytes, &plain[..]), (7, &b"a LOGIN"[..])),
                Heard::Shake(_) => assert_eq!(plain.len(), 7),
            }
        }
        let facts = link.facts().unwrap();
        assert_eq!(facts.version, TlsVersion::V1_0);
        assert_eq!(facts.cipher, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA");
        assert_eq!(facts.sni.as_deref(), Some("imap-legacy.rp.test"));
        assert!(facts.client_fingerprint.is_none());
    }

    #[test]
    fn what_is_not_the_gateways_to_send_ends_the_connection() {
        let mut link = Link::default();
        encode(&Frame::End, link.incoming());
        assert!(link.next(&mut Vec::new()).is_err());
    }

    #[test]
    fn large_pieces_are_cut() {
        let (mut wire, mut plain) = (Vec::new(), Vec::new());
        wrap(&[7; DATA_BYTES_MAX + 1], &mut wire);
        let mut link = Link::default();
        *link.incoming() = wire;
        assert!(matches!(
            link.next(&mut plain),
            Ok(Heard::Data(DATA_BYTES_MAX))
        ));
        assert!(matches!(link.next(&mut plain), Ok(Heard::Data(1))));
    }
}
