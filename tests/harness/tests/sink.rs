//! The sinks, tried with foreign clients (swaks, `openssl s_client`).

use harness::authority::{Authority, Identity, Validity, self_signed};
use harness::sink::{Behaviour, Foreign, Sink, StartTls, Step, Trouble, Versions};
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().expect("an address")
}

fn swaks(sink: &Sink, more: &[&str]) -> (bool, String) {
    let output = Command::new("swaks")
        .args(["--server", &sink.address().to_string()])
        .args(["--from", "a@here.test", "--to", "b@there.test"])
        .args(more)
        .output()
        .expect("swaks is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), text)
}

/// Whether OpenSSL's client agrees on TLS with these arguments.
fn agrees(sink: &Sink, more: &[&str]) -> (bool, String) {
    let mut child = Command::new("openssl")
        .args(["s_client", "-starttls", "smtp", "-connect"])
        .arg(sink.address().to_string())
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is installed");
    let mut input = child.stdin.take().expect("a pipe");
    let _ = input.write_all(b"QUIT\r\n");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let agreed = text.contains("Cipher is ") && !text.contains("Cipher is (NONE)");
    (agreed, text)
}

fn identity() -> Identity {
    Authority::default().issue(&["mx.there.test"], Validity::Long)
}

#[test]
fn a_sink_remembers_what_it_was_sent() {
    let sink = Sink::start(anywhere(), Behaviour::tls(&identity()));
    let (ok, said) = swaks(&sink, &["--tls", "--ehlo", "me.test", "--body", ".dot\n."]);
    assert!(ok, "{said}");
    let mails = sink.wait_mails(1);
    let mail = mails.first().expect("one");
    assert_eq!(mail.from, "a@here.test");
    assert_eq!(mail.to, [("b@there.test".to_owned(), String::new())]);
    assert_eq!(mail.tls.as_ref().expect("TLS").version, "TLSv1.3");
    assert!(mail.text().contains("\r\n.dot\r\n.\r\n"), "{}", mail.text());
    let sessions = sink.wait_sessions(1);
    assert_eq!(sessions[0].hello, "me.test");
    assert!(sessions[0].commands.contains(&"STARTTLS".to_owned()));
}

#[test]
fn troubles_happen_at_their_step() {
    let sink = Sink::start(anywhere(), Behaviour::default());
    assert!(swaks(&sink, &[]).0);
    for step in [
        Step::Greeting,
        Step::Hello,
        Step::Mail,
        Step::Rcpt,
        Step::Data,
        Step::Body,
    ] {
        let later = Trouble::Reply("451 4.3.2 not now".to_owned());
        for trouble in [later, Trouble::Drop] {
            sink.behave(Behaviour::default().trouble(step, trouble.clone()));
            let (ok, said) = swaks(&sink, &[]);
            assert!(!ok, "{step:?} {trouble:?}:\n{said}");
            assert_eq!(
                said.contains("451 4.3.2"),
                trouble != Trouble::Drop,
                "{said}"
            );
        }
    }
    assert_eq!(sink.mails().len(), 1);
    sink.behave(Behaviour::default().trouble(Step::Body, Trouble::DropAfterTaking));
    assert!(!swaks(&sink, &[]).0);
    assert_eq!(sink.wait_mails(2).len(), 2);
}

#[test]
fn tls_is_as_limited_as_was_asked() {
    let identity = identity();
    let only12 = Sink::start(
        anywhere(),
        Behaviour::tls_versions(&identity, Versions::Only12),
    );
    assert!(agrees(&only12, &["-tls1_2"]).0);
    assert!(!agrees(&only12, &["-tls1_3"]).0);
    assert!(
        !agrees(
            &only12,
            &["-tls1_2", "-cipher", "AES128-SHA256:ECDHE+AES128+SHA256"]
        )
        .0
    );
    let only13 = Sink::start(
        anywhere(),
        Behaviour::tls_versions(&identity, Versions::Only13),
    );
    assert!(agrees(&only13, &["-tls1_3"]).0);
    assert!(!agrees(&only13, &["-tls1_2"]).0);
    for broken in [StartTls::Garbage, StartTls::HangsUp, StartTls::Refused] {
        let sink = Sink::start(anywhere(), Behaviour::start_tls(broken.clone()));
        assert!(!agrees(&sink, &[]).0, "{broken:?}");
        assert!(swaks(&sink, &[]).0, "{broken:?}");
    }
}

#[test]
fn foreign_tls_is_old_where_it_is_to_be() {
    let old = Sink::foreign(anywhere(), &identity(), Foreign::Tls10);
    let (agreed, said) = agrees(&old, &["-tls1", "-cipher", "ALL:@SECLEVEL=0"]);
    assert!(agreed && said.contains("TLSv1\n"), "{said}");
    assert!(!agrees(&old, &["-tls1_2"]).0);
    let cbc = Sink::foreign(anywhere(), &identity(), Foreign::Tls12Cbc);
    assert!(agrees(&cbc, &["-tls1_2"]).0);
    assert!(!agrees(&cbc, &["-tls1_2", "-cipher", "AESGCM:CHACHA20"]).0);
    let rsa = Authority::default().issue_rsa(&["mx.there.test"]);
    let rsa = Sink::foreign(anywhere(), &rsa, Foreign::Tls12StaticRsa);
    assert!(agrees(&rsa, &["-tls1_2"]).0);
    assert!(!agrees(&rsa, &["-tls1_2", "-cipher", "ECDHE+AESGCM"]).0);
    let sessions = rsa.wait_sessions(2);
    assert!(
        sessions[0].tls.is_some() && sessions[1].tls_failure.is_some(),
        "{sessions:?}"
    );
    let usual = Sink::foreign(anywhere(), &self_signed(&["mx.there.test"]), Foreign::Usual);
    let (ok, said) = swaks(&usual, &["--tls"]);
    assert!(ok, "{said}");
    let mails = usual.wait_mails(1);
    assert_eq!(mails[0].from, "a@here.test");
    assert!(mails[0].tls.is_some() && mails[0].text().contains("Subject: test"));
}
