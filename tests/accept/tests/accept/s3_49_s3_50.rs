//! S3-49: each customer group has an MX of its own: name, certificate, limits, and domains of other
//! groups are sent there. S3-50: a listener is any address, port, mode, role and TLS profile.

use harness::authority::self_signed;
use harness::{Server, server};
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A node with listeners of the test's choice; ends with its handle.
struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free(last: u8) -> SocketAddr {
    let ip = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
    let listener = TcpListener::bind((ip, 0)).expect("a port");
    listener.local_addr().expect("an address")
}

/// The demo provider's data under a `rohrpost serve` with these listeners.
#[allow(clippy::disallowed_methods, reason = "waits for another process")]
fn serve(dir: &Path, listeners: &str, ready: SocketAddr) -> Node {
    let mut demo = Server::start_in(dir, &[]);
    for command in [
        &["group", "add", "firmen"][..],
        &["group", "add", "private"],
        &["domain", "set", "firma.test", "--group", "firmen"],
        &["domain", "set", "privat.test", "--group", "private"],
    ] {
        let (ok, _, errors) = demo.cli(command);
        assert!(ok, "{command:?}: {errors}");
    }
    demo.kill();
    for name in ["mx-firmen.rp.test", "mx-privat.rp.test"] {
        let made = tempfile::tempdir().expect("a folder");
        let (chain, key) = self_signed(&[name]).write(made.path());
        std::fs::copy(chain, dir.join(format!("tls/{name}.crt"))).expect("a copy");
        std::fs::copy(key, dir.join(format!("tls/{name}.key"))).expect("a copy");
    }
    let config = dir.join("rohrpost.toml");
    let text = std::fs::read_to_string(&config).expect("settings");
    let others = format!("\n{text}");
    let others: Vec<&str> = others
        .split("\n[")
        .filter(|section| !section.starts_with("[listener]]"))
        .collect();
    let text = format!("{}\n\n{listeners}", others.join("\n["));
    std::fs::write(&config, text).expect("a file");
    let log = std::fs::File::create(dir.join("serve.log")).expect("a log file");
    let child = Command::new(server::program())
        .arg("--config")
        .arg(&config)
        .arg("serve")
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log)
        .spawn()
        .expect("the server starts");
    let node = Node(child);
    let begin = Instant::now();
    while TcpStream::connect(ready).is_err() {
        let log = std::fs::read_to_string(dir.join("serve.log")).unwrap_or_default();
        assert!(begin.elapsed() < Duration::from_secs(60), "{log}");
        std::thread::sleep(Duration::from_millis(50));
    }
    node
}

/// Says lines in clear, one after the other; all replies.
fn talk(to: SocketAddr, lines: &[&str]) -> Vec<String> {
    let socket = TcpStream::connect(to).expect("a connection");
    let mut reader = BufReader::new(socket.try_clone().expect("a second handle"));
    let mut replies = Vec::new();
    let mut reply = || {
        let mut whole = String::new();
        loop {
            let start = whole.len();
            reader.read_line(&mut whole).expect("a line");
            if whole.as_bytes().get(start + 3) != Some(&b'-') {
                return whole;
            }
        }
    };
    replies.push(reply());
    for line in lines {
        write!(&socket, "{line}\r\n").expect("sending works");
        replies.push(reply());
    }
    replies
}

/// What OpenSSL says of the certificate at `to`, without naming a host.
fn certificate(to: SocketAddr, more: &[&str]) -> String {
    let output = Command::new("openssl")
        .args(["s_client", "-noservername", "-connect", &to.to_string()])
        .args(more)
        .stdin(Stdio::null())
        .output()
        .expect("openssl is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let pem = text
        .split("-----BEGIN CERTIFICATE-----")
        .nth(1)
        .unwrap_or_default();
    let mut show = Command::new("openssl")
        .args(["x509", "-noout", "-ext", "subjectAltName"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl is installed");
    let mut input = show.stdin.take().expect("a pipe");
    let _ = write!(input, "-----BEGIN CERTIFICATE-----{pem}");
    drop(input);
    let output = show.wait_with_output().expect("openssl ends");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn every_group_has_its_own_mx() {
    let dir = tempfile::tempdir().expect("a folder");
    let (firmen, private) = (free(2), free(3));
    let listeners = format!(
        "[[listener]]\naddress = \"{firmen}\"\nmode = \"starttls\"\nrole = \"mx\"\n\
         host_name = \"mx-firmen.rp.test\"\ngroups = [\"firmen\"]\n\n\
         [[listener]]\naddress = \"{private}\"\nmode = \"starttls\"\nrole = \"mx\"\n\
         host_name = \"mx-privat.rp.test\"\ngroups = [\"private\"]\nmessage_size_max = \"1 MiB\"\n\
         recipients_max = 100\n"
    );
    let _node = serve(dir.path(), &listeners, private);
    for (to, name, own, other, right) in [
        (
            firmen,
            "mx-firmen.rp.test",
            "anna@firma.test",
            "carla@privat.test",
            "mx-privat.rp.test",
        ),
        (
            private,
            "mx-privat.rp.test",
            "carla@privat.test",
            "anna@firma.test",
            "mx-firmen.rp.test",
        ),
    ] {
        let replies = talk(
            to,
            &[
                "EHLO mx.far.test",
                "MAIL FROM:<x@far.test>",
                &format!("RCPT TO:<{other}>"),
                &format!("RCPT TO:<{own}>"),
            ],
        );
        assert!(
            replies[0].starts_with(&format!("220 {name} ")),
            "{replies:?}"
        );
        assert!(
            replies[1].starts_with(&format!("250-{name}\r\n")),
            "{replies:?}"
        );
        let small = replies[1].contains("SIZE 1048576") && replies[1].contains("RCPTMAX=100\r\n");
        assert_eq!(small, to == private, "{replies:?}");
        assert!(
            replies[3].starts_with("450 4.7.1 ") && replies[3].contains(right),
            "{replies:?}"
        );
        assert!(replies[4].starts_with("250"), "{replies:?}");
        let shown = certificate(to, &["-starttls", "smtp"]);
        assert!(shown.contains(name), "{shown}");
    }
}

#[test]
fn a_listener_is_any_address_port_mode_role_and_profile() {
    let dir = tempfile::tempdir().expect("a folder");
    let kinds = [
        ("starttls", "mx", "default"),
        ("starttls", "securemx", "default"),
        ("starttls", "submission", "default"),
        ("tls", "submission", "modern"),
        ("tls", "imap", "default"),
        ("starttls", "pop3", "default"),
    ];
    let addresses: Vec<SocketAddr> = (4..).take(kinds.len()).map(free).collect();
    let listeners: String = addresses
        .iter()
        .zip(kinds)
        .map(|(address, (mode, role, profile))| {
            format!(
                "[[listener]]\naddress = \"{address}\"\nmode = \"{mode}\"\nrole = \"{role}\"\n\
                 profile = \"{profile}\"\n\n"
            )
        })
        .collect();
    let _node = serve(dir.path(), &listeners, addresses[5]);
    let shown = Command::new("ss")
        .arg("-ltn")
        .output()
        .expect("ss is installed");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    for address in &addresses {
        assert!(shown.contains(&address.to_string()), "{address}: {shown}");
    }
    let mail = ["EHLO mx.far.test", "MAIL FROM:<x@far.test>"];
    assert!(talk(addresses[0], &mail)[2].starts_with("250"));
    assert!(talk(addresses[1], &mail)[2].starts_with("530 5.7.0 Must issue a STARTTLS"));
    assert!(talk(addresses[2], &mail)[2].starts_with("530 5.7.0 "));
    assert!(talk(addresses[5], &[])[0].starts_with("+OK"));
    assert!(certificate(addresses[4], &["-tls1_2"]).contains("rp.test"));
    assert!(certificate(addresses[3], &["-tls1_3"]).contains("rp.test"));
    assert!(!certificate(addresses[3], &["-tls1_2"]).contains("rp.test"));
}
