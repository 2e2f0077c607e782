//! A listener with a toy protocol, for tests of listeners and of TLS.

use crate::net::{
    Connection, ConnectionLimits, Deadline, Event, LimitSettings, Listener, ListenerSpec, Mode,
    Observer, Role, Shutdown, ShutdownTrigger, StreamError, WrongMode,
};
use crate::tls::{CertStore, ServerTls, ServerTlsSettings, demo_ca};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

const HOSTS: [&str; 3] = ["mx.rp.test", "imap.rp.test", "*.wild.rp.test"];

/// Keys take a second to make, so all tests share them.
pub(crate) fn demo_files() -> &'static PathBuf {
    static FILES: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_kept, path) = FILES.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_owned();
        demo_ca(&path, &HOSTS).unwrap();
        (directory, path)
    });
    path
}

#[derive(Default)]
pub(crate) struct Heard(Mutex<Vec<String>>);

impl Observer for Heard {
    fn event(&self, _: &ListenerSpec, _: Option<SocketAddr>, event: &Event<'_>) {
        let mut text = event.to_string();
        if let Event::HandshakeFailed(error) = event
            && let Some(hello) = &error.hello
        {
            text = format!("{text} [offered {}]", hello.offered_versions());
        }
        self.0.lock().unwrap().push(text);
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) heard: Arc<Heard>,
    pub(crate) limits: Arc<ConnectionLimits>,
    _trigger: ShutdownTrigger,
}

impl Server {
    pub(crate) async fn heard(&self, part: &str) {
        for _ in 0..200 {
            if self
                .heard
                .0
                .lock()
                .unwrap()
                .iter()
                .any(|event| event.contains(part))
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!(
            "no event with {part:?} among {:?}",
            self.heard.0.lock().unwrap()
        );
    }
}

pub(crate) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(5))
}

/// A toy protocol: greets, knows STARTTLS and FACTS and QUIT, echoes everything else.
pub(crate) async fn session(mut connection: Connection) {
    let stream = &mut connection.stream;
    stream.write(b"220 hello\r\n");
    loop {
        if stream.flush(soon()).await.is_err() {
            return;
        }
        let line = match stream.read_line(100, soon()).await {
            Ok(line) => line,
            Err(StreamError::TlsOnClearPort(hello)) => {
                stream.write(b"500 no TLS yet\r\n");
                let _ = stream.flush(soon()).await;
                let event = Event::WrongMode(WrongMode::TlsOnClearPort(hello.as_deref()));
                connection.report(&event);
                return;
            }
            Err(_) => return,
        };
        let text = String::from_utf8_lossy(&stream.buffer()[..line.content_bytes]).into_owned();
        stream.consume(line.total_bytes);
        match text.as_str() {
            "QUIT" => {
                stream.write(b"221 bye\r\n");
                let _ = stream.shutdown(soon()).await;
                return;
            }
            "STARTTLS" => {
                stream.write(b"220 go ahead\r\n");
                match stream.start_tls(&connection.tls, soon()).await {
                    Ok(started) => {
                        let line = format!("250 discarded={}\r\n", started.discarded_bytes);
                        stream.write(line.as_bytes());
                    }
                    Err(error) => return connection.report(&Event::of_handshake(&error)),
                }
            }
            "PANIC" => panic!("a session may fail without harm to others"),
            "FACTS" => {
                let facts = format!("250 {:?}\r\n", stream.tls());
                stream.write(facts.as_bytes());
            }
            "PEER" => {
                let peer = format!("250 {} {}\r\n", stream.peer(), stream.local());
                stream.write(peer.as_bytes());
            }
            other => {
                stream.write(format!("250 {other}\r\n").as_bytes());
            }
        }
    }
}

pub(crate) fn start(mode: Mode, proxy_from: &[&str], settings: LimitSettings) -> Server {
    let store = CertStore::from_dir(demo_files(), Some("mx.rp.test")).unwrap();
    let tls = ServerTls::new(store, &ServerTlsSettings::default()).unwrap();
    let limits = ConnectionLimits::new(settings);
    let (trigger, shutdown) = Shutdown::new();
    let heard = Arc::new(Heard::default());
    let spec = ListenerSpec {
        address: "127.0.0.1:0".parse().unwrap(),
        mode,
        role: Role::Mx,
        profile: "default".to_owned(),
        proxy_from: proxy_from.iter().map(|net| net.parse().unwrap()).collect(),
        handshake_timeout: Duration::from_secs(3),
    };
    let observer = Arc::clone(&heard) as Arc<dyn Observer>;
    let listener = Listener::bind(spec, tls, Arc::clone(&limits), shutdown, observer).unwrap();
    let address = listener.address();
    tokio::spawn(listener.serve(Arc::new(session)));
    Server {
        address,
        heard,
        limits,
        _trigger: trigger,
    }
}

pub(crate) fn implicit() -> Server {
    start(Mode::ImplicitTls, &[], LimitSettings::default())
}

pub(crate) fn starttls() -> Server {
    start(Mode::StartTls, &[], LimitSettings::default())
}
