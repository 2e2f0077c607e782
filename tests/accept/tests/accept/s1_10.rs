//! S1-10: the clients customers have (Windows 8.1, macOS 10.11, iOS 9, Android 5, Thunderbird 60)
//! connect with the default profile. Their cipher lists are those of their own ClientHello.

use harness::Server;
use harness::openssl::agreed_everywhere;

/// Schannel of Windows 8.1: AES-GCM with ECDSA certificates, CBC with RSA.
const WINDOWS_8_1: &str = "ECDHE-RSA-AES256-SHA384:ECDHE-RSA-AES128-SHA256:ECDHE-RSA-AES256-SHA:\
     ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:\
     AES256-GCM-SHA384:AES128-GCM-SHA256:AES256-SHA256:AES128-SHA256:AES256-SHA:AES128-SHA";
/// Safari 9 (OS X 10.11, iOS 9).
const SAFARI_9: &str = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:\
     ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES256-GCM-SHA384:\
     ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-SHA384:AES256-GCM-SHA384:AES128-GCM-SHA256";
/// Android 5.
const ANDROID_5: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
     ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:AES128-GCM-SHA256:AES256-SHA";
/// Thunderbird 60 with TLS 1.2.
const THUNDERBIRD_60: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
     ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384";

#[test]
fn old_but_supported_clients_connect_to_every_port() {
    let server = Server::start();
    for list in [WINDOWS_8_1, SAFARI_9, ANDROID_5, THUNDERBIRD_60] {
        agreed_everywhere(
            &server,
            &["-tls1_2", "-cipher", list, "-groups", "P-256:P-384"],
        );
    }
}

#[test]
fn a_client_without_ecdsa_gets_the_rsa_certificate() {
    let server = Server::start();
    let only_rsa = ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"];
    agreed_everywhere(&server, &only_rsa);
}
