//! Frames as bytes. Whatever the other side sends, reading it is bounded and does not fail otherwise than with
//! `Malformed`; what is written can be read again.

use crate::frame::*;
use crate::{
    DATA_BYTES_MAX, HEAD_BYTES, HELLO_BYTES_MAX, LISTENERS_MAX, PAYLOAD_BYTES_MAX, TEXT_BYTES_MAX,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const CONTROL: u8 = 1;
const CLIENT: u8 = 2;
const TAKE_OVER: u8 = 3;
const DATA: u8 = 4;
const START_TLS: u8 = 5;
const TLS_STARTED: u8 = 6;
const TLS_FAILED: u8 = 7;
const END: u8 = 8;
const ALLOWED: u8 = 9;
const HAND_OVER: u8 = 10;
const STATUS: u8 = 11;

/// The bytes are no frame; the connection is of no further use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the link's bytes are no frame: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

/// What stands at the front of some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// A frame of so many bytes.
    Frame {
        /// The frame.
        frame: Frame<'a>,
        /// With its head.
        total_bytes: usize,
    },
    /// The beginning of one.
    NeedMore,
}

/// Adds a frame to `out`. Texts and pieces that are longer than their limit are cut, lists too; `Data` and
/// `StartTls` must not be: callers give at most `DATA_BYTES_MAX`.
pub fn encode(frame: &Frame<'_>, out: &mut Vec<u8>) {
    let head = out.len();
    out.extend_from_slice(&[kind(frame), 0, 0, 0]);
    write_payload(frame, out);
    let length = (out.len() - head - HEAD_BYTES).min(PAYLOAD_BYTES_MAX);
    let [_, high, middle, low] = (length as u32).to_be_bytes();
    if let Some([_, a, b, c]) = out.get_mut(head..head + HEAD_BYTES) {
        (*a, *b, *c) = (high, middle, low);
    }
}

fn kind(frame: &Frame<'_>) -> u8 {
    match frame {
        Frame::Control { .. } => CONTROL,
        Frame::Client(_) => CLIENT,
        Frame::TakeOver(_) => TAKE_OVER,
        Frame::Data(_) => DATA,
        Frame::StartTls(_) => START_TLS,
        Frame::TlsStarted(_) => TLS_STARTED,
        Frame::TlsFailed { .. } => TLS_FAILED,
        Frame::End => END,
        Frame::Allowed(_) => ALLOWED,
        Frame::HandOver => HAND_OVER,
        Frame::Status(_) => STATUS,
    }
}

fn write_payload(frame: &Frame<'_>, out: &mut Vec<u8>) {
    match frame {
        Frame::Control {
            link_version,
            library,
        } => {
            out.extend_from_slice(&link_version.to_be_bytes());
            put_text(library, out);
        }
        Frame::Client(waiting) => {
            put_door(&waiting.door, out);
            put_address(waiting.peer, out);
        }
        Frame::TakeOver(hello) => out.extend_from_slice(cut(hello, HELLO_BYTES_MAX)),
        Frame::Data(bytes) | Frame::StartTls(bytes) => {
            debug_assert!(bytes.len() <= DATA_BYTES_MAX);
            out.extend_from_slice(cut(bytes, DATA_BYTES_MAX));
        }
        Frame::TlsStarted(started) => {
            out.push(started.version as u8);
            put_text(started.cipher, out);
            // An empty name is none.
            put_text(started.server_name.unwrap_or_default(), out);
            out.extend_from_slice(cut(started.hello, HELLO_BYTES_MAX));
        }
        Frame::TlsFailed { reason, hello } => {
            put_text(reason, out);
            out.extend_from_slice(cut(hello, HELLO_BYTES_MAX));
        }
        Frame::End | Frame::HandOver => {}
        Frame::Allowed(allowed) => put_allowed(*allowed, out),
        Frame::Status(status) => {
            put_allowed(status.allowed, out);
            let open = &status.sessions;
            for number in [open.clear, open.tls10, open.tls11, open.tls12] {
                out.extend_from_slice(&number.to_be_bytes());
            }
            let doors = cut(&status.doors, LISTENERS_MAX);
            out.push(doors.len() as u8);
            for door in doors {
                put_door(door, out);
            }
        }
    }
}

fn cut<T>(all: &[T], max: usize) -> &[T] {
    all.get(..max).unwrap_or(all)
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    out.push(end as u8);
    out.extend_from_slice(text.as_bytes().get(..end).unwrap_or_default());
}

fn put_allowed(allowed: Allowed, out: &mut Vec<u8>) {
    out.push(allowed.versions.bits());
    out.push(u8::from(allowed.cleartext == Cleartext::Served));
}

fn put_door(door: &Door, out: &mut Vec<u8>) {
    out.push(match door.protocol {
        Protocol::Submission => 0,
        Protocol::Imap => 1,
        Protocol::Pop3 => 2,
    });
    out.push(match door.mode {
        Mode::ImplicitTls => 0,
        Mode::StartTls => 1,
    });
    put_address(door.local, out);
}

fn put_address(address: SocketAddr, out: &mut Vec<u8>) {
    match address.ip() {
        IpAddr::V4(ip) => {
            out.push(4);
            out.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(6);
            out.extend_from_slice(&ip.octets());
        }
    }
    out.extend_from_slice(&address.port().to_be_bytes());
}

/// Reads the frame at the front of `bytes`.
///
/// # Errors
/// Where the bytes are no frame.
pub fn decode(bytes: &[u8]) -> Result<Decoded<'_>, Malformed> {
    let Some((&[kind, high, middle, low], rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
        return Ok(Decoded::NeedMore);
    };
    let length = u32::from_be_bytes([0, high, middle, low]) as usize;
    if length > PAYLOAD_BYTES_MAX {
        return Err(Malformed("it is too long"));
    }
    let Some(payload) = rest.get(..length) else {
        return Ok(Decoded::NeedMore);
    };
    let mut reader = Reader(payload);
    let frame = reader.frame(kind)?;
    if !reader.0.is_empty() {
        return Err(Malformed("something follows its content"));
    }
    Ok(Decoded::Frame {
        frame,
        total_bytes: HEAD_BYTES + length,
    })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn frame(&mut self, kind: u8) -> Result<Frame<'a>, Malformed> {
        Ok(match kind {
            CONTROL => Frame::Control {
                link_version: self.u16()?,
                library: self.text()?,
            },
            CLIENT => Frame::Client(Waiting {
                door: self.door()?,
                peer: self.address()?,
            }),
            TAKE_OVER => Frame::TakeOver(self.rest(HELLO_BYTES_MAX)?),
            DATA => Frame::Data(self.rest(DATA_BYTES_MAX)?),
            START_TLS => Frame::StartTls(self.rest(DATA_BYTES_MAX)?),
            TLS_STARTED => Frame::TlsStarted(Started {
                version: self.version()?,
                cipher: self.text()?,
                server_name: Some(self.text()?).filter(|name| !name.is_empty()),
                hello: self.rest(HELLO_BYTES_MAX)?,
            }),
            TLS_FAILED => Frame::TlsFailed {
                reason: self.text()?,
                hello: self.rest(HELLO_BYTES_MAX)?,
            },
            END => Frame::End,
            ALLOWED => Frame::Allowed(self.allowed()?),
            HAND_OVER => Frame::HandOver,
            STATUS => Frame::Status(self.status()?),
            _ => return Err(Malformed("its kind is unknown")),
        })
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .0
            .split_at_checked(bytes)
            .ok_or(Malformed("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self
            .0
            .split_first_chunk()
            .ok_or(Malformed("it ends too early"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn rest(&mut self, max: usize) -> Result<&'a [u8], Malformed> {
        if self.0.len() > max {
            return Err(Malformed("its bytes are too many"));
        }
        self.take(self.0.len())
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    fn text(&mut self) -> Result<&'a str, Malformed> {
        let bytes = usize::from(self.u8()?);
        let text = std::str::from_utf8(self.take(bytes)?);
        let text = text.map_err(|_| Malformed("a text is not UTF-8"))?;
        // They go to logs and headers.
        if text.chars().any(char::is_control) {
            return Err(Malformed("a text has control characters"));
        }
        Ok(text)
    }

    fn version(&mut self) -> Result<Version, Malformed> {
        match self.u8()? {
            0 => Ok(Version::Tls10),
            1 => Ok(Version::Tls11),
            2 => Ok(Version::Tls12),
            _ => Err(Malformed("its TLS version is unknown")),
        }
    }

    fn allowed(&mut self) -> Result<Allowed, Malformed> {
        let bits = self.u8()?;
        if bits > VersionSet::ALL.bits() {
            return Err(Malformed("its TLS versions are unknown"));
        }
        Ok(Allowed {
            versions: VersionSet::from_bits(bits),
            cleartext: match self.u8()? {
                0 => Cleartext::Refused,
                1 => Cleartext::Served,
                _ => return Err(Malformed("it says nothing known about cleartext")),
            },
        })
    }

    fn status(&mut self) -> Result<Status, Malformed> {
        let allowed = self.allowed()?;
        let sessions = Sessions {
            clear: self.u32()?,
            tls10: self.u32()?,
            tls11: self.u32()?,
            tls12: self.u32()?,
        };
        let doors = usize::from(self.u8()?);
        if doors > LISTENERS_MAX {
            return Err(Malformed("its listeners are too many"));
        }
        Ok(Status {
            allowed,
            sessions,
            doors: (0..doors).map(|_| self.door()).collect::<Result<_, _>>()?,
        })
    }

    fn door(&mut self) -> Result<Door, Malformed> {
        Ok(Door {
            protocol: match self.u8()? {
                0 => Protocol::Submission,
                1 => Protocol::Imap,
                2 => Protocol::Pop3,
                _ => return Err(Malformed("its protocol is unknown")),
            },
            mode: match self.u8()? {
                0 => Mode::ImplicitTls,
                1 => Mode::StartTls,
                _ => return Err(Malformed("its mode is unknown")),
            },
            local: self.address()?,
        })
    }

    fn address(&mut self) -> Result<SocketAddr, Malformed> {
        let ip = match self.u8()? {
            4 => IpAddr::V4(Ipv4Addr::from(self.array::<4>()?)),
            6 => IpAddr::V6(Ipv6Addr::from(self.array::<16>()?)),
            _ => return Err(Malformed("an address is of no known family")),
        };
        Ok(SocketAddr::new(ip, self.u16()?))
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
