//! N-D3 to N-D5: a domain that asks for TLS reports gets yesterday's, by mail and by HTTPS, once.

use harness::Lab;
use harness::dns::Signing;
use harness::https::Answer;
use harness::sink::Behaviour;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Reads the report out of a message with Python's own e-mail, gzip and JSON.
const READ: &str = r#"
import email, gzip, json, sys
from email import policy
message = email.message_from_bytes(sys.stdin.buffer.read(), policy=policy.default)
assert message.get_content_type() == "multipart/report", message.get_content_type()
assert message.get_param("report-type") == "tlsrpt"
part = [p for p in message.iter_parts() if p.get_content_type() == "application/tlsrpt+gzip"][0]
report = json.loads(gzip.decompress(part.get_content()))
assert not message.defects, message.defects
print(message["TLS-Report-Domain"], message["TLS-Report-Submitter"], part.get_filename())
print(json.dumps(report))
"#;

fn python(script: &str, input: &[u8]) -> String {
    let mut child = Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input).expect("python reads");
    drop(stdin);
    let output = child.wait_with_output().expect("python ends");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_report_goes_out_after_the_day_by_mail_and_https_once() {
    let lab = Lab::start();
    let identity = lab.identity(&["mx.there.test"]);
    let sink = lab.domain("there.test", Signing::Unsigned, Behaviour::tls(&identity));
    let identity = lab.identity(&["mx.reports.test"]);
    let reports = lab.domain("reports.test", Signing::Unsigned, Behaviour::tls(&identity));
    let host = "tlsrpt.reports.test";
    lab.dns.address(host, lab.https.address().ip());
    lab.https.certificate(host, &lab.identity(&[host]));
    lab.https.answer(host, "/v1", Answer::status(201));
    let port = lab.https.address().port();
    lab.dns.txt(
        "_smtp._tls.there.test",
        &format!("v=TLSRPTv1; rua=mailto:tls@reports.test,https://{host}:{port}/v1"),
    );
    lab.send("anna", "box@there.test", "one");
    lab.send("anna", "box@there.test", "two");
    sink.wait_mails(2);
    lab.wait_event("box@there.test", "relayed");
    lab.forward(DAY);
    let mail = reports.wait_mails(1).remove(0);
    let read = python(READ, mail.text().as_bytes());
    let (names, json) = read.split_once('\n').expect("two lines");
    assert!(names.starts_with("there.test "), "{names}");
    assert!(
        names.contains("!there.test!1772409600!1772495999!"),
        "{names}"
    );
    let report: serde_json::Value = serde_json::from_str(json).expect("JSON");
    assert_eq!(
        report["date-range"]["start-datetime"],
        "2026-03-02T00:00:00Z"
    );
    let policy = &report["policies"][0];
    assert_eq!(policy["policy"]["policy-domain"], "there.test");
    assert_eq!(policy["policy"]["policy-type"], "no-policy-found");
    let sessions = policy["summary"]["total-successful-session-count"].as_u64();
    assert!(
        sessions.is_some_and(|sessions| (1..=2).contains(&sessions)),
        "{report}"
    );
    assert!(mail.text().contains("DKIM-Signature: "), "{}", mail.text());
    lab.wait("a report by HTTPS", || {
        let seen = lab.https.requests();
        match seen.iter().any(|request| request.path == "/v1") {
            true => Ok(()),
            false => Err(format!("{seen:?}")),
        }
    });
    // Never again for that day; the sessions of the report itself are about another domain.
    lab.forward(Duration::from_secs(3600));
    lab.forward(DAY);
    lab.wait_empty_queue();
    assert_eq!(reports.mails().len(), 1);
}
