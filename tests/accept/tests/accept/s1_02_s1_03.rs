//! S1-02: before TLS nothing but greetings and STARTTLS works, and the refusal helps. S1-03: the
//! refusal is the same for right and wrong credentials.

use harness::{Lines, Server};
use std::time::{Duration, Instant};

/// Tries per measurement; the shortest counts, because a busy machine only ever adds time.
const TRIES: usize = 7;

#[test]
fn imap_login_in_clear_is_refused_alike_for_everybody() {
    let server = Server::start();
    let anna = server.account("anna");
    let ask = |user: &str, password: &str| {
        fastest(|| {
            let mut imap = Lines::clear(server.port("imap"));
            imap.line();
            timed(|| imap.imap_ask("a", &format!("LOGIN {user} {password}")))
        })
    };
    let (right, right_time) = ask(&anna.address, &anna.password);
    let (wrong, wrong_time) = ask(&anna.address, "wrong-password");
    let (unknown, _) = ask("nobody@nowhere.test", "wrong-password");
    assert!(right.starts_with("a NO [PRIVACYREQUIRED]"), "{right}");
    assert_eq!(right, wrong);
    assert_eq!(right, unknown);
    alike(right_time, wrong_time);
}

#[test]
fn pop3_user_in_clear_is_refused_alike_for_everybody() {
    let server = Server::start();
    let ask = |user: &str| {
        fastest(|| {
            let mut pop3 = Lines::clear(server.port("pop3"));
            pop3.line();
            pop3.say(&format!("USER {user}"));
            timed(|| pop3.line())
        })
    };
    let (known, known_time) = ask(&server.account("anna").address);
    let (unknown, unknown_time) = ask("nobody@nowhere.test");
    assert!(
        known.starts_with("-ERR [SYS/PERM]") && known.contains("STLS"),
        "{known}"
    );
    assert_eq!(known, unknown);
    alike(known_time, unknown_time);
}

#[test]
fn submission_in_clear_never_prompts_for_a_password() {
    let server = Server::start();
    let mut smtp = Lines::clear(server.port("submission"));
    smtp.smtp();
    smtp.smtp_ask("EHLO client.test");
    for command in [
        "MAIL FROM:<anna@firma.test>",
        "AUTH PLAIN",
        "AUTH PLAIN AGFubmEAeA==",
    ] {
        let reply = smtp.smtp_ask(command);
        let wanted = reply.starts_with("530 5.7.0 Must issue a STARTTLS command first")
            || (command.starts_with("AUTH") && reply.starts_with("538 5.7.11"));
        assert!(wanted, "{command}: {reply}");
    }
    assert!(smtp.smtp_ask("NOOP").starts_with("250"));
}

#[test]
fn mail_of_other_servers_may_come_in_clear() {
    let server = Server::start();
    let reply = harness::deliver(
        server.port("smtp"),
        "sender@other.test",
        "anna@firma.test",
        "From: sender@other.test\r\nTo: anna@firma.test\r\nSubject: x\r\n\r\nx\r\n",
    );
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
}

fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    #[allow(
        clippy::disallowed_methods,
        reason = "the requirement is about real time"
    )]
    let begin = Instant::now();
    let result = run();
    (result, begin.elapsed())
}

/// The answer, which must always be the same, and the shortest time it took.
fn fastest(mut run: impl FnMut() -> (String, Duration)) -> (String, Duration) {
    let (answer, mut shortest) = run();
    for _ in 1..TRIES {
        let (again, time) = run();
        assert_eq!(again, answer);
        shortest = shortest.min(time);
    }
    (answer, shortest)
}

/// Within 20 ms of each other. Neither path may look at the password, so both are short.
fn alike(a: Duration, b: Duration) {
    assert!(a.abs_diff(b) < Duration::from_millis(20), "{a:?} and {b:?}");
}
