//! S3-26: forward secrecy always; post-quantum key agreement where the client can.

use harness::Server;
use harness::openssl::refused_everywhere;

#[test]
fn key_exchange_without_forward_secrecy_is_refused() {
    let server = Server::start();
    refused_everywhere(&server, &["-tls1_2", "-cipher", "AES128-GCM-SHA256"]);
    refused_everywhere(
        &server,
        &["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"],
    );
}

#[test]
fn a_modern_client_agrees_on_x25519mlkem768() {
    let server = Server::start();
    let group = harness::lines::key_exchange_group(server.port("imaps"), &server.ca_file());
    assert_eq!(group, "X25519MLKEM768");
}
