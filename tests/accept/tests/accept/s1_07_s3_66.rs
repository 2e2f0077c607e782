//! S1-07, S3-66: all seven ports are served with exactly their mode of TLS.

use harness::openssl::{PORTS, agreed_everywhere, handshake};
use harness::{Lines, Server};

#[test]
fn each_port_begins_tls_in_its_own_way() {
    let server = Server::start();
    agreed_everywhere(&server, &[]);
    for (port, starttls) in PORTS {
        if starttls.is_some() {
            let direct = handshake(&server, port, None, &[]);
            assert!(!direct.agreed, "{port} begins with TLS:\n{}", direct.output);
        }
    }
}

#[test]
fn the_roles_are_as_the_ports_promise() {
    let server = Server::start();
    assert!(Lines::clear(server.port("smtp")).smtp()[0].starts_with("220 mx.rp.test ESMTP"));
    assert!(Lines::clear(server.port("submission")).smtp()[0].starts_with("220 "));
    assert!(Lines::clear(server.port("imap")).line().starts_with("* OK"));
    assert!(Lines::clear(server.port("pop3")).line().starts_with("+OK"));
    let ca = server.ca_file();
    assert!(Lines::tls(server.port("submissions"), &ca).smtp()[0].starts_with("220 "));
    assert!(
        Lines::tls(server.port("imaps"), &ca)
            .line()
            .starts_with("* OK")
    );
    assert!(
        Lines::tls(server.port("pop3s"), &ca)
            .line()
            .starts_with("+OK")
    );
}
