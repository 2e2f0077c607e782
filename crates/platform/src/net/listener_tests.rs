//! Tests of listeners: modes, STARTTLS, PROXY headers, limits, deadlines, and our own TLS client. Tests only.

use crate::net::rig::{Server, demo_files, implicit, soon, start, starttls};
use crate::net::{LimitSettings, Mode, Stream};
use crate::tls::{
    CertificateFaultKind, ClientTls, Demand, HandshakeFailure, Proof, TlsVersion, Verified,
};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_clear_client_on_a_tls_port_is_told_and_gets_no_banner() {
    let server = implicit();
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(b"EHLO client.test\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.starts_with("554 5.7.0 This port is for SSL/TLS") && answer.ends_with("\r\n"),
        "{answer:?}"
    );
    server
        .heard("wrong mode: the client does not start TLS")
        .await;
}

#[tokio::test]
async fn a_client_that_waits_for_a_greeting_on_a_tls_port_is_told() {
    let server = implicit();
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let mut answer = Vec::new();
    let read = socket.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(20), read).await;
    assert!(answer.starts_with(b"554 5.7.0 "), "{answer:?}");
    server
        .heard("wrong mode: the client does not start TLS")
        .await;
}

async fn connect(server: &Server) -> Stream {
    let mut stream = Stream::connect(server.address, None, soon()).await.unwrap();
    assert_eq!(line(&mut stream).await, "220 hello");
    stream
}

async fn line(stream: &mut Stream) -> String {
    let line = stream.read_line(2000, soon()).await.unwrap();
    let text = String::from_utf8_lossy(&stream.buffer()[..line.content_bytes]).into_owned();
    stream.consume(line.total_bytes);
    text
}

/// RFC 3207 §4.2, and the injection of 2011 (CVE-2011-0411).
#[tokio::test]
async fn plaintext_behind_starttls_is_thrown_away() {
    let server = starttls();
    let mut stream = connect(&server).await;
    stream.write(b"STARTTLS\r\nINJECTED\r\n");
    stream.flush(soon()).await.unwrap();
    assert_eq!(line(&mut stream).await, "220 go ahead");
    let tls = ClientTls::new(Some(&demo_files().join("ca.pem"))).unwrap();
    stream
        .start_tls_client(&tls, &Demand::opportunistic("mx.rp.test"), soon())
        .await
        .unwrap();
    assert_eq!(line(&mut stream).await, "250 discarded=10");
    stream.write(b"ONE\r\nTWO\r\n");
    stream.flush(soon()).await.unwrap();
    assert_eq!(line(&mut stream).await, "250 ONE");
    assert_eq!(line(&mut stream).await, "250 TWO");
}

async fn meet(
    server: &Server,
    tls: &ClientTls,
    demand: &Demand,
) -> (Stream, Result<(), HandshakeFailure>) {
    let mut stream = connect(server).await;
    stream.write(b"STARTTLS\r\n");
    stream.flush(soon()).await.unwrap();
    line(&mut stream).await;
    let started = stream.start_tls_client(tls, demand, soon()).await;
    (stream, started.map(drop).map_err(|error| error.failure))
}

#[tokio::test]
async fn a_client_records_what_it_met() {
    let server = starttls();
    let ca = ClientTls::new(Some(&demo_files().join("ca.pem"))).unwrap();
    let mut audited = Demand::opportunistic("mx.rp.test");
    audited.audit = Some(Proof::Names(vec!["other.test".to_owned()]));
    for (demand, verified) in [
        (Demand::verified("mx.rp.test"), Verified::Names),
        (Demand::opportunistic("other.test"), Verified::NotAsked),
        (audited, Verified::NotAsked),
    ] {
        let (stream, met) = meet(&server, &ca, &demand).await;
        assert!(met.is_ok(), "{demand:?}: {met:?}");
        let facts = stream.tls().unwrap();
        assert_eq!(facts.version, TlsVersion::V1_3);
        assert_eq!(facts.group, Some("X25519MLKEM768"));
        let certificate = facts.peer_certificate.as_ref().unwrap();
        assert_eq!(certificate.verified, verified);
        let audit = certificate
            .audit
            .clone()
            .map(|audit| audit.map_err(|fault| fault.kind));
        let expected = demand
            .audit
            .map(|_| Err(CertificateFaultKind::HostMismatch));
        assert_eq!(audit, expected);
    }
}

#[tokio::test]
async fn a_certificate_that_will_not_do_says_why() {
    use CertificateFaultKind as Kind;
    let server = starttls();
    let ca = ClientTls::new(Some(&demo_files().join("ca.pem"))).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let other_ca = directory.path().join("ca.pem");
    let other = rcgen::generate_simple_self_signed(["other".to_owned()]).unwrap();
    std::fs::write(&other_ca, other.cert.pem()).unwrap();
    let stranger = ClientTls::new(Some(&other_ca)).unwrap();
    for (tls, proof, expected) in [
        (
            &ca,
            Proof::Names(vec!["other.test".into()]),
            Kind::HostMismatch,
        ),
        (
            &stranger,
            Proof::Names(vec!["mx.rp.test".into()]),
            Kind::NotTrusted,
        ),
        (
            &ca,
            Proof::Fingerprints(vec![[7; 32]]),
            Kind::FingerprintMismatch,
        ),
        (
            &ca,
            Proof::Dane {
                records: Vec::new(),
                names: vec!["mx.rp.test".into()],
            },
            Kind::TlsaMismatch,
        ),
    ] {
        let (stream, met) = meet(&server, tls, &Demand::with_proof("mx.rp.test", proof)).await;
        assert!(stream.tls().is_none());
        match met {
            Err(HandshakeFailure::Certificate(fault)) => assert_eq!(fault.kind, expected),
            other => panic!("{expected:?}: {other:?}"),
        }
    }
}

/// Data in both directions at once, in sizes around those of records and buffers.
#[tokio::test]
async fn large_amounts_pass_unharmed() {
    let server = starttls();
    let mut stream = connect(&server).await;
    stream.write(b"STARTTLS\r\n");
    stream.flush(soon()).await.unwrap();
    line(&mut stream).await;
    let tls = ClientTls::new(None).unwrap();
    stream
        .start_tls_client(&tls, &Demand::opportunistic("mx.rp.test"), soon())
        .await
        .unwrap();
    line(&mut stream).await;
    let command = [b'x'; 90];
    for round in 0..40 {
        let mut sent = Vec::new();
        for _ in 0..round * 20 {
            sent.extend_from_slice(&command);
            sent.extend_from_slice(b"\r\n");
        }
        stream.send(&sent, soon()).await.unwrap();
        stream.flush(soon()).await.unwrap();
        for _ in 0..round * 20 {
            assert_eq!(line(&mut stream).await.len(), 94);
        }
    }
    assert_eq!(stream.pending_bytes(), 0);
}

fn proxy_header(command: u8, family: u8, content: &[u8]) -> Vec<u8> {
    let mut header = crate::net::proxy::SIGNATURE.to_vec();
    header.extend([0x20 | command, family]);
    header.extend((content.len() as u16).to_be_bytes());
    header.extend(content);
    header
}

const PROXIED: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0x30, 0x39, 0, 25];

async fn speak(server: &Server, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let _ = socket.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_listed_proxy_is_believed_and_nobody_else() {
    let listed = start(Mode::StartTls, &["127.0.0.0/8"], LimitSettings::default());
    let with_peer = |header: Vec<u8>| [header, b"PEER\r\nQUIT\r\n".to_vec()].concat();
    let answer = speak(&listed, &with_peer(proxy_header(1, 0x11, &PROXIED))).await;
    assert!(
        answer.contains("250 192.0.2.7:12345 198.51.100.1:25"),
        "{answer}"
    );
    let answer = speak(&listed, &with_peer(proxy_header(0, 0, b""))).await;
    assert!(answer.contains("250 127.0.0.1:"), "{answer}");
    let answer = speak(&listed, b"PEER\r\nQUIT\r\n").await;
    assert!(answer.is_empty(), "{answer}");
    listed.heard("does not begin with one").await;
    let answer = speak(&listed, &with_peer(proxy_header(1, 0x12, &PROXIED))).await;
    assert!(answer.is_empty(), "{answer}");

    // To a session the header is garbage, in which only the QUIT of the signature means something.
    let unlisted = start(Mode::StartTls, &["192.0.2.0/24"], LimitSettings::default());
    let answer = speak(&unlisted, &with_peer(proxy_header(1, 0x11, &PROXIED))).await;
    assert!(
        answer.starts_with("220 hello") && answer.ends_with("221 bye\r\n"),
        "{answer}"
    );
    assert!(!answer.contains("192.0.2.7"), "{answer}");
}

#[tokio::test]
async fn a_proxy_header_goes_before_implicit_tls() {
    let server = start(Mode::ImplicitTls, &["127.0.0.1"], LimitSettings::default());
    let mut stream = Stream::connect(server.address, None, soon()).await.unwrap();
    stream.write(&proxy_header(1, 0x11, &PROXIED));
    let tls = ClientTls::new(None).unwrap();
    stream
        .start_tls_client(&tls, &Demand::opportunistic("mx.rp.test"), soon())
        .await
        .unwrap();
    assert_eq!(line(&mut stream).await, "220 hello");
    stream.write(b"PEER\r\n");
    stream.flush(soon()).await.unwrap();
    assert_eq!(
        line(&mut stream).await,
        "250 192.0.2.7:12345 198.51.100.1:25"
    );
}

#[tokio::test]
async fn one_address_cannot_take_every_place() {
    let settings = LimitSettings {
        address_connections_max: 2,
        ..LimitSettings::default()
    };
    let server = start(Mode::StartTls, &["127.0.0.1"], settings);
    let hold = async |source: u8| {
        let mut stream = Stream::connect(server.address, None, soon()).await.unwrap();
        let mut addresses = PROXIED;
        addresses[3] = source;
        stream.write(&proxy_header(1, 0x11, &addresses));
        stream.flush(soon()).await.unwrap();
        let greeting = line(&mut stream).await;
        (stream, greeting)
    };
    let (_one, _) = hold(1).await;
    let (two, _) = hold(1).await;
    let (_three, refusal) = hold(1).await;
    assert!(
        refusal.starts_with("421 4.7.0 Too many connections from your address"),
        "{refusal}"
    );
    let (_other, greeting) = hold(2).await;
    assert_eq!(greeting, "220 hello");
    drop(two);
    for _ in 0..100 {
        if server.limits.open() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (_again, greeting) = hold(1).await;
    assert_eq!(greeting, "220 hello");
}

#[tokio::test]
async fn a_handshake_that_dawdles_is_ended() {
    let server = implicit();
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let mut answer = Vec::new();
    let started = tokio::time::Instant::now();
    for byte in [22, 3, 1, 2, 0, 1] {
        let _ = socket.write_all(&[byte]).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let _ = socket.read_to_end(&mut answer).await;
    assert!(started.elapsed() < Duration::from_secs(5));
    server.heard("the peer did not answer in time").await;
}

#[tokio::test]
async fn a_panic_in_one_session_ends_no_other() {
    let server = starttls();
    let mut well = connect(&server).await;
    let mut ill = connect(&server).await;
    ill.write(b"PANIC\r\n");
    ill.flush(soon()).await.unwrap();
    assert!(ill.fill(soon()).await.is_err());
    well.write(b"STILL HERE\r\n");
    well.flush(soon()).await.unwrap();
    assert_eq!(line(&mut well).await, "250 STILL HERE");
    connect(&server).await;
    for _ in 0..100 {
        if server.limits.open() <= 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the place of the failed session did not come back");
}
