//! Random dialogues over a socket: whatever a peer says in whatever order and cut, the server answers,
//! ends, and has exactly the messages it acknowledged. Never used outside tests.

use super::{Client, TestServer};
use crate::server::Settings;
use proptest::prelude::*;
use std::time::Duration;

/// What a dialogue is made of.
fn fragment() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        3 => Just("MAIL FROM:<a@client.example>\r\n"),
        3 => Just("RCPT TO:<anna@firma.test>\r\n"),
        1 => Just("RCPT TO:<nobody@firma.test>\r\n"),
        2 => Just("DATA\r\nSubject: d\r\n\r\nhi\r\n.\r\n"),
        1 => Just("DATA\r\nSubject: d\r\n\r\nhi\n.\r\n\r\n.\r\n"),
        2 => Just("BDAT 13 LAST\r\nSubject: b\r\n\r"),
        2 => Just("BDAT 14 LAST\r\nSubject: b\r\n\r\n"),
        1 => Just("BDAT 6\r\nQUIT\r\n"),
        1 => Just("BDAT 0 LAST\r\n"),
        1 => Just("RSET\r\n"),
        1 => Just("EHLO again.example\r\n"),
        1 => Just("NOOP\r\n"),
        1 => Just("AUTH PLAIN AGEAYg==\r\n"),
        1 => Just("\u{0}\u{1}\r\n"),
        1 => Just("MAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\nBDAT 3 LAST\r\na\r\n"),
    ]
}

async fn run(fragments: Vec<&'static str>, sizes: Vec<usize>) -> (usize, usize) {
    let mut settings = Settings::new("mx.rp.test");
    settings.limits.errors_max = 1_000;
    settings.limits.data_idle = Duration::from_millis(300);
    settings.limits.command_idle = Duration::from_millis(300);
    let server = TestServer::start(settings).await;
    let mut client = Client::connect(server.mx).await;
    let dialogue = format!("EHLO client.example\r\n{}", fragments.concat());
    let mut rest = dialogue.as_bytes();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*size).min(rest.len()));
        client.send(piece).await;
        rest = after;
        tokio::task::yield_now().await;
    }
    let mut acknowledged = 0;
    while let Some(line) = client.line().await {
        acknowledged += usize::from(line.contains("2.0.0 Accepted as"));
    }
    (acknowledged, server.inbox(server.anna).await.len())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_was_acknowledged_is_there_and_nothing_else(
        fragments in proptest::collection::vec(fragment(), 0..40),
        sizes in proptest::collection::vec(1_usize..400, 1..10),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (acknowledged, stored) = runtime.block_on(run(fragments, sizes));
        prop_assert_eq!(acknowledged, stored);
    }
}
