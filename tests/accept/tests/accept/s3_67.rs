//! S3-67: 25 and 587 begin in clear and advertise STARTTLS; what a client sends behind STARTTLS in
//! the same packet is thrown away.

use harness::{Lines, Server};

#[test]
fn both_ports_advertise_starttls() {
    let server = Server::start();
    for port in ["smtp", "submission"] {
        let mut smtp = Lines::clear(server.port(port));
        smtp.smtp();
        assert!(
            smtp.smtp_ask("EHLO client.test").contains("STARTTLS"),
            "{port}"
        );
    }
}

#[test]
fn plaintext_behind_starttls_is_discarded() {
    let server = Server::start();
    for port in ["smtp", "submission"] {
        let mut smtp = Lines::clear(server.port(port));
        smtp.smtp();
        smtp.smtp_ask("EHLO client.test");
        smtp.send(b"STARTTLS\r\nRSET\r\nMAIL FROM:<injected@evil.test>\r\n");
        assert!(smtp.smtp()[0].starts_with("220"), "{port}");
        let mut smtp = smtp.start_tls(&server.ca_file());
        // The first reply inside TLS answers what was sent inside TLS.
        let reply = smtp.smtp_ask("EHLO again.test");
        assert!(
            reply.starts_with("250-") && reply.contains("PIPELINING"),
            "{port}: {reply}"
        );
        assert!(!reply.contains("STARTTLS"), "{port}: {reply}");
    }
}
