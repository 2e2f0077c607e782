//! A SCRAM client (RFC 5802, RFC 7677) against AUTH: the framing in 334 replies, both mechanisms, and
//! a password that is wrong. Never used outside tests.

use super::people::PASSWORD;
use super::{Client, TestServer};
use crate::server::Settings;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// How the client ties its login to the TLS session.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Binding {
    None,
    ServerEndPoint,
}

/// How the client sends its first message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    WithCommand,
    AfterChallenge,
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn challenge(reply: &str) -> String {
    let text = reply
        .strip_prefix("334 ")
        .unwrap_or_else(|| panic!("{reply}"));
    String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
}

/// Logs in; gives the last reply.
async fn login(password: &str, binding: Binding, first: First) -> String {
    let server = TestServer::start(Settings::new("mx.rp.test")).await;
    let mut client = Client::connect(server.submissions).await;
    client.start_tls().await;
    client.reply().await;
    client.ask("EHLO client.example").await;
    let certificate = client
        .stream
        .tls()
        .unwrap()
        .peer_certificate
        .as_ref()
        .unwrap()
        .sha256;
    let (mechanism, gs2, bound): (_, _, &[u8]) = match binding {
        Binding::None => ("SCRAM-SHA-256", "n,,", &[]),
        Binding::ServerEndPoint => (
            "SCRAM-SHA-256-PLUS",
            "p=tls-server-end-point,,",
            &certificate,
        ),
    };
    let bare = "n=anna@firma.test,r=fyko+d2lbbFgONRv9qkxdawL";
    let initial = STANDARD.encode(format!("{gs2}{bare}"));
    let reply = match first {
        First::WithCommand => client.ask(&format!("AUTH {mechanism} {initial}")).await,
        First::AfterChallenge => {
            assert_eq!(client.ask(&format!("AUTH {mechanism}")).await, "334 ");
            client.ask(&initial).await
        }
    };
    let server_first = challenge(&reply);
    let field = |name: &str| {
        server_first
            .split(',')
            .find_map(|field| field.strip_prefix(name))
            .unwrap()
            .to_owned()
    };
    let (nonce, salt) = (field("r="), STANDARD.decode(field("s=")).unwrap());
    let mut salted = [0; 32];
    let iterations = field("i=").parse().unwrap();
    pbkdf2::pbkdf2::<Hmac<Sha256>>(password.as_bytes(), &salt, iterations, &mut salted).unwrap();
    let header = STANDARD.encode([gs2.as_bytes(), bound].concat());
    let without_proof = format!("c={header},r={nonce}");
    let auth_message = format!("{bare},{server_first},{without_proof}");
    let client_key = hmac(&salted, b"Client Key");
    let signature = hmac(&Sha256::digest(&client_key), auth_message.as_bytes());
    let proof: Vec<u8> = client_key
        .iter()
        .zip(&signature)
        .map(|(a, b)| a ^ b)
        .collect();
    let last = format!("{without_proof},p={}", STANDARD.encode(proof));
    let reply = client.ask(&STANDARD.encode(last)).await;
    if !reply.starts_with("334") {
        return reply;
    }
    let expected = hmac(&hmac(&salted, b"Server Key"), auth_message.as_bytes());
    assert_eq!(
        challenge(&reply),
        format!("v={}", STANDARD.encode(expected))
    );
    client.ask("").await
}

#[tokio::test]
async fn scram_logs_in() {
    for first in [First::WithCommand, First::AfterChallenge] {
        let reply = login(PASSWORD, Binding::None, first).await;
        assert!(reply.starts_with("235 2.7.0 "), "{reply}");
    }
}

#[tokio::test]
async fn scram_plus_logs_in() {
    let reply = login(PASSWORD, Binding::ServerEndPoint, First::WithCommand).await;
    assert!(reply.starts_with("235 2.7.0 "), "{reply}");
}

#[tokio::test]
async fn scram_with_a_wrong_password_does_not() {
    let reply = login("falsch", Binding::None, First::WithCommand).await;
    assert!(reply.starts_with("535 5.7.8 "), "{reply}");
}
