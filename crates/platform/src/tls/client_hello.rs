//! Reads a TLS ClientHello from the first bytes of a connection, of any version since SSL 2.0: what it offers, and to
//! whom. Pure and bounded; it decides nothing and is no substitute for rustls, which reads the same bytes again.
//! Called by `net::Stream` before each handshake, so that clients we refuse are known too.

use std::borrow::Cow;

/// The record type of handshake messages: the first byte of every TLS connection since SSL 3.0.
pub const RECORD_HANDSHAKE: u8 = 22;

/// The largest ClientHello that is read, headers included. Post-quantum key shares and tickets make 2 to 4 KiB;
/// browsers stay below 16.
pub const HELLO_BYTES_MAX: usize = 16 * 1024;

/// The pseudo cipher suite TLS_FALLBACK_SCSV, RFC 7507 §2.
const FALLBACK_SCSV: u16 = 0x5600;
/// The pseudo cipher suite TLS_EMPTY_RENEGOTIATION_INFO_SCSV, RFC 5746 §3.3.
const RENEGOTIATION_SCSV: u16 = 0x00ff;

const EXTENSION_SERVER_NAME: u16 = 0;
const EXTENSION_SUPPORTED_GROUPS: u16 = 10;
const EXTENSION_SIGNATURE_ALGORITHMS: u16 = 13;
const EXTENSION_ALPN: u16 = 16;
const EXTENSION_SUPPORTED_VERSIONS: u16 = 43;

/// What the bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// A complete ClientHello.
    Hello(Box<ClientHello>),
    /// The beginning of one.
    NeedMore,
    /// Something else, such as a command in clear.
    NotTls,
    /// TLS, but broken; the text says where.
    Bad(&'static str),
}

/// What a client offered. GREASE values (RFC 8701) are left out everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientHello {
    /// The version field of the message itself; TLS 1.3 clients write 0x0303 there.
    pub legacy_version: u16,
    /// The versions offered by extension, in the client's order; empty where it sent no such extension.
    pub supported_versions: Vec<u16>,
    /// Cipher suites in the client's order, pseudo suites included.
    pub cipher_suites: Vec<u16>,
    /// Extension types in the client's order.
    pub extensions: Vec<u16>,
    /// Signature schemes in the client's order.
    pub signature_schemes: Vec<u16>,
    /// Key exchange groups in the client's order.
    pub groups: Vec<u16>,
    /// The host name asked for, in lower case.
    pub server_name: Option<String>,
    /// The first application protocol offered (ALPN), at most 255 bytes.
    pub first_alpn: Option<Vec<u8>>,
}

impl ClientHello {
    /// The newest version offered, such as 0x0304 for TLS 1.3; 0x0002 for SSL 2.0.
    pub fn newest_version(&self) -> u16 {
        // RFC 8446 §4.2.1: the extension counts alone where it is present.
        self.supported_versions
            .iter()
            .copied()
            .max()
            .unwrap_or(self.legacy_version)
    }

    /// Every version the client is known to offer, newest first, in words: `TLSv1.1 or older`, `TLSv1.3, TLSv1.2`.
    pub fn offered_versions(&self) -> String {
        if self.supported_versions.is_empty() {
            return format!("{} or older", version_name(self.legacy_version));
        }
        let mut versions = self.supported_versions.clone();
        versions.sort_unstable_by(|a, b| b.cmp(a));
        let names: Vec<_> = versions.into_iter().map(version_name).collect();
        names.join(", ")
    }

    /// Whether the client says that it repeats a failed attempt with a lower version (RFC 7507).
    pub fn falls_back(&self) -> bool {
        self.cipher_suites.contains(&FALLBACK_SCSV)
    }

    /// What software the client is likely to be: its JA4 (version, whether it names a host, how many suites and
    /// extensions, ALPN, and two hashes over the sorted suites and extensions). The same software gives the same
    /// text on every connection, whatever order it shuffles its extensions into.
    pub fn fingerprint(&self) -> String {
        crate::tls::fingerprint::ja4(self)
    }
}

/// The name of a protocol version as OpenSSL writes it.
pub fn version_name(version: u16) -> Cow<'static, str> {
    Cow::Borrowed(match version {
        0x0002 => "SSLv2",
        0x0300 => "SSLv3",
        0x0301 => "TLSv1",
        0x0302 => "TLSv1.1",
        0x0303 => "TLSv1.2",
        0x0304 => "TLSv1.3",
        other => return Cow::Owned(format!("0x{other:04x}")),
    })
}

/// RFC 8701 §2: 0x0a0a, 0x1a1a, ... 0xfafa mean nothing.
pub(crate) fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

/// Whether a suite is a signal and not a cipher.
pub(crate) fn is_signalling(suite: u16) -> bool {
    suite == FALLBACK_SCSV || suite == RENEGOTIATION_SCSV
}

/// Reads the ClientHello at the start of `bytes`.
pub fn parse(bytes: &[u8]) -> Parsed {
    match bytes {
        [] => Parsed::NeedMore,
        [RECORD_HANDSHAKE] => Parsed::NeedMore,
        [RECORD_HANDSHAKE, 3, ..] => parse_records(bytes),
        [RECORD_HANDSHAKE, ..] => Parsed::NotTls,
        // SSL 2.0 framing: a two-byte length with the top bit set, then message type 1 (RFC 5246 §E.2).
        [0x80..=0xff, _] | [0x80..=0xff] => Parsed::NeedMore,
        [0x80..=0xff, _, 1, rest @ ..] => parse_v2(rest),
        _ => Parsed::NotTls,
    }
}

/// An SSL 2.0 style hello; nothing but its version is of interest, as we never speak it.
fn parse_v2(rest: &[u8]) -> Parsed {
    match rest {
        [major @ (0 | 3), minor, ..] => Parsed::Hello(Box::new(ClientHello {
            // A TLS client may once have used this framing to offer newer versions; RFC 6176 §3 forbids
            // it since, so whoever does it now is too old whatever it says.
            legacy_version: u16::from_be_bytes([*major, *minor]).min(0x0302),
            ..ClientHello::default()
        })),
        [0 | 3] | [] => Parsed::NeedMore,
        _ => Parsed::NotTls,
    }
}

/// Puts the handshake message together from its records, then reads it.
fn parse_records(bytes: &[u8]) -> Parsed {
    let mut message: Cow<'_, [u8]> = Cow::Borrowed(&[]);
    let mut rest = bytes;
    loop {
        match whole_message(&message) {
            Ok(Some(body)) => {
                return match read_hello(body) {
                    Some(hello) => Parsed::Hello(Box::new(hello)),
                    None => Parsed::Bad("a length inside it is wrong"),
                };
            }
            Ok(None) => {}
            Err(reason) => return Parsed::Bad(reason),
        }
        let [kind, major, _minor, high, low, after @ ..] = rest else {
            return need_more(bytes);
        };
        if (*kind, *major) != (RECORD_HANDSHAKE, 3) {
            return Parsed::Bad("another record comes in the middle of it");
        }
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        // RFC 8446 §5.1: handshake fragments are neither empty nor longer than 2^14.
        if length == 0 || length > 1 << 14 {
            return Parsed::Bad("a record has a forbidden length");
        }
        let Some((fragment, next)) = after.split_at_checked(length) else {
            return need_more(bytes);
        };
        if message.is_empty() {
            message = Cow::Borrowed(fragment);
        } else {
            message.to_mut().extend_from_slice(fragment);
        }
        rest = next;
    }
}

fn need_more(bytes: &[u8]) -> Parsed {
    if bytes.len() >= HELLO_BYTES_MAX {
        Parsed::Bad("it is longer than 16 KiB")
    } else {
        Parsed::NeedMore
    }
}

/// The body of the handshake message, once it is complete.
fn whole_message(message: &[u8]) -> Result<Option<&[u8]>, &'static str> {
    if message.first().is_some_and(|kind| *kind != 1) {
        return Err("the first message is not a ClientHello");
    }
    let [_kind, a, b, c, body @ ..] = message else {
        return Ok(None);
    };
    let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
    if length > HELLO_BYTES_MAX {
        return Err("it is longer than 16 KiB");
    }
    Ok(body.get(..length))
}

/// Reads the fields of RFC 8446 §4.1.2 (and of every version before it). `None` where a length is wrong.
fn read_hello(body: &[u8]) -> Option<ClientHello> {
    let mut reader = Reader(body);
    let mut hello = ClientHello {
        legacy_version: reader.u16()?,
        ..ClientHello::default()
    };
    let _random = reader.take(32)?;
    let _session_id = reader.vector8()?;
    hello.cipher_suites = values(reader.vector16()?)?;
    let _compression_methods = reader.vector8()?;
    // SSL 3.0 and TLS 1.0 clients may send no extensions at all.
    if reader.0.is_empty() {
        return Some(hello);
    }
    let mut extensions = Reader(reader.vector16()?);
    while !extensions.0.is_empty() {
        let kind = extensions.u16()?;
        let content = extensions.vector16()?;
        read_extension(&mut hello, kind, content)?;
    }
    Some(hello)
}

fn read_extension(hello: &mut ClientHello, kind: u16, content: &[u8]) -> Option<()> {
    if !is_grease(kind) {
        hello.extensions.push(kind);
    }
    let mut reader = Reader(content);
    match kind {
        EXTENSION_SERVER_NAME => hello.server_name = read_server_name(content),
        EXTENSION_SUPPORTED_GROUPS => hello.groups = values(reader.vector16()?)?,
        EXTENSION_SIGNATURE_ALGORITHMS => hello.signature_schemes = values(reader.vector16()?)?,
        EXTENSION_SUPPORTED_VERSIONS => hello.supported_versions = values(reader.vector8()?)?,
        EXTENSION_ALPN => {
            let mut protocols = Reader(reader.vector16()?);
            hello.first_alpn = Some(protocols.vector8()?.to_vec());
        }
        _ => {}
    }
    Some(())
}

/// RFC 6066 §3: a list of names of which only type 0, the host name, was ever defined.
fn read_server_name(content: &[u8]) -> Option<String> {
    let mut names = Reader(Reader(content).vector16()?);
    let kind = names.take(1)?;
    let name = names.vector16()?;
    let is_host_name = kind == [0]
        && (1..=255).contains(&name.len())
        && name
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    is_host_name.then(|| {
        String::from_utf8_lossy(name)
            .trim_end_matches('.')
            .to_ascii_lowercase()
    })
}

/// A list of 16-bit values without GREASE. `None` where half a value is left over.
fn values(bytes: &[u8]) -> Option<Vec<u16>> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    rest.is_empty().then(|| {
        pairs
            .iter()
            .map(|pair| u16::from_be_bytes(*pair))
            .filter(|value| !is_grease(*value))
            .collect()
    })
}

/// Takes fields from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*taken))
    }

    fn vector8(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first()?;
        self.0 = rest;
        self.take(usize::from(*length))
    }

    fn vector16(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }
}

#[cfg(test)]
#[path = "client_hello_tests.rs"]
mod tests;
