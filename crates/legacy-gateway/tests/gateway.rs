//! The gateway as a process, with a core that is played by the test and `openssl s_client` as its clients.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking and waits on the machine's clock"
)]

use gateway_link::{
    Allowed, Cleartext, Decoded, Frame, Status, Version, VersionSet, decode, encode,
};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

const EVERYTHING: Allowed = Allowed {
    versions: VersionSet::ALL,
    cleartext: Cleartext::Served,
};

/// Certificate and key of a made up host, in `dir`.
fn certificate(dir: &Path) {
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        ])
        .args(["-subj", "/CN=imap-legacy.rp.test", "-keyout"])
        .arg(dir.join("key.pem"))
        .arg("-out")
        .arg(dir.join("crt.pem"))
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success());
}

fn settings(dir: &Path) -> String {
    format!(
        "socket = \"{0}/core.sock\"\nuser = \"nobody\"\ncertificate = \"{0}/crt.pem\"\nkey = \"{0}/key.pem\"\n\
         [[listener]]\naddress = \"127.0.0.1:0\"\nrole = \"imaps\"\n\
         [[listener]]\naddress = \"127.0.0.1:0\"\nrole = \"imap\"\n",
        dir.display()
    )
}

/// A gateway and the core it talks to. The core answers every piece of data with itself, in capitals.
struct Running {
    child: Child,
    implicit: String,
    clear: String,
    orders: Sender<Allowed>,
    heard: Receiver<String>,
    _dir: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rohrpost-legacy"));
    command.arg("--config").arg(dir.join("legacy.toml"));
    command
}

fn prepared() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    // The gateway's user must reach the socket.
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    certificate(dir.path());
    std::fs::write(dir.path().join("legacy.toml"), settings(dir.path())).unwrap();
    dir
}

fn start() -> Running {
    use std::os::unix::fs::PermissionsExt;
    let dir = prepared();
    let path = dir.path().join("core.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    let (orders, to_do) = channel();
    let (tell, heard) = channel();
    std::thread::spawn(move || {
        let mut to_do = Some(to_do);
        for stream in listener.incoming() {
            let (stream, tell) = (stream.unwrap(), tell.clone());
            let mut bytes = Vec::new();
            match read_frame(&stream, &mut bytes) {
                Some(text) if text.starts_with("Control") => {
                    let orders = to_do.take().unwrap();
                    std::thread::spawn(move || control(&stream, &orders, &tell));
                }
                Some(_) => drop(std::thread::spawn(move || client(&stream, bytes, &tell))),
                None => {}
            }
        }
    });
    let mut child = command(dir.path())
        .arg("--print-addresses")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut address = || {
        let line = lines.next().unwrap().unwrap();
        line.rsplit(' ').next().unwrap().to_owned()
    };
    let (implicit, clear) = (address(), address());
    let running = Running {
        child,
        implicit,
        clear,
        orders,
        heard,
        _dir: dir,
    };
    running.allow(EVERYTHING);
    running
}

/// Reads until a frame is there, takes it, and gives it as text.
fn read_frame(mut stream: &UnixStream, bytes: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Decoded::Frame { frame, total_bytes } = decode(bytes).unwrap() {
            let text = match frame {
                Frame::Data(data) => String::from_utf8_lossy(data).into_owned(),
                other => format!("{other:?}"),
            };
            bytes.drain(..total_bytes);
            return Some(text);
        }
        let mut space = [0; 4096];
        match stream.read(&mut space) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&space[..read]),
        }
    }
}

fn say(mut stream: &UnixStream, frame: &Frame<'_>) {
    let mut bytes = Vec::new();
    encode(frame, &mut bytes);
    let _ = stream.write_all(&bytes);
}

fn control(stream: &UnixStream, orders: &Receiver<Allowed>, tell: &Sender<String>) {
    let reading = stream.try_clone().unwrap();
    let tell = tell.clone();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        while let Some(status) = read_frame(&reading, &mut bytes) {
            let _ = tell.send(status);
        }
    });
    while let Ok(allowed) = orders.recv() {
        say(stream, &Frame::Allowed(allowed));
    }
}

fn client(stream: &UnixStream, mut bytes: Vec<u8>, tell: &Sender<String>) {
    while let Some(text) = read_frame(stream, &mut bytes) {
        if text.starts_with("Tls") {
            let _ = tell.send(text);
        } else if text.contains("starttls") {
            say(stream, &Frame::StartTls(b"a OK begin\r\n"));
        } else {
            say(stream, &Frame::Data(text.to_uppercase().as_bytes()));
        }
    }
}

impl Running {
    /// Orders, and waits until the gateway says that it knows.
    fn allow(&self, allowed: Allowed) {
        self.orders.send(allowed).unwrap();
        self.wait_for(&format!("Status(Status {{ allowed: {allowed:?}"));
    }

    fn wait_for(&self, part: &str) -> String {
        loop {
            let text = self.heard.recv_timeout(Duration::from_secs(10)).unwrap();
            if text.contains(part) {
                return text;
            }
        }
    }

    /// `openssl s_client` that sends `hello` and reads the answer; gives its whole output.
    fn s_client(&self, arguments: &[&str]) -> String {
        let mut child = spawn_s_client(&self.implicit, arguments);
        let mut input = child.stdin.take().unwrap();
        let _ = input.write_all(b"hello\n");
        std::thread::sleep(Duration::from_millis(400));
        drop(input);
        let output = child.wait_with_output().unwrap();
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    }
}

fn spawn_s_client(address: &str, arguments: &[&str]) -> Child {
    Command::new("openssl")
        .args(["s_client", "-connect", address])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn inside_the_sandbox_nothing_else_is_possible() {
    let dir = prepared();
    let output = command(dir.path()).arg("--self-test").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    assert_eq!(text.matches("refused: ").count(), 6, "{text}");
}

#[test]
fn old_versions_are_spoken_and_told_of() {
    let running = start();
    for (option, name) in [
        ("-tls1", "Tls10"),
        ("-tls1_1", "Tls11"),
        ("-tls1_2", "Tls12"),
    ] {
        let output = running.s_client(&[
            option,
            "-cipher",
            "ALL:@SECLEVEL=0",
            "-servername",
            "imap-legacy.rp.test",
        ]);
        assert!(output.contains("HELLO"), "{option}: {output}");
        assert!(output.contains("Secure Renegotiation IS supported"));
        let facts = running.wait_for("TlsStarted");
        assert!(facts.contains(&format!("version: {name}")), "{facts}");
        assert!(facts.contains("TLS_ECDHE_RSA_WITH_AES_"), "{facts}");
        assert!(facts.contains("imap-legacy.rp.test"));
        // The ClientHello is there: a handshake record.
        assert!(facts.contains("hello: [22, 3, 1,"), "{facts}");
    }
    let output = running.s_client(&["-tls1_3"]);
    assert!(output.contains("alert protocol version"), "{output}");
}

#[test]
fn dhe_uses_a_group_of_rfc_7919() {
    let running = start();
    let output = running.s_client(&["-tls1_1", "-cipher", "DHE:@SECLEVEL=0"]);
    assert!(
        output.contains("Server Temp Key: DH, 2048 bits"),
        "{output}"
    );
    assert!(running.wait_for("TlsStarted").contains("DHE_RSA"));
}

#[test]
fn sessions_end_when_their_version_is_switched_off() {
    let running = start();
    let mut child = spawn_s_client(&running.implicit, &["-tls1", "-cipher", "ALL:@SECLEVEL=0"]);
    running.wait_for("TlsStarted");
    let begin = Instant::now();
    running.allow(Allowed {
        versions: VersionSet::NONE.with(Version::Tls12),
        cleartext: Cleartext::Refused,
    });
    assert!(child.wait().is_ok());
    assert!(begin.elapsed() < Duration::from_secs(5));
    let output = running.s_client(&["-tls1", "-cipher", "ALL:@SECLEVEL=0"]);
    assert!(output.contains("alert"), "{output}");
    assert!(running.wait_for("TlsFailed").contains("hello: [22, 3, 1,"));
    assert!(running.s_client(&["-tls1_2"]).contains("HELLO"));
}

#[test]
fn clear_text_and_starttls_pass_until_clear_text_is_refused() {
    let running = start();
    let mut plain = std::net::TcpStream::connect(&running.clear).unwrap();
    plain.write_all(b"hello").unwrap();
    let mut answer = [0; 5];
    plain.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HELLO");
    plain.write_all(b"starttls").unwrap();
    let mut line = [0; 12];
    plain.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"a OK begin\r\n");
    let mut other = std::net::TcpStream::connect(&running.clear).unwrap();
    other.write_all(b"hello").unwrap();
    other.read_exact(&mut answer).unwrap();
    running.allow(Allowed {
        cleartext: Cleartext::Refused,
        ..EVERYTHING
    });
    other
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    assert_eq!(other.read(&mut answer).unwrap(), 0);
}

#[test]
fn without_a_core_nobody_is_served() {
    let mut running = start();
    // The status has its form in the same version of the link.
    let idle = Status {
        allowed: EVERYTHING,
        sessions: gateway_link::Sessions::default(),
        doors: Vec::new(),
    };
    assert!(format!("{idle:?}").starts_with("Status"));
    let path = running._dir.path().join("core.sock");
    std::fs::remove_file(path).unwrap();
    let output = running.s_client(&["-tls1_2"]);
    assert!(!output.contains("HELLO"), "{output}");
    assert!(running.child.try_wait().unwrap().is_none());
}
