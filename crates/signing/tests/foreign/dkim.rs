//! DKIM-Signature before dkimpy and OpenDKIM.

use crate::verifiers::{dkimpy, opendkim, write_case, write_records};
use crate::{Desk, HOST, corpus};

const RETURN_PATH: &[u8] = b"Return-Path: <anna@firma.test>\r\n";

/// Signs `message` as the queue does: a Return-Path line in front that is not sent.
async fn signed(desk: &Desk, message: &[u8], memory_bytes: usize) -> Vec<u8> {
    let stored = [RETURN_PATH, message].concat();
    let spool = desk.spool(&stored, memory_bytes);
    let skip = RETURN_PATH.len() as u64;
    desk.signing
        .sign(&spool, skip, Some("firma.test"), HOST)
        .await
        .unwrap()
}

#[tokio::test]
async fn dkimpy_passes_both_signatures_on_every_message() {
    let desk = Desk::new(&["firma.test"]).await;
    let cases = tempfile::tempdir().unwrap();
    write_records(cases.path(), &desk.records().await);
    let all: Vec<_> = corpus::written()
        .into_iter()
        .chain(corpus::made_up(11, 200))
        // dkimpy refuses white space before a colon; OpenDKIM judges that.
        .filter(|(name, _)| !name.contains("obsolete"))
        .collect();
    for (name, message) in &all {
        let front = signed(&desk, message, 1 << 20).await;
        // In a file the pieces are others; the signatures of one second are the same.
        let again = signed(&desk, message, 100).await;
        let value = |front: &[u8]| {
            String::from_utf8_lossy(front)
                .split("bh=")
                .nth(1)
                .map(|t| t[..44].to_owned())
        };
        assert_eq!(value(&front), value(&again), "{name}");
        assert!(
            front.split(|b| *b == b'\n').all(|line| line.len() <= 79),
            "{name}"
        );
        write_case(cases.path(), name, &again, message);
    }
    let verdicts = dkimpy(cases.path());
    assert_eq!(verdicts.len(), all.len());
    for verdict in verdicts {
        assert_eq!(verdict.signatures, ["pass", "pass"], "{verdict:?}");
    }
}

#[tokio::test]
async fn opendkim_passes_and_notices_changes() {
    let desk = Desk::new(&["firma.test"]).await;
    let cases = tempfile::tempdir().unwrap();
    write_records(cases.path(), &desk.records().await);
    for (name, message) in corpus::written() {
        // OpenDKIM's test mode reads lines as a milter would: 8-bit and huge headers are dkimpy's.
        if name.contains("huge") {
            continue;
        }
        let front = signed(&desk, &message, 1 << 20).await;
        let mut message = message;
        if !message.ends_with(b"\r\n") {
            // As the SMTP client ends it.
            message.extend_from_slice(b"\r\n");
        }
        write_case(cases.path(), &name, &front, &message);
        let report = opendkim(cases.path(), &name);
        assert!(report.matches("dkim=pass").count() >= 1, "{name}: {report}");
        assert!(!report.contains("dkim=fail"), "{name}: {report}");
    }
    let (_, message) = corpus::written().swap_remove(3);
    let front = signed(&desk, &message, 1 << 20).await;
    let changed = String::from_utf8(message).unwrap().replace("text", "test");
    write_case(cases.path(), "changed", &front, changed.as_bytes());
    let report = opendkim(cases.path(), "changed");
    assert!(
        report.contains("dkim=fail") && !report.contains("dkim=pass"),
        "{report}"
    );
}

/// What N-H1 asks for: whoever adds a field that matters breaks the signature.
#[tokio::test]
async fn an_added_field_breaks_the_signature() {
    let desk = Desk::new(&["firma.test"]).await;
    let cases = tempfile::tempdir().unwrap();
    write_records(cases.path(), &desk.records().await);
    let (_, message) = corpus::written().swap_remove(3);
    let front = signed(&desk, &message, 1 << 20).await;
    write_case(cases.path(), "0-untouched", &front, &message);
    let added = [
        "From",
        "To",
        "Cc",
        "Subject",
        "Date",
        "Message-ID",
        "Reply-To",
        "List-Unsubscribe",
        "List-Unsubscribe-Post",
        "Content-Type",
        "MIME-Version",
    ];
    for name in added {
        let mut with_field = format!("{name}: other@evil.test\r\n").into_bytes();
        with_field.extend_from_slice(&message);
        write_case(cases.path(), name, &front, &with_field);
    }
    let mut received = b"Received: from x by y; today\r\nX-Spam: no\r\n".to_vec();
    received.extend_from_slice(&message);
    write_case(cases.path(), "0-received", &front, &received);
    for verdict in dkimpy(cases.path()) {
        let wanted = if verdict.file.starts_with('0') {
            "pass"
        } else {
            "fail"
        };
        assert!(
            verdict.signatures.iter().all(|v| v == wanted),
            "{verdict:?}"
        );
    }
}

#[tokio::test]
async fn who_signs_where_the_author_has_no_key() {
    let desk = Desk::new(&["firma.test", HOST]).await;
    let spool = desk.spool(b"From: a@b\r\n\r\nx\r\n", 1 << 20);
    let sign = async |author: Option<&str>, fallback: &str| {
        let front = desk
            .signing
            .sign(&spool, 0, author, fallback)
            .await
            .unwrap();
        let front = String::from_utf8(front).unwrap();
        let domain = front
            .split(" d=")
            .nth(1)
            .map(|t| t.split(';').next().unwrap().to_owned());
        (
            front.matches("DKIM-Signature:").count(),
            domain.unwrap_or_default(),
        )
    };
    assert_eq!(
        sign(Some("firma.test"), HOST).await,
        (2, "firma.test".to_owned())
    );
    assert_eq!(
        sign(Some("FIRMA.test"), HOST).await,
        (2, "firma.test".to_owned())
    );
    assert_eq!(
        sign(Some("far.test"), "firma.test").await,
        (2, "firma.test".to_owned())
    );
    assert_eq!(sign(None, "far.test").await, (2, HOST.to_owned()));
    assert_eq!(
        sign(Some("no domain;\r\nX: y"), "far.test").await,
        (2, HOST.to_owned())
    );
    let bare = Desk::new(&[]).await;
    let front = bare
        .signing
        .sign(&spool, 0, None, "far.test")
        .await
        .unwrap();
    assert!(front.is_empty());
}

/// RFC 8460 §3: a key may be for TLS reports only. Then it vouches for those and for no mail.
#[tokio::test]
async fn a_key_for_tls_reports_vouches_for_nothing_else() {
    let desk = Desk::new(&["firma.test"]).await;
    let new = signing::keyring::NewKeys {
        begin: signing::keyring::Begin::Now,
        ..Default::default()
    };
    for key in desk.signing.keyring().add("far.test", new).await.unwrap() {
        let value = key.record().value() + "; s=tlsrpt";
        desk.dns.add_txt(&key.record().name(), &value);
    }
    let message = b"From: reports@far.test\r\nSubject: Report Domain: firma.test\r\n\r\nx\r\n";
    let spool = desk.spool(message, 1 << 20);
    let front = desk
        .signing
        .sign(&spool, 0, Some("far.test"), HOST)
        .await
        .unwrap();
    let signed = desk.spool(&[front.as_slice(), message].concat(), 1 << 20);
    let signers = desk.signing.signers(&signed, 0).await.unwrap();
    assert_eq!(signers, ["far.test", "far.test"]);
    let received = signing::ReceivedFrom {
        client: "192.0.2.1".parse().unwrap(),
        hello: "mx.far.test".to_owned(),
        mail_from: None,
        forwarded_by: "firma.test".to_owned(),
    };
    let seal = desk.signing.seal(&signed, 0, &received).await.unwrap();
    let seal = String::from_utf8(seal).unwrap();
    assert!(
        seal.contains("dkim=permerror") && !seal.contains("dkim=pass"),
        "{seal}"
    );
}
