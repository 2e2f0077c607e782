//! S1-21: the highest common version is negotiated, and a downgrade is noticed.

use harness::Server;
use harness::openssl::{PORTS, handshake};

#[test]
fn a_normal_client_gets_tls_1_3() {
    let server = Server::start();
    for (port, starttls) in PORTS {
        let result = handshake(&server, port, starttls, &[]);
        assert!(
            result.output.contains("New, TLSv1.3"),
            "{port}:\n{}",
            result.output
        );
    }
}

#[test]
fn a_downgraded_client_is_told() {
    let server = Server::start();
    for (port, starttls) in PORTS {
        let result = handshake(&server, port, starttls, &["-tls1_2", "-fallback_scsv"]);
        assert!(!result.agreed, "{port}");
        assert!(
            result.output.contains("inappropriate fallback"),
            "{port}:\n{}",
            result.output
        );
    }
}
