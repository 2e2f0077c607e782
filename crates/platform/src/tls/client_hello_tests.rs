//! Tests of the ClientHello parser: what it reads, and that no bytes make it panic or run on.

use super::*;
use proptest::prelude::*;

/// A ClientHello message in one record.
fn hello(version: u16, suites: &[u16], extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    record(&message(version, suites, extensions))
}

fn message(version: u16, suites: &[u16], extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend([7; 32]);
    body.push(0);
    body.extend((suites.len() as u16 * 2).to_be_bytes());
    body.extend(suites.iter().flat_map(|suite| suite.to_be_bytes()));
    body.extend([1, 0]);
    if !extensions.is_empty() {
        let mut list = Vec::new();
        for (kind, content) in extensions {
            list.extend(kind.to_be_bytes());
            list.extend((content.len() as u16).to_be_bytes());
            list.extend(content);
        }
        body.extend((list.len() as u16).to_be_bytes());
        body.extend(list);
    }
    let mut message = vec![1, 0];
    message.extend((body.len() as u16).to_be_bytes());
    message.extend(body);
    message
}

fn record(fragment: &[u8]) -> Vec<u8> {
    let mut record = vec![22, 3, 1];
    record.extend((fragment.len() as u16).to_be_bytes());
    record.extend(fragment);
    record
}

fn parsed(bytes: &[u8]) -> ClientHello {
    match parse(bytes) {
        Parsed::Hello(hello) => *hello,
        other => panic!("{other:?}"),
    }
}

fn modern() -> Vec<u8> {
    hello(
        0x0303,
        &[0x2a2a, 0x1301, 0x1302, 0xc02b],
        &[
            (0x6a6a, vec![]),
            (0, b"\0\x0d\0\0\x0aMX.rp.test".to_vec()),
            (10, vec![0, 6, 0x3a, 0x3a, 0x11, 0xec, 0, 0x1d]),
            (13, vec![0, 4, 4, 3, 8, 4]),
            (16, b"\0\x05\x04imap".to_vec()),
            (43, vec![6, 0x4a, 0x4a, 3, 4, 3, 3]),
        ],
    )
}

#[test]
fn reads_what_a_modern_client_offers_and_overlooks_grease() {
    let hello = parsed(&modern());
    assert_eq!(hello.newest_version(), 0x0304);
    assert_eq!(hello.offered_versions(), "TLSv1.3, TLSv1.2");
    assert_eq!(hello.cipher_suites, [0x1301, 0x1302, 0xc02b]);
    assert_eq!(hello.extensions, [0, 10, 13, 16, 43]);
    assert_eq!(hello.groups, [0x11ec, 0x1d]);
    assert_eq!(hello.signature_schemes, [0x0403, 0x0804]);
    assert_eq!(hello.server_name.as_deref(), Some("mx.rp.test"));
    assert_eq!(hello.first_alpn.as_deref(), Some(b"imap".as_slice()));
    assert!(!hello.falls_back());
}

#[test]
fn the_fingerprint_follows_ja4() {
    // sha256("1301,1302,c02b") and sha256("000a,000d,002b_0403,0804"), twelve digits each, by sha256sum.
    assert_eq!(
        parsed(&modern()).fingerprint(),
        "t13d0305ip_5559582ccdc4_fbabbea27ee8"
    );
}

#[test]
fn old_clients_are_understood() {
    let tls10 = parsed(&hello(0x0301, &[0x002f, 0x5600], &[]));
    assert_eq!(tls10.offered_versions(), "TLSv1 or older");
    assert!(tls10.falls_back());
    assert_eq!(
        parsed(&hello(0x0300, &[0x000a], &[])).offered_versions(),
        "SSLv3 or older"
    );
    assert_eq!(
        parsed(&[0x80, 0x2e, 1, 0, 2, 0, 0x15]).offered_versions(),
        "SSLv2 or older"
    );
    assert_eq!(
        parsed(&[0x80, 0x2e, 1, 3, 1, 0, 0x15]).offered_versions(),
        "TLSv1 or older"
    );
    assert_eq!(
        parsed(&[0x80, 0x2e, 1, 3, 3, 0, 0x15]).newest_version(),
        0x0302
    );
}

#[test]
fn a_hello_in_many_records_is_put_together() {
    let whole = parsed(&modern());
    let message = &modern()[5..];
    for size in [1, 2, 3, 50] {
        let bytes: Vec<u8> = message.chunks(size).flat_map(record).collect();
        assert_eq!(parsed(&bytes), whole, "{size}");
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end]), Parsed::NeedMore, "{size}, {end}");
        }
    }
}

#[test]
fn everything_else_is_told_apart() {
    for text in [
        &b"EHLO client.test\r\n"[..],
        b"a1 CAPABILITY\r\n",
        b"GET / HTTP/1.1\r\n",
        &[22, 1, 0],
    ] {
        assert_eq!(parse(text), Parsed::NotTls);
    }
    assert!(matches!(parse(&[22, 3, 1, 0, 0]), Parsed::Bad(_)));
    assert!(matches!(parse(&[22, 3, 1, 0xff, 0xff]), Parsed::Bad(_)));
    assert!(matches!(parse(&record(&[2, 0, 0, 0])), Parsed::Bad(_)));
    assert!(matches!(parse(&record(&[1, 1, 0, 0])), Parsed::Bad(_)));
    let mut alert_between = record(&[1]);
    alert_between.extend([21, 3, 1, 0, 2, 1, 0]);
    assert!(matches!(parse(&alert_between), Parsed::Bad(_)));
}

#[test]
fn what_never_ends_is_given_up() {
    let mut bytes = Vec::new();
    let mut step = 0;
    while parse(&bytes) == Parsed::NeedMore {
        bytes.extend(record(&[if step == 0 { 1 } else { 0 }]));
        step += 1;
        assert!(bytes.len() < 2 * HELLO_BYTES_MAX);
    }
    assert!(matches!(parse(&bytes), Parsed::Bad(_) | Parsed::Hello(_)));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = parse(&bytes);
        let _ = parse(&[&[22, 3, 1][..], &bytes].concat());
        let _ = parse(&record(&[&[1, 0, 1, 0][..], &bytes].concat()));
    }

    #[test]
    fn no_damage_makes_it_panic(at in 0..140usize, by in 1..=255u8, end in 0..200usize) {
        let mut bytes = modern();
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= by;
        }
        bytes.truncate(end);
        if let Parsed::Hello(hello) = parse(&bytes) {
            prop_assert_eq!(hello.fingerprint().len(), 36);
            prop_assert!(!hello.offered_versions().is_empty());
        }
    }
}
