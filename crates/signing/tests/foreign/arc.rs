//! ARC sets before dkimpy: one forwarder, several, over a broken chain; and what our own verification says of
//! signatures that others made.

use crate::verifiers::{dkimpy, write_case, write_records};
use crate::{Desk, HOST, corpus};
use formats::address::Address;
use signing::ReceivedFrom;

fn received(mail_from: Option<&str>) -> ReceivedFrom {
    ReceivedFrom {
        client: "192.0.2.1".parse().unwrap(),
        hello: "mx.far.test".to_owned(),
        mail_from: mail_from.map(|text| Address::parse(text).unwrap()),
        forwarded_by: "firma.test".to_owned(),
    }
}

async fn sealed(desk: &Desk, message: &[u8], received: &ReceivedFrom) -> Vec<u8> {
    let spool = desk.spool(message, 1 << 20);
    desk.signing.seal(&spool, 0, received).await.unwrap()
}

/// A message of far.test, signed by it.
async fn signed_by_far(desk: &Desk, message: &[u8]) -> Vec<u8> {
    let spool = desk.spool(message, 1 << 20);
    let front = desk
        .signing
        .sign(&spool, 0, Some("far.test"), HOST)
        .await
        .unwrap();
    [front.as_slice(), message].concat()
}

#[tokio::test]
async fn three_forwarders_make_a_chain_dkimpy_passes() {
    let desk = Desk::new(&["firma.test", "far.test"]).await;
    desk.dns
        .add_txt("far.test", "v=spf1 ip4:192.0.2.1 -all")
        .add_txt("_dmarc.far.test", "v=DMARC1; p=reject");
    let cases = tempfile::tempdir().unwrap();
    write_records(cases.path(), &desk.records().await);
    let mut all = 0;
    for (name, message) in corpus::written().into_iter().chain(corpus::made_up(5, 20)) {
        if name.contains("obsolete") {
            continue;
        }
        let message = String::from_utf8(message)
            .unwrap()
            .replace("@firma.test", "@far.test");
        let message = signed_by_far(&desk, message.as_bytes()).await;
        let mut forwarded = message;
        for _ in 0..3 {
            let front = sealed(&desk, &forwarded, &received(Some("anna@far.test"))).await;
            assert!(
                front.split(|b| *b == b'\n').all(|line| line.len() <= 100),
                "{name}"
            );
            forwarded = [
                b"Received: from a by b; now\r\n",
                front.as_slice(),
                &forwarded,
            ]
            .concat();
        }
        let text = String::from_utf8_lossy(&forwarded);
        for set in 1..=3 {
            assert!(
                text.contains(&format!("ARC-Authentication-Results: i={set}; {HOST};")),
                "{name}"
            );
        }
        assert!(
            text.contains("spf=pass smtp.mailfrom=far.test"),
            "{name}: {text}"
        );
        assert_eq!(
            text.matches("dmarc=pass header.from=far.test").count(),
            3,
            "{name}: {text}"
        );
        assert!(
            text.contains("cv=none") && text.matches("cv=pass").count() == 2,
            "{name}: {text}"
        );
        write_case(cases.path(), &name, b"", &forwarded);
        all += 1;
    }
    let verdicts = dkimpy(cases.path());
    assert_eq!(verdicts.len(), all);
    for verdict in verdicts {
        assert_eq!(
            (verdict.chain.as_str(), verdict.signatures[0].as_str()),
            ("pass", "pass"),
            "{verdict:?}"
        );
    }
}

#[tokio::test]
async fn a_changed_message_ends_the_chain_with_fail() {
    let desk = Desk::new(&["firma.test", "far.test"]).await;
    let (_, message) = corpus::written().swap_remove(3);
    let message = signed_by_far(&desk, &message).await;
    let front = sealed(&desk, &message, &received(Some("anna@far.test"))).await;
    let forwarded = [front.as_slice(), &message].concat();
    let changed = String::from_utf8(forwarded)
        .unwrap()
        .replace("\r\ntext", "\r\ntest");
    let front = sealed(&desk, changed.as_bytes(), &received(Some("anna@far.test"))).await;
    let text = String::from_utf8(front.clone()).unwrap();
    assert!(
        text.contains("i=2") && text.contains("cv=fail") && text.contains("arc=fail"),
        "{text}"
    );
    assert!(
        text.contains("dkim=fail reason=\"the body was changed\""),
        "{text}"
    );
    let cases = tempfile::tempdir().unwrap();
    write_records(cases.path(), &desk.records().await);
    let ended = [front.as_slice(), changed.as_bytes()].concat();
    write_case(cases.path(), "ended", b"", &ended);
    let verdict = &dkimpy(cases.path())[0];
    assert_ne!(verdict.chain, "pass", "{verdict:?}");
    assert!(
        verdict.reason.contains("ARC-Seal[2] reported failure"),
        "{verdict:?}"
    );
    // RFC 8617 §5.1 step 2: nothing is added to what has failed.
    assert!(sealed(&desk, &ended, &received(None)).await.is_empty());
}

#[tokio::test]
async fn dns_that_is_away_leaves_the_chain_as_it_is() {
    let desk = Desk::new(&["firma.test", "far.test"]).await;
    let (_, message) = corpus::written().swap_remove(3);
    let front = sealed(&desk, &message, &received(Some("anna@far.test"))).await;
    let text = String::from_utf8_lossy(&front).into_owned();
    assert!(
        text.contains("spf=none") && text.contains("dkim=none") && text.contains("arc=none"),
        "{text}"
    );
    let forwarded = [front.as_slice(), &message].concat();
    for key in desk
        .signing
        .keyring()
        .of_domain("firma.test")
        .await
        .unwrap()
    {
        desk.dns.fail(&key.record().name(), "SERVFAIL");
    }
    assert!(sealed(&desk, &forwarded, &received(None)).await.is_empty());
    let bare = Desk::new(&[]).await;
    assert!(sealed(&bare, &message, &received(None)).await.is_empty());
}

/// Sets that lie about their number, and more of them than there may be.
#[tokio::test]
async fn odd_chains_are_broken_not_followed() {
    let desk = Desk::new(&["firma.test"]).await;
    let message = "From: a@far.test\r\n\r\nx\r\n";
    for (odd, wanted) in [
        ("ARC-Seal: i=1; cv=none\r\n", Some("i=2")),
        ("ARC-Seal: i=3; a=rsa-sha256; cv=pass; b=x\r\n", Some("i=4")),
        ("ARC-Seal: i=0; cv=none\r\n", Some("i=1")),
        ("ARC-Seal: i=51; cv=none\r\n", Some("i=1")),
        ("ARC-Seal: i=99999999999999999999\r\n", Some("i=1")),
        ("ARC-Message-Signature: nonsense\r\n", Some("i=1")),
        ("ARC-Seal: i=50; cv=pass\r\n", None),
        ("ARC-Seal: i=1; cv=fail\r\n", None),
    ] {
        let text = format!("{odd}{message}");
        let front = sealed(&desk, text.as_bytes(), &received(Some("a@far.test"))).await;
        let front = String::from_utf8(front).unwrap();
        match wanted {
            None => assert_eq!(front, "", "{odd}"),
            Some(instance) => {
                assert!(
                    front.starts_with(&format!("ARC-Seal: {instance};")),
                    "{odd} {front}"
                );
                assert!(front.contains("cv=fail"), "{odd} {front}");
            }
        }
    }
}

/// Looking for the names of eight signatures among all of them would take seconds.
#[tokio::test]
async fn a_header_of_countless_fields_is_not_looked_at() {
    let desk = Desk::new(&["firma.test"]).await;
    let names = "a:".repeat(190);
    let signature = format!(
        "DKIM-Signature: v=1; a=rsa-sha256; d=far.test; s=x; c=relaxed/relaxed; h={names}from; \
         bh=oHW9N6NFSKiDOCbJm1hT6iLbKLwlj6LHQLzJCVUUoVA=; b=AAAA\r\n"
    );
    let message = |fields: usize| {
        let filler = "b:\r\n".repeat(fields);
        let header = signature.repeat(8) + &filler + "From: a@far.test\r\n";
        format!("{header}\r\nx\r\n").into_bytes()
    };
    let received = received(None);
    assert!(!sealed(&desk, &message(4000), &received).await.is_empty());
    assert!(sealed(&desk, &message(100_000), &received).await.is_empty());
}

/// What others sign: OpenDKIM's and dkimpy's own signatures in all canonical forms pass here, too.
#[tokio::test]
async fn signatures_of_others_are_verified() {
    let desk = Desk::new(&["firma.test"]).await;
    let cases = tempfile::tempdir().unwrap();
    let script = r#"
import dkim, sys, os, subprocess
d = sys.argv[1]
key = open(os.path.join(d, "key.pem"), "rb").read()
forms = [b"relaxed", b"simple"]
for n in range(int(sys.argv[2])):
    message = open(os.path.join(d, "in-%03d" % n), "rb").read()
    for h in forms:
        for b in forms:
            sig = dkim.sign(message, b"sel", b"far.test", key, canonicalize=(h, b))
            open(os.path.join(d, "out-%03d-%s-%s" % (n, h.decode(), b.decode())), "wb").write(sig + message)
"#;
    let openssl = |arguments: &[&str]| {
        let output = std::process::Command::new("openssl")
            .current_dir(cases.path())
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    openssl(&["genrsa", "-traditional", "-out", "key.pem", "2048"]);
    openssl(&["rsa", "-in", "key.pem", "-pubout", "-out", "public.pem"]);
    let public = std::fs::read_to_string(cases.path().join("public.pem")).unwrap();
    let p: String = public
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    desk.dns
        .add_txt("sel._domainkey.far.test", &format!("v=DKIM1; p={p}"));
    let all: Vec<_> = corpus::written()
        .into_iter()
        .chain(corpus::made_up(3, 30))
        .filter(|(name, _)| !name.contains("obsolete") && !name.contains("huge"))
        .collect();
    for (n, (_, message)) in all.iter().enumerate() {
        std::fs::write(cases.path().join(format!("in-{n:03}")), message).unwrap();
    }
    let status = std::process::Command::new("/usr/bin/python3")
        .args(["-c", script])
        .arg(cases.path())
        .arg(all.len().to_string())
        .status()
        .unwrap();
    assert!(status.success());
    for (n, (name, _)) in all.iter().enumerate() {
        for form in [
            "relaxed-relaxed",
            "relaxed-simple",
            "simple-relaxed",
            "simple-simple",
        ] {
            let signed = std::fs::read(cases.path().join(format!("out-{n:03}-{form}"))).unwrap();
            let front = sealed(&desk, &signed, &received(Some("anna@far.test"))).await;
            let text = String::from_utf8_lossy(&front);
            assert!(text.contains("dkim=pass"), "{name} {form}: {text}");
        }
    }
}

/// The results in a set are covered by seals alone: whoever rewrites them, in the newest or an older set, ends the
/// chain.
#[tokio::test]
async fn results_that_were_rewritten_end_the_chain() {
    let desk = Desk::new(&["firma.test"]).await;
    let (_, message) = corpus::written().swap_remove(3);
    let mut forwarded = String::from_utf8(message).unwrap();
    for instance in 1..=3 {
        let front = sealed(
            &desk,
            forwarded.as_bytes(),
            &received(Some("anna@far.test")),
        )
        .await;
        forwarded = String::from_utf8(front).unwrap() + &forwarded;
        for rewritten in 1..=instance {
            let results =
                format!("ARC-Authentication-Results: i={rewritten}; {HOST};\r\n\tspf=none");
            assert!(forwarded.contains(&results), "{forwarded}");
            let lied = forwarded.replace(&results, &results.replace("none", "pass"));
            let front = sealed(&desk, lied.as_bytes(), &received(None)).await;
            let front = String::from_utf8(front).unwrap();
            assert!(
                front.contains("cv=fail"),
                "{rewritten} of {instance}: {front}"
            );
        }
    }
}
