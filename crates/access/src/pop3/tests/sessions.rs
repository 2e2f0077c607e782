//! What a transcript cannot say: long lines, many mistakes, shutdown, large messages, random input.

use super::rig::{LOGIN, PASSWORD, Rig};
use crate::pop3::limits;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use directory::Pop3Delete;
use platform::net::Mode;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

async fn rig() -> Rig {
    Rig::new(Pop3Delete::Remove).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_has_at_most_255_bytes() {
    let rig = rig().await;
    let mut client = rig.connect(Mode::StartTls).await;
    client.line().await;
    // RFC 2449 §4: 255 bytes with the end must be taken, as what they are.
    let fits = format!("NOOP{}", " ".repeat(255 - 2 - 4));
    assert_eq!(client.ask(&fits).await, "+OK");
    assert_eq!(
        client.ask(&format!("{fits} ")).await,
        "-ERR the line is too long"
    );
    assert_eq!(client.ask("NOOP").await, "+OK");
    // A line that is longer than anything is skipped while it comes, and ends the connection.
    let endless = vec![b'x'; limits::SKIP_BYTES_MAX + 70_000];
    client.stream.write(&endless);
    let _gone = client
        .stream
        .flush(platform::net::Deadline::after(
            std::time::Duration::from_secs(5),
        ))
        .await;
    let last = client.line().await;
    assert!(
        last.starts_with("-ERR [SYS/PERM] a line does not end") || last == "(closed)",
        "{last}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_and_wrong_passwords_are_counted() {
    let rig = rig().await;
    let mut client = rig.connect(Mode::ImplicitTls).await;
    client.line().await;
    for _ in 0..limits::ERRORS_MAX {
        assert!(client.ask("NONSENSE").await.starts_with("-ERR unknown"));
    }
    assert!(client.line().await.starts_with("-ERR too many errors"));
    assert_eq!(client.line().await, "(closed)");
    let mut client = rig.connect(Mode::ImplicitTls).await;
    client.line().await;
    for _ in 0..limits::LOGINS_FAILED_MAX {
        assert!(
            client
                .ask("USER nobody@firma.test")
                .await
                .starts_with("+OK")
        );
        assert!(client.ask("PASS x").await.starts_with("-ERR ["));
    }
    assert_eq!(client.line().await, "(closed)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sasl_logs_in() {
    let rig = rig().await;
    let base64 = |text: &str| STANDARD.encode(text);
    let plain = base64(&format!("\0{LOGIN}\0{PASSWORD}"));
    let mut client = rig.connect(Mode::ImplicitTls).await;
    client.line().await;
    // RFC 5034 §4: refused exchanges leave the session as it was.
    assert!(client.ask("AUTH GSSAPI").await.starts_with("-ERR"));
    assert!(client.ask("AUTH PLAIN =AAA").await.starts_with("-ERR"));
    assert!(client.ask("AUTH PLAIN a b").await.starts_with("-ERR"));
    assert_eq!(client.ask("AUTH PLAIN").await, "+ ");
    assert_eq!(client.ask("*").await, "-ERR cancelled");
    assert_eq!(client.ask("AUTH PLAIN").await, "+ ");
    assert_eq!(client.ask("a=b=").await, "-ERR the line is not base64");
    let wrong = base64(&format!("\0{LOGIN}\0wrong"));
    assert!(
        client
            .ask(&format!("AUTH PLAIN {wrong}"))
            .await
            .starts_with("-ERR [AUTH]")
    );
    assert_eq!(client.ask("AUTH PLAIN").await, "+ ");
    // Longer than a command may be (RFC 5034 §4).
    let long = base64(&format!("\0{LOGIN}\0{}", "x".repeat(600)));
    assert!(client.ask(&long).await.starts_with("-ERR ["));
    assert_eq!(client.ask("auth plain").await, "+ ");
    assert!(client.ask(&plain).await.starts_with("+OK"));
    // RFC 5034 §4: no second login.
    assert!(client.ask("AUTH PLAIN").await.starts_with("-ERR"));
    assert!(client.ask("QUIT").await.starts_with("+OK"));
    let mut client = rig.connect(Mode::ImplicitTls).await;
    client.line().await;
    assert!(
        client
            .ask(&format!("AUTH PLAIN {plain}"))
            .await
            .starts_with("+OK")
    );
    client.ask("QUIT").await;
    let mut client = rig.connect(Mode::ImplicitTls).await;
    client.line().await;
    assert_eq!(client.ask("AUTH LOGIN").await, "+ VXNlcm5hbWU6");
    assert_eq!(client.ask(&base64(LOGIN)).await, "+ UGFzc3dvcmQ6");
    assert!(client.ask(&base64(PASSWORD)).await.starts_with("+OK"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pipelined_behind_stls_is_not_carried_out() {
    let rig = rig().await;
    rig.mail(b"Subject: x\r\n\r\n").await;
    let mut client = rig.connect(Mode::StartTls).await;
    client.line().await;
    // RFC 2595 §4, RFC 9051 §11.1: a man in the middle may have put the rest there.
    let injected = format!("STLS\r\nUSER {LOGIN}\r\nPASS {PASSWORD}\r\nDELE 1\r\nQUIT\r\n");
    client.send(injected.as_bytes()).await;
    assert_eq!(client.line().await, "+OK begin TLS");
    client.start_tls().await;
    assert_eq!(client.ask("STAT").await, "-ERR log in first");
    assert_eq!(client.ask("PASS x").await, "-ERR USER comes first");
    assert_eq!(rig.count("INBOX").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_is_told() {
    let rig = rig().await;
    let mut client = rig.logged_in().await;
    rig.trigger.request();
    assert!(
        client
            .line()
            .await
            .starts_with("-ERR [SYS/TEMP] the server is being restarted")
    );
    assert_eq!(client.line().await, "(closed)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_message_arrives_whole() {
    let rig = rig().await;
    let mut text = b"Subject: large\r\n\r\n".to_vec();
    let mut lines = vec![String::from("Subject: large"), String::new()];
    for number in 0..20_000_u32 {
        // Dots at line starts fall on all sides of the pieces in which it is read.
        let line = format!("{}{number:x}", ".".repeat(number as usize % 3));
        text.extend_from_slice(line.as_bytes());
        text.extend_from_slice(b"\r\n");
        lines.push(line);
    }
    rig.mail(&text).await;
    let mut client = rig.logged_in().await;
    assert_eq!(
        client.ask("RETR 1").await,
        format!("+OK {} bytes", text.len())
    );
    for wanted in &lines {
        let got = client.line().await;
        let got = got.strip_prefix('.').unwrap_or(&got);
        assert_eq!(got, wanted);
    }
    assert_eq!(client.line().await, ".");
    assert_eq!(client.ask("NOOP").await, "+OK");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_lines_get_one_answer_each_and_harm_nothing() {
    let rig = rig().await;
    rig.mail(b"Subject: x\r\n\r\n.\r\n").await;
    let words = prop_oneof![
        Just("STAT".to_owned()),
        Just("RSET".to_owned()),
        Just("NOOP".to_owned()),
        "(LIST|UIDL) [0-9]{1,3}",
        "(DELE|RETR|TOP) [0-9]{0,12} ?[0-9]{0,12}x",
        "[A-Z]{3,4} [ -~]{0,40}",
        "[^\r\n]{0,60}",
    ];
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..30 {
        let mut client = rig.logged_in().await;
        for _ in 0..limits::ERRORS_MAX - 1 {
            let tree = words.new_tree(&mut runner).unwrap();
            let line = tree.current();
            // These have more than one line to say, or end the session.
            let word = line.to_ascii_uppercase();
            let long = ["CAPA", "RETR", "TOP", "LIST", "UIDL", "QUIT"];
            let short = long.iter().any(|name| word.trim_end() == *name);
            if short || line.len() > 200 {
                continue;
            }
            let answer = client.ask(&line).await;
            assert!(
                answer.starts_with("+OK") || answer.starts_with("-ERR "),
                "{line:?}: {answer}"
            );
        }
        drop(client);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(rig.count("INBOX").await, 1);
}
