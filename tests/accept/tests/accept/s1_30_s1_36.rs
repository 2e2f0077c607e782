//! S1-30 (but for the pool, which only mail that leaves has): round 0 goes to everybody, can be ended with one click
//! (RFC 8058), which ends no other letter, and is kept on the web. S1-36: the telephone number changes in one place,
//! and every letter and page says the new one. S2-25: the page tells its date and reading time.

use harness::customer::{Customer, Newest, Program, Security};
use harness::{Lab, Lines};
use std::time::Duration;

const PLAN: &str = r#"
slug = "tls"
reason = "RFC 8996"
as_of = "2026-03-02"
audience = ["installation"]
title = { de = "Sichere Verbindungen", en = "Secure connections" }
rounds = { newsletter = "2026-03-02T10:00", first = "2026-03-03T08:00" }
steps = [
  { measure = "cleartext/imap", stage = "observe", date = "2026-03-01" },
  { measure = "cleartext/imap", stage = "enforce", date = "2026-06-01" },
  { measure = "sender-ownership", stage = "enforce", date = "2026-07-01", visibility = "internal" },
]
"#;

const OUTLOOK: Program = Program {
    imap_id: Some(["Microsoft Outlook", "14.0", "Windows"]),
    hello: "pc.test",
    mailer: None,
    security: Security::Clear,
    newest: Newest::Tls12,
};

/// A page of the server, status line and header included.
fn page(lab: &Lab, method: &str, path: &str) -> String {
    let mut http = Lines::tls(lab.server.port("https"), &lab.server.ca_file());
    let body = match method {
        "POST" => "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 26\r\n",
        _ => "",
    };
    http.say(&format!(
        "{method} {path} HTTP/1.1\r\nHost: mx.rp.test\r\nConnection: close\r\n{body}"
    ));
    if method == "POST" {
        http.say("List-Unsubscribe=One-Click");
    }
    let mut text = String::new();
    loop {
        let line = http.line();
        if line.is_empty() && text.contains("</html>") {
            return text;
        }
        text.push_str(&line);
        text.push('\n');
        if text.contains("</html>") || text.len() > 200_000 {
            return text;
        }
    }
}

fn field<'m>(message: &'m str, name: &str) -> Option<&'m str> {
    let prefix = format!("{name}: ");
    message.lines().find_map(|line| line.strip_prefix(&prefix))
}

#[test]
fn a_newsletter_can_be_ended_and_the_telephone_number_changes_everywhere() {
    let lab = Lab::start();
    lab.policy("installation", "cleartext", "observe; 2026-12-31 enforce");
    lab.cli(&["rollout", "voice", "set", "phone", "030 / 111"]);
    let file = lab.server.dir().join("tls.toml");
    std::fs::write(&file, PLAN).expect("written");
    lab.cli(&["rollout", "create", &file.display().to_string()]);
    assert!(
        page(&lab, "GET", "/ankuendigungen/tls").contains(" 404 "),
        "a draft"
    );
    lab.cli(&["rollout", "announce", "tls"]);
    lab.forward(Duration::from_secs(3600));
    let mail = lab.wait_inbox("anna", &["List-Unsubscribe"]);
    for account in ["bernd", "carla"] {
        lab.wait_inbox(account, &["List-Unsubscribe"]);
    }
    assert_eq!(
        field(&mail, "List-Unsubscribe-Post"),
        Some("List-Unsubscribe=One-Click")
    );
    assert!(field(&mail, "Auto-Submitted").is_none());
    assert!(mail.contains("030 / 111"), "{mail}");
    let url = mail
        .split(['<', '>'])
        .find(|part| part.contains("/abmelden/"))
        .expect("an address");
    assert!(
        url.starts_with("https://") && !url.contains("anna"),
        "{url}"
    );

    // The same text, on the web, with date and reading time; what is internal is not there.
    let shown = page(&lab, "GET", "/ankuendigungen/tls");
    for words in ["Warum diese", "Stand", "Lesedauer", "030 / 111"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(!shown.contains("Juli 2026"), "{shown}");

    // One click ends the newsletter of anna, and no letter about her own mailbox.
    let path = url
        .find("/abmelden/")
        .and_then(|at| url.get(at..))
        .expect("a path");
    let ended = page(&lab, "POST", path);
    assert!(ended.starts_with("HTTP/1.1 200"), "{ended}");
    let again = PLAN
        .replace("\"tls\"", "\"again\"")
        .replace("T10:00", "T10:30");
    let again = again.replace("first = \"2026-03-03T08:00\"", "");
    let again = again.replace("cleartext/imap", "cleartext/pop3");
    let again = again.replace("sender-ownership", "cleartext/managesieve");
    let again = again.replace(", }", " }");
    std::fs::write(&file, again).expect("written");
    lab.cli(&["rollout", "create", &file.display().to_string()]);
    lab.cli(&["rollout", "announce", "again"]);
    lab.forward(Duration::from_secs(3600));
    lab.wait("two more newsletters", || {
        let told = lab.cli(&["rollout", "letters", "again", "--csv"]);
        match told.matches(",delivered,").count() {
            2 => Ok(()),
            _ => Err(told),
        }
    });
    assert_eq!(lab.inbox("anna").len(), 1);
    telephone_changes(&lab);
}

/// Changed once, it changes in every letter, page and preview from then on.
fn telephone_changes(lab: &Lab) {
    lab.cli(&["rollout", "start", "tls"]);
    lab.cli(&["rollout", "voice", "set", "phone", "030 / 222"]);
    let anna = lab.server.account("anna");
    let outlook = Customer {
        program: OUTLOOK,
        user: anna.address,
        password: anna.password,
    };
    let visit = outlook.imap(lab.server.port("imap"));
    assert!(visit.ok, "{visit:?}");
    lab.forward(Duration::from_secs(24 * 3600));
    lab.wait_inbox("anna", &["030 / 222", "Auto-Submitted: auto-generated"]);
    for path in ["/ankuendigungen/tls", "/hilfe/generic", "/h/sender"] {
        let shown = page(lab, "GET", path);
        assert!(shown.contains("030 / 222"), "{path}: {shown}");
        assert!(!shown.contains("030 / 111"), "{path}: {shown}");
    }
    let texts = lab.cli(&["rollout", "preview", "tls"]);
    assert!(texts.contains("030 / 222") && !texts.contains("030 / 111"));
}
