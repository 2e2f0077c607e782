//! S1-27: somebody whose WordPress sends with PHPMailer and old TLS gets a letter about websites, not about mail
//! programs; and a web server that hands mail in without a login is a source of its own, which sends as one account.

use crate::{s0_14, s1_13};
use harness::Lab;
use harness::customer::{Customer, Newest, Program, Security};
use harness::dns::Signing;
use harness::sink::{Behaviour, StartTls};
use std::process::Command;

#[test]
fn the_letter_about_phpmailer_has_the_section_for_wordpress() {
    let lab = s1_13::lab();
    let anna = lab.server.account("anna");
    let website = Customer {
        program: Program {
            imap_id: None,
            hello: "www.firma.test",
            mailer: Some("PHPMailer 5.2.22 (https://github.com/PHPMailer/PHPMailer)"),
            security: Security::StartTls,
            newest: Newest::Tls10,
        },
        user: anna.address,
        password: anna.password,
    };
    let visit = website.send(lab.server.port("submission"), "bernd@firma.test");
    assert!(visit.ok, "{visit:?}");
    lab.cli(&["rollout", "start", "tls", "--reason", "decided"]);
    lab.forward(s1_13::DAY);
    let letter = s1_13::letter(&lab, 1);
    for told in ["PHPMailer", "WordPress", "WP Mail SMTP", "mail()"] {
        assert!(letter.contains(told), "{told}: {letter}");
    }
}

/// What swaks heard in the end from the submission port, and everything it saw. Nobody logs in.
fn hand_in(lab: &Lab, more: &[&str]) -> (String, String) {
    let port = lab.server.port("submission").to_string();
    let output = Command::new("swaks")
        .args(["-s", "127.0.0.1", "-p", &port, "--to", "box@far.test"])
        .args(["--ehlo", "www.firma.test", "--hide-informational"])
        .args(["--header", "X-Mailer: PHPMailer 6.9.1"])
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

#[test]
fn a_web_server_hands_mail_in_as_one_account_only() {
    let lab = s0_14::lab();
    let plain = Behaviour::start_tls(StartTls::None);
    let sink = lab.domain("far.test", Signing::Unsigned, plain);
    let own = ["--from", "anna@firma.test", "-tls"];
    let (reply, said) = hand_in(&lab, &own);
    assert!(reply.starts_with("530 "), "{said}");
    let added = [
        "relay-source",
        "add",
        "web1",
        "127.0.0.1",
        "--account",
        "anna@firma.test",
    ];
    lab.cli(&[&added[..], &["--reason", "the shop"]].concat());
    assert!(
        lab.cli(&["relay-source", "list"])
            .contains("web1  anna@firma.test  127.0.0.1")
    );
    // Its own sender, over TLS: taken, signed for the domain, and it is said who brought it.
    let (reply, said) = hand_in(&lab, &own);
    assert!(reply.starts_with("250 "), "{said}");
    let mail = sink.wait_mails(1).remove(0);
    s0_14::signed_for(&lab, &mail, "firma.test");
    assert!(!mail.text().contains("127.0.0.1"), "{}", mail.text());
    let story = lab.cli(&["trace", "box@far.test"]);
    assert!(
        story.contains("web1") && story.contains("anna@firma.test"),
        "{story}"
    );
    // Without TLS it is told to use it.
    let (reply, said) = hand_in(&lab, &["--from", "anna@firma.test"]);
    assert!(reply.starts_with("530 5.7.0"), "{said}");
    // Foreign senders, in the envelope and in the header, also while others are only observed.
    lab.policy("installation", "sender-ownership", "observe");
    for foreign in [
        &["--from", "fremd@other.test", "-tls"][..],
        &["--from", "bernd@firma.test", "-tls"],
        &[
            "--from",
            "anna@firma.test",
            "--h-From",
            "fremd@other.test",
            "-tls",
        ],
    ] {
        let (reply, said) = hand_in(&lab, foreign);
        assert!(reply.starts_with("550 5.7.1 "), "{said}");
    }
    // Its limits are the account's.
    lab.policy("anna@firma.test", "messages-per-hour", "1");
    let (reply, said) = hand_in(&lab, &own);
    assert!(reply.starts_with("250 "), "{said}");
    let (reply, said) = hand_in(&lab, &own);
    assert!(reply.starts_with("45"), "{said}");
    lab.cli(&["policy", "unset", "anna@firma.test", "messages-per-hour"]);
    // In clear where that is allowed, and not at all once it is taken away.
    lab.cli(&[&added[..], &["--cleartext"]].concat());
    let (reply, said) = hand_in(&lab, &["--from", "anna@firma.test"]);
    assert!(reply.starts_with("250 "), "{said}");
    lab.cli(&["relay-source", "remove", "web1", "--reason", "moved"]);
    let (reply, said) = hand_in(&lab, &own);
    assert!(reply.starts_with("530 "), "{said}");
    let history = lab.cli(&["policy", "history", "anna@firma.test"]);
    assert!(
        history.contains("the shop") && history.contains("moved"),
        "{history}"
    );
}

#[test]
fn too_wide_a_network_or_one_of_another_account_is_no_source() {
    let lab = Lab::start();
    let add = |name: &str, network: &str, account: &str| {
        let words = ["relay-source", "add", name, network, "--account", account];
        lab.server.cli(&words)
    };
    let (ok, _, errors) = add("web", "0.0.0.0/0", "anna@firma.test");
    assert!(!ok && errors.contains("too wide"), "{errors}");
    assert!(add("web", "192.0.2.0/28", "anna@firma.test").0);
    let (ok, _, errors) = add("shop", "192.0.2.7", "bernd@firma.test");
    assert!(!ok && errors.contains("overlaps"), "{errors}");
    let (ok, _, errors) = add("web", "198.51.100.1", "bernd@firma.test");
    assert!(!ok && errors.contains("already"), "{errors}");
    // It goes with its account.
    lab.cli(&["account", "remove", "anna@firma.test", "--with-aliases"]);
    assert!(!lab.cli(&["relay-source", "list"]).contains("192.0.2.0"));
}
