//! S0-03: no user data or login in cleartext on any client protocol.

use harness::{Lines, Server, Web, web};

#[test]
fn imap_in_clear_offers_starttls_and_no_login() {
    let server = Server::start();
    let mut imap = Lines::clear(server.port("imap"));
    imap.line();
    let answer = imap.imap_ask("a", "CAPABILITY");
    assert!(
        answer.contains("STARTTLS") && answer.contains("LOGINDISABLED"),
        "{answer}"
    );
    assert!(!answer.contains("AUTH="), "{answer}");
}

#[test]
fn pop3_in_clear_offers_stls_and_no_login() {
    let server = Server::start();
    let mut pop3 = Lines::clear(server.port("pop3"));
    pop3.line();
    pop3.say("CAPA");
    let mut capabilities = Vec::new();
    loop {
        let line = pop3.line();
        if line == "." || line.is_empty() {
            break;
        }
        capabilities.push(line);
    }
    assert!(capabilities.iter().any(|c| c == "STLS"), "{capabilities:?}");
    assert!(
        !capabilities
            .iter()
            .any(|c| c == "USER" || c.starts_with("SASL")),
        "{capabilities:?}"
    );
}

#[test]
fn http_in_clear_only_leads_to_https() {
    let server = Server::start();
    for path in ["/", "/login", "/api/v1/me?x=y"] {
        let answer = web::in_clear(server.port("http"), path).with(308);
        let place = format!("https://webmail.rp.test:{}{path}", server.port("https"));
        assert_eq!(answer.field("location"), Some(place.as_str()));
        assert!(
            answer.body.is_empty() && answer.field("set-cookie").is_none(),
            "{answer:?}"
        );
    }
}

#[test]
fn https_is_remembered_by_browsers_for_two_years_and_more() {
    let server = Server::start();
    for path in ["/", "/login", "/api/v1/me", "/none-such"] {
        let answer = Web::new(&server).get(path);
        let hsts = answer.field("strict-transport-security").expect("HSTS");
        let age = hsts
            .split(['=', ';'])
            .nth(1)
            .and_then(|age| age.trim().parse::<u64>().ok());
        assert!(age.is_some_and(|age| age >= 63_072_000), "{hsts}");
    }
}
