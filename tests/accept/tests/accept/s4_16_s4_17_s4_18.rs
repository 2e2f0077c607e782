//! S4-16 to S4-18: what becomes of mail under mandatory TLS for a server without it. A warning after
//! an hour, attempts until 24 hours, then the message comes back. The options of S4-19 stand in it;
//! their pages come with the web.

use harness::sink::Behaviour;
use harness::{Lab, Letter};
use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;

fn lab() -> (Lab, harness::Sink) {
    let lab = Lab::start();
    let anna = lab.server.account("anna").address;
    lab.policy(&anna, "outbound-tls", "required");
    lab.dns.mx("clear.test", 10, "mx.clear.test");
    let sink = lab.sink("mx.clear.test", Behaviour::default());
    (lab, sink)
}

fn notices(lab: &Lab, action: &str) -> Vec<String> {
    let action = format!("Action: {action}");
    let messages = lab.inbox("anna").into_iter();
    messages
        .filter(|message| message.contains(&action))
        .collect()
}

fn attempts(lab: &Lab) -> usize {
    lab.tries("box@clear.test").len()
}

#[test]
fn a_warning_attempts_for_a_day_and_the_end() {
    let (lab, sink) = lab();
    lab.send("anna", "box@clear.test", "secret plans");
    lab.wait_deferred("box@clear.test", 1);
    // Nothing before an hour is over, once after it.
    lab.forward(Duration::from_secs(54 * MINUTE));
    lab.wait_deferred("box@clear.test", 2);
    assert!(notices(&lab, "delayed").is_empty());
    lab.forward(Duration::from_secs(7 * MINUTE));
    let warning = lab.wait_inbox("anna", &["Action: delayed"]);
    assert!(
        warning.contains("Final-Recipient: rfc822; box@clear.test"),
        "{warning}"
    );
    assert!(warning.contains("Status: 4.7."), "{warning}");
    assert!(warning.contains("Will-Retry-Until: "), "{warning}");
    assert!(
        warning.contains("Auto-Submitted: auto-replied"),
        "{warning}"
    );
    // Both languages, the recipient and the reason.
    let text = text_part(&warning);
    assert!(text.contains("box@clear.test"), "{text}");
    assert!(
        text.contains("Verschlüsselung") && text.contains("encryption"),
        "{text}"
    );
    let before = attempts(&lab);
    for hour in 2..24 {
        lab.forward(Duration::from_secs(HOUR));
        if hour % 6 == 0 {
            let least = before + hour / 6;
            lab.wait("more attempts", || {
                let now = attempts(&lab);
                if now >= least {
                    Ok(())
                } else {
                    Err(format!("{now} < {least}"))
                }
            });
        }
    }
    assert!(notices(&lab, "failed").is_empty(), "not before 24 hours");
    assert_eq!(notices(&lab, "delayed").len(), 1, "once per message");
    lab.forward(Duration::from_secs(HOUR + 5 * MINUTE));
    let last = lab.wait_inbox("anna", &["Action: failed"]);
    lab.wait_empty_queue();
    assert!(last.contains("Status: 5.7.10"), "{last}");
    assert!(
        last.contains("secret plans"),
        "the message's own fields: {last}"
    );
    // S4-19: what can be done, in both languages.
    let text = text_part(&last);
    for option in ["Ausnahme", "exception", "Web-Link", "web link"] {
        assert!(text.contains(option), "{option}: {text}");
    }
    let tried = attempts(&lab);
    lab.forward(Duration::from_secs(24 * HOUR));
    assert_eq!(attempts(&lab), tried, "no attempt after the end");
    assert!(sink.mails().is_empty());
    let commands = sink.sessions().into_iter().flat_map(|s| s.commands);
    assert!(
        !commands
            .into_iter()
            .any(|command| command.starts_with("MAIL"))
    );
}

/// S4-19: an exception for this recipient's domain lets what waits go; for this sender only.
#[test]
fn an_exception_lets_waiting_mail_go() {
    let (lab, sink) = lab();
    let [anna, bernd] = ["anna", "bernd"].map(|name| lab.server.account(name).address);
    lab.policy(&bernd, "outbound-tls", "required");
    lab.send("anna", "box@clear.test", "released");
    lab.send("bernd", "box2@clear.test", "held");
    lab.wait_deferred("box@clear.test", 1);
    lab.wait_deferred("box2@clear.test", 1);
    lab.destination("clear.test", &["may", "--for", &anna, "--exception"]);
    lab.forward(Duration::from_secs(HOUR));
    let mails = sink.wait_mails(1);
    assert_eq!(mails[0].to[0].0, "box@clear.test");
    lab.wait_deferred("box2@clear.test", 2);
    assert_eq!(sink.mails().len(), 1);
}

/// RFC 3461 §5.2.5 and §4.1: NOTIFY decides which notices come.
#[test]
fn notify_decides_which_notices_come() {
    let (lab, _sink) = lab();
    for (local, notify) in [("never", "NOTIFY=NEVER"), ("failure", "NOTIFY=FAILURE")] {
        let letter = Letter::new("anna", &format!("{local}@clear.test"), local);
        let reply = lab.submit(&letter.notify(notify));
        assert!(reply.starts_with("250"), "{reply}");
        lab.wait_deferred(&format!("{local}@clear.test"), 1);
    }
    lab.send("anna", "usual@clear.test", "usual");
    lab.wait_deferred("usual@clear.test", 1);
    lab.forward(Duration::from_secs(61 * MINUTE));
    lab.wait_inbox("anna", &["Action: delayed", "usual@clear.test"]);
    lab.forward(Duration::from_secs(24 * HOUR));
    lab.wait_inbox("anna", &["Action: failed", "usual@clear.test"]);
    lab.wait_inbox("anna", &["Action: failed", "failure@clear.test"]);
    lab.wait_empty_queue();
    assert_eq!(notices(&lab, "delayed").len(), 1);
    assert_eq!(notices(&lab, "failed").len(), 2);
}

/// Another failure than that of a TLS duty keeps the usual times: 4 hours, 5 days.
#[test]
fn other_failures_keep_the_usual_times() {
    let lab = Lab::start();
    lab.dns.mx("busy.test", 10, "mx.busy.test");
    let later = harness::sink::Trouble::Reply("451 4.3.2 not now".to_owned());
    let busy = Behaviour::default().trouble(harness::sink::Step::Rcpt, later);
    let _sink = lab.sink("mx.busy.test", busy);
    lab.send("anna", "box@busy.test", "patience");
    lab.wait_deferred("box@busy.test", 1);
    lab.forward(Duration::from_secs(2 * HOUR));
    lab.wait_deferred("box@busy.test", 2);
    assert!(notices(&lab, "delayed").is_empty());
    lab.forward(Duration::from_secs(3 * HOUR));
    lab.wait_inbox("anna", &["Action: delayed", "box@busy.test"]);
    lab.forward(Duration::from_secs(3 * 24 * HOUR));
    lab.wait_deferred("box@busy.test", 4);
    assert!(notices(&lab, "failed").is_empty());
    lab.forward(Duration::from_secs(2 * 24 * HOUR));
    let last = lab.wait_inbox("anna", &["Action: failed", "box@busy.test"]);
    assert!(
        last.contains("Status: 4.") || last.contains("Status: 5."),
        "{last}"
    );
}

/// The first part of a report, decoded as far as German needs it.
fn text_part(report: &str) -> String {
    let quoted = report.replace("=\r\n", "");
    let mut bytes = Vec::new();
    let mut rest = quoted.as_bytes();
    while let [first, after @ ..] = rest {
        let pair = after
            .get(..2)
            .and_then(|pair| std::str::from_utf8(pair).ok());
        let byte = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match (first, byte) {
            (b'=', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
