//! Lets OpenSSL's client, as old and new mail programs are configured, meet our server: which versions, suites and
//! certificates come out, what is refused and how. Tests only.

use crate::net::{
    Connection, ConnectionLimits, Deadline, Event, LimitSettings, Listener, ListenerSpec, Mode,
    Observer, Role, Shutdown, ShutdownTrigger, StreamError, WrongMode,
};
use crate::tls::{
    CertStore, ClientTls, ServerTls, ServerTlsSettings, TlsVersion, Verification, demo_ca,
};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

const HOSTS: [&str; 3] = ["mx.rp.test", "imap.rp.test", "*.wild.rp.test"];

/// Keys take a second to make, so all tests share them.
fn demo_files() -> &'static PathBuf {
    static FILES: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_kept, path) = FILES.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_owned();
        demo_ca(&path, &HOSTS).unwrap();
        (directory, path)
    });
    path
}

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Observer for Heard {
    fn event(&self, _: &ListenerSpec, _: Option<SocketAddr>, event: &Event<'_>) {
        let mut text = event.to_string();
        if let Event::HandshakeFailed(error) = event
            && let Some(hello) = &error.hello
        {
            text = format!("{text} [offered {}]", hello.offered_versions());
        }
        self.0.lock().unwrap().push(text);
    }
}

struct Server {
    address: SocketAddr,
    heard: Arc<Heard>,
    limits: Arc<ConnectionLimits>,
    _trigger: ShutdownTrigger,
}

impl Server {
    async fn heard(&self, part: &str) {
        for _ in 0..200 {
            if self
                .heard
                .0
                .lock()
                .unwrap()
                .iter()
                .any(|event| event.contains(part))
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!(
            "no event with {part:?} among {:?}",
            self.heard.0.lock().unwrap()
        );
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(5))
}

/// A toy protocol: greets, knows STARTTLS and FACTS and QUIT, echoes everything else.
async fn session(mut connection: Connection) {
    let stream = &mut connection.stream;
    stream.write(b"220 hello\r\n");
    loop {
        if stream.flush(soon()).await.is_err() {
            return;
        }
        let line = match stream.read_line(100, soon()).await {
            Ok(line) => line,
            Err(StreamError::TlsOnClearPort(hello)) => {
                stream.write(b"500 no TLS yet\r\n");
                let _ = stream.flush(soon()).await;
                let event = Event::WrongMode(WrongMode::TlsOnClearPort(hello.as_deref()));
                connection.report(&event);
                return;
            }
            Err(_) => return,
        };
        let text = String::from_utf8_lossy(&stream.buffer()[..line.content_bytes]).into_owned();
        stream.consume(line.total_bytes);
        match text.as_str() {
            "QUIT" => {
                stream.write(b"221 bye\r\n");
                let _ = stream.shutdown(soon()).await;
                return;
            }
            "STARTTLS" => {
                stream.write(b"220 go ahead\r\n");
                match stream.start_tls(&connection.tls, soon()).await {
                    Ok(started) => {
                        let line = format!("250 discarded={}\r\n", started.discarded_bytes);
                        stream.write(line.as_bytes());
                    }
                    Err(error) => return connection.report(&Event::of_handshake(&error)),
                }
            }
            "FACTS" => {
                let facts = format!("250 {:?}\r\n", stream.tls());
                stream.write(facts.as_bytes());
            }
            "PEER" => {
                let peer = format!("250 {} {}\r\n", stream.peer(), stream.local());
                stream.write(peer.as_bytes());
            }
            other => {
                stream.write(format!("250 {other}\r\n").as_bytes());
            }
        }
    }
}

fn start(mode: Mode, proxy_from: &[&str], settings: LimitSettings) -> Server {
    let store = CertStore::from_dir(demo_files(), Some("mx.rp.test")).unwrap();
    let tls = ServerTls::new(store, &ServerTlsSettings::default()).unwrap();
    let limits = ConnectionLimits::new(settings);
    let (trigger, shutdown) = Shutdown::new();
    let heard = Arc::new(Heard::default());
    let spec = ListenerSpec {
        address: "127.0.0.1:0".parse().unwrap(),
        mode,
        role: Role::Mx,
        profile: "default".to_owned(),
        proxy_from: proxy_from.iter().map(|net| net.parse().unwrap()).collect(),
        handshake_timeout: Duration::from_secs(3),
    };
    let observer = Arc::clone(&heard) as Arc<dyn Observer>;
    let listener = Listener::bind(spec, tls, Arc::clone(&limits), shutdown, observer).unwrap();
    let address = listener.address();
    tokio::spawn(listener.serve(Arc::new(session)));
    Server {
        address,
        heard,
        limits,
        _trigger: trigger,
    }
}

fn implicit() -> Server {
    start(Mode::ImplicitTls, &[], LimitSettings::default())
}

fn starttls() -> Server {
    start(Mode::StartTls, &[], LimitSettings::default())
}

/// Runs `openssl s_client` and returns everything it printed.
async fn openssl(server: &Server, arguments: &[&str], input: &[u8]) -> String {
    let mut child = Command::new("openssl")
        .arg("s_client")
        .args(["-connect", &server.address.to_string(), "-ign_eof"])
        .arg("-CAfile")
        .arg(demo_files().join("ca.pem"))
        .args(arguments)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("openssl is installed");
    let mut stdin = child.stdin.take().unwrap();
    // A client that is refused does not read its input.
    let _ = stdin.write_all(input).await;
    drop(stdin);
    let output = tokio::time::timeout(Duration::from_secs(10), child.wait_with_output())
        .await
        .expect("openssl ends")
        .unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

const QUIT: &[u8] = b"FACTS\r\nQUIT\r\n";

#[tokio::test]
async fn tls_1_3_comes_first_and_1_2_works() {
    let server = implicit();
    let newest = openssl(&server, &["-servername", "imap.rp.test"], QUIT).await;
    assert!(
        newest.contains("New, TLSv1.3, Cipher is TLS_AES_128_GCM_SHA256"),
        "{newest}"
    );
    assert!(newest.contains("Verify return code: 0 (ok)"), "{newest}");
    assert!(newest.contains("sni: Some(\"imap.rp.test\")"), "{newest}");
    assert!(newest.contains("group: Some(\"x25519\")"), "{newest}");
    let older = openssl(&server, &["-tls1_2"], QUIT).await;
    assert!(
        older.contains("New, TLSv1.2, Cipher is ECDHE-ECDSA-AES128-GCM-SHA256"),
        "{older}"
    );
    assert!(
        older.contains("Secure Renegotiation IS supported"),
        "{older}"
    );
    assert!(older.contains("Extended master secret: yes"), "{older}");
    assert!(older.contains("Compression: NONE"), "{older}");
}

#[tokio::test]
async fn old_versions_get_alert_70_and_are_known() {
    let server = implicit();
    for (flag, offered) in [("-tls1", "TLSv1 or older"), ("-tls1_1", "TLSv1.1 or older")] {
        let refused = openssl(&server, &[flag, "-cipher", "ALL:@SECLEVEL=0"], b"").await;
        assert!(refused.contains("SSL alert number 70"), "{flag}: {refused}");
        server.heard(&format!("[offered {offered}]")).await;
    }
}

#[tokio::test]
async fn an_old_client_is_told_on_starttls_too() {
    let server = starttls();
    let arguments = ["-starttls", "smtp", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"];
    let refused = openssl(&server, &arguments, b"").await;
    // The toy session answers EHLO in one line, which is all that OpenSSL needs to go on.
    assert!(refused.contains("SSL alert number 70"), "{refused}");
    server.heard("[offered TLSv1.1 or older]").await;
}

#[tokio::test]
async fn what_has_no_forward_secrecy_is_refused() {
    let server = implicit();
    for cipher in [
        "AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-SHA256",
        "DHE-RSA-AES128-GCM-SHA256",
    ] {
        let refused = openssl(&server, &["-tls1_2", "-cipher", cipher], b"").await;
        assert!(
            refused.contains("SSL alert number 40"),
            "{cipher}: {refused}"
        );
    }
    server.heard("TLS handshake failed").await;
}

#[tokio::test]
async fn a_needless_fallback_is_refused() {
    let server = implicit();
    let refused = openssl(&server, &["-tls1_2", "-fallback_scsv"], b"").await;
    assert!(refused.contains("SSL alert number 86"), "{refused}");
    let fine = openssl(&server, &["-fallback_scsv"], QUIT).await;
    assert!(fine.contains("New, TLSv1.3"), "{fine}");
}

#[tokio::test]
async fn each_suite_of_the_profile_works_and_the_order_is_ours() {
    let server = implicit();
    for cipher in [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
    ] {
        let text = openssl(&server, &["-tls1_2", "-cipher", cipher], QUIT).await;
        assert!(text.contains(&format!("Cipher is {cipher}")), "{text}");
        assert!(text.contains("Verify return code: 0 (ok)"), "{text}");
    }
    let reversed = "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256";
    let text = openssl(&server, &["-tls1_2", "-cipher", reversed], QUIT).await;
    assert!(
        text.contains("Cipher is ECDHE-ECDSA-AES128-GCM-SHA256"),
        "{text}"
    );
    for group in ["X25519", "P-256", "P-384"] {
        let text = openssl(&server, &["-groups", group], QUIT).await;
        assert!(text.contains("New, TLSv1.3"), "{group}: {text}");
        assert!(
            text.contains("Peer signature type: ECDSA"),
            "{group}: {text}"
        );
    }
    let refused = openssl(&server, &["-groups", "P-521"], b"").await;
    assert!(refused.contains("alert handshake failure"), "{refused}");
}

#[tokio::test]
async fn rsa_is_shown_only_to_clients_that_cannot_do_ecdsa() {
    let server = implicit();
    let text = openssl(&server, &["-sigalgs", "RSA-PSS+SHA256:ECDSA+SHA256"], QUIT).await;
    assert!(text.contains("Peer signature type: ECDSA"), "{text}");
    let text = openssl(&server, &["-sigalgs", "RSA-PSS+SHA256:RSA+SHA256"], QUIT).await;
    assert!(text.contains("Peer signature type: RSA-PSS"), "{text}");
    assert!(text.contains("Server public key is 3072 bit"), "{text}");
    // TLS 1.2 without the curve of our ECDSA certificate: RFC 8422 §5.1.
    let text = openssl(&server, &["-tls1_2", "-groups", "X25519"], QUIT).await;
    assert!(text.contains("Peer signature type: RSA"), "{text}");
}

/// The oldest clients that are promised to work, after testssl.sh's client simulation.
#[tokio::test]
async fn the_oldest_promised_clients_connect() {
    let server = implicit();
    for (client, cipher, groups, expected) in [
        (
            "Windows 8.1, Schannel",
            "ECDHE-RSA-AES256-SHA384:ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
             ECDHE-ECDSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:AES256-GCM-SHA384:AES128-SHA256",
            "P-256:P-384",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
        ),
        (
            "Windows 8.1, AES-128 only",
            "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA:AES128-SHA",
            "P-256:P-384",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
        ),
        (
            "Safari 9",
            "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-SHA384:\
             ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-SHA384:AES256-GCM-SHA384",
            "P-256:P-384:P-521",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
        ),
        (
            "Android 5",
            "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
             ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES128-SHA:AES128-GCM-SHA256",
            "P-256:P-384:P-521",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
        ),
        (
            "Thunderbird 60, RSA only",
            "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-SHA",
            "X25519:P-256:P-384:P-521",
            "ECDHE-RSA-AES128-GCM-SHA256",
        ),
    ] {
        let arguments = ["-tls1_2", "-cipher", cipher, "-groups", groups];
        let text = openssl(&server, &arguments, QUIT).await;
        assert!(
            text.contains(&format!("Cipher is {expected}")),
            "{client}: {text}"
        );
        assert!(
            text.contains("Verify return code: 0 (ok)"),
            "{client}: {text}"
        );
    }
}

#[tokio::test]
async fn the_certificate_fits_the_name() {
    let server = implicit();
    for name in ["mx.rp.test", "imap.rp.test", "a.wild.rp.test"] {
        let arguments = [
            "-servername",
            name,
            "-verify_hostname",
            name,
            "-verify_return_error",
        ];
        let text = openssl(&server, &arguments, QUIT).await;
        assert!(
            text.contains("Verify return code: 0 (ok)"),
            "{name}: {text}"
        );
    }
    let text = openssl(
        &server,
        &["-noservername", "-verify_hostname", "mx.rp.test"],
        QUIT,
    )
    .await;
    assert!(text.contains("Verify return code: 0 (ok)"), "{text}");
}

#[tokio::test]
async fn sessions_resume_on_both_versions() {
    let server = implicit();
    for version in ["-tls1_2", "-tls1_3"] {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let first = openssl(&server, &[version, "-sess_out", path], QUIT).await;
        assert!(first.contains("resumed: false"), "{first}");
        let second = openssl(&server, &[version, "-sess_in", path], QUIT).await;
        assert!(second.contains("Reused, TLSv1"), "{second}");
        assert!(second.contains("resumed: true"), "{second}");
        assert!(!second.contains("Early data was accepted"), "{second}");
    }
}

/// OpenSSL prints the exporter's value; ours must be the same.
#[tokio::test]
async fn the_channel_binding_is_what_the_client_has() {
    let server = implicit();
    for suite in ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"] {
        let arguments = [
            "-ciphersuites",
            suite,
            "-keymatexport",
            "EXPORTER-Channel-Binding",
            "-keymatexportlen",
            "32",
        ];
        let text = openssl(&server, &arguments, QUIT).await;
        let hex = text
            .split("Keying material: ")
            .nth(1)
            .expect("a value")
            .lines()
            .next()
            .unwrap();
        let theirs: Vec<u8> = (0..hex.trim().len() / 2)
            .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        assert_eq!(theirs.len(), 32);
        assert!(
            text.contains(&format!("tls_exporter: Some({theirs:?})")),
            "{text}"
        );
    }
}

#[tokio::test]
async fn the_same_software_has_the_same_fingerprint() {
    let server = implicit();
    let fingerprint = |text: &str| {
        let after = text
            .split("client_fingerprint: Some(\"")
            .nth(1)
            .expect("one");
        after.split('"').next().unwrap().to_owned()
    };
    let one = fingerprint(&openssl(&server, &["-servername", "mx.rp.test"], QUIT).await);
    let two = fingerprint(&openssl(&server, &["-servername", "imap.rp.test"], QUIT).await);
    let older = fingerprint(&openssl(&server, &["-tls1_2", "-noservername"], QUIT).await);
    assert_eq!(one, two);
    assert!(one.starts_with("t13d"), "{one}");
    assert!(older.starts_with("t12i"), "{older}");
    assert_eq!(one.len(), 36);
}

#[tokio::test]
async fn a_tls_client_on_a_clear_port_is_recognised_and_answered() {
    let server = starttls();
    let text = openssl(&server, &[], b"").await;
    assert!(
        text.contains("wrong version number") || text.contains("packet length"),
        "{text}"
    );
    server
        .heard("wrong mode: the client starts TLS at once")
        .await;
}

#[tokio::test]
async fn a_clear_client_on_a_tls_port_gets_no_banner() {
    let server = implicit();
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(b"EHLO client.test\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    assert!(answer.is_empty(), "{answer:?}");
    server
        .heard("wrong mode: the client does not start TLS")
        .await;
}

async fn connect(server: &Server) -> crate::net::Stream {
    let mut stream = crate::net::Stream::connect(server.address, None, soon())
        .await
        .unwrap();
    assert_eq!(line(&mut stream).await, "220 hello");
    stream
}

async fn line(stream: &mut crate::net::Stream) -> String {
    let line = stream.read_line(2000, soon()).await.unwrap();
    let text = String::from_utf8_lossy(&stream.buffer()[..line.content_bytes]).into_owned();
    stream.consume(line.total_bytes);
    text
}

/// RFC 3207 §4.2, and the injection of 2011 (CVE-2011-0411).
#[tokio::test]
async fn plaintext_behind_starttls_is_thrown_away() {
    let server = starttls();
    let mut stream = connect(&server).await;
    stream.write(b"STARTTLS\r\nINJECTED\r\n");
    stream.flush(soon()).await.unwrap();
    assert_eq!(line(&mut stream).await, "220 go ahead");
    let tls = ClientTls::verified(&demo_files().join("ca.pem")).unwrap();
    stream
        .start_tls_client(&tls, "mx.rp.test", soon())
        .await
        .unwrap();
    assert_eq!(line(&mut stream).await, "250 discarded=10");
    stream.write(b"ONE\r\nTWO\r\n");
    stream.flush(soon()).await.unwrap();
    assert_eq!(line(&mut stream).await, "250 ONE");
    assert_eq!(line(&mut stream).await, "250 TWO");
}

#[tokio::test]
async fn a_client_records_what_it_met() {
    let server = starttls();
    let ca = demo_files().join("ca.pem");
    for (tls, name, expected) in [
        (
            ClientTls::verified(&ca),
            "mx.rp.test",
            Some(Verification::Passed),
        ),
        (
            ClientTls::opportunistic(Some(&ca)),
            "mx.rp.test",
            Some(Verification::Passed),
        ),
        (
            ClientTls::opportunistic(None),
            "mx.rp.test",
            Some(Verification::NotChecked),
        ),
        (ClientTls::verified(&ca), "other.test", None),
    ] {
        let mut stream = connect(&server).await;
        stream.write(b"STARTTLS\r\n");
        stream.flush(soon()).await.unwrap();
        line(&mut stream).await;
        let started = stream.start_tls_client(&tls.unwrap(), name, soon()).await;
        assert_eq!(started.is_ok(), expected.is_some(), "{name}: {started:?}");
        let Some(expected) = expected else { continue };
        let facts = stream.tls().unwrap();
        assert_eq!(facts.version, TlsVersion::V1_3);
        assert_eq!(facts.group, Some("X25519MLKEM768"));
        assert_eq!(
            facts.peer_certificate.as_ref().unwrap().verification,
            expected
        );
    }
    let mut stream = connect(&server).await;
    stream.write(b"STARTTLS\r\n");
    stream.flush(soon()).await.unwrap();
    line(&mut stream).await;
    let tls = ClientTls::opportunistic(Some(&ca)).unwrap();
    stream
        .start_tls_client(&tls, "other.test", soon())
        .await
        .unwrap();
    let certificate = stream.tls().unwrap().peer_certificate.clone().unwrap();
    assert!(matches!(certificate.verification, Verification::Failed(_)));
}

/// Data in both directions at once, in sizes around those of records and buffers.
#[tokio::test]
async fn large_amounts_pass_unharmed() {
    let server = starttls();
    let mut stream = connect(&server).await;
    stream.write(b"STARTTLS\r\n");
    stream.flush(soon()).await.unwrap();
    line(&mut stream).await;
    let tls = ClientTls::opportunistic(None).unwrap();
    stream
        .start_tls_client(&tls, "mx.rp.test", soon())
        .await
        .unwrap();
    line(&mut stream).await;
    let command = [b'x'; 90];
    for round in 0..40 {
        let mut sent = Vec::new();
        for _ in 0..round * 20 {
            sent.extend_from_slice(&command);
            sent.extend_from_slice(b"\r\n");
        }
        stream.send(&sent, soon()).await.unwrap();
        stream.flush(soon()).await.unwrap();
        for _ in 0..round * 20 {
            assert_eq!(line(&mut stream).await.len(), 94);
        }
    }
    assert_eq!(stream.pending_bytes(), 0);
}

fn proxy_header(command: u8, family: u8, content: &[u8]) -> Vec<u8> {
    let mut header = crate::net::proxy::SIGNATURE.to_vec();
    header.extend([0x20 | command, family]);
    header.extend((content.len() as u16).to_be_bytes());
    header.extend(content);
    header
}

const PROXIED: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0x30, 0x39, 0, 25];

async fn speak(server: &Server, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let _ = socket.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_listed_proxy_is_believed_and_nobody_else() {
    let listed = start(Mode::StartTls, &["127.0.0.0/8"], LimitSettings::default());
    let with_peer = |header: Vec<u8>| [header, b"PEER\r\nQUIT\r\n".to_vec()].concat();
    let answer = speak(&listed, &with_peer(proxy_header(1, 0x11, &PROXIED))).await;
    assert!(
        answer.contains("250 192.0.2.7:12345 198.51.100.1:25"),
        "{answer}"
    );
    let answer = speak(&listed, &with_peer(proxy_header(0, 0, b""))).await;
    assert!(answer.contains("250 127.0.0.1:"), "{answer}");
    let answer = speak(&listed, b"PEER\r\nQUIT\r\n").await;
    assert!(answer.is_empty(), "{answer}");
    listed.heard("does not begin with one").await;
    let answer = speak(&listed, &with_peer(proxy_header(1, 0x12, &PROXIED))).await;
    assert!(answer.is_empty(), "{answer}");

    // To a session the header is garbage, in which only the QUIT of the signature means something.
    let unlisted = start(Mode::StartTls, &["192.0.2.0/24"], LimitSettings::default());
    let answer = speak(&unlisted, &with_peer(proxy_header(1, 0x11, &PROXIED))).await;
    assert!(
        answer.starts_with("220 hello") && answer.ends_with("221 bye\r\n"),
        "{answer}"
    );
    assert!(!answer.contains("192.0.2.7"), "{answer}");
}

#[tokio::test]
async fn a_proxy_header_goes_before_implicit_tls() {
    let server = start(Mode::ImplicitTls, &["127.0.0.1"], LimitSettings::default());
    let mut stream = crate::net::Stream::connect(server.address, None, soon())
        .await
        .unwrap();
    stream.write(&proxy_header(1, 0x11, &PROXIED));
    let tls = ClientTls::opportunistic(None).unwrap();
    stream
        .start_tls_client(&tls, "mx.rp.test", soon())
        .await
        .unwrap();
    assert_eq!(line(&mut stream).await, "220 hello");
    stream.write(b"PEER\r\n");
    stream.flush(soon()).await.unwrap();
    assert_eq!(
        line(&mut stream).await,
        "250 192.0.2.7:12345 198.51.100.1:25"
    );
}

#[tokio::test]
async fn one_address_cannot_take_every_place() {
    let settings = LimitSettings {
        address_connections_max: 2,
        ..LimitSettings::default()
    };
    let server = start(Mode::StartTls, &["127.0.0.1"], settings);
    let hold = async |source: u8| {
        let mut stream = crate::net::Stream::connect(server.address, None, soon())
            .await
            .unwrap();
        let mut addresses = PROXIED;
        addresses[3] = source;
        stream.write(&proxy_header(1, 0x11, &addresses));
        stream.flush(soon()).await.unwrap();
        let greeting = line(&mut stream).await;
        (stream, greeting)
    };
    let (_one, _) = hold(1).await;
    let (two, _) = hold(1).await;
    let (_three, refusal) = hold(1).await;
    assert!(
        refusal.starts_with("421 4.7.0 Too many connections from your address"),
        "{refusal}"
    );
    let (_other, greeting) = hold(2).await;
    assert_eq!(greeting, "220 hello");
    drop(two);
    for _ in 0..100 {
        if server.limits.open() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (_again, greeting) = hold(1).await;
    assert_eq!(greeting, "220 hello");
}

#[tokio::test]
async fn a_handshake_that_dawdles_is_ended() {
    let server = implicit();
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let mut answer = Vec::new();
    let started = tokio::time::Instant::now();
    for byte in [22, 3, 1, 2, 0, 1] {
        let _ = socket.write_all(&[byte]).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let _ = socket.read_to_end(&mut answer).await;
    assert!(started.elapsed() < Duration::from_secs(5));
    server.heard("the peer did not answer in time").await;
}
