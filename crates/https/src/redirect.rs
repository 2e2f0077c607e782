//! What a listener in clear answers: the same address over HTTPS (308, RFC 9110 §15.4.9) and nothing else. Pure.

use axum::http::{StatusCode, Uri};

/// Longest host name believed.
const HOST_BYTES_MAX: usize = 253;

/// Where a request in clear is sent to; `port` is that of HTTPS. `None`: the request names no place.
pub(crate) fn target(host: Option<&str>, own: &str, uri: &Uri, port: u16) -> (StatusCode, String) {
    let is_question = is_discovery(uri.path());
    let host = host.and_then(name_of).filter(|_| !is_question);
    let host = host.unwrap_or(own);
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    // `OPTIONS *` and the like name no place on a site.
    let path = if path.starts_with('/') { path } else { "/" };
    let port = match port {
        443 => String::new(),
        port => format!(":{port}"),
    };
    let status = match is_question {
        true => StatusCode::FOUND,
        false => StatusCode::PERMANENT_REDIRECT,
    };
    (status, format!("https://{host}{port}{path}"))
}

/// Whether a mail program asks for settings: `autodiscover.` and `autoconfig.` of a customer's domain lead here without
/// a certificate of ours for them, so that it is sent to our own name; Outlook knows no 308 (MS-OXDSCLI §4.1).
fn is_discovery(path: &str) -> bool {
    let start = path.get(.."/autodiscover/".len()).unwrap_or_default();
    start.eq_ignore_ascii_case("/autodiscover/") || path == "/mail/config-v1.1.xml"
}

/// The name in a Host field without its port; `None` where it is none.
fn name_of(host: &str) -> Option<&str> {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let is_literal = name.starts_with('[') && name.ends_with(']');
    let fits = |b: u8| {
        b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.') || (is_literal && b"[]:".contains(&b))
    };
    (!name.is_empty() && name.len() <= HOST_BYTES_MAX && name.bytes().all(fits)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(host: Option<&str>, uri: &str, port: u16) -> String {
        target(host, "mx.rp.test", &uri.parse().unwrap(), port).1
    }

    #[test]
    fn the_same_place_over_https() {
        assert_eq!(
            to(Some("webmail.rp.test"), "/a?b=c", 443),
            "https://webmail.rp.test/a?b=c"
        );
        assert_eq!(to(Some("rp.test:80"), "/", 8443), "https://rp.test:8443/");
        assert_eq!(to(Some("[::1]:80"), "/", 443), "https://[::1]/");
    }

    #[test]
    fn a_host_that_is_none_is_replaced_by_ours() {
        for host in [
            None,
            Some(""),
            Some("a b"),
            Some("evil.test/@"),
            Some("x\"y"),
            Some("u@h"),
        ] {
            assert_eq!(to(host, "/", 443), "https://mx.rp.test/", "{host:?}");
        }
    }

    #[test]
    fn mail_programs_are_sent_where_the_certificate_fits() {
        let ask = |path: &str| {
            let uri = path.parse().unwrap();
            target(Some("autodiscover.firma.test"), "mx.rp.test", &uri, 443)
        };
        for path in [
            "/autodiscover/autodiscover.xml",
            "/AutoDiscover/AutoDiscover.xml",
            "/mail/config-v1.1.xml?emailaddress=a@firma.test",
        ] {
            let (status, place) = ask(path);
            assert_eq!(
                (status, place),
                (StatusCode::FOUND, format!("https://mx.rp.test{path}"))
            );
        }
        assert_eq!(ask("/autodiscovery").0, StatusCode::PERMANENT_REDIRECT);
        assert_eq!(ask("/ä").1, "https://autodiscover.firma.test/ä");
    }

    #[test]
    fn what_names_no_place_leads_to_the_front_page() {
        assert_eq!(to(None, "*", 443), "https://mx.rp.test/");
    }
}
