//! TLS duties carried out: what may go in clear, what never, and what TLS reports hear of it. Tests only.

use super::MESSAGE;
use super::rig::{Answers, Rig, Script, Setup, Sink, WILLING};
use platform::dns::Tlsa;
use platform::tls::{CertStore, ServerTls, ServerTlsSettings, demo_ca};
use policy::setting::Name;
use queue::{Dispatch, RequireTls};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

/// A certificate for mx.else.test and the CA it is from.
fn certificates() -> &'static (PathBuf, ServerTls, tempfile::TempDir) {
    static MADE: OnceLock<(PathBuf, ServerTls, tempfile::TempDir)> = OnceLock::new();
    MADE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let ca = demo_ca(dir.path(), &["mx.else.test"]).unwrap().ca;
        let store = CertStore::from_dir(dir.path(), None).unwrap();
        let tls = ServerTls::new(store, &ServerTlsSettings::default()).unwrap();
        (ca, tls, dir)
    })
}

const OFFERS_TLS: Answers = &[
    ("EHLO", "250-mx.else.test\r\n250 STARTTLS"),
    ("DATA", "354 go on"),
    ("STARTTLS", "220 go ahead"),
    ("", "250 ok"),
];
const BROKEN_TLS: Answers = &[
    ("EHLO", "250-mx.else.test\r\n250 STARTTLS"),
    ("STARTTLS", "454 4.7.0 not now"),
    ("DATA", "354 go on"),
    ("", "250 ok"),
];
const NO_TLS: Answers = super::WILLING;

async fn sink(answers: Answers) -> Sink {
    Sink::start(Script {
        tls: (answers == OFFERS_TLS).then(|| certificates().1.clone()),
        ..Script::of(answers)
    })
    .await
}

fn setup(sink: &Sink) -> Setup {
    Setup::mx(&[("mx.else.test", [127, 0, 0, 1])], sink.address.port())
}

/// With a signed TLSA record, which fits where `data` is the certificate's hash.
fn dane(sink: &Sink, data: [u8; 32]) -> Setup {
    let setup = setup(sink);
    setup.dns.secure("else.test").add_tlsa(
        &format!("_{}._tcp.mx.else.test", sink.address.port()),
        Tlsa {
            usage: 3,
            selector: 0,
            matching: 1,
            data: data.into(),
        },
    );
    setup
}

fn hour(rig: &Rig) {
    assert!(
        rig.clock
            .set(rig.clock.now().plus(Duration::from_secs(3600)))
    );
}

#[tokio::test]
async fn tls_is_used_where_it_is_offered() {
    let sink = sink(OFFERS_TLS).await;
    let rig = Rig::new(setup(&sink)).await;
    let told = rig.relay(MESSAGE).await;
    assert!(
        told.starts_with("relayed ") && told.contains("TLSv1.3"),
        "{told}"
    );
    assert_eq!(rig.results(), ["success"]);
    assert!(sink.heard().contains(&"1 (TLS)".to_owned()));
}

/// S3-72: a broken handshake defers; a later attempt may go in clear.
#[tokio::test]
async fn a_broken_handshake_defers_before_anything_goes_in_clear() {
    let sink = sink(BROKEN_TLS).await;
    let rig = Rig::new(setup(&sink)).await;
    let trace = rig.accept(MESSAGE).await;
    let told = rig.told(trace, 1).await;
    assert!(
        told.starts_with("deferred ") && told.contains("4.7.5"),
        "{told}"
    );
    assert!(!sink.heard().iter().any(|line| line.contains("MAIL")));
    hour(&rig);
    let told = rig.told(trace, 2).await;
    assert!(told.starts_with("relayed "), "{told}");
    assert_eq!(rig.results(), ["validation-failure", "validation-failure"]);
    // The exception was for that attempt only: the next message is deferred again.
    let told = rig.relay(MESSAGE).await;
    assert!(told.starts_with("deferred "), "{told}");
}

/// N-C3: what DANE demands is never given up.
#[tokio::test]
async fn under_dane_nothing_goes_in_clear_or_to_a_stranger() {
    for (answers, result) in [
        (NO_TLS, "starttls-not-supported"),
        (BROKEN_TLS, "validation-failure"),
        (OFFERS_TLS, "tlsa-invalid"),
    ] {
        let sink = sink(answers).await;
        let rig = Rig::new(dane(&sink, [7; 32])).await;
        let trace = rig.accept(MESSAGE).await;
        let told = rig.told(trace, 1).await;
        assert!(
            told.starts_with("deferred ") && told.contains("4.7."),
            "{told}"
        );
        hour(&rig);
        let told = rig.told(trace, 2).await;
        assert!(told.starts_with("deferred "), "{told}");
        assert_eq!(rig.results(), [result, result]);
        assert!(
            !sink.heard().iter().any(|line| line.contains("MAIL")),
            "{:?}",
            sink.heard()
        );
    }
}

#[tokio::test]
async fn under_dane_the_right_certificate_is_verified() {
    let pem = std::fs::read(certificates().2.path().join("ecdsa.crt")).unwrap();
    let sink = sink(OFFERS_TLS).await;
    let rig = Rig::new(dane(&sink, hash_of_first(&pem))).await;
    let told = rig.relay(MESSAGE).await;
    assert!(told.starts_with("relayed "), "{told}");
    assert_eq!(rig.results(), ["success"]);
}

/// SHA-256 of the first certificate in a PEM file.
fn hash_of_first(pem: &[u8]) -> [u8; 32] {
    use base64::Engine as _;
    use sha2::Digest as _;
    let text = std::str::from_utf8(pem).unwrap();
    let body: String = text
        .lines()
        .skip_while(|line| !line.starts_with("-----BEGIN CERT"))
        .skip(1)
        .take_while(|line| !line.starts_with("-----END"))
        .collect();
    let der = base64::engine::general_purpose::STANDARD
        .decode(body)
        .unwrap();
    sha2::Sha256::digest(der).into()
}

/// RFC 8689 §4.2.1.
#[tokio::test]
async fn requiretls_goes_only_where_it_is_kept() {
    let require = |setup: Setup| Setup {
        dispatch: Dispatch {
            require_tls: RequireTls::Yes,
            ..Dispatch::default()
        },
        roots: Some(certificates().0.clone()),
        ..setup
    };
    let lacking = sink(OFFERS_TLS).await;
    let setup_of = |sink: &Sink| {
        let setup = require(setup(sink));
        setup.dns.secure("else.test");
        setup
    };
    let told = Rig::new(setup_of(&lacking)).await.relay(MESSAGE).await;
    assert!(
        told.starts_with("failed ") && told.contains("5.7.30"),
        "{told}"
    );
    let offering = Sink::start(Script {
        tls: Some(certificates().1.clone()),
        after_tls: Some("250-mx.else.test\r\n250 REQUIRETLS"),
        ..Script::of(OFFERS_TLS)
    })
    .await;
    let told = Rig::new(setup_of(&offering)).await.relay(MESSAGE).await;
    assert!(told.starts_with("relayed "), "{told}");
    let heard = offering.heard();
    assert!(
        heard
            .iter()
            .any(|line| line.contains("MAIL FROM:<> REQUIRETLS")),
        "{heard:?}"
    );
}

/// A connection that was good enough for one message does not carry another that demands more.
#[tokio::test]
async fn no_policy_bleeds_through_a_kept_connection() {
    let sink = Sink::start(Script {
        tls: Some(certificates().1.clone()),
        after_tls: Some("250-mx.else.test\r\n250 REQUIRETLS"),
        ..Script::of(OFFERS_TLS)
    })
    .await;
    let setup = setup(&sink);
    setup.dns.secure("else.test");
    // Without the sink's CA among the roots nobody can prove anything.
    let rig = Rig::new(setup).await;
    let told = rig.relay(MESSAGE).await;
    assert!(told.starts_with("relayed "), "{told}");
    let strict = Dispatch {
        require_tls: RequireTls::Yes,
        ..Dispatch::default()
    };
    let trace = rig.accept_with(MESSAGE, strict).await;
    let told = rig.told(trace, 1).await;
    assert!(!told.starts_with("relayed "), "{told}");
    // The kept connection still serves whom it served.
    let told = rig.relay(MESSAGE).await;
    assert!(told.starts_with("relayed "), "{told}");
    let heard = sink.heard();
    let said = |line: &str| heard.iter().filter(|heard| heard.contains(line)).count();
    assert_eq!(said("MAIL FROM"), 2, "{heard:?}");
    assert!(
        !heard.iter().any(|line| line.contains("REQUIRETLS")),
        "{heard:?}"
    );
    assert!(
        !heard.iter().any(|line| line.starts_with("2 MAIL")),
        "{heard:?}"
    );
}

/// A notice has no sender, but tells of a message whose domain demands encryption.
#[tokio::test]
async fn a_notice_goes_as_safely_as_the_mail_it_is_about() {
    let sink = sink(WILLING).await;
    let rig = Rig::new(setup(&sink)).await;
    rig.set_policy("firma.test", Name::OutboundTls, "required")
        .await;
    let notice = Dispatch {
        rules_of: Some("firma.test".into()),
        ..Dispatch::default()
    };
    let trace = rig.accept_with(MESSAGE, notice).await;
    let told = rig.told(trace, 1).await;
    assert!(told.starts_with("deferred "), "{told}");
    let heard = sink.heard();
    assert!(!heard.iter().any(|line| line.contains("MAIL")), "{heard:?}");
}
