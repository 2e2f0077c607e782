//! Measures what a TLS connection costs the server: memory of one that idles, and CPU time of a full handshake.
//! The clients run in a second process, so that the numbers are the server's alone.
//! Use: `cargo run --release -p platform --example idle_tls -- [CONNECTIONS] [X25519MLKEM768|X25519|P-256]`.

use platform::net::{
    Connection, ConnectionLimits, Deadline, LimitSettings, Listener, ListenerSpec, LogObserver,
    Mode, Role, Shutdown,
};
use platform::tls::{CertStore, ServerTls, ServerTlsSettings, demo_ca};
use rustls::crypto::aws_lc_rs::kx_group;
use std::io::{BufRead as _, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Handshakes of the CPU measurement.
const HANDSHAKES: usize = 6_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, address, count, group] = arguments.as_slice()
        && role == "client"
    {
        return client(
            address.parse().expect("an address"),
            count.parse().expect("a number"),
            group,
        );
    }
    let count = arguments
        .first()
        .map_or(2_000, |text| text.parse().expect("a number"));
    let group = arguments.get(1).map_or("X25519MLKEM768", String::as_str);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(measure(count, group));
}

async fn measure(count: usize, group: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    demo_ca(directory.path(), &["mx.rp.test"]).expect("certificates");
    let store = CertStore::from_dir(directory.path(), None).expect("certificates");
    let tls = ServerTls::new(store, &ServerTlsSettings::default()).expect("settings");
    let limits = ConnectionLimits::new(LimitSettings {
        address_connections_max: usize::MAX,
        ..LimitSettings::default()
    });
    let (_trigger, shutdown) = Shutdown::new();
    let spec = ListenerSpec {
        address: "127.0.0.1:0".parse().expect("an address"),
        mode: Mode::ImplicitTls,
        role: Role::Imap,
        profile: "default".to_owned(),
        proxy_from: Vec::new(),
        handshake_timeout: Duration::from_secs(30),
    };
    let listener =
        Listener::bind(spec, tls, limits, shutdown, Arc::new(LogObserver)).expect("a port");
    let address = listener.address();
    tokio::spawn(listener.serve(Arc::new(idle)));

    let warm_up = run_client(address, 200, group);
    drop(warm_up);
    tokio::time::sleep(Duration::from_secs(1)).await;

    let cpu_before = cpu_seconds();
    for _ in 0..HANDSHAKES / 500 {
        drop(run_client(address, 500, group));
    }
    let each = (cpu_seconds() - cpu_before) / HANDSHAKES as f64;
    println!(
        "{group}: {:.0} us of server CPU for a connection with a full handshake",
        each * 1e6
    );

    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = pss_kib();
    let clients: Vec<_> = (0..count.div_ceil(500))
        .map(|_| run_client(address, count.min(500), group))
        .collect();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let growth = pss_kib() - before;
    println!(
        "{count} idle connections: {growth} KiB more PSS, {:.2} KiB each",
        growth as f64 / count as f64
    );
    drop(clients);
}

/// Greets and then waits, as IMAP's IDLE does.
async fn idle(mut connection: Connection) {
    let deadline = Deadline::after(Duration::from_secs(1800));
    connection.stream.write(b"* OK ready\r\n");
    if connection.stream.flush(deadline).await.is_err() {
        return;
    }
    loop {
        if connection.stream.wait_readable(deadline).await.is_err() {
            return;
        }
        match connection.stream.fill(deadline).await {
            Ok(bytes) => connection.stream.consume(bytes),
            Err(_) => return,
        }
    }
}

/// Runs a process with clients that stay connected; it ends when this is dropped.
struct Clients(std::process::Child);

impl Drop for Clients {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _status = self.0.wait();
    }
}

fn run_client(address: SocketAddr, count: usize, group: &str) -> Clients {
    let program = std::env::current_exe().expect("this program");
    let mut child = std::process::Command::new(program)
        .args(["client", &address.to_string(), &count.to_string(), group])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("a client process");
    let mut ready = String::new();
    let stdout = child.stdout.take().expect("its output");
    let _bytes =
        tokio::task::block_in_place(|| std::io::BufReader::new(stdout).read_line(&mut ready));
    assert_eq!(ready, "ready\n");
    Clients(child)
}

fn client(address: SocketAddr, count: usize, group: &str) {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.kx_groups = vec![match group {
        "X25519" => kx_group::X25519,
        "P-256" => kx_group::SECP256R1,
        _ => kx_group::X25519MLKEM768,
    }];
    let verifier = Arc::new(AnyCertificate(Arc::new(provider.clone())));
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("settings")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    let config = Arc::new(config);
    let mut held = Vec::new();
    for _ in 0..count {
        let name = "mx.rp.test".try_into().expect("a name");
        let connection =
            rustls::ClientConnection::new(Arc::clone(&config), name).expect("a client");
        let socket = TcpStream::connect(address).expect("a connection");
        let mut stream = rustls::StreamOwned::new(connection, socket);
        let mut greeting = [0; 12];
        stream.read_exact(&mut greeting).expect("a greeting");
        held.push(stream);
    }
    println!("ready");
    let _flushed = std::io::stdout().flush();
    let mut nothing = [0];
    let _until_closed = std::io::stdin().read(&mut nothing);
}

#[derive(Debug)]
struct AnyCertificate(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &[rustls_pki_types::CertificateDer<'_>],
        _: &rustls_pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls_pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Proportional set size of this process.
fn pss_kib() -> i64 {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").expect("Linux");
    let line = text
        .lines()
        .find(|line| line.starts_with("Pss:"))
        .expect("a line");
    line.split_whitespace()
        .nth(1)
        .expect("a number")
        .parse()
        .expect("a number")
}

/// User and system time of this process so far.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = text
        .rsplit(')')
        .next()
        .expect("fields")
        .split_whitespace()
        .collect();
    let ticks: f64 =
        fields[11].parse::<f64>().expect("ticks") + fields[12].parse::<f64>().expect("ticks");
    ticks / 100.0
}
