//! N-E4: notices as senders ask for them (NOTIFY, RET, ENVID, ORCPT), read by a foreign parser:
//! Python's e-mail package. Never a notice about a notice; nobody but the sender gets one.

use harness::sink::{Behaviour, Step, Trouble};
use harness::{Lab, Letter};
use serde_json::Value;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Prints what the parser found as JSON; fails where it finds a defect.
const READ: &str = r#"
import email, json, sys
from email import policy
message = email.message_from_bytes(sys.stdin.buffer.read(), policy=policy.default)
assert message.get_content_type() == "multipart/report", message.get_content_type()
for part in message.walk():
    assert not part.defects, (part.get_content_type(), part.defects)
text, status, original = message.get_payload()
groups = [{k.lower(): str(v) for k, v in group.items()} for group in status.get_payload()]
print(json.dumps({
    "report-type": message.get_param("report-type"),
    "auto-submitted": message["Auto-Submitted"],
    "return-path": message["Return-Path"],
    "text": text.get_content(),
    "status-type": status.get_content_type(),
    "message": groups[0],
    "recipients": groups[1:],
    "original-type": original.get_content_type(),
    "original": original.as_string(),
}))
"#;

fn read(notice: &str) -> Value {
    let mut child = Command::new("python3")
        .args(["-c", READ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(notice.as_bytes()).expect("python reads");
    drop(stdin);
    let output = child.wait_with_output().expect("python ends");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}\n{notice}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn refusing() -> Behaviour {
    let no = Trouble::Reply("550 5.1.1 no such user here".to_owned());
    Behaviour::default().trouble(Step::Rcpt, no)
}

#[test]
fn a_failure_is_read_by_a_foreign_parser() {
    let lab = Lab::start();
    lab.dns.mx("no.test", 10, "mx.no.test");
    let sink = lab.sink("mx.no.test", refusing());
    let letter = Letter::new("anna", "gone@no.test", "full")
        .parameters("RET=FULL ENVID=order+2B7")
        .notify("NOTIFY=FAILURE ORCPT=rfc822;Gone+2Bold@no.test");
    assert!(lab.submit(&letter).starts_with("250"));
    let notice = read(&lab.wait_inbox("anna", &["Action: failed", "order+7"]));
    assert_eq!(notice["report-type"], "delivery-status");
    assert_eq!(notice["auto-submitted"], "auto-replied");
    assert_eq!(notice["return-path"], "<>");
    assert_eq!(notice["status-type"], "message/delivery-status");
    assert_eq!(notice["message"]["original-envelope-id"], "order+7");
    let recipient = &notice["recipients"][0];
    assert_eq!(recipient["original-recipient"], "rfc822; Gone+old@no.test");
    assert_eq!(recipient["final-recipient"], "rfc822; gone@no.test");
    assert_eq!(recipient["action"], "failed");
    assert_eq!(recipient["status"], "5.1.1");
    assert_eq!(recipient["remote-mta"], "dns; mx.no.test");
    let said = recipient["diagnostic-code"].as_str().unwrap_or_default();
    assert!(said.starts_with("smtp; 550 5.1.1 no such user"), "{said}");
    assert_eq!(notice["original-type"], "message/rfc822");
    let original = notice["original"].as_str().unwrap_or_default();
    assert!(original.contains("The body."), "{original}");
    let text = notice["text"].as_str().unwrap_or_default();
    for words in ["Wer am Zug ist", "Whose move it is", "gone@no.test"] {
        assert!(text.contains(words), "{text}");
    }

    // RET=HDRS keeps the body out; NOTIFY=NEVER the whole notice.
    let never = Letter::new("anna", "never@no.test", "never").notify("NOTIFY=NEVER");
    assert!(lab.submit(&never).starts_with("250"));
    let letter = Letter::new("anna", "gone@no.test", "headers").parameters("RET=HDRS ENVID=8");
    assert!(lab.submit(&letter).starts_with("250"));
    let notice = read(&lab.wait_inbox("anna", &["Original-Envelope-Id: 8"]));
    assert_eq!(notice["original-type"], "text/rfc822-headers");
    let original = notice["original"].as_str().unwrap_or_default();
    assert!(!original.contains("The body."), "{original}");
    lab.wait_empty_queue();
    let inbox = lab.inbox("anna");
    assert!(
        !inbox
            .iter()
            .any(|message| message.contains("never@no.test"))
    );
    assert!(sink.mails().is_empty());
}

#[test]
fn a_success_is_reported_as_far_as_it_is_known() {
    let lab = Lab::start();
    lab.dns.mx("old.test", 10, "mx.old.test");
    let old = lab.sink("mx.old.test", Behaviour::default().without("DSN"));
    lab.dns.mx("new.test", 10, "mx.new.test");
    let new = lab.sink("mx.new.test", Behaviour::default());
    let bernd = lab.server.account("bernd").address;
    for to in ["a@old.test", "b@new.test", &bernd] {
        let letter = Letter::new("anna", to, "success").parameters("ENVID=x1");
        let reply = lab.submit(&letter.notify("NOTIFY=SUCCESS,FAILURE"));
        assert!(reply.starts_with("250"), "{reply}");
    }
    let relayed = read(&lab.wait_inbox("anna", &["Action: relayed"]));
    assert_eq!(
        relayed["recipients"][0]["final-recipient"],
        "rfc822; a@old.test"
    );
    assert_eq!(relayed["recipients"][0]["status"], "2.0.0");
    let delivered = read(&lab.wait_inbox("anna", &["Action: delivered"]));
    let to = format!("rfc822; {bernd}");
    assert_eq!(
        delivered["recipients"][0]["final-recipient"],
        Value::String(to)
    );
    // RFC 3461 §5.2.1: where the next server knows DSN, the duty goes with the message.
    let mail = new.wait_mails(1).remove(0);
    assert!(mail.from_parameters.contains("ENVID=x1"), "{mail:?}");
    assert!(mail.to[0].1.contains("NOTIFY=SUCCESS,FAILURE"), "{mail:?}");
    assert_eq!(old.wait_mails(1).len(), 1);
    lab.wait_empty_queue();
    let about_new =
        |message: &String| message.contains("b@new.test") && message.contains("Action:");
    assert!(!lab.inbox("anna").iter().any(about_new));
}

/// S4-19: with help pages set, the notice links the sender's options.
#[test]
fn mandatory_tls_links_the_options() {
    let lab = Lab::start();
    let anna = lab.server.account("anna").address;
    lab.policy(&anna, "outbound-tls", "required");
    lab.policy("installation", "help-url", "https://help.rp.test/mail/");
    lab.dns.mx("clear.test", 10, "mx.clear.test");
    let _sink = lab.sink("mx.clear.test", Behaviour::default());
    lab.send("anna", "box@clear.test", "secret");
    lab.wait_deferred("box@clear.test", 1);
    lab.forward(Duration::from_secs(61 * 60));
    let notice = read(&lab.wait_inbox("anna", &["Action: delayed"]));
    let text = notice["text"].as_str().unwrap_or_default();
    for link in ["off", "exception", "web-link"] {
        let link = format!("https://help.rp.test/mail/mandatory-tls/{link}");
        assert_eq!(text.matches(&link).count(), 2, "{link}: {text}");
    }
    assert!(
        text.contains("rohrpost destination set clear.test may"),
        "{text}"
    );
}

/// Nothing is ever said to a null sender, and a notice that cannot be delivered ends here.
#[test]
fn there_is_no_notice_about_a_notice() {
    let lab = Lab::start();
    lab.dns.mx("no.test", 10, "mx.no.test");
    let _sink = lab.sink("mx.no.test", refusing());
    let letter = Letter {
        from: String::new(),
        ..Letter::new("anna", "gone@no.test", "one")
    };
    assert!(lab.submit(&letter).starts_with("250"));
    lab.wait_inbox("anna", &["Action: failed"]);
    // The notice came to a mailbox; nothing waits, nobody else was told.
    lab.wait_empty_queue();
    assert_eq!(lab.inbox("anna").len(), 1);
}
