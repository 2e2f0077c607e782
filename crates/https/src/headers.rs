//! The header fields that every answer carries, whatever it says: HTTPS for two years (RFC 6797), no script, no
//! frame, no guessing of types, no referrer to others. Pure.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// S0-03: at least 63072000 seconds, which is two years.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000; includeSubDomains");
/// Pages have no script at all and only the style of this host.
const CONTENT_SECURITY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'",
);

/// Others learn nothing; our own forms say where they come from: with `no-referrer` browsers send them with
/// `Origin: null` (Fetch, "append a request Origin header"), which `session::is_same_site` refuses.
const REFERRER: HeaderValue = HeaderValue::from_static("same-origin");

/// Adds what is missing; an answer may set its own `Cache-Control`.
pub(crate) fn secure(headers: &mut HeaderMap) {
    let always = [
        (header::STRICT_TRANSPORT_SECURITY, HSTS),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (header::REFERRER_POLICY, REFERRER),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            HeaderValue::from_static("same-origin"),
        ),
        (
            HeaderName::from_static("permissions-policy"),
            HeaderValue::from_static("camera=(), geolocation=(), microphone=()"),
        ),
    ];
    for (name, value) in always {
        headers.insert(name, value);
    }
    // What is shown belongs to whoever is logged in.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_told_to_come_over_https_for_two_years() {
        let mut headers = HeaderMap::new();
        secure(&mut headers);
        let hsts = headers[header::STRICT_TRANSPORT_SECURITY].to_str().unwrap();
        let age = hsts.split(['=', ';']).nth(1).unwrap();
        assert!(age.parse::<u64>().unwrap() >= 63_072_000, "{hsts}");
    }

    #[test]
    fn browsers_say_where_our_own_forms_come_from() {
        let mut headers = HeaderMap::new();
        secure(&mut headers);
        assert_eq!(headers[header::REFERRER_POLICY], "same-origin");
    }

    #[test]
    fn an_answer_may_be_kept_only_where_it_says_so() {
        let mut headers = HeaderMap::new();
        secure(&mut headers);
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("max-age=60"),
        );
        secure(&mut headers);
        assert_eq!(headers[header::CACHE_CONTROL], "max-age=60");
    }
}
