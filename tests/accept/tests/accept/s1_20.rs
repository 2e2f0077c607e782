//! S1-20: the lowest TLS version is a setting of each protocol: HTTPS takes TLS 1.3 only while IMAP goes on with
//! 1.2, also from a date on, without a restart.

use harness::openssl::handshake;
use harness::{Lab, Server};
use std::time::Duration;

const V12: &[&str] = &["-tls1_2"];
const V13: &[&str] = &["-tls1_3"];

fn agreed(server: &Server, port: &str, version: &[&str]) -> bool {
    handshake(server, port, None, version).agreed
}

#[test]
fn https_is_for_tls_13_only_while_imap_takes_12() {
    let lab = Lab::start();
    let (server, pid) = (&lab.server, lab.server.pid());
    for port in ["https", "imaps", "pop3s", "submissions"] {
        assert!(agreed(server, port, V12), "{port}");
    }
    lab.cli(&["measure", "set", "installation", "tls-version/http", "1.3"]);
    lab.wait("HTTPS without TLS 1.2", || {
        match agreed(server, "https", V12) {
            true => Err("TLS 1.2 is agreed on".to_owned()),
            false => Ok(()),
        }
    });
    for port in ["imaps", "pop3s", "submissions"] {
        assert!(agreed(server, port, V12), "{port}");
    }
    for port in ["https", "imaps", "pop3s", "submissions"] {
        assert!(agreed(server, port, V13), "{port}");
    }
    // From a date on; the lab's time is 2 March 2026, 9:00 in Berlin.
    let schedule = ["1.3", "observe", "2026-03-03", "enforce"];
    lab.cli(
        &[
            &["measure", "set", "installation", "tls-version/pop3"][..],
            &schedule,
        ]
        .concat(),
    );
    lab.settle();
    assert!(agreed(server, "pop3s", V12));
    lab.forward(Duration::from_secs(15 * 3600));
    assert!(!agreed(server, "pop3s", V12));
    assert!(agreed(server, "pop3s", V13));
    assert!(agreed(server, "imaps", V12));
    // One account that may go on keeps the version in the handshake; the others are refused at login.
    let anna = server.account("anna").address;
    let except = [
        "measure",
        "except",
        &anna,
        "tls-version/pop3",
        "--until",
        "2026-03-10",
    ];
    let why = ["--owner", "support", "--reason", "old phone"];
    lab.cli(&[&except[..], &why].concat());
    lab.wait("TLS 1.2 for the exception", || {
        match agreed(server, "pop3s", V12) {
            true => Ok(()),
            false => Err("TLS 1.2 is refused".to_owned()),
        }
    });
    assert_eq!(server.pid(), pid);
}
