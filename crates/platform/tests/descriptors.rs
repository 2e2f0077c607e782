//! The accept loop when the process has no file descriptors left: it waits, says so, and serves again as soon as
//! there are some. In a program of its own, because the limit holds for the whole process.

use platform::net::{
    Connection, ConnectionLimits, Deadline, Event, LimitSettings, Listener, ListenerSpec, Mode,
    Observer, Role, Shutdown,
};
use platform::tls::{CertStore, ServerTls, ServerTlsSettings, demo_ca};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

#[derive(Default)]
struct Failures(AtomicUsize);

impl Observer for Failures {
    fn event(&self, _: &ListenerSpec, _: Option<SocketAddr>, event: &Event<'_>) {
        if matches!(event, Event::AcceptFailed(_)) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn greet(mut connection: Connection) {
    connection.stream.write(b"220 hello\r\n");
    let deadline = Deadline::after(Duration::from_secs(30));
    let _ = connection.stream.flush(deadline).await;
    let _ = connection.stream.fill(deadline).await;
}

#[tokio::test]
async fn the_accept_loop_survives_a_lack_of_descriptors() {
    let few = rustix::process::Rlimit {
        current: Some(200),
        maximum: Some(200),
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, few).unwrap();
    let directory = tempfile::tempdir().unwrap();
    demo_ca(directory.path(), &["mx.rp.test"]).unwrap();
    let store = CertStore::from_dir(directory.path(), None).unwrap();
    let tls = ServerTls::new(store, &ServerTlsSettings::default()).unwrap();
    let (trigger, shutdown) = Shutdown::new();
    let failures = Arc::new(Failures::default());
    let spec = ListenerSpec {
        address: "[::]:0".parse().unwrap(),
        mode: Mode::StartTls,
        role: Role::Mx,
        profile: "default".to_owned(),
        proxy_from: Vec::new(),
        handshake_timeout: Duration::from_secs(5),
    };
    let limits = ConnectionLimits::new(LimitSettings::default());
    let observer = Arc::clone(&failures) as Arc<dyn Observer>;
    let listener = Listener::bind(spec, tls, limits, shutdown, observer).unwrap();
    // Dual stack: an IPv4 client reaches the listener on [::].
    let address: SocketAddr = ([127, 0, 0, 1], listener.address().port()).into();
    let serving = tokio::spawn(listener.serve(Arc::new(greet)));

    // A connection waits to be accepted while there is no descriptor for it.
    let waiting = TcpStream::connect(address).await.unwrap();
    let mut held = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        held.push(file);
        assert!(held.len() < 300);
    }
    let mut second = {
        held.pop();
        TcpStream::connect(address).await.unwrap()
    };
    drop(waiting);
    tokio::time::sleep(Duration::from_millis(700)).await;
    let failed = failures.0.load(Ordering::Relaxed);
    assert!(
        (1..50).contains(&failed),
        "{failed} failures: it spins or does not try"
    );
    held.clear();
    let mut greeting = [0; 11];
    tokio::time::timeout(Duration::from_secs(5), second.read_exact(&mut greeting))
        .await
        .expect("served again")
        .unwrap();
    assert_eq!(&greeting, b"220 hello\r\n");
    trigger.request();
    tokio::time::timeout(Duration::from_secs(5), serving)
        .await
        .expect("it stops when asked")
        .unwrap();
}
