//! Tests of the certificate store: choice by name, reload, and broken files.

use super::*;
use crate::tls::demo_ca;
use std::fs;

fn store(directory: &Path) -> Arc<CertStore> {
    CertStore::from_dir(directory, None).unwrap()
}

fn chosen(store: &CertStore, name: &str) -> (bool, bool) {
    let pair = store.table().find(name).unwrap_or_default();
    (pair.ecdsa.is_some(), pair.rsa.is_some())
}

#[test]
fn names_are_found_exactly_and_by_wildcard_of_one_label() {
    let directory = tempfile::tempdir().unwrap();
    demo_ca(directory.path(), &["mx.rp.test", "*.shop.test"]).unwrap();
    let store = store(directory.path());
    assert_eq!(store.names(), ["*.shop.test", "mx.rp.test"]);
    assert_eq!(chosen(&store, "mx.rp.test"), (true, true));
    assert_eq!(chosen(&store, "imap.shop.test"), (true, true));
    for name in ["shop.test", "a.b.shop.test", "rp.test", "other.test", ""] {
        assert_eq!(chosen(&store, name), (false, false), "{name}");
    }
    assert!(store.table().default.ecdsa.is_some());
}

#[test]
fn a_reload_takes_what_is_good_and_keeps_what_was_good() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    demo_ca(path, &["mx.rp.test"]).unwrap();
    let store = store(path);

    // A key that belongs to another certificate.
    let elsewhere = tempfile::tempdir().unwrap();
    demo_ca(elsewhere.path(), &["new.rp.test"]).unwrap();
    let good_key = fs::read(path.join("ecdsa.key")).unwrap();
    fs::copy(elsewhere.path().join("ecdsa.key"), path.join("ecdsa.key")).unwrap();
    let report = store.reload();
    assert_eq!((report.served, report.kept.len()), (2, 1));
    let reason = report.kept[0].to_string();
    assert!(
        reason.contains("ecdsa.crt") && reason.contains("KeyMismatch"),
        "{reason}"
    );
    assert_eq!(chosen(&store, "mx.rp.test"), (true, true));

    // Half a file, as an unfinished copy leaves it.
    fs::write(path.join("ecdsa.key"), &good_key[..40]).unwrap();
    let report = store.reload();
    assert!(
        report.kept[0].to_string().contains("ecdsa.key"),
        "{:?}",
        report.kept
    );
    assert_eq!(chosen(&store, "mx.rp.test"), (true, true));

    // A good new pair.
    for name in ["ecdsa.crt", "ecdsa.key"] {
        fs::copy(elsewhere.path().join(name), path.join(name)).unwrap();
    }
    let report = store.reload();
    assert!(report.kept.is_empty(), "{:?}", report.kept);
    assert_eq!(chosen(&store, "new.rp.test"), (true, false));
    assert_eq!(chosen(&store, "mx.rp.test"), (false, true));

    // No files at all.
    for name in ["ecdsa.crt", "rsa.crt"] {
        fs::remove_file(path.join(name)).unwrap();
    }
    let report = store.reload();
    assert_eq!((report.served, report.kept.len()), (2, 1));
    assert_eq!(chosen(&store, "new.rp.test"), (true, false));
}

#[test]
fn a_start_with_broken_files_says_what_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let nothing = CertStore::from_dir(path, None).unwrap_err().to_string();
    assert!(nothing.contains("no certificate was found"), "{nothing}");
    fs::write(path.join("a.crt"), "no PEM").unwrap();
    let empty = CertStore::from_dir(path, None).unwrap_err().to_string();
    assert!(
        empty.contains("a.crt cannot be used: it holds no certificate"),
        "{empty}"
    );
    let missing = CertStore::from_dir(&path.join("absent"), None)
        .unwrap_err()
        .to_string();
    assert!(missing.contains("absent cannot be read"), "{missing}");
}

#[test]
fn demo_files_survive_a_second_start_and_keys_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    demo_ca(directory.path(), &["mx.rp.test"]).unwrap();
    let first = fs::read(directory.path().join("ca.pem")).unwrap();
    let files = demo_ca(directory.path(), &["mx.rp.test"]).unwrap();
    assert_eq!(fs::read(&files.ca).unwrap(), first);
    demo_ca(directory.path(), &["imap.rp.test", "mx.rp.test"]).unwrap();
    assert_ne!(fs::read(&files.ca).unwrap(), first);
    assert_eq!(
        store(directory.path()).names(),
        ["imap.rp.test", "mx.rp.test"]
    );
    let mode = fs::metadata(directory.path().join("rsa.key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}
