//! S0-14: all outgoing mail is signed, aligned with its author. dkimpy judges what sinks received: submitted mail of
//! two domains, a notice of our own, and a forward, which keeps its author's signature and gets an ARC seal and a
//! rewritten sender.

use harness::dns::Signing;
use harness::sink::{Behaviour, Mail, StartTls};
use harness::{Lab, Letter, Lines};
use std::process::Command;

/// Reads a message and, per signature and for the chain, prints the verdict and who signed.
const JUDGE: &str = r#"
import dkim, json, sys
zone = json.load(open(sys.argv[1]))
def txt(name, timeout=5):
    name = name.decode().rstrip(".")
    return zone[name].encode() if name in zone else None
message = open(sys.argv[2], "rb").read()
d = dkim.DKIM(message)
for n in range(len([1 for name, value in d.headers if name.lower() == b"dkim-signature"])):
    try:
        verdict = "pass" if d.verify(idx=n, dnsfunc=txt) else "fail"
    except Exception as e:
        verdict = "error:%s" % e
    print("dkim", verdict, d.domain.decode(), d.signature_fields.get(b"a", b"?").decode())
cv, results, reason = dkim.arc_verify(message, dnsfunc=txt)
print("arc", (cv or b"none").decode(), reason)
"#;

/// A lab whose DNS has the key records of the demo provider.
pub(crate) fn lab() -> Lab {
    let lab = Lab::start();
    for zone in ["firma.test", "privat.test", "rp.test"] {
        lab.dns.zone(zone, Signing::Unsigned);
    }
    for (name, value) in records(&lab) {
        lab.dns.txt(&name, &value);
    }
    lab
}

fn records(lab: &Lab) -> Vec<(String, String)> {
    let keys = lab.server.endpoints()["dkim"].clone();
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    let record = |key: &serde_json::Value| (text(&key["name"]), text(&key["value"]));
    keys.as_array()
        .expect("a list")
        .iter()
        .map(record)
        .collect()
}

/// What dkimpy says of a message.
fn judge(lab: &Lab, mail: &Mail) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a folder");
    let (zone, message) = (dir.path().join("zone"), dir.path().join("message"));
    let all: serde_json::Map<String, serde_json::Value> = records(lab)
        .into_iter()
        .map(|(name, value)| (name, value.into()))
        .collect();
    std::fs::write(&zone, serde_json::Value::Object(all).to_string()).expect("a file");
    std::fs::write(&message, &mail.data).expect("a file");
    let output = Command::new("/usr/bin/python3")
        .args(["-c", JUDGE])
        .args([&zone, &message])
        .output()
        .expect("python3 with python3-dkim");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(str::to_owned).collect()
}

/// Both signatures pass and are those of `domain`, which is that of From.
pub(crate) fn signed_for(lab: &Lab, mail: &Mail, domain: &str) {
    let verdicts = judge(lab, mail);
    let text = mail.text();
    let from = text
        .lines()
        .find(|line| line.starts_with("From:"))
        .unwrap_or_default();
    assert!(from.contains(&format!("@{domain}")), "{text}");
    assert_eq!(
        verdicts[0],
        format!("dkim pass {domain} rsa-sha256"),
        "{verdicts:?}\n{text}\n{}",
        lab.server.log()
    );
    assert_eq!(
        verdicts[1],
        format!("dkim pass {domain} ed25519-sha256"),
        "{verdicts:?}\n{text}"
    );
}

fn plain() -> Behaviour {
    Behaviour::start_tls(StartTls::None)
}

#[test]
fn submitted_mail_is_signed_for_its_author() {
    let lab = lab();
    let sink = lab.domain("far.test", Signing::Unsigned, plain());
    lab.send("anna", "box@far.test", "from a business");
    lab.send("carla", "box@far.test", "from a private customer");
    let letter = Letter::new("anna", "box@far.test", "Gr\u{fc}\u{df}e  mit \t  Leerraum")
        .field("Reply-To: info@firma.test")
        .field("Bcc: anna@firma.test");
    assert!(lab.submit(&letter).starts_with("250"));
    let mails = sink.wait_mails(3);
    for mail in &mails {
        let domain = mail.from.rsplit('@').next().unwrap();
        signed_for(&lab, mail, domain);
    }
    let carla = mails
        .iter()
        .filter(|mail| mail.from.ends_with("@privat.test"))
        .count();
    assert_eq!(carla, 1);
}

#[test]
fn a_notice_is_signed_for_the_host() {
    let lab = lab();
    let sink = lab.domain("far.test", Signing::Unsigned, plain());
    let mut smtp = Lines::clear(lab.server.port("smtp"));
    smtp.smtp();
    smtp.smtp_ask("EHLO mx.far.test");
    smtp.smtp_ask("MAIL FROM:<box@far.test>");
    let reply = smtp.smtp_ask("RCPT TO:<anna@firma.test> NOTIFY=SUCCESS");
    assert!(reply.starts_with("250"), "{reply}");
    smtp.smtp_ask("DATA");
    let reply =
        smtp.smtp_ask("From: box@far.test\r\nTo: anna@firma.test\r\nSubject: hello\r\n\r\nx\r\n.");
    assert!(reply.starts_with("250"), "{reply}");
    let mails = sink.wait_mails(1);
    assert_eq!(mails[0].from, "");
    signed_for(&lab, &mails[0], "mx.rp.test");
}

#[test]
fn a_forward_is_sealed_and_a_notice_about_it_finds_its_way_back() {
    let lab = lab();
    let near = lab.domain("near.test", Signing::Unsigned, plain());
    let far = lab.domain("far.test", Signing::Unsigned, plain());
    lab.cli(&["alias", "add", "weiter@firma.test", "box@far.test"]);
    let mut smtp = Lines::clear(lab.server.port("smtp"));
    smtp.smtp();
    smtp.smtp_ask("EHLO mx.near.test");
    for command in [
        "MAIL FROM:<author@near.test>",
        "RCPT TO:<weiter@firma.test>",
        "DATA",
    ] {
        let reply = smtp.smtp_ask(command);
        assert!(reply.starts_with(['2', '3']), "{command}: {reply}");
    }
    let reply = smtp
        .smtp_ask("From: author@near.test\r\nTo: weiter@firma.test\r\nSubject: on\r\n\r\nx\r\n.");
    assert!(reply.starts_with("250"), "{reply}");
    let mails = far.wait_mails(1);
    let verdicts = judge(&lab, &mails[0]);
    assert!(
        verdicts.iter().any(|line| line.starts_with("arc pass")),
        "{verdicts:?}\n{}",
        mails[0].text()
    );
    assert!(
        mails[0]
            .text()
            .contains("ARC-Authentication-Results: i=1; mx.rp.test;")
    );
    let sender = mails[0].from.clone();
    assert!(
        sender.starts_with("SRS0=") && sender.ends_with("=near.test=author@firma.test"),
        "{sender}"
    );
    // The far server sends a notice to the rewritten sender; it reaches the author.
    let mut smtp = Lines::clear(lab.server.port("smtp"));
    smtp.smtp();
    smtp.smtp_ask("EHLO mx.far.test");
    for command in ["MAIL FROM:<>", &format!("RCPT TO:<{sender}>"), "DATA"] {
        let reply = smtp.smtp_ask(command);
        assert!(reply.starts_with(['2', '3']), "{command}: {reply}");
    }
    let reply = smtp.smtp_ask(
        "From: MAILER-DAEMON@mx.far.test\r\nTo: author\r\nSubject: failed\r\n\
         Auto-Submitted: auto-replied\r\n\r\nx\r\n.",
    );
    assert!(reply.starts_with("250"), "{reply}");
    let back = near.wait_mails(1);
    assert_eq!(
        (back[0].from.as_str(), back[0].to[0].0.as_str()),
        ("", "author@near.test")
    );
    // A made-up one does not.
    let mut smtp = Lines::clear(lab.server.port("smtp"));
    smtp.smtp();
    smtp.smtp_ask("EHLO mx.far.test");
    smtp.smtp_ask("MAIL FROM:<>");
    let forged = sender.replace("=author@", "=victim@");
    let reply = smtp.smtp_ask(&format!("RCPT TO:<{forged}>"));
    assert!(reply.starts_with("550"), "{reply}");
}

/// The selectors that signed a mail.
fn selectors(mail: &Mail) -> Vec<String> {
    let text = mail.text().replace(['\r', '\n', '\t'], " ");
    let selector = |part: &str| part.split(';').next().unwrap_or_default().to_owned();
    text.split(" s=").skip(1).map(selector).collect()
}

#[test]
fn the_operator_sees_what_dns_lacks_and_changes_keys() {
    let lab = lab();
    let sink = lab.domain("far.test", Signing::Unsigned, plain());
    let seen = lab.cli(&["dkim", "check", "firma.test"]);
    assert_eq!(seen.matches("signs since").count(), 2, "{seen}");
    let (name, value) = records(&lab).swap_remove(0);
    lab.dns.remove(&name, None);
    lab.dns.txt(&name, &value.replacen("p=M", "p=N", 1));
    let (ok, output, errors) = lab.server.cli(&["dkim", "check", "firma.test"]);
    assert!(
        !ok && output.contains("another key is published"),
        "{output}{errors}"
    );
    assert!(errors.contains("rohrpost dkim show"), "{errors}");

    let next = lab.cli(&["dkim", "rotate", "firma.test", "--json"]);
    let next: serde_json::Value = serde_json::from_str(&next).expect("JSON");
    let new: Vec<&str> = next
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|key| key["selector"].as_str())
        .collect();
    assert_eq!(new.len(), 2);
    for key in next.as_array().into_iter().flatten() {
        let text = |what: &str| key["record"][what].as_str().unwrap_or_default().to_owned();
        lab.dns.txt(&text("name"), &text("value"));
    }
    let (_, waiting, _) = lab.server.cli(&["dkim", "check", "firma.test"]);
    assert_eq!(
        waiting
            .matches("its record is in DNS; it signs from")
            .count(),
        2,
        "{waiting}"
    );
    lab.send("anna", "box@far.test", "before");
    let old = selectors(&sink.wait_mails(1)[0]);
    assert!(
        old.len() == 2 && old.iter().all(|old| !new.contains(&old.as_str())),
        "{old:?}"
    );
    lab.cli(&["dkim", "rotate", "firma.test", "--now"]);
    lab.send("anna", "box@far.test", "after");
    assert_eq!(selectors(&sink.wait_mails(2)[1]), new);
    let listed = lab.cli(&["dkim", "list"]);
    assert_eq!(
        listed.matches("its record must stay in DNS until").count(),
        2,
        "{listed}"
    );
    let (ok, _, errors) = lab.server.cli(&["dkim", "remove", "firma.test"]);
    assert!(!ok && errors.contains("--force"), "{errors}");
}

/// A domain without keys: its mail carries the host's signature until its own are there.
#[test]
fn domains_without_keys_are_named_and_no_command_shows_a_secret() {
    let lab = lab();
    lab.cli(&["domain", "add", "neu.test"]);
    let listed = lab.cli(&["dkim", "list"]);
    assert!(listed.contains("neu.test  has no keys"), "{listed}");
    lab.cli(&["dkim", "add", "--all", "--now"]);
    assert!(
        lab.cli(&["dkim", "show", "neu.test"])
            .contains("signs since")
    );
    // What opens the keys is for the node's user only, and no export holds keys.
    use std::os::unix::fs::PermissionsExt;
    let secret = lab.server.dir().join("store/installation.secret");
    let mode = std::fs::metadata(&secret)
        .expect("the secret")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let secret = std::fs::read_to_string(&secret).expect("the secret");
    for told in [
        lab.cli(&["export"]),
        lab.cli(&["dkim", "list", "--json"]),
        lab.server.log(),
    ] {
        assert!(
            !told.contains(secret.trim()) && !told.contains("PRIVATE"),
            "{told}"
        );
    }
}
