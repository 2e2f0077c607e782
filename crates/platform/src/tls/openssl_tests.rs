//! Lets OpenSSL's client, as old and new mail programs are configured, meet our server: which versions, suites and
//! certificates come out, what is refused and how. Tests only.

use crate::net::rig::{Server, demo_files, implicit, starttls};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Runs `openssl s_client` and returns everything it printed.
async fn openssl(server: &Server, arguments: &[&str], input: &[u8]) -> String {
    let mut child = Command::new("openssl")
        .arg("s_client")
        .args(["-connect", &server.address.to_string(), "-ign_eof"])
        .arg("-CAfile")
        .arg(demo_files().join("ca.pem"))
        .args(arguments)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("openssl is installed");
    let mut stdin = child.stdin.take().unwrap();
    // A client that is refused does not read its input.
    let _ = stdin.write_all(input).await;
    drop(stdin);
    let output = tokio::time::timeout(Duration::from_secs(10), child.wait_with_output())
        .await
        .expect("openssl ends")
        .unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

const QUIT: &[u8] = b"FACTS\r\nQUIT\r\n";

#[tokio::test]
async fn tls_1_3_comes_first_and_1_2_works() {
    let server = implicit();
    let newest = openssl(&server, &["-servername", "imap.rp.test"], QUIT).await;
    assert!(
        newest.contains("New, TLSv1.3, Cipher is TLS_AES_128_GCM_SHA256"),
        "{newest}"
    );
    assert!(newest.contains("Verify return code: 0 (ok)"), "{newest}");
    assert!(newest.contains("sni: Some(\"imap.rp.test\")"), "{newest}");
    assert!(newest.contains("group: Some(\"x25519\")"), "{newest}");
    let older = openssl(&server, &["-tls1_2"], QUIT).await;
    assert!(
        older.contains("New, TLSv1.2, Cipher is ECDHE-ECDSA-AES128-GCM-SHA256"),
        "{older}"
    );
    assert!(
        older.contains("Secure Renegotiation IS supported"),
        "{older}"
    );
    assert!(older.contains("Extended master secret: yes"), "{older}");
    assert!(older.contains("Compression: NONE"), "{older}");
}

#[tokio::test]
async fn old_versions_get_alert_70_and_are_known() {
    let server = implicit();
    for (flag, offered) in [("-tls1", "TLSv1 or older"), ("-tls1_1", "TLSv1.1 or older")] {
        let refused = openssl(&server, &[flag, "-cipher", "ALL:@SECLEVEL=0"], b"").await;
        assert!(refused.contains("SSL alert number 70"), "{flag}: {refused}");
        server.heard(&format!("[offered {offered}]")).await;
    }
}

#[tokio::test]
async fn an_old_client_is_told_on_starttls_too() {
    let server = starttls();
    let arguments = ["-starttls", "smtp", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"];
    let refused = openssl(&server, &arguments, b"").await;
    // The toy session answers EHLO in one line, which is all that OpenSSL needs to go on.
    assert!(refused.contains("SSL alert number 70"), "{refused}");
    server.heard("[offered TLSv1.1 or older]").await;
}

#[tokio::test]
async fn what_has_no_forward_secrecy_is_refused() {
    let server = implicit();
    for cipher in [
        "AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-SHA256",
        "DHE-RSA-AES128-GCM-SHA256",
    ] {
        let refused = openssl(&server, &["-tls1_2", "-cipher", cipher], b"").await;
        assert!(
            refused.contains("SSL alert number 40"),
            "{cipher}: {refused}"
        );
    }
    server.heard("TLS handshake failed").await;
}

#[tokio::test]
async fn a_needless_fallback_is_refused() {
    let server = implicit();
    let refused = openssl(&server, &["-tls1_2", "-fallback_scsv"], b"").await;
    assert!(refused.contains("SSL alert number 86"), "{refused}");
    let fine = openssl(&server, &["-fallback_scsv"], QUIT).await;
    assert!(fine.contains("New, TLSv1.3"), "{fine}");
}

#[tokio::test]
async fn each_suite_of_the_profile_works_and_the_order_is_ours() {
    let server = implicit();
    for cipher in [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
    ] {
        let text = openssl(&server, &["-tls1_2", "-cipher", cipher], QUIT).await;
        assert!(text.contains(&format!("Cipher is {cipher}")), "{text}");
        assert!(text.contains("Verify return code: 0 (ok)"), "{text}");
    }
    let reversed = "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256";
    let text = openssl(&server, &["-tls1_2", "-cipher", reversed], QUIT).await;
    assert!(
        text.contains("Cipher is ECDHE-ECDSA-AES128-GCM-SHA256"),
        "{text}"
    );
    for group in ["X25519", "P-256", "P-384"] {
        let text = openssl(&server, &["-groups", group], QUIT).await;
        assert!(text.contains("New, TLSv1.3"), "{group}: {text}");
        assert!(
            text.contains("Peer signature type: ECDSA"),
            "{group}: {text}"
        );
    }
    let refused = openssl(&server, &["-groups", "P-521"], b"").await;
    assert!(refused.contains("alert handshake failure"), "{refused}");
}

#[tokio::test]
async fn rsa_is_shown_only_to_clients_that_cannot_do_ecdsa() {
    let server = implicit();
    let text = openssl(&server, &["-sigalgs", "RSA-PSS+SHA256:ECDSA+SHA256"], QUIT).await;
    assert!(text.contains("Peer signature type: ECDSA"), "{text}");
    let text = openssl(&server, &["-sigalgs", "RSA-PSS+SHA256:RSA+SHA256"], QUIT).await;
    assert!(text.contains("Peer signature type: RSA-PSS"), "{text}");
    assert!(text.contains("Server public key is 3072 bit"), "{text}");
    // TLS 1.2 without the curve of our ECDSA certificate: RFC 8422 §5.1.
    let text = openssl(&server, &["-tls1_2", "-groups", "X25519"], QUIT).await;
    assert!(text.contains("Peer signature type: RSA"), "{text}");
}

/// The oldest clients that are promised to work, after testssl.sh's client simulation.
#[tokio::test]
async fn the_oldest_promised_clients_connect() {
    let server = implicit();
    for (client, cipher, groups, expected) in [
        (
            "Windows 8.1, Schannel",
            "ECDHE-RSA-AES256-SHA384:ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
             ECDHE-ECDSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:AES256-GCM-SHA384:AES128-SHA256",
            "P-256:P-384",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
        ),
        (
            "Windows 8.1, AES-128 only",
            "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA:AES128-SHA",
            "P-256:P-384",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
        ),
        (
            "Safari 9",
            "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-SHA384:\
             ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-SHA384:AES256-GCM-SHA384",
            "P-256:P-384:P-521",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
        ),
        (
            "Android 5",
            "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
             ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES128-SHA:AES128-GCM-SHA256",
            "P-256:P-384:P-521",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
        ),
        (
            "Thunderbird 60, RSA only",
            "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-SHA",
            "X25519:P-256:P-384:P-521",
            "ECDHE-RSA-AES128-GCM-SHA256",
        ),
    ] {
        let arguments = ["-tls1_2", "-cipher", cipher, "-groups", groups];
        let text = openssl(&server, &arguments, QUIT).await;
        assert!(
            text.contains(&format!("Cipher is {expected}")),
            "{client}: {text}"
        );
        assert!(
            text.contains("Verify return code: 0 (ok)"),
            "{client}: {text}"
        );
    }
}

#[tokio::test]
async fn the_certificate_fits_the_name() {
    let server = implicit();
    for name in ["mx.rp.test", "imap.rp.test", "a.wild.rp.test"] {
        let arguments = [
            "-servername",
            name,
            "-verify_hostname",
            name,
            "-verify_return_error",
        ];
        let text = openssl(&server, &arguments, QUIT).await;
        assert!(
            text.contains("Verify return code: 0 (ok)"),
            "{name}: {text}"
        );
    }
    let text = openssl(
        &server,
        &["-noservername", "-verify_hostname", "mx.rp.test"],
        QUIT,
    )
    .await;
    assert!(text.contains("Verify return code: 0 (ok)"), "{text}");
}

#[tokio::test]
async fn sessions_resume_on_both_versions() {
    let server = implicit();
    for version in ["-tls1_2", "-tls1_3"] {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let first = openssl(&server, &[version, "-sess_out", path], QUIT).await;
        assert!(first.contains("resumed: false"), "{first}");
        let second = openssl(&server, &[version, "-sess_in", path], QUIT).await;
        assert!(second.contains("Reused, TLSv1"), "{second}");
        assert!(second.contains("resumed: true"), "{second}");
        assert!(!second.contains("Early data was accepted"), "{second}");
    }
}

/// OpenSSL prints the exporter's value; ours must be the same.
#[tokio::test]
async fn the_channel_binding_is_what_the_client_has() {
    let server = implicit();
    for suite in ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"] {
        let arguments = [
            "-ciphersuites",
            suite,
            "-keymatexport",
            "EXPORTER-Channel-Binding",
            "-keymatexportlen",
            "32",
        ];
        let text = openssl(&server, &arguments, QUIT).await;
        let hex = text
            .split("Keying material: ")
            .nth(1)
            .expect("a value")
            .lines()
            .next()
            .unwrap();
        let theirs: Vec<u8> = (0..hex.trim().len() / 2)
            .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        assert_eq!(theirs.len(), 32);
        assert!(
            text.contains(&format!("tls_exporter: Some({theirs:?})")),
            "{text}"
        );
    }
}

#[tokio::test]
async fn the_same_software_has_the_same_fingerprint() {
    let server = implicit();
    let fingerprint = |text: &str| {
        let after = text
            .split("client_fingerprint: Some(\"")
            .nth(1)
            .expect("one");
        after.split('"').next().unwrap().to_owned()
    };
    let one = fingerprint(&openssl(&server, &["-servername", "mx.rp.test"], QUIT).await);
    let two = fingerprint(&openssl(&server, &["-servername", "imap.rp.test"], QUIT).await);
    let older = fingerprint(&openssl(&server, &["-tls1_2", "-noservername"], QUIT).await);
    assert_eq!(one, two);
    assert!(one.starts_with("t13d"), "{one}");
    assert!(older.starts_with("t12i"), "{older}");
    assert_eq!(one.len(), 36);
}

#[tokio::test]
async fn a_tls_client_on_a_clear_port_is_recognised_and_answered() {
    let server = starttls();
    let text = openssl(&server, &[], b"").await;
    assert!(
        text.contains("wrong version number") || text.contains("packet length"),
        "{text}"
    );
    server
        .heard("wrong mode: the client starts TLS at once")
        .await;
}
