//! S0-03: no user data or login in cleartext on any client protocol. (HTTP comes with its server.)

use harness::{Lines, Server};

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
