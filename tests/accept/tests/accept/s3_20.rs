//! S3-20: the facts from which SSL Labs and testssl make an A, on every port with TLS from the
//! first byte. (The grade itself and HSTS come with the HTTPS server.)

use harness::Server;
use harness::openssl::{handshake, refused_everywhere};

/// Ports that a grader can be pointed at; STARTTLS is never graded.
const GRADED: [&str; 3] = ["submissions", "imaps", "pop3s"];

#[test]
fn certificates_keys_and_signatures_are_strong() {
    let server = Server::start();
    for port in GRADED {
        let ecdsa = handshake(&server, port, None, &["-verify_return_error"]);
        assert!(
            ecdsa.output.contains("Verify return code: 0 (ok)"),
            "{}",
            ecdsa.output
        );
        assert!(
            ecdsa.output.contains("Peer signature type: ECDSA"),
            "{}",
            ecdsa.output
        );
        assert!(
            ecdsa.output.contains("Server public key is 256 bit"),
            "{}",
            ecdsa.output
        );
        let rsa = ["-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384"];
        let rsa = handshake(&server, port, None, &rsa);
        assert!(
            rsa.output.contains("Server public key is 3072 bit"),
            "{}",
            rsa.output
        );
        assert!(
            rsa.output.contains("Peer signing digest: SHA"),
            "{}",
            rsa.output
        );
        assert!(
            !rsa.output.contains("Peer signing digest: SHA1"),
            "{}",
            rsa.output
        );
        assert!(
            rsa.output.contains("Secure Renegotiation IS supported"),
            "{}",
            rsa.output
        );
        assert!(
            rsa.output.contains("Extended master secret: yes"),
            "{}",
            rsa.output
        );
    }
}

#[test]
fn nothing_that_caps_a_grade_is_agreed_on() {
    let server = Server::start();
    for weak in [
        "RC4", "3DES", "aNULL", "eNULL", "CBC", "kRSA", "DHE", "SEED", "CAMELLIA", "ARIA",
    ] {
        let list = format!("{weak}:@SECLEVEL=0");
        // A list this OpenSSL does not know fails before a connection, which is a refusal as well.
        refused_everywhere(&server, &["-tls1_2", "-cipher", &list]);
    }
    for port in GRADED {
        let early = handshake(&server, port, None, &[]);
        assert!(
            early.output.contains("Max Early Data: 0") || !early.output.contains("Max Early Data")
        );
        assert!(
            early.output.contains("Compression: NONE"),
            "{}",
            early.output
        );
    }
}
