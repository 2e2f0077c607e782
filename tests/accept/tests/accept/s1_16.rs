//! S1-16: the legacy hosts stand apart: an address, a process, a user and a key of their own, no MX, nobody but the
//! enrolled, every use known; and a gateway that is taken over can do next to nothing.

use harness::Lab;
use harness::customer::{Customer, Newest, Program, Protocol, Security};
use std::process::{Command, Stdio};

fn with_access() -> Lab {
    let lab = Lab::start_legacy(&[]);
    lab.policy(
        "installation",
        "legacy-access",
        "until 2026-05-30 cleartext",
    );
    lab.wait("the gateway", || {
        let status = lab.cli(&["legacy", "status"]);
        match status.contains("logins allowed") {
            true => Ok(()),
            false => Err(status),
        }
    });
    lab
}

fn visit(lab: &Lab, account: &str, newest: Newest) -> harness::customer::Visit {
    let account = lab.server.account(account);
    let customer = Customer {
        program: Program {
            imap_id: None,
            hello: "old.test",
            mailer: None,
            security: Security::Tls,
            newest,
        },
        user: account.address,
        password: account.password,
    };
    let port = lab.server.port("imaps_legacy");
    customer.visit(Protocol::Imap, &lab.server.legacy_host(), port, "")
}

#[test]
fn only_the_enrolled_are_served_and_the_others_are_told_where_to_go() {
    let lab = with_access();
    let refused = visit(&lab, "bernd", Newest::Tls10);
    assert!(!refused.ok && refused.stage == "login", "{refused:?}");
    assert!(
        refused.text.contains("https://mx.rp.test/h/legacy"),
        "{refused:?}"
    );
    // A current program is no exception: the names are for the enrolled.
    assert!(!visit(&lab, "bernd", Newest::Tls12).ok);
    let bernd = lab.server.account("bernd").address;
    lab.cli(&["legacy", "enrol", &bernd, "--reason", "printer"]);
    lab.wait("the enrolment", || {
        match visit(&lab, "bernd", Newest::Tls10) {
            visit if visit.ok => Ok(()),
            visit => Err(format!("{visit:?}")),
        }
    });
    // Each use is recorded.
    let left = lab.cli(&["legacy", "list", "--left"]);
    assert!(
        left.contains("bernd@firma.test") && left.contains("used 2026-03-02"),
        "{left}"
    );
    lab.cli(&["legacy", "withdraw", &bernd]);
    lab.wait("the end of it", || {
        match visit(&lab, "bernd", Newest::Tls10) {
            visit if !visit.ok => Ok(()),
            visit => Err(format!("{visit:?}")),
        }
    });
}

#[test]
fn the_gateway_is_another_process_at_another_address_with_another_key() {
    let lab = with_access();
    let gateway = lab.server.endpoints()["legacy"]["pid"]
        .as_u64()
        .expect("a pid");
    assert_ne!(gateway, u64::from(lab.server.pid()));
    let listening = Command::new("ss")
        .args(["-ltnp"])
        .output()
        .expect("ss is installed");
    let listening = String::from_utf8_lossy(&listening.stdout).into_owned();
    let line = |host: &str, port: &str| {
        let address = format!("{host}:{} ", lab.server.port(port));
        let found = listening.lines().find(|line| line.contains(&address));
        found
            .unwrap_or_else(|| panic!("nobody listens on {address}:\n{listening}"))
            .to_owned()
    };
    let legacy = line(&lab.server.legacy_host(), "imaps_legacy");
    assert!(legacy.contains(&format!("pid={gateway},")), "{legacy}");
    let normal = line("127.0.0.1", "imaps");
    assert!(
        normal.contains(&format!("pid={},", lab.server.pid())),
        "{normal}"
    );
    let status = std::fs::read_to_string(format!("/proc/{gateway}/status")).expect("its status");
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        line.unwrap_or_default()
            .split_whitespace()
            .skip(1)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    // Not root, never again anything else; no privileges; under a filter of system calls.
    assert!(field("Uid:").iter().all(|uid| uid != "0"), "{status}");
    assert_eq!(field("NoNewPrivs:"), ["1"]);
    assert_eq!(field("Seccomp:"), ["2"]);
    assert_eq!(field("CapEff:"), ["0000000000000000"]);
    let key = |host: &str, port: u16| {
        let shown = Command::new("openssl")
            .args([
                "s_client",
                "-tls1_2",
                "-cipher",
                "aRSA",
                "-connect",
                &format!("{host}:{port}"),
            ])
            .stdin(Stdio::null())
            .output()
            .expect("openssl is installed");
        let mut child = Command::new("openssl")
            .args(["x509", "-noout", "-pubkey"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("openssl is installed");
        let mut input = child.stdin.take().expect("piped");
        std::io::Write::write_all(&mut input, &shown.stdout).expect("told");
        drop(input);
        let output = child.wait_with_output().expect("it ends");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let legacy = key(&lab.server.legacy_host(), lab.server.port("imaps_legacy"));
    let normal = key("127.0.0.1", lab.server.port("imaps"));
    assert!(legacy.contains("PUBLIC KEY") && normal.contains("PUBLIC KEY"));
    assert_ne!(legacy, normal);
}

#[test]
fn there_is_no_mx_behind_the_gateway() {
    let lab = with_access();
    let settings = lab.server.dir().join("legacy/legacy.toml");
    let text = std::fs::read_to_string(&settings).expect("its settings");
    let wrong = settings.with_file_name("mx.toml");
    std::fs::write(&wrong, text.replace("\"smtp-submission\"", "\"mx\"")).expect("written");
    let program = harness::server::program().with_file_name("rohrpost-legacy");
    let tried = Command::new(program)
        .arg("--check")
        .arg("--config")
        .arg(wrong)
        .output()
        .expect("it runs");
    assert!(!tried.status.success());
    let told = String::from_utf8_lossy(&tried.stderr).into_owned();
    assert!(told.contains("unknown variant `mx`"), "{told}");
    // Nobody sends without login there, not even to our own domains.
    let mut smtp =
        std::net::TcpStream::connect((lab.server.legacy_host(), lab.server.port("smtp_legacy")))
            .expect("a listener");
    let commands =
        "EHLO old.test\r\nMAIL FROM:<x@other.test>\r\nRCPT TO:<anna@firma.test>\r\nQUIT\r\n";
    std::io::Write::write_all(&mut smtp, commands.as_bytes()).expect("said");
    let mut told = String::new();
    std::io::Read::read_to_string(&mut smtp, &mut told).expect("the server closes");
    assert!(told.contains("\r\n530 5.7.0 "), "{told}");
    assert!(!told.contains("250 2.1.5"), "{told}");
}

#[test]
fn a_gateway_that_is_taken_over_can_do_next_to_nothing() {
    let lab = with_access();
    let program = harness::server::program().with_file_name("rohrpost-legacy");
    let output = Command::new(program)
        .arg("--self-test")
        .arg("--config")
        .arg(lab.server.dir().join("legacy/legacy.toml"))
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    for what in ["open /etc/passwd", "connect to a host", "run a program"] {
        assert!(told.contains(&format!("refused: {what}")), "{told}");
    }
}
