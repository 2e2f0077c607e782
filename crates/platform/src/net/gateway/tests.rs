//! The core's side against a gateway that is played by the test: sessions over frames, orders, and old clients that
//! are handed over. The real gateway is tested in its own crate.

use super::*;
use crate::net::rig::{demo_files, session, soon};
use crate::net::{Listener, LogObserver, ShutdownTrigger, StreamError};
use crate::tls::{CertStore, ServerTlsSettings};
use gateway_link::{Cleartext, Started, Version, VersionSet, encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const EVERYTHING: Allowed = Allowed {
    versions: VersionSet::ALL,
    cleartext: Cleartext::Served,
};

/// A socket on which this very test may play the gateway.
struct Core {
    gateway: Gateway,
    dir: tempfile::TempDir,
    parts: GatewayParts,
    _trigger: ShutdownTrigger,
}

fn core() -> Core {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::new(EVERYTHING);
    let store = CertStore::from_dir(demo_files(), Some("mx.rp.test")).unwrap();
    let (trigger, shutdown) = Shutdown::new();
    let parts = GatewayParts {
        tls: ServerTls::new(store, &ServerTlsSettings::default()).unwrap(),
        limits: ConnectionLimits::new(crate::net::LimitSettings::default()),
        shutdown,
        observer: Arc::new(LogObserver),
        handshake_timeout: Duration::from_secs(3),
    };
    let core = Core {
        gateway,
        dir,
        parts,
        _trigger: trigger,
    };
    serve(&core, GatewayUser(rustix::process::getuid().as_raw()));
    core
}

fn serve(core: &Core, user: GatewayUser) {
    let listener = GatewayListener::bind(
        &core.dir.path().join("legacy.sock"),
        user,
        core.gateway.clone(),
        core.parts.clone(),
    );
    tokio::spawn(listener.unwrap().serve(Arc::new(session)));
}

/// The gateway's end of a connection.
struct Played {
    stream: UnixStream,
    incoming: Vec<u8>,
}

impl Played {
    async fn connect(core: &Core) -> Self {
        let path = core.dir.path().join("legacy.sock");
        Self::over(UnixStream::connect(path).await.unwrap())
    }

    fn over(stream: UnixStream) -> Self {
        Self {
            stream,
            incoming: Vec::new(),
        }
    }

    async fn client(core: &Core, mode: gateway_link::Mode) -> Self {
        let mut played = Self::connect(core).await;
        played
            .say(&Frame::Client(Waiting {
                door: gateway_link::Door {
                    protocol: Protocol::Imap,
                    mode,
                    local: "192.0.2.1:993".parse().unwrap(),
                },
                peer: "198.51.100.7:4711".parse().unwrap(),
            }))
            .await;
        played
    }

    async fn say(&mut self, frame: &Frame<'_>) {
        let mut bytes = Vec::new();
        encode(frame, &mut bytes);
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// Waits for a frame that `pick` likes; panics at the end of the connection.
    async fn hear<T>(&mut self, pick: impl Fn(&Frame<'_>) -> Option<T>) -> T {
        loop {
            if let Decoded::Frame { frame, total_bytes } = decode(&self.incoming).unwrap() {
                let picked = pick(&frame);
                self.incoming.drain(..total_bytes);
                if let Some(picked) = picked {
                    return picked;
                }
                continue;
            }
            let read = self.stream.read_buf(&mut self.incoming);
            let read = tokio::time::timeout(Duration::from_secs(5), read).await;
            assert!(read.expect("in time").unwrap() > 0, "the core closed");
        }
    }

    async fn hear_text(&mut self, part: &str) -> String {
        self.hear(|frame| match frame {
            Frame::Data(bytes) => {
                let text = String::from_utf8_lossy(bytes).into_owned();
                text.contains(part).then_some(text)
            }
            _ => None,
        })
        .await
    }
}

fn started(hello: &[u8]) -> Frame<'_> {
    Frame::TlsStarted(Started {
        version: Version::Tls11,
        cipher: "TLS_DHE_RSA_WITH_AES_256_CBC_SHA",
        server_name: Some("imap-legacy.rp.test"),
        hello,
    })
}

#[tokio::test]
async fn a_client_of_the_gateway_is_served_with_its_address_and_facts() {
    let core = core();
    let mut played = Played::client(&core, gateway_link::Mode::ImplicitTls).await;
    played.say(&started(&[])).await;
    played.hear_text("220 hello").await;
    // A frame in the same packet as the one before, while the session waits for its next command.
    played.say(&Frame::Data(b"FACTS\r\nPE")).await;
    let facts = played.hear_text("250").await;
    assert!(facts.contains("V1_1") && facts.contains("TLS_DHE_RSA_WITH_AES_256_CBC_SHA"));
    played.say(&Frame::Data(b"ER\r\n")).await;
    let peer = played.hear_text("250").await;
    assert!(peer.contains("198.51.100.7:4711 192.0.2.1:993"), "{peer}");
    played.say(&Frame::Data(b"QUIT\r\n")).await;
    played.hear_text("221").await;
    played
        .hear(|frame| matches!(frame, Frame::End).then_some(()))
        .await;
}

#[tokio::test]
async fn starttls_is_ordered_and_what_came_before_it_is_thrown_away() {
    let core = core();
    let mut played = Played::client(&core, gateway_link::Mode::StartTls).await;
    played.hear_text("220 hello").await;
    played.say(&Frame::Data(b"STARTTLS\r\nEVIL")).await;
    let last = played.hear(|frame| match frame {
        Frame::StartTls(last) => Some(last.to_vec()),
        _ => None,
    });
    assert_eq!(last.await, b"220 go ahead\r\n");
    played.say(&Frame::Data(b"MORE EVIL\r\n")).await;
    let mut both = Vec::new();
    encode(&started(&[]), &mut both);
    encode(&Frame::Data(b"FACTS\r\n"), &mut both);
    played.stream.write_all(&both).await.unwrap();
    played.hear_text("250 discarded=15").await;
    assert!(played.hear_text("250").await.contains("V1_1"));
}

#[tokio::test]
async fn a_failed_handshake_ends_the_session() {
    let core = core();
    let mut played = Played::client(&core, gateway_link::Mode::ImplicitTls).await;
    played
        .say(&Frame::TlsFailed {
            reason: "no shared cipher",
            hello: &[],
        })
        .await;
    let mut rest = Vec::new();
    played.stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"");
}

fn allowed(frame: &Frame<'_>) -> Option<Allowed> {
    match frame {
        Frame::Allowed(allowed) => Some(*allowed),
        _ => None,
    }
}

/// The control connection, which heard what is allowed.
async fn control(core: &Core) -> Played {
    let mut played = Played::connect(core).await;
    played
        .say(&Frame::Control {
            link_version: LINK_VERSION,
            library: "OpenSSL 3.0.0 of the test",
        })
        .await;
    assert_eq!(played.hear(allowed).await, core.gateway.allowed());
    played
}

#[tokio::test]
async fn what_was_allowed_before_a_client_came_is_heard_before_it() {
    let core = core();
    let mut played = control(&core).await;
    // Often: which of the two is looked at first is left to chance.
    for round in 0..20 {
        let version = [Version::Tls10, Version::Tls11][round % 2];
        core.gateway.allow(Allowed {
            versions: VersionSet::NONE.with(version),
            cleartext: Cleartext::Refused,
        });
        let (client, _kept) = StdUnixStream::pair().unwrap();
        let link = core.gateway.take_over(std::os::fd::AsFd::as_fd(&client));
        assert!(link.is_some());
        let first = played.hear(|frame| Some(matches!(frame, Frame::Allowed(_))));
        assert!(first.await, "round {round}: the client came first");
        let second = played.hear(|frame| Some(matches!(frame, Frame::HandOver)));
        assert!(second.await);
    }
}

#[tokio::test]
async fn orders_reach_the_gateway_and_its_status_the_core() {
    let core = core();
    assert!(core.gateway.state().is_none());
    let mut played = control(&core).await;
    let less = Allowed {
        versions: VersionSet::NONE.with(Version::Tls12),
        cleartext: Cleartext::Refused,
    };
    core.gateway.allow(less);
    assert_eq!(played.hear(allowed).await, less);
    played
        .say(&Frame::Status(Status {
            allowed: less,
            sessions: gateway_link::Sessions::default(),
            doors: Vec::new(),
        }))
        .await;
    while core.gateway.state().unwrap().status.is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(played);
    while core.gateway.state().is_some() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn others_are_not_spoken_to() {
    let core = core();
    let uid = rustix::process::getuid().as_raw();
    if uid == 0 {
        // Root may always; a stranger cannot be played.
        return;
    }
    serve(&core, GatewayUser(uid + 1));
    let mut played = Played::connect(&core).await;
    let read = played.stream.read_buf(&mut played.incoming).await;
    assert_eq!(read.unwrap(), 0);
}

/// Takes every client.
#[derive(Debug)]
struct Taker(Mutex<Option<StdUnixStream>>);

impl OlderTls for Taker {
    fn take_over(
        &self,
        _: BorrowedFd<'_>,
        hello: &ClientHello,
        _: SocketAddr,
    ) -> Option<StdUnixStream> {
        assert!(hello.newest_version() < 0x0303);
        let (ours, theirs) = StdUnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.set_nonblocking(true).unwrap();
        *self.0.lock().unwrap() = Some(theirs);
        Some(ours)
    }
}

/// A ClientHello of TLS 1.0 with one suite.
fn old_hello() -> Vec<u8> {
    let mut body = vec![3, 1];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0x00, 0x2f, 1, 0]);
    let mut message = vec![1, 0, 0, body.len() as u8];
    message.extend(body);
    let mut record = vec![22, 3, 1, 0, message.len() as u8];
    record.extend(message);
    record
}

#[tokio::test]
async fn an_old_client_of_our_own_listener_is_handed_over() {
    let core = core();
    let taker = Arc::new(Taker(Mutex::new(None)));
    let spec = ListenerSpec {
        address: "127.0.0.1:0".parse().unwrap(),
        mode: Mode::StartTls,
        role: Role::Imap,
        profile: "default".to_owned(),
        proxy_from: Vec::new(),
        handshake_timeout: Duration::from_secs(3),
    };
    let parts = core.parts.clone();
    let tls = parts.tls.with_older(taker.clone());
    let listener = Listener::bind(spec, tls, parts.limits, parts.shutdown, parts.observer).unwrap();
    let address = listener.address();
    tokio::spawn(listener.serve(Arc::new(session)));
    let mut client = Stream::new(TcpStream::connect(address).await.unwrap()).unwrap();
    client.write(b"STARTTLS\r\n");
    client.flush(soon()).await.unwrap();
    while !client.buffer().ends_with(b"220 go ahead\r\n") {
        client.fill(soon()).await.unwrap();
    }
    client.write(&old_hello());
    client.flush(soon()).await.unwrap();
    let theirs = loop {
        if let Some(theirs) = taker.0.lock().unwrap().take() {
            break theirs;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let mut played = Played::over(UnixStream::from_std(theirs).unwrap());
    let hello = played.hear(|frame| match frame {
        Frame::TakeOver(hello) => Some(hello.to_vec()),
        _ => None,
    });
    assert_eq!(hello.await, old_hello());
    played.say(&started(&old_hello())).await;
    played.hear_text("250 discarded=0").await;
    played.say(&Frame::Data(b"FACTS\r\n")).await;
    assert!(played.hear_text("250").await.contains("t10i0100"));
    // Nobody but the gateway holds the client's socket now; here nobody does.
    client.consume(usize::MAX);
    assert!(matches!(
        client.fill(soon()).await,
        Err(StreamError::Closed)
    ));
}

#[tokio::test]
async fn only_a_socket_makes_way_for_the_socket() {
    let core = core();
    let path = core.dir.path().join("legacy.sock");
    serve(&core, GatewayUser(rustix::process::getuid().as_raw()));
    assert!(path.exists(), "one that is left makes way");
    let file = core.dir.path().join("mail.toml");
    std::fs::write(&file, "needed").unwrap();
    let link = core.dir.path().join("link.sock");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for taken in [&file, &link] {
        let bound = GatewayListener::bind(
            taken,
            GatewayUser(0),
            core.gateway.clone(),
            core.parts.clone(),
        );
        assert_eq!(bound.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"needed");
}
