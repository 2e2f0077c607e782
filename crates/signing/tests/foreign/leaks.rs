//! Private keys must not get out: not by Debug, not through logs, not from the store without the secret.

use crate::{Desk, HOST, open, settable};
use signing::SigningError;
use signing::keyring::{Begin, NewKeys};
use std::io::Write;
use std::sync::{Arc, Mutex};

/// The DER prefix of a PKCS #8 RSA key (version 0, rsaEncryption) and of an Ed25519 one.
const PKCS8_MARKS: [&[u8]; 2] = [
    b"\x02\x01\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x04",
    b"\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20",
];

fn contains(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The store's files hold no private key, and another secret opens nothing.
#[tokio::test]
async fn the_store_alone_gives_nothing_away() {
    let desk = Desk::new(&["firma.test"]).await;
    let mut files = 0;
    for entry in std::fs::read_dir(desk.dir.path()).unwrap().flatten() {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        files += usize::from(contains(&bytes, b"signing_keys"));
        for mark in PKCS8_MARKS {
            assert!(!contains(&bytes, mark), "{}", entry.path().display());
        }
    }
    assert!(files > 0, "the store's files were looked at");
    let store = desk.dir.path().join("store.sqlite");
    drop(desk.signing);
    let refused = open(&store, 8, &desk.dns, &desk.clock).await;
    assert!(matches!(refused, Err(SigningError::WrongSecret)));
    assert!(open(&store, 7, &desk.dns, &desk.clock).await.is_ok());
    // Where the secret is lost for good, the keys are forgotten and another begins.
    let options = platform::store::Options {
        engine: platform::store::Engine::Sqlite {
            path: store.clone(),
        },
        readers: 1,
        gather_max: std::time::Duration::ZERO,
        before_commit: None,
    };
    let rows = platform::store::Store::open(options, &[signing::SCHEMA]).unwrap();
    assert_eq!(signing::keyring::forget_all(&rows).await.unwrap(), 2);
    let signing = open(&store, 8, &desk.dns, &desk.clock).await.unwrap();
    assert!(signing.keyring().list().await.unwrap().is_empty());
}

/// At the loudest log level and with Debug on everything public, no key shows.
#[tokio::test]
async fn logs_and_debug_texts_hold_no_key() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let desk = Desk::new(&["firma.test", HOST]).await;
    let spool = desk.spool(b"From: a@firma.test\r\n\r\nx\r\n", 100);
    let signed = desk
        .signing
        .sign(&spool, 0, Some("firma.test"), HOST)
        .await
        .unwrap();
    assert!(!signed.is_empty());
    let keys = desk.signing.keyring().list().await.unwrap();
    let mut texts = format!(
        "{:?} {:?} {keys:?}",
        desk.signing,
        desk.signing.keyring().check("firma.test").await
    );
    // A damaged key, and a panic that is caught, say which key, not what is in it.
    let moved = desk
        .signing
        .keyring()
        .remove(HOST, None, signing::keyring::Force::Yes)
        .await
        .unwrap();
    texts.push_str(&format!("{moved:?}"));
    let new = NewKeys {
        begin: Begin::Now,
        ..NewKeys::default()
    };
    texts.push_str(&format!(
        "{:?}",
        desk.signing.keyring().add("firma.test", new).await
    ));
    tracing::trace!(signing = ?desk.signing, "the service itself");
    let mut all = log.0.lock().unwrap().clone();
    all.extend_from_slice(texts.as_bytes());
    assert!(all.len() > 100);
    let text = String::from_utf8_lossy(&all);
    for hint in [
        "PRIVATE",
        "MIIE",
        "MC4CAQAw",
        "48, 130, 4",
        "3082",
        "secret:",
    ] {
        assert!(!text.contains(hint), "{hint} in {text}");
    }
    for mark in PKCS8_MARKS {
        assert!(!contains(&all, mark));
    }
}

/// A key that does not open is named, and mail is not sent unsigned because of it.
#[tokio::test]
async fn a_damaged_key_is_an_error_that_names_it() {
    let desk = Desk::new(&["firma.test"]).await;
    let path = desk.dir.path().join("store.sqlite");
    let options = platform::store::Options {
        engine: platform::store::Engine::Sqlite { path: path.clone() },
        readers: 1,
        gather_max: std::time::Duration::ZERO,
        before_commit: None,
    };
    let store = platform::store::Store::open(options, &[signing::SCHEMA]).unwrap();
    store
        .write(|tx| {
            tx.execute(
                "UPDATE signing_keys SET selector = 'moved' WHERE algorithm = 0",
                &[],
            )
        })
        .await
        .unwrap();
    let signing = open(&path, 7, &desk.dns, &settable()).await.unwrap();
    let spool = desk.spool(b"From: a@firma.test\r\n\r\nx\r\n", 100);
    let error = signing
        .sign(&spool, 0, Some("firma.test"), HOST)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("moved._domainkey.firma.test"),
        "{error}"
    );
}
