//! Rows and message bytes in a folder, as a node has them, for the test rigs of client and server. Tests only.

use platform::clock::Clock;
use platform::files::RealFiles;
use platform::random::Random;
use platform::segments::{SegmentOptions, Segments};
use platform::store::{Engine, Options, Store};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A new store and segments in `dir`.
pub(crate) fn open(dir: &Path, clock: &Clock) -> (Store, Segments) {
    let options = SegmentOptions::new(clock.clone(), Random::seeded(1));
    let (segments, _) =
        Segments::open(&dir.join("segments"), options, Arc::new(RealFiles)).unwrap();
    let options = Options {
        engine: Engine::Sqlite {
            path: dir.join("store.sqlite"),
        },
        readers: 2,
        gather_max: Duration::ZERO,
        before_commit: Some(segments.before_commit()),
    };
    let schemas = [
        directory::SCHEMA,
        policy::SCHEMA,
        policy::CLIENTS_SCHEMA,
        policy::CONNECTIONS_SCHEMA,
        policy::LEGACY_SCHEMA,
        policy::RULES_SCHEMA,
        mailbox::SCHEMA,
        routing::SCHEMA,
        queue::SCHEMA,
        signing::SCHEMA,
    ];
    let store = Store::open(options, &schemas).unwrap();
    (store, segments)
}
