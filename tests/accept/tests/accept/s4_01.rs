//! S4-01: TLS is offered and used in both directions by default. With it what S4-03 says without a
//! web page: what comes or goes in clear, because the other side has no TLS, is taken and sent, and
//! recorded as such.

use harness::dns::Signing;
use harness::lines::Lines;
use harness::sink::{Behaviour, Versions};
use harness::{Lab, deliver};

#[test]
fn tls_is_used_where_it_is_offered() {
    let lab = Lab::start();
    let mut smtp = Lines::clear(lab.server.port("smtp"));
    smtp.smtp();
    assert!(smtp.smtp_ask("EHLO peer.test").contains("STARTTLS"));
    let certificate = lab.identity(&["mx.modern.test"]);
    let modern = lab.domain(
        "modern.test",
        Signing::Unsigned,
        Behaviour::tls(&certificate),
    );
    let only12 = Behaviour::tls_versions(&certificate, Versions::Only12);
    let older = lab.domain("older.test", Signing::Unsigned, only12);
    let clear = lab.domain("clear.test", Signing::Unsigned, Behaviour::default());
    for domain in ["modern.test", "older.test", "clear.test"] {
        lab.send("anna", &format!("box@{domain}"), "hello");
    }
    let version = |mails: Vec<harness::sink::Mail>| mails[0].tls.clone().map(|tls| tls.version);
    assert_eq!(version(modern.wait_mails(1)).as_deref(), Some("TLSv1.3"));
    assert_eq!(version(older.wait_mails(1)).as_deref(), Some("TLSv1.2"));
    assert_eq!(version(clear.wait_mails(1)), None);
    for (domain, version) in [
        ("modern.test", Some("TLSv1.3")),
        ("older.test", Some("TLSv1.2")),
        ("clear.test", None),
    ] {
        let to = format!("box@{domain}");
        lab.wait_event(&to, "relayed");
        let tries = lab.tries(&to);
        assert_eq!(tries[0]["tls"]["version"].as_str(), version, "{tries:?}");
        assert_eq!(tries[0]["policy"], "opportunistic");
    }
}

/// RFC 3848: `ESMTP` in clear, `ESMTPS` over TLS.
#[test]
fn mail_in_clear_is_taken_and_marked() {
    let lab = Lab::start();
    let bernd = lab.server.account("bernd").address;
    let message = "Subject: in clear\r\n\r\nx\r\n";
    let reply = deliver(lab.server.port("smtp"), "a@else.test", &bernd, message);
    assert!(reply.starts_with("250"), "{reply}");
    let message = lab.wait_inbox("bernd", &["in clear"]);
    let words: Vec<&str> = message.split_ascii_whitespace().collect();
    assert!(
        words.windows(2).any(|w| w == ["with", "ESMTP"]),
        "{message}"
    );
}
