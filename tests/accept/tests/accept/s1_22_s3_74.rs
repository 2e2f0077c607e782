//! S1-22: even the legacy hosts agree on ECDHE or DHE with AES only: every suite number there is, SSL 2.0 and 3.0, and
//! compression are offered. S3-74: DHE is a group of RFC 7919, is not spoken at the normal hosts, and parameters of
//! one's own are refused.

use harness::Lab;
use harness::hello::{Answer, offer, offer_ssl2};
use harness::openssl::handshake;
use std::process::{Command, Stdio};

/// ECDHE or DHE, authenticated by a certificate, with AES in CBC or GCM (IANA's registry).
const GOOD: [u16; 18] = [
    0x0033, 0x0039, 0x0067, 0x006b, 0x009e, 0x009f, 0xc009, 0xc00a, 0xc013, 0xc014, 0xc023, 0xc024,
    0xc027, 0xc028, 0xc02b, 0xc02c, 0xc02f, 0xc030,
];

fn with_access() -> Lab {
    let lab = Lab::start_legacy(&[]);
    let until = "until 2026-05-30 tls=1.0,1.1";
    lab.policy("installation", "legacy-access", until);
    lab.wait("the gateway", || {
        let status = lab.cli(&["legacy", "status"]);
        match status.contains("Speaks TLS 1.0,1.1,1.2") {
            true => Ok(()),
            false => Err(status),
        }
    });
    lab
}

/// Every suite with a number in the blocks that are in use; signalling values are no suites.
fn all_suites() -> Vec<u16> {
    let classic = (0x0001..=0x00c5).filter(|suite| *suite != 0x00ff);
    let curves = 0xc001..=0xc0ff;
    let chacha = 0xcca8..=0xccae;
    // EXPORT1024 and FIPS suites that were never standard.
    let private = 0xfee0..=0xfeff;
    classic.chain(curves).chain(chacha).chain(private).collect()
}

#[test]
fn only_ephemeral_keys_and_aes_are_agreed_on() {
    let lab = with_access();
    let (host, port) = (lab.server.legacy_host(), lab.server.port("imaps_legacy"));
    let mut agreed = Vec::new();
    for version in [0x0301, 0x0302, 0x0303] {
        // As a server chooses one of those offered, what it chose is taken out until nothing is left.
        let mut suites = all_suites();
        loop {
            match offer(&host, port, version, &suites) {
                Answer::Agreed {
                    version: got,
                    suite,
                    compression,
                } => {
                    assert_eq!(got, version);
                    assert_eq!(compression, 0, "compression is never agreed on");
                    assert!(
                        GOOD.contains(&suite),
                        "suite {suite:#06x} in {version:#06x}"
                    );
                    agreed.push((version, suite));
                    suites.retain(|one| *one != suite);
                }
                Answer::Alert(40) => break,
                other => panic!("{other:?} to {version:#06x}"),
            }
        }
    }
    for wanted in [
        (0x0301, 0xc013),
        (0x0301, 0x0033),
        (0x0302, 0xc014),
        (0x0303, 0xc02f),
    ] {
        assert!(agreed.contains(&wanted), "{agreed:04x?}");
    }
    // Weak ones alone get nothing: RC4, 3DES, EXPORT, NULL, anonymous, static RSA.
    for weak in [
        0x0005, 0x000a, 0xc012, 0x0016, 0x0003, 0x0014, 0x0002, 0xc010, 0x0034, 0x002f, 0x0035,
    ] {
        for version in [0x0301, 0x0302, 0x0303] {
            let answer = offer(&host, port, version, &[weak]);
            assert_eq!(
                answer,
                Answer::Alert(40),
                "suite {weak:#06x} in {version:#06x}"
            );
        }
    }
}

#[test]
fn there_is_no_ssl() {
    let lab = with_access();
    let (host, port) = (lab.server.legacy_host(), lab.server.port("imaps_legacy"));
    let answer = offer(&host, port, 0x0300, &all_suites());
    assert!(matches!(answer, Answer::Alert(40 | 70)), "{answer:?}");
    let answer = offer_ssl2(&host, port);
    // Nothing, or an alert; never a ServerHello of SSL 2.0 or of TLS.
    assert!(
        answer.is_empty() || answer.first() == Some(&21),
        "{answer:?}"
    );
}

#[test]
fn dhe_has_good_groups_or_is_not_there() {
    let lab = with_access();
    let address = format!(
        "{}:{}",
        lab.server.legacy_host(),
        lab.server.port("imaps_legacy")
    );
    let output = Command::new("openssl")
        .args([
            "s_client",
            "-connect",
            &address,
            "-tls1_1",
            "-cipher",
            "DHE:@SECLEVEL=0",
        ])
        .stdin(Stdio::null())
        .output()
        .expect("openssl is installed");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("Server Temp Key: DH, 2048 bits"), "{told}");
    let normal = handshake(&lab.server, "imaps", None, &["-tls1_2", "-cipher", "DHE"]);
    assert!(!normal.agreed, "{}", normal.output);
    // Parameters of one's own, weak ones most of all, have no place in the settings.
    let parameters = lab.server.dir().join("dh1024.pem");
    let made = Command::new("openssl")
        .args(["dhparam", "-dsaparam", "-out"])
        .arg(&parameters)
        .arg("1024")
        .stderr(Stdio::null())
        .status();
    assert!(made.is_ok_and(|status| status.success()));
    let settings = lab.server.dir().join("legacy/legacy.toml");
    let text = std::fs::read_to_string(&settings).expect("its settings");
    for line in [
        format!("dh_group = \"{}\"", parameters.display()),
        format!("dh_parameters = \"{}\"", parameters.display()),
        "dh_group = \"ffdhe1024\"".to_owned(),
    ] {
        let wrong = settings.with_file_name("weak.toml");
        std::fs::write(&wrong, format!("{line}\n{text}")).expect("written");
        let program = harness::server::program().with_file_name("rohrpost-legacy");
        let tried = Command::new(program)
            .args(["--check", "--config"])
            .arg(wrong)
            .output()
            .expect("it runs");
        let told = String::from_utf8_lossy(&tried.stderr).into_owned();
        assert!(!tried.status.success(), "{line}");
        assert!(told.contains("unknown"), "{told}");
    }
}
