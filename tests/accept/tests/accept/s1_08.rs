//! S1-08: host names per protocol, and names of customers' domains, with matching certificates.

use harness::Server;
use harness::openssl::handshake;

#[test]
fn every_host_name_has_a_certificate() {
    let server = Server::start();
    let hosts = [
        ("submissions", "smtp.rp.test"),
        ("imaps", "imap.rp.test"),
        ("pop3s", "pop3.rp.test"),
        ("imaps", "mail.firma.test"),
        ("imaps", "mail.privat.test"),
    ];
    for (port, host) in hosts {
        let arguments = [
            "-servername",
            host,
            "-verify_hostname",
            host,
            "-verify_return_error",
        ];
        let result = handshake(&server, port, None, &arguments);
        assert!(result.agreed, "{host}:\n{}", result.output);
        assert!(
            result.output.contains("Verify return code: 0 (ok)"),
            "{}",
            result.output
        );
    }
    let other = [
        "-servername",
        "imap.rp.test",
        "-verify_hostname",
        "other.example",
        "-verify_return_error",
    ];
    assert!(
        !handshake(&server, "imaps", None, &other)
            .output
            .contains("Verify return code: 0")
    );
}
