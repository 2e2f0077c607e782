//! Opens what commands work on, beside a node that may be running.

use crate::node::{COMPONENTS, engine};
use crate::settings::{Settings, StoreEngine};
use platform::clock::Clock;
use platform::files::{Files, RealFiles};
use platform::random::Random;
use platform::segments::{SegmentOptions, Segments};
use platform::store::{Engine, Options, Store};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Opens the rows of a data directory, beside a node that may be running.
pub(super) fn open_store(settings: &Settings) -> Result<Store, String> {
    if settings.store_engine.0 == StoreEngine::Sqlite
        && !settings.data_dir.join("rohrpost.sqlite").exists()
    {
        return Err(format!(
            "there is no data in {}; start a node with `rohrpost serve` first",
            settings.data_dir.display()
        ));
    }
    open_engine(engine(settings))
}

/// Opens the rows of a data directory, or makes them where a new installation is being set up.
pub(super) fn open_or_create_store(settings: &Settings) -> Result<Store, String> {
    crate::node::make_data_dir(&settings.data_dir).map_err(|error| {
        format!(
            "the data directory {}: {error}",
            settings.data_dir.display()
        )
    })?;
    open_engine(engine(settings))
}

fn open_engine(engine: Engine) -> Result<Store, String> {
    let options = Options {
        engine,
        readers: 1,
        gather_max: Duration::ZERO,
        before_commit: None,
    };
    Store::open(options, COMPONENTS).map_err(|error| error.to_string())
}

/// The message segments, to be read.
pub(super) fn open_segments(dir: &Path) -> Result<Segments, String> {
    let files: Arc<dyn Files> = Arc::new(RealFiles);
    let options = SegmentOptions::new(Clock::system(), Random::from_os());
    Segments::open_to_read(dir, options, files)
        .map(|(segments, _)| segments)
        .map_err(|error| format!("the message segments in {}: {error}", dir.display()))
}
