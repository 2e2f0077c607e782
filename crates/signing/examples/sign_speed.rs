//! CPU per signed message for three sizes: both signatures, RSA alone is most of it. Prints microseconds.
//! Run: cargo run --release -p signing --example sign_speed

use platform::clock::Clock;
use platform::dns::StaticResolver;
use platform::random::Random;
use platform::spool::{Spool, SpoolLimits};
use platform::store::{Engine, Options, Store};
use signing::keyring::{Begin, NewKeys};
use signing::{InstallationSecret, Signing, SigningParts};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const HEADER: &str = "Received: from [127.0.0.1] by mx.host.test; Sun, 22 Nov 2026 20:00:00 +0000\r\n\
    From: Anna <anna@firma.test>\r\nTo: bob@far.test\r\nSubject: Angebot\r\n\
    Date: Sun, 22 Nov 2026 20:00:00 +0000\r\nMessage-ID: <1@firma.test>\r\nMIME-Version: 1.0\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\r\n";
const LINE: &str =
    "Die Ware kommt am Montag; bitte pruefen Sie die Rechnung und den Lieferschein.\r\n";

#[allow(
    clippy::disallowed_methods,
    reason = "a benchmark measures the machine"
)]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

async fn open(dir: &Path) -> Signing {
    let options = Options {
        engine: Engine::Sqlite {
            path: dir.join("store.sqlite"),
        },
        readers: 1,
        gather_max: Duration::ZERO,
        before_commit: None,
    };
    let parts = SigningParts {
        store: Store::open(options, &[signing::SCHEMA]).expect("a store"),
        secret: InstallationSecret::generate(&Random::from_os()),
        clock: Clock::system(),
        random: Random::from_os(),
        resolver: Arc::new(StaticResolver::new()),
        host: "mx.host.test".to_owned(),
    };
    Signing::open(parts).await.expect("signing")
}

fn main() {
    let dir = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let signing = open(dir.path()).await;
        let new = NewKeys {
            begin: Begin::Now,
            ..NewKeys::default()
        };
        signing
            .keyring()
            .add("firma.test", new)
            .await
            .expect("keys");
        for (name, bytes, rounds) in [
            ("2 KB", 2_000, 2000),
            ("20 KB", 20_000, 2000),
            ("1 MB", 1_000_000, 200),
        ] {
            let mut message = HEADER.to_owned();
            while message.len() < bytes {
                message.push_str(LINE);
            }
            let mut spool = Spool::new(SpoolLimits {
                memory_bytes: 2 << 20,
                dir: Arc::from(dir.path()),
            });
            spool.push(message.as_bytes()).expect("memory");
            let begun = now();
            for _ in 0..rounds {
                let front = signing
                    .sign(&spool, 0, Some("firma.test"), "firma.test")
                    .await;
                assert!(!front.expect("signs").is_empty());
            }
            let each = begun.elapsed().as_secs_f64() * 1e6 / f64::from(rounds);
            println!("{name:>6}: {each:.0} us per message (RSA-2048 and Ed25519)");
        }
    });
}
