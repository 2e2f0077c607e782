//! S3-36: every domain's SRV records are made to be put into its zone, and `dig` finds 587 there; S3-39: a service that is
//! switched off is said to be absent; S3-43: the guides say that `_submission` is 587 with STARTTLS and `_submissions`
//! is 465. Priorities as in S3-38, which are not configurable, so that S3-38 is not claimed.

use harness::server::program;
use harness::{Named, Server};
use std::path::Path;
use std::process::Command;

const PORTS: &str = "clients.ports=[\"imap starttls 143\", \"imap tls 993\", \"pop3 starttls 110\", \"pop3 tls 995\", \
                     \"smtp starttls 587\", \"smtp tls 465\"]";

fn discovery(config: &Path) -> String {
    let output = Command::new(program())
        .arg("--config")
        .arg(config)
        .args(["dns", "discovery", "firma.test"])
        .output()
        .expect("the CLI runs");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn dig_finds_the_records_that_were_emitted() {
    let server = Server::start_with(&["--set", PORTS]);
    for (word, host) in [("smtp-host", "smtp.rp.test"), ("imap-host", "imap.rp.test")] {
        let (ok, out, err) = server.cli(&["rollout", "voice", "set", word, host]);
        assert!(ok, "{out}{err}");
    }
    let named = Named::start(
        "firma.test",
        &discovery(&server.dir().join("rohrpost.toml")),
    );
    for (label, told) in [
        ("_submission", "5 1 587 smtp.rp.test."),
        ("_submissions", "0 1 465 smtp.rp.test."),
        ("_imaps", "0 1 993 imap.rp.test."),
        ("_imap", "5 1 143 imap.rp.test."),
        ("_pop3s", "10 1 995 mx.rp.test."),
        ("_pop3", "15 1 110 mx.rp.test."),
        ("_autodiscover", "0 0 443 mx.rp.test."),
    ] {
        let seen = named.dig(&format!("{label}._tcp.firma.test"), "SRV");
        assert_eq!(seen, told, "{label}");
    }
    assert_eq!(named.dig("autoconfig.firma.test", "CNAME"), "mx.rp.test.");
}

#[test]
fn a_service_that_is_switched_off_is_said_to_be_absent() {
    let mut server = Server::start();
    let port = server.port("pop3");
    assert!(port > 0);
    server.kill();
    // The operator takes the listeners of POP3 out.
    let config = server.dir().join("rohrpost.toml");
    let settings = std::fs::read_to_string(&config).expect("its settings");
    let (before, listeners) = settings.split_once("[[listener]]").expect("listeners");
    let kept: Vec<&str> = listeners
        .split("[[listener]]")
        .filter(|listener| !listener.contains("role = \"pop3\""))
        .collect();
    // The demo leaves ports to the system; somebody who runs a node names them.
    let mut number = 20_000;
    let kept = kept.join("[[listener]]").replace(":0\"", "@");
    let mut settings = format!("{before}[[listener]]");
    for part in kept.split_inclusive('@') {
        number += 1;
        settings.push_str(&part.replace('@', &format!(":{number}\"")));
    }
    std::fs::write(&config, settings).expect("written");
    let named = Named::start("firma.test", &discovery(&config));
    for label in ["_pop3", "_pop3s"] {
        let seen = named.dig(&format!("{label}._tcp.firma.test"), "SRV");
        assert_eq!(seen, "0 0 0 .", "{label}");
    }
    let imap = named.dig("_imap._tcp.firma.test", "SRV");
    assert!(
        imap.starts_with("5 1 200") && imap.ends_with("mx.rp.test."),
        "{imap}"
    );
}

#[test]
fn the_guides_tell_the_two_records_of_submission_apart() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    for (file, told) in [
        (
            "operator-guide.md",
            "`_submissions` is 465 with TLS from the first byte, `_submission` is 587 with STARTTLS, which is required",
        ),
        (
            "betriebshandbuch.md",
            "`_submissions` ist 465 mit TLS von Anfang an, `_submission` ist 587 mit STARTTLS, das auch dort Pflicht ist",
        ),
    ] {
        let text = std::fs::read_to_string(docs.join(file)).expect("the guide");
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(told), "{file}");
    }
}
