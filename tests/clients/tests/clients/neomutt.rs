//! neomutt (GnuTLS, GNU SASL): sending from a script, and sorting mail with keys pushed to it on a
//! terminal made by `script`.

use clients::{Run, no_panic, run};
use harness::{Account, Lines, Server, deliver};
use std::process::Command;

fn settings(server: &Server, account: &Account, mechanism: &str) -> String {
    let (imaps, smtps) = (server.port("imaps"), server.port("submissions"));
    let ca = server.ca_file().display().to_string();
    let Account { address, password } = account;
    // quirk: neomutt 20220429 chooses SCRAM-SHA-256-PLUS for SMTP where it is offered, cannot do it,
    // does not know its name as a setting and tries no other; so the mechanism has to be said.
    format!(
        "set ssl_ca_certificates_file={ca}\nset certificate_file={ca}\nset ssl_force_tls=yes\n\
         set imap_user={address}\nset imap_pass={password}\nset imap_authenticators={mechanism}\n\
         set folder=imaps://localhost:{imaps}/\nset spoolfile=+INBOX\n\
         set from={address}\nset use_envelope_from=yes\nset smtp_pass={password}\n\
         set smtp_url=smtps://{address}@localhost:{smtps}/\nset smtp_authenticators={mechanism}\n\
         set quit=yes\nset delete=yes\nset confirmappend=no\nset wait_key=no\nset header_cache=''\n"
    )
}

fn neomutt(server: &Server, settings: &str, more: &[&str], input: &str) -> Run {
    let file = server.dir().join("muttrc");
    std::fs::write(&file, settings).expect("a file");
    let mut command = Command::new("neomutt");
    command
        .env("HOME", server.dir())
        .args(["-n", "-F"])
        .arg(file)
        .args(more);
    run(&mut command, input.as_bytes())
}

fn count(server: &Server, name: &str, mailbox: &str, key: &str) -> usize {
    let account = server.account(name);
    let mut imap = Lines::tls(server.port("imaps"), &server.ca_file());
    imap.line();
    imap.imap_ask(
        "a",
        &format!("LOGIN {} {}", account.address, account.password),
    );
    imap.imap_ask("b", &format!("EXAMINE {mailbox}"));
    let found = imap.imap_ask("c", &format!("SEARCH {key}"));
    assert!(found.starts_with("* SEARCH"), "{found}");
    found.lines().next().unwrap_or_default().split(' ').count() - 2
}

#[test]
fn letters_are_sent_and_sorted() {
    let server = Server::start();
    let anna = server.account("anna");
    for mechanism in ["plain", "login"] {
        let settings = settings(&server, &anna, mechanism);
        let send = ["-s", mechanism, "--", "carla@privat.test"];
        neomutt(&server, &settings, &send, "Hello.\n").good();
        let subject = format!("SUBJECT {mechanism} BODY Hello");
        assert_eq!(count(&server, "carla", "INBOX", &subject), 1);
    }
    for subject in ["keep", "file", "file"] {
        let text = format!("Subject: {subject}\r\n\r\nx\r\n");
        deliver(server.port("smtp"), "you@example.org", &anna.address, &text);
    }
    let keys =
        "push \"<tag-pattern>~s file<enter><tag-prefix><save-message>=Archive<enter><quit>\"";
    let line = format!(
        "neomutt -n -F {} -e '{keys}'",
        server.dir().join("muttrc").display()
    );
    let mut command = Command::new("script");
    command
        .env("HOME", server.dir())
        .env("TERM", "xterm")
        .args(["-q", "-e", "-c", &line, "/dev/null"]);
    run(&mut command, b"").good();
    assert_eq!(count(&server, "anna", "Archive", "SUBJECT file"), 2);
    assert_eq!(count(&server, "anna", "INBOX", "ALL"), 1);
    no_panic(&server);
}
