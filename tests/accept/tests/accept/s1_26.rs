//! S1-26: a client whose port and mode do not fit is recognised, and the log says so. (The hint on
//! "My connections" comes with the portal.)

use harness::openssl::handshake;
use harness::{Lines, Server};
use std::time::Duration;

#[test]
fn tls_on_a_port_for_starttls_is_noticed() {
    let server = Server::start();
    for port in ["imap", "pop3", "submission", "smtp"] {
        assert!(!handshake(&server, port, None, &[]).agreed);
    }
    wait_for(&server, "wrong mode: the client starts TLS at once", 4);
}

#[test]
fn cleartext_on_a_port_for_tls_is_noticed() {
    let server = Server::start();
    for port in ["imaps", "pop3s", "submissions"] {
        let mut client = Lines::clear(server.port(port));
        client.say("a CAPABILITY");
        let answer = client.rest(1000);
        assert!(
            !answer.starts_with(b"* OK") && !answer.starts_with(b"220"),
            "{answer:?}"
        );
    }
    wait_for(&server, "wrong mode: the client does not start TLS", 3);
}

/// The log is written by another process; a moment may pass.
#[allow(clippy::disallowed_methods, reason = "waits for another process")]
fn wait_for(server: &Server, text: &str, times: usize) {
    for _ in 0..100 {
        if server.log().matches(text).count() >= times {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!(
        "the log does not say {times} times «{text}»:\n{}",
        server.log()
    );
}
