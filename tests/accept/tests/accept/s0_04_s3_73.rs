//! S0-04: exactly TLS 1.2 and 1.3 on every port. S3-73: nothing older is even there.

use harness::Server;
use harness::openssl::{agreed_everywhere, refused_everywhere};

#[test]
fn exactly_tls_1_2_and_1_3_are_spoken() {
    let server = Server::start();
    refused_everywhere(&server, &["-tls1", "-cipher", "ALL:@SECLEVEL=0"]);
    refused_everywhere(&server, &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]);
    agreed_everywhere(&server, &["-tls1_2"]);
    agreed_everywhere(&server, &["-tls1_3"]);
}

#[test]
fn an_ssl_3_client_gets_an_alert_and_no_session() {
    use std::io::{Read, Write};
    let server = Server::start();
    let mut socket = std::net::TcpStream::connect(("127.0.0.1", server.port("imaps"))).unwrap();
    // ClientHello of SSL 3.0: version 3.0, 32 random bytes, no session, RC4-MD5, no compression.
    let mut hello = vec![0x16, 3, 0, 0, 45, 1, 0, 0, 41, 3, 0];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0, 4, 1, 0]);
    socket.write_all(&hello).unwrap();
    let mut answer = Vec::new();
    socket
        .set_read_timeout(Some(std::time::Duration::from_secs(10)))
        .unwrap();
    socket.read_to_end(&mut answer).unwrap();
    // A fatal alert, never a ServerHello (0x16).
    assert_eq!(answer.first(), Some(&0x15), "{answer:?}");
    assert_eq!(answer.get(5), Some(&2), "{answer:?}");
}
