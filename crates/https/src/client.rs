//! How the CLI asks the API: over the local socket of a running node, one request per connection, or that of its own
//! process where none runs. Either way it is the operator.

use crate::face::Face;
use crate::limits::{LOCAL_REQUEST_TIME_MAX, LOCAL_STATE_BYTES_MAX};
use crate::problem::ProblemDetails;
use crate::serve::{BY, Origin};
use axum::body::{Body, Bytes};
use axum::http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::path::Path;
use tokio::net::UnixStream;

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

/// One request to the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question<'a> {
    /// GET, POST, PUT, PATCH or DELETE.
    pub method: &'a str,
    /// With what stands after `?`.
    pub path: &'a str,
    /// What is sent along.
    pub sent: Sent,
    /// Whom histories shall name instead of the user of the operating system; the audit log names both.
    pub by: Option<&'a str>,
}

impl Answer {
    /// What stood against it, in the problem's own words (RFC 9457); `None` where it was done.
    pub fn problem(&self) -> Option<String> {
        if (200..300).contains(&self.status) {
            return None;
        }
        let told = serde_json::from_slice::<ProblemDetails>(&self.body);
        let words = told.ok().map(ProblemDetails::into_words);
        Some(words.unwrap_or_else(|| format!("the answer has the status {}", self.status)))
    }
}

/// Asks the node whose socket this is.
///
/// # Errors
/// In words: no node, no such method or path, an answer that does not come.
pub async fn ask(socket: &Path, question: Question<'_>) -> Result<Answer, String> {
    let request = request(question)?.map(Full::new);
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|error| format!("no node answers on {}: {error}", socket.display()))?;
    let asked = tokio::time::timeout(LOCAL_REQUEST_TIME_MAX, exchange(stream, request));
    asked
        .await
        .map_err(|_| "the node does not answer in time".to_owned())?
}

/// Asks the API of this very process, as `user` would over the local socket.
///
/// # Errors
/// In words: no such method or path, an answer that is too large.
pub async fn ask_here(face: &Face, user: &str, question: Question<'_>) -> Result<Answer, String> {
    let mut request = request(question)?.map(Body::from);
    request
        .extensions_mut()
        .insert(Origin::Local { user: user.into() });
    let answer = face.answer(request).await;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), LOCAL_STATE_BYTES_MAX)
        .collect()
        .await
        .map_err(|error| error.to_string())?;
    Ok(Answer {
        status,
        body: body.to_bytes(),
    })
}

fn request(question: Question<'_>) -> Result<Request<Bytes>, String> {
    let Question {
        method,
        path,
        sent,
        by,
    } = question;
    let method: Method = method.to_ascii_uppercase().parse().map_err(|_| {
        format!("{method} is no method; there are GET, POST, PUT, PATCH and DELETE")
    })?;
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
        .header(header::ACCEPT_LANGUAGE, "en");
    if let Some(by) = by {
        let by: String = form_urlencoded::byte_serialize(by.as_bytes()).collect();
        request = request.header(BY, by);
    }
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
    request
        .body(Bytes::from(body))
        .map_err(|_| format!("{path} is no path; they begin with /api/v1/"))
}

async fn exchange(stream: UnixStream, request: Request<Full<Bytes>>) -> Result<Answer, String> {
    let failed = |error: &dyn std::fmt::Display| format!("asking the node failed: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| failed(&error))?;
    let driven = tokio::spawn(connection);
    let answer = sender
        .send_request(request)
        .await
        .map_err(|error| failed(&error))?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), LOCAL_STATE_BYTES_MAX)
        .collect()
        .await
        .map_err(|error| failed(&error))?;
    driven.abort();
    Ok(Answer {
        status,
        body: body.to_bytes(),
    })
}
