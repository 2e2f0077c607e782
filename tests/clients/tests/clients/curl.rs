//! curl (libcurl): IMAP, POP3 and SMTP over TLS, with its own grammar and its own SASL.

use clients::{Run, curl, no_panic};
use harness::Server;

#[test]
fn mail_goes_in_and_comes_out() {
    let server = Server::start();
    let anna = server.account("anna");
    let user = format!("{}:{}", anna.address, anna.password);
    let letter = server.dir().join("letter");
    let text = "From: anna@firma.test\r\nTo: anna@firma.test\r\nSubject: from curl\r\n\r\nHello.\r\n.leading dot\r\n";
    std::fs::write(&letter, text).expect("a file");
    let letter = letter.display().to_string();
    let imaps = format!("imaps://localhost:{}", server.port("imaps"));
    let pop3s = format!("pop3s://localhost:{}", server.port("pop3s"));
    let smtps = format!("smtps://localhost:{}", server.port("submissions"));
    let with = |more: &[&str]| curl(&server, &[&["--user", &user], more].concat());

    let envelope = [
        "--mail-from",
        "anna@firma.test",
        "--mail-rcpt",
        "info@firma.test",
    ];
    with(&[&envelope[..], &["--upload-file", &letter, &smtps]].concat()).good();
    let starttls = format!("smtp://localhost:{}", server.port("submission"));
    with(
        &[
            &envelope[..],
            &["--ssl-reqd", "--upload-file", &letter, &starttls],
        ]
        .concat(),
    )
    .good();

    with(&[&imaps])
        .good()
        .said("* LIST (\\HasNoChildren) \"/\" INBOX")
        .said("\\Sent");
    let read = with(&[&format!("{imaps}/INBOX;MAILINDEX=1")]).good();
    assert!(
        read.out
            .contains("Subject: from curl\r\n\r\nHello.\r\n.leading dot\r\n"),
        "{read}"
    );
    assert!(
        read.out.starts_with("Delivered-To: ") || read.out.starts_with("Return-Path: "),
        "{read}"
    );
    let uid = with(&[&format!("{imaps}/INBOX;UID=2/;SECTION=TEXT")]).good();
    assert_eq!(uid.out, "Hello.\r\n.leading dot\r\n");
    with(&[&format!(
        "{imaps}/INBOX?SUBJECT%20%22from%20curl%22%20NOT%20DELETED"
    )])
    .good()
    .said("* SEARCH 1 2");
    with(&[&format!("{imaps}/INBOX?SUBJECT%20other")])
        .good()
        .said("* SEARCH\r\n");

    drafts(&with, &imaps, &letter, text);
    maildrop(&with, &pop3s, &read.out);

    // 67: the login was refused.
    let wrong = format!("{}:wrong", anna.address);
    for url in [&imaps, &pop3s] {
        curl(&server, &["--user", &wrong, url]).ended_with(67);
    }
    // Without TLS curl finds no way to log in.
    let clear = format!("imap://localhost:{}", server.port("imap"));
    assert_ne!(with(&[&clear]).code, Some(0));
    no_panic(&server);
}

/// Runs curl as anna.
type With<'a> = dyn Fn(&[&str]) -> Run + 'a;

fn drafts(with: &With<'_>, imaps: &str, letter: &str, text: &str) {
    // An upload is an APPEND.
    with(&["--upload-file", letter, &format!("{imaps}/Drafts")]).good();
    let draft = with(&[&format!("{imaps}/Drafts;MAILINDEX=1")]).good();
    assert_eq!(draft.out, text);
    with(&[
        "--request",
        "STORE 1 +FLAGS \\Deleted",
        &format!("{imaps}/Drafts"),
    ])
    .good();
    with(&["--request", "EXPUNGE", &format!("{imaps}/Drafts")])
        .good()
        .said("* 1 EXPUNGE");
    // 78: there is no such message.
    with(&[&format!("{imaps}/Drafts;MAILINDEX=1")]).ended_with(78);
}

fn maildrop(with: &With<'_>, pop3s: &str, first_by_imap: &str) {
    let list = with(&[pop3s]).good();
    assert_eq!(list.out.lines().count(), 2, "{list}");
    let first = with(&[&format!("{pop3s}/1")]).good();
    assert_eq!(
        first.out, first_by_imap,
        "POP3 and IMAP give the same bytes"
    );
    let uidl = with(&["--request", "UIDL", pop3s]).good();
    assert_eq!(uidl.out.lines().count(), 2, "{uidl}");
    with(&["--request", "DELE 1", "--head", pop3s]).good();
    assert_eq!(with(&[pop3s]).good().out.lines().count(), 1);
}
