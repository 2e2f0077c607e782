//! S1-17: at the end date the legacy hosts greet nobody any more but with the reason and a link; who is left is
//! listed, and the names are to be taken out of the DNS.

use harness::Lab;
use harness::dns::Signing;
use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

fn greeting(lab: &Lab, port: &str) -> String {
    let address = (lab.server.legacy_host(), lab.server.port(port));
    let mut stream = TcpStream::connect(address).expect("a listener");
    stream
        .set_read_timeout(Some(Duration::from_millis(1500)))
        .expect("a timeout");
    let mut text = Vec::new();
    let mut space = [0; 1024];
    while let Ok(bytes) = stream.read(&mut space) {
        if bytes == 0 {
            break;
        }
        text.extend_from_slice(&space[..bytes]);
        if text.ends_with(b"\r\n") {
            break;
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn the_end_comes_by_itself() {
    let lab = Lab::start_legacy(&[]);
    lab.dns.zone("rp.test", Signing::Unsigned);
    for name in ["smtp-legacy", "imap-legacy", "pop3-legacy"] {
        let address = "192.0.2.10".parse().expect("an address");
        lab.dns.address(&format!("{name}.rp.test"), address);
    }
    lab.policy(
        "installation",
        "legacy-access",
        "until 2026-03-31 cleartext",
    );
    let anna = lab.server.account("anna");
    lab.cli(&["legacy", "enrol", &anna.address]);
    lab.wait("the gateway", || {
        let status = lab.cli(&["legacy", "status"]);
        match status.contains("logins allowed") {
            true => Ok(()),
            false => Err(status),
        }
    });
    assert!(greeting(&lab, "imap_legacy").starts_with("* OK"));
    let records = lab.cli(&["legacy", "dns"]);
    assert!(records.contains("\nimap-legacy.rp.test. "), "{records}");
    // The last day is 31 March in Berlin, which ends at 22:00 UTC; the lab began on 2 March at 8:00.
    lab.forward(Duration::from_secs(29 * 86_400 + 13 * 3600 + 59 * 60));
    assert!(greeting(&lab, "imap_legacy").starts_with("* OK"));
    lab.forward(Duration::from_secs(2 * 60));
    for (port, begin) in [
        ("imap_legacy", "* BYE "),
        ("pop3_legacy", "-ERR "),
        ("smtp_legacy", "554 "),
    ] {
        let told = greeting(&lab, port);
        assert!(told.starts_with(begin), "{port}: {told}");
        assert!(
            told.contains("https://mx.rp.test/h/legacy"),
            "{port}: {told}"
        );
    }
    let status = lab.cli(&["legacy", "status"]);
    assert!(status.contains("over since 2026-03-31"), "{status}");
    let records = lab.cli(&["legacy", "dns"]);
    for name in ["smtp-legacy", "imap-legacy", "pop3-legacy"] {
        assert!(
            records.contains(&format!("\n-{name}.rp.test. ")),
            "{records}"
        );
        assert!(
            !records.contains(&format!("\n{name}.rp.test. ")),
            "{records}"
        );
    }
    let left = lab.cli(&["legacy", "list"]);
    assert!(left.contains(&anna.address), "{left}");
    // Nobody can be enrolled any more.
    let bernd = lab.server.account("bernd").address;
    let (ok, _, told) = lab.server.cli(&["legacy", "enrol", &bernd]);
    assert!(!ok && told.contains("has ended"), "{told}");
}
