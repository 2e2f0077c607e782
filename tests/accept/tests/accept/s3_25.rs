//! S3-25: the server's order of cipher suites counts by default, the client's where it is set so.

use harness::Server;
use harness::openssl::handshake;

#[test]
fn the_servers_order_counts() {
    let server = Server::start();
    let chosen = |list: &str| {
        let result = handshake(&server, "imaps", None, &["-tls1_2", "-cipher", list]);
        let line = result
            .output
            .lines()
            .find(|line| line.contains("Cipher is "))
            .map(str::to_owned);
        line.unwrap_or_default()
    };
    let (a, b) = (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
    );
    assert_eq!(chosen(&format!("{a}:{b}")), chosen(&format!("{b}:{a}")));
}
