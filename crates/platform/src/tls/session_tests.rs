//! Tests of the byte engine: both sides in memory, with bytes in pieces of any size and with damage anywhere.

use super::*;
use crate::tls::{
    CertStore, ClientTls, Demand, ServerTls, ServerTlsSettings, client_hello, demo_ca,
};
use proptest::prelude::*;
use std::sync::OnceLock;

fn settings() -> &'static (ServerTls, ClientTls) {
    static SETTINGS: OnceLock<(ServerTls, ClientTls)> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        demo_ca(directory.path(), &["mx.rp.test"]).unwrap();
        let store = CertStore::from_dir(directory.path(), None).unwrap();
        let server = ServerTls::new(store, &ServerTlsSettings::default()).unwrap();
        (server, ClientTls::new(None).unwrap())
    })
}

/// Gives the handshake `bytes` in pieces of `piece` bytes.
fn feed(
    handshake: &mut Handshake,
    bytes: &[u8],
    piece: usize,
    wire: &mut Vec<u8>,
) -> Result<Stage, ()> {
    let mut scratch = vec![0; SCRATCH_BYTES];
    let mut plain = Vec::new();
    let mut stage = Stage::Handshaking;
    for piece in bytes.chunks(piece) {
        let read = |space: &mut [u8]| {
            space[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        };
        stage = handshake
            .read(&mut scratch, &mut plain, wire, read)
            .map_err(|_| ())?;
    }
    Ok(stage)
}

fn receive(session: &mut Session, bytes: &[u8], piece: usize) -> Result<Vec<u8>, ()> {
    let mut scratch = vec![0; SCRATCH_BYTES];
    let (mut plain, mut wire) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        let read = |space: &mut [u8]| {
            space[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        };
        session
            .read(&mut scratch, piece.len(), &mut plain, &mut wire, read)
            .map_err(|_| ())?;
    }
    Ok(plain)
}

/// Changes one byte of the flight numbered `flight`.
#[derive(Debug, Clone, Copy)]
struct Damage {
    flight: usize,
    at: usize,
    by: u8,
}

impl Damage {
    fn strike(self, flight: usize, bytes: &mut [u8]) {
        if flight == self.flight && !bytes.is_empty() {
            let at = self.at % bytes.len();
            bytes[at] ^= self.by;
        }
    }
}

/// A whole handshake; both sessions, where it came to that.
fn shake(piece: usize, damage: Option<Damage>) -> Option<(Box<Session>, Box<Session>)> {
    let (server_tls, client_tls) = settings();
    let mut client = client_tls
        .handshake(&Demand::opportunistic("mx.rp.test"))
        .unwrap();
    let mut server = server_tls.handshake(Vec::new()).unwrap();
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    client.advance(&mut Vec::new(), &mut to_server).unwrap();
    let mut hello = None;
    for flight in 0..6 {
        let (from, to) = if flight % 2 == 0 {
            (&mut to_server, &mut server)
        } else {
            (&mut to_client, &mut client)
        };
        let mut bytes = std::mem::take(from);
        if let Some(damage) = damage {
            damage.strike(flight, &mut bytes);
        }
        if flight == 0 {
            hello = match client_hello::parse(&bytes) {
                client_hello::Parsed::Hello(hello) => Some(hello),
                _ => None,
            };
        }
        let back = if flight % 2 == 0 {
            &mut to_client
        } else {
            &mut to_server
        };
        feed(to, &bytes, piece, back).ok()?;
    }
    let established = |handshake: &Handshake| !handshake.connection.common().is_handshaking();
    if !established(&server) || !established(&client) {
        return None;
    }
    Some((
        server.finish_server(&*hello?),
        client.finish_client("mx.rp.test"),
    ))
}

#[test]
fn pieces_of_any_size_make_the_same_session() {
    for piece in [1, 7, 100, 5_000] {
        let (mut server, mut client) = shake(piece, None).expect("a session");
        assert_eq!(server.facts().version, TlsVersion::V1_3);
        assert_eq!(server.facts().cipher, client.facts().cipher);
        assert_eq!(server.facts().group, Some("X25519MLKEM768"));
        assert!(server.facts().tls_exporter.is_some());
        assert_eq!(
            server.facts().server_end_point.as_deref(),
            client
                .facts()
                .peer_certificate
                .as_ref()
                .map(|c| c.sha256.as_slice())
        );
        let text: Vec<u8> = (0..50_000_u32).map(|i| i as u8).collect();
        let mut wire = Vec::new();
        client.encrypt(&text, &mut wire).unwrap();
        client.encrypt(b"end", &mut wire).unwrap();
        let mut expected = text;
        expected.extend(b"end");
        assert!(receive(&mut server, &wire, piece).unwrap() == expected);
        let mut wire = Vec::new();
        client.close_notify(&mut wire);
        receive(&mut server, &wire, piece).unwrap();
        assert!(server.peer_has_closed());
    }
}

#[test]
fn an_idle_session_keeps_no_bytes() {
    let (server, client) = shake(100, None).expect("a session");
    assert_eq!(server.incoming.capacity() + client.incoming.capacity(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens to the bytes of a handshake, it ends in an error or a session and never in a panic.
    #[test]
    fn damaged_handshakes_end_in_errors(
        flight in 0..4usize,
        at in 0..3000usize,
        by in 1..=255u8,
        piece in 1..2000usize,
    ) {
        let _session_or_none = shake(piece, Some(Damage { flight, at, by }));
    }

    /// The same for an established session.
    #[test]
    fn damaged_records_end_in_errors(
        at in 0..600usize,
        by in 1..=255u8,
        piece in 1..700usize,
        junk in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let (mut server, mut client) = shake(5_000, None).expect("a session");
        let mut wire = Vec::new();
        client.encrypt(&[b'x'; 500], &mut wire).unwrap();
        client.encrypt(b"a1 NOOP\r\n", &mut wire).unwrap();
        let at = at % wire.len();
        wire[at] ^= by;
        wire.extend(junk);
        if let Ok(plain) = receive(&mut server, &wire, piece) {
            prop_assert!(plain.len() <= 500, "a damaged record was believed");
        }
        // Nor does what a session tries afterwards panic.
        let mut wire = Vec::new();
        let _ = server.encrypt(b"* BAD\r\n", &mut wire);
        server.close_notify(&mut wire);
    }
}
