//! What a transcript cannot say: timing, size, many messages, shutdown, hostile input.

use super::rig::{As, LOGIN, PASSWORD, Rig, SecureClient};
use crate::imap::grammar::tests::conversation;
use crate::imap::session::{Session, State, Stranger};
use crate::imap::{limits, serve};
use platform::net::Deadline;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

const TEXT: &[u8] = b"From: a@b.example\r\nSubject: x\r\n\r\nbody\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_session_hears_of_a_message_at_once() {
    let rig = Rig::new().await;
    let mut client = rig.connect(As::Anna).await;
    client.line().await;
    client.command("a SELECT INBOX").await;
    client.send(b"b IDLE\r\n").await;
    assert!(client.line().await.unwrap().starts_with("+ "));
    for count in 1..5 {
        rig.mail(TEXT).await;
        assert_eq!(client.line().await.unwrap(), format!("* {count} EXISTS"));
        assert!(client.line().await.unwrap().ends_with(" RECENT"));
    }
    client.send(b"DONE\r\n").await;
    assert!(client.line().await.unwrap().starts_with("b OK"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_says_bye_to_idle_and_silent_sessions() {
    let rig = Rig::new().await;
    let mut silent = rig.connect(As::Stranger).await;
    let mut idle = rig.connect(As::Anna).await;
    silent.line().await;
    idle.line().await;
    idle.send(b"b IDLE\r\n").await;
    idle.line().await;
    rig.trigger.request();
    assert!(silent.line().await.unwrap().starts_with("* BYE"));
    assert!(idle.line().await.unwrap().starts_with("* BYE"));
    assert_eq!(idle.line().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_before_tls_are_the_same_whatever_is_sent() {
    let rig = Rig::new().await;
    let mut answers = Vec::new();
    for login in [
        "anna@firma.test right",
        "nobody wrong",
        "\"\" \"\"",
        "x {3+}\r\nabc",
    ] {
        let mut client = rig.connect(As::Stranger).await;
        client.line().await;
        answers.push(client.command(&format!("a LOGIN {login}")).await);
    }
    let mut client = rig.connect(As::Stranger).await;
    client.line().await;
    answers.push(client.command("a LOGIN anna@firma.test {5}").await);
    answers.push(client.command("a AUTHENTICATE PLAIN").await);
    answers.push(client.command("a AUTHENTICATE PLAIN AGEAYg==").await);
    let [only] = answers[0].as_slice() else {
        panic!("one line: {answers:?}");
    };
    assert!(only.starts_with("a NO [PRIVACYREQUIRED]"), "{only}");
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_cannot_make_us_hold_much() {
    let rig = Rig::new().await;
    let mut client = rig.connect(As::Stranger).await;
    client.line().await;
    let answer = client.command("a ID (\"name\" {100000000}").await;
    assert!(answer[0].starts_with("a BAD [TOOBIG]"), "{answer:?}");
    client
        .send(&[b'x'; limits::STRANGER_COMMAND_BYTES_MAX + 10])
        .await;
    assert!(client.line().await.unwrap().starts_with("* BAD"));
    assert!(client.line().await.unwrap().starts_with("* BYE"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_cannot_keep_us_reading_a_message() {
    let rig = Rig::new().await;
    let mut client = rig.connect(As::Stranger).await;
    client.line().await;
    client.send(b"a APPEND INBOX {500000000+}\r\nx").await;
    assert!(client.line().await.unwrap().starts_with("* BYE"));
    assert_eq!(client.line().await, None);
}

#[test]
fn a_stranger_who_keeps_talking_has_to_go_too() {
    let stranger = Stranger::new();
    assert!(stranger.patience(limits::AUTOLOGOUT) <= Deadline::after(limits::STRANGER_IDLE));
    let stranger = Stranger {
        until: Deadline::after(Duration::ZERO),
        ..stranger
    };
    assert!(stranger.patience(limits::COMMAND_REST).has_passed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_of_more_keywords_than_a_message_may_have_tells_them_all() {
    let rig = Rig::new().await;
    rig.mail_many(TEXT, 3).await;
    let mut client = rig.connect(As::Anna).await;
    client.line().await;
    client.command("a SELECT INBOX").await;
    let mut said = Vec::new();
    for message in 1..=3 {
        let keywords: Vec<_> = (0..30).map(|n| format!("k{message}x{n}")).collect();
        let store = format!("b STORE {message} +FLAGS ({})", keywords.join(" "));
        said = client.command(&store).await;
    }
    assert!(
        said[0].starts_with("* FLAGS ") && said[0].contains(" k1x0 "),
        "{said:?}"
    );
    assert!(said[0].contains(" k3x29"), "{said:?}");
    let said = client.command("c FETCH 1:3 FLAGS").await;
    assert!(
        said.iter().all(|line| !line.starts_with("* FLAGS")),
        "{said:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_talks_nonsense_is_sent_away() {
    let rig = Rig::new().await;
    let mut client = rig.connect(As::Anna).await;
    client.line().await;
    for _ in 0..limits::BAD_COMMANDS_MAX {
        client.send(b"a NONSENSE\r\n").await;
        assert!(client.line().await.unwrap().starts_with("a BAD"));
    }
    assert!(client.line().await.unwrap().starts_with("* BYE"));
    assert_eq!(client.line().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flags_of_many_messages_stream() {
    let rig = Rig::new().await;
    const COUNT: usize = 12_345;
    rig.mail_many(TEXT, COUNT).await;
    let mut client = rig.connect(As::Anna).await;
    client.line().await;
    let selected = client.command("a SELECT INBOX").await;
    assert!(selected.contains(&format!("* {COUNT} EXISTS")));
    let answer = client.command("b FETCH 1:* (FLAGS)").await;
    assert_eq!(answer.len(), COUNT + 1);
    assert_eq!(
        answer[COUNT - 1],
        format!("* {COUNT} FETCH (FLAGS (\\Recent))")
    );
    let answer = client.command("c UID SEARCH UNSEEN").await;
    assert!(answer[0].ends_with(&format!(" {COUNT}")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_appended_message_comes_back_byte_for_byte() {
    let rig = Rig::new().await;
    let mut client = rig.connect(As::Anna).await;
    client.line().await;
    let mut message = b"Subject: large\r\n\r\n".to_vec();
    while message.len() < 300_000 {
        message.extend_from_slice(format!("line {}\r\n", message.len()).as_bytes());
    }
    client
        .send(format!("a APPEND INBOX {{{}}}\r\n", message.len()).as_bytes())
        .await;
    assert!(client.line().await.unwrap().starts_with("+ "));
    client.send(&message).await;
    client.send(b"\r\n").await;
    assert!(client.line().await.unwrap().starts_with("a OK [APPENDUID "));
    client.command("b SELECT INBOX").await;
    let answer = client.command("c FETCH 1 BODY.PEEK[]").await;
    assert_eq!(
        answer[0],
        format!("* 1 FETCH (BODY[] {{{}}}", message.len())
    );
    let body = answer[1..answer.len() - 1].join("\r\n");
    assert_eq!(body.strip_suffix(")").unwrap().as_bytes(), message);
    assert!(rig.dir().exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_is_refused_before_it_comes() {
    let rig = Rig::new().await;
    let mut client = rig.connect(As::Anna).await;
    client.line().await;
    let answer = client.command("a APPEND INBOX {2000000}").await;
    assert!(answer[0].starts_with("a NO [TOOBIG]"), "{answer:?}");
    client.send(b"b APPEND INBOX {2000000+}\r\n").await;
    client.send(&vec![b'x'; 2_000_000]).await;
    client.send(b"\r\nc NOOP\r\n").await;
    let answer = client.line().await;
    assert!(
        answer
            .as_ref()
            .is_some_and(|line| line.starts_with("b NO [TOOBIG]")),
        "{answer:?}"
    );
    assert!(
        client
            .line()
            .await
            .is_some_and(|line| line.starts_with("c OK"))
    );
}

#[test]
fn every_state_change_is_an_edge_of_the_picture() {
    let stranger = || State::Stranger(Stranger::new());
    let known = || State::Known(std::sync::Arc::new(super::rig::anna()));
    assert!(stranger().may_become(&known()));
    assert!(stranger().may_become(&stranger()));
    assert!(known().may_become(&known()));
    assert!(!known().may_become(&stranger()));
}

/// What a session takes while it waits; everything that is only needed during a command is boxed.
#[test]
fn a_waiting_session_is_small() {
    fn size_of_future<F>(
        _: fn(platform::net::Connection, std::sync::Arc<crate::imap::ImapContext>) -> F,
    ) -> usize {
        std::mem::size_of::<F>()
    }
    let bytes = size_of_future(serve);
    println!(
        "the future takes {bytes} bytes, a session {}",
        std::mem::size_of::<Session>()
    );
    assert!(bytes <= 4096, "the future of a session takes {bytes} bytes");
}

/// Not a measurement, but it would show a quadratic search or a write per row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_holds_nothing_up() {
    let rig = Rig::new().await;
    rig.mail_many(TEXT, 20_000).await;
    let mut slow = rig.connect(As::Anna).await;
    slow.line().await;
    slow.command("a SELECT INBOX").await;
    slow.send(b"b FETCH 1:* (FLAGS UID INTERNALDATE RFC822.SIZE)\r\n")
        .await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut quick = rig.connect(As::Anna).await;
    quick.line().await;
    let start = Instant::now();
    quick.command("a SELECT INBOX").await;
    let stored = quick.command("b STORE 1 +FLAGS (\\Seen)").await;
    assert!(stored.last().unwrap().starts_with("b OK"));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starttls_forgets_what_came_before_and_lets_people_in() {
    let rig = Rig::new().await;
    let mut client = SecureClient::connect(&rig).await;
    let said = client.say("a CAPABILITY", "a ").await;
    assert!(said[0].starts_with("* CAPABILITY IMAP4rev1 "), "{said:?}");
    assert!(said[0].contains("AUTH=PLAIN") && said[0].contains("AUTH=SCRAM-SHA-256-PLUS"));
    assert!(!said[0].contains("STARTTLS") && !said[0].contains("LOGINDISABLED"));
    assert!(client.say("b STARTTLS", "b ").await[0].starts_with("b BAD"));
    let wrong = client
        .say(&format!("c LOGIN {LOGIN} wrong-password"), "c ")
        .await;
    assert!(
        wrong[0].starts_with("c NO [AUTHENTICATIONFAILED]"),
        "{wrong:?}"
    );
    let right = client
        .say(&format!("d LOGIN {LOGIN} \"{PASSWORD}\""), "d ")
        .await;
    assert!(
        right[0].starts_with("d OK [CAPABILITY IMAP4rev1 "),
        "{right:?}"
    );
    assert!(right[0].contains(" MOVE"));
    assert!(client.say("e LOGIN x y", "e ").await[0].starts_with("e BAD"));
    assert!(
        client
            .say("f SELECT INBOX", "f ")
            .await
            .last()
            .unwrap()
            .starts_with("f OK")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authenticate_plain_with_and_without_initial_response() {
    use base64::Engine as _;
    let rig = Rig::new().await;
    let plain = base64::engine::general_purpose::STANDARD.encode(format!("\0{LOGIN}\0{PASSWORD}"));
    let mut client = SecureClient::connect(&rig).await;
    assert!(client.say("a AUTHENTICATE PLAIN !!", "a ").await[0].starts_with("a BAD"));
    assert_eq!(client.say("b AUTHENTICATE PLAIN", "+").await, ["+ "]);
    assert!(client.say("*", "b ").await[0].starts_with("b BAD"));
    assert_eq!(client.say("c AUTHENTICATE plain", "+").await, ["+ "]);
    assert!(client.say(&plain, "c ").await[0].starts_with("c OK"));
    let mut client = SecureClient::connect(&rig).await;
    let said = client
        .say(&format!("d AUTHENTICATE PLAIN {plain}"), "d ")
        .await;
    assert!(said[0].starts_with("d OK [CAPABILITY "), "{said:?}");
    let mut client = SecureClient::connect(&rig).await;
    let said = client.say("e AUTHENTICATE GSSAPI", "e ").await;
    assert!(said[0].starts_with("e NO"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guessing_passwords_ends_the_connection() {
    let rig = Rig::new().await;
    let mut client = SecureClient::connect(&rig).await;
    for _ in 1..limits::LOGIN_FAILURES_MAX {
        assert!(client.say("a LOGIN nobody@firma.test x", "a ").await[0].starts_with("a NO"));
    }
    let said = client.say("b LOGIN nobody@firma.test x", "* BYE").await;
    assert!(said[0].starts_with("b NO"), "{said:?}");
}

/// Whatever is said, by strangers or by people who have logged in: no session panics, and every one
/// ends when its peer does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_makes_no_session_panic_or_stay() {
    const CONVERSATIONS: usize = 150;
    let rig = Rig::new().await;
    rig.mail_many(TEXT, 3).await;
    let panics = Arc::new(AtomicUsize::new(0));
    let counter = panics.clone();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        counter.fetch_add(1, Ordering::Relaxed);
        before(info);
    }));
    let mut runner = TestRunner::default();
    for as_whom in [As::Anna, As::Stranger] {
        let address = rig.listen(as_whom);
        for _ in 0..CONVERSATIONS {
            let said = conversation().new_tree(&mut runner).unwrap().current();
            let mut client = super::rig::Client::connect(address).await;
            let _gone = client.try_send(b"a SELECT INBOX\r\n").await;
            let _gone = client.try_send(&said).await;
            client.finish().await;
        }
    }
    let _ours = std::panic::take_hook();
    assert_eq!(panics.load(Ordering::Relaxed), 0);
}
