//! The HTTPS server, tried with curl.

use harness::Authority;
use harness::authority::Validity;
use harness::https::{Answer, Https, STS_PATH, sts_policy};
use std::process::Command;

#[test]
fn policies_are_served_and_reports_taken() {
    let dir = tempfile::tempdir().expect("a folder");
    let (ca_file, authority) = (dir.path().join("ca.pem"), Authority::default());
    authority.write(&ca_file);
    let https = Https::start("127.0.0.1:0".parse().expect("an address"));
    let host = "mta-sts.there.test";
    https.certificate(host, &authority.issue(&[host], Validity::Long));
    https.certificate(
        "old.test",
        &authority.issue(&["old.test"], Validity::Expired),
    );
    let policy = sts_policy("enforce", &["*.there.test"], 86_400);
    https.answer(host, STS_PATH, Answer::text(&policy));
    https.answer(host, "/report", Answer::status(201));
    https.answer(host, "/elsewhere", Answer::redirect("https://old.test/"));
    let port = https.address().port();
    let curl = |host: &str, path: &str, more: &[&str]| {
        let output = Command::new("curl")
            .args(["-s", "-w", "%{http_code}", "--cacert"])
            .arg(&ca_file)
            .args(["--resolve", &format!("{host}:{port}:127.0.0.1")])
            .args(more)
            .arg(format!("https://{host}:{port}{path}"))
            .output()
            .expect("curl is installed");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(curl(host, STS_PATH, &[]), format!("{policy}200"));
    assert_eq!(curl(host, "/report", &["--data-binary", "abc"]), "201");
    assert_eq!(curl(host, "/elsewhere", &[]), "302");
    assert_eq!(curl(host, "/nowhere", &[]), "404");
    assert_eq!(curl("old.test", "/", &[]), "000");
    assert_eq!(curl("unknown.test", "/", &[]), "000");
    let requests = https.requests();
    assert_eq!(requests.len(), 4);
    assert_eq!(requests[1].body, b"abc");
    assert!(
        https
            .handshakes()
            .iter()
            .any(|(name, result)| name == "old.test" && result.is_err())
    );
}
