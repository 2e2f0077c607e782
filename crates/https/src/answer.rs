//! Answers as HTTP messages, made in one place so that none misses a header field.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

/// An answer with a body of this type.
pub(crate) fn with_body(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A line of text.
pub(crate) fn text(status: StatusCode, text: &'static str) -> Response {
    with_body(status, "text/plain; charset=utf-8", text)
}

/// Sends the client to `place`; nowhere where that cannot stand in a header.
pub(crate) fn redirect(status: StatusCode, place: &str) -> Response {
    match HeaderValue::from_str(place) {
        Ok(place) => with_header(text(status, ""), header::LOCATION, place),
        Err(_) => text(StatusCode::BAD_REQUEST, "This address cannot be used.\n"),
    }
}

/// The answer with one more header field.
pub(crate) fn with_header(
    mut response: Response,
    name: HeaderName,
    value: HeaderValue,
) -> Response {
    response.headers_mut().append(name, value);
    response
}
