//! A small HTTPS client for what mail needs: fetching MTA-STS policies (RFC 8461 §3.3) and handing in TLS reports
//! (RFC 8460 §3). One request per connection, HTTP/1.1, certificates always verified, never a redirect, a cache or a
//! proxy; bytes and time are limited by the caller. Called by `routing` and `reports`.

use crate::dns::{Outcome, Resolver};
use crate::net::Network;
use crate::tls::{CertificateFault, ClientTls, Demand};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Addresses of a host that are tried.
const ADDRESSES_MAX: usize = 4;
/// How long connecting to one address may take, handshake included.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// Bytes of a response's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const PORT: u16 = 443;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Host name in A-label form; its certificate must carry it.
    pub host: String,
    /// 443 but in tests.
    pub port: u16,
    /// Path and query, beginning with `/`.
    pub path: String,
}

/// What a request may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the response's body.
    pub body_bytes_max: usize,
    /// For everything, from the DNS on.
    pub time_max: Duration,
}

/// What is handed in.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Such as `application/tlsrpt+gzip`.
    pub content_type: &'static str,
    /// Such as `gzip`, where the content type does not say it.
    pub content_encoding: Option<&'static str>,
    /// The body.
    pub bytes: Vec<u8>,
}

/// What came back. Any status; a redirect is an answer like others.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The media type without parameters, in lower case.
    pub content_type: Option<String>,
    /// The body, complete.
    pub body: Vec<u8>,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub enum HttpsError {
    /// The host has no address, or the DNS cannot say.
    #[error("{0}")]
    Dns(String),
    /// No address takes connections.
    #[error("no connection: {0}")]
    Connect(String),
    /// The certificate does not prove the host's name.
    #[error("{0}")]
    Certificate(CertificateFault),
    /// The handshake failed otherwise.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// The server does not speak HTTP as it should, or broke off.
    #[error("HTTP failed: {0}")]
    Http(String),
    /// The body is larger than the caller allows.
    #[error("the answer is larger than {bytes_max} bytes")]
    TooLarge {
        /// The caller's limit.
        bytes_max: usize,
    },
    /// The time was up.
    #[error("no answer in time")]
    TimedOut,
}

/// Sends requests. Cheap to clone.
#[derive(Clone)]
pub struct HttpsClient {
    resolver: Arc<dyn Resolver>,
    tls: ClientTls,
    /// Addresses that are not connected to, so that nobody can make us talk to our own network.
    forbidden: Arc<[Network]>,
}

impl fmt::Debug for HttpsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpsClient").finish_non_exhaustive()
    }
}

impl Target {
    /// Reads an `https:` URL (RFC 3986). User names and fragments are not for us.
    ///
    /// # Errors
    /// In words.
    pub fn parse(url: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("{url} cannot be used: {why}"));
        let Some(rest) = url
            .get(8..)
            .filter(|_| url[..8].eq_ignore_ascii_case("https://"))
        else {
            return wrong("only https is");
        };
        let (authority, path) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => match port.parse() {
                Ok(port) => (host, port),
                Err(_) => return wrong("the port is no number"),
            },
            None => (authority, PORT),
        };
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if host.is_empty() || !host.bytes().all(letter) {
            return wrong("the host is no host name");
        }
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) || path.contains('#') {
            return wrong("the path has odd characters");
        }
        Ok(Self {
            host: host.to_ascii_lowercase(),
            port,
            path: if path.starts_with('/') {
                path.to_owned()
            } else {
                format!("/{path}")
            },
        })
    }
}

impl HttpsClient {
    /// Asks `resolver` for addresses; certificates are proved to the roots of `tls`.
    pub fn new(resolver: Arc<dyn Resolver>, tls: ClientTls) -> Self {
        Self {
            resolver,
            tls,
            forbidden: Arc::new([]),
        }
    }

    /// The same, but never connecting to addresses in `forbidden`.
    #[must_use]
    pub fn forbidding(self, forbidden: &[Network]) -> Self {
        Self {
            forbidden: forbidden.into(),
            ..self
        }
    }

    /// GET.
    ///
    /// # Errors
    /// Where there is no complete answer within `limits`.
    pub async fn get(&self, target: &Target, limits: Limits) -> Result<Response, HttpsError> {
        self.within(target, None, limits).await
    }

    /// POST.
    ///
    /// # Errors
    /// Where there is no complete answer within `limits`.
    pub async fn post(
        &self,
        target: &Target,
        upload: Upload,
        limits: Limits,
    ) -> Result<Response, HttpsError> {
        self.within(target, Some(upload), limits).await
    }

    async fn within(
        &self,
        target: &Target,
        upload: Option<Upload>,
        limits: Limits,
    ) -> Result<Response, HttpsError> {
        let exchange = async {
            let stream = self.connect(target).await?;
            exchange(stream, request(target, upload)?, limits.body_bytes_max).await
        };
        match timeout(limits.time_max, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(HttpsError::TimedOut),
        }
    }

    async fn connect(&self, target: &Target) -> Result<TlsStream<TcpStream>, HttpsError> {
        let addresses = self.addresses(&target.host).await?;
        let mut last = HttpsError::TimedOut;
        for address in addresses.into_iter().take(ADDRESSES_MAX) {
            let address = SocketAddr::new(address, target.port);
            match timeout(CONNECT_TIME_MAX, self.connect_to(address, &target.host)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_) => last = HttpsError::TimedOut,
            }
        }
        Err(last)
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, HttpsError> {
        let found = match self.resolver.addresses(host).await {
            Outcome::Found(answer) => answer.value,
            Outcome::NoData(_) | Outcome::NxDomain(_) => {
                return Err(HttpsError::Dns(format!("{host} has no address")));
            }
            Outcome::Bogus(why) | Outcome::TemporaryFailure(why) => {
                return Err(HttpsError::Dns(format!(
                    "the addresses of {host} are not known: {why}"
                )));
            }
        };
        let forbidden = |ip: &IpAddr| self.forbidden.iter().any(|network| network.contains(*ip));
        let allowed: Vec<IpAddr> = found.into_iter().filter(|ip| !forbidden(ip)).collect();
        if allowed.is_empty() {
            return Err(HttpsError::Dns(format!(
                "{host} has only addresses that are not allowed"
            )));
        }
        Ok(allowed)
    }

    async fn connect_to(
        &self,
        address: SocketAddr,
        host: &str,
    ) -> Result<TlsStream<TcpStream>, HttpsError> {
        let socket = TcpStream::connect(address)
            .await
            .map_err(|error| HttpsError::Connect(format!("{address}: {error}")))?;
        let demand = Demand::verified(host);
        let config = self
            .tls
            .config(&demand)
            .map_err(|e| HttpsError::Tls(e.to_string()))?;
        let name = crate::tls::client::server_name(host);
        TlsConnector::from(config)
            .connect(name, socket)
            .await
            .map_err(|error| tls_error(&error))
    }
}

/// Takes the fault of a certificate out of the layers that it comes in.
fn tls_error(error: &std::io::Error) -> HttpsError {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    if let Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other))) = inner
        && let Some(fault) = other.0.downcast_ref::<CertificateFault>()
    {
        return HttpsError::Certificate(fault.clone());
    }
    HttpsError::Tls(error.to_string())
}

fn request(target: &Target, upload: Option<Upload>) -> Result<Request<Full<Bytes>>, HttpsError> {
    let host = match target.port {
        PORT => target.host.clone(),
        port => format!("{}:{port}", target.host),
    };
    let mut request = Request::builder()
        .uri(&target.path)
        .header(HOST, host)
        .header(USER_AGENT, "rohrpost");
    let mut body = Vec::new();
    if let Some(upload) = upload {
        request = request
            .method(Method::POST)
            .header(CONTENT_TYPE, upload.content_type);
        if let Some(encoding) = upload.content_encoding {
            request = request.header(CONTENT_ENCODING, encoding);
        }
        body = upload.bytes;
    }
    request
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| HttpsError::Http(error.to_string()))
}

async fn exchange(
    stream: TlsStream<TcpStream>,
    request: Request<Full<Bytes>>,
    bytes_max: usize,
) -> Result<Response, HttpsError> {
    let http = |error: hyper::Error| HttpsError::Http(error.to_string());
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(http)?;
    let talk = async {
        let answer = sender.send_request(request).await.map_err(http)?;
        receive(answer, bytes_max).await
    };
    // The connection moves the bytes while the talk waits for them.
    tokio::pin!(talk, connection);
    tokio::select! {
        answer = &mut talk => return answer,
        ended = &mut connection => ended.map_err(http)?,
    }
    talk.await
}

async fn receive(
    answer: hyper::Response<Incoming>,
    bytes_max: usize,
) -> Result<Response, HttpsError> {
    let status: StatusCode = answer.status();
    let media = |value: &str| {
        let media = value.split(';').next().unwrap_or_default();
        media.trim().to_ascii_lowercase()
    };
    let content_type = answer.headers().get(CONTENT_TYPE);
    let content_type = content_type
        .and_then(|value| value.to_str().ok())
        .map(media);
    let body = Limited::new(answer.into_body(), bytes_max).collect().await;
    let body = body.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
        Some(_) => HttpsError::TooLarge { bytes_max },
        None => HttpsError::Http(error.to_string()),
    })?;
    Ok(Response {
        status: status.as_u16(),
        content_type,
        body: body.to_bytes().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::StaticResolver;
    use crate::tls::{CertificateFaultKind, demo_ca};
    use rustls_pki_types::pem::PemObject as _;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    const LIMITS: Limits = Limits {
        body_bytes_max: 100,
        time_max: Duration::from_secs(5),
    };

    /// Answers every request with `answer` and gives what was asked.
    async fn server(
        directory: &std::path::Path,
        answer: &'static str,
    ) -> (u16, tokio::sync::mpsc::UnboundedReceiver<String>) {
        let read = |name: &str| directory.join(name);
        let chain: Vec<_> = CertificateDer::pem_file_iter(read("ecdsa.crt"))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let key = PrivateKeyDer::from_pem_file(read("ecdsa.key")).unwrap();
        let provider = crate::tls::client::provider_of(crate::tls::Suites::All);
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (heard, asked) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(socket).await else {
                    continue;
                };
                let mut bytes = vec![0; 4096];
                let length = stream.read(&mut bytes).await.unwrap_or(0);
                let _ = heard.send(String::from_utf8_lossy(&bytes[..length]).into_owned());
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        (port, asked)
    }

    struct Rig {
        client: HttpsClient,
        target: Target,
        asked: tokio::sync::mpsc::UnboundedReceiver<String>,
        _directory: tempfile::TempDir,
    }

    async fn rig(host: &str, answer: &'static str) -> Rig {
        let directory = tempfile::tempdir().unwrap();
        demo_ca(directory.path(), &["policy.test"]).unwrap();
        let (port, asked) = server(directory.path(), answer).await;
        let dns = StaticResolver::new();
        dns.add_address(host, IpAddr::from([127, 0, 0, 1]));
        let tls = ClientTls::new(Some(&directory.path().join("ca.pem"))).unwrap();
        Rig {
            client: HttpsClient::new(Arc::new(dns), tls),
            target: Target::parse(&format!("https://{host}:{port}/a.txt")).unwrap(),
            asked,
            _directory: directory,
        }
    }

    #[tokio::test]
    async fn a_policy_is_fetched_and_a_report_handed_in() {
        let answer = "HTTP/1.1 200 OK\r\nContent-Type: Text/Plain; charset=utf-8\r\nContent-Length: 5\r\n\r\nhello";
        let mut rig = rig("policy.test", answer).await;
        let got = rig.client.get(&rig.target, LIMITS).await.unwrap();
        assert_eq!(got.status, 200);
        assert_eq!(got.content_type.as_deref(), Some("text/plain"));
        assert_eq!(got.body, b"hello");
        let asked = rig.asked.recv().await.unwrap();
        assert!(asked.starts_with("GET /a.txt HTTP/1.1\r\n"), "{asked}");
        let upload = Upload {
            content_type: "application/tlsrpt+gzip",
            content_encoding: None,
            bytes: b"zipped".to_vec(),
        };
        rig.client.post(&rig.target, upload, LIMITS).await.unwrap();
        let asked = rig.asked.recv().await.unwrap();
        assert!(
            asked.starts_with("POST /a.txt") && asked.ends_with("zipped"),
            "{asked}"
        );
        assert!(
            asked.contains("content-type: application/tlsrpt+gzip"),
            "{asked}"
        );
    }

    #[tokio::test]
    async fn what_is_too_large_redirected_or_broken() {
        let large = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc8\r\n";
        let large: &'static str = (large.to_owned() + &"x".repeat(200) + "\r\n0\r\n\r\n").leak();
        let large = rig("policy.test", large).await;
        let outcome = large.client.get(&large.target, LIMITS).await;
        assert!(
            matches!(outcome, Err(HttpsError::TooLarge { bytes_max: 100 })),
            "{outcome:?}"
        );
        let moved =
            "HTTP/1.1 302 Found\r\nLocation: https://policy.test/b\r\nContent-Length: 0\r\n\r\n";
        let mut moved = rig("policy.test", moved).await;
        assert_eq!(
            moved
                .client
                .get(&moved.target, LIMITS)
                .await
                .unwrap()
                .status,
            302
        );
        moved.asked.recv().await.unwrap();
        assert!(moved.asked.try_recv().is_err());
        let cut = rig(
            "policy.test",
            "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
        )
        .await;
        let outcome = cut.client.get(&cut.target, LIMITS).await;
        assert!(matches!(outcome, Err(HttpsError::Http(_))), "{outcome:?}");
    }

    #[tokio::test]
    async fn a_wrong_name_and_a_forbidden_address_end_it() {
        let rig = rig("other.test", "").await;
        let outcome = rig.client.get(&rig.target, LIMITS).await;
        assert!(
            matches!(&outcome, Err(HttpsError::Certificate(fault)) if fault.kind == CertificateFaultKind::HostMismatch),
            "{outcome:?}"
        );
        let loopback: Network = "127.0.0.0/8".parse().unwrap();
        let outcome = rig
            .client
            .forbidding(&[loopback])
            .get(&rig.target, LIMITS)
            .await;
        assert!(matches!(outcome, Err(HttpsError::Dns(_))), "{outcome:?}");
    }

    #[test]
    fn urls_are_read() {
        let target = |host: &str, port, path: &str| Target {
            host: host.to_owned(),
            port,
            path: path.to_owned(),
        };
        for (url, expected) in [
            (
                "https://A.test/x?y=1",
                Some(target("a.test", 443, "/x?y=1")),
            ),
            ("HTTPS://a.test", Some(target("a.test", 443, "/"))),
            ("https://a.test:8443?q", Some(target("a.test", 8443, "/?q"))),
            ("http://a.test/", None),
            ("https://u@a.test/", None),
            ("https:///x", None),
            ("https://a.test:x/", None),
            ("https://a.test/\r\nX: y", None),
            ("https://ä", None),
            ("httpsä//", None),
        ] {
            assert_eq!(Target::parse(url).ok(), expected, "{url}");
        }
    }
}
