//! A session that may no longer go on ends wherever it is: also in the middle of a message, which is not taken over then.

use super::{Client, TestServer};
use crate::server::Settings;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const OPEN: &str = "observe; 2999-01-01 enforce";

/// anna in clear, in the middle of a message by `begin`.
async fn in_a_message(server: &TestServer, begin: &[&str]) -> Client {
    let mut client = Client::connect(server.submission).await;
    client.reply().await;
    client.ask("EHLO laptop").await;
    let plain = STANDARD.encode("\0anna@firma.test\0geheim-genug");
    let reply = client.ask(&format!("AUTH PLAIN {plain}")).await;
    assert!(reply.starts_with("235 "), "{reply}");
    client.ask("MAIL FROM:<anna@firma.test>").await;
    let reply = client.ask("RCPT TO:<bernd@firma.test>").await;
    assert!(reply.starts_with("250 "), "{reply}");
    for line in begin {
        client.send(format!("{line}\r\n").as_bytes()).await;
    }
    client
}

#[tokio::test]
async fn a_message_in_clear_is_not_waited_for_once_that_is_over() {
    let server = TestServer::start(Settings::new("mx.rp.test")).await;
    server
        .set("installation", "cleartext", "submission", OPEN)
        .await;
    let mut data = in_a_message(&server, &["DATA"]).await;
    assert!(data.reply().await.starts_with("354 "));
    data.send(b"Subject: half\r\n\r\n").await;
    let mut chunk = in_a_message(&server, &["BDAT 1000 LAST", "Subject: half"]).await;
    server
        .set("installation", "cleartext", "submission", "enforce")
        .await;
    for client in [&mut data, &mut chunk] {
        let told = client.reply().await;
        assert!(told.starts_with("421 4.7.0 "), "{told}");
        assert!(told.contains("without encryption"), "{told}");
        assert_eq!(client.line().await, None, "closed");
    }
    assert!(server.inbox(server.bernd).await.is_empty());
}
