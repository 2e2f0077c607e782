//! Every frame comes back as it was written, in pieces as well; what is not a frame is said to be none.

use super::*;
use proptest::prelude::*;

fn address() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

fn door() -> impl Strategy<Value = Door> {
    let protocols = prop_oneof![
        Just(Protocol::Submission),
        Just(Protocol::Imap),
        Just(Protocol::Pop3)
    ];
    let modes = prop_oneof![Just(Mode::ImplicitTls), Just(Mode::StartTls)];
    (protocols, modes, address()).prop_map(|(protocol, mode, local)| Door {
        protocol,
        mode,
        local,
    })
}

fn allowed() -> impl Strategy<Value = Allowed> {
    let cleartext = prop_oneof![Just(Cleartext::Served), Just(Cleartext::Refused)];
    (0..8_u8, cleartext).prop_map(|(bits, cleartext)| Allowed {
        versions: VersionSet::from_bits(bits),
        cleartext,
    })
}

/// Calls `check` with a frame of every kind made from these values.
fn each_frame(
    (door, peer): (Door, SocketAddr),
    allowed: Allowed,
    (text, bytes): (&str, &[u8]),
    number: u32,
    check: impl Fn(Frame<'_>),
) {
    let started = |version| {
        Frame::TlsStarted(Started {
            version,
            cipher: "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
            server_name: Some(text).filter(|text| !text.is_empty()),
            hello: bytes,
        })
    };
    check(Frame::Control {
        link_version: number as u16,
        library: text,
    });
    check(Frame::Client(Waiting { door, peer }));
    check(Frame::TakeOver(bytes));
    check(Frame::Data(bytes));
    check(Frame::StartTls(bytes));
    Version::ALL
        .into_iter()
        .for_each(|version| check(started(version)));
    check(Frame::TlsFailed {
        reason: text,
        hello: bytes,
    });
    check(Frame::End);
    check(Frame::Allowed(allowed));
    check(Frame::HandOver);
    check(Frame::Status(Status {
        allowed,
        sessions: Sessions {
            clear: number,
            tls10: 1,
            tls11: number / 2,
            tls12: 3,
        },
        doors: vec![door; (number % 65) as usize],
    }));
}

proptest! {
    #[test]
    fn frames_come_back(
        door in door(), peer in address(), allowed in allowed(),
        text in "[a-zA-Z0-9 .äö-]{0,40}", bytes in prop::collection::vec(any::<u8>(), 0..200), number: u32,
    ) {
        each_frame((door, peer), allowed, (&text, &bytes), number, |frame| {
            let mut written = Vec::new();
            encode(&frame, &mut written);
            let whole = written.len();
            for end in 0..whole {
                assert_eq!(decode(&written[..end]), Ok(Decoded::NeedMore));
            }
            written.push(0);
            assert_eq!(decode(&written), Ok(Decoded::Frame { frame, total_bytes: whole }));
        });
    }

    #[test]
    fn whatever_is_read_is_written_the_same(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(Decoded::Frame { frame, total_bytes }) = decode(&bytes) {
            let mut written = Vec::new();
            encode(&frame, &mut written);
            prop_assert_eq!(&written[..], &bytes[..total_bytes]);
        }
    }
}

#[test]
fn largest_frames_fit() {
    let hello = vec![22; HELLO_BYTES_MAX + 5];
    let name = "n".repeat(300);
    let mut written = Vec::new();
    let started = Started {
        version: Version::Tls11,
        cipher: &name,
        server_name: Some(&name),
        hello: &hello,
    };
    encode(&Frame::TlsStarted(started), &mut written);
    let Ok(Decoded::Frame {
        frame: Frame::TlsStarted(read),
        ..
    }) = decode(&written)
    else {
        panic!("{:?}", decode(&written));
    };
    assert_eq!(read.cipher.len(), TEXT_BYTES_MAX);
    assert_eq!(read.hello.len(), HELLO_BYTES_MAX);
}

#[test]
fn lies_are_noticed() {
    let bad = |bytes: &[u8]| decode(bytes).unwrap_err().0;
    assert_eq!(bad(&[4, 0xff, 0, 0]), "it is too long");
    assert_eq!(bad(&[99, 0, 0, 0]), "its kind is unknown");
    assert_eq!(bad(&[8, 0, 0, 1, 7]), "something follows its content");
    assert_eq!(bad(&[1, 0, 0, 3, 0, 1, 9]), "it ends too early");
    assert_eq!(bad(&[9, 0, 0, 2, 8, 0]), "its TLS versions are unknown");
    assert_eq!(bad(&[7, 0, 0, 2, 1, 10]), "a text has control characters");
}

#[test]
fn version_sets_have_words() {
    assert_eq!(
        VersionSet::parse("1.1, 1.0").unwrap().to_string(),
        "1.0,1.1"
    );
    assert_eq!(VersionSet::parse("1.0,1.0"), None);
    assert_eq!(VersionSet::parse("1.3"), None);
    assert_eq!(VersionSet::parse(""), None);
    let rest = VersionSet::ALL.without(VersionSet::NONE.with(Version::Tls10));
    assert_eq!(rest.to_string(), "1.1,1.2");
}
