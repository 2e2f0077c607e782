//! swaks (Net::SSLeay): delivering as a foreign server, submitting as a customer, and being refused.

use clients::{no_panic, swaks};
use harness::Server;

const LETTER: &str = "From: you@example.org\nTo: anna@firma.test\nSubject: from swaks\n\nfirst line\n.dot\n..dots\nlast line\n";

/// The text of anna's only message.
fn only_message(server: &Server, name: &str) -> String {
    let account = server.account(name);
    let mut imap = harness::Lines::tls(server.port("imaps"), &server.ca_file());
    imap.line();
    imap.imap_ask(
        "a",
        &format!("LOGIN {} {}", account.address, account.password),
    );
    let selected = imap.imap_ask("b", "SELECT INBOX");
    assert!(selected.contains("* 1 EXISTS"), "{selected}");
    imap.imap_ask("c", "FETCH 1 (BODY.PEEK[])")
}

#[test]
fn a_foreign_server_delivers() {
    let server = Server::start();
    let envelope = ["--from", "you@example.org", "--to", "anna@firma.test"];
    let letter = ["--tls", "--data", LETTER];
    swaks(&server, "smtp", &[&envelope[..], &letter[..]].concat())
        .good()
        .said("TLS started")
        .said("250 2.0.0 ");
    let message = only_message(&server, "anna");
    assert!(
        message.contains("first line\r\n.dot\r\n..dots\r\nlast line\r\n"),
        "{message}"
    );
    assert!(
        message.contains("Return-Path: <you@example.org>"),
        "{message}"
    );
    assert!(
        message.contains("Delivered-To: anna@firma.test"),
        "{message}"
    );

    // 24: no recipient was accepted.
    swaks(
        &server,
        "smtp",
        &["--from", "you@example.org", "--to", "nobody@firma.test"],
    )
    .ended_with(24)
    .said("550 5.1.1 ");
    swaks(
        &server,
        "smtp",
        &["--from", "you@example.org", "--to", "else@example.net"],
    )
    .ended_with(24)
    .said("550 5.7.1 Relaying refused");
    // One wrong recipient among good ones does not keep the mail from the others.
    swaks(
        &server,
        "smtp",
        &[
            "--pipeline",
            "--from",
            "",
            "--to",
            "nobody@firma.test,postmaster@firma.test,info@firma.test,carla@privat.test",
        ],
    )
    .good()
    .said("550 5.1.1 ");
    only_message(&server, "carla");
    // A customer's port takes no mail without a login.
    swaks(
        &server,
        "submission",
        &[
            "--tls",
            "--from",
            "anna@firma.test",
            "--to",
            "bernd@firma.test",
        ],
    )
    .ended_with(23)
    .said("530 5.7.0 ");
    no_panic(&server);
}

#[test]
fn a_customer_submits() {
    let server = Server::start();
    let anna = server.account("anna");
    let login = |mechanism: &'static str, port: &str, tls: &'static str, password: &str| {
        swaks(
            &server,
            port,
            &[
                tls,
                "--auth",
                mechanism,
                "--auth-user",
                &anna.address,
                "--auth-password",
                password,
                "--from",
                "anna@firma.test",
                "--to",
                "bernd@firma.test",
            ],
        )
    };
    login("PLAIN", "submission", "--tls", &anna.password)
        .good()
        .said("235 2.7.0 ");
    only_message(&server, "bernd");
    login("LOGIN", "submissions", "--tls-on-connect", &anna.password)
        .good()
        .said("235 2.7.0 ");
    // 28: the login was refused.
    for mechanism in ["PLAIN", "LOGIN"] {
        login(mechanism, "submission", "--tls", "wrong")
            .ended_with(28)
            .said("535 5.7.8 ");
    }
    // Without TLS there is no login, and the refusal says what to do.
    let plain = harness::lines::base64(format!("\0{}\0{}", anna.address, anna.password).as_bytes());
    let mut smtp = harness::Lines::clear(server.port("submission"));
    smtp.smtp();
    let hello = smtp.smtp_ask("EHLO client.test");
    assert!(!hello.contains("AUTH"), "{hello}");
    let refused = smtp.smtp_ask(&format!("AUTH PLAIN {plain}"));
    assert!(refused.starts_with("530 5.7.0 "), "{refused}");
    no_panic(&server);
}
