//! S1-26: a client whose port and mode do not fit is recognised, the log says so, and so do the connections of
//! the account that alone came from that address.

use harness::openssl::handshake;
use harness::{Lab, Lines, Server};
use std::time::Duration;

#[test]
fn tls_on_a_port_for_starttls_is_noticed() {
    let server = Server::start();
    for port in ["imap", "pop3", "submission", "smtp"] {
        assert!(!handshake(&server, port, None, &[]).agreed);
    }
    wait_for(&server, "wrong mode: the client starts TLS at once", 4);
}

#[test]
fn cleartext_on_a_port_for_tls_is_noticed() {
    let server = Server::start();
    for port in ["imaps", "pop3s", "submissions"] {
        let mut client = Lines::clear(server.port(port));
        client.say("a CAPABILITY");
        let answer = client.rest(1000);
        assert!(
            !answer.starts_with(b"* OK") && !answer.starts_with(b"220"),
            "{answer:?}"
        );
    }
    wait_for(&server, "wrong mode: the client does not start TLS", 3);
}

/// How anna's connections show it: service, encryption, outcome.
fn shown(lab: &Lab, service: &str, encryption: &str, outcome: &str) -> bool {
    let anna = lab.server.account("anna").address;
    let told = lab.cli(&["audit", "account", &anna]);
    told.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        [service, encryption, outcome]
            .iter()
            .all(|word| words.contains(word))
    })
}

fn log_in(lab: &Lab, name: &str) {
    let account = lab.server.account(name);
    let mut imap = Lines::tls(lab.server.port("imaps"), &lab.server.ca_file());
    imap.line();
    let login = format!("LOGIN {} {}", account.address, account.password);
    let reply = imap.imap_ask("a", &login);
    assert!(reply.contains("a OK"), "{reply}");
}

#[test]
fn the_only_account_from_an_address_sees_its_wrong_mode() {
    let lab = Lab::start();
    // While nobody is known to come from there, it is nobody's.
    assert!(!handshake(&lab.server, "imap", None, &[]).agreed);
    assert!(!shown(&lab, "imap", "tls", "wrong-mode"));
    log_in(&lab, "anna");
    assert!(!handshake(&lab.server, "imap", None, &[]).agreed);
    assert!(shown(&lab, "imap", "tls", "wrong-mode"));
    let mut clear = Lines::clear(lab.server.port("pop3s"));
    clear.say("USER anna");
    clear.rest(1000);
    assert!(shown(&lab, "pop3", "clear", "wrong-mode"));
    let old = ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"];
    assert!(!handshake(&lab.server, "submissions", None, &old).agreed);
    assert!(shown(&lab, "submission", "tls", "handshake-failed"));
    // Two accounts from one address: nobody can tell whose it was.
    log_in(&lab, "bernd");
    assert!(!handshake(&lab.server, "submission", None, &[]).agreed);
    assert!(!shown(&lab, "submission", "tls", "wrong-mode"));
}

/// The log is written by another process; a moment may pass.
#[allow(clippy::disallowed_methods, reason = "waits for another process")]
fn wait_for(server: &Server, text: &str, times: usize) {
    for _ in 0..100 {
        if server.log().matches(text).count() >= times {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!(
        "the log does not say {times} times «{text}»:\n{}",
        server.log()
    );
}
