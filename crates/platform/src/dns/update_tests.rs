//! Changing a zone that BIND serves. Tests only; where BIND is not installed they do nothing.

use super::*;
use crate::clock::Clock;
use crate::dns::{Anchors, Outcome, Resolver, SystemResolver};
use std::process::{Child, Command, Stdio};

const KEY: &[u8; 32] = b"a key of thirty-two bytes, shown";
const KEY_BASE64: &str = "YSBrZXkgb2YgdGhpcnR5LXR3byBieXRlcywgc2hvd24=";

fn update_key(secret: &[u8]) -> UpdateKey {
    UpdateKey {
        name: "rohrpost".into(),
        secret: secret.to_vec(),
    }
}

#[test]
fn a_key_is_read_as_tsig_keygen_writes_it() {
    let text =
        format!("key \"ours\" {{\n\talgorithm hmac-sha256;\n\tsecret \"{KEY_BASE64}\";\n}};\n");
    let key = UpdateKey::parse(&text).unwrap();
    assert_eq!(
        (key.name.as_str(), key.secret.as_slice()),
        ("ours", &KEY[..])
    );
    for bad in [
        "",
        "key ours",
        &text.replace("sha256", "md5"),
        &text.replace("YSBr", "!"),
    ] {
        assert!(UpdateKey::parse(bad).is_err(), "{bad}");
    }
}

struct Named {
    process: Child,
    address: SocketAddr,
    _directory: tempfile::TempDir,
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Named {
    async fn start() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        drop(socket);
        let (port, path) = (address.port(), directory.path());
        let conf = format!(
            "options {{ directory {path:?}; pid-file none; listen-on port {port} {{ 127.0.0.1; }}; \
             listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; session-keyfile none; }};\n\
             controls {{ }};\n\
             key rohrpost {{ algorithm hmac-sha256; secret \"{KEY_BASE64}\"; }};\n\
             zone \"firma.test\" {{ type primary; file \"firma\"; allow-update {{ key rohrpost; }}; }};\n"
        );
        std::fs::write(path.join("named.conf"), conf).unwrap();
        std::fs::write(
            path.join("firma"),
            "$TTL 3600\n@ SOA ns host 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n\
             other TXT \"stays\"\n",
        )
        .unwrap();
        let process = Command::new("named")
            .args(["-g", "-n", "1", "-c", "named.conf"])
            .current_dir(path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let named = Self {
            process,
            address,
            _directory: directory,
        };
        for _ in 0..200 {
            if named.txt("other.firma.test").await == Some("stays".into()) {
                return Some(named);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("named does not answer");
    }

    async fn txt(&self, owner: &str) -> Option<String> {
        let resolver =
            SystemResolver::new(&[self.address], Anchors::none(), Clock::system()).unwrap();
        match resolver.txt(owner).await {
            Outcome::Found(answer) => {
                let record = answer.value.first().cloned().unwrap_or_default();
                Some(String::from_utf8(record).unwrap())
            }
            _ => None,
        }
    }

    /// The addresses of a name in order.
    async fn addresses(&self, owner: &str) -> String {
        let resolver =
            SystemResolver::new(&[self.address], Anchors::none(), Clock::system()).unwrap();
        let found = resolver.addresses(owner).await.found();
        let mut all = found.map(|answer| answer.value).unwrap_or_default();
        all.sort();
        let words: Vec<String> = all.iter().map(ToString::to_string).collect();
        words.join(" ")
    }

    fn primary(&self, key: &[u8]) -> Primary {
        Primary::new(self.address, "firma.test", &update_key(key)).unwrap()
    }
}

fn record(text: &str) -> ZoneRecord {
    ZoneRecord::txt((!text.is_empty()).then(|| text.to_owned()), 300)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_comes_changes_and_goes_and_a_strangers_change_is_never_overwritten() {
    let Some(named) = Named::start().await else {
        return;
    };
    let (owner, primary) = ("_dmarc.firma.test", named.primary(KEY));
    let (none, first) = (record(""), record("v=DMARC1; p=none"));
    primary.replace(owner, &none, &first).await.unwrap();
    assert_eq!(named.txt(owner).await, first.text);
    // There is one already.
    let again = primary.replace(owner, &none, &record("x")).await;
    assert_eq!(again, Err(UpdateError::Changed));
    let long = record(&format!("v=DMARC1; p=quarantine; rua={}", "m".repeat(300)));
    primary.replace(owner, &first, &long).await.unwrap();
    assert_eq!(named.txt(owner).await, long.text);
    // Only its time to live.
    let short = ZoneRecord {
        ttl_seconds: 60,
        ..long.clone()
    };
    primary.replace(owner, &long, &short).await.unwrap();
    assert_eq!(named.txt(owner).await, long.text);
    let stale = primary.replace(owner, &first, &none).await;
    assert_eq!(stale, Err(UpdateError::Changed));
    primary.replace(owner, &long, &none).await.unwrap();
    assert_eq!(named.txt(owner).await, None);
    assert_eq!(named.txt("other.firma.test").await, Some("stays".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_of_a_name_go_together_and_come_back_together() {
    let Some(named) = Named::start().await else {
        return;
    };
    let (owner, primary) = ("imap-legacy.firma.test", named.primary(KEY));
    let of = |kind, text: &str| ZoneRecord {
        kind,
        text: Some(text.to_owned()),
        ttl_seconds: 300,
    };
    let (two, one) = (
        of(RecordKind::A, "192.0.2.7 192.0.2.8"),
        of(RecordKind::A, "192.0.2.7"),
    );
    let six = of(RecordKind::Aaaa, "2001:db8::7");
    for record in [&two, &six] {
        primary
            .replace(owner, &record.gone(), record)
            .await
            .unwrap();
    }
    assert_eq!(
        named.addresses(owner).await,
        "192.0.2.7 192.0.2.8 2001:db8::7"
    );
    // Who knew of one only does not take both away, and what is there is not taken for gone.
    for before in [&one, &one.gone()] {
        let stale = primary.replace(owner, before, &one.gone()).await;
        assert_eq!(stale, Err(UpdateError::Changed));
    }
    primary.replace(owner, &two, &two.gone()).await.unwrap();
    assert_eq!(named.addresses(owner).await, "2001:db8::7");
    primary
        .replace(owner, &two.gone(), &two.gone())
        .await
        .unwrap();
    primary.replace(owner, &two.gone(), &two).await.unwrap();
    assert_eq!(
        named.addresses(owner).await,
        "192.0.2.7 192.0.2.8 2001:db8::7"
    );
    let no_address = primary
        .replace(owner, &two, &of(RecordKind::A, "::1"))
        .await;
    assert!(matches!(no_address, Err(UpdateError::Invalid(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_and_another_zone_are_refused() {
    let Some(named) = Named::start().await else {
        return;
    };
    let (none, some) = (record(""), record("v=DMARC1; p=none"));
    let wrong = named.primary(b"a key nobody there has ever seen");
    let refused = wrong
        .replace("_dmarc.firma.test", &none, &some)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, UpdateError::Refused { .. }),
        "{refused:?}"
    );
    let primary = named.primary(KEY);
    let elsewhere = primary.replace("_dmarc.privat.test", &none, &some);
    assert!(matches!(elsewhere.await, Err(UpdateError::Invalid(_))));
    assert!(Primary::new(named.address, "firma.test", &update_key(&[1; 15])).is_err());
}
