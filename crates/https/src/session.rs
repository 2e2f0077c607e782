//! The session of a browser as HTTP carries it: one cookie, and the check that a form which changes something came from
//! a page of this host (RFC 6265; the cookie's name keeps other hosts from setting it). Pure.

use crate::credentials::{SESSION_TIME_MAX, form_token};
use axum::http::{HeaderMap, HeaderValue, header};
use subtle::ConstantTimeEq as _;

/// The cookie. `__Host-` lets a browser take it only with Secure, for `/`, and from this very host.
pub(crate) const COOKIE: &str = "__Host-rohrpost";

/// The session that a request carries.
pub(crate) fn of(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).into_iter();
    cookies
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == COOKIE).then_some(value)
        })
}

/// The header that begins a session.
pub(crate) fn begin(session: &str) -> Option<HeaderValue> {
    let seconds = SESSION_TIME_MAX.as_secs();
    HeaderValue::from_str(&format!(
        "{COOKIE}={session}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Strict"
    ))
    .ok()
}

/// The header that ends it.
pub(crate) fn end() -> HeaderValue {
    HeaderValue::from_static(
        "__Host-rohrpost=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict",
    )
}

/// Whether a request that changes something came from a page of this host: where the browser says so, and with
/// what only such a page knows.
pub(crate) fn is_own_form(headers: &HeaderMap, session: &str, sent: Option<&str>) -> bool {
    let expected = form_token(session);
    let matches = sent.is_some_and(|sent| bool::from(sent.as_bytes().ct_eq(expected.as_bytes())));
    matches && is_same_site(headers)
}

/// Whether the browser says that the request comes from this host, or says nothing.
pub(crate) fn is_same_site(headers: &HeaderMap) -> bool {
    let text = |name| {
        headers
            .get(name)
            .map(|value: &HeaderValue| value.to_str().unwrap_or("?"))
    };
    if let Some(site) = text("sec-fetch-site")
        && !matches!(site, "same-origin" | "none")
    {
        return false;
    }
    match (text("origin"), text("host")) {
        (None, _) => true,
        (Some(origin), Some(host)) => origin.strip_prefix("https://") == Some(host),
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn the_session_is_found_among_cookies() {
        let found = headers(&[("cookie", "a=b; __Host-rohrpost=s1; c=d")]);
        assert_eq!(of(&found), Some("s1"));
        assert_eq!(of(&headers(&[("cookie", "x__Host-rohrpost=s1")])), None);
    }

    #[test]
    fn a_form_of_another_site_is_not_ours_even_with_the_right_token() {
        let token = form_token("s1");
        let own = headers(&[("origin", "https://rp.test"), ("host", "rp.test")]);
        assert!(is_own_form(&own, "s1", Some(&token)));
        assert!(!is_own_form(&own, "s2", Some(&token)));
        assert!(!is_own_form(&own, "s1", None));
        for foreign in [
            headers(&[("origin", "https://evil.test"), ("host", "rp.test")]),
            headers(&[("origin", "http://rp.test"), ("host", "rp.test")]),
            headers(&[("origin", "null"), ("host", "rp.test")]),
            headers(&[("sec-fetch-site", "cross-site"), ("host", "rp.test")]),
        ] {
            assert!(!is_own_form(&foreign, "s1", Some(&token)), "{foreign:?}");
        }
    }
}
