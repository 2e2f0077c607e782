//! S3-69: AUTH appears after TLS only. S3-71: never on port 25; 587 and 465 take logins.

use harness::{Lines, Server};

#[test]
fn auth_appears_only_after_tls_and_only_on_submission() {
    let server = Server::start();
    let ca = server.ca_file();
    for (port, login) in [("smtp", false), ("submission", true)] {
        let mut smtp = Lines::clear(server.port(port));
        smtp.smtp();
        let clear = smtp.smtp_ask("EHLO client.test");
        assert!(!clear.contains("AUTH"), "{port}: {clear}");
        smtp.smtp_ask("STARTTLS");
        let mut smtp = smtp.start_tls(&ca);
        let encrypted = smtp.smtp_ask("EHLO client.test");
        assert_eq!(
            encrypted.contains("250-AUTH ") || encrypted.contains("250 AUTH "),
            login,
            "{port}: {encrypted}"
        );
    }
    let mut smtp = Lines::tls(server.port("submissions"), &ca);
    smtp.smtp();
    let offers = smtp.smtp_ask("EHLO client.test");
    for mechanism in ["PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"] {
        assert!(offers.contains(mechanism), "{offers}");
    }
}

#[test]
fn port_25_refuses_a_login_even_with_tls() {
    let server = Server::start();
    let mut smtp = Lines::clear(server.port("smtp"));
    smtp.smtp();
    smtp.smtp_ask("EHLO client.test");
    smtp.smtp_ask("STARTTLS");
    let mut smtp = smtp.start_tls(&server.ca_file());
    smtp.smtp_ask("EHLO client.test");
    let reply = smtp.smtp_ask("AUTH PLAIN");
    assert!(reply.starts_with('5'), "{reply}");
}
