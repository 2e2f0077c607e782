//! One connection: HTTP/1.1 within limits, over TLS the router, in clear nothing but the way to HTTPS. Called by the
//! listeners for each connection, and for the CLI on the local socket.

use crate::answer;
use crate::face::Face;
use crate::headers;
use crate::limits::{
    CONNECTION_TIME_MAX, HEADER_BYTES_MAX, HEADER_TIME_MAX, HEADERS_MAX, REQUEST_TIME_MAX,
    STALL_TIME_MAX,
};
use crate::redirect;
use axum::body::Body;
use axum::http::{Request, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use platform::net::{Connection, Mode, Shutdown, StreamIo};
use platform::tls::TlsFacts;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// The header field in which the CLI says whom histories shall name; of nobody else it is looked at.
pub(crate) const BY: &str = "rohrpost-by";

/// How a request came in; a part of every request the router sees.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// Over TLS.
    Network {
        /// The client's address.
        peer: IpAddr,
        /// Our port.
        port: u16,
        /// The facts of the TLS session.
        tls: Option<Arc<TlsFacts>>,
    },
    /// Over the local socket, which only the node's own user can open, or in the CLI's own process.
    Local {
        /// The user of the operating system.
        user: Arc<str>,
    },
}

impl Origin {
    /// The address that logins are slowed for.
    pub(crate) fn peer(&self) -> IpAddr {
        match self {
            Self::Network { peer, .. } => *peer,
            Self::Local { .. } => IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }
}

/// Serves one connection of a listener to its end. `https_port` is where a client in clear is sent.
pub async fn serve(connection: Connection, face: Face, https_port: u16) {
    let (mode, shutdown) = (connection.spec.mode, connection.shutdown.clone());
    let origin = Origin::Network {
        peer: connection.stream.peer().ip(),
        port: connection.stream.local().port(),
        tls: connection.stream.tls().cloned().map(Arc::new),
    };
    // What is left of `connection` counts against the limits until this returns.
    let io = StreamIo::new(connection.stream, STALL_TIME_MAX);
    match mode {
        Mode::ImplicitTls => routed(io, face, origin, shutdown).await,
        Mode::StartTls => {
            let host: Arc<str> = face.services().host_name.clone();
            run(io, shutdown, move |request| {
                let host = host.clone();
                async move { way_to_https(&request, &host, https_port) }
            })
            .await;
        }
    }
}

/// Serves a connection of the CLI, whose other end is `user` of the operating system: the node's own, or root.
pub async fn serve_local(
    io: impl AsyncRead + AsyncWrite + Unpin,
    user: &str,
    face: Face,
    shutdown: Shutdown,
) {
    let origin = Origin::Local { user: user.into() };
    routed(io, face, origin, shutdown).await;
}

async fn routed(
    io: impl AsyncRead + AsyncWrite + Unpin,
    face: Face,
    origin: Origin,
    shutdown: Shutdown,
) {
    run(io, shutdown, move |mut request| {
        let face = face.clone();
        request.extensions_mut().insert(origin.clone());
        async move { face.answer(request.map(Body::new)).await }
    })
    .await;
}

/// RFC 6797 §7.2: no HSTS here, where nobody could tell whose it is.
fn way_to_https(request: &Request<Incoming>, own: &str, port: u16) -> Response {
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    let (status, place) = redirect::target(host, own, request.uri(), port);
    let mut response = answer::redirect(status, &place);
    headers::secure(response.headers_mut());
    response
        .headers_mut()
        .remove(header::STRICT_TRANSPORT_SECURITY);
    response
}

async fn run<F, R>(io: impl AsyncRead + AsyncWrite + Unpin, shutdown: Shutdown, answer: F)
where
    F: Fn(Request<Incoming>) -> R,
    R: Future<Output = Response>,
{
    let service = service_fn(|request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(io), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = shutdown.requested() => None,
        () = tokio::time::sleep(CONNECTION_TIME_MAX) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            let rest = tokio::time::timeout(REQUEST_TIME_MAX, connection);
            rest.await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "http.connection_ended");
    }
}
