//! An HTTPS server for tests: policy hosts of MTA-STS, and places that take reports. Answers are
//! set per host and path and change while it runs; requests are remembered. Blocking, one request
//! per connection.

use crate::authority::Identity;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a client may be silent.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
/// The path of an MTA-STS policy (RFC 8461 §3.2).
pub const STS_PATH: &str = "/.well-known/mta-sts.txt";

/// What is answered to a request.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// Status; 0 closes the connection instead.
    pub status: u16,
    /// Header fields.
    pub fields: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
    /// How long it takes.
    pub wait: Duration,
}

impl Answer {
    /// 200 with a text.
    pub fn text(body: &str) -> Self {
        Self {
            status: 200,
            fields: vec![("Content-Type".to_owned(), "text/plain".to_owned())],
            body: body.into(),
            wait: Duration::ZERO,
        }
    }

    /// An empty answer with this status.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    /// 302 to somewhere else.
    pub fn redirect(to: &str) -> Self {
        Self {
            status: 302,
            fields: vec![("Location".to_owned(), to.to_owned())],
            ..Self::default()
        }
    }

    /// The same answer, later.
    pub fn after(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }
}

/// The text of an MTA-STS policy (RFC 8461 §3.2).
pub fn sts_policy(mode: &str, mx: &[&str], max_age_seconds: u64) -> String {
    let mx: String = mx.iter().map(|mx| format!("mx: {mx}\r\n")).collect();
    format!("version: STSv1\r\nmode: {mode}\r\n{mx}max_age: {max_age_seconds}\r\n")
}

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    /// GET, POST.
    pub method: String,
    /// The Host field.
    pub host: String,
    /// Path with query.
    pub path: String,
    /// Other header fields, names in lower case.
    pub fields: Vec<(String, String)>,
    /// Body, as Content-Length said.
    pub body: Vec<u8>,
}

#[derive(Default)]
struct Shared {
    answers: Mutex<HashMap<(String, String), Answer>>,
    requests: Mutex<Vec<Request>>,
    certificates: Mutex<HashMap<String, Arc<CertifiedKey>>>,
    handshakes: Mutex<Vec<(String, Result<(), String>)>>,
    stop: AtomicBool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Https").finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ResolvesServerCert for Shared {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?;
        locked(&self.certificates).get(name).cloned()
    }
}

/// A running server; it takes no more connections when its handle goes.
#[derive(Debug)]
pub struct Https {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Https {
    /// Starts one that knows no host yet. Port 0 takes a free one.
    ///
    /// # Panics
    /// Where the address is taken.
    pub fn start(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).expect("a free address");
        let address = listener.local_addr().expect("a bound socket");
        let shared = Arc::new(Shared::default());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("known versions")
            .with_no_client_auth()
            .with_cert_resolver(shared.clone());
        let (served, config) = (shared.clone(), Arc::new(config));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if served.stop.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (served, config) = (served.clone(), config.clone());
                std::thread::spawn(move || serve(stream, config, &served));
            }
        });
        Self { shared, address }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Shows this certificate to who asks for `host` by SNI. A host without one gets an alert.
    pub fn certificate(&self, host: &str, identity: &Identity) {
        let (chain, key) = identity.rustls();
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).expect("a key");
        let certified = Arc::new(CertifiedKey::new(chain, key));
        locked(&self.shared.certificates).insert(host.to_owned(), certified);
    }

    /// Answers requests for `path` at `host`; everything else is 404.
    pub fn answer(&self, host: &str, path: &str, answer: Answer) {
        let key = (host.to_owned(), path.to_owned());
        locked(&self.shared.answers).insert(key, answer);
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        locked(&self.shared.requests).clone()
    }

    /// Handshakes so far: the name asked for, and why it failed where it did.
    pub fn handshakes(&self) -> Vec<(String, Result<(), String>)> {
        locked(&self.shared.handshakes).clone()
    }
}

impl Drop for Https {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut socket: TcpStream, config: Arc<ServerConfig>, shared: &Shared) {
    let _ = socket.set_read_timeout(Some(REQUEST_TIME_MAX));
    let Ok(mut tls) = ServerConnection::new(config) else {
        return;
    };
    while tls.is_handshaking() {
        if let Err(error) = tls.complete_io(&mut socket) {
            let name = tls.server_name().unwrap_or_default().to_owned();
            locked(&shared.handshakes).push((name, Err(error.to_string())));
            return;
        }
    }
    let name = tls.server_name().unwrap_or_default().to_owned();
    locked(&shared.handshakes).push((name, Ok(())));
    let mut stream = BufReader::new(StreamOwned::new(tls, socket));
    let Some(request) = read(&mut stream) else {
        return;
    };
    let host = request.host.split(':').next().unwrap_or_default();
    let key = (host.to_owned(), request.path.clone());
    let answer = locked(&shared.answers).get(&key).cloned();
    let answer = answer.unwrap_or_else(|| Answer::status(404));
    locked(&shared.requests).push(request);
    wait(answer.wait);
    if answer.status != 0 {
        let tls = stream.get_mut();
        let _ = tls.write_all(&written(&answer));
        tls.conn.send_close_notify();
        let _ = tls.flush();
    }
}

#[allow(clippy::disallowed_methods, reason = "a slow server is slow")]
fn wait(time: Duration) {
    std::thread::sleep(time);
}

fn written(answer: &Answer) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} Status\r\n", answer.status);
    for (name, value) in &answer.fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let length = answer.body.len();
    head.push_str(&format!(
        "Content-Length: {length}\r\nConnection: close\r\n\r\n"
    ));
    [head.as_bytes(), &answer.body].concat()
}

fn read(stream: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    let mut words = line.split_ascii_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut fields = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let field = |name: &str| {
        let found = fields.iter().find(|(have, _)| have == name);
        found.map(|(_, value)| value.clone())
    };
    let length = field("content-length").and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some(Request {
        host: field("host").unwrap_or_default(),
        method,
        path,
        fields,
        body,
    })
}
