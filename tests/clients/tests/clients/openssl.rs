//! `openssl s_client` with typed lines: what a person does by hand. It sends its input at once, so
//! these are also tests of pipelining by somebody else's TLS.

use clients::{Run, no_panic, run};
use harness::Server;
use std::process::Command;

fn type_in(server: &Server, port: &str, starttls: Option<&str>, text: &str) -> Run {
    let mut command = Command::new("openssl");
    let at = format!("localhost:{}", server.port(port));
    command.args([
        "s_client",
        "-quiet",
        "-verify_return_error",
        "-verify_hostname",
    ]);
    command.args(["localhost", "-connect", &at, "-CAfile"]);
    command.arg(server.ca_file());
    if let Some(protocol) = starttls {
        command.args(["-starttls", protocol]);
    }
    run(&mut command, text.replace('\n', "\r\n").as_bytes())
}

#[test]
fn mail_is_sent_and_read_by_hand() {
    let server = Server::start();
    let anna = server.account("anna");
    let letter = "Subject: typed\r\n\r\nby hand\r\n";
    let chunks = format!(
        "EHLO me.test\nMAIL FROM:<me@example.org>\nRCPT TO:<{}>\nBDAT {}\nSubject: typed\nBDAT {} LAST\n\nby hand\nQUIT\n",
        anna.address,
        "Subject: typed\r\n".len(),
        letter.len() - "Subject: typed\r\n".len(),
    );
    type_in(&server, "smtp", Some("smtp"), &chunks)
        .said("250 2.0.0 ")
        .said("221 2.0.0 ");

    let (user, password) = (&anna.address, &anna.password);
    let imap = format!(
        "a LOGIN {user} {password}\nb SELECT INBOX\nc FETCH 1:* (FLAGS BODY[TEXT])\nd LOGOUT\n"
    );
    for (port, starttls) in [("imaps", None), ("imap", Some("imap"))] {
        type_in(&server, port, starttls, &imap)
            .said("* 1 EXISTS")
            .said("BODY[TEXT] {9}\r\nby hand")
            .said("c OK")
            .said("* BYE")
            .said("d OK");
    }
    let pop3 = format!("USER {user}\nPASS {password}\nSTAT\nRETR 1\nQUIT\n");
    for (port, starttls) in [("pop3s", None), ("pop3", Some("pop3"))] {
        type_in(&server, port, starttls, &pop3)
            .said("+OK 1 ")
            .said("\r\nby hand\r\n.\r\n+OK");
    }
    no_panic(&server);
}
