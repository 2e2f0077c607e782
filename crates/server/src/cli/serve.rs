//! `rohrpost serve`: a node in the foreground, as a service manager wants it.

use crate::node::Node;
use crate::settings::Settings;
use platform::clock::Clock;
use tokio::signal::unix::{SignalKind, signal};

pub(super) fn run(settings: Settings) -> Result<(), String> {
    crate::log::start(&settings.log_level.0.to_string());
    let node = async move {
        let node = Node::start(settings, Clock::system())
            .await
            .map_err(|e| e.to_string())?;
        for bound in node.bound() {
            tracing::info!(address = %bound.address, role = ?bound.listener.role, mode = ?bound.listener.mode, "node.listening");
        }
        run_until_told(node).await
    };
    runtime()?.block_on(node)
}

/// The runtime of a node.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(64)
        .build()
        .map_err(|error| format!("starting failed: {error}"))
}

/// Serves until SIGTERM or Ctrl-C; SIGHUP reads certificates again.
pub(crate) async fn run_until_told(node: Node) -> Result<(), String> {
    let mut hang_up = signal(SignalKind::hangup()).map_err(|e| e.to_string())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| e.to_string())?;
    loop {
        tokio::select! {
            _ = hang_up.recv() => node.reload(),
            _ = terminate.recv() => break,
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    tracing::info!("node.stopping");
    node.stop().await;
    Ok(())
}
