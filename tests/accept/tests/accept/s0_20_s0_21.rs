//! S0-20, S0-21: mail from outside that says it is from a hosted domain is refused with 550 5.7.26 where nobody answers
//! for that, and gets through with a DKIM signature of the domain, by SPF, and where our own forward comes back. Before
//! that it can be scored and put into Junk.

use crate::s0_14;
use harness::dns::Signing;
use harness::sink::{Behaviour, StartTls};
use harness::{Lab, Lines};
use std::path::Path;
use std::process::Command;

/// What swaks heard in the end, and everything it saw.
fn swaks(lab: &Lab, more: &[&str]) -> (String, String) {
    let port = lab.server.port("smtp").to_string();
    let output = Command::new("swaks")
        .args(["-s", "127.0.0.1", "-p", &port, "--to", "bernd@firma.test"])
        .args(["--ehlo", "pc.far.test", "--hide-informational"])
        .args(more)
        .output()
        .expect("swaks is installed");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let replies = said.lines().filter(|line| line.starts_with("<"));
    let replies: Vec<&str> = replies
        .map(|line| line.trim_start_matches(['<', '-', '*', '~', ' ']))
        .filter(|reply| !reply.starts_with("221"))
        .collect();
    (replies.last().copied().unwrap_or_default().to_owned(), said)
}

/// A message in the name of anna with nothing that proves it.
fn forged(lab: &Lab, subject: &str) -> (String, String) {
    let subject = format!("Subject: {subject}");
    swaks(lab, &["--from", "anna@firma.test", "--header", &subject])
}

/// The messages in bernd's `folder`.
fn folder(lab: &Lab, folder: &str) -> String {
    let bernd = lab.server.account("bernd");
    let mut imap = Lines::tls(lab.server.port("imaps"), &lab.server.ca_file());
    imap.line();
    imap.imap_ask("a", &format!("LOGIN {} {}", bernd.address, bernd.password));
    imap.imap_ask("b", &format!("EXAMINE {folder}"));
    imap.imap_ask("c", "FETCH 1:* (BODY.PEEK[HEADER])")
}

fn wait_in(lab: &Lab, name: &str, words: &[&str]) -> String {
    let mut found = String::new();
    lab.wait(&format!("a message in {name}"), || {
        found = folder(lab, name);
        match words.iter().all(|word| found.contains(word)) {
            true => Ok(()),
            false => Err(found.clone()),
        }
    });
    found
}

fn stage(lab: &Lab, value: &str) {
    lab.cli(&[
        "measure",
        "set",
        "firma.test",
        "spoofed-sender",
        value,
        "--reason",
        "decided",
    ]);
}

/// Hands a whole message in from outside, from an envelope sender that proves nothing.
fn replay(lab: &Lab, message: &str) -> (String, String) {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("message");
    std::fs::write(&file, message).expect("a file");
    let file = format!("@{}", Path::new(&file).display());
    swaks(lab, &["--from", "list@far.test", "--data", &file])
}

fn plain() -> Behaviour {
    Behaviour::start_tls(StartTls::None)
}

#[test]
fn who_is_not_proved_is_refused_and_a_signature_of_the_domain_gets_through() {
    let lab = s0_14::lab();
    let sink = lab.domain("far.test", Signing::Unsigned, plain());
    lab.policy("installation", "help-url", "https://rp.test/h/");
    stage(&lab, "enforce");
    let (reply, said) = forged(&lab, "forged");
    assert!(reply.starts_with("550 5.7.26 "), "{said}");
    assert!(said.contains("https://rp.test/h/spoofed"), "{said}");
    assert!(said.contains("Senden Sie"), "{said}");
    // What is for others to judge is not judged here.
    let (reply, said) = swaks(&lab, &["--from", "x@far.test"]);
    assert!(reply.starts_with("250"), "{said}");
    // Anna sends to a list outside, which hands it on as it is.
    lab.send("anna", "list@far.test", "to a list");
    let mail = sink.wait_mails(1).remove(0);
    let (reply, said) = replay(&lab, &mail.text());
    assert!(reply.starts_with("250"), "{said}");
    let kept = wait_in(&lab, "INBOX", &["Subject: to a list"]);
    assert!(kept.contains("Authentication-Results: "), "{kept}");
    assert!(kept.contains("dkim=pass"), "{kept}");
    // Somebody else's words under her signature.
    let (reply, said) = replay(&lab, &mail.text().replace("to a list", "to a fool"));
    assert!(reply.starts_with("550 5.7.26 "), "{said}");
    // A second From is what some programs show.
    let twice = format!("From: chef@firma.test\r\n{}", mail.text());
    let (reply, said) = replay(&lab, &twice);
    assert!(reply.starts_with("550 5.7.26 "), "{said}");
    // SPF in the domain's name does as well.
    lab.dns.txt("firma.test", "v=spf1 ip4:127.0.0.0/8 -all");
    let (reply, said) = forged(&lab, "by spf");
    assert!(reply.starts_with("250"), "{said}");
    let log = lab.server.log();
    assert!(log.contains("spoofed-sender"), "{log}");
}

#[test]
fn three_levels_give_junk_junk_and_a_refusal_and_observing_changes_nothing() {
    let lab = s0_14::lab();
    // What nobody decided is observed: it arrives, and it is noted.
    let (reply, said) = forged(&lab, "observed");
    assert!(reply.starts_with("250"), "{said}");
    wait_in(&lab, "INBOX", &["Subject: observed", "dkim=none"]);
    for (value, subject) in [
        ("score enforce", "scored"),
        ("junk enforce", "junked"),
        ("reject warn", "warned"),
    ] {
        stage(&lab, value);
        let (reply, said) = forged(&lab, subject);
        assert!(reply.starts_with("250"), "{value}: {said}");
        wait_in(&lab, "Junk", &[&format!("Subject: {subject}")]);
    }
    stage(&lab, "enforce");
    let (reply, said) = forged(&lab, "refused");
    assert!(reply.starts_with("550 5.7.26 "), "{said}");
    let inbox = folder(&lab, "INBOX");
    assert!(
        !inbox.contains("Subject: scored") && !inbox.contains("Subject: junked"),
        "{inbox}"
    );
    // Who would be concerned: by server and by name, without addresses.
    lab.wait("the preview", || {
        let told = lab.cli(&["impact", "spoofed-sender"]);
        match told.contains("anna@firma.test") && told.contains("(firma.test), as firma.test") {
            true if !told.contains("127.0.0.1") => Ok(()),
            _ => Err(told),
        }
    });
}

#[test]
fn what_a_believed_forwarder_saw_counts_and_nobody_writes_results_in_our_name() {
    let lab = s0_14::lab();
    let sink = lab.domain("far.test", Signing::Unsigned, plain());
    lab.cli(&["alias", "add", "weiter@firma.test", "box@far.test"]);
    lab.dns.txt("privat.test", "v=spf1 ip4:127.0.0.0/8 -all");
    lab.cli(&[
        "measure",
        "set",
        "installation",
        "spoofed-sender",
        "enforce",
        "--reason",
        "decided",
    ]);
    // Carla writes through another provider, which SPF allows; our alias forwards it out, sealed.
    let forged_results = "Authentication-Results: mx.rp.test; dmarc=pass header.from=privat.test";
    let header = [
        "--from",
        "carla@privat.test",
        "--header",
        "Subject: round trip",
        "--add-header",
        forged_results,
    ];
    let port = lab.server.port("smtp").to_string();
    let sent = Command::new("swaks")
        .args(["-s", "127.0.0.1", "-p", &port, "--to", "weiter@firma.test"])
        .args(header)
        .status();
    assert!(sent.is_ok_and(|status| status.success()));
    let mail = sink.wait_mails(1).remove(0);
    let text = mail.text();
    assert!(
        text.contains("ARC-Seal") && !text.contains(forged_results),
        "{text}"
    );
    // It comes back when SPF says nothing for it any more.
    lab.dns.txt("privat.test", "v=spf1 -all");
    lab.forward(std::time::Duration::from_secs(3700));
    let (reply, said) = replay(&lab, &text);
    assert!(reply.starts_with("250"), "{said}");
    let kept = wait_in(&lab, "INBOX", &["Subject: round trip", "arc=pass"]);
    assert!(!kept.contains(forged_results), "{kept}");
    let (reply, said) = replay(&lab, &text.replace("round trip", "other words"));
    assert!(reply.starts_with("550 5.7.26 "), "{said}");
}
