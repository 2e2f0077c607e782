//! S0-02: each measure has a date of its own, and takes effect at that local midnight in the running server.
//! (That nodes on one store switch together is S2-23.)

use harness::Lab;
use harness::openssl::handshake;
use std::time::Duration;

const TLS11: &[&str] = &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"];
const PORTS: [(&str, &str); 3] = [
    ("imaps", "tls-version/imap"),
    ("pop3s", "tls-version/pop3"),
    ("submissions", "tls-version/submission"),
];
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Which ports agree on TLS 1.1; the others say so with the alert.
fn agreed(lab: &Lab) -> Vec<&'static str> {
    let mut ports = Vec::new();
    for (port, _) in PORTS {
        let result = handshake(&lab.server, port, None, TLS11);
        if result.agreed {
            ports.push(port);
        } else {
            let output = &result.output;
            assert!(output.contains("alert number 70"), "{port}: {output}");
        }
    }
    ports
}

#[test]
fn each_measure_ends_old_tls_at_its_own_midnight() {
    let lab = Lab::start_legacy(&[]);
    let pid = lab.server.pid();
    assert!(
        agreed(&lab).is_empty(),
        "the default profile is TLS 1.2 and newer"
    );
    // The lab's time is 2 March 2026, 9:00 in Berlin.
    let dates = ["2026-03-03", "2026-03-04", "2026-03-05"];
    for ((_, measure), date) in PORTS.iter().zip(dates) {
        let value = format!("1.2 observe; {date} enforce");
        lab.policy("installation", measure, &value);
    }
    lab.settle();
    lab.forward(Duration::from_secs(15 * 3600 - 60));
    assert_eq!(agreed(&lab), ["imaps", "pop3s", "submissions"]);
    lab.forward(Duration::from_secs(60));
    assert_eq!(agreed(&lab), ["pop3s", "submissions"]);
    lab.forward(DAY - Duration::from_secs(60));
    assert_eq!(agreed(&lab), ["pop3s", "submissions"]);
    lab.forward(Duration::from_secs(60));
    assert_eq!(agreed(&lab), ["submissions"]);
    lab.forward(DAY);
    assert!(agreed(&lab).is_empty());
    assert_eq!(lab.server.pid(), pid);
}
