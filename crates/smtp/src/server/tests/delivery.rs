//! What a transcript cannot say: whole dialogues in one write, stops of the server, SCRAM, memory.
//! Never used outside tests.

use super::{Client, TestServer};
use crate::server::Settings;

const ENVELOPE: &str = "MAIL FROM:<a@client.example>\r\nRCPT TO:<anna@firma.test>\r\n";

async fn server() -> TestServer {
    TestServer::start(Settings::new("mx.rp.test")).await
}

async fn greeted(server: &TestServer) -> Client {
    let mut client = Client::connect(server.mx).await;
    client.reply().await;
    client.ask("EHLO client.example").await;
    client
}

#[tokio::test]
async fn many_messages_in_one_write_are_all_there_in_order() {
    let server = server().await;
    let mut client = greeted(&server).await;
    let mut bytes = Vec::new();
    for n in 0..50 {
        let message = format!("Subject: {n}\r\n\r\nhi\r\n");
        let chunk = format!("{ENVELOPE}BDAT {} LAST\r\n{message}", message.len());
        bytes.extend_from_slice(chunk.as_bytes());
    }
    client.send(&bytes).await;
    for _ in 0..50 {
        for expected in ["250 2.1.0 ", "250 2.1.5 ", "250 2.0.0 Accepted as "] {
            let reply = client.reply().await;
            assert!(reply.starts_with(expected), "{reply}");
        }
    }
    let inbox = server.inbox(server.anna).await;
    assert_eq!(inbox.len(), 50);
    for (n, message) in inbox.iter().enumerate() {
        assert!(
            message.contains(&format!("\r\nSubject: {n}\r\n")),
            "{message}"
        );
    }
}

#[tokio::test]
async fn the_last_byte_decides_and_any_cut_will_do() {
    let server = server().await;
    let mut client = greeted(&server).await;
    client.ask("MAIL FROM:<a@client.example>").await;
    client.ask("RCPT TO:<anna@firma.test>").await;
    client.ask("DATA").await;
    for byte in b"Subject: x\r\n\r\n.\r.\r\n..\r\n.\r" {
        client.send(&[*byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(server.inbox(server.anna).await.len(), 0);
    client.send(b"\n").await;
    // The dot, CR, dot line is a bare CR.
    let reply = client.reply().await;
    assert!(reply.starts_with("550 5.6.0"), "{reply}");
}

#[tokio::test]
async fn a_large_message_goes_through_a_file_and_comes_out_whole() {
    let server = server().await;
    let mut client = greeted(&server).await;
    let line = format!("{}\r\n", "x".repeat(98));
    let message = format!("Subject: large\r\n\r\n{}", line.repeat(20_000));
    client.send(ENVELOPE.as_bytes()).await;
    client
        .send(format!("BDAT {} LAST\r\n", message.len()).as_bytes())
        .await;
    client
        .stream
        .send(message.as_bytes(), super::soon())
        .await
        .unwrap();
    client.stream.flush(super::soon()).await.unwrap();
    for _ in 0..3 {
        assert!(client.reply().await.starts_with("250 "));
    }
    let inbox = server.inbox(server.anna).await;
    assert!(inbox[0].ends_with(&message));
}

#[tokio::test]
async fn a_stopping_server_says_so_and_finishes_what_it_began() {
    let server = server().await;
    let mut idle = greeted(&server).await;
    let mut busy = greeted(&server).await;
    busy.ask("MAIL FROM:<a@client.example>").await;
    busy.ask("RCPT TO:<anna@firma.test>").await;
    busy.ask("DATA").await;
    server.shutdown.request();
    assert!(idle.reply().await.starts_with("421 4.3.2 "));
    assert_eq!(idle.line().await, None);
    assert!(
        busy.ask("Subject: x\r\n\r\nhi\r\n.")
            .await
            .starts_with("250 2.0.0 ")
    );
    assert!(busy.reply().await.starts_with("421 4.3.2 "));
    assert_eq!(server.inbox(server.anna).await.len(), 1);
}

#[tokio::test]
async fn a_submitted_message_to_others_is_queued() {
    let server = server().await;
    let mut client = Client::connect(server.submissions).await;
    client.start_tls().await;
    client.reply().await;
    client.ask("EHLO client.example").await;
    assert!(
        client
            .ask("AUTH PLAIN AGFubmFAZmlybWEudGVzdABnZWhlaW0tZ2VudWc=")
            .await
            .starts_with("235")
    );
    client
        .ask("MAIL FROM:<anna@firma.test> RET=FULL ENVID=q1")
        .await;
    client
        .ask("RCPT TO:<x@elsewhere.example> NOTIFY=NEVER")
        .await;
    client.ask("RCPT TO:<x@elsewhere.example>").await;
    client.ask("DATA").await;
    let message = "From: anna@firma.test\r\nSubject: x\r\n\r\nhi\r\n.";
    let accepted = client.ask(message).await;
    assert!(accepted.starts_with("250 2.0.0 Accepted as "), "{accepted}");
    let rows = server
        .store
        .read(|tx| {
            tx.all(
                "SELECT address, submitter FROM queue_recipients JOIN queue_messages \
                 ON queue_messages.message = queue_recipients.message",
                &[],
                |row| Ok((row.text(0)?.to_owned(), row.int(1)?)),
            )
        })
        .await;
    let rows: Vec<_> = rows.map_err(|e: platform::store::StoreError| e).unwrap();
    assert_eq!(rows, [("x@elsewhere.example".to_owned(), server.anna.0)]);
}

/// A rewritten sender is no way around what the original's domain demands of TLS.
#[tokio::test]
async fn a_notice_meets_the_duty_of_whom_it_is_for() {
    let server = server().await;
    let original = formats::address::Address::parse("anna@firma.test").unwrap();
    let signing = &server.context.signing;
    let rewritten = signing.srs_forward(&original, "privat.test");
    let mut client = greeted(&server).await;
    client.ask("MAIL FROM:<>").await;
    let rcpt = format!("RCPT TO:<{rewritten}>");
    let reply = client.ask(&rcpt).await;
    assert!(reply.starts_with("250 "), "{reply}");
    server
        .policy("firma.test", "inbound-tls", "required Only TLS.")
        .await;
    let reply = client.ask(&rcpt).await;
    assert_eq!(reply, "550 5.7.10 Only TLS.");
}

/// While senders are only observed, anna's login must not obtain the signature of another's domain.
#[tokio::test]
async fn nobody_gets_the_signature_of_a_domain_of_others() {
    let server = server().await;
    for domain in ["firma.test", "privat.test"] {
        let new = signing::keyring::NewKeys {
            begin: signing::keyring::Begin::Now,
            ..Default::default()
        };
        let keyring = server.context.signing.keyring();
        keyring.add(domain, new).await.unwrap();
    }
    server
        .policy("firma.test", "sender-ownership", "observe")
        .await;
    let mut client = Client::connect(server.submissions).await;
    client.start_tls().await;
    client.reply().await;
    client.ask("EHLO annas-pc.example").await;
    client
        .ask("AUTH PLAIN AGFubmFAZmlybWEudGVzdABnZWhlaW0tZ2VudWc=")
        .await;
    for (author, signer) in [
        ("x@privat.test", "d=firma.test"),
        ("carla@privat.test", "d=firma.test"),
        ("chef@firma.test", "d=firma.test"),
        ("y@privat.test", "d=privat.test"),
    ] {
        if author.starts_with('y') {
            server.grant(author).await;
        }
        client.ask(&format!("MAIL FROM:<{author}>")).await;
        client.ask("RCPT TO:<x@elsewhere.example>").await;
        client.ask("DATA").await;
        let accepted = client.ask(&format!("From: {author}\r\n\r\nhi\r\n.")).await;
        assert!(accepted.starts_with("250 "), "{accepted}");
        let front = server
            .store
            .read(|tx| {
                tx.one(
                    "SELECT front FROM queue_messages ORDER BY message DESC LIMIT 1",
                    &[],
                    |row| Ok(String::from_utf8_lossy(row.bytes(0)?).into_owned()),
                )
            })
            .await;
        let front = front.map_err(|e: platform::store::StoreError| e).unwrap();
        let front = front.unwrap();
        let all = front.matches("; d=").count();
        let own = front.matches(&format!("; {signer};")).count();
        assert!(all > 0 && own == all, "{author}: {front}");
    }
}

#[tokio::test]
async fn an_idle_session_is_small() {
    let server = server().await;
    let context = server.context.clone();
    let serve =
        |connection| crate::server::serve(connection, context.clone(), std::sync::Arc::default());
    fn size_of_output<A, F: Future>(_: &impl Fn(A) -> F) -> usize {
        std::mem::size_of::<F>()
    }
    let bytes = size_of_output(&serve);
    assert!(bytes <= 2048, "the session's future has {bytes} bytes");
}
