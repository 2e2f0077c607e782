//! The client against a peer that plays a script: what the peer says decides what becomes of the
//! message, and a message is gone from here only when the peer has said that it has it.

mod rig;
mod security;

use rig::{Answers, Rig, Script, Setup, Sink, WILLING};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

async fn peer(answers: Answers) -> SocketAddr {
    Sink::start(Script::of(answers)).await.address
}

/// Says `reply` right after the go-ahead and closes, without reading the message.
async fn impatient_peer(reply: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            let _ = stream.write_all(b"220 mx.else.test\r\n").await;
            let mut line = String::new();
            while !line.starts_with("DATA") {
                line.clear();
                let _ = stream.read_line(&mut line).await;
                let answer = if line.starts_with("DATA") {
                    "354"
                } else {
                    "250"
                };
                let _ = stream
                    .write_all(format!("{answer} ok\r\n").as_bytes())
                    .await;
            }
            let _ = stream.write_all(reply.as_bytes()).await;
            let _ = stream.shutdown().await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    });
    address
}

const MESSAGE: &str = "Subject: x\r\n\r\nhello\r\n";

#[tokio::test]
async fn what_the_peer_took_is_relayed() {
    let told = Rig::new(Setup::hop(peer(WILLING).await))
        .await
        .relay(MESSAGE)
        .await;
    assert!(told.starts_with("relayed "), "{told}");
}

/// A peer out of step, or one that answers 250 to everything, has no message.
#[tokio::test]
async fn only_354_begins_the_message_and_only_2yz_ends_it() {
    for odd in [
        &[("DATA", "250 ok"), ("", "250 ok")][..],
        &[("DATA", "354 go on"), (".", "354 go on"), ("", "250 ok")],
        &[("DATA", "354 go on"), (".", ""), ("", "250 ok")],
        &[("MAIL", "354 go on"), ("", "250 ok")],
    ] {
        let told = Rig::new(Setup::hop(peer(odd).await))
            .await
            .relay(MESSAGE)
            .await;
        assert!(told.starts_with("deferred "), "{odd:?} {told}");
    }
}

#[tokio::test]
async fn a_refusal_in_the_middle_of_the_message_counts() {
    let message = format!("Subject: x\r\n\r\n{}", "hello\r\n".repeat(3_000_000));
    let peer = impatient_peer("552 5.3.4 too large\r\n").await;
    let told = Rig::new(Setup::hop(peer)).await.relay(&message).await;
    assert!(
        told.starts_with("failed ") && told.contains("552 5.3.4"),
        "{told}"
    );
}

/// RFC 2920: the envelope is one write; and a connection carries the next message too.
#[tokio::test]
async fn connections_are_used_again_and_the_envelope_goes_in_one_piece() {
    let sink = Sink::start(Script::of(&[
        (
            "EHLO",
            "250-mx.else.test\r\n250-PIPELINING\r\n250 SIZE 1000000",
        ),
        ("DATA", "354 go on"),
        ("", "250 ok"),
    ]))
    .await;
    let rig = Rig::new(Setup::hop(sink.address)).await;
    for _ in 0..3 {
        let told = rig.relay(MESSAGE).await;
        assert!(told.starts_with("relayed "), "{told}");
    }
    let heard = sink.heard();
    assert_eq!(
        heard.iter().filter(|line| line.contains("EHLO")).count(),
        1,
        "{heard:?}"
    );
    assert_eq!(
        heard
            .iter()
            .filter(|line| line.starts_with("1 MAIL"))
            .count(),
        3,
        "{heard:?}"
    );
    assert_eq!(
        heard.iter().filter(|line| *line == "1 > hello").count(),
        3,
        "{heard:?}"
    );
}

/// What was kept may have ended meanwhile; that is not the message's fault.
#[tokio::test]
async fn a_kept_connection_that_ended_costs_nothing() {
    let script = Script {
        messages_max: 1,
        ..Script::of(WILLING)
    };
    let sink = Sink::start(script).await;
    let rig = Rig::new(Setup::hop(sink.address)).await;
    for _ in 0..2 {
        let told = rig.relay(MESSAGE).await;
        assert!(told.starts_with("relayed "), "{told}");
    }
    assert!(
        sink.heard().contains(&"2 > hello".to_owned()),
        "{:?}",
        sink.heard()
    );
}

/// RFC 2920 §3.1: nobody is to get the message, but the server says 354 all the same.
#[tokio::test]
async fn a_message_for_nobody_is_not_sent() {
    let sink = Sink::start(Script::of(&[
        ("EHLO", "250-mx.else.test\r\n250 PIPELINING"),
        ("RCPT", "550 5.1.1 nobody here"),
        ("DATA", "354 go on"),
        (".", "554 nobody"),
        ("", "250 ok"),
    ]))
    .await;
    let rig = Rig::new(Setup::hop(sink.address)).await;
    for _ in 0..2 {
        let told = rig.relay(MESSAGE).await;
        assert!(
            told.starts_with("failed ") && told.contains("5.1.1"),
            "{told}"
        );
    }
    let heard = sink.heard();
    assert!(heard.contains(&"1 RSET".to_owned()), "{heard:?}");
    assert!(!heard.iter().any(|line| line.contains("> ")), "{heard:?}");
}

/// The next host may take what the first one drops.
#[tokio::test]
async fn another_host_is_tried_when_one_fails() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    drop(silent);
    let willing = Sink::start_at(([127, 0, 0, 2], port).into(), Script::of(WILLING)).await;
    let setup = Setup::mx(
        &[
            ("mx1.else.test", [127, 0, 0, 1]),
            ("mx2.else.test", [127, 0, 0, 2]),
        ],
        port,
    );
    let told = Rig::new(setup).await.relay(MESSAGE).await;
    assert!(
        told.starts_with("relayed ") && told.contains("mx2.else.test"),
        "{told}"
    );
    assert!(!willing.heard().is_empty());
}

#[tokio::test]
async fn our_own_network_is_out_of_reach() {
    let sink = Sink::start(Script::of(WILLING)).await;
    let mut setup = Setup::mx(&[("mx.else.test", [127, 0, 0, 1])], sink.address.port());
    setup.forbidden.networks = vec!["127.0.0.0/8".parse().unwrap()];
    let told = Rig::new(setup).await.relay(MESSAGE).await;
    assert!(
        told.starts_with("failed ") && told.contains("5.4.4"),
        "{told}"
    );
    assert!(sink.heard().is_empty());
}
