//! S4-02 inbound, N-C1, N-C5: the TLSA records that the server prints mean the keys it serves, and
//! a key is changed only after its record was in DNS for two TTLs, while both records are visible.

use harness::Lab;
use harness::dns::Signing;
use std::process::Command;
use std::time::Duration;

const OWNER: &str = "_25._tcp.mx.rp.test";

/// The digests in the printed records, with what is said of each.
fn records(lab: &Lab) -> Vec<(String, String)> {
    let printed = lab.cli(&["tls", "records", "--host", "mx.rp.test"]);
    let read = |line: &str| {
        let (record, comment) = line.split_once(" ; ").expect("a comment");
        let digest = record.strip_prefix(&format!("{OWNER}. IN TLSA 3 1 1 "));
        (
            digest.expect("a record 3 1 1").to_owned(),
            comment.to_owned(),
        )
    };
    printed.lines().map(read).collect()
}

fn digest_of<'r>(records: &'r [(String, String)], comment: &str) -> &'r str {
    let found = records.iter().find(|(_, said)| said == comment);
    &found.unwrap_or_else(|| panic!("{comment}: {records:?}")).0
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<char> = hex.chars().collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16);
    digits
        .chunks(2)
        .map(|pair| byte(pair).expect("hex"))
        .collect()
}

fn shell(line: &str) -> String {
    let done = Command::new("sh")
        .args(["-c", line])
        .output()
        .expect("a shell");
    assert!(
        done.status.success(),
        "{line}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

/// SHA-256 of the ECDSA key that the MX port shows, as OpenSSL sees it.
fn served(lab: &Lab) -> String {
    let port = lab.server.port("smtp");
    let digest = shell(&format!(
        "openssl s_client -connect 127.0.0.1:{port} -starttls smtp -servername mx.rp.test -tls1_2 \
         -cipher ECDHE-ECDSA-AES128-GCM-SHA256 </dev/null 2>/dev/null | openssl x509 -pubkey -noout \
         | openssl pkey -pubin -outform DER | openssl dgst -sha256 -r"
    ));
    digest.split(' ').next().unwrap_or_default().to_owned()
}

fn refused(lab: &Lab) -> String {
    let arguments = ["tls", "rollover", "ecdsa", "--host", "mx.rp.test"];
    let (ok, output, errors) = lab.server.cli(&arguments);
    assert!(!ok, "{output}");
    errors
}

#[test]
fn a_key_changes_only_after_its_record_was_known_to_all() {
    let lab = Lab::start();
    lab.dns.zone("rp.test", Signing::Signed);
    lab.dns.ttl(600);
    let before = records(&lab);
    assert_eq!(before.len(), 2, "ECDSA and RSA: {before:?}");
    let old = digest_of(&before, "ecdsa: served").to_owned();
    assert_eq!(served(&lab), old);

    lab.cli(&["tls", "next", "ecdsa"]);
    let both = records(&lab);
    let new = digest_of(&both, "ecdsa: comes next").to_owned();
    assert_eq!(
        (both.len(), digest_of(&both, "ecdsa: served")),
        (3, old.as_str())
    );
    lab.dns.tlsa(OWNER, 3, 1, 1, &bytes(&old));
    assert!(refused(&lab).contains("not in DNS yet"));
    lab.dns.tlsa(OWNER, 3, 1, 1, &bytes(&new));
    assert!(refused(&lab).contains("go on after"));
    lab.forward(Duration::from_secs(1190));
    assert!(refused(&lab).contains("go on after"));
    lab.forward(Duration::from_secs(20));
    assert!(refused(&lab).contains("ecdsa.crt is not there"));

    // What a certificate authority does: a certificate for the request.
    let next = lab.server.dir().join("tls/next");
    let next = next.display();
    shell(&format!(
        "openssl x509 -req -in {next}/ecdsa.csr -signkey {next}/ecdsa.key -copy_extensions copyall \
         -days 30 -out {next}/ecdsa.crt"
    ));
    assert_eq!(served(&lab), old);
    lab.cli(&["tls", "rollover", "ecdsa", "--host", "mx.rp.test"]);
    assert_eq!(served(&lab), new);
    let after = records(&lab);
    assert_eq!(
        (after.len(), digest_of(&after, "ecdsa: served")),
        (2, new.as_str())
    );
}
