//! How the CLI asks the API of a running node over its local socket. One request per connection.

use crate::limits::REQUEST_TIME_MAX;
use axum::body::Bytes;
use axum::http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::path::Path;
use tokio::net::UnixStream;

/// Largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What the node answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

/// What is sent along with a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Sent {
    /// Nothing.
    #[default]
    Nothing,
    /// JSON.
    Json(String),
    /// Text, such as a state file.
    Text(String),
}

/// Asks the node whose socket this is.
///
/// # Errors
/// In words: no node, no such method or path, an answer that does not come.
pub async fn ask(socket: &Path, method: &str, path: &str, sent: Sent) -> Result<Answer, String> {
    let method: Method = method.to_ascii_uppercase().parse().map_err(|_| {
        format!("{method} is no method; there are GET, POST, PUT, PATCH and DELETE")
    })?;
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|error| format!("no node answers on {}: {error}", socket.display()))?;
    let asked = tokio::time::timeout(REQUEST_TIME_MAX, exchange(stream, method, path, sent));
    asked
        .await
        .map_err(|_| "the node does not answer in time".to_owned())?
}

async fn exchange(
    stream: UnixStream,
    method: Method,
    path: &str,
    sent: Sent,
) -> Result<Answer, String> {
    let failed = |error: &dyn std::fmt::Display| format!("asking the node failed: {error}");
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
        .header(header::ACCEPT_LANGUAGE, "en");
    let body = match sent {
        Sent::Nothing => String::new(),
        Sent::Json(text) => {
            request = request.header(header::CONTENT_TYPE, "application/json");
            text
        }
        Sent::Text(text) => {
            request = request.header(header::CONTENT_TYPE, "text/plain");
            text
        }
    };
    let request = request
        .body(Full::new(Bytes::from(body)))
        .map_err(|_| format!("{path} is no path; they begin with /api/v1/"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| failed(&error))?;
    let driven = tokio::spawn(connection);
    let answer = sender
        .send_request(request)
        .await
        .map_err(|error| failed(&error))?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await
        .map_err(|error| failed(&error))?;
    driven.abort();
    Ok(Answer {
        status,
        body: body.to_bytes(),
    })
}
