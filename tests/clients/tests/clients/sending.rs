//! Mail that foreign programs submit and a foreign TLS stack takes: what arrives is signed so that
//! dkimpy passes it with keys from the DNS, and says nothing about where the sender sits.

use clients::{no_panic, python, run, swaks};
use harness::sink::{Foreign, Mail, Sink};
use harness::{Lab, authority::self_signed};
use std::process::Command;

fn lab() -> (Lab, Sink) {
    let lab = Lab::start();
    lab.dns.mx("partner.test", 10, "mx.partner.test");
    let identity = self_signed(&["mx.partner.test"]);
    let sink = lab.foreign_sink("mx.partner.test", &identity, Foreign::Usual);
    (lab, sink)
}

/// Asserts what has to be true of everything that leaves for a customer.
fn judge(lab: &Lab, mail: &Mail) {
    assert!(mail.tls.is_some(), "{mail:?}");
    let text = mail.text();
    assert!(
        !text.contains("client.test") && !text.contains("127.0.0.1"),
        "{text}"
    );
    let path = lab.server.dir().join("sent.eml");
    std::fs::write(&path, &mail.data).expect("a file");
    let port = lab.dns.socket_address().port().to_string();
    let verdicts = python(
        &lab.server,
        "dkim_verify.py",
        &[&port, &path.display().to_string()],
    );
    let verdicts = verdicts.good().out;
    assert!(
        verdicts.contains("firma.test rsa-sha256 pass"),
        "{verdicts}\n{text}"
    );
    assert!(
        verdicts.contains("firma.test ed25519-sha256 pass"),
        "{verdicts}\n{text}"
    );
    assert!(
        !verdicts.contains("fail") && !verdicts.contains("error"),
        "{verdicts}"
    );
}

#[test]
fn swaks_submits() {
    let (lab, sink) = lab();
    let anna = lab.server.account("anna");
    let login = [
        "--auth-user",
        &anna.address,
        "--auth-password",
        &anna.password,
    ];
    let letter = [
        "--tls",
        "--from",
        &anna.address,
        "--to",
        "box@partner.test",
        "--body",
        "first line\n.dot\nlast line",
    ];
    swaks(
        &lab.server,
        "submission",
        &[&login[..], &letter[..]].concat(),
    )
    .good()
    .said("250 2.0.0 ");
    let mails = sink.wait_mails(1);
    assert!(mails[0].text().contains("first line\r\n.dot\r\nlast line"));
    judge(&lab, &mails[0]);
    no_panic(&lab.server);
}

#[test]
fn curl_submits_eight_bit_text() {
    let (lab, sink) = lab();
    let anna = lab.server.account("anna");
    let letter = lab.server.dir().join("letter");
    let text = "From: =?utf-8?q?Anna_M=C3=BCller?= <anna@firma.test>\r\nTo: box@partner.test\r\n\
                Subject: Gr\u{fc}\u{df}e\r\nMIME-Version: 1.0\r\n\
                Content-Type: text/plain; charset=utf-8\r\n\r\nSch\u{f6}ne Gr\u{fc}\u{df}e  \r\n\r\n";
    std::fs::write(&letter, text).expect("a file");
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "60", "--cacert"]);
    command.arg(lab.server.ca_file());
    command.args(["--user", &format!("{}:{}", anna.address, anna.password)]);
    command.args([
        "--mail-from",
        &anna.address,
        "--mail-rcpt",
        "box@partner.test",
    ]);
    command.arg("--upload-file").arg(&letter);
    command.arg(format!(
        "smtps://localhost:{}",
        lab.server.port("submissions")
    ));
    run(&mut command, b"").good();
    let mails = sink.wait_mails(1);
    assert!(mails[0].text().contains("Sch\u{f6}ne Gr\u{fc}\u{df}e"));
    judge(&lab, &mails[0]);
}
