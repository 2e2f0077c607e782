//! The PROXY protocol, version 2: the header with which a proxy says whose connection it passes on. Pure and bounded;
//! the listener decides from whom it believes it.
//! Specification: haproxy's doc/proxy-protocol.txt, section 2.2.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The twelve bytes it begins with.
pub const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The largest header that is read. The specification asks for at least 536; certificates in TLVs need more.
pub const HEADER_BYTES_MAX: usize = 4096;

const FIXED_BYTES: usize = 16;
/// TLV type: CRC-32C over the header.
const TYPE_CRC32C: u8 = 0x03;

/// What the bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// A complete header of `total_bytes` bytes.
    Header {
        /// How many bytes to consume.
        total_bytes: usize,
        /// What it says.
        header: Header,
    },
    /// The beginning of one.
    NeedMore,
    /// They do not begin with the signature.
    NotProxy,
    /// They do, and then break the specification; the text says how.
    Bad(&'static str),
}

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The client's address and the one it connected to. `None` for the proxy's own connections (command LOCAL,
    /// health checks) and for families that are no IP: the socket's own addresses then stand.
    pub addresses: Option<Addresses>,
    /// Further fields, as they came.
    pub fields: Vec<Field>,
}

/// Both ends of the connection that the proxy took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The client.
    pub source: SocketAddr,
    /// Where it connected to.
    pub destination: SocketAddr,
}

/// A type-length-value field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its type; 0xE0 to 0xEF are for applications.
    pub kind: u8,
    /// Its value.
    pub value: Vec<u8>,
}

/// Reads the header at the start of `bytes`.
pub fn parse(bytes: &[u8]) -> Parsed {
    let compared = bytes.len().min(SIGNATURE.len());
    if bytes.get(..compared) != SIGNATURE.get(..compared) {
        return Parsed::NotProxy;
    }
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED_BYTES>() else {
        return Parsed::NeedMore;
    };
    let [.., version_and_command, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let total_bytes = FIXED_BYTES + length;
    if total_bytes > HEADER_BYTES_MAX {
        return Parsed::Bad("the header is longer than 4096 bytes");
    }
    if version_and_command >> 4 != 2 {
        return Parsed::Bad("the version is not 2");
    }
    let Some(content) = rest.get(..length) else {
        return Parsed::NeedMore;
    };
    let Some(whole) = bytes.get(..total_bytes) else {
        return Parsed::NeedMore;
    };
    match read(version_and_command & 0x0f, family, content, whole) {
        Ok(header) => Parsed::Header {
            total_bytes,
            header,
        },
        Err(reason) => Parsed::Bad(reason),
    }
}

fn read(command: u8, family: u8, content: &[u8], whole: &[u8]) -> Result<Header, &'static str> {
    const SHORT: &str = "the addresses are cut off";
    let (addresses, fields) = match (command, family) {
        // LOCAL: whatever follows must be skipped.
        (0, _) => {
            return Ok(Header {
                addresses: None,
                fields: Vec::new(),
            });
        }
        (1, 0x11) => {
            let (block, fields) = content.split_first_chunk::<12>().ok_or(SHORT)?;
            (Some(read_v4(block)), fields)
        }
        (1, 0x21) => {
            let (block, fields) = content.split_first_chunk::<36>().ok_or(SHORT)?;
            (Some(read_v6(block)), fields)
        }
        // AF_UNIX stream: two paths of 108 bytes.
        (1, 0x31) => (None, content.get(216..).ok_or(SHORT)?),
        // AF_UNSPEC: accepted, addresses unknown, rest ignored.
        (1, 0x00) => (None, &[][..]),
        (1, _) => return Err("the address family or transport is not one of TCP"),
        _ => return Err("the command is neither LOCAL nor PROXY"),
    };
    Ok(Header {
        addresses,
        fields: read_fields(fields, whole)?,
    })
}

fn read_v4(block: &[u8; 12]) -> Addresses {
    let [a, b, c, d, e, f, g, h, source_port @ .., i, j] = *block;
    Addresses {
        source: SocketAddr::new(
            IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            u16::from_be_bytes(source_port),
        ),
        destination: SocketAddr::new(
            IpAddr::V4(Ipv4Addr::new(e, f, g, h)),
            u16::from_be_bytes([i, j]),
        ),
    }
}

fn read_v6(block: &[u8; 36]) -> Addresses {
    let mut source = [0; 16];
    let mut destination = [0; 16];
    for (to, from) in source
        .iter_mut()
        .chain(destination.iter_mut())
        .zip(block.iter())
    {
        *to = *from;
    }
    let [.., a, b, c, d] = *block;
    let address = |bytes: [u8; 16], port| {
        SocketAddr::new(
            IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical(),
            u16::from_be_bytes(port),
        )
    };
    Addresses {
        source: address(source, [a, b]),
        destination: address(destination, [c, d]),
    }
}

fn read_fields(mut rest: &[u8], whole: &[u8]) -> Result<Vec<Field>, &'static str> {
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let [kind, high, low, after @ ..] = rest else {
            return Err("a field is cut off");
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (value, next) = after
            .split_at_checked(length)
            .ok_or("a field is longer than the header")?;
        if *kind == TYPE_CRC32C {
            let value_offset = whole.len() - after.len();
            check_crc32c(value, value_offset, whole)?;
        }
        fields.push(Field {
            kind: *kind,
            value: value.to_vec(),
        });
        rest = next;
    }
    Ok(fields)
}

/// The checksum is taken with its own four bytes as zero.
fn check_crc32c(value: &[u8], value_offset: usize, whole: &[u8]) -> Result<(), &'static str> {
    let stated: [u8; 4] = value
        .try_into()
        .map_err(|_| "the checksum has not four bytes")?;
    let mut zeroed = whole.to_vec();
    zeroed
        .get_mut(value_offset..value_offset + 4)
        .ok_or("the checksum is cut off")?
        .fill(0);
    if crc32c::crc32c(&zeroed) == u32::from_be_bytes(stated) {
        Ok(())
    } else {
        Err("the checksum is wrong")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(version_and_command: u8, family: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([version_and_command, family]);
        bytes.extend((content.len() as u16).to_be_bytes());
        bytes.extend(content);
        bytes
    }

    const V4: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0xd4, 0x31, 0, 25];

    fn addresses(bytes: &[u8]) -> Option<Addresses> {
        match parse(bytes) {
            Parsed::Header { header, .. } => header.addresses,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn both_families_are_read() {
        let v4 = addresses(&header(0x21, 0x11, &V4)).unwrap();
        assert_eq!(v4.source, "192.0.2.7:54321".parse().unwrap());
        assert_eq!(v4.destination, "198.51.100.1:25".parse().unwrap());
        let mut block = [0; 36];
        block[..16].copy_from_slice(&"2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
        block[16..32].copy_from_slice(&"::ffff:192.0.2.9".parse::<Ipv6Addr>().unwrap().octets());
        block[32..].copy_from_slice(&[0x30, 0x39, 3, 0xe1]);
        let v6 = addresses(&header(0x21, 0x21, &block)).unwrap();
        assert_eq!(v6.source, "[2001:db8::1]:12345".parse().unwrap());
        assert_eq!(v6.destination, "192.0.2.9:993".parse().unwrap());
    }

    #[test]
    fn what_carries_no_address_leaves_the_sockets_own() {
        assert_eq!(addresses(&header(0x20, 0, b"")), None);
        assert_eq!(addresses(&header(0x20, 0x11, &V4)), None);
        assert_eq!(addresses(&header(0x21, 0, b"\x03\0\x09cut")), None);
        assert_eq!(addresses(&header(0x21, 0x31, &[0; 216])), None);
    }

    #[test]
    fn fields_are_kept_and_the_checksum_is_checked() {
        let mut content = V4.to_vec();
        content.extend(b"\xe0\0\x03abc\x04\0\0");
        content.extend(b"\x03\0\x04\0\0\0\0");
        let mut bytes = header(0x21, 0x11, &content);
        assert_eq!(parse(&bytes), Parsed::Bad("the checksum is wrong"));
        let sum = crc32c::crc32c(&bytes).to_be_bytes();
        let at = bytes.len() - 4;
        bytes[at..].copy_from_slice(&sum);
        bytes.extend(b"EHLO");
        let Parsed::Header {
            total_bytes,
            header,
        } = parse(&bytes)
        else {
            panic!("it is whole")
        };
        assert_eq!(total_bytes, bytes.len() - 4);
        let kinds: Vec<_> = header.fields.iter().map(|field| field.kind).collect();
        assert_eq!(kinds, [0xe0, 4, 3]);
        assert_eq!(header.fields[0].value, b"abc");
    }

    #[test]
    fn what_breaks_the_specification_is_bad() {
        for bytes in [
            header(0x11, 0x11, &V4),
            header(0x22, 0x11, &V4),
            header(0x21, 0x12, &V4),
            header(0x21, 0x41, &V4),
            header(0x21, 0x11, &V4[..11]),
            header(0x21, 0x21, &V4),
            header(0x21, 0x11, &[&V4[..], b"\x04\0"].concat()),
            header(0x21, 0x11, &[&V4[..], b"\x04\0\x05abcd"].concat()),
            header(0x21, 0x11, &[&V4[..], b"\x03\0\x03abc"].concat()),
            header(0x21, 0x11, &[0; 5000]),
        ] {
            assert!(matches!(parse(&bytes), Parsed::Bad(_)), "{bytes:?}");
        }
        for text in [
            &b"EHLO"[..],
            b"\r\n\r\nQUIT",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        ] {
            assert_eq!(parse(text), Parsed::NotProxy);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_nothing_grows(content in prop::collection::vec(any::<u8>(), 0..5000), cut in 0..5100usize) {
            for (command, family) in [(0x21, 0x11), (0x21, 0x21), (0x21, 0x31), (0x20, 0)] {
                let mut bytes = header(command, family, &content);
                bytes.truncate(cut);
                match parse(&bytes) {
                    Parsed::Header { total_bytes, header } => {
                        prop_assert!(total_bytes <= bytes.len().min(HEADER_BYTES_MAX));
                        let kept: usize = header.fields.iter().map(|field| field.value.len() + 3).sum();
                        prop_assert!(kept <= total_bytes);
                    }
                    Parsed::NeedMore => prop_assert!(bytes.len() < HEADER_BYTES_MAX),
                    Parsed::NotProxy => prop_assert!(false, "it has the signature"),
                    Parsed::Bad(_) => {}
                }
            }
            let _ = parse(&content);
        }
    }
}
